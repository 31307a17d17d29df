/**
 * Policies that cannot apply to this agent and this tool, whatever the run has done: `principal.team == "finance"` is
 * never true of another team's agent. The engine's time goes by the number of policies that it holds, so they are not
 * put to it.
 *
 * Only what certainly changes nothing is left out: a policy that cannot fail (the engine fails in arithmetic alone, once
 * a policy is strictly validated), and of which one of the conditions that are all demanded is false for what is fixed
 * of principal and resource.
 */
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";

type Attributes = Readonly<Record<string, Cedar.CedarValueJson>>;
/** What is fixed of a call. */
export interface Fixed {
  readonly principal: { readonly id: string; readonly attrs: Attributes };
  readonly resource: { readonly id: string; readonly attrs: Attributes };
}
/** False: certainly not satisfied. Undefined: only the engine can tell. */
type Test = (fixed: Fixed) => boolean | undefined;

/** Whether a policy may apply at all to a call. */
export function mayApplyTo(policy: Cedar.PolicyJson): (fixed: Fixed) => boolean {
  const conditions = policy.conditions.map(({ kind, body }) => (kind === "when" ? testOf(body) : not(testOf(body))));
  const scope = [scopeTest("principal", policy.principal), scopeTest("resource", policy.resource)];
  // the scope is looked at first, and cannot fail
  const tests = policy.conditions.some(({ body }) => calculates(body)) ? scope : [...scope, ...conditions];
  return (fixed) => tests.every((test) => test(fixed) !== false);
}

type Side = "principal" | "resource";

function scopeTest(side: Side, scope: { readonly op: string; readonly entity?: unknown }): Test {
  const uid = scope.entity as { readonly id?: unknown; readonly __entity?: { readonly id?: unknown } } | undefined;
  const id = uid?.id ?? uid?.__entity?.id;
  if (scope.op !== "==" || typeof id !== "string") return unknown;
  return (fixed) => fixed[side].id === id;
}

const unknown: Test = () => undefined;
const not = (test: Test): Test => (fixed) => {
  const value = test(fixed);
  return value === undefined ? undefined : !value;
};

interface Binary {
  readonly left?: unknown;
  readonly right?: unknown;
}

function testOf(node: unknown): Test {
  if (typeof node !== "object" || node === null) return unknown;
  const [[operator, value] = ["", undefined]] = Object.entries(node) as [string, unknown][];
  const { left, right } = (value ?? {}) as Binary;
  switch (operator) {
    case "&&":
      return both(testOf(left), testOf(right));
    case "||":
      return not(both(not(testOf(left)), not(testOf(right))));
    case "!":
      return not(testOf((value as { readonly arg?: unknown }).arg));
    case "==":
      return compared(left, right, (a, b) => (Array.isArray(a) ? undefined : a === b));
    case "!=":
      return compared(left, right, (a, b) => (Array.isArray(a) ? undefined : a !== b));
    case "contains":
      return compared(left, right, (set, word) => (Array.isArray(set) ? set.includes(word as string) : undefined));
    case "has":
      return present(value as { readonly left?: unknown; readonly attr?: unknown });
    default:
      return unknown;
  }
}

function both(a: Test, b: Test): Test {
  return (fixed) => {
    const [one, other] = [a(fixed), b(fixed)];
    if (one === false || other === false) return false;
    return one === undefined || other === undefined ? undefined : true;
  };
}

type Plain = string | number | boolean | readonly Cedar.CedarValueJson[];
type Read = (fixed: Fixed) => Plain | undefined;

function compared(left: unknown, right: unknown, compare: (a: Plain, b: Plain) => boolean | undefined): Test {
  const [a, b] = [readOf(left), readOf(right)];
  if (a === undefined || b === undefined) return unknown;
  return (fixed) => {
    const [one, other] = [a(fixed), b(fixed)];
    // what is not there is the engine's to tell of; sets are held against words only
    if (one === undefined || other === undefined || Array.isArray(other)) return undefined;
    return compare(one, other);
  };
}

/** A literal, or an attribute of principal or resource. */
function readOf(node: unknown): Read | undefined {
  if (typeof node !== "object" || node === null) return undefined;
  if ("Value" in node) {
    const { Value: value } = node;
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? () => value : undefined;
  }
  const { left, attr } = ((node as { readonly "."?: unknown })["."] ?? {}) as { readonly left?: unknown; readonly attr?: unknown };
  const side = sideOf(left);
  if (side === undefined || typeof attr !== "string") return undefined;
  return (fixed) => {
    const value = Object.hasOwn(fixed[side].attrs, attr) ? fixed[side].attrs[attr] : undefined;
    return typeof value === "object" && !Array.isArray(value) ? undefined : (value as Plain | undefined);
  };
}

function present({ left, attr }: { readonly left?: unknown; readonly attr?: unknown }): Test {
  const side = sideOf(left);
  if (side === undefined || typeof attr !== "string") return unknown;
  return (fixed) => Object.hasOwn(fixed[side].attrs, attr);
}

function sideOf(node: unknown): Side | undefined {
  const name = (node as { readonly Var?: unknown } | undefined)?.Var;
  return name === "principal" || name === "resource" ? name : undefined;
}

/** Whether anything in an expression can fail: numbers that grow too large. */
function calculates(node: unknown): boolean {
  if (typeof node !== "object" || node === null) return false;
  if (Array.isArray(node)) return node.some(calculates);
  return Object.entries(node).some(([operator, value]) => ["+", "-", "*", "neg"].includes(operator) || calculates(value));
}
