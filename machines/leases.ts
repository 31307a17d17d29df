/**
 * What a run holds of accounts of the ledger, and what an action still needs of them (GUARD-7). Pure questions to the
 * folded state; `purse.ts` is what changes it.
 *
 * Money and requests are pooled per account and window: what one action does not use, the next one may. An amount
 * belongs to its action, and what all runs together add up to is what that action is judged by.
 */
import type { Need } from "../schemas/facts.ts";
import type { ActionId, LedgerName } from "../schemas/ids.ts";
import type { SignalInput, Unit } from "../schemas/inputs.ts";
import type { Hold, Holding, RunState } from "./state.ts";

type Account = Pick<Need, "ledger" | "unit" | "window">;

/** Names a pool in `RunState.holdings`. */
export const accountKey = ({ ledger, unit, window }: Account): string => `${ledger}/${unit}/${window}`;

/** What a pool has left for new actions. */
export const freeOf = (holding: Holding | undefined): number =>
  holding === undefined || holding.closed ? 0 : holding.granted - holding.spent - holding.held;

/** The state as `leased` will leave it. Undefined when the reply is not waited for. */
function replied(state: RunState, reply: SignalInput | undefined) {
  if (reply?.name !== "leased") return undefined;
  const open = state.signals.get(reply.id);
  return open?.body.name === "lease" && accountKey(open.body) === accountKey(reply) ? { reply, open } : undefined;
}

/**
 * The part of the needs that the run does not hold yet, reduced by what it does: what a lease is asked for.
 * @param action the action that needs it, when it was proposed before; what it holds already covers it
 * @param reply an account's answer that is about to be applied
 */
export function uncovered(state: RunState, action: ActionId | undefined, needs: readonly Need[], reply?: SignalInput): Need[] {
  const own = action === undefined ? [] : (state.holds.get(action) ?? []);
  const answered = replied(state, reply);
  const granted = answered?.reply.granted ?? 0;
  const taken = new Map<string, number>();
  return needs.flatMap((need): Need[] => {
    const key = accountKey(need);
    const hold = own.find((one) => accountKey(one) === key && one.dimension === need.dimension);
    const mine = answered !== undefined && hold?.lease === answered.reply.id ? granted : 0;
    if (need.unit === "amount") {
      const covered = hold !== undefined && (hold.lease === undefined || hold.lease === answered?.reply.id) && hold.held + mine >= need.need;
      return covered ? [] : [need];
    }
    let missing = Math.max(0, need.need - (hold?.held ?? 0));
    const spare = freeOf(state.holdings.get(key)) + mine - (taken.get(key) ?? 0);
    const used = Math.min(missing, Math.max(0, spare));
    taken.set(key, (taken.get(key) ?? 0) + used);
    missing -= used;
    return missing === 0 ? [] : [{ ...need, need: missing, want: Math.max(missing, need.want) }];
  });
}

/** Whether an account's answer gives a hold all that it misses. A refusal does too, when the pool has enough by now. */
export function fills(state: Pick<RunState, "holdings">, hold: Hold, granted: number): boolean {
  if (hold.unit === "amount") return hold.held + granted >= hold.need;
  return hold.held + granted + Math.max(0, freeOf(state.holdings.get(accountKey(hold)))) >= hold.need;
}

/** The one action that waits for this answer and for nothing else: it is judged in the commit that applies the answer. */
export function readied(state: RunState, reply: SignalInput): ActionId | undefined {
  const answered = replied(state, reply);
  const action = answered?.open.action;
  if (answered === undefined || action === undefined || state.actions.get(action)?.value !== "reserving") return undefined;
  const holds = state.holds.get(action) ?? [];
  const [hold, ...others] = holds.filter(({ lease }) => lease !== undefined);
  if (hold === undefined || others.length > 0 || hold.lease !== reply.id) return undefined;
  return fills(state, hold, answered.reply.granted) ? action : undefined;
}

export interface Held {
  readonly ledger: LedgerName;
  readonly unit: Unit;
  readonly window: string;
  readonly dimension?: "principal" | "target" | "agent";
  /** What the action has of the account. */
  readonly granted: number;
  /** What all runs together held and spent in the window when the account was last asked; of an amount, with this action's. */
  readonly total: number;
}

/** What an action holds, with an answer that is about to be applied. */
export function holdingsOf(state: RunState, action: ActionId, reply?: SignalInput): readonly Held[] {
  const answered = replied(state, reply);
  return (state.holds.get(action) ?? []).flatMap((hold): Held[] => {
    const mine = hold.lease !== undefined && hold.lease === answered?.reply.id ? answered.reply : undefined;
    if (hold.lease !== undefined && mine === undefined) return [];
    const { ledger, unit, window, dimension } = hold;
    const granted = Math.min(hold.need, hold.held + (mine?.granted ?? 0));
    const total = mine?.total ?? hold.total ?? state.holdings.get(accountKey(hold))?.total ?? 0;
    return [{ ledger, unit, window, ...(dimension !== undefined && { dimension }), granted, total }];
  });
}
