/** Whether a run may begin, and with which envelope. */
import type { Envelope } from "../../schemas/event.ts";
import type { StartFacts } from "../../schemas/facts.ts";
import type { Actor } from "../../schemas/ids.ts";
import { microUsd } from "../../schemas/money.ts";
import type { StartProposal } from "../../schemas/proposal.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { millis, timestamp } from "../../schemas/time.ts";
import { chainFrom } from "./chain.ts";
import { stopped } from "./guard-hit.ts";
import type { Work } from "./work.ts";

/**
 * Drafts `run.started`, or `run.refused` for a start that a known agent made and its contract cannot bear.
 * Returns reasons, and drafts nothing, for what must leave no journal behind: there is no such agent.
 */
export function admit(work: Work, actor: Actor, traceparent: string | undefined, body: StartProposal, facts: StartFacts): readonly Reason[] {
  if (body.agent.name !== actor) {
    return [reason("run.not_holder", `\`${actor}\` cannot start a run for \`${body.agent.name}\``, { path: "/agent/name" })];
  }
  if (facts.agent === undefined) {
    return [reason("contract.missing", `agent \`${actor}\` has no contract here`, { help: "an operator applies one with `signalbox apply`" })];
  }
  const faults: Reason[] = [];
  if (body.agent.version !== undefined && facts.agent.version !== undefined && body.agent.version !== facts.agent.version) {
    faults.push(
      reason("agent.version", `version \`${body.agent.version}\` is not in force, \`${facts.agent.version}\` is`, { path: "/agent/version" }),
    );
  }
  const deadline = body.deadline === undefined ? undefined : timestamp(millis(body.deadline));
  if (deadline !== undefined && deadline <= work.at) {
    faults.push(reason("deadline.passed", `the deadline ${deadline} has passed`, { path: "/deadline" }));
  }
  work.set.holder = actor;
  enter(work, traceparent, { goal: body.goal, deadline, budget: body.budget, through: [] }, facts, faults);
  return [];
}

interface Entering {
  readonly goal: string;
  readonly deadline?: string | undefined;
  readonly budget?: StartProposal["budget"];
  /** Names between principal and agent in the chain of delegation. */
  readonly through: readonly string[];
}

/**
 * Starts the run, or turns it away for these faults, for what is wrong with its principal's token, or for a stop.
 * @returns whether it was started
 */
export function enter(work: Work, traceparent: string | undefined, entering: Entering, facts: StartFacts, faults: readonly Reason[]): boolean {
  const reasons = [...faults, ...(facts.refusals ?? []), ...(facts.guard === undefined ? [] : [stopped(facts.guard)])];
  if (facts.agent === undefined) reasons.push(reason("contract.missing", "the agent has no contract here"));
  if (reasons.length > 0 || facts.agent === undefined) {
    work.run({ type: "TURN_AWAY", reasons });
    work.set.reasons = reasons;
    return false;
  }
  const { goal, deadline, budget, through } = entering;
  const { name, version, owner, team, project } = facts.agent;
  const envelope: Envelope = {
    agent: { name, ...(version !== undefined && { version }) },
    owner,
    team,
    ...(project !== undefined && { project }),
    principal: facts.principal,
    chain: chainFrom(facts.principal, name, ...through),
    documents: facts.documents,
    budget: narrow(facts.budgets, budget),
    ...(deadline !== undefined && { deadline }),
    ...(traceparent !== undefined && { traceparent }),
  };
  work.set.envelope = envelope;
  work.set.goal = goal;
  work.run({ type: "ADMIT", envelope, goal });
  return true;
}

/** A wish beyond these says nothing, and would not stay a time or a whole number: 366 days, and 10^9 USD in micro-USD. */
const MAX_WALL_MS = 366 * 24 * 3600 * 1000;
const MAX_COST_MICRO_USD = 1e15;

/** The contract's budget and the agent's wish: the smaller of each. A wish never widens. */
function narrow(contract: StartFacts["budgets"], wish: StartProposal["budget"]): Envelope["budget"] {
  const steps = least(contract.max_steps, wish?.max_steps);
  const cost = least(contract.max_cost_micro_usd, bounded(wish?.max_cost_usd, microUsd, MAX_COST_MICRO_USD));
  const wall = least(contract.max_wall_ms, bounded(wish?.max_wall_seconds, (seconds) => Math.ceil(seconds * 1000), MAX_WALL_MS));
  const { max_input_tokens, max_output_tokens, max_depth, pause_at_half } = contract;
  return {
    ...(max_input_tokens !== undefined && { max_input_tokens }),
    ...(max_output_tokens !== undefined && { max_output_tokens }),
    ...(max_depth !== undefined && { max_depth }),
    ...(pause_at_half === true && { pause_at_half }),
    ...(steps !== undefined && { max_steps: steps }),
    ...(cost !== undefined && { max_cost_micro_usd: cost }),
    ...(wall !== undefined && { max_wall_ms: wall }),
  };
}

function bounded(wish: number | undefined, inUnits: (wish: number) => number, most: number): number | undefined {
  return wish === undefined ? undefined : Math.min(most, inUnits(wish));
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}
