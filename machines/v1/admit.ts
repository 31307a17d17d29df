/** Whether a run may begin, and with which envelope. */
import type { Envelope } from "../../schemas/event.ts";
import type { StartFacts } from "../../schemas/facts.ts";
import type { Actor } from "../../schemas/ids.ts";
import { microUsd } from "../../schemas/money.ts";
import type { StartProposal } from "../../schemas/proposal.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { millis, timestamp } from "../../schemas/time.ts";
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
  const refusals: Reason[] = [];
  if (body.agent.version !== undefined && facts.agent.version !== undefined && body.agent.version !== facts.agent.version) {
    refusals.push(
      reason("agent.version", `version \`${body.agent.version}\` is not in force, \`${facts.agent.version}\` is`, { path: "/agent/version" }),
    );
  }
  const deadline = body.deadline === undefined ? undefined : timestamp(millis(body.deadline));
  if (deadline !== undefined && deadline <= work.at) {
    refusals.push(reason("deadline.passed", `the deadline ${deadline} has passed`, { path: "/deadline" }));
  }
  work.set.holder = actor;
  if (refusals.length > 0) {
    work.run({ type: "TURN_AWAY", reasons: refusals });
    work.set.reasons = refusals;
    return [];
  }
  const { version } = facts.agent;
  const envelope: Envelope = {
    agent: { name: facts.agent.name, ...(version !== undefined && { version }) },
    owner: facts.agent.owner,
    team: facts.agent.team,
    principal: facts.principal,
    documents: facts.documents,
    budget: narrow(facts.budgets, body.budget),
    ...(deadline !== undefined && { deadline }),
    ...(traceparent !== undefined && { traceparent }),
  };
  work.set.envelope = envelope;
  work.set.goal = body.goal;
  work.run({ type: "ADMIT", envelope, goal: body.goal });
  return [];
}

/** A wish beyond these says nothing, and would not stay a time or a whole number: 366 days, and 10^9 USD in micro-USD. */
const MAX_WALL_MS = 366 * 24 * 3600 * 1000;
const MAX_COST_MICRO_USD = 1e15;

/** The contract's budget and the agent's wish: the smaller of each. A wish never widens. */
function narrow(contract: StartFacts["budgets"], wish: StartProposal["budget"]): Envelope["budget"] {
  const steps = least(contract.max_steps, wish?.max_steps);
  const cost = least(contract.max_cost_micro_usd, bounded(wish?.max_cost_usd, microUsd, MAX_COST_MICRO_USD));
  const wall = least(contract.max_wall_ms, bounded(wish?.max_wall_seconds, (seconds) => Math.ceil(seconds * 1000), MAX_WALL_MS));
  return {
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
