/**
 * Input or output of an action as one attribute of its span, where a contract lets it leave (`trace_level: full`,
 * AUD-3). What is sealed stays sealed, a secret never leaves, and unless the contract says `pii_redaction: false`
 * neither does what is labelled or looks as if it were about a person. It is bounded, and says so where it was cut.
 */
import type { Contract } from "../../schemas/contract.ts";
import { fieldSegments } from "../../schemas/field.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { sealedIn, withheldIn } from "../../schemas/sealed.ts";
import type { Tool } from "../../schemas/tool.ts";
import { labelsIn } from "../policy/scan/labels.ts";
import { withoutSecrets } from "../policy/scan/index.ts";
import { type Mark, marksOfTool, replaced } from "../registry/personal.ts";

/** Labels that say of data that it is nobody else's business. */
export const SENSITIVE: ReadonlySet<string> = new Set(["pii", "phi", "pci", "secret"]);

/** Characters of one attribute, the marker of what was cut off aside. */
export const MAX_PAYLOAD = 4_096;

export interface PayloadRules {
  readonly contract: Contract;
  /** As it was when the action was judged; unknown tools declare nothing, and nothing of them is told. */
  readonly tool: Tool | undefined;
}

/** Whether everything but secrets may be told: only where the contract says so in so many words. */
export function redacts({ logging }: Contract): boolean {
  return logging?.pii_redaction !== false;
}

/**
 * @param labels that the run carried when this was proposed: what an agent was given may stand in what it proposes
 * @returns JSON text, cut at {@link MAX_PAYLOAD}
 */
export function inputText(value: JsonValue, rules: PayloadRules, labels: ReadonlySet<string>): string {
  return bounded(told(value, rules, "input", [...labels]));
}

/** As {@link inputText}, of what the tool gave as the gateway sanitised it. */
export function outputText(value: JsonValue, rules: PayloadRules): string {
  return bounded(told(value, rules, "output", []));
}

function told(value: JsonValue, { contract, tool }: PayloadRules, side: "input" | "output", carried: readonly string[]): JsonValue {
  const declared = side === "output" ? (tool?.labels ?? []) : [];
  const whole = [...carried, ...(contract.data?.labels ?? []), ...declared.flatMap(({ label, path }) => (path === undefined ? [label] : []))];
  const redacting = redacts(contract);
  // the strictest word for all of it: a value that is secret as a whole leaves for no contract
  const all = whole.find((label) => label === "secret") ?? (redacting ? whole.find((label) => SENSITIVE.has(label)) : undefined);
  if (all !== undefined) return placeholder(all);
  if (tool === undefined) return placeholder("tool unknown");
  const fields = declared.flatMap(({ label, path }) => (path !== undefined && (label === "secret" || (redacting && SENSITIVE.has(label))) ? [{ label, mark: { path: fieldSegments(path), subject: [] } }] : []));
  let out = unsealed(value);
  for (const { label, mark } of fields) out = replaced(out, [mark], () => placeholder(label));
  // recorded before the mark was made, or where the plane had no keys
  if (redacting) out = replaced(out, marksOfTool(tool, contract) as Mark[], ({ value: at }) => (isPlaceholder(at) ? at : placeholder("personal")));
  out = withoutSecrets(out).value;
  return redacting ? undetected(out) : out;
}

const placeholder = (why: string) => `[redacted: ${why}]`;
const SEALED_TEXT = "[sealed]";
const isPlaceholder = (value: JsonValue) => typeof value === "string" && (value === SEALED_TEXT || value.startsWith("[redacted: "));

/** Sealed values say nothing to anybody outside, and are long. */
function unsealed(value: JsonValue): JsonValue {
  if (sealedIn(value) !== undefined) return SEALED_TEXT;
  const why = withheldIn(value);
  if (why !== undefined) return placeholder(why);
  return mapped(value, unsealed, (key) => key);
}

/** Without any text, name or number that has the form of an address, account or card of a person. */
function undetected(value: JsonValue): JsonValue {
  if (typeof value === "string" || typeof value === "number") {
    const [found] = labelsIn(String(value));
    return found === undefined ? value : placeholder(found.rule);
  }
  return mapped(value, undetected, (key) => {
    const [found] = labelsIn(key);
    return found === undefined ? key : placeholder(found.rule);
  });
}

function mapped(value: JsonValue, by: (member: JsonValue) => JsonValue, named: (key: string) => string): JsonValue {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(by);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [named(key), by(member)]));
}

function bounded(value: JsonValue): string {
  const text = JSON.stringify(value);
  if (text.length <= MAX_PAYLOAD) return text;
  return `${text.slice(0, MAX_PAYLOAD).toWellFormed()}… [cut: ${text.length} characters in all]`;
}
