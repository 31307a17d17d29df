/** The limit of a ledger's account at the time it is asked: the tighter of the agent's contract and the account's budget. */
import { dayOf } from "../../machines/ledger.ts";
import type { BudgetDocument } from "../../schemas/budget.ts";
import type { Contract } from "../../schemas/contract.ts";
import type { LedgerFacts } from "../../schemas/facts.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { unescapeToken } from "../../schemas/subjects.ts";
import { capOf } from "../policy/accounts.ts";
import type { InForce } from "../registry/view.ts";

export interface Limits {
  contract(agent: string): InForce<Contract> | undefined;
  budget(account: string): InForce<BudgetDocument> | undefined;
}

/** No cap for what only adds up, and for an account that nothing limits. */
export function ledgerFacts(limits: Limits, ledger: string, { unit }: Pick<Extract<SignalInput, { name: "lease" }>, "unit">): LedgerFacts {
  if (unit === "amount") return { kind: "ledger" };
  const account = accountOf(ledger);
  const cap = capOf(unit, limits.budget(account)?.value, contractOf(limits, account)?.value);
  return cap === undefined ? { kind: "ledger" } : { kind: "ledger", cap };
}

/** `team.support.2026-11-21` is the account `team.support`. */
function accountOf(ledger: string): string {
  return ledger.slice(0, -(dayOf(ledger).length + 1));
}

function contractOf(limits: Limits, account: string): InForce<Contract> | undefined {
  return account.startsWith("agent.") ? limits.contract(unescapeToken(account.slice("agent.".length))) : undefined;
}
