/**
 * Looks after the segments of a journal: has the next one opened when the newest holds as many runs as it should, and an
 * old one sealed when nothing can happen to its runs any more. It decides neither: it sends signals to the table of
 * segments, and whoever sends the same a second time changes nothing.
 */
import type { Logger } from "pino";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import type { SegmentsSignal } from "../../schemas/inputs.ts";
import { RunHashes, type RunListDocument } from "../../schemas/run-list.ts";
import { positionOf, SEGMENT_TABLE, segmentStream } from "../../schemas/segments.ts";
import { aggregateToken, parseLog, patterns, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../bus/connection.ts";
import type { Documents } from "../bus/documents.ts";
import type { Publisher } from "../bus/publisher.ts";
import { apiRequest } from "../bus/replies.ts";
import type { Segment } from "../bus/segment-table.ts";
import type { SegmentedReader } from "../bus/segmented.ts";
import { LiveRuns } from "../projection/live-runs.ts";
import type { Placement } from "./placement.ts";

export interface KeeperSettings {
  /** Subjects in the newest segment at which the next is opened: the server keeps about 1 KB of memory for each. */
  readonly maxRuns?: number;
  /** How long after the last run has started in a segment it may be sealed, ms. */
  readonly sealAfterMs?: number;
  readonly everyMs?: number;
}

export interface KeeperOptions extends KeeperSettings {
  readonly nc: NatsConnection;
  readonly ns: Namespace;
  readonly journal: SegmentedReader;
  readonly placement: Placement;
  readonly documents: Documents;
  readonly publisher: Publisher;
  /** Whether the table's inputs come to this coordinator: one of several looks, and the others need not. */
  readonly owns: () => boolean;
  readonly log: Logger;
}

/** Where the server begins to need much memory for subjects, with room. */
export const MAX_RUNS = 500_000;
const EVERY_MS = 60_000;
/** Longer than any connection outlives a process that stopped: what such a one had decided is not stored any more. */
const SEAL_AFTER_MS = 3_600_000;
const INFO_MS = 5000;

export const TABLE_TOKEN = aggregateToken(SEGMENT_TABLE.kind, SEGMENT_TABLE.name);

/** A segment in which no run starts any more, as far as it was read. */
interface Closing {
  readonly live: LiveRuns;
  readonly runs: RunHashes;
  position: number;
}

export class SegmentKeeper {
  readonly #options: KeeperOptions;
  readonly #closing = new Map<number, Closing>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#options.everyMs ?? EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** One round, and no second one at the same time. Never throws: what fails is tried in the next. */
  look(): Promise<void> {
    if (this.#stopped || !this.#options.owns()) return Promise.resolve();
    this.#looking ??= this.#look()
      .catch((error: unknown) => this.#options.log.warn({ error: String(error) }, "the journal's segments cannot be looked after"))
      .finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { placement } = this.#options;
    await placement.refresh();
    const { segments } = placement.table;
    await this.#openNext(segments.at(-1) as Segment);
    for (const segment of segments) if (segment.sealed === undefined && !this.#stopped) await this.#sealIfOver(segment);
  }

  async #openNext({ segment }: Segment): Promise<void> {
    const { nc, ns, placement, maxRuns = MAX_RUNS, log } = this.#options;
    const { state } = (await apiRequest(nc, `STREAM.INFO.${segmentStream(ns, segment)}`, undefined, INFO_MS)) as unknown as StreamAnswer;
    if (state.num_subjects < maxRuns) return;
    const next = segment + 1;
    if (next > placement.streams) {
      log.error({ alarm: "segments", segment, runs: state.num_subjects }, "the journal's newest segment is full, and the next cannot be opened: it has no stream yet (start the plane again, or provision it), or a coordinator of an older release runs");
      return;
    }
    await this.#say({ name: "open", id: `open-${next}`, segment: next });
  }

  /** Reads what is new in it; when every run has come to its end, the table is told. */
  async #sealIfOver(segment: Segment): Promise<void> {
    const { journal, ns, documents, log } = this.#options;
    if (!(await this.#isOver(segment))) return;
    const number = segment.segment;
    let closing = this.#closing.get(number);
    if (closing === undefined) this.#closing.set(number, (closing = { live: new LiveRuns(ns, undefined, number), runs: new RunHashes(), position: positionOf(number, 0) }));
    const subject = patterns.logOfKind(ns, "run", number);
    const last = (await journal.lastOf(subject, number))?.seq ?? 0;
    const range = { subject, segment: number, fromSeq: closing.position + 1, pageSize: 2000 };
    for await (const message of journal.read(range)) {
      if (this.#stopped) return;
      closing.position = message.seq;
      closing.live.take(message);
      const name = message.headers.get("ce-id")?.endsWith(":1") === true ? parseLog(message.subject)?.name : undefined;
      if (name !== undefined) closing.runs.push(name);
    }
    // a copy of the stream may lag behind its leader
    if (closing.live.size > 0 || closing.position < last) return;
    const parts: Digest[] = [];
    for (const part of closing.runs.parts()) parts.push(await documents.put(part, "application/octet-stream"));
    const list: RunListDocument = { v: 1, kind: "run-list", segment: number, runs: closing.runs.size, parts };
    const index = await documents.put(Buffer.from(JSON.stringify(list)), "application/json");
    await this.#say({ name: "seal", id: `seal-${number}`, segment: number, runs: closing.runs.size, index });
    log.info({ segment: number, runs: closing.runs.size, index }, "a segment of the journal is over");
    this.#closing.delete(number);
  }

  /** No start that belongs into the segment waits to be decided, and none will come: by the server's clock alone. */
  async #isOver({ segment }: Segment): Promise<boolean> {
    const { nc, ns, placement, sealAfterMs = SEAL_AFTER_MS } = this.#options;
    const end = placement.table.endOf(segment);
    if (end === undefined) return false;
    for (const kind of ["INBOX", "CONTROL"] as const) {
      const { ts, state } = (await apiRequest(nc, `STREAM.INFO.${streamName(kind, ns)}`, undefined, INFO_MS)) as unknown as StreamAnswer;
      if (Date.parse(ts) < end + sealAfterMs) return false;
      if (state.messages > 0 && Date.parse(state.first_ts) < end) return false;
    }
    return true;
  }

  async #say(signal: SegmentsSignal): Promise<void> {
    const { ns, publisher } = this.#options;
    await publisher.publish(subjects.signal(ns, TABLE_TOKEN, TABLE_TOKEN, signal.name), Buffer.from(JSON.stringify(signal)), { "content-type": "application/json" });
  }
}

interface StreamAnswer {
  /** The server's time. */
  readonly ts: string;
  readonly state: { readonly messages: number; readonly num_subjects: number; readonly first_ts: string };
}
