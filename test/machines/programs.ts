/** Random programs of inputs, and what must hold of a run whatever is sent to it in whatever order. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { answerTo, news, touched } from "../../machines/answers.ts";
import { type Decision, MAX_OPEN_ACTIONS, decide } from "../../machines/decide.ts";
import { owed } from "../../machines/owed.ts";
import { type RunState, evolve } from "../../machines/state.ts";
import { type Answer, answerSchema } from "../../schemas/answer.ts";
import { dispatchSchema } from "../../schemas/dispatch.ts";
import { type EventDraft, type Premise, eventData, premiseSchema } from "../../schemas/event.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { ReportInput } from "../../schemas/inputs.ts";
import { timestamp } from "../../schemas/time.ts";
import {
  approve, claim, control, decidePurely, DOCUMENTS, due, fail, finish, fresh, INVALID, type Line, note, OTHER_DOCUMENTS, report, resolve, start,
  T0, type Told, tool, turnDown, judgement,
} from "./given.ts";

/** A move picks its objects by number out of what the run then has, so that most of what it says makes sense. */
export type Move = (state: RunState, told: readonly Told[], time: string) => Told;

const pick = <T>(from: readonly T[], n: number): T | undefined => from[n % Math.max(1, from.length)];
const said = (line: Line): Move => (state, _told, time) => line.tell(state, time);
const one = <T>(...values: T[]) => fc.constantFrom(...values);
const n = fc.nat(1000);
const documents = fc.oneof({ weight: 12, arbitrary: fc.constant(DOCUMENTS) }, { weight: 1, arbitrary: fc.constant(OTHER_DOCUMENTS) });

const toolMove: fc.Arbitrary<Move> = fc
  .record({
    id: fc.nat(30),
    effect: one("read" as const, "write" as const, "irreversible" as const),
    retries: fc.nat(2),
    idempotent: fc.boolean(),
    costMicroUsd: one(0, 0, 1, 300_000),
    judged: one(judgement("allow"), judgement("allow"), judgement("ask"), judgement("ask", 2), judgement("deny"), null),
    faults: one([], [], [], [], INVALID),
    by: one("agent-1", "agent-1", "agent-1", "agent-1", "agent-1", "agent-2"),
  })
  .map(({ id, judged, ...o }) => said(tool(`t${id}`, { ...o, judgement: judged, ttlMs: 30_000 })));

const reportMove: fc.Arbitrary<Move> = fc
  .record({
    n,
    open: fc.integer({ min: 0, max: 9 }),
    status: one("started" as const, "started" as const, "started" as const, "succeeded" as const, "succeeded" as const, "failed" as const, "in_doubt" as const),
    effect: one("none" as const, "none" as const, "done" as const, "unknown" as const),
    faults: one([], [], [], INVALID),
    gateway: one("g1", "g1", "g1", "g1", "g2"),
    costUsd: one(undefined, 0, 0.1, 50),
    documents,
    serial: fc.nat(3),
    back: one(0, 0, 0, 0, 1),
  })
  .map(({ n: which, open, serial, back, status, costUsd, ...o }): Move => (state, _told, time) => {
    // mostly of actions that are open; now and then of any, or of none
    const ids = open > 0 ? [...state.open] : [...state.actions.keys()];
    const id = pick(ids, which) ?? "a999";
    const attempt = Math.max(1, (state.actions.get(id as never)?.context.attempt ?? 1) - back);
    const name = `${id}.${attempt}.${status}.${serial}.${o.gateway}`;
    return report(id, status, { ...o, id: name, attempt, ...(costUsd !== undefined && { costUsd }) }).tell(state, time);
  });

const decideMove: fc.Arbitrary<Move> = fc
  .record({ n, by: one("ann", "bob", "cy", "agent-1"), yes: one(true, true, true, false), documents, any: fc.integer({ min: 0, max: 9 }) })
  .map(({ n: which, by, yes, documents: now, any }): Move => (state, _told, time) => {
    const id = pick(any > 0 ? [...state.asked] : [...state.approvals.keys()], which) ?? "q999";
    return (yes ? approve : turnDown)(id, by, { documents: now }).tell(state, time);
  });

const dueMove: fc.Arbitrary<Move> = fc.record({ n, stale: fc.integer({ min: 0, max: 9 }) }).map(({ n: which, stale }): Move => (state, _told, time) => {
  // the timers of the run itself end it: seldom
  const timers = owed(state).flatMap((debt) => (debt.kind === "timer" && (debt.name.includes(":") || which < 100) ? [debt] : []));
  const timer = pick(timers, which);
  if (timer === undefined || stale === 0) return due("action:a2", 1 + (which % 9)).tell(state, time);
  // a timer never fires before its time
  return due(timer.name, timer.armed).tell(state, time > timer.at ? time : timer.at);
});

const rest: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: n.map((i) => said(note(`n${i % 40}`))) },
  { weight: 3, arbitrary: n.map((i) => said(control("pause", `p${i}`))) },
  { weight: 6, arbitrary: n.map((i) => said(control("resume", `r${i}`))) },
  // most runs should go on for a while
  { weight: 1, arbitrary: fc.tuple(n, one(...Array.from({ length: 4 }, () => "note"), "cancel", "finish", "fail")).map(([i, end]) =>
      said(end === "cancel" ? control("cancel", `c${i}`) : end === "finish" ? finish(`f${i}`, i) : end === "fail" ? fail(`x${i}`) : note(`n${i}`)),
    ) },
  { weight: 1, arbitrary: n.map((i) => said(start({ id: `s${i % 3}` }))) },
  {
    weight: 5,
    arbitrary: fc.record({ n, good: fc.boolean(), faults: one([], INVALID) }).map(({ n: which, good, faults }): Move => (state, _told, time) => {
      const doubts = [...state.open].filter((id) => state.actions.get(id)?.value === "in_doubt");
      const id = pick(doubts, which) ?? "a2";
      return resolve(id, good ? "succeeded" : "failed", { id: `v${which}`, ...(good && { output: 1, faults }) }).tell(state, time);
    }),
  },
  // the bus delivers at least once, and late
  { weight: 6, arbitrary: n.map((i): Move => (state, told, time) => pick(told, i) ?? note("n0").tell(state, time)) },
);

const move = fc.oneof(
  { weight: 6, arbitrary: toolMove },
  { weight: 10, arbitrary: reportMove },
  { weight: 4, arbitrary: decideMove },
  { weight: 4, arbitrary: dueMove },
  { weight: 4, arbitrary: rest },
);

const beginning: fc.Arbitrary<Move> = fc
  .record({
    max_steps: one(undefined, undefined, 3, 20),
    max_cost_micro_usd: one(undefined, 500_000, 1_000_000),
    max_wall_ms: one(undefined, undefined, 120_000),
    deadline: one(undefined, undefined, "2026-01-31T10:00:00Z"),
  })
  .map(({ deadline, ...all }) => {
    const contract = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    return said(start({ id: "s0", contract, ...(deadline !== undefined && { deadline }) }));
  });

/** A move, and how much later (or, across streams, earlier: ms) its input was stored than the one before. */
export interface Step {
  readonly move: Move;
  readonly waitMs: number;
}
export const program: fc.Arbitrary<Step[]> = fc
  .tuple(beginning, fc.array(fc.record({ move, waitMs: one(0, 10, 700, 5_000, 20_000, -400) }), { minLength: 40, maxLength: 120, size: "max" }))
  .map(([first, steps]) => [{ move: first, waitMs: 0 }, ...steps]);

export interface Taken {
  readonly told: Told;
  readonly decision: Decision;
  /** After the decision. */
  readonly state: RunState;
}

/** Runs a program. @param pure also hold each decision to law 1, which costs three copies of the state */
export function* runProgram(steps: readonly Step[], pure = false): Generator<Taken> {
  const state = fresh();
  const told: Told[] = [];
  let time = T0;
  for (const { move: next, waitMs } of steps) {
    time += waitMs;
    const now = next(state, told, timestamp(time));
    time = Math.max(time, Date.parse(now.input.time));
    told.push(now);
    const decision = pure ? decidePurely(state, now) : decide(state, now.input, now.facts);
    if (decision.kind === "commit") evolve(state, decision.change);
    yield { told: now, decision, state };
  }
}

const OPEN_AFTER_END = new Set(["action.succeeded", "action.verified", "action.failed", "action.in_doubt", "budget.settled"]);
const ENDS = new Set(["run.completed", "run.failed", "run.cancelled", "run.refused"]);

/** What the journal alone says of one action. */
interface Seen {
  at: string;
  attempt: number;
  mayDispatch: boolean;
  holder: string | undefined;
  unknown: boolean;
  repeatable: boolean;
  ended: boolean;
}

/** Watches a run from outside, event by event, as an auditor would. */
export class Watcher {
  readonly #actions = new Map<string, Seen>();
  readonly #grants = new Map<string, Set<string>>();
  readonly #final = new Map<string, Answer["status"]>();
  readonly #proposals = new Set<string>();
  readonly types = new Set<string>();
  #seq = 0;
  #at = "";
  #over = false;
  #reserved = 0;
  #settled = 0;
  #wallMs = 0;

  see({ told, decision, state }: Taken): void {
    if (decision.kind === "commit") {
      const { drafts, change } = decision;
      assert.ok(drafts.length > 0, "a commit without an event");
      assert.ok(drafts.length <= 3 * MAX_OPEN_ACTIONS + 2);
      assert.equal(change.seq, this.#seq + drafts.length);
      assert.ok(change.at >= this.#at && change.at >= told.input.time);
      this.#at = change.at;
      const premise = { input: told.input.body, input_hash: canonicalDigest(told.input.body), facts: told.facts } as Premise;
      premiseSchema.parse(premise);
      for (const draft of drafts) this.#event(draft, told, state);
      if (told.input.kind === "propose") this.#proposals.add(`${told.input.actor}/${told.input.id}`);
      for (const key of touched(state, change)) assert.ok(this.#proposals.has(key));
    }
    this.#balance(state);
    this.#owed(state);
    this.#answers(state);
  }

  #event(draft: EventDraft, { input, facts }: Told, state: RunState): void {
    this.#seq += 1;
    this.types.add(draft.type);
    const parsed = eventData[draft.type].safeParse(draft.data);
    assert.ok(parsed.success, `${draft.type}: ${JSON.stringify(draft.data)} ${parsed.error?.message ?? ""}`);
    const id = "action" in draft.data ? draft.data.action : undefined;
    if (this.#over) {
      const inFlight = id !== undefined && this.#actions.has(id);
      assert.ok((OPEN_AFTER_END.has(draft.type) || draft.type === "approval.stale") && inFlight, `${draft.type} after the end`);
    }
    if (ENDS.has(draft.type)) this.#over = true;
    if (draft.type === "budget.reserved") this.#reserved += draft.data.cost_micro_usd;
    if (draft.type === "budget.settled") {
      this.#reserved -= draft.data.reserved_micro_usd;
      this.#settled += draft.data.cost_micro_usd;
      assert.ok(draft.data.cost_micro_usd <= draft.data.reserved_micro_usd);
    }
    if (draft.type === "approval.granted") {
      const grants = this.#grants.get(draft.data.action) ?? new Set();
      assert.ok(!grants.has(draft.data.by), "one person, two grants");
      assert.notEqual(draft.data.by, "agent-1");
      this.#grants.set(draft.data.action, grants.add(draft.data.by));
    }
    if (draft.type.startsWith("action.") && id !== undefined) this.#action(id, draft, input, facts, state);
  }

  #action(id: string, draft: EventDraft, input: Told["input"], facts: Told["facts"], state: RunState): void {
    if (draft.type === "action.proposed") {
      assert.equal(id, `a${this.#seq}`);
      const known = facts.kind === "tool" ? facts.tool : undefined;
      this.#actions.set(id, {
        at: "proposed", attempt: 0, mayDispatch: false, holder: undefined, unknown: false, ended: false,
        repeatable: known !== undefined && (known.effect === "read" || known.idempotent),
      });
      return;
    }
    const seen = this.#actions.get(id);
    assert.ok(seen, `${draft.type} of an action that was never proposed`);
    assert.ok(!seen.ended, `${draft.type} of an action that has ended`);
    const from = draft.from === "awaiting_approval" && seen.at === "validated" ? "validated" : draft.from;
    assert.equal(from, seen.at, `${draft.type} leaves a state in which the action is not`);
    seen.at = draft.to;
    switch (draft.type) {
      case "action.approved": {
        if (draft.data.by === "policy") assert.ok(facts.kind === "tool" && facts.judgement?.decision === "allow");
        else {
          const asked = [...state.approvals.values()].find(({ context }) => context.action === id);
          assert.equal(this.#grants.get(id)?.size, asked?.context.count);
        }
        seen.mayDispatch = true;
        break;
      }
      case "action.dispatched":
        assert.ok(seen.mayDispatch, "dispatched without an approval");
        assert.equal(draft.data.attempt, seen.attempt + 1);
        assert.ok(!seen.unknown || seen.repeatable, "EXEC-7: repeated, and nobody knows what it did");
        Object.assign(seen, { attempt: draft.data.attempt, holder: undefined });
        break;
      case "action.started":
        assert.equal(draft.data.attempt, seen.attempt);
        assert.equal(seen.holder, undefined, "two holders of one attempt");
        assert.equal(draft.data.claim.gateway, input.actor);
        seen.holder = JSON.stringify(draft.data.claim);
        break;
      case "action.succeeded":
      case "action.retrying":
      case "action.in_doubt":
        assert.notEqual(seen.holder, undefined, `${draft.type} of what was never started`);
        if (input.kind === "report") assert.equal(JSON.stringify((input.body as ReportInput).claim), seen.holder);
        // the holder's own word that it did nothing lifts the doubt
        if (draft.type !== "action.succeeded") seen.unknown = draft.data.error.effect === "unknown";
        break;
      case "action.verified":
      case "action.failed":
      case "action.denied":
      case "action.rejected":
        seen.ended = true;
        break;
      default:
        break;
    }
  }

  /** GUARD-6, and that the running sums are what the journal says. */
  #balance(state: RunState): void {
    const { spent, wall, envelope } = state;
    const held = [...state.reservations.values()].reduce((sum, one) => sum + one.reserved, 0);
    assert.deepEqual([spent.reserved, spent.settled], [this.#reserved, this.#settled]);
    assert.equal(held, spent.reserved);
    assert.ok(spent.settled + spent.reserved <= (envelope?.budget.max_cost_micro_usd ?? Infinity), "overdrawn");
    assert.ok(spent.steps <= (envelope?.budget.max_steps ?? Infinity), "too many steps");
    for (const [id, { reserved }] of state.reservations) assert.equal(reserved > 0, state.open.has(id));
    assert.ok(wall.usedMs >= this.#wallMs, "wall time went back");
    this.#wallMs = wall.usedMs;
    const waiting = [...state.approvals.values()].some(({ value }) => value === "requested");
    assert.equal(wall.since !== undefined, state.life.value === "active" && !waiting);
    const open = [...this.#actions].filter(([, { ended }]) => !ended).map(([id]) => id);
    assert.deepEqual([...state.open].sort(), open.sort());
    assert.deepEqual([...state.asked], [...state.approvals.values()].filter(({ value }) => value === "requested").map(({ context }) => context.request));
  }

  #owed(state: RunState): void {
    const debts = owed(state);
    assert.equal(new Set(debts.map(({ key }) => key)).size, debts.length, "one key, two debts");
    for (const debt of debts) {
      if (debt.kind === "timer") {
        assert.equal(timestamp(Date.parse(debt.at)), debt.at);
        assert.ok(debt.armed >= 1 && debt.armed <= state.seq);
        assert.ok(!this.#over || state.actions.get(debt.name.slice("action:".length) as never)?.value === "started", `owed after the end: ${debt.name}`);
        continue;
      }
      if (debt.kind === "signal") continue;
      dispatchSchema.parse(debt.message);
      assert.equal(state.life.value, "active");
      assert.equal(this.#actions.get(debt.message.action)?.at, "dispatched");
      assert.equal(this.#actions.get(debt.message.action)?.attempt, debt.message.attempt);
    }
  }

  /** Exactly one answer to each proposal, of its own status; a final one stays as it is. */
  #answers(state: RunState): void {
    assert.deepEqual(new Set(state.proposals.keys()), this.#proposals);
    for (const key of this.#proposals) {
      const answer = answerTo(state, key);
      assert.ok(answer, `no answer to ${key}`);
      assert.equal(`${key.slice(0, key.indexOf("/"))}/${answer.id}`, key);
      const final = this.#final.get(key);
      if (final !== undefined) assert.equal(answer.status, final);
      if (!answer.final) {
        assert.ok(["pending", "approved", "in_doubt"].includes(answer.status));
      } else if (final === undefined) {
        answerSchema.parse(answer);
        this.#final.set(key, answer.status);
      }
      if (answer.action === undefined) continue;
      const seen = this.#actions.get(answer.action);
      assert.equal(answer.final, seen?.ended);
      const at = { verified: "succeeded", failed: "failed", denied: "denied", rejected: "rejected", in_doubt: "in_doubt" }[seen?.at ?? ""];
      if (at !== undefined) assert.equal(answer.status, at);
      assert.equal(answer.request !== undefined, state.actions.get(answer.action)?.value === "awaiting_approval");
    }
    if (state.seq > 0) answerSchema.parse(news(state));
  }
}
