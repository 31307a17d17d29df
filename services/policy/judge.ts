/**
 * Asks a policy set about one action (CORE-3). Three answers: allow, deny, or ask people.
 *
 * A forbid annotated `@ask` means: forbidden unless that many people of that role agree. The answer is `ask` when
 * nothing but such forbids stands in the way; that is, when every determining policy of the denial is one, and
 * the set without them allows. Everything else that is not a clean allow is a deny.
 */
import { type Ask, type Judgement, type JudgementRequest } from "../../schemas/judgement.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { type CompiledPolicySet } from "./compiled.ts";
import { authorizeCall, CEDAR_ENGINE, type CedarAnswer, type PolicyTexts } from "./engine.ts";
import { cedarRequest, fixedOf } from "./request.ts";

/** Judges a request. A pure function of its two arguments and the engine's version. Never throws. */
export function judge(set: CompiledPolicySet | undefined, request: JudgementRequest): Judgement {
  if (set === undefined || set.policies.size === 0) {
    const what = set === undefined ? "no policy set rules here" : `the policy set \`${set.name}\` is empty`;
    return answer("deny", [], [reason("policy.no_set", what, { help: "apply a policy set named `default`" })]);
  }
  const fixed = fixedOf(request);
  const engine: Engine = (key, texts) => authorizeCall(key, texts, request.tool.effect, fixed, (reads) => cedarRequest(request, reads, fixed));
  const now = engine(set.digest, set.texts);
  const determining = policiesOf(set, now.reason);
  if (now.errors.length > 0) {
    return { ...answer("deny", determining, [reason("policy.error", "a policy could not be evaluated")]), errors: [...now.errors] };
  }
  if (now.decision === "allow") return answer("allow", determining, []);
  if (determining.length === 0) return answer("deny", [], [reason("policy.no_permit", "no policy permits this")]);
  const asks = now.reason.map((id) => set.policies.get(id)?.ask);
  if (asks.some((ask) => ask === undefined)) {
    const hard = determining.filter((policy) => set.policies.get(policy.id)?.ask === undefined);
    return answer("deny", hard, [reason("policy.forbidden", "a policy forbids this")]);
  }
  return onceAgreed(set, engine, determining, asks as Ask[]);
}

type Engine = (key: string, texts: PolicyTexts) => CedarAnswer;

function onceAgreed(set: CompiledPolicySet, engine: Engine, forbids: Judgement["policies"], asks: readonly Ask[]): Judgement {
  const then = engine(`${set.digest} once agreed`, set.textsOnceAgreed);
  if (then.errors.length > 0) {
    return { ...answer("deny", forbids, [reason("policy.error", "a policy could not be evaluated")]), errors: [...then.errors] };
  }
  if (then.decision === "deny") {
    // not even with everybody's consent: asking would waste people's time
    return answer("deny", policiesOf(set, then.reason), [reason("policy.no_permit", "no policy permits this")]);
  }
  const ask = asks.reduce<Ask | undefined>((all, one) => (all === undefined ? undefined : tighter(all, one)), asks[0]);
  if (ask === undefined) {
    return answer("deny", forbids, [askConflict(asks.map(({ role }) => role))]);
  }
  const policies = [...forbids, ...policiesOf(set, then.reason)].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { ...answer("ask", policies, [reason("policy.ask", `a policy asks ${people(ask)}`)]), ask };
}

export function askConflict(asked: readonly string[]): Reason {
  const roles = [...new Set(asked)].map((role) => `\`${role}\``).sort().join(" and ");
  const help = "let these policies ask the same role, or keep them from meeting";
  return reason("policy.ask_conflict", `one action can ask one role, and policies ask ${roles}`, { help });
}

/** What satisfies both: more people and less time. Undefined when they ask different roles. */
export function tighter(a: Ask, b: Ask): Ask | undefined {
  if (a.role !== b.role) return undefined;
  const expires = Math.min(a.expires_seconds ?? Infinity, b.expires_seconds ?? Infinity);
  const ask = { role: a.role, count: Math.max(a.count, b.count) };
  return expires === Infinity ? ask : { ...ask, expires_seconds: expires };
}

export function people(ask: Ask): string {
  return ask.count === 1 ? `one \`${ask.role}\`` : `${ask.count} of \`${ask.role}\``;
}

function answer(decision: Judgement["decision"], policies: Judgement["policies"], reasons: Reason[]): Judgement {
  return { decision, policies, reasons, errors: [], engine: CEDAR_ENGINE };
}

function policiesOf(set: CompiledPolicySet, ids: readonly string[]): Judgement["policies"] {
  return ids.flatMap((id) => {
    const policy = set.policies.get(id);
    return policy === undefined ? [] : [{ id, effect: policy.effect, file: policy.file, line: policy.line }];
  });
}
