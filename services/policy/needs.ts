/** What an action needs from the ledgers before it is judged (GUARD-7): allowances, and the sums that amounts add to. */
import type { BudgetDocument } from "../../schemas/budget.ts";
import type { Contract } from "../../schemas/contract.ts";
import type { Need } from "../../schemas/facts.ts";
import { ledgerNameSchema } from "../../schemas/ids.ts";
import { accountsOf, amountAccount, capOf, dayOf, type Dimension, minuteOf } from "./accounts.ts";
import type { Amount } from "./amounts.ts";
import type { Reads } from "./reads.ts";

/** A lease covers this many calls at best, and never more than this part of the account: the rest is for other runs. */
const LEASED_CALLS = 8;
const LEASED_PART = 1000;

export interface Needing {
  readonly contract: Contract;
  readonly budget: (account: string) => BudgetDocument | undefined;
  readonly costMicroUsd: number;
  readonly amount: Amount | undefined;
  /** The contract limits amounts of this tool: every sum counts. */
  readonly limited: boolean;
  /** Names that the policies in force read. */
  readonly reads: Reads;
  /** The verified principal, by issuer and subject; nobody's word for it opens a sum. */
  readonly principal: string | undefined;
  /** Server time of the input: the only clock. */
  readonly time: string;
}

export function needsOf(of: Needing): Need[] {
  return [...allowances(of), ...sums(of)];
}

function allowances({ contract, budget, costMicroUsd, time }: Needing): Need[] {
  const needs: Need[] = [];
  for (const { name, scope } of accountsOf(contract)) {
    const document = budget(name);
    const ledger = () => ledgerNameSchema.parse(`${name}.${dayOf(time)}`);
    const limits = scope === "agent" ? contract : undefined;
    const cost = capOf("cost", document, limits);
    if (cost !== undefined && costMicroUsd > 0) {
      needs.push({ ledger: ledger(), unit: "cost", window: dayOf(time), need: costMicroUsd, want: leaseOf(costMicroUsd, cost) });
    }
    const requests = capOf("requests", document, limits);
    if (requests !== undefined) needs.push({ ledger: ledger(), unit: "requests", window: minuteOf(time), need: 1, want: leaseOf(1, requests) });
  }
  return needs;
}

function leaseOf(need: number, cap: number): number {
  return Math.max(need, Math.min(need * LEASED_CALLS, Math.floor(cap / LEASED_PART)));
}

function sums({ contract, amount, limited, reads, principal, time }: Needing): Need[] {
  if (amount?.units === undefined) return [];
  const { units, group, currency = "", target } = amount;
  const keys: Record<Dimension, string | undefined> = { target, principal, agent: contract.agent.name };
  const read = (dimension: Dimension) => reads === undefined || (reads.has("amounts") && reads.has(`${dimension}_day`));
  // nothing is added by nothing, and a sum that nobody reads needs no answer
  const asked = (dimension: Dimension) => (limited && units > 0) || read(dimension);
  return (["target", "principal", "agent"] as const).flatMap((dimension): Need[] => {
    const key = keys[dimension];
    if (key === undefined || !asked(dimension)) return [];
    const day = dayOf(time);
    const ledger = ledgerNameSchema.parse(`${amountAccount({ dimension, key, group, currency })}.${day}`);
    return [{ ledger, unit: "amount", window: day, need: units, want: units, dimension }];
  });
}
