/**
 * Dispatches of one tool: a durable pull consumer that any number of gateways share. Unlike inputs they have no order
 * and no single owner: the server hands each to whoever asked first, and again to another when nobody acknowledged.
 */
import type { Msg, NatsConnection, Subscription } from "nats";
import type { Namespace } from "../../schemas/ids.ts";
import { escapeToken, streamName, subjects } from "../../schemas/subjects.ts";
import { readHeaders } from "./headers.ts";
import { parseAckSubject } from "./ack-subject.ts";
import { apiRequest, isNotFound, newInbox } from "./replies.ts";
import { createConsumer } from "./work-consumer.ts";

export interface DispatchMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Sequence in the stream: the same again is the same message delivered again. */
  readonly seq: number;
  /** From 1. */
  readonly deliveries: number;
  /** Removes it from the stream. */
  ack(): void;
  /** Removes it although nobody carried it out. */
  discard(): void;
}

export interface DispatchQueueOptions {
  readonly ns: Namespace;
  readonly tool: string;
  /** The most that are in our hands or under way to us. */
  readonly limit: number;
  /** For a consumer that is not there yet; one that is keeps what it has. */
  readonly ackWaitMs?: number;
  readonly onMessage: (message: DispatchMessage) => void;
  /** Asking failed; it is tried again until `stop`. */
  readonly onTrouble?: (error: Error) => void;
}

/** The most dispatches of one tool that all gateways together hold. */
export const MAX_DISPATCHES_IN_HAND = 1000;
const ACK_WAIT_MS = 30_000;
const EXPIRES_MS = 30_000;
/** A pull that outlives its expiry by this was lost on the way. */
const GRACE_MS = 5_000;
const RETRY_MS = 500;
const API_TIMEOUT_MS = 5_000;
const NANOS = 1_000_000;
const ACK = Buffer.from("+ACK");
/** There is no order among dispatches that this could disturb. */
const GIVE_BACK = Buffer.from("-NAK");
const TERM = Buffer.from("+TERM");
const IN_PROGRESS = Buffer.from("+WPI");

/** Durable name of a tool's consumer: names of consumers hold neither dots nor percent signs. */
export function dispatchConsumer(tool: string): string {
  return `tool_${escapeToken(tool).replaceAll("%", "=")}`;
}

/**
 * Makes the consumer of a tool unless it is there; whoever comes first (coordinator or gateway) sets its limits.
 * @throws ApiError; the client's error when nobody answers
 */
export async function ensureDispatchConsumer(
  nc: NatsConnection,
  ns: Namespace,
  tool: string,
  ackWaitMs: number = ACK_WAIT_MS,
): Promise<void> {
  const stream = streamName("DISPATCH", ns);
  const consumer = dispatchConsumer(tool);
  try {
    await apiRequest(nc, `CONSUMER.INFO.${stream}.${consumer}`, undefined, API_TIMEOUT_MS);
    return;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const filter = subjects.dispatch(ns, tool);
  // in memory: whatever is not acknowledged when the server comes back is given out again, and knows its attempt
  await createConsumer(nc, { stream, consumer, filter, ackWaitMs, maxAckPending: MAX_DISPATCHES_IN_HAND, memory: true }, API_TIMEOUT_MS);
}

export class DispatchQueue {
  readonly #nc: NatsConnection;
  readonly #options: DispatchQueueOptions;
  readonly #ackWaitMs: number;
  readonly #next: string;
  readonly #inHand = new Map<number, Item>();
  #inbox = "";
  #subscription: Subscription | undefined;
  #outstanding = 0;
  #pulls = 0;
  #heardAt = 0;
  #ticker: NodeJS.Timeout | undefined;
  #fillQueued = false;
  #waiting = false;
  #stopped = false;

  constructor(nc: NatsConnection, options: DispatchQueueOptions) {
    this.#nc = nc;
    this.#options = options;
    this.#ackWaitMs = options.ackWaitMs ?? ACK_WAIT_MS;
    this.#next = `$JS.API.CONSUMER.MSG.NEXT.${streamName("DISPATCH", options.ns)}.${dispatchConsumer(options.tool)}`;
  }

  /** Whether it is known to the server as one that wants dispatches; not while it makes the consumer again. */
  get asking(): boolean {
    return this.#subscription !== undefined && !this.#waiting && !this.#stopped;
  }

  /** @throws when the consumer cannot be made */
  async start(): Promise<void> {
    const { ns, tool } = this.#options;
    await ensureDispatchConsumer(this.#nc, ns, tool, this.#ackWaitMs);
    if (this.#stopped) return;
    this.#inbox = newInbox(this.#nc);
    this.#subscription = this.#nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#onMessage(message);
      },
    });
    this.#ticker = setInterval(() => this.#tick(), Math.min(5_000, this.#ackWaitMs / 4));
    // a queue whose connection is gone for good keeps no process alive
    void this.#nc.closed().then(() => clearInterval(this.#ticker));
    this.#fill();
  }

  /** After a reconnect: the server has forgotten what it was asked for. What is in hand stays in hand. */
  renew(): void {
    this.#outstanding = 0;
    this.#fill();
  }

  /** Asks for nothing more. What is in hand may still be acknowledged. */
  pause(): void {
    this.#stopped = true;
    // without a listener the server forgets what it was asked for, and keeps it for others
    this.#subscription?.unsubscribe();
  }

  /** Gives back what was not acknowledged: it goes to another gateway at once. */
  stop(): void {
    this.pause();
    clearInterval(this.#ticker);
    for (const item of this.#inHand.values()) this.#send(item.reply, GIVE_BACK);
    this.#inHand.clear();
  }

  /** @internal for {@link Item} */
  settle(item: Item, word: Uint8Array): void {
    if (this.#inHand.get(item.seq) === item) this.#inHand.delete(item.seq);
    this.#send(item.reply, word);
    this.#queueFill();
  }

  #onMessage(message: Msg): void {
    this.#heardAt = performance.now();
    const reply = message.reply ?? "";
    // Only the server sets an ack subject; a status line among the headers may be the sender's own.
    if (!reply.startsWith("$JS.ACK.")) {
      this.#onStatus(message);
      return;
    }
    this.#outstanding = Math.max(0, this.#outstanding - 1);
    const item = new Item(this, message, reply, this.#heardAt + this.#ackWaitMs / 3);
    this.#inHand.set(item.seq, item);
    this.#queueFill();
    this.#options.onMessage(item);
  }

  #onStatus(message: Msg): void {
    const { status, description, headers } = readHeaders(message);
    if (status === 100) return;
    const ended = headers.get("Nats-Pending-Messages");
    this.#outstanding = ended === undefined ? 0 : Math.max(0, this.#outstanding - Number(ended));
    if (status === 408 || status === 404) this.#fill();
    else this.#recover(new Error(`the server ended the pull: ${status} ${description}`));
  }

  /** The consumer is gone, has moved, or the server is not up: made again and asked again, not at once. */
  #recover(error: Error): void {
    if (this.#waiting || this.#stopped) return;
    this.#waiting = true;
    this.#options.onTrouble?.(error);
    setTimeout(() => {
      this.#waiting = false;
      if (this.#stopped || this.#nc.isClosed()) return;
      const { ns, tool } = this.#options;
      ensureDispatchConsumer(this.#nc, ns, tool, this.#ackWaitMs).then(
        () => this.#fill(),
        (cause: unknown) => this.#recover(cause as Error),
      );
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

  /** Asks in larger pieces, so that a busy gateway does not ask for every single dispatch. */
  #fill(): void {
    if (this.#stopped || this.#waiting || this.#subscription === undefined) return;
    const { limit } = this.#options;
    const want = limit - this.#inHand.size - this.#outstanding;
    if (want < Math.max(1, Math.floor(limit / 4))) return;
    this.#heardAt = performance.now();
    this.#outstanding += want;
    const request = { batch: want, expires: EXPIRES_MS * NANOS };
    this.#send(this.#next, Buffer.from(JSON.stringify(request)), `${this.#inbox}.${++this.#pulls}`);
  }

  #tick(): void {
    const now = performance.now();
    for (const item of this.#inHand.values()) {
      if (item.extendAt > now) continue;
      item.extendAt = now + this.#ackWaitMs / 3;
      this.#send(item.reply, IN_PROGRESS);
    }
    if (this.#outstanding > 0 && now - this.#heardAt > EXPIRES_MS + GRACE_MS) {
      this.#outstanding = 0;
      this.#recover(new Error("a pull was not answered"));
    }
  }

  #send(subject: string, data: Uint8Array, reply?: string): void {
    try {
      this.#nc.publish(subject, data, reply === undefined ? {} : { reply });
    } catch {
      // the connection is closed: what is unacknowledged comes again, to us or to another
    }
  }
}

class Item implements DispatchMessage {
  readonly #queue: DispatchQueue;
  readonly #message: Msg;
  readonly reply: string;
  readonly seq: number;
  readonly deliveries: number;
  /** When to tell the server that it is still being worked on, on the monotonic clock. */
  extendAt: number;

  constructor(queue: DispatchQueue, message: Msg, reply: string, extendAt: number) {
    this.#queue = queue;
    this.#message = message;
    this.reply = reply;
    this.extendAt = extendAt;
    const { seq, deliveries } = parseAckSubject(reply);
    this.seq = seq;
    this.deliveries = deliveries;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  ack(): void {
    this.#queue.settle(this, ACK);
  }

  discard(): void {
    this.#queue.settle(this, TERM);
  }
}
