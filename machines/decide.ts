/**
 * The plane's decision on one input: a pure function of the run's folded state, the input, and the facts that were
 * looked up for it. Who hears what: the run's own machine its life, each action and approval its own events.
 */
import type { Facts } from "../schemas/facts.ts";
import type { Proposal, StartProposal } from "../schemas/proposal.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import { later } from "../schemas/time.ts";
import { applyChange } from "./change.ts";
import { control, due } from "./controls.ts";
import { answer } from "./decisions.ts";
import type { Decision, RunInput } from "./input.ts";
import { type Refusal, STALE } from "./outcome.ts";
import { propose, start } from "./proposals.ts";
import { report } from "./reports.ts";
import { signal } from "./signals.ts";
import type { RunState } from "./state.ts";
import { upkeep } from "./upkeep.ts";
import { Work } from "./work.ts";

export type { Decision, RunInput } from "./input.ts";
export { MAX_OPEN_ACTIONS } from "./input.ts";

const refuse = (...reasons: Reason[]): Decision => ({ kind: "refuse", reasons });

/** `decide(state, input, facts)`: same arguments, same events, byte for byte. `state` is only read. */
export function decide(state: RunState, input: RunInput, facts: Facts): Decision {
  const work = new Work(state, state.at === "" ? input.time : later(state.at, input.time));
  if (input.kind === "due") return finish(work, due(work, input.body));

  // joined it lies in one piece: what is concatenated keeps its parts, and a run keeps thousands of these
  const key = [input.kind, input.actor, input.id].join("/");
  const known = state.inputs.get(key);
  if (known === input.hash) return { kind: "duplicate" };
  if (known !== undefined) {
    return refuse(
      reason("id.reused", `id \`${input.id}\` was used before with other content`, { path: "/id", help: "give every new message an id of its own" }),
    );
  }
  const outcome = route(work, input, facts);
  if (outcome.length === 0) work.remember(key, input.hash);
  return finish(work, outcome);
}

function finish(work: Work, refusal: Refusal): Decision {
  if (refusal === STALE) return { kind: "ignore" };
  if (refusal.length > 0) return { kind: "refuse", reasons: refusal };
  upkeep(work);
  return { kind: "commit", drafts: work.drafts, change: work.change() };
}

function route(work: Work, input: RunInput, facts: Facts): Refusal {
  const { state } = work;
  if (input.kind === "propose" && input.body.kind === "start") return start(work, input, input.body, facts);
  if (input.kind === "apply") return applyChange(work, input, input.body, facts);
  if (state.seq === 0) {
    return [reason("run.unknown", `there is no run \`${state.run}\``, { help: "propose `start` first" })];
  }
  switch (input.kind) {
    case "propose":
      // a start was taken above
      return propose(work, input, input.body as Exclude<Proposal, StartProposal>, facts);
    case "decide":
      return answer(work, input, input.body, facts);
    case "report":
      return report(work, input.actor, input.body, facts);
    case "control":
      return control(work, input.actor, input.body, facts);
    case "signal":
      return signal(work, input.actor, input.body, facts);
    case "due":
      return due(work, input.body);
  }
}
