/**
 * What an agent is marked with when it is given an output (GUARD-3, GUARD-10): by what the tool's definition says of
 * it, and by what the scanner found. The definition alone decides on trust; the scanner can only add.
 */
import type { OutputFacts } from "../../../schemas/facts.ts";
import { fieldSegments } from "../../../schemas/field.ts";
import type { Scan } from "../../../schemas/inputs.ts";
import type { JsonValue } from "../../../schemas/json.ts";
import type { Label } from "../../../schemas/label.ts";
import type { Tool } from "../../../schemas/tool.ts";

export type Marks = NonNullable<OutputFacts["marks"]>;

/**
 * @param output as it was recorded: a large one is a reference, and then has every label that its tool declares
 * @param scan as it was reported; instructions to the model in an output taint, whoever it comes from
 */
export function marksOf(tool: Tool, output: JsonValue | undefined, scan: Scan | undefined): Marks {
  const labels = new Set<Label>();
  for (const { label, path } of tool.labels ?? []) {
    if (path === undefined || isReference(output) || holds(output, fieldSegments(path), 0)) labels.add(label);
  }
  let instructed = false;
  for (const { kind, label } of scan?.findings ?? []) {
    if (label !== undefined) labels.add(label);
    instructed ||= kind === "instructions";
  }
  const cleanses = tool.cleanses === true && !instructed;
  return { tainted: instructed || !(tool.trusted === true || cleanses), labels: [...labels].sort(), cleanses };
}

function isReference(output: JsonValue | undefined): boolean {
  return typeof output === "object" && output !== null && !Array.isArray(output) && typeof output["$doc"] === "string";
}

/** Whether anything but null stands where the pattern points; `*` is every item or member. */
function holds(value: JsonValue | undefined, segments: readonly string[], from: number): boolean {
  const segment = segments[from];
  if (segment === undefined) return value !== undefined && value !== null;
  if (typeof value !== "object" || value === null) return false;
  if (segment === "*") return Object.values(value).some((item: JsonValue) => holds(item, segments, from + 1));
  return Object.hasOwn(value, segment) && holds((value as { [key: string]: JsonValue })[segment], segments, from + 1);
}
