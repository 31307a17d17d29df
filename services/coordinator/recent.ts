/**
 * Which answers the last inputs of a run gave rise to. An answer is no debt of the folded state: whoever died between a
 * commit and its answers has left the input unacknowledged, and it comes again as a duplicate; then the agent is told.
 */
import { touched } from "../../machines/answers.ts";
import type { RunInput } from "../../machines/decide.ts";
import type { DueInput } from "../../schemas/inputs.ts";
import { type Computed, type Driven, type StoredCommit, inputOf } from "../replay/fold.ts";

export interface Told {
  /** Keys of proposals. */
  readonly keys: readonly string[];
  /** The run's life changed by somebody else's word. */
  readonly news: boolean;
}

/** More inputs of one run than ever wait for their acknowledgement, but in a flood of proposals; those are told by themselves. */
const KEPT = 64;

export class Recent {
  readonly #told: Map<string, Told>;

  /** @param entries of one that was put to rest */
  constructor(entries: ReadonlyMap<string, Told> = new Map()) {
    this.#told = new Map(entries);
  }

  /** Plain data, to be copied. */
  entries(): ReadonlyMap<string, Told> {
    return this.#told;
  }

  /** @param driven as the commit found it */
  note(driven: Driven, stored: StoredCommit, { change }: Computed): void {
    if (driven.kind !== "run" || change === undefined) return;
    const input = inputOf(stored);
    // a repeated proposal is answered whoever repeats it
    if (input.kind === "propose") return;
    const news = change.set.life !== undefined && change.set.life.value !== driven.state.life.value;
    const keys = touched(driven.state, change);
    if (!news && keys.length === 0) return;
    this.#told.set(keyOf(input), { keys, news });
    if (this.#told.size <= KEPT) return;
    for (const oldest of this.#told.keys()) {
      this.#told.delete(oldest);
      return;
    }
  }

  of(input: RunInput): Told | undefined {
    return this.#told.size === 0 ? undefined : this.#told.get(keyOf(input));
  }
}

function keyOf({ kind, actor, id, body }: RunInput): string {
  return `${kind}/${actor}/${id}${kind === "due" ? `/${(body as DueInput).armed}` : ""}`;
}
