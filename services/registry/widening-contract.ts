/** Where a contract lets its agent do more than the version before it. */
import type { Budgets, Contract, ContractTool } from "../../schemas/contract.ts";
import { dataOf } from "../policy/destination.ts";
import { added, isMore, list, raised } from "./widening-parts.ts";

/** @param before undefined for an agent that is new */
export function contractWidenings(before: Contract | undefined, after: Contract): string[] {
  const names = (contract: Contract | undefined) => contract?.tools.allowlist.map(({ name }) => name as string);
  const tools = added(names(before), names(after));
  const found = tools.length === 0 ? [] : [`may ${before === undefined ? "" : "also "}propose ${list(tools)}`];
  if (before === undefined) return found;
  for (const entry of after.tools.allowlist) {
    const old = before.tools.allowlist.find(({ name }) => name === entry.name);
    if (old !== undefined) found.push(...entryWidenings(old, entry).map((text) => `\`${entry.name}\`: ${text}`));
  }
  found.push(...budgetWidenings(before.budgets, after.budgets), ...scopeWidenings(before, after));
  if (before.agent.team !== after.agent.team) found.push(`policies and budgets are those of team \`${after.agent.team}\`, no longer of \`${before.agent.team}\``);
  if (before.agent.project !== after.agent.project && before.agent.project !== undefined) found.push(`it no longer counts to the project \`${before.agent.project}\``);
  if (before.identity?.mode === "on_behalf_of" && after.identity?.mode !== "on_behalf_of") found.push("it no longer acts only on behalf of somebody");
  found.push(...raised("seconds that its credential lives", before.identity?.token_ttl_seconds, after.identity?.token_ttl_seconds));
  const traces = ["none", "metadata", "full"];
  if (traces.indexOf(after.logging?.trace_level ?? "metadata") > traces.indexOf(before.logging?.trace_level ?? "metadata")) found.push(`telemetry carries \`${after.logging?.trace_level ?? "metadata"}\``);
  if (before.logging?.pii_redaction !== false && after.logging?.pii_redaction === false) found.push("telemetry is no longer redacted");
  // of an export only who asks for it in so many words is given less
  if (before.logging?.pii_redaction === true && after.logging?.pii_redaction !== true) found.push("its runs are exported whole");
  return found;
}

function entryWidenings(before: ContractTool, after: ContractTool): string[] {
  const found: string[] = [];
  if (before.requires_approval === true && after.requires_approval !== true) found.push("no approval is required any more");
  const [was, is] = [before.requires_approval_above, after.requires_approval_above];
  if (was !== undefined && is === undefined) found.push(`no approval is required above ${was.value} any more`);
  else if (was !== undefined && is !== undefined) {
    if (was.field !== is.field) found.push(`approval is required by \`${is.field}\`, no longer by \`${was.field}\``);
    if (isMore(was.value, is.value)) found.push(`approval is required above ${is.value}, no longer above ${was.value}`);
    // what is not written is derived from the value
    const twins = [["per_run", 1], ["per_target_day", 1], ["per_principal_day", 10], ["per_agent_day", 100]] as const;
    for (const [twin, times] of twins) {
      const [old, now] = [was[twin] ?? Number(was.value) * times, is[twin] ?? Number(is.value) * times];
      if ((was[twin] !== undefined || is[twin] !== undefined) && isMore(old, now)) found.push(`\`${twin}\` is limited to ${now}, no longer to ${old}`);
    }
  }
  found.push(...standingWidenings(before.standing_approval, after.standing_approval));
  const shown = added(after.personal?.map(({ path }) => path), before.personal?.map(({ path }) => path));
  if (shown.length > 0) found.push(`${list(shown)} ${shown.length === 1 ? "is" : "are"} no longer personal`);
  const order = added(after.after, before.after);
  if (order.length > 0) found.push(`it need not come after ${list(order)} any more`);
  if (isMore(before.approval_expires_seconds, after.approval_expires_seconds) && after.approval_expires_seconds !== undefined) {
    found.push(`an answer may take ${after.approval_expires_seconds} s, no longer ${before.approval_expires_seconds}`);
  }
  return found;
}

function standingWidenings(before: ContractTool["standing_approval"], after: ContractTool["standing_approval"]): string[] {
  if (after === undefined) return [];
  if (before === undefined) return [`an approval may stand for ${after.max_uses} uses within ${after.max_seconds} s`];
  const vary = added(before.vary, after.vary);
  return [
    ...raised("uses of a standing approval", before.max_uses, after.max_uses),
    ...raised("seconds of a standing approval", before.max_seconds, after.max_seconds),
    ...raised("one use of a standing approval", before.max_amount, after.max_amount),
    ...raised("all of a standing approval", before.max_total, after.max_total),
    ...(vary.length > 0 ? [`${list(vary)} may vary under a standing approval`] : []),
  ];
}

const LIMITS: { readonly [K in keyof Budgets]?: string } = {
  max_steps: "steps of a run",
  max_input_tokens: "tokens into a run's models",
  max_output_tokens: "tokens out of a run's models",
  max_cost_usd_per_run: "the cost of a run (USD)",
  max_wall_seconds: "seconds of a run",
  max_depth: "the depth of delegation",
  max_cost_usd_per_day: "the cost of a day (USD)",
  max_requests_per_minute: "requests per minute",
};

function budgetWidenings(before: Budgets, after: Budgets): string[] {
  const found = Object.entries(LIMITS).flatMap(([key, what]) => raised(what, before[key as keyof Budgets] as number | undefined, after[key as keyof Budgets] as number | undefined));
  if (before.pause_at_half === true && after.pause_at_half !== true) found.push("a run that has used half of a budget is no longer paused");
  return found;
}

/** Where it may be used, with which models, and to whom it may hand over; where its data may go. */
function scopeWidenings(before: Contract, after: Contract): string[] {
  const found: string[] = [];
  if (before.namespaces !== undefined && after.namespaces === undefined) found.push("it may be used in every namespace");
  else if (before.namespaces !== undefined && added(before.namespaces, after.namespaces).length > 0) found.push(`it may be used in ${list(added(before.namespaces, after.namespaces))}`);
  const models = added(before.models?.allow, after.models?.allow);
  if (models.length > 0) found.push(`it may use the models ${list(models)}`);
  found.push(...raised("tokens of one call of a model", before.models?.context_window, after.models?.context_window));
  const receivers = (contract: Contract) => contract.handoffs?.flatMap(({ to, modes }) => modes.map((mode) => `${mode} to ${"agent" in to ? to.agent : to.capability}`));
  const handoffs = added(receivers(before), receivers(after));
  if (handoffs.length > 0) found.push(`it may ${handoffs.join(", ")}`);
  const [was, is] = [dataOf(before.data?.labels ?? []), dataOf(after.data?.labels ?? [])];
  if (was.regions.length > 0 && is.regions.length === 0) found.push("its data may go anywhere");
  else if (was.regions.length > 0 && added(was.regions, is.regions).length > 0) found.push(`its data may also go to ${list(added(was.regions, is.regions))}`);
  const unlabelled = added(is.kinds, was.kinds);
  if (unlabelled.length > 0) found.push(`its data is no longer labelled ${list(unlabelled)}`);
  return found;
}
