/**
 * Marks of a run: a high-water line of what its agent was given (GUARD-3, GUARD-10). Untrusted output taints every
 * later proposal, whatever the agent says that it rests on; labels of data stay until a person takes them away.
 */
import type { OutputFacts } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { Label } from "../../schemas/label.ts";

/** The high-water line of what the run's agent was given (GUARD-3, GUARD-10). */
export interface Marks {
  readonly tainted: boolean;
  /** Sorted. */
  readonly labels: readonly Label[];
  /** Actions whose output left these marks, oldest first. */
  readonly sources: readonly ActionId[];
}

export const NO_MARKS: Marks = { tainted: false, labels: [], sources: [] };

/** What one verified output marks its run with. */
export type OutputMarks = NonNullable<OutputFacts["marks"]>;

/** The line after an output; the same object when the line does not move. */
export function raised(marks: Marks, action: ActionId, output: OutputMarks): Marks {
  if (!output.tainted && output.labels.length === 0) return marks;
  const labels = [...new Set([...marks.labels, ...output.labels])].sort();
  const sources = marks.sources.includes(action) ? marks.sources : [...marks.sources, action];
  return { tainted: marks.tainted || output.tainted, labels, sources };
}

/** Whether an event says so: one more source of what the run is marked with already says nothing new. */
export const isHigher = (before: Marks, after: Marks): boolean => before.tainted !== after.tainted || before.labels.length !== after.labels.length;

/**
 * The line without the taint and without these labels. Sources go with the last mark: while a label stays, nobody can
 * say any more which of them it came from.
 */
export function lowered(marks: Marks, labels: readonly Label[]): Marks {
  const left = marks.labels.filter((label) => !labels.includes(label));
  return left.length === 0 ? NO_MARKS : { tainted: false, labels: left, sources: marks.sources };
}
