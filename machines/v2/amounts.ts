/**
 * What the run's actions are about in money, summed: of those that are waited for, approved, in flight, done or in
 * doubt; not of those that were turned away or certainly did nothing. So that splitting an amount does not pass.
 */
import type { ActionContext } from "./action-rules.ts";
import type { RunState } from "./state.ts";

/** Names a sum in `RunState.amounts`. */
export const amountKey = ({ currency, group }: { readonly currency: string; readonly group?: string | undefined }, tool: string): string => `${currency}/${group ?? tool}`;

/** What an ended action did outside: nothing, something, or nobody knows. */
export function effectOf(value: string, context: ActionContext): "none" | "done" | "unknown" {
  if (value === "rejected" || value === "denied") return context.doubt ? "unknown" : "none";
  return context.error?.effect ?? "done";
}
