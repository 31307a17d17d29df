/**
 * Risk, as the plane computes it (POL-2): rows of a table whose conditions hold are added up and kept within 0 and 1.
 * The table is the policy set's, or this one. Sums are decimals: the order of rows changes nothing.
 */
import type { JudgementRequest } from "../../schemas/judgement.ts";
import type { PolicySettings } from "../../schemas/policy.ts";
import { isAbove, sumOf } from "./decimal.ts";

export type RiskTable = NonNullable<PolicySettings["risk"]>;

export const DEFAULT_RISK: RiskTable = [
  { when: { effect: "write" }, add: 0.2 },
  { when: { effect: "irreversible" }, add: 0.6 },
  { when: { tags: ["payments", "pci"] }, add: 0.1 },
  { when: { amount_above: "100" }, add: 0.1 },
  { when: { amount_above: "1000" }, add: 0.1 },
  { when: { amount_above: "10000" }, add: 0.2 },
  { when: { tainted: true }, add: 0.3 },
  { when: { labels: ["pii", "phi", "pci", "secret"] }, add: 0.1 },
  { when: { principal_verified: false }, add: 0.2 },
  { when: { failed_at_least: 3 }, add: 0.1 },
  { when: { steps_at_least: 50 }, add: 0.1 },
];

/** 0 to 1. What the agent says of itself is no part of it. */
export function riskOf(request: JudgementRequest, table: RiskTable = DEFAULT_RISK): number {
  const sum = sumOf(table.filter(({ when }) => holds(when, request)).map(({ add }) => add)) ?? "1";
  if (isAbove(sum, 1) !== false) return 1;
  return isAbove(0, sum) === true ? 0 : Number(sum);
}

function holds(when: RiskTable[number]["when"], request: JudgementRequest): boolean {
  const { tool, labels, tainted, amount, principal, run } = request;
  if (when.effect !== undefined && when.effect !== tool.effect) return false;
  if (when.tags !== undefined && !when.tags.some((tag) => tool.tags.includes(tag))) return false;
  if (when.labels !== undefined && !when.labels.some((label) => labels.includes(label))) return false;
  // of an amount that is not clear nobody can say that it is small, and a person is asked anyway
  if (when.amount_above !== undefined && (amount === undefined || isAbove(amount, when.amount_above) !== true)) return false;
  if (when.tainted !== undefined && when.tainted !== tainted) return false;
  if (when.principal_verified !== undefined && when.principal_verified !== (principal?.verified === true)) return false;
  if (when.failed_at_least !== undefined && failures(run) < when.failed_at_least) return false;
  return when.steps_at_least === undefined || run.steps >= when.steps_at_least;
}

function failures({ failures: byTool }: JudgementRequest["run"]): number {
  return Object.values(byTool).reduce((sum, count) => sum + count, 0);
}
