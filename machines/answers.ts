/** What the agent is told, computed from the folded state: the same question always gets the current answer. */
import type { Answer } from "../schemas/answer.ts";
import type { ActionContext } from "./action-rules.ts";
import type { Change, RunState } from "./state.ts";
import type { Snapshot } from "./step.ts";
import { RUN_ENDED } from "./run.ts";

const STATUS_OF_ACTION: Readonly<Record<string, Answer["status"]>> = {
  proposed: "pending",
  reserving: "pending",
  validated: "pending",
  awaiting_approval: "pending",
  approved: "approved",
  dispatched: "approved",
  started: "approved",
  retrying: "approved",
  succeeded: "approved",
  verified: "succeeded",
  failed: "failed",
  in_doubt: "in_doubt",
  probing: "in_doubt",
  probed: "in_doubt",
  rejected: "rejected",
  denied: "denied",
};
const FINAL: ReadonlySet<Answer["status"]> = new Set(["succeeded", "failed", "rejected", "denied"]);

/** The current answer to the proposal under this key (`<actor>/<id>`). */
export function answerTo(state: RunState, key: string): Answer | undefined {
  const record = state.proposals.get(key);
  if (record === undefined) return undefined;
  const id = key.slice(key.indexOf("/") + 1);
  const base = { v: 1 as const, run: state.run, id, kind: record.kind };
  if (record.kind !== "tool" || record.action === undefined) {
    const status = record.kind === "start" ? "started" : record.kind === "note" ? "recorded" : record.kind === "finish" ? "completed" : "failed";
    if (state.life.value === "refused") {
      return { ...base, status: "refused", final: true, seq: record.seq, at: record.at, reasons: [...(state.reasons ?? [])] };
    }
    return { ...base, status, final: true, seq: record.seq, at: record.at };
  }
  const action = state.actions.get(record.action);
  if (action === undefined) return undefined;
  return { ...base, ...ofAction(state, action), seq: state.seq, at: state.at };
}

function ofAction(state: RunState, { value, context }: Snapshot<ActionContext>): Omit<Answer, "v" | "run" | "id" | "kind" | "seq" | "at"> {
  const status = STATUS_OF_ACTION[value] ?? "pending";
  // runs of the first version know no edits
  const edited = (context.basis as ActionContext["basis"] | undefined)?.edited;
  const waiting = value === "awaiting_approval" ? approvalOf(state, context.id) : undefined;
  return {
    status,
    final: FINAL.has(status),
    action: context.id,
    tool: context.tool,
    ...(context.digest !== undefined && { digest: context.digest }),
    ...(waiting && { request: waiting.request, expires_at: waiting.timer.at }),
    ...(edited !== undefined && { edited: { from: edited.from, by: edited.by, diff: [...edited.diff] } }),
    ...(context.reasons !== undefined && { reasons: [...context.reasons] }),
    ...(status === "succeeded" && { output: context.output ?? null }),
    ...(context.error !== undefined && (status === "failed" || status === "in_doubt") && { error: context.error }),
  };
}

function approvalOf(state: RunState, action: string) {
  for (const id of state.asked) {
    const approval = state.approvals.get(id);
    if (approval?.context.action === action) return approval.context;
  }
  return undefined;
}

/** Keys of the proposals whose answer a change may have changed. */
export function touched(state: RunState, change: Change): string[] {
  const keys = new Set(change.proposals.keys());
  for (const action of change.actions.values()) keys.add(`${action.context.agent}/${action.context.proposal}`);
  return [...keys].filter((key) => state.proposals.has(key));
}

const STATUS_OF_RUN: Readonly<Record<string, Answer["status"]>> = {
  active: "resumed",
  paused: "paused",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  refused: "refused",
};

/** News of the run itself, for the agent that holds it: what became of its life by somebody else's word. */
export function news(state: RunState): Answer {
  return {
    v: 1,
    run: state.run,
    id: null,
    kind: "run",
    status: STATUS_OF_RUN[state.life.value] ?? "refused",
    final: RUN_ENDED.has(state.life.value),
    seq: state.seq,
    at: state.at,
    ...(state.error !== undefined && { error: state.error }),
  };
}
