/**
 * Requests that no policy can tell apart. Where all that a set does with a number is to hold it against numbers that
 * stand in the policies, only its place among these counts: `context.run.steps > 900` says the same of 3 steps and of
 * 17. So the engine's answer to one such request is its answer to all, and what is remembered under one is found by all.
 *
 * The engine still gives every answer. What is done here is no more than to see that two questions are one; a value
 * that is used in any other way (in arithmetic, in a set, against another attribute) stays in the key as it is.
 */
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";

type Context = Cedar.Context;
/** Stands in the key for what it was made of. */
type Stand = string;

/** Literals that one attribute is held against, and patterns that it is matched with. */
interface Uses {
  readonly numbers: Set<number>;
  readonly decimals: Set<number>;
  readonly words: Set<string>;
  readonly patterns: Map<string, readonly string[]>;
  /** It is used in some other way. */
  opaque: boolean;
}

/** How the attributes of a context are written into a key, by their way from the context: `amount`, `run.steps`. */
export interface Alike {
  /** Whether values of this attribute are put together. */
  readonly groups: (way: string) => boolean;
  /** The context with a stand-in for each value that no policy can tell from others; changes and returns it. */
  readonly put: (context: Context) => Context;
}

/** @param policies the only ones that will be asked, in the engine's JSON form, strictly validated */
export function alike(policies: Iterable<Cedar.PolicyJson>): Alike {
  const uses = new Map<string, Uses>();
  for (const { conditions } of policies) for (const { body } of conditions) walk(body, uses);
  const stands = new Map([...uses].flatMap(([way, of]) => (of.opaque ? [] : [[way, standOf(of)] as const])));
  const top = [...stands].flatMap(([way, stand]) => (way.includes(".") ? [] : [[way, stand] as const]));
  const inner = [...stands].flatMap(([way, stand]) => {
    const [record = "", name = "", more] = way.split(".");
    return name === "" || more !== undefined ? [] : [[record, name, stand] as const];
  });
  return {
    groups: (way) => stands.has(way),
    put: (context) => {
      for (const [name, stand] of top) {
        const value = context[name];
        if (value !== undefined) context[name] = stand(value);
      }
      for (const [record, name, stand] of inner) {
        const of = context[record] as Context | undefined;
        const value = of?.[name];
        if (of !== undefined && value !== undefined) of[name] = stand(value);
      }
      return context;
    },
  };
}

const COMPARISONS = new Set(["==", "!=", "<", "<=", ">", ">="]);
const OF_DECIMALS = new Set(["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);

function walk(node: unknown, uses: Map<string, Uses>): void {
  if (typeof node !== "object" || node === null) return;
  if (Array.isArray(node)) {
    for (const item of node) walk(item, uses);
    return;
  }
  for (const [operator, operand] of Object.entries(node) as [string, unknown][]) {
    if (!compares(operator, operand, uses)) {
      const way = wayOf({ [operator]: operand });
      if (way !== undefined) usesOf(uses, way).opaque = true;
      walk(operand, uses);
    }
  }
}

/** Takes note of an attribute that is held against a literal; false for anything else. */
function compares(operator: string, operand: unknown, uses: Map<string, Uses>): boolean {
  if (OF_DECIMALS.has(operator)) {
    const [left, right] = operand as [unknown, unknown];
    return held(left, right, uses) || held(right, left, uses);
  }
  if (!COMPARISONS.has(operator) && operator !== "like") return false;
  const { left, right, pattern } = operand as { readonly left?: unknown; readonly right?: unknown; readonly pattern?: unknown };
  if (operator !== "like") return held(left, right, uses) || held(right, left, uses);
  const [way, segments] = [wayOf(left), segmentsOf(pattern)];
  if (way === undefined || segments === undefined) return false;
  usesOf(uses, way).patterns.set(JSON.stringify(segments), segments);
  return true;
}

function held(attribute: unknown, literal: unknown, uses: Map<string, Uses>): boolean {
  const way = wayOf(attribute);
  if (way === undefined || typeof literal !== "object" || literal === null) return false;
  const { Value: plain, decimal } = literal as { readonly Value?: unknown; readonly decimal?: unknown };
  if (typeof plain === "string") usesOf(uses, way).words.add(plain);
  else if (typeof plain === "number" && Number.isSafeInteger(plain)) usesOf(uses, way).numbers.add(plain);
  else {
    const text: unknown = Array.isArray(decimal) ? (decimal[0] as { readonly Value?: unknown } | undefined)?.Value : undefined;
    const units = typeof text === "string" ? tenThousandths(text) : undefined;
    if (units === undefined) return false;
    usesOf(uses, way).decimals.add(units);
  }
  return true;
}

function usesOf(uses: Map<string, Uses>, way: string): Uses {
  let of = uses.get(way);
  if (of === undefined) uses.set(way, (of = { numbers: new Set(), decimals: new Set(), words: new Set(), patterns: new Map(), opaque: false }));
  return of;
}

/** `run.steps` of `context.run.steps`; undefined for what is no attribute of the context. */
function wayOf(node: unknown): string | undefined {
  const { left, attr } = ((node as { readonly "."?: unknown } | null | undefined)?.["."] ?? {}) as { readonly left?: unknown; readonly attr?: unknown };
  if (typeof attr !== "string") return undefined;
  if ((left as { readonly Var?: unknown } | undefined)?.Var === "context") return attr;
  const before = wayOf(left);
  return before === undefined ? undefined : `${before}.${attr}`;
}

/** The literal parts of a pattern, between its wildcards. */
function segmentsOf(pattern: unknown): string[] | undefined {
  if (!Array.isArray(pattern)) return undefined;
  const segments = [""];
  for (const part of pattern as unknown[]) {
    if (part === "Wildcard") segments.push("");
    else {
      const literal = (part as { readonly Literal?: unknown }).Literal;
      if (typeof literal !== "string") return undefined;
      segments.push(`${segments.pop() ?? ""}${literal}`);
    }
  }
  return segments;
}

function standOf({ numbers, decimals, words, patterns }: Uses): (value: Cedar.CedarValueJson) => Cedar.CedarValueJson {
  const ofNumber = placeAmong(numbers);
  const ofDecimal = placeAmong(decimals);
  return (value) => {
    if (typeof value === "number") return Number.isSafeInteger(value) ? ofNumber(value) : value;
    if (typeof value === "string") return `${words.has(value) ? `=${value}` : "#"}${[...patterns.values()].map((segments) => (matches(value, segments) ? "1" : "0")).join("")}`;
    const extension = typeof value === "object" && value !== null && "__extn" in value ? (value as { readonly __extn: { readonly fn: string; readonly arg: unknown } }).__extn : undefined;
    const units = extension?.fn === "decimal" && typeof extension.arg === "string" ? tenThousandths(extension.arg) : undefined;
    return units === undefined ? value : ofDecimal(units);
  };
}

/** `#4`: above two of the literals and equal to none; `=4`: equal to the third. */
function placeAmong(literals: ReadonlySet<number>): (value: number) => Stand {
  const sorted = [...literals].sort((a, b) => a - b);
  return (value) => {
    let below = 0;
    while (below < sorted.length && (sorted[below] as number) < value) below += 1;
    return `${sorted[below] === value ? "=" : "#"}${below}`;
  };
}

/** As a whole number; undefined for what is too long to be one here, which is no less a decimal. */
function tenThousandths(text: string): number | undefined {
  const [, sign, whole = "", fraction = ""] = /^(-?)(\d{1,11})\.(\d{1,4})$/.exec(text) ?? [];
  if (sign === undefined) return undefined;
  const units = Number(`${whole}${fraction.padEnd(4, "0")}`);
  return sign === "" || units === 0 ? units : -units;
}

/** Whether a text has these parts in this order, the first at its beginning and the last at its end. */
function matches(text: string, segments: readonly string[]): boolean {
  const first = segments[0] as string;
  if (segments.length === 1) return text === first;
  const last = segments.at(-1) as string;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (let i = 1; i < segments.length - 1; i++) {
    const segment = segments[i] as string;
    const found = text.indexOf(segment, at);
    if (found < 0 || found + segment.length > end) return false;
    at = found + segment.length;
  }
  return true;
}
