/** Brings aggregates into memory, a bounded number at once: more would only stand in the server's queue, in the way of urgent ones. */
import type { Logger } from "pino";
import type { Namespace, RunId } from "../../schemas/ids.ts";
import { ReadError, type StreamReader } from "../bus/journal.ts";
import { type Loaded, type Machines, loadAggregate } from "./aggregates.ts";
import { type GroupCommitter, Stopped } from "./committer.ts";
import type { Lane } from "./lanes.ts";
import { pause } from "./pause.ts";
import type { Placement } from "./placement.ts";

const AT_ONCE = 128;
const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;

export interface LoaderParts {
  readonly journal: StreamReader;
  readonly committer: GroupCommitter;
  readonly ns: Namespace;
  readonly log: Logger;
  /** Position at which a subject begins, where it is known. */
  readonly first?: (subject: string) => number | undefined;
  readonly machines?: Machines;
  /** In which segment of the journal a run is; the first without it. */
  readonly placement?: Placement;
}

export class Loader {
  readonly #parts: LoaderParts;
  readonly #committer: GroupCommitter;
  readonly #log: Logger;
  readonly #waiting = new Map<Lane, () => void>();
  #open = 0;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
    this.#committer = parts.committer;
    this.#log = parts.log;
  }

  /**
   * The aggregate as the journal has it, a torn commit completed; or why nothing of it may be decided.
   * Waits as long as the journal cannot be read. @throws Stopped
   */
  async load(lane: Lane): Promise<Loaded | Error> {
    if (this.#open >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.set(lane, resolve));
    this.#open += 1;
    try {
      return await this.#read(lane);
    } finally {
      this.#open -= 1;
      this.#next();
    }
  }

  async #read(lane: Lane): Promise<Loaded | Error> {
    const { journal, ns, first, machines, placement } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      if (this.#committer.stopped) throw new Stopped();
      try {
        const place = lane.kind === "run" ? await placement?.locate(lane.name as RunId, lane.queue()?.[0]?.input.time) : undefined;
        const { loaded, rest } = await loadAggregate(journal, ns, lane.kind, lane.name, { ...place, first, machines });
        if (rest === undefined) return loaded;
        const [landing] = await this.#committer.append([rest]);
        if (landing?.kind === "stored") {
          loaded.streamSeq = landing.last;
          return loaded;
        }
        this.#log.warn({ aggregate: lane.token, landing }, "the rest of a torn commit was not stored");
      } catch (error) {
        if (error instanceof Stopped) throw error;
        const { message } = error as Error;
        if (!(error instanceof ReadError)) {
          // what asking again does not change waits for a person, or for a release that can fold it
          this.#log.error({ alarm: "frozen", aggregate: lane.token, why: message }, "an aggregate is frozen");
          return error as Error;
        }
        this.#log.warn({ aggregate: lane.token, error: message }, "the journal cannot be read");
      }
      await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
    }
  }

  /** An approval, a cancel or a report does not wait behind proposals. */
  #next(): void {
    let chosen: Lane | undefined;
    for (const lane of this.#waiting.keys()) {
      chosen ??= lane;
      if (lane.control.length === 0) continue;
      chosen = lane;
      break;
    }
    if (chosen === undefined) return;
    const go = this.#waiting.get(chosen);
    this.#waiting.delete(chosen);
    go?.();
  }
}
