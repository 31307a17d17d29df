/** What rules the benchmark: 20 agents of four teams, two tools that do nothing, and policies as a plane has them. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export const AGENTS = 20;
export const ACTIONS_PER_RUN = 20;
const TEAMS = ["support", "finance", "logistics", "research"];
/** A write of more than this is forbidden; of more than the contract's limit a person would be asked. */
export const FORBIDDEN_ABOVE = 900;
const ASK_ABOVE = 1000;

export const agentName = (index: number): string => `bench-agent-${String(index).padStart(2, "0")}`;

/**
 * Writes contracts, tools and the ruling policy set below a folder.
 * @param sums whether contracts limit what amounts add up to in a day: then each write asks ledgers first
 */
export async function writeDocuments(folder: string, policies: number, sums: boolean): Promise<void> {
  await mkdir(join(folder, "default"), { recursive: true });
  for (let index = 0; index < AGENTS; index++) await writeFile(join(folder, `${agentName(index)}.yaml`), contract(index, sums));
  for (const effect of ["read", "write"]) await writeFile(join(folder, `noop.${effect}.yaml`), tool(effect));
  for (const [name, text] of Object.entries(policyFiles(policies))) await writeFile(join(folder, "default", name), text);
}

function contract(index: number, sums: boolean): string {
  return `agent:
  name: ${agentName(index)}
  version: 1.${index}.0
  owner: platform
  team: ${TEAMS[index % TEAMS.length] ?? ""}
  purpose: reads and writes nothing, as fast as it is let
budgets: { max_steps: 1000, max_cost_usd_per_run: 5, max_wall_seconds: 86400 }
tools:
  allowlist:
    - name: noop.read
    - name: noop.write
${sums ? `      requires_approval_above: { field: amount_usd, value: ${ASK_ABOVE}, per_run: 1e6, per_principal_day: 1e9, per_agent_day: 1e9 }\n` : ""}`;
}

function tool(effect: string): string {
  return `name: noop.${effect}
description: Takes anything of this form and does nothing.
effect: ${effect}
tags: [bench, payments]
trusted: true
amount: { field: amount_usd, currency: USD }
adapter: builtin
timeout_ms: 10000
retries: 1
idempotent: true
input:
  type: object
  required: [ticket, amount_usd, customer, text]
  additionalProperties: false
  properties:
    ticket: { type: string, pattern: "^T-[0-9]{1,9}$" }
    amount_usd: { type: number, minimum: 0 }
    customer:
      type: object
      required: [id, country]
      additionalProperties: false
      properties: { id: { type: string }, country: { type: string, minLength: 2, maxLength: 2 } }
    labels: { type: array, items: { type: string }, maxItems: 20 }
    text: { type: string, maxLength: 4000 }
output:
  type: object
  required: [ok]
  properties: { ok: { type: boolean } }
`;
}

/** Four permits, one forbid that meets one write in fifty, and forbids and asks that meet nothing of this load. */
export function policyFiles(count: number): Record<string, string> {
  const permits = TEAMS.map(
    (team) => `@id("${team}-works")
permit (principal, action in Action::"call", resource)
when { principal.team == "${team}" && resource.tags.contains("bench") };`,
  );
  const limit = `@id("no-large-writes")
forbid (principal, action == Action::"write", resource)
when { context has amount && context.amount.greaterThan(decimal("${FORBIDDEN_ABOVE}.0")) };`;
  const others = Array.from({ length: Math.max(0, count - permits.length - 1) }, (_, index) => (OTHERS[index % OTHERS.length] as (n: number) => string)(index));
  return { "permits.cedar": permits.join("\n\n"), "limits.cedar": limit, "rules.cedar": others.join("\n\n") };
}

const OTHERS: readonly ((n: number) => string)[] = [
  (n) => `@id("no-storm-${n}")
forbid (principal, action == Action::"write", resource)
when { context.run.steps > ${900 + n} };`,
  (n) => `@id("ask-finance-${n}")
@ask("finance")
@approvals("2")
@expires_seconds("172800")
forbid (principal, action == Action::"write", resource)
when { resource.tags.contains("payments") && context has amount && context.amount.greaterThan(decimal("${5000 + n}.0")) };`,
  (n) => `@id("no-deletes-${n}")
forbid (principal, action == Action::"irreversible", resource)
when { resource.tags.contains("tenant-${n}") };`,
  (n) => `@id("ask-risky-${n}")
@ask("approver")
forbid (principal, action in Action::"call", resource)
when { context has risk && context.risk.greaterThan(decimal("0.9")) && principal.owner == "owner-${n}" };`,
  (n) => `@id("freeze-${n}")
forbid (principal, action == Action::"write", resource)
when { context.time.iso like "2031-${String((n % 12) + 1).padStart(2, "0")}-*" && principal.team == "finance" };`,
  (n) => `@id("region-${n}")
forbid (principal, action in Action::"call", resource)
when { resource has region && resource.region == "region-${n}" && context has region && context.region != resource.region };`,
  (n) => `@id("not-after-failure-${n}")
forbid (principal, action in Action::"call", resource)
when { context.run.failed.contains("noop.tool-${n}") };`,
];
