/**
 * Gathers the outside facts of one input before a machine sees it (law 2): documents in force, validation, judgement,
 * who somebody is, what is stopped. Synchronous, because it runs for every input; what has to be fetched or verified
 * first is said by throwing {@link Needs}.
 */
import type { RunInput } from "../../machines/decide.ts";
import { readied } from "../../machines/leases.ts";
import { proposalOf } from "../../machines/proposals.ts";
import type { DocumentInput, DocumentKind } from "../../machines/registry.ts";
import { RUN_ENDED } from "../../machines/run.ts";
import type { RunState } from "../../machines/state.ts";
import type { AppliedFacts, CurrentFacts, DocumentFacts, Facts, GuardHit, OutputFacts, Principal, StartFacts, ToolFacts } from "../../schemas/facts.ts";
import { NO_FACTS } from "../../schemas/facts.ts";
import { type ActionId, type Actor, type Digest, type Namespace, digestSchema, startingAgent } from "../../schemas/ids.ts";
import type { ApplyChangeInput, DecisionInput, ReportInput, Scan, SignalInput } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { microUsd } from "../../schemas/money.ts";
import type { StartProposal, ToolProposal } from "../../schemas/proposal.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Pseudonym } from "../../schemas/sealed.ts";
import type { Tool } from "../../schemas/tool.ts";
import { CHANGE_ACTOR } from "../identity/permissions.ts";
import { type PrincipalVerdict, claimedPrincipal } from "../identity/principal.ts";
import type { Judge } from "../policy/judgement.ts";
import { marksOf } from "../policy/scan/index.ts";
import { type More, toolFacts } from "../policy/tool-facts.ts";
import { BUILT_IN_AGENT, BUILT_IN_TOOL, isChange } from "../registry/built-in.ts";
import { type Change, applyFaults, changeDocuments, changeFacts, changeToolFacts, editedChangeFacts } from "../registry/change.ts";
import { SCHEMA_ENGINE } from "../registry/json-schema.ts";
import type { Validators } from "../registry/validate.ts";
import type { RegistryView } from "../registry/view.ts";
import { marksOfTool } from "../registry/personal.ts";
import type { GuardView, Involved } from "./guard-view.ts";
import type { People } from "./people.ts";
import type { Placing } from "./placing.ts";
import type { Fetching, NeedsKeys, Personal } from "./personal.ts";

/** A document to fetch, a token to verify, or the table of segments to read, before the input can be judged. */
export class Needs extends Error {
  override readonly name = "Needs";
  readonly what: NeedsDocument | NeedsToken | NeedsKeys | NeedsStored | NeedsTable;
  constructor(what: NeedsDocument | NeedsToken | NeedsKeys | NeedsStored | NeedsTable) {
    super("document" in what ? `document ${what.document} is needed first` : "token" in what ? "a token is to be verified first" : "table" in what ? "the table of segments is to be read first" : "keys are needed first");
    this.what = what;
  }
}
export interface NeedsDocument {
  readonly document: Digest;
}
/** Time of the input in hand. */
export interface NeedsTable {
  readonly table: string;
}
/** Which key the store holds of a subject. */
export interface NeedsStored {
  readonly stored: Pseudonym;
}
/** A token as it came, and what it is held against. */
export interface NeedsToken {
  readonly token: string;
  readonly agent: Actor;
  /** The principal that the run has. */
  readonly same: Principal | null;
}

export interface FactSources {
  readonly registry: RegistryView;
  readonly validators: Validators;
  readonly judge: Judge;
  readonly guard: GuardView;
  readonly people: People;
  readonly personal: Personal;
  /** Where new runs start; in segment 1 when left out. */
  readonly placement?: Placing;
}

/** The sources of one turn. */
export interface Lookups extends FactSources {
  /** A fetched document's bytes; undefined when it was not fetched yet, null when it cannot be had. */
  readonly fetched: (digest: Digest) => Uint8Array | null | undefined;
}

/** The header `signalbox-principal` of an input, and what was found of it: the token itself goes no further. */
export interface Bearer {
  readonly principal: string | undefined;
  checked?: PrincipalVerdict;
}

/** @throws Needs, Unbelieved */
export function gatherFacts(sources: Lookups, state: RunState, input: RunInput, bearer: Bearer): Facts {
  if (isForeseen(state, input)) return NO_FACTS;
  switch (input.kind) {
    case "propose":
      if (input.body.kind === "start") return startFacts(sources, state, input.actor, input.body, bearer);
      if (input.body.kind === "tool") return proposedFacts(sources, state, input.time, input.body, bearer);
      return NO_FACTS;
    case "decide":
      return decisionFacts(sources, state, input.actor, input.body, input.time);
    case "report":
      if (input.body.status === "started") return claimFacts(sources, state, input.body.action, input.time);
      if (givesOutput(input.body)) return outputFacts(sources, state, input.body.action, input.body.output ?? null, input.body.scan);
      return NO_FACTS;
    case "control":
      if (input.body.verb === "resolve" && input.body.outcome === "succeeded" && input.body.output !== undefined) {
        return outputFacts(sources, state, input.body.action, input.body.output, undefined);
      }
      return NO_FACTS;
    case "apply":
      return state.seq === 0 ? changed(sources, state, input.actor, input.body, input.time) : NO_FACTS;
    case "signal":
      return signalFacts(sources, state, input.body, input.time);
    case "due":
      return NO_FACTS;
  }
}

/** A report of what a tool gave, when it was called or when it was asked afterwards. */
function givesOutput({ status, probe, error }: ReportInput): boolean {
  return status === "succeeded" || (status === "probed" && probe?.found === "done" && error === undefined);
}

/** A token that came with a proposal and does not hold: the proposal is refused, and recorded without it. */
export class Unbelieved extends Error {
  override readonly name = "Unbelieved";
  readonly reasons: readonly Reason[];
  constructor(reasons: readonly Reason[]) {
    super("the principal's token does not hold");
    this.reasons = reasons;
  }
}

/** What the machine answers without looking at facts: a flood of it must not cost a judgement each. */
function isForeseen(state: RunState, input: RunInput): boolean {
  if (state.inputs.has(`${input.kind}/${input.actor}/${input.id}`)) return true;
  if (input.kind !== "propose" || input.body.kind === "start") return false;
  return input.actor !== state.holder || RUN_ENDED.has(state.life.value);
}

/** Looks at a header once per arrival. @throws Needs when it is to be verified first */
function verdictOn(bearer: Bearer, agent: Actor, same: Principal | null): PrincipalVerdict {
  const { principal: header, checked } = bearer;
  if (header === undefined || header === "") return { principal: null };
  if (checked !== undefined) return checked;
  const claimed = claimedPrincipal(header);
  if (claimed !== null) return { principal: claimed };
  throw new Needs({ token: header, agent, same });
}

/**
 * A fresh token of the run's own principal. One that the run has already says nothing new, nor does a mere name.
 * @throws Needs, Unbelieved
 */
function freshPrincipal(state: RunState, bearer: Bearer): Principal | undefined {
  const { principal: header } = bearer;
  if (header === undefined || header === "" || isFirst(state)) return undefined;
  const current = state.envelope?.principal ?? null;
  if (current?.token_hash !== undefined && sha256Digest(header) === current.token_hash) return undefined;
  const verdict = verdictOn(bearer, state.holder, current);
  if ("refusals" in verdict) throw new Unbelieved(verdict.refusals);
  if (verdict.principal?.verified !== true) return undefined;
  if (current?.verified === true) return verdict.principal;
  throw new Unbelieved([reason("principal.other", "the run was begun without a principal, and none takes it over", { help: "bring the token with `start`" })]);
}

function startFacts(sources: Lookups, state: RunState, actor: Actor, body: StartProposal, bearer: Bearer): StartFacts {
  const { registry, guard, people } = sources;
  // an agent that starts for another name is refused by the machine; its own contract is looked up all the same
  const contract = registry.contract(actor);
  const policy = registry.policy();
  const documents: DocumentFacts = {
    ...(contract && { contract: contract.digest }),
    ...(policy && { policy: policy.digest }),
  };
  // what is refused in any case is not worth a signature
  const admissible = contract !== undefined && state.seq === 0 && startingAgent(state.run) === actor;
  const verdict = admissible ? verdictOn(bearer, actor, null) : { principal: null };
  const who = "refusals" in verdict ? { principal: null, refusals: [...verdict.refusals] } : verdict;
  if (contract === undefined) return { kind: "start", documents, budgets: {}, ...who };
  const { agent, budgets } = contract.value;
  const { principal } = who;
  const hit = guard.hit({ agent: agent.name, version: agent.version, team: agent.team, principal }) ?? people.disabled(principal);
  return {
    kind: "start",
    documents,
    agent: {
      name: agent.name,
      ...(agent.version !== undefined && { version: agent.version }),
      owner: agent.owner,
      team: agent.team,
      ...(agent.project !== undefined && { project: agent.project }),
      purpose: agent.purpose,
    },
    budgets: {
      ...(budgets.max_steps !== undefined && { max_steps: budgets.max_steps }),
      ...(budgets.max_cost_usd_per_run !== undefined && { max_cost_micro_usd: microUsd(budgets.max_cost_usd_per_run) }),
      ...(budgets.max_wall_seconds !== undefined && { max_wall_ms: budgets.max_wall_seconds * 1000 }),
      ...(budgets.max_input_tokens !== undefined && { max_input_tokens: budgets.max_input_tokens }),
      ...(budgets.max_output_tokens !== undefined && { max_output_tokens: budgets.max_output_tokens }),
      ...(budgets.max_depth !== undefined && { max_depth: budgets.max_depth }),
      ...(budgets.pause_at_half !== undefined && { pause_at_half: budgets.pause_at_half }),
    },
    ...who,
    ...(hit && { guard: hit }),
  };
}

function proposedFacts(sources: Lookups, state: RunState, time: string, body: ToolProposal, bearer: Bearer): ToolFacts {
  const principal = freshPrincipal(state, bearer);
  const guard = isFirst(state) ? undefined : guardHit(sources, state, body.tool, principal ?? state.envelope?.principal);
  return judged(sources, state, time, body, { guard, principal });
}

function judged(sources: Lookups, state: RunState, time: string, body: ToolProposal, more: More): ToolFacts {
  const { registry, validators, judge } = sources;
  const inForce = {
    contract: registry.contract(state.holder),
    tool: registry.tool(body.tool),
    policy: registry.policy(),
    budget: (account: string) => registry.budget(account),
  };
  const marks = inForce.tool === undefined ? [] : marksOfTool(inForce.tool.value, inForce.contract?.value);
  if (marks.length === 0) return toolFacts({ validators, judge }, inForce, state, body, time, more);
  // what is judged is the sealed form; that it fits the schema, and what it was taken from, only the plain one shows
  const opened = sources.personal.open(state, body.input, marks, fetching(sources));
  return toolFacts({ validators, judge }, inForce, state, body, time, { ...more, opened });
}

/** What must be there first is said by throwing. */
export function fetching(sources: Lookups): Fetching {
  return {
    keys: (needs) => {
      throw new Needs(needs);
    },
    document: (digest) => fetch(sources, digest),
  };
}

/** An open action as it would be judged now. @param input what an approver puts in the place of its input */
function judgedAgain(sources: Lookups, state: RunState, time: string, action: ActionId, more: More = {}, input?: JsonValue): ToolFacts {
  const proposal = proposalOf(state, action, input);
  const guard = guardHit(sources, state, proposal.tool);
  if (!isChange(state.run)) return judged(sources, state, time, proposal, { guard, action, ...more });
  if (input !== undefined) return editedChangeFacts(sources.registry);
  const facts = changeToolFacts(changeSources(sources), state.ns, proposal.input as unknown as Change, state.envelope?.principal ?? null);
  return guard === undefined ? facts : { ...facts, guard };
}

/** Who lets the judgement of an action wait: the last allowance that it needs has come, or has not. */
function signalFacts(sources: Lookups, state: RunState, body: SignalInput, time: string): Facts {
  if (body.name !== "leased") return NO_FACTS;
  const action = readied(state, body);
  return action === undefined ? NO_FACTS : judgedAgain(sources, state, time, action, { reply: body });
}

function changeSources(sources: Lookups) {
  return { registry: sources.registry, document: (digest: Digest) => fetch(sources, digest) };
}

function changed(sources: Lookups, { ns }: RunState, actor: Actor, body: ApplyChangeInput, time: string): Facts {
  const facts = changeFacts(changeSources(sources), ns, actor, body, time);
  const { principal } = facts.start;
  const hit = sources.guard.hit({ agent: BUILT_IN_AGENT, tool: BUILT_IN_TOOL, principal });
  return hit === undefined ? facts : { ...facts, start: { ...facts.start, guard: hit }, tool: { ...facts.tool, guard: hit } };
}

/** What covers an action of this run, or the run itself when no tool is named. */
export function guardHit({ guard, people }: FactSources, state: RunState, tool?: string, principal = state.envelope?.principal): GuardHit | undefined {
  if (guard.empty) return people.disabled(principal);
  const { envelope } = state;
  const involved: Involved = { agent: state.holder, version: envelope?.agent.version, team: envelope?.team, tool, principal };
  return guard.hit(involved) ?? people.disabled(principal);
}

function decisionFacts(sources: Lookups, state: RunState, actor: Actor, body: DecisionInput, time: string): CurrentFacts {
  const approval = state.approvals.get(body.request);
  const action = approval?.context.action;
  const facts = currentFacts(sources, state, action);
  if (isFirst(state)) return facts;
  const about = { ...facts, person: sources.people.facts(actor) };
  if (action === undefined || approval?.value !== "requested") return about;
  if (body.decision === "edit") return { ...about, again: judgedAgain(sources, state, time, action, { action: undefined, replaces: action }, body.input) };
  return isSame(facts.documents, state.actions.get(action)?.context.documents) ? about : { ...about, again: judgedAgain(sources, state, time, action) };
}

function claimFacts(sources: Lookups, state: RunState, id: ActionId, time: string): CurrentFacts {
  const facts = currentFacts(sources, state, id);
  const action = state.actions.get(id);
  if (isFirst(state) || action?.value !== "dispatched") return facts;
  const approvers = approversOf(sources, state, id);
  const counted = approvers === undefined ? facts : { ...facts, approvers };
  return isSame(facts.documents, action.context.documents) ? counted : { ...counted, again: judgedAgain(sources, state, time, id) };
}

/** Everybody whose agreement an action rests on, as they stand now; undefined when no person was asked. */
function approversOf({ people, guard }: FactSources, state: RunState, id: ActionId): CurrentFacts["approvers"] {
  const request = state.actions.get(id)?.context.rests?.request;
  const approval = request === undefined ? undefined : state.approvals.get(request);
  if (approval === undefined) return undefined;
  return Object.fromEntries(approval.context.grants.map((name) => [name, guard.person(name) === undefined ? people.facts(name) : null]));
}

/** Version 1 knew nothing of persons and stops, and its records hold nothing of them. */
function isFirst(state: RunState): boolean {
  return state.machine === "1";
}

function isSame(one: DocumentFacts, other: DocumentFacts | undefined): boolean {
  return one.contract === other?.contract && one.tool === other?.tool && one.policy === other?.policy;
}

function currentFacts(sources: Lookups, state: RunState, id: ActionId | undefined): CurrentFacts {
  const action = id === undefined ? undefined : state.actions.get(id)?.context;
  const hit = isFirst(state) ? undefined : guardHit(sources, state, action?.tool);
  return { kind: "current", documents: inForce(sources, state, action?.tool), ...(hit && { guard: hit }) };
}

function inForce({ registry }: FactSources, state: RunState, name: string | undefined): DocumentFacts {
  if (isChange(state.run)) return changeDocuments(registry);
  const contract = registry.contract(state.holder);
  const tool = name === undefined ? undefined : registry.tool(name);
  const policy = registry.policy();
  return {
    ...(contract && { contract: contract.digest }),
    ...(tool && { tool: tool.digest }),
    ...(policy && { policy: policy.digest }),
  };
}

/** The output is checked against the schema of the tool as it was approved, whatever is in force now. */
function outputFacts(sources: Lookups, state: RunState, id: ActionId, output: JsonValue, scan: Scan | undefined): OutputFacts {
  const action = state.actions.get(id);
  const digest = action?.context.documents.tool;
  const checked = (faults: Reason[]): OutputFacts => ({ kind: "output", faults, engine: SCHEMA_ENGINE });
  if (digest === undefined) return checked([reason("tool.unknown", "the action has no tool")]);
  const tool = sources.registry.toolVersion(digest);
  if (tool === undefined) {
    fetch(sources, digest);
    return checked([reason("tool.unknown", "the tool that was approved cannot be read any more")]);
  }
  const { faults, plain } = faultsOf(sources, state, id, tool, output);
  const facts = checked(faults);
  if (isFirst(state)) return facts;
  // an unclaimed read is claim and result in one: what is stopped meanwhile does not come to its end
  const hit = action?.value === "dispatched" ? guardHit(sources, state, action.context.tool) : undefined;
  return { ...facts, marks: marksOf(tool, plain, scan), ...(hit && { guard: hit }) };
}

function faultsOf(sources: Lookups, state: RunState, id: ActionId, tool: Tool, output: JsonValue): { readonly faults: Reason[]; readonly plain: JsonValue } {
  const documents = state.actions.get(id)?.context.documents ?? {};
  const digest = documents.tool ?? "";
  const found = (faults: Reason[], plain = output) => ({ faults, plain });
  const stored = documentReference(output);
  let value = output;
  if (stored !== undefined) {
    const bytes = fetch(sources, stored);
    if (bytes === null) return found([reason("document.missing", `the output's document \`${stored}\` cannot be had`)]);
    try {
      value = JSON.parse(Buffer.from(bytes).toString("utf8")) as JsonValue;
    } catch {
      return found([reason("document.unreadable", "the output's document is not JSON")]);
    }
  }
  const marks = sources.personal.marksUnder(documents, state.holder, fetching(sources)) ?? [];
  if (marks.length === 0) return found(sources.validators.outputFaults(digest, tool.output, value));
  const { plain, faults } = sources.personal.open(state, value, marks, fetching(sources));
  return found(faults.length > 0 ? [...faults] : sources.validators.outputFaults(digest, tool.output, plain), stored === undefined ? plain : output);
}

function fetch(sources: Lookups, digest: Digest): Uint8Array | null {
  const bytes = sources.fetched(digest);
  if (bytes === undefined) throw new Needs({ document: digest });
  return bytes;
}

/** Whether an applied document is what it claims to be, compiled by this plane and not by whoever sent it. */
export function appliedFacts(sources: Lookups, ns: Namespace, kind: DocumentKind, name: string, { actor, document: digest }: DocumentInput): AppliedFacts {
  const bytes = fetch(sources, digest);
  if (bytes === null) {
    return { kind: "applied", faults: [reason("document.missing", `document \`${digest}\` is not stored`, { help: "store it first" })] };
  }
  const by = actor === CHANGE_ACTOR ? undefined : (actor as Actor);
  return { kind: "applied", faults: applyFaults(sources.registry, ns, by, kind, name, digest, bytes) };
}

/** `{ "$doc": "sha256:…", bytes }`: a value too large for a message. */
export function documentReference(value: JsonValue): Digest | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  // most are none, and what does not fit costs a stack trace to say so
  if (typeof value["$doc"] !== "string") return undefined;
  const parsed = digestSchema.safeParse(value["$doc"]);
  return parsed.success && Object.keys(value).length <= 2 ? parsed.data : undefined;
}
