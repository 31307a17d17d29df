/** What limits an account when it is asked: found by the account's name alone (GUARD-7). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BudgetDocument } from "../../schemas/budget.ts";
import type { Contract } from "../../schemas/contract.ts";
import { type Limits, ledgerFacts } from "../../services/coordinator/ledger-facts.ts";

const DAY = "2026-11-21";
const inForce = <T>(value: unknown) => ({ digest: `sha256:${"0".repeat(64)}`, value: value as T }) as never;

/** Limits of one account each, and the names that were looked up. */
function limits(budgets: Readonly<Record<string, object>>, contracts: Readonly<Record<string, object>> = {}) {
  const asked: string[] = [];
  const of: Limits = {
    budget: (account) => {
      asked.push(account);
      const found = budgets[account];
      return found === undefined ? undefined : inForce<BudgetDocument>({ budget: found });
    },
    contract: (agent) => {
      asked.push(agent);
      const found = contracts[agent];
      return found === undefined ? undefined : inForce<Contract>({ budgets: found });
    },
  };
  return { of, asked };
}

test("GUARD-7: an account is limited by its budget; only that of an agent is limited by a contract too, and by the tighter of both", () => {
  const { of, asked } = limits({ "team.support": { max_cost_usd_per_day: 3 }, "agent.clerk%2Etwo": { max_cost_usd_per_day: 2 } }, { "clerk.two": { max_cost_usd_per_day: 1 } });
  assert.deepEqual(ledgerFacts(of, `team.support.${DAY}`, { unit: "cost" }), { kind: "ledger", cap: 3_000_000 });
  assert.deepEqual(asked, ["team.support"]);
  assert.deepEqual(ledgerFacts(of, `agent.clerk%2Etwo.${DAY}`, { unit: "cost" }), { kind: "ledger", cap: 1_000_000 });
  assert.deepEqual(asked.slice(1), ["agent.clerk%2Etwo", "clerk.two"]);
});

test("GUARD-7: what nothing limits has no cap, and an amount, which only adds up, never has one", () => {
  const { of, asked } = limits({ [`amount.${"0".repeat(32)}`]: { max_cost_usd_per_day: 3 } });
  assert.deepEqual(ledgerFacts(of, `amount.${"0".repeat(32)}.${DAY}`, { unit: "amount" }), { kind: "ledger" });
  assert.deepEqual(asked, []);
  assert.deepEqual(ledgerFacts(of, `team.support.${DAY}`, { unit: "cost" }), { kind: "ledger" });
  assert.deepEqual(ledgerFacts(limits({}).of, `agent.clerk.${DAY}`, { unit: "requests" }), { kind: "ledger" });
});
