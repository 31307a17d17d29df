/**
 * Inputs in strict order: a durable pull consumer on a work-queue stream, owned by one process. It never naks.
 * Whatever could bring an older input behind a newer one ends the generation: what is in hand is dropped, the
 * consumer is made anew, and everything unacknowledged comes again from the oldest.
 */
import type { Msg, NatsConnection, Subscription } from "nats";
import { readHeaders } from "./headers.ts";
import { deleteConsumer, isStillTaken, takeConsumer, untripped } from "./intake-consumer.ts";
import { type IntakeMessage, Item, type Keeper } from "./intake-item.ts";
import { apiRequest, isNotFound, newInbox } from "./replies.ts";

export interface IntakeOptions {
  readonly stream: string;
  readonly consumer: string;
  /** One subject filter; several on one consumer are many times slower. */
  readonly filter?: string;
  /** Messages asked for in one pull, 256 when left out. */
  readonly batch?: number;
  /** The most that are ever unacknowledged in our hands or under way to us, 1,024 when left out. */
  readonly maxAckPending?: number;
  /** Bytes of bodies in our hands beyond which nothing more is asked for, 64 MiB when left out; what was asked for still comes. */
  readonly maxBytesInHand?: number;
  /** Silence after which the server would send a message again; what is in hand is kept alive before that. 60 s. */
  readonly ackWaitMs?: number;
  /** Its consumer is kept in the server's memory: for an owner who begins with the oldest input anyhow. */
  readonly memory?: boolean;
  /** Which other consumers of the stream are deleted when they are in this one's way. */
  readonly supersedes?: (consumer: string) => boolean;
  /** The generation before this one has ended: forget its messages. Called before any message of the new one. */
  readonly onReset?: (generation: number, reason: string) => void;
  /** The consumer could not be made; it is tried again until `stop`. */
  readonly onTrouble?: (error: Error) => void;
}

/** Inputs of one intake that may wait for another owner beside those in hand. */
const MAX_ASIDE = 100_000;
const MAX_BYTES_IN_HAND = 64 * 1024 * 1024;
const EXPIRES_MS = 30_000;
/** The server says so often that a pull still stands: the leader of a consumer may die with its server, and says nothing. */
const MAX_TICK_MS = 1500;
const API_TIMEOUT_MS = 5000;
/** Ticks without a message or a heartbeat after which the pull is taken for lost. */
const SILENT_TICKS = 3;
const RETRY_MS = 250;
const MAX_RETRY_MS = 2000;
const NANOS = 1_000_000;
const IN_PROGRESS = Buffer.from("+WPI");

export class Intake implements Keeper {
  readonly #nc: NatsConnection;
  readonly #options: IntakeOptions;
  readonly #batch: number;
  readonly #maxAckPending: number;
  readonly #maxBytes: number;
  readonly #ackWaitMs: number;
  readonly #tickMs: number;
  #onMessages: (messages: IntakeMessage[]) => void = () => undefined;
  #generation = 0;
  #started = false;
  #stopped = false;
  #paused = false;
  /** In the order of the stream. */
  readonly #inHand = new Map<number, Item>();
  #bytesInHand = 0;
  /** Kept for another owner: how each is answered, and when next. */
  readonly #aside = new Map<number, { readonly reply: string; extendAt: number }>();
  #chunk: Item[] = [];
  #lastSeq = 0;
  /** Deliveries of this generation's consumer, which has no other owner. */
  #delivered = 0;
  /** When that consumer was made. */
  #made = "";
  /** Messages asked for and not yet come. */
  #outstanding = 0;
  #pulls = 0;
  #inbox = "";
  #subscription: Subscription | undefined;
  #rebuilding: Promise<void> | undefined;
  #fillQueued = false;
  #silentTicks = 0;
  #ticker: NodeJS.Timeout | undefined;

  constructor(nc: NatsConnection, options: IntakeOptions) {
    this.#nc = nc;
    this.#options = options;
    this.#maxAckPending = options.maxAckPending ?? 1024;
    this.#batch = Math.min(options.batch ?? 256, this.#maxAckPending);
    this.#maxBytes = options.maxBytesInHand ?? MAX_BYTES_IN_HAND;
    this.#ackWaitMs = options.ackWaitMs ?? 60_000;
    this.#tickMs = Math.min(MAX_TICK_MS, Math.ceil(this.#ackWaitMs / 4));
  }

  /** Grows whenever what is in hand is dropped. */
  get generation(): number {
    return this.#generation;
  }

  /** Highest sequence given to the owner in this generation, 0 before the first. */
  get handedThrough(): number {
    return this.#lastSeq;
  }

  /** Every input up to this sequence has been acknowledged (this generation's first input stands behind all earlier ones). */
  get handledThrough(): number {
    const open = [...this.#inHand.keys()].slice(0, 1).concat([...this.#aside.keys()].slice(0, 1));
    return open.length === 0 ? this.#lastSeq : Math.min(...open) - 1;
  }

  /** Messages that were set aside. */
  get aside(): number {
    return this.#aside.size;
  }

  /** Messages given to the owner, not yet acknowledged and not set aside. */
  get inHand(): number {
    return this.#inHand.size;
  }

  /**
   * Takes the consumer over (as after a reset) and hands out messages, those that arrive together in one call.
   * @throws ApiError when the server does not make the consumer, and the client's error when nobody answers
   */
  async start(onMessages: (messages: IntakeMessage[]) => void): Promise<void> {
    if (this.#started) throw new Error("the intake has been started before");
    this.#started = true;
    this.#onMessages = onMessages;
    this.#generation++;
    await untripped(() => this.#recreate(API_TIMEOUT_MS));
    if (this.#stopped) return;
    void this.#watch();
    void this.#nc.closed().then(() => this.stop());
    this.#open();
    this.#ticker = setInterval(() => this.#tick(), this.#tickMs);
  }

  /** Asks for nothing more until {@link resume}; what was asked for still comes. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#fill();
  }

  /**
   * Drops what is in hand, makes the consumer anew, and begins with the oldest input that is not acknowledged.
   * The server may overtake acknowledgements that were just sent, so that a few handled inputs come once more.
   */
  reset(reason = "asked for"): Promise<void> {
    if (this.#stopped || !this.#started) return Promise.resolve();
    this.#drop(reason);
    this.#rebuilding ??= this.#rebuild().finally(() => (this.#rebuilding = undefined));
    return this.#rebuilding;
  }

  /** The last input now in the stream that this intake would receive, 0 when there is none: a fence for timers. @throws ApiError */
  async lastStored(): Promise<number> {
    try {
      const request = { last_by_subj: this.#options.filter ?? ">" };
      const answer = await apiRequest(this.#nc, `STREAM.MSG.GET.${this.#options.stream}`, request, API_TIMEOUT_MS);
      return (answer["message"] as { seq: number }).seq;
    } catch (error) {
      if (isNotFound(error)) return 0;
      throw error;
    }
  }

  /** Ends the generation and leaves the consumer to the next owner. Resolves when the acknowledgements are out. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#ticker);
    this.#drop("stopped");
    await this.#rebuilding;
    await this.#nc.flush().catch(() => undefined);
  }

  /** Deletes the consumer of an intake that has stopped, so that it is in nobody's way. @throws ApiError */
  remove(): Promise<void> {
    return deleteConsumer(this.#nc, this.#options.stream, this.#options.consumer, API_TIMEOUT_MS);
  }

  /** @internal for {@link Item} */
  has(item: Item): boolean {
    return item.generation === this.#generation && !this.#stopped;
  }

  /** @internal for {@link Item} */
  acknowledge(item: Item): void {
    if (item.generation !== this.#generation || !this.#inHand.delete(item.seq)) return;
    this.#bytesInHand -= item.data.length;
    try {
      this.#nc.publish(item.reply);
    } catch {
      return; // the connection is closed: the next owner gets it again
    }
    this.#queueFill();
  }

  /** @internal for {@link Item}. Beyond its room the message stays in hand: somewhere it has to end. */
  keepAside(item: Item): void {
    if (item.generation !== this.#generation || this.#aside.size >= MAX_ASIDE || !this.#inHand.delete(item.seq)) return;
    this.#bytesInHand -= item.data.length;
    this.#aside.set(item.seq, { reply: item.reply, extendAt: item.extendAt });
    this.#queueFill();
  }

  #drop(reason: string): void {
    this.#generation++;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#inHand.clear();
    this.#aside.clear();
    this.#chunk = [];
    this.#bytesInHand = this.#outstanding = this.#lastSeq = this.#delivered = 0;
    this.#options.onReset?.(this.#generation, reason);
  }

  /** Until the consumer stands for the generation that is current when it does. */
  async #rebuild(): Promise<void> {
    for (let attempt = 1; !this.#stopped; attempt++) {
      const generation = this.#generation;
      try {
        await this.#recreate(Math.min(API_TIMEOUT_MS, 1000 * attempt));
        if (generation !== this.#generation) continue;
        this.#open();
        return;
      } catch (error) {
        if (this.#nc.isClosed()) return;
        this.#options.onTrouble?.(error as Error);
        await new Promise((resolve) => setTimeout(resolve, Math.min(MAX_RETRY_MS, RETRY_MS * attempt)));
      }
    }
  }

  async #recreate(timeoutMs: number): Promise<void> {
    const config = { ...this.#options, ackWaitMs: this.#ackWaitMs, maxAckPending: this.#maxAckPending + MAX_ASIDE };
    this.#made = await takeConsumer(this.#nc, config, timeoutMs, this.#options.supersedes);
  }

  #open(): void {
    if (this.#stopped) return;
    const generation = this.#generation;
    this.#inbox = newInbox(this.#nc);
    this.#silentTicks = 0;
    this.#subscription = this.#nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null && generation === this.#generation) this.#onMessage(message, generation);
      },
    });
    this.#fill();
    void this.#verify(generation);
  }

  /** Another owner may have taken the consumer between our taking it and our first pull, and then nobody tells us. */
  async #verify(generation: number): Promise<void> {
    const { stream, consumer } = this.#options;
    const taken = await isStillTaken(this.#nc, stream, consumer, this.#made, API_TIMEOUT_MS).catch(() => true); // the ticker sees to silence
    if (!taken) this.#resetSoon(generation, "another owner has the consumer");
  }

  #onMessage(message: Msg, generation: number): void {
    this.#silentTicks = 0;
    const reply = message.reply ?? "";
    // Only the server sets an ack subject; a status line among the headers may be the sender's own.
    if (!reply.startsWith("$JS.ACK.")) {
      this.#onStatus(message);
      return;
    }
    this.#outstanding = Math.max(0, this.#outstanding - 1);
    const item = new Item(this, message, reply, generation, performance.now() + this.#ackWaitMs / 2);
    if (item.seq <= this.#lastSeq) {
      void this.reset(`sequence \`${item.seq}\` came behind \`${this.#lastSeq}\``);
      return;
    }
    if (item.nth !== ++this.#delivered) {
      void this.reset(`delivery \`${item.nth}\` came where \`${this.#delivered}\` was due: others went to somebody else`);
      return;
    }
    this.#lastSeq = item.seq;
    this.#inHand.set(item.seq, item);
    this.#bytesInHand += item.data.length;
    if (this.#chunk.push(item) === 1) queueMicrotask(() => this.#handOut());
  }

  #handOut(): void {
    const chunk = this.#chunk;
    if (chunk.length === 0) return;
    this.#chunk = [];
    this.#onMessages(chunk);
    this.#fill();
  }

  #onStatus(message: Msg): void {
    const { status, description, headers } = readHeaders(message);
    if (status === 100) return;
    this.#outstanding = Math.max(0, this.#outstanding - Number(headers.get("Nats-Pending-Messages") ?? 0));
    if (status === 408 || status === 404) {
      this.#fill();
    } else {
      // The consumer is gone or has moved. Not at once: where two owners take it from each other they must not spin.
      this.#resetSoon(this.#generation, `the server ended the pull: ${status} ${description}`);
    }
  }

  #resetSoon(generation: number, reason: string): void {
    setTimeout(() => {
      if (generation === this.#generation) void this.reset(reason);
    }, RETRY_MS);
  }

  #queueFill(): void {
    if (this.#fillQueued) return;
    this.#fillQueued = true;
    queueMicrotask(() => {
      this.#fillQueued = false;
      this.#fill();
    });
  }

  /** Keeps a pull waiting at the server while the one before it is being served, and never asks for more than fits. */
  #fill(): void {
    if (this.#paused || this.#subscription === undefined) return;
    if (this.#outstanding > this.#batch / 2 || this.#bytesInHand >= this.#maxBytes) return;
    const want = Math.min(this.#batch, this.#maxAckPending - this.#inHand.size - this.#outstanding);
    if (want <= 0 || (this.#outstanding > 0 && want < this.#batch / 4)) return;
    const { stream, consumer } = this.#options;
    const request = { batch: want, expires: EXPIRES_MS * NANOS, idle_heartbeat: this.#tickMs * NANOS };
    this.#outstanding += want;
    try {
      this.#nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(request), {
        reply: `${this.#inbox}.${++this.#pulls}`,
      });
    } catch {
      this.#outstanding -= want; // closed: stop() or the watcher ends us
    }
  }

  #tick(): void {
    if (this.#subscription === undefined) return;
    const now = performance.now();
    for (const item of [...this.#inHand.values(), ...this.#aside.values()]) {
      if (item.extendAt > now) continue;
      item.extendAt = now + this.#ackWaitMs / 2;
      this.#nc.publish(item.reply, IN_PROGRESS);
    }
    if (this.#outstanding > 0 && ++this.#silentTicks > SILENT_TICKS) void this.reset("no heartbeat from the server");
  }

  async #watch(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (this.#stopped) return;
      // Acknowledgements on the way may be lost: what they were for comes again, so it is no longer in hand.
      if (status.type === "disconnect") this.#drop("the connection was lost");
      else if (status.type === "reconnect") void this.reset("the connection is back");
    }
  }
}
