/** What judgement (rules 2) reads of a folded run: its principal, its marks, its sums, and what it waits for. */
import { amountsOf } from "../../machines/amounts.ts";
import { holdingsOf, uncovered } from "../../machines/leases.ts";
import type { RunState } from "../../machines/state.ts";
import type { Need, Principal } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import type { Amount } from "./amounts.ts";

/** The principal by its last token. */
export function principalOf(state: RunState): Principal | null {
  return state.envelope?.principal ?? null;
}

/** Amounts of a group and currency in the run so far, in ten-thousandths; `but` this action. */
export function amountInRun(state: RunState, { group, currency = "" }: Amount, but: ActionId | undefined): number {
  return amountsOf(state, but).reduce((sum, one) => (one.group === group && one.currency === currency ? sum + one.units : sum), 0);
}

/** Needs that nothing which the run holds covers, with the answer in hand. */
export function openNeeds(state: RunState, action: ActionId | undefined, needs: readonly Need[], reply: SignalInput | undefined): readonly Need[] {
  return uncovered(state, action, needs, reply);
}

/** What an action was found to need before. */
function needsOfAction(state: RunState, action: ActionId | undefined): readonly Need[] {
  const holds = action === undefined ? undefined : state.holds.get(action);
  return (holds ?? []).map(({ ledger, unit, window, need, dimension }) => ({ ledger, unit, window, need, want: need, ...(dimension !== undefined && { dimension }) }));
}

/**
 * What an action needs, counted where it was counted first: what was proposed before midnight stays in the sums and
 * allowances of its own day. An answer that was waited for takes nothing away from what it was asked for, and where
 * rules changed meanwhile, what they read is asked for too.
 */
export function allNeeds(state: RunState, { action, reply }: { action?: ActionId | undefined; reply?: SignalInput | undefined }, needs: readonly Need[]): readonly Need[] {
  const before = needsOfAction(state, action);
  const ownOf = (need: Need) => before.find((one) => isSame(one, need));
  if (reply !== undefined) return [...before, ...needs.filter((need) => ownOf(need) === undefined)];
  return needs.map((need) => {
    const own = ownOf(need);
    return own === undefined || own.need < need.need ? need : { ...need, ledger: own.ledger, window: own.window };
  });
}

const isSame = (one: Need, other: Need) => one.unit === other.unit && one.dimension === other.dimension && accountOf(one) === accountOf(other);

/** The account without its day. */
const accountOf = ({ ledger }: Need) => ledger.slice(0, ledger.lastIndexOf("."));

/** What all runs add up to by dimension, in ten-thousandths, this action's own amount included. */
export function sumsOf(state: RunState, action: ActionId | undefined, reply: SignalInput | undefined): Partial<Record<"target" | "principal" | "agent", number>> {
  const held = action === undefined ? [] : holdingsOf(state, action, reply);
  return Object.fromEntries(held.flatMap(({ unit, dimension, total }) => (unit === "amount" && dimension !== undefined ? [[dimension, total]] : [])));
}
