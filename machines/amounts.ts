/**
 * What the run's actions are about in money, summed: of those that are waited for, approved, in flight, done or in
 * doubt; not of those that were turned away or certainly did nothing. So that splitting an amount does not pass.
 */
import type { ActionId } from "../schemas/ids.ts";
import type { ActionContext } from "./action-rules.ts";
import type { RunState } from "./state.ts";

export interface AmountSum {
  /** Tools whose amounts add up together: a group that they declare, or one tool's name. */
  readonly group: string;
  readonly currency: string;
  /** Ten-thousandths of the currency's unit. */
  readonly units: number;
}

/** Names a sum in `RunState.amounts`. */
export const amountKey = ({ currency, group }: { readonly currency: string; readonly group?: string | undefined }, tool: string): string => `${currency}/${group ?? tool}`;

/**
 * By group and currency. For policy's cumulative limits (`services/policy/tool-facts.ts`).
 * @param but an action that is judged again, and is not to be counted twice
 */
export function amountsOf(state: RunState, but?: ActionId): readonly AmountSum[] {
  const own = but === undefined ? undefined : state.actions.get(but)?.context;
  const counts = but !== undefined && state.open.has(but) && own?.basis.amount !== undefined;
  const counted = counts ? amountKey(own.basis.amount, own.tool) : undefined;
  return [...state.amounts].flatMap(([key, sum]): AmountSum[] => {
    const slash = key.indexOf("/");
    const units = key === counted ? sum - (own?.basis.amount?.units ?? 0) : sum;
    return units === 0 ? [] : [{ currency: key.slice(0, slash), group: key.slice(slash + 1), units }];
  });
}

/** What an ended action did outside: nothing, something, or nobody knows. */
export function effectOf(value: string, context: ActionContext): "none" | "done" | "unknown" {
  if (value === "rejected" || value === "denied") return context.doubt ? "unknown" : "none";
  return context.error?.effect ?? "done";
}
