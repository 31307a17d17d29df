/**
 * The schema that a policy set brings along: what its authors wrote against. Policies are validated against it as well as
 * against the plane's own, so that a set keeps its word about what it rests on.
 */
import type { DetailedError } from "@cedar-policy/cedar-wasm/nodejs";
import type { Fault } from "../../schemas/fault.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import { CedarCrash, withCedar } from "./engine.ts";

/** UTF-16 code units, and brackets within each other: the engine's stack is small, and breaks beyond. */
const MAX_SCHEMA = 128 * 1024;
const MAX_NESTING = 32;

/** The set's schema where it is one; its faults are added. */
export function readSetSchema({ schema }: PolicySet, folder: string, faults: Fault[]): string | undefined {
  if (schema === undefined) return undefined;
  const fault = (offset: number, message: string, help?: string) => {
    const before = schema.slice(0, offset);
    const line = before.split("\n").length;
    const column = offset - (before.lastIndexOf("\n") + 1) + 1;
    faults.push({ file: `${folder}/schema.cedarschema`, line, column, path: "/schema", code: "policy.schema", message, ...(help !== undefined && { help }) });
    return undefined;
  };
  if (schema.length > MAX_SCHEMA) return fault(0, `a schema of more than ${MAX_SCHEMA} characters`);
  const deep = tooDeep(schema);
  if (deep !== undefined) return fault(deep, `brackets stand more than ${MAX_NESTING} deep`);
  try {
    const answer = withCedar((engine) => engine.schemaToJson(schema));
    if (answer.type === "success") return schema;
    for (const error of answer.errors) {
      // types that cannot be resolved are placed at the file's beginning, whatever stands there
      const start = error.sourceLocations?.[0]?.start ?? 0;
      const offset = start === 0 ? namedIn(schema, error) : Buffer.from(schema).subarray(0, start).toString().length;
      fault(offset, error.message.replace(/^failed to parse .*? from string: /, ""), error.help ?? error.sourceLocations?.[0]?.label ?? undefined);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof CedarCrash)) throw error;
    return fault(0, error.message);
  }
}

/** Where the engine says no place, that of the first name which it speaks of. */
function namedIn(schema: string, { message, help }: DetailedError): number {
  for (const [, name = ""] of `${help ?? ""} ${message}`.matchAll(/`([A-Za-z_][\w:]*)`/g)) {
    const found = new RegExp(`\\b${name}\\b`).exec(schema);
    if (found !== null) return found.index;
  }
  return 0;
}

function tooDeep(text: string): number | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text[at] as string;
    if ("<{([".includes(c)) depth++;
    else if (">})]".includes(c)) depth--;
    if (depth > MAX_NESTING) return at;
  }
  return undefined;
}
