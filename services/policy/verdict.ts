/**
 * The whole judgement of one request (rules 2): policy, then what contract and plane add. A pure function of the set,
 * the request and the contract's entry, so that explaining a decision is asking it again with something changed.
 */
import type { ContractTool } from "../../schemas/contract.ts";
import type { Ask, Judgement, JudgementRequest } from "../../schemas/judgement.ts";
import type { Reason } from "../../schemas/reason.ts";
import type { CompiledPolicySet } from "./compiled.ts";
import { contractAsks, CONTRACT_ROLE, shorter } from "./decide.ts";
import { CEDAR_ENGINE } from "./engine.ts";
import { askConflict, judge, tighter } from "./judge.ts";
import { planeAsks, planeDenials } from "./plane-rules.ts";

/** Cedar's version, and that of the rules in this folder. */
export const ENGINE = `${CEDAR_ENGINE}, rules 2`;

export interface Asked {
  readonly request: JudgementRequest;
  readonly entry: ContractTool;
  /** What is not clear about the amount. */
  readonly unclear: readonly Reason[];
  /** Sources that are there without the agent's word; as many as the request says, when absent. */
  readonly matched?: number;
}

export function verdict(set: CompiledPolicySet | undefined, asked: Asked): Judgement {
  const { request, entry, unclear } = asked;
  const judged = { ...policyOf(set, asked), engine: ENGINE };
  if (judged.decision === "deny") return judged;
  const denials = planeDenials(request);
  // no policy determined that: whichever permitted it is not what forbids it
  if (denials.length > 0) return { decision: "deny", policies: [], reasons: denials, errors: [], engine: ENGINE };
  const asks = [...contractAsks(entry, request), ...unclear, ...planeAsks(request)];
  if (judged.decision === "allow" && asks.length === 0) return judged;
  const ask = judged.ask ?? { role: CONTRACT_ROLE, count: 1 };
  return { ...judged, decision: "ask", ask: shorter(ask, entry.approval_expires_seconds), reasons: [...judged.reasons, ...asks] };
}

/**
 * What an agent says of itself may only tighten: where policies read it, the call is judged with and without it, and
 * the stricter answer holds. Nothing said is therefore no evidence for anything.
 */
function policyOf(set: CompiledPolicySet | undefined, { request, matched }: Asked): Judgement {
  const reads = set?.reads[request.tool.effect];
  const read = (name: string) => set !== undefined && (reads === undefined || reads.has(name));
  let requests = [request];
  if (request.confidence !== undefined && read("confidence")) {
    const { confidence: _, ...rest } = request;
    requests = [...requests, rest];
  }
  if (matched !== undefined && matched !== request.sources && read("sources")) {
    requests = [...requests, ...requests.map((one) => ({ ...one, sources: matched }))];
  }
  return requests.map((one) => judge(set, one)).reduce(stricter);
}

const STRICTNESS = { allow: 0, ask: 1, deny: 2 } as const;

export function stricter(a: Judgement, b: Judgement): Judgement {
  if (a.decision !== b.decision) return STRICTNESS[a.decision] > STRICTNESS[b.decision] ? a : b;
  if (a.ask === undefined || b.ask === undefined) return a;
  const ask = tighter(a.ask, b.ask);
  if (ask === undefined) {
    const { ask: _, ...rest } = a;
    return { ...rest, decision: "deny", policies: forbids([...a.policies, ...b.policies]), reasons: [askConflict([a.ask.role, b.ask.role])] };
  }
  const policies = once([...a.policies, ...b.policies]);
  const reasons = sameAsk(a.ask, ask) ? a.reasons : b.reasons;
  return { ...a, policies, ask, reasons };
}

const sameAsk = (a: Ask, b: Ask) => a.count === b.count && a.expires_seconds === b.expires_seconds;

const forbids = (policies: Judgement["policies"]) => once(policies).filter(({ effect }) => effect === "forbid");

function once(policies: Judgement["policies"]): Judgement["policies"] {
  return [...new Map(policies.map((policy) => [policy.id, policy])).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
