/**
 * Who must agree to a change of documents (POL-6). What decides about others' power is not one operator's to change:
 * policy sets always, persons and issuers as soon as enough other persons hold the reviewers' role to agree.
 *
 * - A policy set of which no version is in force, and the version that was in force right before, need nobody.
 * - The ruling set's `review` says how many of which role; one `approver` where it says nothing.
 * - Of persons and issuers, what only takes away (a role, a key, a person) needs nobody, unless too few would be left
 *   to agree to anything afterwards.
 * - Of contracts, tools and budgets, what widens needs somebody where the set's `review.also` names their kind.
 * - Where it is not known which person proposes, one more is asked: one of those who agree could be the proposer.
 */
import { canonicalText } from "../../schemas/canonical.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { Issuer } from "../../schemas/issuer.ts";
import type { Ask } from "../../schemas/judgement.ts";
import type { Person } from "../../schemas/person.ts";
import { DEFAULT_REVIEW, type PolicySet, type Review } from "../../schemas/policy.ts";
import type { Document } from "./kinds.ts";
import type { InForce } from "./view.ts";
import { widenings } from "./widening.ts";

/** What is asked about the documents in force; the registry's view has it. */
export interface Ruling {
  policy(): InForce<PolicySet> | undefined;
  policySet(name: string): InForce<PolicySet> | undefined;
  /** What was applied last, also when it cannot be read and is therefore not in force. */
  applied(kind: "policy", name: string): Digest | undefined;
  previous(kind: "policy", name: string): Digest | undefined;
  person(name: string): InForce<Person> | undefined;
  persons(): readonly InForce<Person>[];
  issuer(name: string): InForce<Issuer> | undefined;
  inForce(kind: Document["kind"], name: string): InForce<Document["value"]> | undefined;
}

/** Who proposes, as far as it is known which person it is. */
export type Proposer = { readonly issuer: string; readonly subject: string } | undefined;

export interface Reviewed {
  readonly ask: Ask;
  /** The documents for which it is asked, as `policy default`. */
  readonly because: readonly string[];
}

/** Who must agree before these documents come into force; undefined when nobody must. */
export function reviewOf(ruling: Ruling, proposer: Proposer, documents: readonly (Document & { readonly digest: Digest })[]): Reviewed | undefined {
  const because: string[] = [];
  let ask: Review | undefined;
  for (const document of documents) {
    if (document.kind !== "policy") continue;
    const current = ruling.applied("policy", document.name);
    if (current === undefined || current === document.digest) continue;
    if (ruling.previous("policy", document.name) === document.digest) continue;
    ask ??= (ruling.policy() ?? ruling.policySet(document.name))?.value.settings?.review ?? DEFAULT_REVIEW;
    because.push(`policy ${document.name}`);
  }
  const set = ruling.policy();
  if (set !== undefined) {
    const rule = set.value.settings?.review ?? DEFAULT_REVIEW;
    const before = ruling.persons().map(({ value }) => value);
    if (canAgree(before, rule, proposer)) {
      const found = powers(ruling, before, rule, proposer, documents);
      because.push(...found);
    }
    because.push(...wider(ruling, rule, documents));
    if (because.length > 0) ask ??= rule;
  }
  if (ask === undefined) return undefined;
  return { ask: { role: ask.role, count: ask.count + (proposer === undefined ? 1 : 0) }, because };
}

/** What else the set wants to be asked about, as far as it gives more than there was. */
function wider(ruling: Ruling, { also = [] }: Review, documents: readonly (Document & { readonly digest: Digest })[]): string[] {
  return documents.flatMap((document) => {
    if (!(also as readonly string[]).includes(document.kind)) return [];
    const current = ruling.inForce(document.kind, document.name);
    return current?.digest !== document.digest && widenings(current?.value, document).length > 0 ? [`${document.kind} ${document.name}`] : [];
  });
}

/** Persons and issuers of a change that give somebody more than he had, or leave too few to review. */
function powers(ruling: Ruling, before: readonly Person[], rule: Review, proposer: Proposer, documents: readonly (Document & { readonly digest: Digest })[]): string[] {
  const found: string[] = [];
  const after = new Map(before.map((person) => [person.person.name as string, person]));
  const taken: string[] = [];
  for (const document of documents) {
    if (document.kind === "issuer") {
      const current = ruling.issuer(document.name);
      if (current?.digest !== document.digest && !(current && narrowsIssuer(current.value, document.value))) found.push(`issuer ${document.name}`);
    }
    if (document.kind !== "person") continue;
    after.set(document.name, document.value);
    const current = ruling.person(document.name);
    if (current?.digest === document.digest) continue;
    (current && narrowsPerson(current.value, document.value) ? taken : found).push(`person ${document.name}`);
  }
  return canAgree([...after.values()], rule, proposer) ? found : [...found, ...taken];
}

/** Whether enough persons, the proposer not counted, hold the role. Two names of one person are one. */
function canAgree(persons: readonly Person[], { role, count }: Review, proposer: Proposer): boolean {
  const holders = new Set<string>();
  for (const { person } of persons) {
    if (person.disabled === true || !person.roles.includes(role)) continue;
    if (proposer?.issuer === person.issuer && proposer.subject === person.subject) continue;
    holders.add(JSON.stringify([person.issuer, person.subject]));
  }
  return holders.size >= count + (proposer === undefined ? 1 : 0);
}

function narrowsPerson({ person: before }: Person, { person: after }: Person): boolean {
  return (
    before.issuer === after.issuer &&
    before.subject === after.subject &&
    before.team === after.team &&
    after.roles.every((role) => before.roles.includes(role)) &&
    (before.disabled !== true || after.disabled === true)
  );
}

function narrowsIssuer({ issuer: before }: Issuer, { issuer: after }: Issuer): boolean {
  const known = new Set(before.jwks.keys.map((key) => canonicalText(key)));
  return (
    before.iss === after.iss &&
    before.audience === after.audience &&
    after.max_age_seconds <= before.max_age_seconds &&
    after.algorithms.every((algorithm) => before.algorithms.includes(algorithm)) &&
    after.jwks.keys.every((key) => known.has(canonicalText(key)))
  );
}
