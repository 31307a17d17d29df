/**
 * Given what a run went through, when an input comes, then these events are recorded, or it is refused with this code.
 *
 *     given(start(), tool("t1")).when(claim("a2")).then("action.started")
 *
 * Every `when` also holds `decide` to its word: the same arguments give equal results, and the state is only read.
 */
import assert from "node:assert/strict";
import { type Decision, type RunInput, decide } from "../../machines/decide.ts";
import { uncovered } from "../../machines/leases.ts";
import { owed } from "../../machines/owed.ts";
import { approversOf } from "../../machines/persons.ts";
import { type RunState, emptyRun, evolve } from "../../machines/state.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import type { EventDraft, EventType } from "../../schemas/event.ts";
import { type CurrentFacts, type Facts, type GuardHit, NO_FACTS, type OutputFacts, type PersonFacts, type Principal, type StartFacts, type ToolFacts } from "../../schemas/facts.ts";
import { type Actor, actor, namespace, type RunId, runId } from "../../schemas/ids.ts";
import type { Standing } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { BudgetRequest } from "../../schemas/proposal.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { timestamp } from "../../schemas/time.ts";
import { DOCUMENTS, factsOf, personOf, type ToolOptions } from "./facts-of.ts";

export { DOCUMENTS, factsOf, HIT, INVALID, ISSUER, judgement, OTHER_DOCUMENTS, personOf, type ToolOptions } from "./facts-of.ts";

export const NS = namespace("test");
export const RUN = runId("agent-1_r1");
export const AGENT = actor("agent-1");
export const T0 = Date.UTC(2026, 0, 31, 9, 30);
/** Names that no person stands behind. */
const NOBODY = /^(agent|nobody|signalbox)/;
/** One input as somebody would send it, with the facts that the plane would look up for it. */
export interface Told {
  readonly input: RunInput;
  readonly facts: Facts;
}
/** What is said may depend on how the run stands: a decision names the digest that is asked for. */
export interface Line {
  readonly waitMs: number;
  readonly tell: (state: RunState, time: string) => Told;
}

/** The same, so much later (ms) than one after the other. */
export const after = (waitMs: number, line: Line): Line => ({ ...line, waitMs });

type Said = Pick<RunInput, "kind" | "body"> & { readonly actor: string; readonly id: string; readonly facts?: Facts };

export const line = (say: (state: RunState) => Said, traceparent?: string): Line => ({
  waitMs: 1000,
  tell: (state, time) => {
    const { facts, ...said } = say(state);
    const input = { ...said, actor: said.actor as Actor, time, traceparent, hash: canonicalDigest(said.body) } as RunInput;
    return { input, facts: facts ?? NO_FACTS };
  },
});

export interface StartOptions {
  readonly by?: string;
  readonly id?: string;
  readonly name?: string;
  readonly version?: string;
  readonly budget?: BudgetRequest;
  readonly deadline?: string;
  readonly contract?: StartFacts["budgets"];
  readonly principal?: Principal | null;
  readonly unknown?: boolean;
  readonly traceparent?: string;
  readonly refusals?: Reason[];
  readonly guard?: GuardHit;
  readonly project?: string;
}
export const start = (o: StartOptions = {}): Line =>
  line(() => {
    const { by = AGENT, id = "s1", name = by, version, budget, deadline } = o;
    const agent = { name: name as Actor, ...(version !== undefined && { version }) };
    return {
      kind: "propose",
      actor: by,
      id,
      body: { kind: "start", id, agent, goal: "a goal", ...(budget && { budget }), ...(deadline !== undefined && { deadline }) },
      facts: {
        kind: "start",
        documents: { contract: DOCUMENTS.contract, policy: DOCUMENTS.policy },
        ...(o.unknown !== true && { agent: { name: by, version: "1.0.0", owner: "an owner", team: "a team", purpose: "tests", ...(o.project !== undefined && { project: o.project }) } }),
        budgets: o.contract ?? {},
        principal: o.principal ?? null,
        ...(o.refusals && { refusals: o.refusals }),
        ...(o.guard && { guard: o.guard }),
      },
    };
  }, o.traceparent);

export const tool = (id: string, o: ToolOptions = {}): Line =>
  line((state) => ({
    kind: "propose",
    actor: o.by ?? AGENT,
    id,
    body: {
      kind: "tool", id, tool: (o.tool ?? "crm.update") as never, input: o.input ?? { n: 1 },
      ...(o.why !== undefined && { why: o.why }),
      ...(o.confidence !== undefined && { confidence: o.confidence }),
      ...(o.uses && { uses: o.uses }),
    },
    facts: factsOf(o, uncovered(state, undefined, o.needs ?? []).length > 0),
  }));
export interface ChangeOptions extends ToolOptions {
  readonly by?: string;
  readonly why?: string;
  readonly refusals?: Reason[];
  readonly principal?: Principal;
}
export const CHANGE_RUN = runId("signalbox-registry_c1");
/** An operator applies a policy set and a contract together. */
export const apply = (id: string, o: ChangeOptions = {}): Line =>
  line(() => {
    const document = sha256Digest("a policy set");
    const { refusals, principal, ...judged } = o;
    return {
      kind: "apply",
      actor: o.by ?? "op",
      id,
      body: { id, documents: [{ kind: "policy", name: "default", document }, { kind: "agent", name: "agent-1", document }], ...(o.why !== undefined && { reason: o.why }) },
      facts: {
        kind: "change",
        start: {
          kind: "start",
          documents: {},
          agent: { name: "signalbox-registry", owner: "the plane", team: "platform" },
          budgets: {},
          principal: principal ?? null,
          ...(refusals && { refusals }),
        },
        tool: factsOf(judged),
      },
    };
  });

export const note = (id: string, by: string = AGENT): Line =>
  line(() => ({ kind: "propose", actor: by, id, body: { kind: "note", id, text: `note ${id}` } }));
export const finish = (id: string, output?: JsonValue): Line =>
  line(() => ({ kind: "propose", actor: AGENT, id, body: { kind: "finish", id, ...(output !== undefined && { output }) } }));
export const fail = (id: string, error: JsonValue = { code: "gave.up" }): Line =>
  line(() => ({ kind: "propose", actor: AGENT, id, body: { kind: "fail", id, error } }));

/** An action by its id, or by the id of its proposal. */
export function actionOf(state: RunState, name: string): string {
  return state.proposals.get(`${state.holder}/${name}`)?.action ?? name;
}
/** A request by its id, or by the proposal that it is about: the last one, if there were several. */
function requestOf(state: RunState, name: string): string {
  const action = actionOf(state, name);
  return [...state.approvals.values()].findLast(({ context }) => context.action === action)?.context.request ?? name;
}

/** In what follows, an action may be named by its id or by that of its proposal, and a request by that as well. */
export interface ReportOptions {
  readonly id?: string;
  readonly attempt?: number;
  readonly by?: string;
  readonly gateway?: string;
  readonly nonce?: string;
  readonly documents?: typeof DOCUMENTS;
  readonly output?: JsonValue;
  readonly faults?: Reason[];
  readonly effect?: "none" | "done" | "unknown";
  readonly costUsd?: number;
  readonly tokens?: { readonly input?: number; readonly output?: number };
  readonly marks?: OutputFacts["marks"];
  readonly guard?: GuardHit;
  /** The action judged again, where documents changed. */
  readonly again?: ToolOptions;
  /** Persons who approved it, as they are now; absent: all as they were. */
  readonly approvers?: CurrentFacts["approvers"] | null;
}
const usageOf = (o: ReportOptions) => ({
  ...(o.costUsd !== undefined && { cost_usd: o.costUsd }),
  ...(o.tokens?.input !== undefined && { input_tokens: o.tokens.input }),
  ...(o.tokens?.output !== undefined && { output_tokens: o.tokens.output }),
});
/** Judged again by the documents that changed. */
const againOf = (o: { readonly again?: ToolOptions; readonly documents?: typeof DOCUMENTS }) => ({
  ...(o.again && { again: factsOf({ ...o.again, documents: o.documents ?? DOCUMENTS }) }),
});
export const report = (named: string, status: "started" | "succeeded" | "failed" | "in_doubt", o: ReportOptions = {}): Line =>
  line((state) => {
    const action = actionOf(state, named);
    const attempt = o.attempt ?? state.actions.get(action as never)?.context.attempt ?? 1;
    const { gateway = "g1", nonce = "nonce-0001" } = o;
    const id = o.id ?? `${action}.${attempt}.${status}`;
    const claimed = { gateway: gateway as Actor, nonce };
    return {
      kind: "report",
      actor: o.by ?? gateway,
      id,
      body: {
        id,
        action: action as never,
        attempt: Math.max(1, attempt),
        claim: claimed,
        status,
        ...(status === "succeeded" && { output: o.output ?? { ok: true } }),
        ...((status === "failed" || status === "in_doubt") && {
          error: { code: "tool.failed", message: "it failed", effect: o.effect ?? (status === "failed" ? "none" : "unknown") },
        }),
        ...((o.costUsd !== undefined || o.tokens !== undefined) && { usage: usageOf(o) }),
      },
      ...(status === "started" && {
        facts: {
          kind: "current",
          documents: o.documents ?? DOCUMENTS,
          ...againOf(o),
          ...(o.approvers !== null && { approvers: o.approvers ?? Object.fromEntries(approversOf(state, action as never).map((name) => [name, personOf(name)])) }),
          ...(o.guard && { guard: o.guard }),
        } as const,
      }),
      ...((status === "succeeded" || (status !== "started" && o.marks !== undefined)) && {
        facts: { kind: "output", faults: o.faults ?? [], engine: "test 1", ...(o.marks && { marks: o.marks }), ...(o.guard && { guard: o.guard }) } as const,
      }),
    };
  });
export const claim = (action: string, o: ReportOptions = {}): Line => report(action, "started", o);

export interface DecideOptions {
  readonly id?: string;
  readonly documents?: typeof DOCUMENTS;
  readonly digest?: string;
  readonly reason?: string;
  /** Null: nobody knows a person of that name. */
  readonly person?: PersonFacts | null;
  readonly guard?: GuardHit;
  readonly again?: ToolOptions;
  readonly standing?: Standing;
  readonly input?: JsonValue;
}
export const answer = (named: string, by: string, decision: "approve" | "refuse" | "edit", o: DecideOptions = {}): Line =>
  line((state) => {
    const request = requestOf(state, named);
    const id = o.id ?? `${request}.${by}`;
    const digest = (o.digest ?? state.approvals.get(request as never)?.context.digest ?? sha256Digest("nothing")) as never;
    return {
      kind: "decide",
      actor: by,
      id,
      body: {
        id, request: request as never, decision, digest,
        ...(o.reason !== undefined && { reason: o.reason }),
        ...(o.standing && { standing: o.standing }),
        ...(o.input !== undefined && { input: o.input }),
      },
      facts: {
        kind: "current",
        documents: o.documents ?? DOCUMENTS,
        ...againOf(o),
        person: o.person === undefined ? (NOBODY.test(by) ? null : personOf(by)) : o.person,
        ...(o.guard && { guard: o.guard }),
      },
    };
  });
export const approve = (request: string, by = "ann", o: DecideOptions = {}): Line => answer(request, by, "approve", o);
/** Puts another input in the place of what is asked for; judged as `again` says, with the run as it stands. */
export const edit = (request: string, input: JsonValue, again: ToolOptions = {}, by = "ann", o: DecideOptions = {}): Line => {
  const { tell, waitMs } = answer(request, by, "edit", { ...o, input });
  return {
    waitMs,
    tell: (state, time) => {
      const told = tell(state, time);
      const open = uncovered(state, undefined, again.needs ?? []).length > 0;
      return { ...told, facts: { ...(told.facts as CurrentFacts), again: factsOf({ documents: o.documents ?? DOCUMENTS, ...again }, open) } };
    },
  };
};
export const turnDown = (request: string, by = "ann", o: DecideOptions = {}): Line => answer(request, by, "refuse", o);

export const control = (verb: "pause" | "resume" | "cancel", id: string = verb): Line =>
  line(() => ({ kind: "control", actor: "op", id, body: { verb, id, reason: "because" } }));
export const cleanse = (id: string, labels?: string[]): Line =>
  line(() => ({ kind: "control", actor: "op", id, body: { verb: "cleanse", id, reason: "looked at it", ...(labels && { labels: labels as never }) } }));

export const resolve = (named: string, outcome: "succeeded" | "failed", o: { output?: JsonValue; faults?: Reason[]; id?: string } = {}): Line =>
  line((state) => {
    const action = actionOf(state, named);
    const id = o.id ?? `resolve.${action}`;
    return {
      kind: "control",
      actor: "op",
      id,
      body: { verb: "resolve", id, action: action as never, outcome, ...(o.output !== undefined && { output: o.output }) },
      ...(o.output !== undefined && { facts: { kind: "output", faults: o.faults ?? [], engine: "test 1" } as const }),
    };
  });

/** A timer falls due, armed as it is owed now unless said otherwise. */
export const due = (named: string, armed?: number): Line =>
  line((state) => {
    const [what = "", name] = named.split(":");
    const timer = name === undefined ? what : `${what}:${what === "action" ? actionOf(state, name) : requestOf(state, name)}`;
    const debt = owed(state).find((one) => one.kind === "timer" && one.name === timer);
    const by = armed ?? (debt?.kind === "timer" ? debt.armed : 1);
    return { kind: "due", actor: "timer", id: timer, body: { timer, armed: by } };
  });

export function fresh(run: RunId = RUN): RunState {
  return emptyRun(NS, run, CURRENT_VERSION);
}

/** Decides twice, and holds the two and the state's being untouched against each other. */
export function decidePurely(state: RunState, { input, facts }: Told): Decision {
  const before = structuredClone(state);
  const decision = decide(state, input, facts);
  assert.deepStrictEqual(state, before, "`decide` changed the state");
  assert.deepStrictEqual(decide(state, structuredClone(input), structuredClone(facts)), decision, "equal arguments, unequal results");
  return decision;
}

export class Given {
  readonly state: RunState;
  #time: number;

  constructor(lines: readonly Line[], run: RunId = RUN) {
    this.state = fresh(run);
    this.#time = T0;
    for (const one of lines) {
      const { decision } = this.#decide(one);
      if (decision.kind !== "commit") assert.fail(`what is given is not taken: ${JSON.stringify(decision)}`);
      evolve(this.state, decision.change);
    }
  }

  when(line: Line): When {
    const { decision } = this.#decide(line);
    return new When(this, decision);
  }

  #decide({ waitMs, tell }: Line) {
    this.#time += waitMs;
    return { decision: decidePurely(this.state, tell(this.state, timestamp(this.#time))) };
  }
}

export class When {
  readonly given: Given;
  readonly decision: Decision;

  constructor(given: Given, decision: Decision) {
    this.given = given;
    this.decision = decision;
  }

  /** Exactly these events, in this order. */
  then(...types: EventType[]): EventDraft[] {
    assert.equal(this.decision.kind, "commit", `not taken: ${JSON.stringify(this.decision)}`);
    const drafts = this.decision.kind === "commit" ? [...this.decision.drafts] : [];
    assert.deepEqual(drafts.map((draft) => draft.type), types);
    return drafts;
  }

  refused(code: string): readonly Reason[] {
    const reasons = this.decision.kind === "refuse" ? this.decision.reasons : [];
    assert.deepEqual(reasons.map((one) => one.code), [code], `decided: ${JSON.stringify(this.decision)}`);
    return reasons;
  }

  is(kind: "duplicate" | "ignore"): void {
    assert.equal(this.decision.kind, kind);
  }

  /** The state when the decision is applied to what was given. */
  state(): RunState {
    const state = structuredClone(this.given.state);
    if (this.decision.kind === "commit") evolve(state, this.decision.change);
    return state;
  }
}

export function given(...lines: Line[]): Given {
  return new Given(lines);
}

/** The same for a change of documents, which has a run of its own. */
export function givenChange(...lines: Line[]): Given {
  return new Given(lines, CHANGE_RUN);
}
