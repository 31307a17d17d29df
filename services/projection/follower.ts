/**
 * Follows one segment of a namespace's journal: what is stored already in pages, then the live tail, as one sequence. Every
 * listener gets every message once and in the stream's order; what the tail loses is read from the stream.
 */
import type { Namespace } from "../../schemas/ids.ts";
import { segmentStream } from "../../schemas/segments.ts";
import { patterns } from "../../schemas/subjects.ts";
import type { NatsConnection, Subscription } from "../bus/connection.ts";
import { readDirectHeaders } from "../bus/headers.ts";
import { type StoredMessage, StreamReader } from "../bus/journal.ts";

export interface JournalListener {
  /** For alarms. */
  readonly name: string;
  /** First stream sequence that it wants. */
  readonly from: number;
  /** The same in a later segment of the journal, where it does not want all of it: the stream's own sequence. */
  fromIn?(segment: number): number;
  /** Called with the next batch only when the last is done. What it throws is reported, and the batch comes again. */
  take(batch: readonly StoredMessage[]): void | Promise<void>;
}

export interface FollowerOptions {
  /** Something that a person should know: a hole in the journal, a listener that fails. */
  readonly onAlarm?: (message: string, cause?: unknown) => void;
  /** Last sequence of the journal; asks the stream when left out, which only roles of PLANE may. */
  readonly lastSeq?: () => Promise<number>;
  /** Which segment; the first when left out. */
  readonly segment?: number;
  /** The tail is handed over by {@link JournalFollower.hear}, and not listened to here. */
  readonly fed?: boolean;
  /** Silence after which the stream is asked whether the tail missed something, ms. */
  readonly idleMs?: number;
}

/** A batch is one transaction of the index, and the time for which questions wait. */
const BATCH = 500;
/** Beyond this the tail is dropped: what it held is in the stream, and memory is not. */
const MAX_TAIL = 10_000;
const MAX_TAIL_BYTES = 64 * 1024 * 1024;
/**
 * While the journal grows the tail is taken this often. Taken as it came, thirty events at a time, each batch cost a
 * transaction and a round trip to the server: a tenth of this thread's time. What comes after a silence is taken at once.
 */
const GATHER_MS = 20;
const RETRY_MS = 250;

interface Progress {
  readonly listener: JournalListener;
  next: number;
}

export class JournalFollower {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #reader: StreamReader;
  readonly #subject: string;
  readonly #stream: string;
  readonly #fed: boolean;
  readonly #listeners: Progress[];
  readonly #alarm: (message: string, cause?: unknown) => void;
  readonly #lastSeq: () => Promise<number>;
  readonly #idleMs: number;
  #next: number;
  #tail: StoredMessage[] = [];
  #tailBytes = 0;
  #behind = true;
  #deliveredAt = 0;
  #stopped = false;
  #wakeUp: (() => void) | undefined;
  #subscription: Subscription | undefined;
  #loop: Promise<void> | undefined;
  readonly #waiting = new Set<{ readonly seq: number; readonly done: (reached: boolean) => void }>();

  constructor(nc: NatsConnection, ns: Namespace, listeners: readonly JournalListener[], options: FollowerOptions = {}) {
    this.#nc = nc;
    this.#ns = ns;
    const { segment = 1 } = options;
    this.#subject = patterns.log(ns, segment);
    this.#stream = segmentStream(ns, segment);
    this.#reader = new StreamReader(nc, this.#stream);
    this.#fed = options.fed === true;
    this.#listeners = listeners.map((listener) => ({ listener, next: listener.from }));
    this.#next = Math.min(...this.#listeners.map(({ next }) => next));
    this.#alarm = options.onAlarm ?? (() => undefined);
    this.#lastSeq = options.lastSeq ?? (async () => (await this.#reader.info()).lastSeq);
    this.#idleMs = options.idleMs ?? 5_000;
  }

  /** Last stream sequence that all listeners have taken. */
  get position(): number {
    return this.#next - 1;
  }

  /** Begins, and returns once everything that the journal holds now has been taken. @throws ReadError */
  async start(): Promise<void> {
    // the subscription comes first: what is stored while the stream is read arrives by the tail
    if (!this.#fed) {
      this.#subscription = this.#nc.subscribe(patterns.live(this.#ns), {
        callback: (error, message) => {
          if (error !== null) return;
          const direct = readDirectHeaders(message);
          if (direct === undefined || direct.stream !== this.#stream) return;
          const { subject, seq, time, headers } = direct;
          this.hear({ subject, seq, time: Date.parse(time), headers, data: message.data });
        },
      });
      await this.#nc.flush();
    }
    const lastSeq = await this.#lastSeq();
    void this.#watch();
    this.#loop = this.#run();
    await this.reached(lastSeq, Number.POSITIVE_INFINITY);
  }

  /** Waits until `seq` has been taken. False when it was not in time, or the follower stopped. */
  reached(seq: number, timeoutMs: number): Promise<boolean> {
    if (this.position >= seq) return Promise.resolve(true);
    if (this.#stopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = Number.isFinite(timeoutMs) ? setTimeout(() => waiter.done(false), timeoutMs) : undefined;
      const waiter = {
        seq,
        done: (reached: boolean) => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve(reached);
        },
      };
      this.#waiting.add(waiter);
    });
  }

  /** Waits until everything stored at the time of the question has been taken: readers see their own writes. */
  async current(timeoutMs: number): Promise<boolean> {
    const lastSeq = await this.#lastSeq();
    return this.reached(lastSeq, timeoutMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#subscription?.unsubscribe();
    this.#wakeUp?.();
    await this.#loop;
    for (const waiter of this.#waiting) waiter.done(false);
  }

  /** Takes what the live tail brought of this segment. */
  hear(message: StoredMessage): void {
    if (this.#tail.length >= MAX_TAIL || this.#tailBytes > MAX_TAIL_BYTES) {
      this.#dropTail();
      this.#behind = true;
    }
    this.#tail.push(message);
    this.#tailBytes += message.data.length;
    this.#wakeUp?.();
  }

  #dropTail(): void {
    this.#tail = [];
    this.#tailBytes = 0;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const first = this.#trimTail();
        if (this.#behind) {
          this.#behind = false;
          await this.#catchUp(undefined);
        } else if (first === undefined) {
          await this.#wake();
        } else if (first.seq > this.#next) {
          await this.#catchUp(first.seq - 1);
        } else {
          await this.#gather();
          await this.#deliver(this.#contiguous());
        }
      } catch (cause) {
        if (this.#stopped) return;
        this.#behind = true;
        this.#alarm(cause instanceof Error ? cause.message : String(cause), cause);
        await delay(RETRY_MS);
      }
    }
  }

  /** First message of the tail that was not taken yet. */
  #trimTail(): StoredMessage | undefined {
    const taken = this.#tail.findIndex((message) => message.seq >= this.#next);
    if (taken < 0) this.#dropTail();
    else if (taken > 0) this.#tail.splice(0, taken);
    if (this.#tail.length === 0) this.#tailBytes = 0;
    return this.#tail[0];
  }

  async #gather(): Promise<void> {
    const left = this.#deliveredAt + GATHER_MS - performance.now();
    // somebody waits to read what was just stored
    if (left > 0 && this.#tail.length < BATCH && this.#waiting.size === 0) await delay(left);
    this.#deliveredAt = performance.now();
  }

  #contiguous(): StoredMessage[] {
    let count = 0;
    while (count < BATCH && this.#tail[count]?.seq === this.#next + count) count += 1;
    const batch = this.#tail.splice(0, count);
    for (const message of batch) this.#tailBytes -= message.data.length;
    return batch;
  }

  /** Reads from where we stand up to `until`, or to the end of the stream. */
  async #catchUp(until: number | undefined): Promise<void> {
    const before = this.#next;
    let batch: StoredMessage[] = [];
    const range = { subject: this.#subject, fromSeq: this.#next, ...(until !== undefined && { untilSeq: until }) };
    for await (const message of this.#reader.read(range)) {
      if (this.#stopped) return;
      batch.push(message);
      if (batch.length < BATCH) continue;
      await this.#deliver(batch);
      batch = [];
      // questions are answered between batches
      await new Promise(setImmediate);
    }
    if (batch.length > 0) await this.#deliver(batch);
    if (until === undefined || this.#next > until) return;
    if (this.#next > before) return;
    // the tail is ahead of the copy that was read, and another try will find it; or the stream has lost it, and what
    // is read without a bound shows the hole
    this.#behind = true;
    await delay(RETRY_MS);
  }

  async #deliver(batch: readonly StoredMessage[]): Promise<void> {
    for (const [index, message] of batch.entries()) {
      const expected = index === 0 ? this.#next : (batch[index - 1] as StoredMessage).seq + 1;
      if (message.seq > expected) this.#alarm(`the journal of \`${this.#ns}\` has no messages ${expected} to ${message.seq - 1}`);
    }
    const last = batch.at(-1)?.seq;
    if (last === undefined) return;
    for (const progress of this.#listeners) {
      const wanted = batch.filter((message) => message.seq >= progress.next);
      if (wanted.length === 0) continue;
      try {
        await progress.listener.take(wanted);
      } catch (cause) {
        throw new Error(`\`${progress.listener.name}\` cannot take the journal of \`${this.#ns}\` at ${wanted[0]?.seq}`, { cause });
      }
      progress.next = last + 1;
    }
    this.#moveTo(last + 1);
  }

  #moveTo(next: number): void {
    this.#next = next;
    for (const waiter of this.#waiting) if (next > waiter.seq) waiter.done(true);
  }

  /** Until the tail brings something, the connection comes back, or silence has lasted long enough to be doubted. */
  async #wake(): Promise<void> {
    const heard = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), this.#idleMs);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
    this.#wakeUp = undefined;
    if (heard || this.#stopped) return;
    if ((await this.#lastSeq()) > this.position) this.#behind = true;
  }

  async #watch(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (this.#stopped) return;
      if (status.type !== "reconnect") continue;
      this.#behind = true;
      this.#wakeUp?.();
    }
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
