/** Hard budgets of one run (GUARD-6), asked before the spend. */
import { usd } from "../../schemas/money.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { RunState } from "./state.ts";

export interface Exhausted {
  readonly budget: "steps" | "cost";
  readonly limit: number;
  readonly used: number;
  readonly reason: Reason;
}

/** The budget that one more action of this cost (micro-USD, reserved amounts counted) would overdraw. */
export function exhaustedBy(state: RunState, cost: number): Exhausted | undefined {
  const budget = state.envelope?.budget;
  const { steps, settled, reserved } = state.spent;
  if (budget?.max_steps !== undefined && steps + 1 > budget.max_steps) {
    const limit = budget.max_steps;
    return { budget: "steps", limit, used: steps, reason: reason("budget.steps", `the run has used its ${limit} step(s)`) };
  }
  if (budget?.max_cost_micro_usd !== undefined && settled + reserved + cost > budget.max_cost_micro_usd) {
    const limit = budget.max_cost_micro_usd;
    const used = settled + reserved;
    const text = `${usd(cost)} USD more than the ${usd(used)} spent or reserved would exceed the run's ${usd(limit)} USD`;
    return { budget: "cost", limit, used, reason: reason("budget.cost", text) };
  }
  return undefined;
}
