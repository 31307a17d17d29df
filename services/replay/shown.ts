/**
 * What of an event is shown to somebody who may not see what people, agents and tools said (AUD-3): types, times, states,
 * digests, numbers, the plane's own codes, decisions, and who decided or acted on whose behalf. This file is the whole
 * list: a member that is not in it is withheld, whatever it holds, because what a scanner does not know it cannot find.
 * Inputs, outputs, goals, contexts, notes, reasons, errors' texts, what approvers were shown and what they changed are
 * in no list.
 */
import { canonicalText } from "../../schemas/canonical.ts";
import type { EventBody } from "../../schemas/event.ts";
import { digestSchema } from "../../schemas/ids.ts";
import { pseudonymSchema } from "../../schemas/sealed.ts";
import { labelsIn } from "../policy/scan/labels.ts";
import { OWN_ERRORS } from "../telemetry/names.ts";

/** What stands where a text was. */
export const REDACTED = "[redacted]";

/** What is shown of a value; undefined: nothing of it. */
type Rule = (value: unknown) => unknown;
type Members = { readonly [name: string]: Rule };

const isScalar = (value: unknown) => typeof value === "string" || typeof value === "number" || typeof value === "boolean";
/** The plane's own: numbers, states, digests, times, codes. */
const own: Rule = (value) => (isScalar(value) ? value : undefined);
/** Whose doing it is. That is what evidence is for, and a name may look like an address. */
const who: Rule = own;
/** A name or id that somebody chose, within a grammar: shown unless it is an account or a card. */
const name: Rule = (value) => (typeof value === "string" && (value.length > 512 || labelsIn(value).length > 0) ? undefined : own(value));
const matching = (schema: { safeParse(value: unknown): { success: boolean } }): Rule => (value) => (schema.safeParse(value).success ? value : undefined);
const digest = matching(digestSchema);

/** An object with these members; others are withheld. What is none is withheld too. */
function members(rules: Members): Rule {
  return (value) => {
    if (!isObject(value)) return undefined;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shown(member, Object.hasOwn(rules, key) ? rules[key] : undefined)]));
  };
}
const all = (rule: Rule): Rule => (value) => (Array.isArray(value) ? value.map((item) => shown(item, rule)) : undefined);
const each = (rule: Rule): Rule => (value) => (isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shown(member, rule)])) : undefined);
/** The first rule that shows anything. */
const either = (...rules: Rule[]): Rule => (value) => rules.reduce<unknown>((found, rule) => (found === undefined ? rule(value) : found), undefined);
const later = (rule: () => Rule): Rule => (value) => rule()(value);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

/** By how many places a value was cut while it was being shown; see {@link shownOf}. */
let cut = 0;

/** Nothing is nothing; a list that may not be shown is an empty one, and any other value a text that says so. */
function shown(value: unknown, rule: Rule | undefined): unknown {
  if (value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) return value;
  const found = rule?.(value);
  if (found !== undefined) return found;
  cut += 1;
  return Array.isArray(value) ? [] : REDACTED;
}

const principal = members({ subject: who, issuer: who, key_id: name, token_hash: own, token_id: name, expires_at: own, roles: all(name), verified: own });
const agent = members({ name, version: name, owner: who, team: who, project: who });
const person = members({ issuer: who, subject: who, roles: all(name), document: digest });
const reasons = all(members({ code: name }));
const failure = members({ code: (value) => (typeof value === "string" && OWN_ERRORS.has(value) ? value : undefined), effect: matching({ safeParse: (value) => ({ success: ["none", "done", "unknown"].includes(value as string) }) }) });
const standing = members({ max_amount: own, max_total: own, uses: own, expires_seconds: own, max_uses: own, max_seconds: own });
const amount = members({ units: own, currency: name, group: name });
const claim = members({ gateway: who, nonce: own });
const scan = members({ engine: name, findings: all(members({ kind: own, rule: name, label: name })) });
const removed = all(members({ reason: name, bytes: own }));
const account: Members = { ledger: name, unit: own, window: own, need: own, want: own, granted: own, total: own, cap: own, unused: own, last: own };
const marks = members({ tainted: own, labels: all(name), cleanses: own });
const guard = members({ stop: own, kind: own, scope: who });

/** A text that is itself JSON: what is digested, judged and shown to approvers. */
const text = (rule: Rule): Rule => (value) => {
  try {
    const found = typeof value === "string" ? rule(JSON.parse(value)) : undefined;
    return found === undefined ? undefined : canonicalText(found);
  } catch {
    return undefined;
  }
};
const actionDocument = members({ ns: own, run: own, action: own, tool: name, tool_hash: own, contract_hash: own, principal });
const view = members({ request: own, action: own, action_document: actionDocument, agent, principal, effect: own, risk: own, amount, marks, tainted: own, labels: all(name), edited: members({ from: own, by: who }), role: name, count: own, expires_at: own });

const judgement = members({
  decision: own, policies: all(members({ id: name, effect: own, file: name, line: own })), ask: members({ role: name, count: own, expires_seconds: own }), reasons, risk: own, engine: own,
});
const facts: Rule = members({
  kind: own, documents: each(digest), agent, budgets: each(own), principal, refusals: reasons, guard, faults: reasons, judgement, amount, standing,
  // of a change of documents, or what of a tool the machine needs
  tool: later(() => either((value) => (isObject(value) && "kind" in value ? facts(value) : undefined), members({ effect: own, timeout_ms: own, retries: own, idempotent: own, cost_micro_usd: own, input_tokens: own, output_tokens: own, probe: each(own) }))),
  sources: all(own), needs: all(each(name)), approval_ttl_ms: own, again: later(() => facts), start: later(() => facts),
  person, approvers: each(person), engine: name, marks, cap: own, streams: own, lead_ms: own, key: own,
});
const shared: Members = {
  ...account, action: own, attempt: own, agent: either(name, agent), tool: name, claim, digest, scan, removed, usage: each(own), labels: all(name), scope: who, stop: own, kind: name,
  error: failure, standing: either(own, standing), request: own, document: either(digest, text(actionDocument)), key: own, subject: matching(pseudonymSchema), segment: own, runs: own, index: digest,
};
const input: Rule = members({
  ...shared, id: name, name, confidence: own, uses: all(name), budget: each(own), deadline: own, decision: own, status: own, probe: each(own), verb: own, outcome: own,
  documents: all(members({ kind: own, name, document: digest })), timer: name, armed: own,
});
const envelope = members({ agent, owner: who, team: who, project: who, principal, chain: all(who), documents: each(digest), budget: each(own), deadline: own, traceparent: own });
const data: Rule = members({
  ...shared, input, input_hash: own, facts, envelope, proposal: name, edited: members({ from: own, by: who }), by: who, policies: all(name), approvers: all(who), reasons, deadline: own,
  retry_at: own, probe: own, probe_at: own, found: own, view: text(view), role: name, count: own, expires_at: own, person, grants: own, replacement: own, cost_micro_usd: own, reserved_micro_usd: own,
  input_tokens: own, output_tokens: own, budget: own, limit: own, used: own, needs: all(each(name)), tainted: own, version: own, previous: digest, run: name, from: own,
});
const cause = members({ id: name, kind: own, actor: who, time: own, traceparent: own, chain: all(who) });

/** An event as far as it may be shown, and in how many places it is cut: in none, it is the event itself. */
export function shownOf(body: EventBody): { readonly body: EventBody; readonly cut: number } {
  cut = 0;
  const seen = { ...body, cause: shown(body.cause, cause), data: shown(body.data, data) } as EventBody;
  return cut === 0 ? { body, cut } : { body: seen, cut };
}
