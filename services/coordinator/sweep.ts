/**
 * Taking over: every run of a share that may owe something is loaded, and what it owes is paid again (law 3). A bounded
 * number at once, so that a namespace with many live runs is neither read nor held in memory all at the same time.
 */
import type { Logger } from "pino";
import type { RunId } from "../../schemas/ids.ts";
import { aggregateToken, shareOf } from "../../schemas/subjects.ts";
import type { Lanes } from "./lanes.ts";
import { pause } from "./pause.ts";

const AT_ONCE = 256;
const RETRY_MS = 250;
const MAX_RETRY_MS = 5000;

export class Sweeper {
  readonly #lanes: Lanes;
  readonly #liveRuns: () => Promise<Iterable<RunId>>;
  readonly #wake: () => void;
  readonly #log: Logger;
  /** Shares that were taken and are not swept to their end. */
  readonly #due = new Set<number>();
  /** A sweep that begins ends the one before it: it covers the same runs, and more. */
  #round = 0;

  constructor(lanes: Lanes, liveRuns: () => Promise<Iterable<RunId>>, wake: () => void, log: Logger) {
    this.#lanes = lanes;
    this.#liveRuns = liveRuns;
    this.#wake = wake;
    this.#log = log;
  }

  stop(): void {
    this.#round = Number.POSITIVE_INFINITY;
  }

  /** The share is another one's now. */
  drop(share: number): void {
    this.#due.delete(share);
  }

  /** Resolves when the last run of these shares has been taken in hand. */
  async sweep(shares: Iterable<number>): Promise<void> {
    // one that is stopped while it comes back to its server begins nothing
    if (this.#round === Number.POSITIVE_INFINITY) return;
    const round = ++this.#round;
    for (const share of shares) this.#due.add(share);
    let open = 0;
    let room: () => void = () => undefined;
    for (const token of await this.#tokens(round)) {
      if (open >= AT_ONCE) await new Promise<void>((resolve) => (room = resolve));
      if (round !== this.#round) return;
      if (!this.#due.has(shareOf(token))) continue;
      open += 1;
      this.#lanes.sweep(token, () => {
        open -= 1;
        room();
      });
      this.#wake();
    }
    if (round === this.#round) this.#due.clear();
  }

  async #tokens(round: number): Promise<Set<string>> {
    for (let attempt = 1; round === this.#round; attempt++) {
      try {
        const tokens = new Set<string>();
        // what is in memory may owe what an index has not heard of yet
        for (const lane of this.#lanes.loaded()) if (lane.kind === "run" && this.#due.has(lane.share)) tokens.add(lane.token);
        for (const run of await this.#liveRuns()) {
          const token = aggregateToken("run", run);
          if (this.#due.has(shareOf(token))) tokens.add(token);
        }
        return tokens;
      } catch (error) {
        this.#log.error({ error: String(error) }, "what is owed could not be swept, and is tried again");
        await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
      }
    }
    return new Set();
  }
}
