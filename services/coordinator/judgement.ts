/** Puts one proposal before policy and contract, with the run as it stands. Policies are compiled once per set. */
import type { RunState } from "../../machines/state.ts";
import type { Contract, ContractTool } from "../../schemas/contract.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { Judgement, JudgementRequest } from "../../schemas/judgement.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { millis } from "../../schemas/time.ts";
import type { Tool } from "../../schemas/tool.ts";
import { type CompiledPolicySet, compilePolicySet } from "../policy/compile.ts";
import { amountOf, combine } from "../policy/decide.ts";
import { judge } from "../policy/judge.ts";
import type { InForce } from "../registry/view.ts";

export interface Case {
  readonly policy: InForce<PolicySet> | undefined;
  readonly contract: Contract;
  readonly entry: ContractTool;
  readonly tool: Tool;
  readonly state: RunState;
  readonly proposal: ToolProposal;
  readonly costMicroUsd: number;
  readonly at: string;
}

export class PolicyJudge {
  #compiled: { readonly digest: Digest; readonly set: CompiledPolicySet | undefined } | undefined;

  judge(asked: Case): Judgement {
    const { entry, tool, proposal } = asked;
    return combine(entry, tool.effect, proposal.input, judge(this.#set(asked.policy), requestOf(asked)));
  }

  /** A set that does not compile rules nothing, and what no set permits is denied. */
  #set(policy: InForce<PolicySet> | undefined): CompiledPolicySet | undefined {
    if (policy === undefined) return undefined;
    if (this.#compiled?.digest !== policy.digest) {
      const compiled = compilePolicySet(policy.value);
      this.#compiled = { digest: policy.digest, set: compiled.ok ? compiled.set : undefined };
    }
    return this.#compiled.set;
  }
}

function requestOf({ contract, entry, tool, state, proposal, costMicroUsd, at }: Case): JudgementRequest {
  const { agent } = contract;
  const amount = amountOf(entry, proposal.input);
  const principal = state.envelope?.principal ?? null;
  return {
    namespace: state.ns,
    agent: { name: agent.name, ...(agent.version !== undefined && { version: agent.version }), owner: agent.owner, team: agent.team },
    tool: {
      name: tool.name,
      tags: tool.tags,
      effect: tool.effect,
      ...(tool.region !== undefined && { region: tool.region }),
      idempotent: tool.idempotent,
    },
    principal: principal && {
      subject: principal.subject,
      ...(principal.issuer !== undefined && { issuer: principal.issuer }),
      verified: principal.verified,
    },
    ...(amount !== undefined && { amount }),
    cost_micro_usd: costMicroUsd,
    ...(proposal.confidence !== undefined && { confidence: proposal.confidence }),
    at,
    run: {
      id: state.run,
      steps: state.spent.steps,
      cost_micro_usd: state.spent.settled + state.spent.reserved,
      elapsed_seconds: elapsedSeconds(state, at),
      depth: 0,
      succeeded: toolsThat(state, "verified"),
      failed: toolsThat(state, "failed"),
    },
  };
}

/** Wall time used, in whole seconds: people's thinking does not count. */
function elapsedSeconds({ wall }: RunState, at: string): number {
  const running = wall.since === undefined ? 0 : Math.max(0, millis(at) - millis(wall.since));
  return Math.floor((wall.usedMs + running) / 1000);
}

function toolsThat(state: RunState, ended: string): string[] {
  const names = new Set<string>();
  for (const { value, context } of state.actions.values()) if (value === ended) names.add(context.tool);
  return [...names].sort();
}
