/** Rules of version 1, for the runs that machine 1 drives: what they were judged by is what they are judged by again. */
import type { RunState } from "../../machines/state.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { JudgementRequest } from "../../schemas/judgement.ts";
import { millis } from "../../schemas/time.ts";
import { amountOf } from "./decide.ts";
import type { Case } from "./case.ts";

/** The version of machines whose runs these rules judge. */
export const MACHINE_OF_RULES_1 = "1";

export function requestOfRules1({ contract, entry, tool, state, proposal, costMicroUsd, at }: Case): JudgementRequest {
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
      trusted: false,
      clearance: [],
    },
    principal: principal && {
      subject: principal.subject,
      ...(principal.issuer !== undefined && { issuer: principal.issuer }),
      verified: principal.verified,
      roles: [],
    },
    ...(amount !== undefined && { amount }),
    tokens: { input: 0, output: 0 },
    cost_micro_usd: costMicroUsd,
    ...(proposal.confidence !== undefined && { confidence: proposal.confidence }),
    regions: [],
    tainted: false,
    labels: [],
    sources: 0,
    at,
    run: {
      id: state.run,
      steps: state.spent.steps,
      cost_micro_usd: state.spent.settled + state.spent.reserved,
      input_tokens: 0,
      output_tokens: 0,
      elapsed_seconds: elapsedSeconds(state, at),
      depth: 0,
      succeeded: Object.keys(endedAs(state, "verified")),
      failed: Object.keys(endedAs(state, "failed")),
      successes: {},
      failures: {},
    },
  };
}

/** Wall time used, in whole seconds: people's thinking does not count. */
export function elapsedSeconds({ wall }: RunState, at: string): number {
  const running = wall.since === undefined ? 0 : Math.max(0, millis(at) - millis(wall.since));
  return Math.floor((wall.usedMs + running) / 1000);
}

/** How many actions of each tool ended so, in the order of the tools' names. */
export function endedAs({ actions, open }: RunState, ended: "verified" | "failed"): Record<string, number> {
  let tally = TALLIES.get(actions);
  if (tally === undefined) TALLIES.set(actions, (tally = { looked: 0, ids: actions.keys(), open: new Set(), verified: new Map(), failed: new Map() }));
  // an iterator that never came to its end goes on with what was put in since
  for (; tally.looked < actions.size; tally.looked++) tally.open.add(tally.ids.next().value as ActionId);
  for (const id of tally.open) {
    if (open.has(id)) continue;
    tally.open.delete(id);
    const action = actions.get(id);
    const counts = action?.value === "verified" ? tally.verified : action?.value === "failed" ? tally.failed : undefined;
    if (action !== undefined) counts?.set(action.context.tool, (counts.get(action.context.tool) ?? 0) + 1);
  }
  return Object.fromEntries([...tally[ended]].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Of each run in memory: an action that has ended has ended for good, and is counted once. Counted anew for every call,
 * a run's hundredth action cost ten times its tenth.
 */
interface Tally {
  looked: number;
  readonly ids: Iterator<ActionId>;
  /** Looked at and not counted. */
  readonly open: Set<ActionId>;
  readonly verified: Map<string, number>;
  readonly failed: Map<string, number>;
}
const TALLIES = new WeakMap<RunState["actions"], Tally>();
