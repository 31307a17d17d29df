/**
 * Puts one proposal before policy and contract, with the run as it stands. The coordinator judges with it, and replay
 * judges again with it: what policy is asked is one piece of code. Policies are compiled once per set.
 */
import type { RunState } from "../../machines/state.ts";
import type { Contract, ContractTool } from "../../schemas/contract.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { Judgement, JudgementRequest } from "../../schemas/judgement.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { millis } from "../../schemas/time.ts";
import type { Tool } from "../../schemas/tool.ts";
import { type CompiledPolicySet, compilePolicySet } from "./compile.ts";
import { amountOf, combine } from "./decide.ts";
import { judge } from "./judge.ts";
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

export interface Judge {
  judge(asked: Case): Judgement;
}

/** A namespace has one set in force; a journal of years has some more, mostly one after the other. */
const SETS = 16;

export class PolicyJudge implements Judge {
  /** Least recently compiled first. */
  readonly #compiled = new Map<Digest, CompiledPolicySet | undefined>();

  judge(asked: Case): Judgement {
    const { entry, tool, proposal } = asked;
    return combine(entry, tool.effect, proposal.input, judge(this.#set(asked.policy), requestOf(asked)));
  }

  /** A set that does not compile rules nothing, and what no set permits is denied. */
  #set(policy: InForce<PolicySet> | undefined): CompiledPolicySet | undefined {
    if (policy === undefined) return undefined;
    const { digest } = policy;
    if (this.#compiled.has(digest)) return this.#compiled.get(digest);
    const compiled = compilePolicySet(policy.value);
    const set = compiled.ok ? compiled.set : undefined;
    this.#compiled.set(digest, set);
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > SETS && oldest !== undefined) this.#compiled.delete(oldest);
    return set;
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
