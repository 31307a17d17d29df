/**
 * Whose spending is limited together, and how far (GUARD-7). One function says which accounts an action of a contract
 * draws on, and one what an account's limit is: runs and ledgers must never differ about either.
 */
import { type BudgetDocument, budgetName } from "../../schemas/budget.ts";
import { canonicalText, sha256Digest } from "../../schemas/canonical.ts";
import type { Contract } from "../../schemas/contract.ts";
import type { Unit } from "../../schemas/inputs.ts";

export interface Account {
  /** `agent.<name>`, `team.<name>` or `project.<name>`: the name of the budget document, too. */
  readonly name: string;
  readonly scope: BudgetDocument["budget"]["scope"];
}

/** The accounts that a contract's actions draw on, whether or not anything limits them. */
export function accountsOf({ agent }: Contract): Account[] {
  const named = (scope: Account["scope"], name: string | undefined): Account[] => (name === undefined ? [] : [{ scope, name: budgetName({ scope, name }) }]);
  return [...named("agent", agent.name), ...named("team", agent.team), ...named("project", agent.project)];
}

/**
 * The limit of an account, in micro-USD a day or requests a minute; undefined when nothing limits it.
 * @param budget the document of the account's name
 * @param contract that of the agent, for an account of scope agent: the lower of the two limits holds
 */
export function capOf(unit: Unit, budget: BudgetDocument | undefined, contract: Contract | undefined): number | undefined {
  if (unit === "amount") return undefined;
  const limits = [budget?.budget, contract?.budgets].flatMap((limit) => {
    const cap = unit === "cost" ? limit?.max_cost_usd_per_day : limit?.max_requests_per_minute;
    // a limit of money is rounded down where a need is rounded up
    return cap === undefined ? [] : [unit === "cost" ? Math.floor(cap * 1_000_000 + 1e-6) : cap];
  });
  return limits.length === 0 ? undefined : Math.min(...limits);
}


export type Dimension = "target" | "principal" | "agent";

/** The account in which amounts add up per target, principal or agent. Its name tells nobody who that is. */
export function amountAccount(of: { readonly dimension: Dimension; readonly key: string; readonly group: string; readonly currency: string }): string {
  const { dimension, key, group, currency } = of;
  return `amount.${sha256Digest(canonicalText({ dimension, key, group, currency })).slice("sha256:".length, "sha256:".length + 32)}`;
}

/** The day (UTC) and the minute of a server time, as windows of a ledger. */
export const dayOf = (time: string): string => time.slice(0, 10);
export const minuteOf = (time: string): string => time.slice(0, 16);
