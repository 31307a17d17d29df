/**
 * Whether a schema leaves no room for free text. Only output of such a shape may lower the marks of a run (GUARD-3):
 * whatever an attacker writes into it, an instruction does not fit.
 */
import { type JsonValue } from "../../schemas/json.ts";
import { type Finding } from "./explain.ts";
import { segments } from "./json-schema.ts";
import { isObject } from "./kinds.ts";

/** Characters of a text that is not one of a few known ones. Long enough for an id, too short to talk. */
export const MAX_CLOSED_TEXT = 64;
/** Formats that are shorter than that and hold no words. */
const CLOSED_FORMATS = new Set(["date", "time", "date-time", "duration", "uuid", "ipv4", "ipv6"]);
const MAX_CLOSED_ITEMS = 1000;

/** Every place where text of the sender's own choice would fit; empty when the schema is closed. */
export function openings(schema: JsonValue, path: readonly string[]): Finding[] {
  return walk(schema, schema, path, ["#"]);
}

function walk(root: JsonValue, schema: JsonValue | undefined, path: readonly string[], refs: readonly string[]): Finding[] {
  if (schema === false) return [];
  if (!isObject(schema)) return [open(path, "anything fits here", "say what it is: `type`, `enum` or `const`")];
  if ("const" in schema || Array.isArray(schema["enum"])) return [];
  const ref = schema["$ref"];
  if (typeof ref === "string") {
    // what holds itself has no end, and no end is long enough for anything
    if (refs.includes(ref)) return [open(path, "it holds itself without end")];
    return walk(root, resolve(root, ref), path, [...refs, ref]);
  }
  for (const word of ["anyOf", "oneOf"] as const) {
    const branches = schema[word];
    if (Array.isArray(branches)) return branches.flatMap((branch, i) => walk(root, branch, [...path, word, String(i)], refs));
  }
  // one closed part of a conjunction closes the whole
  const all = schema["allOf"];
  if (Array.isArray(all) && all.some((part) => walk(root, part, path, refs).length === 0)) return [];
  const types = [schema["type"]].flat();
  if (types[0] === undefined) return [open(path, "anything fits here", "say what it is: `type`, `enum` or `const`")];
  return types.flatMap((type) => ofType(root, schema, String(type), path, refs));
}

function ofType(root: JsonValue, schema: { [key: string]: JsonValue }, type: string, path: readonly string[], refs: readonly string[]): Finding[] {
  switch (type) {
    case "object": {
      const found: Finding[] = [];
      const additional = schema["additionalProperties"] ?? schema["unevaluatedProperties"];
      // names are text too: an object of any names says whatever they say
      if (additional !== false) found.push(open([...path, "additionalProperties"], "other properties fit here", "write `additionalProperties: false`"));
      if (isObject(schema["patternProperties"])) found.push(open([...path, "patternProperties"], "names of properties are text of the sender's choice", "name the properties"));
      const properties = isObject(schema["properties"]) ? schema["properties"] : {};
      return [...found, ...Object.entries(properties).flatMap(([name, part]) => walk(root, part, [...path, "properties", name], refs))];
    }
    case "array": {
      const prefix = schema["prefixItems"];
      const items = schema["items"];
      const parts = Array.isArray(prefix) ? prefix.flatMap((part, i) => walk(root, part, [...path, "prefixItems", String(i)], refs)) : [];
      const bounded = items === false || Number(schema["maxItems"]) <= MAX_CLOSED_ITEMS;
      return [
        ...parts,
        ...(items === false ? [] : walk(root, items ?? true, [...path, "items"], refs)),
        ...(bounded ? [] : [open([...path, "maxItems"], "the list has no end", `write \`maxItems\` of at most ${MAX_CLOSED_ITEMS}`)]),
      ];
    }
    case "string": {
      const format = schema["format"];
      const short = Number(schema["maxLength"]) <= MAX_CLOSED_TEXT;
      if (typeof format === "string" && CLOSED_FORMATS.has(format)) return [];
      if (short && typeof schema["pattern"] === "string") return wordy(schema["pattern"]) ? [open([...path, "pattern"], "the pattern lets words through", "leave white space out of it, and anchor it with `^` and `$`")] : [];
      return [open(path, "free text fits here", `write \`enum\`, a \`format\` as \`date\`, or a \`pattern\` with \`maxLength\` of at most ${MAX_CLOSED_TEXT}`)];
    }
    default:
      return [];
  }
}

/** A pattern that is not anchored, or that takes any character or white space, bounds nothing. */
function wordy(pattern: string): boolean {
  if (!pattern.startsWith("^") || !pattern.endsWith("$") || pattern.includes("|")) return true;
  const escapes = pattern.replace(/\\\\/g, "");
  return /(^|[^\\])\.|\\[sSWDpP]|\[\^| |\\[tnrvf]|\\x|\\u/.test(escapes);
}

function resolve(root: JsonValue, ref: string): JsonValue | undefined {
  let at: JsonValue | undefined = root;
  for (const segment of segments(ref.slice(1))) at = isObject(at) ? at[segment] : Array.isArray(at) ? at[Number(segment)] : undefined;
  return at;
}

function open(path: readonly string[], what: string, help?: string): Finding {
  return { path, code: "tool.not_closed", message: `a tool that cleanses has a closed output, and ${what}`, ...(help !== undefined && { help }) };
}
