/**
 * A change of documents as the plane sees it: every document compiled by this plane and not by whoever sent it, all of
 * them checked as the set that would be in force, and judged by a rule of the plane's own.
 */
import { type ChangeFacts, type DocumentFacts, type Principal, type StartFacts, type ToolFacts } from "../../schemas/facts.ts";
import type { Actor, Digest, Namespace } from "../../schemas/ids.ts";
import { type ApplyChangeInput, applyChangeSchema } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import { type Reason, pointer, reason, reasonsOf } from "../../schemas/reason.ts";
import { compilePolicySet } from "../policy/compile.ts";
import { BUILT_IN_CONTRACT, BUILT_IN_DEFINITION } from "./built-in.ts";
import { inconsistencies, type Standing } from "./consistency.ts";
import { demands } from "./demands.ts";
import { documentChanges, type FieldChange } from "./diff.ts";
import type { Finding } from "./explain.ts";
import { type Document, type DocumentKind, inOrder } from "./kinds.ts";
import { readStored } from "./parse.ts";
import { type Proposer, reviewOf, type Ruling } from "./review.ts";
import { widenings } from "./widening.ts";

/** Recorded beside its verdicts (law 2). */
export const CHANGE_ENGINE = "signalbox-registry 1";
/** Reviews are asked of people who have other work. */
const REVIEW_TTL_MS = 7 * 24 * 3600 * 1000;
/** Lines that a reviewer is shown of what differs. */
const MAX_EXPLAINED = 100;
/** Characters of one value in such a line. */
const MAX_VALUE = 1_000;

export interface ChangeSources {
  readonly registry: Ruling & Standing;
  /** A stored document's bytes; null when it cannot be had. May throw: it is then called again, once there is more. */
  readonly document: (digest: Digest) => Uint8Array | null;
}

/** What is applied: the body of the input, and the input of the change's one action. */
export type Change = Pick<ApplyChangeInput, "documents" | "reason">;
const changeSchema = applyChangeSchema.pick({ documents: true, reason: true });

/** Facts of the start of a change and of its one action. @throws what `sources.document` throws */
export function changeFacts(sources: ChangeSources, ns: Namespace, actor: Actor, body: Change, _time: string): ChangeFacts {
  const principal = changePrincipal(sources.registry, actor);
  const { documents, reason: why } = body;
  const change: Change = { documents, ...(why !== undefined && { reason: why }) };
  return { kind: "change", start: changeStart(sources.registry, actor, principal), tool: changeToolFacts(sources, ns, change, principal) };
}

/** The documents that a change rests on: those of the plane's own agent and tool, and the set that says who reviews. */
export function changeDocuments(registry: Pick<Ruling, "policy">): DocumentFacts {
  const policy = registry.policy();
  return { contract: BUILT_IN_CONTRACT.digest, tool: BUILT_IN_DEFINITION.digest, ...(policy && { policy: policy.digest }) };
}

/**
 * The action of a change, judged: once when it is applied, and anew (`CurrentFacts.again`) when the policy set is another
 * one by the time that it is approved or claimed.
 * @param principal of the run: whoever applied it
 * @throws what `sources.document` throws
 */
export function changeToolFacts(sources: ChangeSources, ns: Namespace, change: JsonValue | Change, principal: Principal | null): ToolFacts {
  const { registry } = sources;
  const { timeout_ms, retries, effect, idempotent } = BUILT_IN_DEFINITION.value;
  // an approver may put anything in the place of what was proposed
  const parsed = changeSchema.safeParse(change);
  const read: Read = parsed.success ? readAll(sources, parsed.data) : { documents: [], faults: reasonsOf(parsed.error) };
  const faults = [...read.faults, ...read.documents.flatMap(({ document, index }) => placeFault(document, ns, index)), ...setFaults(registry, read)];
  const facts: ToolFacts = {
    kind: "tool",
    documents: changeDocuments(registry),
    faults,
    tool: { effect, timeout_ms, retries, idempotent, cost_micro_usd: 0 },
    approval_ttl_ms: REVIEW_TTL_MS,
  };
  if (faults.length > 0) return facts;
  return { ...facts, judgement: judged(registry, proposerOf(principal), read.documents.map(({ document }) => document)) };
}

/** A change is not edited by those who review it: one person would then say what comes into force, and agree to it. */
export function editedChangeFacts(registry: Pick<Ruling, "policy">): ToolFacts {
  const fault = reason("change.edited", "a change of documents is not edited", { help: "refuse it, and let the operator apply another" });
  return { kind: "tool", documents: changeDocuments(registry), faults: [fault], approval_ttl_ms: REVIEW_TTL_MS };
}

/** Whoever applies, as the person that he is known to be. His name is the broker's word; who bears it, the registry's. */
function changePrincipal(registry: Ruling, actor: Actor): Principal {
  const person = registry.person(actor)?.value.person;
  if (person === undefined || person.disabled === true) return { subject: actor, verified: false };
  return { subject: person.subject, issuer: person.issuer, verified: true };
}

function proposerOf(principal: Principal | null): Proposer {
  return principal?.verified === true && principal.issuer !== undefined ? { issuer: principal.issuer, subject: principal.subject } : undefined;
}

function changeStart(registry: Ruling, actor: Actor, principal: Principal): StartFacts {
  const { agent } = BUILT_IN_CONTRACT.value;
  const { contract, policy } = changeDocuments(registry);
  const disabled = registry.person(actor)?.value.person.disabled === true;
  return {
    kind: "start",
    documents: { ...(contract && { contract }), ...(policy && { policy }) },
    agent: { name: agent.name, owner: agent.owner, team: agent.team, purpose: agent.purpose, ...(agent.version !== undefined && { version: agent.version }) },
    budgets: {},
    principal,
    ...(disabled && { refusals: [reason("person.disabled", `\`${actor}\` is disabled`)] }),
  };
}

/** Nothing is judged by what it may do to itself: policy sets do not rule changes, this rule does. */
function judged(registry: Ruling & Standing, proposer: Proposer, documents: readonly (Document & { readonly digest: Digest })[]): Judgement {
  const review = reviewOf(registry, proposer, documents);
  const base = { policies: [], errors: [], engine: CHANGE_ENGINE };
  if (review === undefined) return { ...base, decision: "allow", reasons: [reason("change.allowed", "nothing in this change asks for a review")] };
  const { ask, because } = review;
  return {
    ...base,
    decision: "ask",
    ask,
    reasons: [
      ...explained(registry, documents),
      reason("change.review", `${because.map((what) => `\`${what}\``).join(", ")} ${because.length === 1 ? "is" : "are"} changed only with the agreement of ${ask.count} \`${ask.role}\``, {
        ...(proposer === undefined && { help: "who applies it is no known person, so one more is asked" }),
      }),
    ],
  };
}

/** What whoever reviews has to see, said by the plane: where somebody is given more, and every field that differs. */
function explained(registry: Standing, documents: readonly (Document & { readonly digest: Digest })[]): Reason[] {
  const found = documents.flatMap((document) => {
    const before = registry.inForce(document.kind, document.name);
    if (before?.digest === document.digest) return [];
    const what = `${document.kind} \`${document.name}\``;
    if (before === undefined) return [reason("change.new", `${what} is new`), ...widenings(undefined, document).map((text) => reason("change.widens", `${what}: ${text}`))];
    return [
      ...widenings(before.value, document).map((text) => reason("change.widens", `${what}: ${text}`)),
      ...documentChanges(before.value, document).map((change) => reason("change.field", `${what}: ${fieldText(change)}`)),
    ];
  });
  const most = found.slice(0, MAX_EXPLAINED).map((one) => ({ ...one, message: one.message.slice(0, 2 * MAX_VALUE + 500) }));
  return found.length <= MAX_EXPLAINED ? most : [...most, reason("change.more", `and ${found.length - MAX_EXPLAINED} more differences`, { help: "`signalbox apply --dry-run` shows all of them" })];
}

function fieldText({ path, before, after }: FieldChange): string {
  const text = (value: JsonValue | undefined) => (typeof value === "string" ? value : JSON.stringify(value)).slice(0, MAX_VALUE);
  if (before === undefined) return `\`${path}\` is added: ${text(after)}`;
  return after === undefined ? `\`${path}\` is removed: ${text(before)}` : `\`${path}\` was ${text(before)} and is ${text(after)}`;
}

interface Read {
  readonly documents: readonly { readonly document: Document & { readonly digest: Digest }; readonly index: number }[];
  readonly faults: readonly Reason[];
}

function readAll(sources: ChangeSources, change: Change): Read {
  // all are asked for before any is compiled: asking may throw, and compiling costs
  const bytes = change.documents.map(({ document }) => sources.document(document));
  const faults: Reason[] = [];
  const seen = new Set<string>();
  const documents = change.documents.flatMap(({ kind, name, document: digest }, index) => {
    const at = (path: readonly string[] = []) => pointer(["documents", String(index), ...path]);
    const key = `${kind} ${name}`;
    if (seen.has(key)) faults.push(reason("change.twice", `${kind} \`${name}\` stands in the change twice`, { path: at(["name"]) }));
    seen.add(key);
    const stored = bytes[index] ?? null;
    if (stored === null) {
      faults.push(reason("document.missing", `document \`${digest}\` is not stored`, { path: at(["document"]), help: "store it first" }));
      return [];
    }
    const checked = checkStored(stored);
    faults.push(...checked.faults.map((fault) => ({ ...fault, path: `${at()}${fault.path ?? ""}` })));
    const { document } = checked;
    if (document === undefined) return [];
    const mismatch = mismatchOf(document, kind, name);
    if (mismatch !== undefined) {
      faults.push({ ...mismatch, path: at() });
      return [];
    }
    return [{ document: { ...document, digest }, index }];
  });
  return { documents: documents.sort((a, b) => inOrder(a.document, b.document)), faults };
}

/** Documents that are read are checked as one set even where others have faults: all faults at once. */
function setFaults(registry: Standing, { documents }: Read): Reason[] {
  const index = new Map<Document, number>(documents.map(({ document, index: at }) => [document, at]));
  return inconsistencies(registry, [...index.keys()])
    .filter(({ severity }) => severity === "fault")
    .map((found) => reasonOf({ ...found, path: ["documents", String(index.get(found.document)), ...found.path] }));
}

/**
 * What one document that is applied on its own is refused for: `in.apply.<actor>.<kind>:<name>`, the way that needs no
 * run and has no review. Gateways, which carry reviewed changes out, are not asked for one again.
 * @param actor who applies it; undefined for a gateway
 */
export function applyFaults(registry: Ruling, ns: Namespace, actor: Actor | undefined, kind: DocumentKind, name: string, digest: Digest, bytes: Uint8Array): Reason[] {
  const { document, faults } = checkStored(bytes);
  if (document === undefined) return [...faults];
  const mismatch = mismatchOf(document, kind, name);
  if (mismatch !== undefined) return [...faults, mismatch];
  const found = [...faults, ...placeFault(document, ns)];
  if (actor === undefined || found.length > 0) return found;
  const ruling = document.kind === "policy" ? registry.applied("policy", name) : undefined;
  const replaces = ruling !== undefined && ruling !== digest;
  if (!replaces && reviewOf(registry, proposerOf(changePrincipal(registry, actor)), [{ ...document, digest }]) === undefined) return found;
  const code = document.kind === "policy" ? "policy.review" : "change.review";
  return [reason(code, `${kind} \`${name}\` is changed by a change that is reviewed`, { help: "`signalbox apply` makes one; so does `in.apply.<operator>.signalbox-registry_<id>`" })];
}

function mismatchOf(document: Document, kind: DocumentKind, name: string): Reason | undefined {
  if (document.kind === kind && document.name === name) return undefined;
  return reason("document.mismatch", `the document is ${document.kind} \`${document.name}\`, not ${kind} \`${name}\``);
}

/** A contract that says where it may be used is used nowhere else. */
function placeFault(document: Document, ns: Namespace, index?: number): Reason[] {
  const named = document.kind === "agent" ? document.value.namespaces : undefined;
  if (named === undefined || named.includes(ns)) return [];
  const before = index === undefined ? [] : ["documents", String(index)];
  return [reason("contract.namespace", `the contract is not for the namespace \`${ns}\``, { path: pointer([...before, "namespaces"]), help: `it names ${named.map((one) => `\`${one}\``).join(", ") || "none"}` })];
}

export interface CheckedDocument {
  /** Also when it has faults, as long as it can be read. */
  readonly document?: Document;
  readonly faults: readonly Reason[];
}

/** Compiling costs milliseconds, and a change is looked at again when it is approved and claimed. */
const checked = new WeakMap<Uint8Array, CheckedDocument>();

/**
 * A stored document compiled by this plane, with everything that is wrong with it alone. Remembered as long as the bytes
 * are: whoever fetches them may call this first, so that no one turn compiles hundreds.
 */
export function checkStored(bytes: Uint8Array): CheckedDocument {
  let known = checked.get(bytes);
  if (known === undefined) checked.set(bytes, (known = checkAnew(bytes)));
  return known;
}

function checkAnew(bytes: Uint8Array): CheckedDocument {
  const { document, findings } = readStored(bytes);
  if (document === undefined) return { faults: findings.map(reasonOf) };
  const faults = demands(document).map(reasonOf);
  if (document.kind !== "policy") return { document, faults };
  const compiled = compilePolicySet(document.value);
  if (compiled.ok) return { document, faults };
  const places = compiled.faults.map(({ file, line, column, message, code, help }) => reason(code, `${file}:${line}:${column}: ${message}`, { ...(help !== undefined && { help }) }));
  return { document, faults: [...faults, ...places] };
}

function reasonOf(found: Finding): Reason {
  return reason(found.code, found.message, { path: pointer(found.path), ...(found.help !== undefined && { help: found.help }) });
}
