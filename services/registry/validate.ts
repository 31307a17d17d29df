/** Checks what agents send to tools, and what tools answer, against the tools' schemas (CORE-2, CORE-4). */
import { type ErrorObject, type ValidateFunction } from "ajv";
import { type JsonValue } from "../../schemas/json.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { nearest } from "./explain.ts";
import { compileSchema } from "./json-schema.ts";

/** A person cannot use more; an attacker could make thousands. */
const MAX_FAULTS = 100;

/**
 * Compiled schemas by the hash of the tool that they belong to: each is compiled once, and the least recently
 * used is dropped when there are too many.
 */
export class Validators {
  readonly #limit: number;
  readonly #compiled = new Map<string, ValidateFunction>();

  /** @param limit compiled schemas that are kept; two for each tool */
  constructor(limit = 512) {
    this.#limit = limit;
  }

  /** Every fault of a proposed input, with JSON pointers into the input; empty when it fits. Never throws. */
  inputFaults(toolHash: string, schema: JsonValue, value: unknown): Reason[] {
    return this.#faults(`${toolHash} input`, schema, value, "input.invalid");
  }

  /** Every fault of a tool's answer, with JSON pointers into the answer; empty when it fits. Never throws. */
  outputFaults(toolHash: string, schema: JsonValue, value: unknown): Reason[] {
    return this.#faults(`${toolHash} output`, schema, value, "output.invalid");
  }

  #faults(key: string, schema: JsonValue, value: unknown, code: string): Reason[] {
    let check: ValidateFunction;
    try {
      check = this.#validator(key, schema);
    } catch (error) {
      // fail closed: a schema that cannot be compiled admits nothing
      const why = error instanceof Error ? error.message : String(error);
      return [reason("tool.schema", `the tool's schema cannot be used: ${why}`, { path: "" })];
    }
    try {
      if (check(value)) return [];
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return [reason(code, `the value cannot be checked: ${why}`, { path: "" })];
    }
    const faults = meaningful(check.errors ?? []).map((error) => explain(error, code));
    if (faults.length <= MAX_FAULTS) return faults;
    const more = faults.length - MAX_FAULTS;
    return [...faults.slice(0, MAX_FAULTS), reason(code, `and ${more} more faults`, { path: "" })];
  }

  #validator(key: string, schema: JsonValue): ValidateFunction {
    const known = this.#compiled.get(key);
    // taken out and put back: a map keeps the order of insertion, so the first is the least recently used
    if (known !== undefined) this.#compiled.delete(key);
    const check = known ?? compileSchema(schema);
    this.#compiled.set(key, check);
    if (this.#compiled.size > this.#limit) {
      const [oldest] = this.#compiled.keys();
      if (oldest !== undefined) this.#compiled.delete(oldest);
    }
    return check;
  }
}

/** `if` and `propertyNames` report once more what their branch has already said. */
function meaningful(errors: readonly ErrorObject[]): ErrorObject[] {
  return errors.length === 1 ? [...errors] : errors.filter((error) => error.keyword !== "if" && error.keyword !== "propertyNames");
}

/** Says what was expected and where. Never repeats the value: faults are recorded, and the value may be personal. */
function explain(error: ErrorObject, code: string): Reason {
  const at = error.instancePath;
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case "required":
    case "dependentRequired": {
      const name = String(params["missingProperty"]);
      return reason(code, `\`${name}\` is missing`, { path: below(at, name) });
    }
    case "additionalProperties":
    case "unevaluatedProperties": {
      const name = String(params["additionalProperty"] ?? params["unevaluatedProperty"]);
      const known = Object.keys((error.parentSchema?.["properties"] as object | undefined) ?? {});
      const help = nearest(name, known);
      return reason(code, `\`${name}\` is not expected here`, { path: below(at, name), ...(help === undefined ? {} : { help }) });
    }
    case "type":
      return reason(code, `expected ${[params["type"]].flat().map(String).join(" or ")}, found ${jsonType(error.data)}`, { path: at });
    case "enum": {
      const allowed = (params["allowedValues"] as unknown[]).slice(0, 20).map((value) => `\`${JSON.stringify(value)}\``);
      return reason(code, `expected one of ${allowed.join(", ")}`, { path: at });
    }
    case "const":
      return reason(code, `expected \`${JSON.stringify(params["allowedValue"])}\``, { path: at });
    case "pattern":
      return reason(code, `expected text that matches \`${String(params["pattern"])}\``, { path: at });
    case "format":
      return reason(code, `expected the format \`${String(params["format"])}\``, { path: at });
    default:
      return reason(code, error.message ?? `does not fit \`${error.keyword}\``, { path: at });
  }
}

function below(path: string, name: string): string {
  return `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function jsonType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
