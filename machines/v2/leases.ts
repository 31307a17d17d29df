/**
 * What a run holds of accounts of the ledger, and what an action still needs of them (GUARD-7). Pure questions to the
 * folded state; `purse.ts` is what changes it.
 *
 * Money and requests are pooled per account and window: what one action does not use, the next one may. An amount
 * belongs to its action, and what all runs together add up to is what that action is judged by.
 */
import type { Need } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import type { Holding, RunState } from "./state.ts";

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
