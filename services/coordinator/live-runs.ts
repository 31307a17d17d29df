/**
 * The runs that a coordinator sweeps when it takes over, without reading the journal from its beginning: from the run
 * index of the data folder, and what the journal holds behind it. Where a reader keeps the index, hardly anything is
 * left to read; where none does, the coordinator looks for itself now and then.
 */
import type { Logger } from "pino";
import type { Namespace, RunId } from "../../schemas/ids.ts";
import type { StreamReader } from "../bus/journal.ts";
import { readLive, writeLive } from "../projection/live-file.ts";
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

export class LiveRunIndex {
  readonly #options: LiveRunIndexOptions;
  #live: LiveRuns;
  /** Position of the index as this process knows it. */
  #kept = 0;
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LiveRunIndexOptions) {
    this.#options = options;
    this.#live = new LiveRuns(options.ns);
  }

  /** Runs that may owe something, as the journal stands when this is called. @throws ReadError */
  async runs(): Promise<RunId[]> {
    await this.#current();
    return [...this.#live.names()];
  }

  /** Stream sequence of a run's first event, for whoever reads it; undefined where nobody knows. */
  first(subject: string): number | undefined {
    return this.#live.first(subject);
  }

  /** Keeps it near the journal's end from now on: whoever takes partitions over does not want to wait. */
  keep(): void {
    if (this.#options.file === undefined) return;
    this.#timer ??= setInterval(() => void this.look().catch(() => undefined), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Once more near the journal's end: by what somebody else keeps, else by reading a little. @throws ReadError */
  look(): Promise<void> {
    return this.#oneByOne(async () => {
      const before = this.#live.position;
      await this.#adopt();
      if (this.#live.position === before) await this.#read(READ_AT_A_LOOK);
    });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #current(): Promise<void> {
    return this.#oneByOne(async () => {
      await this.#adopt();
      await this.#read();
    });
  }

  /** What two would read, one reads. */
  #oneByOne(what: () => Promise<void>): Promise<void> {
    const done = this.#last.then(what);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** What the data folder holds, where that is newer and of this journal. */
  async #adopt(): Promise<void> {
    const { journal, ns, file } = this.#options;
    // a journal that was put back from a copy goes on otherwise than what is known here
    if (!(await isPartOf(this.#live.head, journal))) this.#live = new LiveRuns(ns);
    const snapshot = file === undefined ? undefined : readLive(file, ns);
    if (snapshot !== undefined && snapshot.position > this.#live.position && (await isPartOf(snapshot, journal))) {
      this.#live = new LiveRuns(ns, snapshot);
      this.#kept = snapshot.position;
    }
  }

  /** What the journal holds behind it. */
  async #read(most?: number): Promise<void> {
    const { journal, file, log } = this.#options;
    const from = this.#live.position;
    await this.#live.catchUp(journal, most);
    if (file === undefined || this.#live.position === this.#kept) return;
    log.debug({ from, to: this.#live.position, live: this.#live.size }, "the run index was brought up to date");
    try {
      writeLive(file, this.#live.snapshot());
      this.#kept = this.#live.position;
    } catch (error) {
      log.warn({ file, error: String(error) }, "the run index cannot be written, and is read from the journal at the next start");
    }
  }
}

/** All runs that may owe something, by the journal alone. @throws ReadError */
export function liveRunsOf(journal: StreamReader, ns: Namespace): Promise<RunId[]> {
  const live = new LiveRuns(ns);
  return live.catchUp(journal).then(() => [...live.names()]);
}
