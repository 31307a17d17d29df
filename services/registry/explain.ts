/** Turns what zod found into sentences a person can act on: what was expected, what stands there, and the nearest name. */
import { type z } from "zod";
import { type JsonValue } from "../../schemas/json.ts";
import { isObject } from "./kinds.ts";

export interface Finding {
  readonly path: readonly string[];
  readonly code: string;
  readonly message: string;
  readonly help?: string;
}

/** Every fault of a value against its schema; empty when there is none. */
export function findings(schema: z.ZodType, value: JsonValue, error: z.ZodError): Finding[] {
  return error.issues.flatMap((issue) => explain(schema, value, issue));
}

function explain(schema: z.ZodType, root: JsonValue, issue: z.core.$ZodIssue): Finding[] {
  const path = issue.path.map(String);
  const name = path.at(-1);
  const found = valueAt(root, path);
  if (found === undefined && name !== undefined && issue.code !== "unrecognized_keys") {
    return [{ path, code: "document.missing", message: `\`${name}\` is missing` }];
  }
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = keysAt(schema, path);
      return issue.keys.map((key) => ({
        path: [...path, key],
        code: "document.unknown_key",
        message: `unknown key \`${key}\``,
        help: nearest(key, known) ?? `known here: ${known.map((k) => `\`${k}\``).join(", ")}`,
      }));
    }
    case "invalid_type":
    case "invalid_union":
    case "invalid_value": {
      const wanted =
        issue.code === "invalid_value"
          ? `expected ${oneOf(issue.values.map(String))}`
          : issue.code === "invalid_type"
            ? `expected ${article(issue.expected)}`
            : plain(issue.message);
      const help = issue.code === "invalid_value" ? nearest(String(found), issue.values.map(String)) : quoteHelp(issue, found);
      return [{ path, code: "document.invalid", message: `${wanted}, found ${shown(issue, found)}`, ...(help === undefined ? {} : { help }) }];
    }
    case "too_small":
      return [{ path, code: "document.invalid", message: `expected ${measure(issue.origin)} of at least ${issue.minimum}` }];
    case "too_big":
      return [{ path, code: "document.invalid", message: `expected ${measure(issue.origin)} of at most ${issue.maximum}` }];
    case "invalid_key":
      return issue.issues.map((inner) => ({ path, code: "document.invalid", message: plain(inner.message) }));
    default:
      return [{ path, code: "document.invalid", message: plain(issue.message) }];
  }
}

/** The keys that a strict object at a path knows. */
function keysAt(schema: z.ZodType, path: readonly string[]): string[] {
  let at: z.core.$ZodType | undefined = schema;
  for (const segment of [...path, undefined]) {
    while (at !== undefined && "innerType" in at._zod.def) at = at._zod.def.innerType as z.core.$ZodType;
    const def = at?._zod.def as { shape?: Record<string, z.core.$ZodType>; element?: z.core.$ZodType } | undefined;
    if (segment === undefined) return Object.keys(def?.shape ?? {});
    at = def?.shape?.[segment] ?? def?.element;
  }
  return [];
}

function valueAt(root: JsonValue, path: readonly string[]): JsonValue | undefined {
  let at: JsonValue | undefined = root;
  for (const segment of path) {
    at = Array.isArray(at) ? at[Number(segment)] : isObject(at) && Object.hasOwn(at, segment) ? at[segment] : undefined;
  }
  return at;
}

function quoteHelp(issue: z.core.$ZodIssue, found: JsonValue | undefined): string | undefined {
  const wantsText = issue.code === "invalid_type" && issue.expected === "string";
  return wantsText && (typeof found === "number" || typeof found === "boolean") ? "write it in quotes" : undefined;
}

/** Where one of a few words was expected, the word that stands there says more than its type. */
function shown(issue: z.core.$ZodIssue, found: JsonValue | undefined): string {
  return issue.code === "invalid_value" && typeof found === "string" ? `\`${found.slice(0, 64)}\`` : typeName(found);
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isInteger(value) ? "a whole number" : "a number";
  return { string: "text", boolean: "true or false", object: "a map" }[typeof value as string] ?? typeof value;
}

function article(expected: string): string {
  const names: Record<string, string> = {
    string: "text",
    number: "a number",
    int: "a whole number",
    boolean: "`true` or `false`",
    array: "a list",
    object: "a map",
    record: "a map",
  };
  return names[expected] ?? expected;
}

function measure(origin: string): string {
  return { string: "a length", array: "a length", number: "a number", int: "a whole number" }[origin] ?? "a size";
}

function oneOf(values: readonly string[]): string {
  return `one of ${values.map((value) => `\`${value}\``).join(", ")}`;
}

function plain(message: string): string {
  return message.slice(0, 1).toLowerCase() + message.slice(1);
}

/** The known name that was probably meant: at most a third of it may differ. */
export function nearest(text: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of known) {
    const distance = editDistance(text.slice(0, 64), candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best !== undefined && least <= Math.max(1, Math.floor(best.length / 3)) ? `did you mean \`${best}\`` : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
