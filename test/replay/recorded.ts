/** A journal made without a server, by the machines, the policies and the sealing that the plane has: two runs and their documents. */
import { decideDocument, emptyDocument, evolveDocument } from "../../machines/registry.ts";
import { decide, type RunInput } from "../../machines/decide.ts";
import { readied } from "../../machines/leases.ts";
import { owed } from "../../machines/owed.ts";
import { proposalOf } from "../../machines/proposals.ts";
import { emptyRun, evolve, type RunState } from "../../machines/state.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { type Contract, contractSchema } from "../../schemas/contract.ts";
import type { Cause, EventDraft, Premise } from "../../schemas/event.ts";
import { type CurrentFacts, type Facts, NO_FACTS, type PersonFacts, type ToolFacts } from "../../schemas/facts.ts";
import { type ActionId, type AggregateKind, type Digest, namespace, runId } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { type PolicySet, policySetSchema } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { timestamp } from "../../schemas/time.ts";
import { type Tool, toolSchema } from "../../schemas/tool.ts";
import { type ChainHead, EMPTY_CHAIN, seal } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { type More, toolFacts } from "../../services/policy/tool-facts.ts";
import type { Document } from "../../services/registry/kinds.ts";
import { stored } from "../../services/registry/parse.ts";
import { Validators } from "../../services/registry/validate.ts";
import type { DocumentSource } from "../../services/replay/documents.ts";
import { chainAfter, chained } from "../../services/replay/fold.ts";

export const NS = namespace("default");
export const RUN = runId("clerk_one");
export const OTHER_RUN = runId("clerk_two");
const T0 = Date.UTC(2026, 0, 31, 9, 30);
const ANY = { type: "object" };

export const tool = (name: string, effect: string, more: object = {}): Tool =>
  toolSchema.parse({ name, description: `a ${effect}`, effect, input: ANY, output: ANY, adapter: { type: "nats" }, ...more });
export const CONTRACT: Contract = contractSchema.parse({
  agent: { name: "clerk", version: "1.0.0", owner: "an owner", team: "a team", purpose: "to be tested" },
  tools: { allowlist: [{ name: "t.read" }, { name: "t.write", requires_approval_above: { field: "amount", value: 100 } }, { name: "t.wipe" }] },
});
export const policies = (text: string): PolicySet => policySetSchema.parse({ name: "default", files: { "rules.cedar": text } });
export const RULES = `@id("all") permit (principal, action, resource);
@id("no-wiping") forbid (principal, action, resource) when { resource.name == "t.wipe" };
`;

/** Applied documents and runs, as a coordinator would have recorded them. */
export class Recorder {
  readonly messages: StoredMessage[] = [];
  readonly stored = new Map<Digest, Uint8Array>();
  readonly tools = new Map<string, { digest: Digest; value: Tool }>();
  contract!: { digest: Digest; value: Contract };
  policy!: { digest: Digest; value: PolicySet };
  /** Changes facts before the machine sees them, as somebody with the coordinator's credentials could. */
  forge: (facts: Facts) => Facts = (facts) => facts;
  readonly #heads = new Map<string, ChainHead>();
  readonly #states = new Map<string, RunState>();
  readonly #judging = { validators: new Validators(), judge: new PolicyJudge() };
  /** What the ledgers hold and spent, by `<ledger>/<unit>/<window>`. */
  readonly #totals = new Map<string, number>();
  #time = T0;

  apply(document: Document): void {
    const { digest, bytes } = stored(document);
    this.stored.set(digest, bytes);
    if (document.kind === "tool") this.tools.set(document.name, { digest, value: document.value });
    if (document.kind === "agent") this.contract = { digest, value: document.value };
    if (document.kind === "policy") this.policy = { digest, value: document.value };
    const state = emptyDocument(NS, document.kind, document.name, CURRENT_VERSION);
    const body = { id: `apply-${document.name.replaceAll(".", "-")}`, document: digest };
    const input = { actor: "op", ...body, hash: canonicalDigest(body), time: this.#tick() };
    const facts = { kind: "applied" as const, faults: [] };
    const decision = decideDocument(state, input, facts);
    if (decision.kind !== "commit") throw new Error(JSON.stringify(decision));
    evolveDocument(state, decision.change);
    this.#seal(document.kind, document.name, decision.drafts, decision.change.at, { id: input.id, kind: "apply", actor: "op", time: input.time }, { input: body, input_hash: input.hash, facts });
  }

  /** One input, decided and recorded; its facts are looked up as the plane does. */
  tell(run: string, kind: RunInput["kind"], actor: string, body: { readonly id: string; readonly [key: string]: unknown }): void {
    const state = this.state(run);
    const time = this.#tick();
    const input = { kind, actor, id: body.id, time, traceparent: undefined, hash: canonicalDigest(body), body } as unknown as RunInput;
    const facts = this.forge(this.#facts(state, input));
    const decision = decide(state, input, facts);
    if (decision.kind !== "commit") throw new Error(`${body.id}: ${JSON.stringify(decision)}`);
    const cause = chained({ id: body.id, kind, actor, time }, chainAfter(state, decision.change));
    evolve(state, decision.change);
    this.#seal("run", run, decision.drafts, decision.change.at, cause, { input: body as never, input_hash: input.hash, facts });
    const [debt] = owed(state).flatMap((one) => (one.kind === "signal" ? [one] : []));
    if (debt !== undefined) this.tell(run, "signal", debt.to, this.#answer(debt.body) as never);
  }

  /** What a ledger without limits says. */
  #answer(body: SignalInput): SignalInput {
    const { id, ledger, unit, window } = body;
    const key = `${ledger}/${unit}/${window}`;
    const before = this.#totals.get(key) ?? 0;
    const change = body.name === "lease" ? body.need : body.name === "return" ? -body.unused : 0;
    this.#totals.set(key, before + change);
    if (body.name === "lease") return { name: "leased", id, ledger, unit, window, granted: change, total: before + change };
    if (body.name === "return") return { name: "returned", id, ledger, unit, window, unused: body.unused, last: body.last };
    throw new Error(`a run owes no \`${body.name}\``);
  }

  start(run: string): void {
    this.tell(run, "propose", "clerk", { kind: "start", id: "s", agent: { name: "clerk" }, goal: "a goal" });
  }
  propose(run: string, id: string, tool: string, input: object = {}): void {
    this.tell(run, "propose", "clerk", { kind: "tool", id, tool, input });
  }
  /** Claims and reports the last action as done. */
  carryOut(run: string): void {
    const action = [...this.state(run).actions.keys()].at(-1) as string;
    const claim = { gateway: "g1", nonce: "nonce-0001" };
    this.tell(run, "report", "g1", { id: `${action}.1`, action, attempt: 1, claim, status: "started" });
    this.tell(run, "report", "g1", { id: `${action}.2`, action, attempt: 1, claim, status: "succeeded", output: { done: true } });
  }
  approve(run: string, by: string): void {
    const [request, approval] = [...this.state(run).approvals].at(-1) ?? [];
    this.tell(run, "decide", by, { id: `d-${by}-${request}`, request, decision: "approve", digest: approval?.context.digest, reason: "looked at it" });
  }

  state(run: string): RunState {
    let state = this.#states.get(run);
    if (state === undefined) this.#states.set(run, (state = emptyRun(NS, runId(run), CURRENT_VERSION)));
    return state;
  }

  get documents(): DocumentSource {
    return { bytes: (digest) => Promise.resolve(this.stored.get(digest)) };
  }

  of(run: string): StoredMessage[] {
    return this.messages.filter(({ subject }) => subject.endsWith(`.${run}`));
  }

  #facts(state: RunState, input: RunInput): Facts {
    const { contract, policy } = this;
    if (input.kind === "propose" && input.body.kind === "start") {
      const { name, version, owner, team, purpose } = contract.value.agent;
      const principal = { subject: "kim@example.com", issuer: "https://issuer.example", verified: true, expires_at: "2026-02-01T00:00:00.000Z" };
      return { kind: "start", documents: { contract: contract.digest, policy: policy.digest }, agent: { name, ...(version !== undefined && { version }), owner, team, purpose }, budgets: {}, principal };
    }
    if (input.kind === "propose" && input.body.kind === "tool") return this.#toolFacts(state, input.body, input.time);
    if (input.kind === "signal") {
      const action = readied(state, input.body);
      return action === undefined ? NO_FACTS : this.#toolFacts(state, proposalOf(state, action), input.time, { action, reply: input.body });
    }
    if (input.kind === "report" && input.body.status === "succeeded") return { kind: "output", faults: [], engine: "test", marks: { tainted: false, labels: [], cleanses: false } };
    if (input.kind !== "decide" && input.kind !== "report") return NO_FACTS;
    return this.#currentFacts(state, input, input.kind === "report" ? input.body.action : state.approvals.get(input.body.request)?.context.action);
  }

  /** Documents as they are in force now: an action that was judged by others is judged again. */
  #currentFacts(state: RunState, input: RunInput, id: ActionId | undefined): CurrentFacts {
    const { contract, policy } = this;
    const action = id === undefined ? undefined : state.actions.get(id)?.context;
    const tool = this.tools.get(action?.tool ?? "");
    const documents = { contract: contract.digest, policy: policy.digest, ...(tool && { tool: tool.digest }) };
    const edit = input.kind === "decide" && input.body.decision === "edit" ? input.body.input : undefined;
    const changed = action !== undefined && action.documents.policy !== policy.digest;
    const more: More = edit === undefined ? { action: id } : { replaces: id };
    const again = id !== undefined && (changed || edit !== undefined) ? { again: this.#toolFacts(state, proposalOf(state, id, edit), input.time, more) } : {};
    if (input.kind === "decide") return { kind: "current", documents, ...again, person: this.#person(input.actor) };
    const request = action?.rests?.request;
    const names = request === undefined ? [] : (state.approvals.get(request)?.context.grants ?? []);
    return { kind: "current", documents, ...again, ...(names.length > 0 && { approvers: Object.fromEntries(names.map((name) => [name, this.#person(name)])) }) };
  }

  #person(name: string): PersonFacts {
    return { issuer: "https://issuer.example", subject: name, roles: ["approver", "finance"], document: this.contract.digest };
  }

  #toolFacts(state: RunState, body: ToolProposal, time: string, more: More = {}): ToolFacts {
    return toolFacts(this.#judging, { contract: this.contract, tool: this.tools.get(body.tool), policy: this.policy }, state, body, time, more);
  }

  #seal(kind: AggregateKind, name: string, drafts: readonly EventDraft[], at: string, cause: Cause, premise: Premise): void {
    const key = `${kind}/${name}`;
    const sealed = seal({ ns: NS, kind, name }, this.#heads.get(key) ?? EMPTY_CHAIN, { drafts, at, machine: CURRENT_VERSION, cause, premise });
    this.#heads.set(key, sealed.head);
    for (const { subject, headers, data } of sealed.events) {
      this.messages.push({ subject, seq: this.messages.length + 1, time: Date.parse(cause.time) + 1, headers: new Map(Object.entries(headers)), data });
    }
  }

  #tick(): string {
    return timestamp((this.#time += 1000));
  }
}

/** Documents in force, and nothing else yet. */
export function office(rules = RULES): Recorder {
  const recorder = new Recorder();
  for (const one of [tool("t.read", "read"), tool("t.write", "write"), tool("t.wipe", "irreversible")]) recorder.apply({ kind: "tool", name: one.name, value: one });
  recorder.apply({ kind: "agent", name: "clerk", value: CONTRACT });
  recorder.apply({ kind: "policy", name: "default", value: policies(rules) });
  return recorder;
}

/** Two runs side by side: reads, a small write, a large one that a person approves, and one that policy forbids. */
export function recorded(): Recorder {
  const recorder = office();
  recorder.start(RUN);
  recorder.start(OTHER_RUN);
  recorder.propose(RUN, "t1", "t.read");
  recorder.carryOut(RUN);
  recorder.propose(OTHER_RUN, "t1", "t.write", { amount: 5 });
  recorder.carryOut(OTHER_RUN);
  recorder.propose(RUN, "t2", "t.write", { amount: 500 });
  recorder.approve(RUN, "ada");
  recorder.carryOut(RUN);
  recorder.propose(RUN, "t3", "t.wipe");
  recorder.propose(OTHER_RUN, "t2", "t.read");
  recorder.carryOut(OTHER_RUN);
  recorder.tell(RUN, "propose", "clerk", { kind: "finish", id: "f" });
  return recorder;
}
