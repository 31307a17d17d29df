/**
 * The account of a team, a project, an agent, or of an amount that adds up, on one day (GUARD-7). Runs lease from it and
 * give back what they did not use, so that no two of them together exceed its cap, whichever came first. What is asked
 * twice is answered twice, in the same way.
 *
 * Totals and holdings are kept beside the chart and come to it with each event: they grow with the day, and a chart's
 * context is copied at every step.
 */
import { setup } from "xstate";
import type { EventData, EventDraft } from "../schemas/event.ts";
import type { LedgerFacts } from "../schemas/facts.ts";
import type { Digest, LedgerName, Namespace } from "../schemas/ids.ts";
import type { SignalInput } from "../schemas/inputs.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import { later } from "../schemas/time.ts";
import { took } from "./record.ts";
import { type Snapshot, begin, step } from "./step.ts";

type Lease = Extract<SignalInput, { name: "lease" }>;
type Return = Extract<SignalInput, { name: "return" }>;

export type LedgerEvent =
  | {
      readonly type: "LEASE";
      readonly run: string;
      readonly asked: Lease;
      /** Held and spent in the window before this. */
      readonly total: number;
      readonly cap: number | undefined;
    }
  | {
      readonly type: "RETURN";
      readonly run: string;
      readonly given: Return;
      readonly total: number;
      /** What the run holds of this window: nobody gives back what is another's. */
      readonly held: number;
    };

interface Args {
  readonly event: LedgerEvent;
}

/** What a lease is granted: all or nothing of its need, and as much of its wish as is left. An amount is only counted. */
function grantOf(event: LedgerEvent): number {
  if (event.type !== "LEASE") return 0;
  const { asked, total, cap } = event;
  if (asked.unit === "amount") return asked.need;
  const wish = Math.max(asked.need, asked.want);
  if (cap === undefined) return wish;
  return total + asked.need <= cap ? Math.min(wish, cap - total) : 0;
}

const fits = ({ event }: Args) =>
  event.type === "LEASE" && (event.asked.unit === "amount" || event.cap === undefined || event.total + event.asked.need <= event.cap);

const accountOf = ({ ledger, unit, window }: Lease | Return) => ({ ledger, unit, window });
const capOf = (cap: number | undefined) => (cap === undefined ? {} : { cap });

function leased({ event }: Args): EventData<"ledger.leased"> {
  if (event.type !== "LEASE") throw new Error("nothing was asked for");
  const granted = grantOf(event);
  return { ...accountOf(event.asked), run: event.run, granted, total: event.total + granted, ...capOf(event.cap) };
}
function refused({ event }: Args): EventData<"ledger.refused"> {
  if (event.type !== "LEASE") throw new Error("nothing was asked for");
  return { ...accountOf(event.asked), run: event.run, need: event.asked.need, total: event.total, ...capOf(event.cap) };
}
function returned({ event }: Args): EventData<"ledger.returned"> {
  if (event.type !== "RETURN") throw new Error("nothing was given back");
  const unused = Math.min(event.given.unused, event.held);
  return { ...accountOf(event.given), run: event.run, unused, total: event.total - unused, last: event.given.last };
}

const asks = (from: string) => ({
  LEASE: [
    { guard: fits, target: "open", actions: [took(from, "open", "ledger.leased", leased)] },
    { target: "open", actions: [took(from, "open", "ledger.refused", refused)] },
  ],
  RETURN: { target: "open", actions: [took(from, "open", "ledger.returned", returned)] },
});

export const ledgerMachine = setup({
  types: { events: {} as LedgerEvent },
  actions: { took: (_, _event: unknown) => {} },
}).createMachine({
  id: "ledger",
  version: "2",
  options: { maxIterations: 16 },
  initial: "absent",
  states: { absent: { on: asks("absent") }, open: { on: asks("open") } },
});

export interface LedgerState {
  readonly ns: Namespace;
  readonly name: LedgerName;
  readonly machine: string;
  seq: number;
  at: string;
  snapshot: Snapshot<unknown>;
  /** Held and spent, by `<unit>/<window>`. */
  readonly totals: Map<string, number>;
  /** What a run may still give back, by `<run>/<unit>/<window>`. Requests are spent when they are leased. */
  readonly held: Map<string, number>;
  /** What was answered, by `<run>/<id>`. */
  readonly answered: Map<string, { readonly hash: Digest; readonly reply: SignalInput }>;
}

export interface LedgerInput {
  /** Token of the run. */
  readonly actor: string;
  readonly id: string;
  readonly hash: Digest;
  readonly time: string;
  readonly body: SignalInput;
}

export interface LedgerChange {
  readonly seq: number;
  readonly at: string;
  readonly snapshot: Snapshot<unknown>;
  readonly total: readonly [string, number];
  /** Undefined where nothing is given back. */
  readonly held: readonly [string, number] | undefined;
  readonly answered: readonly [string, { readonly hash: Digest; readonly reply: SignalInput }];
}

export type LedgerDecision =
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: LedgerChange; readonly reply: SignalInput }
  /** Answered before: the run is told the same again. */
  | { readonly kind: "duplicate"; readonly reply: SignalInput }
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] };

export function emptyLedger(ns: Namespace, name: LedgerName, machine: string): LedgerState {
  const snapshot = begin<unknown>(ledgerMachine, {}).next;
  return { ns, name, machine, seq: 0, at: "", snapshot, totals: new Map(), held: new Map(), answered: new Map() };
}

/** Same arguments, same events, byte for byte. `state` is only read. */
export function decideLedger(state: LedgerState, input: LedgerInput, facts: LedgerFacts): LedgerDecision {
  const { body, actor: run } = input;
  const key = `${run}/${input.id}`;
  const known = state.answered.get(key);
  if (known !== undefined) {
    if (known.hash === input.hash) return { kind: "duplicate", reply: known.reply };
    return { kind: "refuse", reasons: [reason("id.reused", `id \`${input.id}\` was used before with other content`, { path: "/id" })] };
  }
  if (body.name !== "lease" && body.name !== "return") {
    return { kind: "refuse", reasons: [reason("signal.not_for_ledger", `a ledger does not take \`${body.name}\``)] };
  }
  const faults = faultsOf(state.name, body);
  if (faults.length > 0) return { kind: "refuse", reasons: faults };

  const window = `${body.unit}/${body.window}`;
  const holding = `${run}/${window}`;
  const total = state.totals.get(window) ?? 0;
  const held = state.held.get(holding) ?? 0;
  const event: LedgerEvent =
    body.name === "lease"
      ? { type: "LEASE", run, asked: body, total, cap: body.unit === "amount" ? undefined : facts.cap }
      : { type: "RETURN", run, given: body, total, held };
  const taken = step(ledgerMachine, state.snapshot, event);
  if (taken === undefined) throw new Error(`a ledger does not take ${event.type}`);
  const drafts = taken.effects.map((effect) => effect.params as EventDraft);
  const reply = replyTo(body, drafts[0]);
  const after = reply.name === "leased" ? reply.total : total - (reply.name === "returned" ? reply.unused : 0);
  return {
    kind: "commit",
    drafts,
    reply,
    change: {
      seq: state.seq + drafts.length,
      at: state.at === "" ? input.time : later(state.at, input.time),
      snapshot: taken.next,
      total: [window, after],
      held: body.unit === "requests" ? undefined : [holding, held + after - total],
      answered: [key, { hash: input.hash, reply }],
    },
  };
}

export function evolveLedger(state: LedgerState, change: LedgerChange): void {
  state.seq = change.seq;
  state.at = change.at;
  state.snapshot = change.snapshot;
  state.totals.set(change.total[0], change.total[1]);
  if (change.held !== undefined) {
    const [key, held] = change.held;
    if (held === 0) state.held.delete(key);
    else state.held.set(key, held);
  }
  state.answered.set(change.answered[0], change.answered[1]);
}

/** The day at the end of a ledger's name. */
export function dayOf(name: string): string {
  return name.slice(-"2026-11-21".length);
}

/** A ledger is one account on one day: what belongs to another is refused, not counted. */
function faultsOf(name: LedgerName, body: Lease | Return): Reason[] {
  const { ledger, unit, window } = body;
  const day = dayOf(name);
  if (ledger !== name) return [reason("ledger.other", `the signal is about \`${ledger}\`, and this is \`${name}\``, { path: "/ledger" })];
  if (name.startsWith("amount.") !== (unit === "amount")) {
    return [reason("ledger.unit", `\`${name}\` does not count \`${unit}\``, { path: "/unit" })];
  }
  const fitting = unit === "requests" ? window.startsWith(`${day}T`) : window === day;
  if (!fitting) {
    const help = unit === "requests" ? "requests are counted by the minute" : "it is counted by the day";
    return [reason("ledger.window", `the window \`${window}\` is none of ${day}`, { path: "/window", help })];
  }
  if (body.name === "return" && unit === "requests") {
    return [reason("ledger.spent", "requests are spent when they are leased", { path: "/unit" })];
  }
  return [];
}

function replyTo(body: Lease | Return, draft: EventDraft | undefined): SignalInput {
  const base = { id: body.id, ...accountOf(body) };
  switch (draft?.type) {
    case "ledger.leased":
      return { name: "leased", ...base, granted: draft.data.granted, total: draft.data.total, ...capOf(draft.data.cap) };
    case "ledger.refused":
      return { name: "leased", ...base, granted: 0, total: draft.data.total, ...capOf(draft.data.cap) };
    case "ledger.returned":
      return { name: "returned", ...base, unused: draft.data.unused, last: draft.data.last };
    default:
      throw new Error("a ledger recorded nothing");
  }
}
