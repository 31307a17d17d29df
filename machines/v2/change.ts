/**
 * A change of several documents (POL-6) is a run of the plane's own agent with one action: proposed by an operator,
 * judged, agreed to where the policy set says so, executed like any other; the run ends with it.
 */
import type { Facts } from "../../schemas/facts.ts";
import { type Actor, startingAgent, toolName } from "../../schemas/ids.ts";
import type { ApplyChangeInput } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { reason } from "../../schemas/reason.ts";
import { enter } from "./admit.ts";
import type { RunInput } from "./input.ts";
import { beginAction, exhaustedNow } from "./judging.ts";
import { uncovered } from "./leases.ts";
import { DONE, type Refusal } from "./outcome.ts";
import type { Work } from "./work.ts";

/** Nobody can be given a name that begins so. */
export const CHANGE_AGENT = "signalbox-registry" as Actor;
export const CHANGE_TOOL = toolName("signalbox.apply");

/** What is judged, as if the plane's own agent had proposed it. */
export function changeProposal({ id, documents, reason: why }: ApplyChangeInput): ToolProposal {
  const input = { documents, ...(why !== undefined && { reason: why }) } as unknown as JsonValue;
  return { kind: "tool", id, tool: CHANGE_TOOL, input, ...(why !== undefined && { why }) };
}

export function applyChange(work: Work, input: RunInput, body: ApplyChangeInput, facts: Facts): Refusal {
  const { state } = work;
  if (startingAgent(state.run) !== CHANGE_AGENT) return [reason("run.prefix", `only a run of \`${CHANGE_AGENT}\` changes documents`)];
  if (state.seq > 0) return [reason("run.exists", `run \`${state.run}\` was started before`, { help: "choose another id" })];
  if (facts.kind !== "change") throw new Error("a change came without its facts");
  const began = { seq: work.next, at: work.at };
  const goal = body.reason ?? `put ${body.documents.length} document(s) in force`;
  work.set.holder = CHANGE_AGENT;
  // whoever applies it stands in the chain, and cannot agree to it
  const entered = enter(work, input.traceparent, { goal, through: [`person:${input.actor}`] }, facts.start, []);
  if (!entered) {
    work.propose(`${CHANGE_AGENT}/${input.id}`, { kind: "start", ...began });
    return DONE;
  }
  const id = beginAction(work, {
    agent: CHANGE_AGENT,
    proposal: input.id,
    asked: changeProposal(body),
    facts: facts.tool,
    missing: uncovered(state, undefined, facts.tool.needs ?? []),
    exhausted: exhaustedNow(work, facts.tool),
  });
  work.propose(`${CHANGE_AGENT}/${input.id}`, { kind: "tool", action: id, ...began });
  return DONE;
}
