/**
 * The runs that a coordinator sweeps when it takes over, without reading the journal from its beginning: from the run
 * index of the data folder, and what the journal holds behind it. Where a reader keeps the index, hardly anything is
 * left to read; where none does, the coordinator looks for itself now and then.
 */
import type { Logger } from "pino";
import type { Namespace, RunId } from "../../schemas/ids.ts";
import { positionOf } from "../../schemas/segments.ts";
import { segmentOfSubject } from "../../schemas/subjects.ts";
import type { StreamReader } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { readLive, segmentFile, writeLive } from "../projection/live-file.ts";
import { LiveRuns, isPartOf } from "../projection/live-runs.ts";

export interface LiveRunIndexOptions {
  readonly journal: StreamReader;
  readonly ns: Namespace;
  /** The index of the data folder; nothing is kept without it. */
  readonly file?: string | undefined;
  readonly log: Logger;
}

/** How old the index gets where nobody else keeps it; */
const LOOK_EVERY_MS = 30_000;
/** but reading so many events takes half a second of processor time, and no more is spent on it beside the work itself. */
const READ_AT_A_LOOK = 20_000;

/** Of one segment of the journal. */
interface Part {
  live: LiveRuns;
  /** Position of the index as this process knows it. */
  kept: number;
}

export class LiveRunIndex {
  readonly #options: LiveRunIndexOptions;
  /** Segments in which something may still happen. */
  readonly #parts = new Map<number, Part>();
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LiveRunIndexOptions) {
    this.#options = options;
  }

  /** Runs that may owe something, as the journal stands when this is called. @throws ReadError */
  async runs(): Promise<RunId[]> {
    await this.#current();
    return [...this.#parts.values()].flatMap(({ live }) => [...live.names()]);
  }

  /** Position of a run's first event, for whoever reads it; undefined where nobody knows. */
  first(subject: string): number | undefined {
    return this.#parts.get(segmentOfSubject(subject))?.live.first(subject);
  }

  /** Keeps it near the journal's end from now on: whoever takes partitions over does not want to wait. */
  keep(): void {
    if (this.#options.file === undefined) return;
    this.#timer ??= setInterval(() => void this.look().catch(() => undefined), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Once more near the journal's end: by what somebody else keeps, else by reading a little. @throws ReadError */
  look(): Promise<void> {
    const look = async (segment: number, part: Part) => {
      const before = part.live.position;
      await this.#adopt(segment, part);
      if (part.live.position === before) await this.#read(segment, part, READ_AT_A_LOOK);
    };
    return this.#oneByOne(() => this.#each(look));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #current(): Promise<void> {
    const current = async (segment: number, part: Part) => {
      await this.#adopt(segment, part);
      await this.#read(segment, part);
    };
    return this.#oneByOne(() => this.#each(current));
  }

  /** What two would read, one reads. */
  #oneByOne(what: () => Promise<void>): Promise<void> {
    const done = this.#last.then(what);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Each segment in which something may still happen, one after the other. */
  async #each(what: (segment: number, part: Part) => Promise<void>): Promise<void> {
    const segments = await openSegments(this.#options.journal);
    for (const segment of this.#parts.keys()) if (!segments.includes(segment)) this.#parts.delete(segment);
    for (const segment of segments) {
      const part = this.#parts.get(segment) ?? { live: new LiveRuns(this.#options.ns, undefined, segment), kept: positionOf(segment, 0) };
      this.#parts.set(segment, part);
      await what(segment, part);
    }
  }

  #fileOf(segment: number): string | undefined {
    return this.#options.file === undefined ? undefined : segmentFile(this.#options.file, segment);
  }

  /** What the data folder holds, where that is newer and of this journal. */
  async #adopt(segment: number, part: Part): Promise<void> {
    const { journal, ns } = this.#options;
    const file = this.#fileOf(segment);
    // a journal that was put back from a copy goes on otherwise than what is known here
    if (!(await isPartOf(part.live.head, journal))) part.live = new LiveRuns(ns, undefined, segment);
    const snapshot = file === undefined ? undefined : readLive(file, ns);
    if (snapshot !== undefined && snapshot.position > part.live.position && (await isPartOf(snapshot, journal))) {
      part.live = new LiveRuns(ns, snapshot, segment);
      part.kept = snapshot.position;
    }
  }

  /** What the journal holds behind it. */
  async #read(segment: number, part: Part, most?: number): Promise<void> {
    const { journal, log } = this.#options;
    const file = this.#fileOf(segment);
    const from = part.live.position;
    await part.live.catchUp(journal, most);
    if (file === undefined || part.live.position === part.kept) return;
    log.debug({ segment, from, to: part.live.position, live: part.live.size }, "the run index was brought up to date");
    try {
      writeLive(file, part.live.snapshot());
      part.kept = part.live.position;
    } catch (error) {
      log.warn({ file, error: String(error) }, "the run index cannot be written, and is read from the journal at the next start");
    }
  }
}

/** All runs that may owe something, by the journal alone. @throws ReadError */
export async function liveRunsOf(journal: StreamReader, ns: Namespace): Promise<RunId[]> {
  const found: RunId[] = [];
  for (const segment of await openSegments(journal)) {
    const live = new LiveRuns(ns, undefined, segment);
    await live.catchUp(journal);
    found.push(...live.names());
  }
  return found;
}

/** Segments of which a run may owe something; a stream by itself is the first. @throws ReadError */
async function openSegments(journal: StreamReader): Promise<number[]> {
  if (!(journal instanceof SegmentedReader)) return [1];
  return (await journal.refresh(true)).segments.filter(({ sealed }) => sealed === undefined).map(({ segment }) => segment);
}
