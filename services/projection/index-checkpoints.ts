/** Of the run index: how far each segment of the journal was taken; positions as in `schemas/segments.ts`. */
import type { StatementSync } from "node:sqlite";
import { positionOf, segmentOf, SEGMENTS } from "../../schemas/segments.ts";

const keyOf = (segment: number) => (segment === 1 ? "checkpoint" : `checkpoint_${segment}`);

export class Checkpoints {
  /** A segment of which nothing is known has none. */
  readonly #last = new Map<number, number>();

  /** @param meta of the index */
  constructor(meta: (key: string) => string | undefined) {
    for (const segment of SEGMENTS) {
      const known = meta(keyOf(segment));
      if (known !== undefined) this.#last.set(segment, Number(known));
    }
  }

  of(segment: number): number {
    return this.#last.get(segment) ?? positionOf(segment, 0);
  }

  get segments(): number[] {
    return [...this.#last.keys()];
  }

  /** Within the batch's transaction. */
  write(put: StatementSync, last: number): void {
    put.run(keyOf(segmentOf(last)), String(last));
  }

  /** After the transaction. */
  reached(last: number): void {
    this.#last.set(segmentOf(last), last);
  }

  clear(): void {
    this.#last.clear();
  }
}
