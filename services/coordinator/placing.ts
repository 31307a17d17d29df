/** What turns ask of where runs are stored: in which segment of the journal a run starts, and what the table of segments is decided by: `placement.ts`. */
import type { SegmentsFacts } from "../../schemas/facts.ts";
import type { Namespace } from "../../schemas/ids.ts";

export interface Placing {
  /** @throws Needs */
  place(run: { readonly ns: Namespace; readonly name: string; segment?: number; subject: string; readonly looked?: number }, time: string): void;
  /** @throws Needs */
  facts(arrival: { readonly input: { readonly time: string }; looked?: boolean }): SegmentsFacts;
  /** Reads the table, unless it is known well enough for an input of this time. @throws ReadError */
  ensure(time: string): Promise<void>;
  refresh(time: string): Promise<void>;
}
