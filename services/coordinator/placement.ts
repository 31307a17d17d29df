/**
 * In which segment of the journal a run is, and in which one a new run starts. The second is a function of the server's
 * time on the start and of the table of segments, so that two coordinators that know the table agree.
 *
 * Whoever does not know the table starts nothing: an opening counts only from a margin after it was stored, and a
 * start is decided only by who has read the table, from the leader, less than that margin before the start was stored.
 * Which is told by the inputs themselves: one that is in hand was stored before anything that is read from now on. Our
 * own clock only adds to it that no reading is believed for longer than half a margin.
 */
import type { SegmentsFacts } from "../../schemas/facts.ts";
import { type Digest, type Namespace, type RunId } from "../../schemas/ids.ts";
import { listed, runHash, runListSchema } from "../../schemas/run-list.ts";
import { MAX_SEGMENTS, SEGMENT_MARGIN_MS, segmentStream } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import { millis } from "../../schemas/time.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { Documents } from "../bus/documents.ts";
import { ReadError } from "../bus/journal.ts";
import { apiRequest, isNotFound } from "../bus/replies.ts";
import type { Segment, SegmentTable } from "../bus/segment-table.ts";
import type { SegmentedReader } from "../bus/segmented.ts";
import type { Loaded } from "./aggregates.ts";
import { Needs } from "./facts.ts";
import type { Placing } from "./placing.ts";

export interface PlacementOptions {
  /** What the wire says, but in tests. */
  readonly marginMs?: number;
  /** Whether every coordinator of the namespace knows of segments: one that does not looks for a run in the first. */
  readonly together?: () => boolean;
  /** Our own clock, ms: it only counts how long something was ago. */
  readonly now?: () => number;
}

/** A run that two segments hold: somebody started it twice. */
export class Doubled extends Error {
  override readonly name = "Doubled";
}

const INFO_MS = 5000;

export class Placement implements Placing {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  readonly #journal: SegmentedReader;
  readonly #documents: Pick<Documents, "get">;
  readonly #marginMs: number;
  readonly #now: () => number;
  readonly #together: () => boolean;
  /** Server's time, ms: the table was read from the leader when it was at least this late. */
  #readAt = Number.NEGATIVE_INFINITY;
  /** The same by our own clock, which only counts how long it was ago. */
  #readHere = Number.NEGATIVE_INFINITY;
  #streams = 1;
  #reading: Promise<void> | undefined;
  readonly #known = new Map<Digest, Promise<readonly Uint8Array[]>>();

  constructor(nc: NatsConnection, ns: Namespace, journal: SegmentedReader, documents: Pick<Documents, "get">, { marginMs = SEGMENT_MARGIN_MS, now = () => performance.now(), together = () => true }: PlacementOptions = {}) {
    this.#nc = nc;
    this.#ns = ns;
    this.#journal = journal;
    this.#documents = documents;
    this.#marginMs = marginMs;
    this.#now = now;
    this.#together = together;
  }

  get table(): SegmentTable {
    return this.#journal.table;
  }

  /** The last segment that could be opened: it has a stream, as it was when the table was read, and everybody would know of it. */
  get streams(): number {
    return this.#together() ? this.#streams : (this.table.segments.at(-1) as Segment).segment;
  }

  /** How long before its time a segment is opened: it is to count though its commit waits as long as may be for its turn. */
  get leadMs(): number {
    return 2 * this.#marginMs;
  }

  /** The segment of a run whose start was stored at this time; undefined when the table has to be read first. @param time of the input */
  segmentAt(time: string): number | undefined {
    if (this.#now() - this.#readHere > this.#marginMs / 2) return undefined;
    const ms = millis(time);
    return ms < this.#readAt + this.#marginMs ? this.table.at(ms) : undefined;
  }

  /** False when what was decided by the table may be out of date by now, or the segment was sealed meanwhile. */
  maySend(segment: number): boolean {
    if (this.#now() - this.#readHere > this.#marginMs) return false;
    return this.table.segments.find((one) => one.segment === segment)?.sealed === undefined;
  }

  /** A run begins in the segment that the server's time on its start belongs to, and stays there. @throws Needs */
  place(run: Pick<Loaded, "ns" | "name" | "segment" | "subject" | "looked">, time: string): void {
    const segment = this.segmentAt(time);
    // one that was opened since this run was looked for may hold it
    if (segment === undefined || run.looked !== this.table.last) throw new Needs({ table: time });
    run.segment = segment;
    run.subject = subjects.log(run.ns, "run", run.name, segment);
  }

  /** What the table's own inputs are decided by; which streams there are is looked at for each. @throws Needs */
  facts(arrival: { readonly input: { readonly time: string }; looked?: boolean }): SegmentsFacts {
    if (arrival.looked !== true) {
      arrival.looked = true;
      throw new Needs({ table: arrival.input.time });
    }
    return { kind: "segments", streams: this.streams, lead_ms: this.leadMs };
  }

  /** Reads the table from the leader. @param time of an input that is in hand; none when there is none @throws ReadError, EventMalformed */
  async refresh(time?: string): Promise<void> {
    const since = time === undefined ? Number.NEGATIVE_INFINITY : millis(time);
    // one that began when an earlier input was the last in hand says nothing of this one's time
    while (this.#reading !== undefined) await this.#reading.catch(() => undefined);
    const here = this.#now();
    const reading = this.#read().then(() => {
      this.#readAt = Math.max(this.#readAt, since);
      this.#readHere = here;
    });
    this.#reading = reading;
    try {
      await reading;
    } finally {
      this.#reading = undefined;
    }
  }

  /** Reads the table unless it is known well enough for an input of this time. @throws ReadError, EventMalformed */
  async ensure(time: string): Promise<void> {
    while (this.segmentAt(time) === undefined) {
      if (this.#reading === undefined) return this.refresh(time);
      await this.#reading.catch(() => undefined);
    }
  }

  /** {@link find}, also in segments that were opened lately. @param time of the input that names the run @throws as that */
  async locate(run: RunId, time?: string): Promise<{ readonly segment: number | undefined; readonly looked: number }> {
    if (time !== undefined) await this.ensure(time);
    // of the table as it is asked by, not as it is when all have answered
    const looked = this.table.last;
    return { segment: await this.find(run), looked };
  }

  /**
   * Where a run is: looked up in every segment in which something may still happen, from the leader, and then in the
   * lists of those in which nothing can. Undefined when there is no such run. @throws Doubled, ReadError, DocumentMissing, DocumentCorrupt
   */
  async find(run: RunId): Promise<number | undefined> {
    const { segments } = this.table;
    // no other segment was ever opened
    if (segments.length === 1 && segments[0]?.sealed === undefined) return 1;
    const subject = (segment: number) => subjects.log(this.#ns, "run", run, segment);
    const open = segments.filter(({ sealed }) => sealed === undefined);
    const found = await Promise.all(open.map(async ({ segment }) => ((await this.#journal.lastOf(subject(segment), segment)) === undefined ? [] : [segment])));
    const [first, second] = found.flat();
    if (second !== undefined) throw new Doubled(`run \`${run}\` stands in the segments ${first} and ${second} of the journal`);
    if (first !== undefined) return first;
    for (const { segment, sealed } of segments.toReversed()) {
      if (sealed !== undefined && (await this.#lists(sealed, run))) return segment;
    }
    return undefined;
  }

  async #lists(sealed: NonNullable<Segment["sealed"]>, run: RunId): Promise<boolean> {
    if (sealed.runs === 0) return false;
    let list = this.#known.get(sealed.index);
    if (list === undefined) {
      list = this.#listOf(sealed.index);
      this.#known.set(sealed.index, list);
      list.catch(() => this.#known.delete(sealed.index));
    }
    return listed(await list, runHash(run));
  }

  async #listOf(index: Digest): Promise<readonly Uint8Array[]> {
    const { parts } = runListSchema.parse(JSON.parse(Buffer.from(await this.#documents.get(index)).toString("utf8")));
    return Promise.all(parts.map(async (part) => Uint8Array.from(await this.#documents.get(part))));
  }

  async #read(): Promise<void> {
    const { segments } = await this.#journal.refresh(true);
    const newest = (segments.at(-1) as Segment).segment;
    this.#streams = newest < MAX_SEGMENTS && (await this.#hasStream(newest + 1)) ? newest + 1 : newest;
  }

  async #hasStream(segment: number): Promise<boolean> {
    if (segment <= this.#streams) return true;
    try {
      await apiRequest(this.#nc, `STREAM.INFO.${segmentStream(this.#ns, segment)}`, undefined, INFO_MS);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw new ReadError((error as Error).message, { cause: error });
    }
  }
}
