/**
 * A journal of one or more segments, read as one. Whoever asks for a subject of segment 1 is given the run wherever it
 * is; whoever asks for everything is given segment after segment. Sequences are positions: see `schemas/segments.ts`.
 */
import type { NatsConnection } from "nats";
import type { Namespace } from "../../schemas/ids.ts";
import { positionOf, segmentOf, segmentStream, sequenceOf } from "../../schemas/segments.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { type ReadRange, type StoredMessage, StreamReader, type StreamState } from "./journal.ts";
import { SegmentTable, segmentTableSubject } from "./segment-table.ts";

export interface SegmentedRange extends ReadRange {
  /** Leaves out segments in which nothing changes any more. */
  readonly open?: boolean;
}

export class SegmentedReader extends StreamReader {
  readonly #nc: NatsConnection;
  readonly #ns: Namespace;
  /** Without the dot behind it: `signalbox.<ns>.log`. */
  readonly #root: string;
  readonly #later = new Map<number, StreamReader>();
  readonly #table: SegmentTable;

  /** @param table shared with whoever keeps it up to date; read when it is needed in any case */
  constructor(nc: NatsConnection, ns: Namespace, table = new SegmentTable()) {
    super(nc, segmentStream(ns, 1));
    this.#nc = nc;
    this.#ns = ns;
    this.#root = `signalbox.${ns}.log`;
    this.#table = table;
  }

  /** The segments that are known. */
  get table(): SegmentTable {
    return this.#table;
  }

  /** Reads what the table of segments says by now. @param leader ask the stream's leader @throws ReadError, EventMalformed */
  async refresh(leader = false): Promise<SegmentTable> {
    for await (const message of super.read({ subject: segmentTableSubject(this.#ns), fromSeq: this.#table.last + 1, leader })) {
      this.#table.take(message);
    }
    return this.#table;
  }

  /** One segment's stream, with the stream's own sequences. */
  stream(segment: number): StreamReader {
    let reader = this.#later.get(segment);
    if (reader === undefined) this.#later.set(segment, (reader = new StreamReader(this.#nc, segmentStream(this.#ns, segment))));
    return reader;
  }

  /** Size and ends of every segment, by its number. @throws ReadError, EventMalformed */
  async infos(): Promise<Map<number, StreamState>> {
    const { segments } = await this.refresh();
    return new Map(await Promise.all(segments.map(async ({ segment }) => [segment, await (segment === 1 ? this.info() : this.stream(segment).info())] as const)));
  }

  override async lastOf(subject: string, segment?: number): Promise<StoredMessage | undefined> {
    const place = segment ?? this.#placeOf(subject);
    if (typeof place === "number") return this.#lastIn(place, subject);
    return (await this.#each(subject, place.known))?.last;
  }

  override async lastDirect(subject: string): Promise<StoredMessage | undefined> {
    const place = this.#placeOf(subject);
    if (place === 1) return super.lastDirect(subject);
    if (typeof place === "number") return placed(place, await this.stream(place).lastDirect(subject));
    for (const segment of place.known) {
      const last = await this.lastDirect(this.#in(segment, subject));
      if (last !== undefined) return last;
    }
    return undefined;
  }

  /** `fromSeq` and `untilSeq` are positions. */
  override async *read(range: SegmentedRange): AsyncGenerator<StoredMessage, void, undefined> {
    const place = range.segment ?? this.#placeOf(range.subject);
    if (place === 1) yield* super.read(range);
    else if (typeof place === "number") yield* this.#readIn(place, range);
    else if (place.wild) yield* this.#readAll(range);
    else yield* this.#readRun(range);
  }

  /** Where a subject is stored: a segment, or any of these. */
  #placeOf(subject: string): number | { readonly wild: boolean; readonly known: number[] } {
    if (subject.startsWith(`signalbox.${this.#ns}.segment.`)) return parseLog(subject)?.segment ?? 1;
    const [kind = "", ...rest] = subject.slice(this.#root.length + 1).split(".");
    if (!subject.startsWith(`${this.#root}.`) || (kind !== "run" && kind !== ">")) return 1;
    return { wild: kind === ">" || rest.some((token) => token === "*" || token === ">"), known: this.#table.segments.map(({ segment }) => segment) };
  }

  /** The same subject, or pattern, in another segment. */
  #in(segment: number, subject: string): string {
    if (segment === 1 || !subject.startsWith(`${this.#root}.`)) return subject;
    return `signalbox.${this.#ns}.segment.${segment}${subject.slice(this.#root.length)}`;
  }

  async *#readIn(segment: number, range: SegmentedRange): AsyncGenerator<StoredMessage, void, undefined> {
    const { fromSeq = 1, untilSeq = Number.POSITIVE_INFINITY } = range;
    if (segment < segmentOf(fromSeq) || (untilSeq !== Number.POSITIVE_INFINITY && segment > segmentOf(untilSeq))) return;
    const own: ReadRange = {
      ...range,
      subject: this.#in(segment, range.subject),
      fromSeq: segment === segmentOf(fromSeq) ? sequenceOf(fromSeq) : 1,
      untilSeq: untilSeq !== Number.POSITIVE_INFINITY && segment === segmentOf(untilSeq) ? sequenceOf(untilSeq) : Number.POSITIVE_INFINITY,
    };
    if (segment === 1) yield* super.read(own);
    else for await (const message of this.stream(segment).read(own)) yield placed(segment, message) as StoredMessage;
  }

  async *#readAll(range: SegmentedRange): AsyncGenerator<StoredMessage, void, undefined> {
    const { segments } = await this.refresh(range.leader);
    for (const { segment, sealed } of segments) {
      // what is not a run stands in the first segment, and changes as long as there is a journal
      if (range.open === true && sealed !== undefined && !(segment === 1 && range.subject === `${this.#root}.>`)) continue;
      yield* this.#readIn(segment, range);
    }
  }

  /** A run is in one segment: where it is found, nothing else is asked. */
  async *#readRun(range: SegmentedRange): AsyncGenerator<StoredMessage, void, undefined> {
    if (segmentOf(range.fromSeq ?? 1) > 1) return yield* this.#readIn(segmentOf(range.fromSeq ?? 1), range);
    // the first segment is asked before the table, which most journals have none of
    const asked = new Set<number>();
    for (let again = false; ; again = true) {
      if (again) await this.refresh(range.leader);
      for (const { segment } of this.#table.segments) {
        if (asked.has(segment)) continue;
        asked.add(segment);
        let found = false;
        for await (const message of this.#readIn(segment, range)) {
          found = true;
          yield message;
        }
        if (found) return;
      }
      if (again) return;
    }
  }

  async #lastIn(segment: number, subject: string): Promise<StoredMessage | undefined> {
    if (segment === 1) return super.lastOf(subject);
    return placed(segment, await this.stream(segment).lastOf(this.#in(segment, subject)));
  }

  /** The last message of a run in whichever of these segments has it. */
  async #each(subject: string, segments: readonly number[]): Promise<{ readonly last: StoredMessage } | undefined> {
    const found = await Promise.all(segments.map((segment) => this.#lastIn(segment, this.#in(segment, subject))));
    const last = found.findLast((one) => one !== undefined);
    return last && { last };
  }
}

function placed(segment: number, message: StoredMessage | undefined): StoredMessage | undefined {
  return message && (segment === 1 ? message : { ...message, seq: positionOf(segment, message.seq) });
}
