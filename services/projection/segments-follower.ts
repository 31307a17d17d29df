/**
 * Follows a namespace's journal over all of its segments, also those that are opened meanwhile. Within a segment every
 * listener gets every message once and in order; between segments there is no order. A batch is of one segment, and
 * one batch is taken at a time. Sequences are positions: see `schemas/segments.ts`.
 */
import type { Namespace } from "../../schemas/ids.ts";
import { positionOf, segmentOf, segmentOfStream, sequenceOf } from "../../schemas/segments.ts";
import { patterns } from "../../schemas/subjects.ts";
import type { NatsConnection, Subscription } from "../bus/connection.ts";
import { readDirectHeaders } from "../bus/headers.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { JournalFollower, type JournalListener } from "./follower.ts";

/** Last position of each segment; 0 in its stream for one that holds nothing yet. */
export type Ends = readonly number[];

export interface SegmentsFollowerOptions {
  /** Something that a person should know: a hole in the journal, a listener that fails. */
  readonly onAlarm?: (message: string, cause?: unknown) => void;
  /** Asks the streams when left out, which only roles of PLANE may. */
  readonly ends?: () => Promise<Ends>;
  /** Silence after which the streams are asked whether the tail missed something, ms. */
  readonly idleMs?: number;
}

/** How often a segment is looked for of which nothing was heard, ms. */
const LOOK_MS = 10_000;

export class SegmentsFollower {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #listeners: readonly JournalListener[];
  readonly #options: SegmentsFollowerOptions;
  readonly #alarm: (message: string, cause?: unknown) => void;
  readonly #ends: () => Promise<Ends>;
  readonly #followers = new Map<number, JournalFollower>();
  readonly #starting = new Map<number, Promise<void>>();
  #turn: Promise<unknown> = Promise.resolve();
  #subscription: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(nc: NatsConnection, ns: Namespace, listeners: readonly JournalListener[], options: SegmentsFollowerOptions = {}) {
    this.#nc = nc;
    this.#ns = ns;
    this.#listeners = listeners;
    this.#options = options;
    this.#alarm = options.onAlarm ?? (() => undefined);
    const reader = new SegmentedReader(nc, ns);
    this.#ends = options.ends ?? (async () => [...(await reader.infos())].map(([segment, { lastSeq }]) => positionOf(segment, lastSeq)));
  }

  /** Last position of the first segment that all listeners have taken. */
  get position(): number {
    return this.#followers.get(1)?.position ?? 0;
  }

  /** Begins, and returns once everything that the journal holds now has been taken. @throws ReadError */
  async start(): Promise<void> {
    // the subscription comes first: what is stored while the streams are read arrives by the tail
    this.#subscription = this.#nc.subscribe(patterns.live(this.#ns), {
      callback: (error, message) => {
        if (error !== null) return;
        const direct = readDirectHeaders(message);
        const segment = direct && segmentOfStream(this.#ns, direct.stream);
        if (direct === undefined || segment === undefined) return;
        const { subject, seq, time, headers } = direct;
        const follower = this.#followers.get(segment);
        if (follower !== undefined) follower.hear({ subject, seq, time: Date.parse(time), headers, data: message.data });
        // it reads its stream from the beginning: this message is in it
        else this.#begin(segment, seq).catch((cause: unknown) => this.#alarm(`segment ${segment} of the journal of \`${this.#ns}\` cannot be followed`, cause));
      },
    });
    await this.#nc.flush();
    for (const end of await this.#ends()) await this.#begin(segmentOf(end), sequenceOf(end));
    this.#timer = setInterval(() => void this.#look().catch(() => undefined), LOOK_MS);
    this.#timer.unref();
  }

  /** Waits until this position has been taken. False when it was not in time, or the follower stopped. */
  async reached(position: number, timeoutMs: number): Promise<boolean> {
    const segment = segmentOf(position);
    await this.#begin(segment, sequenceOf(position));
    return (await this.#followers.get(segment)?.reached(sequenceOf(position), timeoutMs)) ?? false;
  }

  /** Waits until everything stored at the time of the question has been taken: readers see their own writes. */
  async current(timeoutMs: number): Promise<boolean> {
    const reached = await Promise.all((await this.#ends()).map((end) => this.reached(end, timeoutMs)));
    return reached.every(Boolean);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#subscription?.unsubscribe();
    await Promise.all([...this.#followers.values()].map((follower) => follower.stop()));
  }

  /** What the tail said nothing of. */
  async #look(): Promise<void> {
    for (const end of await this.#ends()) if (!this.#followers.has(segmentOf(end))) await this.#begin(segmentOf(end), sequenceOf(end));
  }

  /** Once for each segment; resolves when it has been read as far as it is known. */
  #begin(segment: number, known: number): Promise<void> {
    const begun = this.#starting.get(segment);
    if (begun !== undefined) return begun;
    if (this.#stopped) return Promise.resolve();
    const listeners = this.#listeners.map((listener): JournalListener => ({
      name: listener.name,
      from: firstOf(listener, segment),
      take: (batch) => this.#taken(listener, segment, batch),
    }));
    const { idleMs, ends } = this.#options;
    const follower = new JournalFollower(this.#nc, this.#ns, listeners, {
      segment,
      fed: true,
      onAlarm: this.#alarm,
      ...(idleMs !== undefined && { idleMs }),
      // who may not ask the streams is told the ends of all of them
      ...(ends !== undefined && { lastSeq: async () => Math.max(known, ...(await ends()).filter((end) => segmentOf(end) === segment).map(sequenceOf)) }),
    });
    this.#followers.set(segment, follower);
    const starting = follower.start();
    this.#starting.set(segment, starting);
    starting.catch(() => {
      this.#starting.delete(segment);
      this.#followers.delete(segment);
    });
    return starting;
  }

  /** One batch at a time, whichever segments they are of. */
  #taken(listener: JournalListener, segment: number, batch: readonly StoredMessage[]): Promise<void> {
    const placed = segment === 1 ? batch : batch.map((message) => ({ ...message, seq: positionOf(segment, message.seq) }));
    const turn = this.#turn.then(() => listener.take(placed));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

/** The stream's own sequence from which a listener wants a segment. */
function firstOf(listener: JournalListener, segment: number): number {
  const { from } = listener;
  if (listener.fromIn !== undefined && segment > 1) return listener.fromIn(segment);
  if (segmentOf(from) === segment) return sequenceOf(from);
  // whoever begins in a later segment wants nothing of those before it
  return segmentOf(from) > segment ? Number.MAX_SAFE_INTEGER : 1;
}
