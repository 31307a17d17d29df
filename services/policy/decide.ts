/** What a contract adds to policy. It can only tighten: nothing here turns a deny or an ask into an allow. */
import { type ContractTool } from "../../schemas/contract.ts";
import { fieldAt, fieldSegments } from "../../schemas/field.ts";
import { type Ask, type Effect, type Judgement, type JudgementRequest } from "../../schemas/judgement.ts";
import { pointer, type Reason, reason } from "../../schemas/reason.ts";
import { decimalText, isAbove, times } from "./decimal.ts";

/** Who is asked when a contract, and not a policy, asks. */
export const CONTRACT_ROLE = "approver";

/** What a limit's sums may reach where the contract does not say: so many times the limit itself. */
const TWINS = [
  ["per_run", "in_run", 1, "in this run"],
  ["per_target_day", "target_day", 1, "for this target today"],
  ["per_principal_day", "principal_day", 10, "for this principal today"],
  ["per_agent_day", "agent_day", 100, "for this agent today"],
] as const;

/**
 * Why a contract asks (rules 2): always, or because the amount or what it adds up to is above a limit. Of an amount
 * that is not clear `amounts.ts` says why it asks.
 */
export function contractAsks(entry: ContractTool, { amount, amounts }: Pick<JudgementRequest, "amount" | "amounts">): Reason[] {
  const reasons: Reason[] = [];
  if (entry.requires_approval === true) {
    reasons.push(reason("contract.requires_approval", `the contract asks before every \`${entry.name}\``));
  }
  const limit = entry.requires_approval_above;
  if (limit === undefined) return reasons;
  const path = pointer(["input", ...fieldSegments(limit.field)]);
  if (amount !== undefined && isAbove(amount, limit.value) !== false) {
    reasons.push(reason("contract.requires_approval_above", `\`${limit.field}\` is above ${limit.value}`, { path }));
  }
  if (amount !== undefined && isAbove(amount, 0) !== false && amounts?.agent_day === undefined) {
    reasons.push(reason("contract.sum_unknown", `nobody knows what \`${limit.field}\` adds up to today, and the contract limits it`, { path }));
  }
  for (const [name, sum, factor, where] of TWINS) {
    const total = amounts?.[sum];
    const most = limit[name] ?? times(limit.value, factor) ?? 0;
    if (total === undefined || isAbove(total, most) === false) continue;
    reasons.push(reason(`contract.${name}`, `\`${limit.field}\` adds up to ${total} ${where}, and the contract's limit is ${most}`, { path }));
  }
  return reasons;
}

/**
 * The decision about one action, by rules 1.
 *
 * - `requires_approval` asks always; `requires_approval_above` when the field is above the value, missing, or no number
 * - an irreversible effect that policy allows without asking is asked (POL-3)
 * - where policy already asks, its role and number stand, and the shorter time
 *
 * @param entry the contract's entry for the tool; without one the answer is deny, though validation should have said so
 */
export function combine(entry: ContractTool | undefined, effect: Effect, input: unknown, judgement: Judgement): Judgement {
  if (entry === undefined) {
    return denied(judgement, reason("contract.tool_not_allowed", "the contract does not allow this tool"));
  }
  if (judgement.decision === "deny") return judgement;
  const reasons = contractReasons(entry, input);
  if (effect === "irreversible" && judgement.decision === "allow") {
    reasons.push(reason("plane.irreversible", "an effect that cannot be undone needs a person"));
  }
  const all = [...judgement.reasons, ...reasons];
  if (judgement.decision === "allow" && reasons.length === 0) return judgement;
  const ask = judgement.decision === "ask" ? judgement.ask : { role: CONTRACT_ROLE, count: 1 };
  if (ask === undefined) return denied(judgement, reason("policy.error", "a policy asks nobody"));
  return { ...judgement, decision: "ask", ask: shorter(ask, entry.approval_expires_seconds), reasons: all };
}

/**
 * What the call is about, for policies: the number in the field that the contract's `requires_approval_above` names.
 * @returns a decimal written out; undefined when the contract names none or the input has no number there
 */
export function amountOf(entry: ContractTool | undefined, input: unknown): string | undefined {
  const field = entry?.requires_approval_above?.field;
  const value = field === undefined ? undefined : fieldAt(input, field);
  return typeof value === "number" ? decimalText(value) : undefined;
}

function contractReasons(entry: ContractTool, input: unknown): Reason[] {
  const reasons: Reason[] = [];
  if (entry.requires_approval === true) {
    reasons.push(reason("contract.requires_approval", `the contract asks before every \`${entry.name}\``));
  }
  const limit = entry.requires_approval_above;
  if (limit === undefined) return reasons;
  const value = fieldAt(input, limit.field);
  const path = pointer(fieldSegments(limit.field));
  // a number in quotes is no number: what it means is the tool's business, and a person can read it
  const above = typeof value === "number" ? isAbove(value, limit.value) : undefined;
  if (above === undefined) {
    reasons.push(reason("contract.requires_approval_above", `\`${limit.field}\` is no number, and the contract limits it`, { path }));
  } else if (above) {
    reasons.push(reason("contract.requires_approval_above", `\`${limit.field}\` is above ${limit.value}`, { path }));
  }
  return reasons;
}

export function shorter(ask: Ask, seconds: number | undefined): Ask {
  if (seconds === undefined) return ask;
  return { ...ask, expires_seconds: Math.min(ask.expires_seconds ?? Infinity, seconds) };
}

function denied(judgement: Judgement, why: Reason): Judgement {
  const { ask: _, ...rest } = judgement;
  return { ...rest, decision: "deny", reasons: [...judgement.reasons, why] };
}
