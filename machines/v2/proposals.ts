/** What an agent proposes; and what was proposed, when it is judged again. */
import type { Facts } from "../../schemas/facts.ts";
import { startingAgent } from "../../schemas/ids.ts";
import type { Proposal, StartProposal, ToolProposal } from "../../schemas/proposal.ts";
import { reason } from "../../schemas/reason.ts";
import { admit } from "./admit.ts";
import { endWith } from "./controls.ts";
import { MAX_OPEN_ACTIONS, type RunInput } from "./input.ts";
import { beginAction, exhaustedNow, refresh } from "./judging.ts";
import { uncovered } from "./leases.ts";
import { DONE, type Refusal } from "./outcome.ts";
import type { Work } from "./work.ts";

export function start(work: Work, input: RunInput, body: StartProposal, facts: Facts): Refusal {
  const { state } = work;
  if (startingAgent(state.run) !== input.actor) {
    return [reason("run.prefix", `only \`${startingAgent(state.run)}\` may start \`${state.run}\``, { help: "a run's name begins with its agent's" })];
  }
  if (state.seq > 0) return [reason("run.exists", `run \`${state.run}\` was started before`, { help: "choose another run id" })];
  if (facts.kind !== "start") throw new Error("a start came without its facts");
  const refusal = admit(work, input.actor, input.traceparent, body, facts);
  if (refusal.length === 0) work.propose(`${input.actor}/${input.id}`, { kind: "start", seq: work.next - 1, at: work.at });
  return refusal;
}

export function propose(work: Work, input: RunInput, body: Exclude<Proposal, StartProposal>, facts: Facts): Refusal {
  const { state } = work;
  if (input.actor !== state.holder) {
    return [reason("run.not_holder", `run \`${state.run}\` is held by \`${state.holder}\``)];
  }
  if (work.over) return [reason("run.ended", `run \`${state.run}\` is ${work.life}`, { help: "start another run" })];
  const record = { seq: work.next, at: work.at };
  const key = `${input.actor}/${input.id}`;
  switch (body.kind) {
    case "note":
      work.run({ type: "NOTE", text: body.text });
      work.propose(key, { kind: "note", ...record });
      return DONE;
    case "finish": {
      const open = work.openActions();
      if (open.length > 0) {
        return [reason("run.actions_open", `${open.length} action(s) have not ended: ${open.slice(0, 8).join(", ")}`, { help: "await their outcome, or propose `fail`" })];
      }
      if (work.held) return [reason("run.paused", "the run is paused", { help: "an operator resumes it" })];
      work.run({ type: "FINISH", output: body.output });
      work.set.output = body.output;
      work.propose(key, { kind: "finish", ...record });
      return DONE;
    }
    case "fail":
      endWith(work, () => work.run({ type: "FAIL", error: body.error }), "the agent gave up");
      work.set.error = body.error;
      work.propose(key, { kind: "fail", ...record });
      return DONE;
    case "tool":
      return proposeTool(work, input, body, facts);
  }
}

function proposeTool(work: Work, input: RunInput, body: ToolProposal, facts: Facts): Refusal {
  if (facts.kind !== "tool") throw new Error("a tool proposal came without its facts");
  const { state } = work;
  if (state.open.size >= MAX_OPEN_ACTIONS) {
    return [reason("run.too_many_open", `${MAX_OPEN_ACTIONS} actions have not ended`, { help: "await the outcome of some" })];
  }
  const exhausted = exhaustedNow(work, facts);
  if (exhausted !== undefined && state.exhausted) return [exhausted.reason];
  const began = { seq: work.next, at: work.at };
  refresh(work, facts.principal);
  const missing = facts.needs === undefined ? [] : uncovered(state, undefined, facts.needs);
  const action = beginAction(work, { agent: input.actor, proposal: input.id, asked: body, facts, missing, exhausted });
  work.propose(`${input.actor}/${input.id}`, { kind: "tool", action, ...began });
  return DONE;
}
