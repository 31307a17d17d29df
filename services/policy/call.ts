/** The judgement request of one call, from the documents that govern it and the run as it stands. */
import type { Principal } from "../../schemas/facts.ts";
import type { JudgementRequest } from "../../schemas/judgement.ts";
import type { Call, Case } from "./case.ts";
import { dataOf } from "./destination.ts";
import { riskOf, type RiskTable } from "./risk.ts";
import { elapsedSeconds, endedAs } from "./rules-1.ts";

/** The principal as it counts at a time: after its end a token verifies nothing. */
export function principalStanding(principal: Principal | null, at: string): JudgementRequest["principal"] {
  if (principal === null) return null;
  const { subject, issuer, expires_at, roles } = principal;
  const expired = principal.verified && expires_at !== undefined && expires_at <= at;
  const verified = principal.verified && !expired;
  return { subject, ...(issuer !== undefined && { issuer }), verified, ...(expired && { expired }), roles: verified ? [...(roles ?? [])] : [] };
}

export function requestOf({ contract, tool, state, proposal, costMicroUsd, at }: Case, call: Call, risk: RiskTable | undefined): JudgementRequest {
  const { agent, data } = contract;
  const { version, project } = agent;
  const { amount, totals } = call;
  const { regions, kinds } = dataOf(data?.labels ?? []);
  const [region, ...others] = regions;
  const successes = endedAs(state, "verified");
  const failures = endedAs(state, "failed");
  const request: JudgementRequest = {
    namespace: state.ns,
    agent: { name: agent.name, ...(version !== undefined && { version }), owner: agent.owner, team: agent.team, ...(project !== undefined && { project }) },
    tool: {
      name: tool.name,
      tags: tool.tags,
      effect: tool.effect,
      ...(tool.region !== undefined && { region: tool.region }),
      idempotent: tool.idempotent,
      trusted: tool.trusted ?? false,
      clearance: tool.clearance ?? [],
    },
    principal: principalStanding(call.principal, at),
    ...(amount?.text !== undefined && { amount: amount.text }),
    ...(amount?.currency !== undefined && { currency: amount.currency }),
    ...(totals !== undefined && { amounts: totals }),
    tokens: { input: call.tokens.input, output: call.tokens.output },
    cost_micro_usd: costMicroUsd,
    ...(proposal.confidence !== undefined && { confidence: proposal.confidence }),
    ...(region !== undefined && others.length === 0 && { region }),
    regions,
    tainted: call.tainted,
    labels: [...new Set([...call.labels, ...kinds])].sort(),
    sources: call.sources,
    at,
    run: {
      id: state.run,
      steps: state.spent.steps,
      cost_micro_usd: state.spent.settled + state.spent.reserved,
      input_tokens: state.spent.input.settled + state.spent.input.reserved,
      output_tokens: state.spent.output.settled + state.spent.output.reserved,
      elapsed_seconds: elapsedSeconds(state, at),
      depth: 0,
      succeeded: Object.keys(successes),
      failed: Object.keys(failures),
      successes,
      failures,
    },
  };
  return { ...request, risk: riskOf(request, risk) };
}
