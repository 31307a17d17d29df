/**
 * What a run owes to the world, computed from its folded state and never from an old commit (law 3): dispatches to
 * make, timers to arm. Whoever takes a run over computes this, and repeats whatever it cannot know to have been done.
 */
import type { Dispatch } from "../schemas/dispatch.ts";
import type { SignalInput } from "../schemas/inputs.ts";
import { aggregateToken } from "../schemas/subjects.ts";
import { plusMillis } from "../schemas/time.ts";
import type { ActionContext } from "./action-rules.ts";
import type { RunState } from "./state.ts";

export type Owed =
  | { readonly kind: "dispatch"; readonly key: string; readonly tool: string; readonly message: Dispatch }
  | { readonly kind: "timer"; readonly key: string; readonly name: string; readonly at: string; readonly armed: number }
  /** A message to another aggregate, owed until it is answered. `to` is its token. */
  | { readonly kind: "signal"; readonly key: string; readonly to: string; readonly name: string; readonly body: SignalInput };

/** The key names the debt: the same key is the same debt, paid once per owner. */
export function owed(state: RunState): Owed[] {
  const debts: Owed[] = [];
  const timer = (name: string, at: string, armed: number, again = "") =>
    debts.push({ kind: "timer", key: `timer/${name}/${armed}${again}`, name, at, armed });

  const dispatch = (key: string, context: ActionContext, probe?: { readonly timeout_ms: number }) => {
    const { id: action, attempt, tool, document, digest, effect } = context;
    if (document === undefined || digest === undefined) return;
    const timeout_ms = probe?.timeout_ms ?? context.timeoutMs;
    const traceparent = state.envelope?.traceparent;
    const message: Dispatch = {
      v: 1,
      run: state.run,
      action,
      attempt,
      document,
      digest,
      timeout_ms,
      effect,
      ...(probe !== undefined && { probe: context.basis.probes }),
      ...(traceparent !== undefined && { traceparent }),
    };
    debts.push({ kind: "dispatch", key, tool, message });
  };

  for (const id of state.open) {
    const action = state.actions.get(id);
    if (action === undefined) continue;
    const { value, context } = action;
    // a run that was paused lets go of its dispatches; after a resume they are owed anew
    if (value === "dispatched" && state.life.value === "active") dispatch(`dispatch/${id}/${context.attempt}/${state.resumes}`, context);
    // what is in flight is found out about whatever became of the run
    if (value === "probing") dispatch(`probe/${id}/${context.attempt}/${context.basis.probes}`, context, context.basis.facts?.tool?.probe);
    // a retry that fell due while the run was paused was let go; after a resume it is owed anew
    const again = value === "retrying" && state.resumes > 0 ? `/${state.resumes}` : "";
    if (context.timer !== undefined) timer(`action:${id}`, context.timer.at, context.timer.armed, again);
  }
  for (const id of state.asked) {
    const approval = state.approvals.get(id);
    if (approval !== undefined) timer(`approval:${id}`, approval.context.timer.at, approval.context.timer.armed);
  }
  const limit = state.envelope?.budget.max_wall_ms;
  if (limit !== undefined && state.wall.since !== undefined) {
    timer("wall", plusMillis(state.wall.since, Math.max(0, limit - state.wall.usedMs)), state.wall.armed);
    // runs of the first version know no half
    if (state.machine !== "1" && !state.warned.includes("wall")) {
      timer("half", plusMillis(state.wall.since, Math.max(0, Math.ceil(limit / 2) - state.wall.usedMs)), state.wall.armed);
    }
  }
  for (const [id, { body }] of state.signals) {
    debts.push({ kind: "signal", key: `signal/${id}`, to: aggregateToken("ledger", body.ledger), name: body.name, body });
  }
  const live = state.life.value === "active" || state.life.value === "paused";
  if (live && state.envelope?.deadline !== undefined) timer("deadline", state.envelope.deadline, 1);
  return debts;
}
