/** A run as it stood at some point of its history: folded by its machines up to there, and proved on the way. */
import type { RunState } from "../../machines/state.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import type { ToolError } from "../../schemas/inputs.ts";
import type { JournalEvent } from "../bus/commit.ts";
import { type Difference, Replayer } from "./replay.ts";
import { stateHash } from "./state-hash.ts";

export type Moment = { readonly seq: number } | { readonly time: string };

export interface StateAt {
  readonly run: string;
  readonly ns: string;
  /** The last event that had happened, and when. A commit happens at once: with one of its events, all have. */
  readonly seq: number;
  readonly at: string;
  /** Nothing of the run was recorded after it. */
  readonly last_recorded: boolean;
  readonly machine: string;
  /** Of all that the state holds, also of what is not shown. */
  readonly state_hash: Digest;
  readonly life: string;
  readonly goal: string;
  readonly holder: string;
  readonly actions: readonly { readonly action: string; readonly tool: string; readonly state: string; readonly attempt: number; readonly error?: ToolError }[];
  readonly approvals: readonly {
    readonly request: string;
    readonly action: string;
    readonly state: string;
    readonly role: string;
    readonly count: number;
    readonly grants: readonly string[];
    readonly expires_at: string | undefined;
  }[];
  readonly spend: { readonly steps: number; readonly settled_micro_usd: number; readonly reserved_micro_usd: number };
  /** Where the machine parts from the record; what is shown is then the state before that. */
  readonly difference?: Difference;
}

/**
 * Folds a run's events, in order, up to a sequence of the run or a time of the server, both included.
 * @returns undefined when nothing had happened by then
 */
export async function stateAt(ns: Namespace, run: string, events: AsyncIterable<JournalEvent> | Iterable<JournalEvent>, moment: Moment): Promise<StateAt | undefined> {
  const replayer = new Replayer(ns, "run", run);
  let last_recorded = true;
  for await (const event of events) {
    const { seq, part, at } = event.body;
    if (part[0] === 1 && ("seq" in moment ? seq > moment.seq : at > moment.time)) {
      last_recorded = false;
      break;
    }
    replayer.push(event);
  }
  const state = replayer.state as RunState | undefined;
  return state === undefined || state.seq === 0 ? undefined : viewOf(state, last_recorded, replayer.report.difference);
}

function viewOf(state: RunState, last_recorded: boolean, difference: Difference | undefined): StateAt {
  return {
    run: state.run,
    ns: state.ns,
    seq: state.seq,
    at: state.at,
    last_recorded: last_recorded && difference === undefined,
    machine: state.machine,
    state_hash: stateHash(state),
    life: state.life.value,
    goal: state.goal,
    holder: state.holder,
    actions: [...state.actions].map(([action, { value, context }]) => ({
      action,
      tool: context.tool,
      state: value,
      attempt: context.attempt,
      ...(context.error !== undefined && { error: context.error }),
    })),
    approvals: [...state.approvals].map(([request, { value, context }]) => ({
      request,
      action: context.action,
      state: value,
      role: context.role,
      count: context.count,
      grants: [...context.grants],
      expires_at: context.timer?.at,
    })),
    spend: { steps: state.spent.steps, settled_micro_usd: state.spent.settled, reserved_micro_usd: state.spent.reserved },
    ...(difference !== undefined && { difference }),
  };
}
