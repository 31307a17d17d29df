/** What an approver changed in an input, field by field. */
import { canonicalText } from "../../schemas/canonical.ts";
import type { Difference } from "../../schemas/event.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { pointer } from "../../schemas/reason.ts";

type Members = Record<string, JsonValue>;
const isMembers = (value: JsonValue): value is Members => typeof value === "object" && value !== null && !Array.isArray(value);

/** In order of the paths as they stand: members by name, items by place. Empty when both are the same. */
export function differences(before: JsonValue, after: JsonValue, path: readonly string[] = []): Difference[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, index) =>
      side(before[index], after[index], [...path, String(index)]),
    ).flat();
  }
  if (isMembers(before) && isMembers(after)) {
    const own = (value: Members, name: string) => (Object.hasOwn(value, name) ? value[name] : undefined);
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) => side(own(before, name), own(after, name), [...path, name]));
  }
  return canonicalText(before) === canonicalText(after) ? [] : [{ path: pointer(path), before, after }];
}

function side(before: JsonValue | undefined, after: JsonValue | undefined, path: readonly string[]): Difference[] {
  if (before === undefined && after === undefined) return [];
  if (before === undefined) return [{ path: pointer(path), after: after as JsonValue }];
  if (after === undefined) return [{ path: pointer(path), before }];
  return differences(before, after, path);
}
