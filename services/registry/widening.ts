/**
 * Where a change gives more than there was: more tools, higher limits, fewer questions. Each is one sentence for whoever
 * applies or reviews it. What is not listed here narrows, or means nothing to what is allowed.
 */
import type { BudgetDocument } from "../../schemas/budget.ts";
import type { Issuer } from "../../schemas/issuer.ts";
import type { Person } from "../../schemas/person.ts";
import { DEFAULT_REVIEW, type PolicySet } from "../../schemas/policy.ts";
import { canonicalText } from "../../schemas/canonical.ts";
import type { Tool } from "../../schemas/tool.ts";
import { compilePolicies } from "../policy/compile.ts";
import type { Document, DocumentValues } from "./kinds.ts";
import { added, fewer, list, raised } from "./widening-parts.ts";
import { contractWidenings } from "./widening-contract.ts";

/** @param before undefined for a document that is new */
export function widenings(before: Document["value"] | undefined, after: Document): string[] {
  switch (after.kind) {
    case "agent":
      return contractWidenings(before as DocumentValues["agent"] | undefined, after.value);
    case "tool":
      return before === undefined ? [] : toolWidenings(before as Tool, after.value);
    case "person":
      return personWidenings(before as Person | undefined, after.value);
    case "issuer":
      return issuerWidenings(before as Issuer | undefined, after.value);
    case "budget":
      return before === undefined ? [] : budgetWidenings(before as BudgetDocument, after.value);
    case "policy":
      return policyWidenings(before as PolicySet | undefined, after.value);
  }
}

const EFFECTS = ["read", "write", "irreversible"];

function toolWidenings(before: Tool, after: Tool): string[] {
  const found: string[] = [];
  if (EFFECTS.indexOf(after.effect) < EFFECTS.indexOf(before.effect)) found.push(`its effect is called ${after.effect}, no longer ${before.effect}`);
  if (after.trusted === true && before.trusted !== true) found.push("its output is believed");
  if (after.cleanses === true && before.cleanses !== true) found.push("its output lowers the marks of a run");
  if (after.idempotent && !before.idempotent) found.push("it may be called again when nobody knows what a call did");
  const cleared = added(before.clearance, after.clearance);
  if (cleared.length > 0) found.push(`it may be given data labelled ${list(cleared)}`);
  const labels = (tool: Tool) => tool.labels?.map(({ label, path }) => (path === undefined ? label : `${label} at ${path}`));
  const unlabelled = added(labels(after), labels(before));
  if (unlabelled.length > 0) found.push(`its output is no longer labelled ${list(unlabelled)}`);
  const shown = added(after.personal.map(({ path }) => path), before.personal.map(({ path }) => path));
  if (shown.length > 0) found.push(`${list(shown)} ${shown.length === 1 ? "is" : "are"} no longer personal`);
  if (before.amount !== undefined && canonicalText(before.amount) !== canonicalText(after.amount ?? null)) {
    found.push(after.amount === undefined ? "it is no longer about an amount" : "what its amount is has changed");
  }
  if ((after.cost_usd ?? 0) < (before.cost_usd ?? 0)) found.push(`a call is said to cost ${after.cost_usd ?? 0} USD, no longer ${before.cost_usd ?? 0}`);
  if (before.tokens !== undefined && canonicalText(before.tokens) !== canonicalText(after.tokens ?? null)) found.push("the most tokens of a call have changed");
  if (before.region !== after.region) found.push(`it is ${after.region === undefined ? "in no region" : `in \`${after.region}\``}, no longer ${before.region === undefined ? "in none" : `in \`${before.region}\``}`);
  const tags = [...added(before.tags, after.tags), ...added(after.tags, before.tags)];
  if (tags.length > 0) found.push(`what policies say of ${list(tags)} is another thing for it`);
  if (before.adapter.type !== after.adapter.type) found.push(`it is reached by \`${after.adapter.type}\`, no longer by \`${before.adapter.type}\``);
  return found;
}

function personWidenings(before: Person | undefined, { person: after }: Person): string[] {
  if (before === undefined) return after.disabled === true || after.roles.length === 0 ? [] : [`may answer for ${list(after.roles)}`];
  const { person } = before;
  const found: string[] = [];
  const roles = added(person.roles, after.roles);
  if (roles.length > 0) found.push(`may also answer for ${list(roles)}`);
  if (person.disabled === true && after.disabled !== true) found.push("is no longer disabled");
  if (person.issuer !== after.issuer || person.subject !== after.subject) found.push("is another person");
  return found;
}

function issuerWidenings(before: Issuer | undefined, { issuer: after }: Issuer): string[] {
  if (before === undefined) return [`tokens of \`${after.iss}\` are believed`];
  const { issuer } = before;
  const found: string[] = [];
  const kids = (one: Issuer["issuer"]) => one.jwks.keys.map((key) => canonicalText(key));
  const keys = added(kids(issuer), kids(after)).map((key) => String((JSON.parse(key) as { kid?: unknown }).kid));
  if (keys.length > 0) found.push(`signatures of ${list(keys)} are believed`);
  const algorithms = added(issuer.algorithms, after.algorithms);
  if (algorithms.length > 0) found.push(`signatures made with ${list(algorithms)} are believed`);
  if (issuer.iss !== after.iss) found.push(`tokens of \`${after.iss}\` are believed`);
  if (issuer.audience !== after.audience) found.push(`tokens for \`${after.audience}\` are believed`);
  if (after.max_age_seconds > issuer.max_age_seconds) found.push(`tokens may live ${after.max_age_seconds} s, no longer ${issuer.max_age_seconds}`);
  return found;
}

function budgetWidenings({ budget: before }: BudgetDocument, { budget: after }: BudgetDocument): string[] {
  return [raised("the cost of a day", before.max_cost_usd_per_day, after.max_cost_usd_per_day), raised("requests per minute", before.max_requests_per_minute, after.max_requests_per_minute)].flat();
}

function policyWidenings(before: PolicySet | undefined, after: PolicySet): string[] {
  const now = compilePolicies(after);
  if (before === undefined) return now ? [`it permits what ${counted([...now.policies.values()].filter(({ effect }) => effect === "permit").length)}`] : [];
  const found = reviewWidenings(before, after);
  const was = compilePolicies(before);
  if (was === undefined || now === undefined) return [...found, "its policies cannot be compared one by one"];
  for (const [id, { effect, ask }] of now.policies) {
    const old = was.policies.get(id);
    if (effect === "permit" && old === undefined) found.push(`the permit \`${id}\` is new`);
    else if (old !== undefined && old.effect !== effect) found.push(`\`${id}\` is a ${effect}, no longer a ${old.effect}`);
    else if (old !== undefined && fewer(old.ask, ask, effect === "forbid")) found.push(`the forbid \`${id}\` asks ${ask?.count} \`${ask?.role}\`${old.ask === undefined ? ", where it forbade" : ""}`);
    else if (old !== undefined && was.texts[id] !== now.texts[id]) found.push(`the ${effect} \`${id}\` says something else`);
  }
  for (const [id, { effect }] of was.policies) {
    if (effect === "forbid" && !now.policies.has(id)) found.push(`the forbid \`${id}\` is gone`);
  }
  return found;
}

function reviewWidenings(before: PolicySet, after: PolicySet): string[] {
  const found: string[] = [];
  const [was, is] = [before.settings?.review ?? DEFAULT_REVIEW, after.settings?.review ?? DEFAULT_REVIEW];
  if (was.role !== is.role) found.push(`changes of it are agreed to by \`${is.role}\`, no longer by \`${was.role}\``);
  if (is.count < was.count) found.push(`changes of it need ${is.count}, no longer ${was.count}, to agree`);
  const unasked = added(is.also, was.also);
  if (unasked.length > 0) found.push(`what widens of ${list(unasked)} needs nobody to agree`);
  const currencies = added(before.settings?.currencies, after.settings?.currencies);
  if (currencies.length > 0) found.push(`amounts in ${list(currencies)} are compared, where they were asked about`);
  if (canonicalText(before.settings?.risk ?? null) !== canonicalText(after.settings?.risk ?? null)) found.push("risk is computed in another way");
  return found;
}

function counted(policies: number): string {
  return policies === 1 ? "one permit says" : `${policies} permits say`;
}
