/** What is admitted in a body, whichever encoding it comes in. */

export type BodyFaultCode =
  | "too_large"
  | "content_type"
  | "utf8"
  | "byte_order_mark"
  | "json"
  | "msgpack"
  | "depth"
  | "duplicate_key"
  | "prototype_key"
  | "key"
  | "number"
  | "surrogate"
  | "extension"
  | "binary"
  | "trailing"
  | "unreadable";

export interface BodyFault {
  readonly code: BodyFaultCode;
  readonly reason: string;
  /** JSON pointer to the value or key; left out where there is none. */
  readonly path?: string;
}

const MAX_STEP = 64;

/** A refusal on its way out of nested values, each of which puts its own step in front of the path. */
export class Refused extends Error {
  readonly #code: BodyFaultCode;
  readonly #steps: (string | number)[] = [];

  constructor(code: BodyFaultCode, reason: string) {
    super(reason);
    this.#code = code;
  }

  under(...steps: (string | number)[]): this {
    this.#steps.unshift(...steps);
    return this;
  }

  fault(): BodyFault {
    const fault = { code: this.#code, reason: this.message };
    if (this.#steps.length === 0) return fault;
    return { ...fault, path: this.#steps.map((step) => `/${pointerStep(String(step))}`).join("") };
  }
}

function pointerStep(step: string): string {
  const short = step.length > MAX_STEP ? `${step.slice(0, MAX_STEP)}…` : step;
  return short.toWellFormed().replaceAll("~", "~0").replaceAll("/", "~1");
}

/** @throws Refused for a number that is not finite, or an integer that a double can not tell from its neighbour */
export function checkNumber(value: number): number {
  if (!Number.isFinite(value)) throw new Refused("number", "a number is not finite");
  if (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER) {
    throw new Refused("number", "an integer lies beyond ±2^53");
  }
  return value === 0 ? 0 : value;
}

/** @throws Refused */
export function checkText(value: string): void {
  if (!value.isWellFormed()) throw new Refused("surrogate", "a text holds a lone surrogate");
}

/** @throws Refused for names that mean something to an object's prototype, and names that are not well-formed */
export function checkKey(key: string): void {
  if (key === "__proto__" || key === "constructor" || key === "prototype") {
    throw new Refused("prototype_key", `the key \`${key}\` is not allowed`).under(key);
  }
  if (!key.isWellFormed()) throw new Refused("surrogate", "a key holds a lone surrogate").under(key);
}
