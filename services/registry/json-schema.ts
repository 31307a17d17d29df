/**
 * JSON Schemas of tools (draft 2020-12), compiled with ajv in strict mode and checked here for what strict mode
 * does not see: what reaches outside of the document, and what an agent's input could make expensive.
 *
 * - `$ref` stays inside the schema; `$id`, `$dynamicRef` and their like are refused, so nothing is ever fetched
 * - `pattern` runs on a linear-time matcher (see `pattern.ts`), and what that cannot match is refused
 * - `uniqueItems` compares every pair, so it needs a `maxItems`
 */
import { createRequire } from "node:module";
import { type Format, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { type JsonValue } from "../../schemas/json.ts";
import { type Finding, nearest } from "./explain.ts";
import { isObject } from "./kinds.ts";
import { compilePattern, PatternError } from "./pattern.ts";

export const SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema";
const packageOf = createRequire(import.meta.url)("ajv/package.json") as { version: string };
/** Recorded beside its verdicts (law 2). */
export const SCHEMA_ENGINE = `ajv ${packageOf.version}`;
/** Pairs of items that `uniqueItems` may compare grow with the square of this. */
const MAX_UNIQUE_ITEMS = 1000;
/** UTF-16 code units of a text that is checked for a format. */
const MAX_FORMAT_TEXT = 4096;

const ONE = new Set("additionalProperties items contains not if then else propertyNames unevaluatedItems unevaluatedProperties contentSchema".split(" "));
const MANY = new Set("properties patternProperties dependentSchemas $defs definitions".split(" "));
const LIST = new Set("allOf anyOf oneOf prefixItems".split(" "));
const PLAIN = new Set(
  ("type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems " +
    "uniqueItems maxContains minContains maxProperties minProperties required dependentRequired format title description default " +
    "deprecated readOnly writeOnly examples contentEncoding contentMediaType $ref $anchor $comment $schema").split(" "),
);
const REFUSED: Record<string, string> = {
  $id: "a tool's schema has no address of its own",
  $dynamicRef: "use `$ref` to a part of this schema",
  $dynamicAnchor: "use `$defs` and `$ref`",
  $recursiveRef: "use `$ref` to a part of this schema",
  $vocabulary: "the vocabulary is that of draft 2020-12",
};
const KEYWORDS = [...ONE, ...MANY, ...LIST, ...PLAIN];

/** Every fault of a schema, with paths below `path`. Compiles it to find them. */
export function schemaFindings(schema: JsonValue, path: readonly string[]): Finding[] {
  const found: Finding[] = [];
  walk(schema, schema, path, found);
  if (found.length > 0 || !isObject(schema)) return found;
  const meta = metaAjv();
  if (meta.validateSchema(schema) !== true) {
    for (const error of meta.errors ?? []) {
      const at = [...path, ...segments(error.instancePath)];
      found.push(fault(at, `not a schema: \`${at.at(-1) ?? ""}\` ${error.message ?? "is wrong"}`));
    }
    return unique(found);
  }
  try {
    newAjv(false).compile(schema);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const at = /at "[^#"]*#([^"]*)"/.exec(message)?.[1] ?? "";
    found.push(fault([...path, ...segments(decodeURIComponent(at))], message.replace(/^strict mode: /, "").replace(/(?: ignored in schema)? at (?:path )?"[^"]*"/, "")));
  }
  return found;
}

/**
 * A compiled check of values.
 * @throws Error when the schema has faults; ask {@link schemaFindings} first
 */
export function compileSchema(schema: JsonValue): ValidateFunction {
  // an instance each: ajv keeps what it compiled, and dropping the instance drops it.
  // The schema was checked against its metaschema when it was applied; compiling that again costs 20 ms a tool
  return newAjv(false).compile(schema as object);
}

/** Compiled once: the metaschema is the same for every schema, and costs 20 ms. It keeps nothing of what it checks. */
let metaSchemas: Ajv2020 | undefined;
function metaAjv(): Ajv2020 {
  return (metaSchemas ??= newAjv());
}

let knownFormats: readonly string[] | undefined;
function formats(): readonly string[] {
  return (knownFormats ??= Object.keys(newAjv(false).formats));
}

function newAjv(validateSchema = true): Ajv2020 {
  const ajv = new Ajv2020({
    strict: true,
    validateSchema,
    // `anyOf: [{ required: [a] }, { required: [b] }]` and `type: [string, "null"]` are good schemas
    strictRequired: false,
    allowUnionTypes: true,
    allErrors: true,
    // errors then carry the schema they come from, for names that were probably meant
    verbose: true,
    // an input is judged as it came: never filled in, converted or trimmed
    useDefaults: false,
    coerceTypes: false,
    removeAdditional: false,
    addUsedSchema: false,
    // 19.99 is a multiple of 0.01, though not in binary fractions
    multipleOfPrecision: 6,
    logger: false,
    meta: true,
    code: { regExp: Object.assign((source: string) => compilePattern(source), { code: "compilePattern" }) as never },
  });
  (ajvFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  for (const [name, format] of Object.entries(ajv.formats)) if (format !== undefined) ajv.formats[name] = short(format as Format) as typeof format;
  return ajv;
}

/** The same format, on text short enough that even its slowest expression is quick. */
function short(format: Format): Format {
  if (typeof format === "object" && !(format instanceof RegExp) && typeof format.validate !== "string") {
    const inner = format.validate;
    if (format.type === "number") return format;
    const check = typeof inner === "function" ? (inner as (text: string) => boolean) : (text: string) => (inner as RegExp).test(text);
    return { ...format, type: "string", async: false, validate: (text: string) => text.length <= MAX_FORMAT_TEXT && check(text) } as Format;
  }
  if (format instanceof RegExp) return (text: string) => text.length <= MAX_FORMAT_TEXT && format.test(text);
  if (typeof format === "function") return (text: string) => text.length <= MAX_FORMAT_TEXT && format(text) === true;
  return format;
}

function walk(root: JsonValue, schema: JsonValue, path: readonly string[], found: Finding[]): void {
  if (typeof schema === "boolean") return;
  if (!isObject(schema)) {
    found.push(fault(path, "a schema is a map, `true` or `false`"));
    return;
  }
  for (const [keyword, value] of Object.entries(schema)) {
    const at = [...path, keyword];
    const refused = REFUSED[keyword];
    if (refused !== undefined) found.push(fault(at, `\`${keyword}\` is not supported`, refused));
    else if (ONE.has(keyword)) walk(root, value, at, found);
    else if (LIST.has(keyword) && Array.isArray(value)) value.forEach((item, i) => walk(root, item, [...at, String(i)], found));
    else if (MANY.has(keyword) && isObject(value)) {
      for (const [name, item] of Object.entries(value)) {
        if (keyword === "patternProperties") checkPattern(name, [...at, name], found);
        walk(root, item, [...at, name], found);
      }
    } else if (!PLAIN.has(keyword) && !LIST.has(keyword) && !MANY.has(keyword)) {
      found.push(fault(at, `unknown keyword \`${keyword}\``, nearest(keyword, KEYWORDS)));
    }
  }
  checkKeywords(schema, path, found);
  checkReference(root, schema, path, found);
}

function checkKeywords(schema: { [key: string]: JsonValue }, path: readonly string[], found: Finding[]): void {
  if (typeof schema["pattern"] === "string") checkPattern(schema["pattern"], [...path, "pattern"], found);
  const format = schema["format"];
  if (typeof format === "string" && !formats().includes(format)) {
    found.push(fault([...path, "format"], `unknown format \`${format}\``, nearest(format, formats())));
  }
  if (schema["uniqueItems"] === true && !(Number(schema["maxItems"]) <= MAX_UNIQUE_ITEMS)) {
    const help = `add \`maxItems\` of at most ${MAX_UNIQUE_ITEMS}`;
    found.push(fault([...path, "uniqueItems"], "`uniqueItems` compares every pair and needs a bound", help));
  }
}

function checkPattern(source: string, at: readonly string[], found: Finding[]): void {
  try {
    compilePattern(source);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    found.push(fault(at, error.message));
  }
}

function checkReference(root: JsonValue, schema: { [key: string]: JsonValue }, path: readonly string[], found: Finding[]): void {
  const dialect = schema["$schema"];
  if (dialect !== undefined && dialect !== SCHEMA_DIALECT) {
    found.push(fault([...path, "$schema"], "only JSON Schema draft 2020-12 is read", `write \`${SCHEMA_DIALECT}\`, or leave it out`));
  }
  const ref = schema["$ref"];
  if (typeof ref !== "string") return;
  if (!ref.startsWith("#")) {
    found.push(fault([...path, "$ref"], `\`$ref\` to \`${ref}\` leaves the schema`, "copy it into `$defs`"));
  } else if ((ref === "#" || ref.startsWith("#/")) && !resolves(root, ref)) {
    found.push(fault([...path, "$ref"], `\`$ref\` to \`${ref}\` finds nothing`));
  }
}

function resolves(root: JsonValue, ref: string): boolean {
  let at: JsonValue | undefined = root;
  for (const segment of segments(safeDecode(ref.slice(1)))) {
    at = Array.isArray(at) ? at[Number(segment)] : isObject(at) && Object.hasOwn(at, segment) ? at[segment] : undefined;
  }
  return at !== undefined;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function segments(jsonPointer: string): string[] {
  return jsonPointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function fault(path: readonly string[], message: string, help?: string): Finding {
  return { path, code: "tool.schema", message, ...(help === undefined ? {} : { help }) };
}

/** The metaschema reports one fault through several of its branches; the first is the plainest. */
function unique(found: readonly Finding[]): Finding[] {
  return found.filter((item, i) => found.findIndex((other) => other.path.join("/") === item.path.join("/")) === i);
}
