/** Hard budgets of one run (GUARD-6), asked before the spend; and what is said when half of one is used. */
import type { Envelope } from "../../schemas/event.ts";
import type { ToolFacts } from "../../schemas/facts.ts";
import { usd } from "../../schemas/money.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { Halved, Spent } from "./state.ts";

export interface Exhausted {
  readonly budget: "steps" | "cost" | "input_tokens" | "output_tokens";
  readonly limit: number;
  readonly used: number;
  readonly reason: Reason;
}

type Budget = Envelope["budget"] | undefined;

/**
 * The budget that one more action would overdraw, what is held back counted as spent.
 * @param tool what the action may cost (micro-USD) and use (tokens) at most
 * @param step whether it is a step: an action that an approver put in the place of another is none
 */
export function exhaustedBy(budget: Budget, spent: Spent, tool: ToolFacts["tool"], step = true): Exhausted | undefined {
  if (budget === undefined) return undefined;
  if (step && budget.max_steps !== undefined && spent.steps + 1 > budget.max_steps) {
    const limit = budget.max_steps;
    return { budget: "steps", limit, used: spent.steps, reason: reason("budget.steps", `the run has used its ${limit} step(s)`) };
  }
  const cost = tool?.cost_micro_usd ?? 0;
  if (budget.max_cost_micro_usd !== undefined && spent.settled + spent.reserved + cost > budget.max_cost_micro_usd) {
    const limit = budget.max_cost_micro_usd;
    const used = spent.settled + spent.reserved;
    const text = `${usd(cost)} USD more than the ${usd(used)} spent or reserved would exceed the run's ${usd(limit)} USD`;
    return { budget: "cost", limit, used, reason: reason("budget.cost", text) };
  }
  return tokens("input", budget.max_input_tokens, spent.input, tool?.input_tokens) ?? tokens("output", budget.max_output_tokens, spent.output, tool?.output_tokens);
}

function tokens(way: "input" | "output", limit: number | undefined, sum: Spent["input"], more = 0): Exhausted | undefined {
  const used = sum.settled + sum.reserved;
  // a call that uses none is not held up by those that used all
  if (limit === undefined || more === 0 || used + more <= limit) return undefined;
  const text = `${more} ${way} token(s) more than the ${used} used or reserved would exceed the run's ${limit}`;
  return { budget: `${way}_tokens`, limit, used, reason: reason(`budget.${way}_tokens`, text) };
}

export interface Half {
  readonly budget: Halved;
  readonly limit: number;
  readonly used: number;
}

/** Budgets of which half is used (not only held back), but for wall time, which a timer tells. */
export function halves(budget: Budget, spent: Spent): Half[] {
  if (budget === undefined) return [];
  const found: Half[] = [];
  const look = (name: Halved, limit: number | undefined, used: number) => {
    if (limit !== undefined && limit > 0 && used * 2 >= limit) found.push({ budget: name, limit, used });
  };
  look("steps", budget.max_steps, spent.steps);
  look("cost", budget.max_cost_micro_usd, spent.settled);
  look("input_tokens", budget.max_input_tokens, spent.input.settled);
  look("output_tokens", budget.max_output_tokens, spent.output.settled);
  return found;
}
