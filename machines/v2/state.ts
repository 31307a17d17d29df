/**
 * The folded state of a run: what its events amount to. `decide` reads it and returns a change; `evolve` is the
 * only thing that writes it. It can be thrown away at any time and folded again (law 4).
 */
import type { Envelope } from "../../schemas/event.ts";
import type { ActionId, Actor, Digest, LedgerName, Namespace, RequestId, RunId } from "../../schemas/ids.ts";
import type { SignalInput, Unit } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Reason } from "../../schemas/reason.ts";
import { ENDED } from "./action.ts";
import type { ActionContext } from "./action-rules.ts";
import type { ApprovalContext } from "./approval.ts";
import { type Marks } from "./marks.ts";
import type { StandingApproval } from "./standing.ts";
import type { Snapshot } from "../step.ts";

export interface Approval extends Snapshot<ApprovalContext> {
  /** Text of what the approver is shown. */
  readonly view: string;
}

/** What the agent is to be told of one of its proposals; tool proposals are told from their action. */
export interface ProposalRecord {
  readonly kind: "start" | "tool" | "note" | "finish" | "fail";
  readonly action?: ActionId;
  readonly seq: number;
  readonly at: string;
}

/** What is held back for one action: money in micro-USD, and tokens. */
export interface Reservation {
  readonly reserved: number;
  /** What its attempts said they cost; undefined while none said anything. */
  readonly used: number | undefined;
  readonly tokens?: { readonly input: Reserved; readonly output: Reserved } | undefined;
}
export interface Reserved {
  readonly reserved: number;
  readonly used: number | undefined;
}

/** What a run holds of an account of the ledger in one window, by `<ledger>/<unit>/<window>`. In the account's unit. */
export interface Holding {
  readonly ledger: LedgerName;
  readonly unit: Unit;
  readonly window: string;
  /** Leased, less what was given back. */
  readonly granted: number;
  /** Settled for good. */
  readonly spent: number;
  /** Of what is left, spoken for by actions that have not ended. */
  readonly held: number;
  /** What the account said last that all runs hold and spent together. */
  readonly total: number;
  /** The last return is made: nothing is asked of the account any more. */
  readonly closed: boolean;
}

/** One need of an action: how much of it is spoken for, and the lease that it waits for. */
export interface Hold {
  readonly ledger: LedgerName;
  readonly unit: Unit;
  readonly window: string;
  readonly dimension?: "principal" | "target" | "agent" | undefined;
  readonly need: number;
  readonly held: number;
  /** Id of the lease that was asked for and is not answered. */
  readonly lease: string | undefined;
  /** Of an amount: what the account said that all runs add up to, this action included. */
  readonly total: number | undefined;
}

/** A message to an account that is owed until it is answered. A lease is for one action. */
export interface OpenSignal {
  readonly body: SignalInput & { readonly name: "lease" | "return" };
  readonly action: ActionId | undefined;
}

/** Wall time: it runs while the run is active and no person is being waited for. */
export interface WallClock {
  readonly usedMs: number;
  /** Since when it runs; undefined while it stands. */
  readonly since: string | undefined;
  /** First sequence of the commit that set it going. */
  readonly armed: number;
}

export interface Spent {
  readonly steps: number;
  /** Settled, in micro-USD. */
  readonly settled: number;
  /** Held back for actions that have not ended, in micro-USD. */
  readonly reserved: number;
  /** The same in tokens. */
  readonly input: { readonly settled: number; readonly reserved: number };
  readonly output: { readonly settled: number; readonly reserved: number };
}

/** Budgets of which half can be used. */
export type Halved = "steps" | "cost" | "wall" | "input_tokens" | "output_tokens";

export interface RunState {
  readonly ns: Namespace;
  readonly run: RunId;
  /** Version of the machines that drive this run, from its first event to its last (law 5). */
  readonly machine: string;
  seq: number;
  at: string;
  life: Snapshot<unknown>;
  /** The agent that holds the run: the only one whose proposals count. */
  holder: Actor;
  envelope: Envelope | undefined;
  goal: string;
  output: JsonValue | undefined;
  error: JsonValue | undefined;
  /** Why the run was turned away at its start. */
  reasons: readonly Reason[] | undefined;
  readonly actions: Map<ActionId, Snapshot<ActionContext>>;
  readonly approvals: Map<RequestId, Approval>;
  /** Actions that have not ended, oldest first: what a decision walks through, however long the run has been. */
  readonly open: Set<ActionId>;
  /** Requests that nobody has answered yet, oldest first. */
  readonly asked: Set<RequestId>;
  /** By `<actor>/<id>`. */
  readonly proposals: Map<string, ProposalRecord>;
  /** Hash of every input that was ever applied, by `<kind>/<actor>/<id>`. */
  readonly inputs: Map<string, Digest>;
  readonly reservations: Map<ActionId, Reservation>;
  spent: Spent;
  wall: WallClock;
  /** A budget ran out and was recorded: what exceeds it further is refused without an event. */
  exhausted: boolean;
  resumes: number;
  /** Budgets of which half is used and was warned of. */
  warned: readonly Halved[];
  marks: Marks;
  /** What the run holds of accounts of the ledger, by `<ledger>/<unit>/<window>`. */
  readonly holdings: Map<string, Holding>;
  /** Needs of actions that have not ended. */
  readonly holds: Map<ActionId, readonly Hold[]>;
  /** Leases and returns that were not answered yet, by their id. */
  readonly signals: Map<string, OpenSignal>;
  /** Approvals that stand for later actions, by the request that was approved (APP-3). */
  readonly standings: Map<RequestId, StandingApproval>;
  /** What actions are about in money, but for those that certainly did nothing: units by `<currency>/<group>`. */
  readonly amounts: Map<string, number>;
}

/** What one commit does to the state. Keys are set, entries are put. */
export interface Change {
  readonly seq: number;
  readonly at: string;
  readonly set: Partial<
    Pick<
      RunState,
      | "life"
      | "holder"
      | "envelope"
      | "goal"
      | "output"
      | "error"
      | "reasons"
      | "spent"
      | "wall"
      | "exhausted"
      | "resumes"
      | "warned"
      | "marks"
    >
  >;
  readonly actions: ReadonlyMap<ActionId, Snapshot<ActionContext>>;
  readonly approvals: ReadonlyMap<RequestId, Approval>;
  readonly proposals: ReadonlyMap<string, ProposalRecord>;
  readonly inputs: ReadonlyMap<string, Digest>;
  readonly reservations: ReadonlyMap<ActionId, Reservation>;
  /** Undefined removes the entry. */
  readonly holdings: ReadonlyMap<string, Holding | undefined>;
  readonly holds: ReadonlyMap<ActionId, readonly Hold[] | undefined>;
  readonly signals: ReadonlyMap<string, OpenSignal | undefined>;
  readonly standings: ReadonlyMap<RequestId, StandingApproval | undefined>;
  readonly amounts: ReadonlyMap<string, number>;
}

/** Applies a change in place. Whoever fails after this throws the state away and folds it again. */
export function evolve(state: RunState, change: Change): void {
  Object.assign(state, change.set);
  state.seq = change.seq;
  state.at = change.at;
  for (const [id, action] of change.actions) {
    state.actions.set(id, action);
    if (ENDED.has(action.value)) state.open.delete(id);
    else state.open.add(id);
  }
  for (const [id, approval] of change.approvals) {
    state.approvals.set(id, approval);
    if (approval.value === "requested") state.asked.add(id);
    else state.asked.delete(id);
  }
  for (const [id, proposal] of change.proposals) state.proposals.set(id, proposal);
  for (const [key, hash] of change.inputs) state.inputs.set(key, hash);
  for (const [id, reservation] of change.reservations) state.reservations.set(id, reservation);
  for (const [key, units] of change.amounts) state.amounts.set(key, units);
  put(state.holdings, change.holdings);
  put(state.holds, change.holds);
  put(state.signals, change.signals);
  put(state.standings, change.standings);
}

function put<K, V>(map: Map<K, V>, changes: ReadonlyMap<K, V | undefined>): void {
  for (const [key, value] of changes) {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }
}
