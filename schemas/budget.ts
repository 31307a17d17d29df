/** Limits over all runs of a team, a project or an agent together (GUARD-7). A day and a minute are those of UTC. */
import { z } from "zod";
import { escapeToken } from "./subjects.ts";

export const budgetSchema = z.strictObject({
  budget: z.strictObject({
    scope: z.enum(["agent", "team", "project"]),
    /** As contracts write it. */
    name: z.string().trim().min(1).max(128),
    max_cost_usd_per_day: z.number().min(0).max(1_000_000_000).optional(),
    max_requests_per_minute: z.int().min(0).optional(),
  }),
});
export type BudgetDocument = z.infer<typeof budgetSchema>;

/** Name of the document, and of the ledger account that it limits. */
export function budgetName({ scope, name }: Pick<BudgetDocument["budget"], "scope" | "name">): string {
  return `${scope}.${escapeToken(name)}`;
}
