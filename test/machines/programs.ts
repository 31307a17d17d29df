/** Random programs of inputs, and what must hold of a run whatever is sent to it in whatever order. */
import fc from "fast-check";
import { chainOf } from "../../machines/chain.ts";
import { type Decision, decide } from "../../machines/decide.ts";
import { uncovered } from "../../machines/leases.ts";
import { owed } from "../../machines/owed.ts";
import { approversOf } from "../../machines/persons.ts";
import { type RunState, evolve } from "../../machines/state.ts";
import type { CurrentFacts, Need, ToolFacts } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import { timestamp } from "../../schemas/time.ts";
import {
  approve, claim, cleanse, control, decidePurely, DOCUMENTS, due, edit, fail, factsOf, finish, fresh, HIT, INVALID, type Line, note, OTHER_DOCUMENTS,
  personOf, report, resolve, start, T0, type Told, tool, type ToolOptions, turnDown, judgement,
} from "./given.ts";
import { PROBE, probed } from "./probes.ts";
import { reply } from "./replies.ts";

/** A move picks its objects by number out of what the run then has, so that most of what it says makes sense. */
export type Move = (state: RunState, told: readonly Told[], time: string) => Told;

const pick = <T>(from: readonly T[], n: number): T | undefined => from[n % Math.max(1, from.length)];
const said = (line: Line): Move => (state, _told, time) => line.tell(state, time);
const one = <T>(...values: T[]) => fc.constantFrom(...values);
const n = fc.nat(1000);
const documents = fc.oneof({ weight: 12, arbitrary: fc.constant(DOCUMENTS) }, { weight: 1, arbitrary: fc.constant(OTHER_DOCUMENTS) });

const seldom = <T>(value: T, weight = 12) => fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(value) });
const verdict = one(...[1, 2, 3].map(() => judgement("allow")), ...[1, 1, 1, 2].map((count) => judgement("ask", count)), judgement("deny"), null);
const LIMITS = { max_uses: 3, max_seconds: 600, vary: ["/n"], max_amount: 90_000, max_total: 150_000 };
const TAINTED = { tainted: true, labels: ["pii" as const], cleanses: false };
const MARKS = [undefined, undefined, undefined, { tainted: false, labels: [], cleanses: false }, TAINTED, { tainted: false, labels: [], cleanses: true }, { tainted: false, labels: ["region:eu" as const], cleanses: false }];

const options = fc.record({
  effect: one("read" as const, "write" as const, "write" as const, "irreversible" as const),
  retries: fc.nat(2),
  idempotent: fc.boolean(),
  costMicroUsd: one(0, 0, 1, 300_000),
  tokens: one(undefined, undefined, { input: 100 }, { input: 10, output: 700 }),
  faults: one([], [], [], [], [], [], INVALID),
  guard: seldom(HIT, 40),
  units: one(undefined, 10_000, 60_000),
  accounts: one([], [], [], ["cost"], ["cost", "amount"], ["requests"], ["cost", "requests", "amount"]),
  sources: seldom(["a2"], 20),
  standing: one(undefined, LIMITS, LIMITS),
  probe: one(undefined, PROBE, PROBE),
  judged: verdict,
});
type Options = typeof options extends fc.Arbitrary<infer T> ? T : never;

/** What a proposal needs of accounts of the ledger; the minute is that of the time. */
function needsOf({ accounts, costMicroUsd, units }: Options, time: string): Need[] {
  const window = time.slice(0, 10);
  return accounts.flatMap((unit): Need[] => {
    if (unit === "cost") return costMicroUsd === 0 ? [] : [{ ledger: `team.a.${window}` as never, unit, window, need: costMicroUsd, want: 400_000 }];
    if (unit === "requests") return [{ ledger: `team.a.${window}` as never, unit, window: time.slice(0, 16), need: 1, want: 4 }];
    return units === undefined ? [] : [{ ledger: `amount.${"0".repeat(32)}.${window}` as never, unit: "amount", window, need: units, want: units, dimension: "target" }];
  });
}

function toolOptions(o: Options, time: string): ToolOptions {
  const { accounts: _, units, judged, tokens, guard, sources, standing, probe, ...rest } = o;
  const needs = needsOf(o, time);
  return {
    ...rest,
    judgement: judged,
    ttlMs: 120_000,
    ...(tokens && { tokens }),
    ...(guard && { guard }),
    ...(sources && { sources }),
    ...(standing && { standing }),
    ...(probe && { probe }),
    ...(units !== undefined && { amount: { units } }),
    ...(needs.length > 0 && { needs }),
  };
}

const toolMove: fc.Arbitrary<Move> = fc
  .tuple(fc.nat(30), options, fc.nat(3), one("agent-1", "agent-1", "agent-1", "agent-1", "agent-1", "agent-2"))
  .map(([id, o, input, by]): Move => (state, _told, time) => tool(`t${id}`, { ...toolOptions(o, time), by, input: { n: input } }).tell(state, time));

/** An open action judged again by other documents, or the same facts with another verdict. */
function judgedAgain(state: RunState, id: ActionId | undefined, documents: typeof DOCUMENTS, verdictNow: Judgement | null): ToolFacts | undefined {
  const facts = id === undefined ? undefined : state.actions.get(id)?.context.basis.facts;
  if (facts === undefined) return undefined;
  const { judgement: _, ...rest } = facts;
  return { ...rest, documents, ...(verdictNow !== null && { judgement: verdictNow }) };
}

function withAgain(told: Told, again: ToolFacts | undefined): Told {
  const facts = told.facts as CurrentFacts;
  return again === undefined || facts.documents.policy === again.documents.policy ? { ...told, facts: { ...facts, ...(again && { again }) } } : told;
}

const reportMove: fc.Arbitrary<Move> = fc
  .record({
    n,
    open: fc.integer({ min: 0, max: 9 }),
    status: one("started" as const, "started" as const, "started" as const, "succeeded" as const, "succeeded" as const, "failed" as const, "in_doubt" as const),
    effect: one("none" as const, "none" as const, "done" as const, "unknown" as const),
    faults: one([], [], [], INVALID),
    gateway: one("g1", "g1", "g1", "g1", "g2"),
    costUsd: one(undefined, 0, 0.1, 50),
    tokens: one(undefined, { input: 1, output: 1 }, { input: 1e6 }),
    marks: fc.constantFrom(...MARKS),
    guard: seldom(HIT, 40),
    gone: seldom("ann", 6),
    verdict,
    documents,
    serial: fc.nat(3),
    back: one(0, 0, 0, 0, 1),
  })
  .map(({ n: which, open, serial, back, status, costUsd, tokens, marks, guard, gone, verdict: now, ...o }): Move => (state, _told, time) => {
    // mostly of actions that are open; now and then of any, or of none
    const ids = open > 0 ? [...state.open] : [...state.actions.keys()];
    const id = pick(ids, which) ?? ("a999" as ActionId);
    const attempt = Math.max(1, (state.actions.get(id)?.context.attempt ?? 1) - back);
    const name = `${id}.${attempt}.${status}.${serial}.${o.gateway}`;
    const approvers = Object.fromEntries(approversOf(state, id).map((by) => [by, by === gone ? null : personOf(by)]));
    const told = report(id, status, {
      ...o, id: name, attempt, approvers,
      ...(costUsd !== undefined && { costUsd }), ...(tokens && { tokens }), ...(marks && { marks }), ...(guard && { guard }),
    }).tell(state, time);
    return status !== "started" || o.documents === DOCUMENTS ? told : withAgain(told, judgedAgain(state, id, o.documents, now));
  });

/** Of what is being asked about, mostly: what somebody found, under the number that is open or another. */
const probedMove: fc.Arbitrary<Move> = fc
  .record({
    n,
    open: fc.integer({ min: 0, max: 9 }),
    found: one("done" as const, "none" as const, "none" as const, "unknown" as const),
    error: one(undefined, undefined, "as it says"),
    faults: one([], [], [], INVALID),
    gateway: one("g1", "g2", "g2"),
    costUsd: one(undefined, 0.1, 50),
    back: one(0, 0, 0, 0, 1),
    late: one(0, 0, 0, 0, 1),
  })
  .map(({ n: which, open, found, back, late, error, costUsd, ...o }): Move => (state, _told, time) => {
    const asked = [...state.open].filter((id) => state.actions.get(id)?.value === "probing");
    const id = pick(open > 0 ? asked : [...state.actions.keys()], which);
    if (id === undefined) return dueOf(state, "in_doubt", which, time);
    const { attempt = 1, basis } = state.actions.get(id)?.context ?? {};
    const more = { ...(error !== undefined && { error }), ...(costUsd !== undefined && { costUsd }) };
    return probed(id, found, { ...o, ...more, attempt: attempt - back, number: (basis?.probes ?? 1) - late }).tell(state, time);
  });

/** The timer of some action in this state falls due. */
function dueOf(state: RunState, value: string, which: number, time: string): Told {
  const names = new Set([...state.open].filter((id) => state.actions.get(id)?.value === value).map((id) => `action:${id}`));
  const timer = pick(owed(state).flatMap((debt) => (debt.kind === "timer" && names.has(debt.name) ? [debt] : [])), which);
  return timer === undefined ? note(`n${which % 40}`).tell(state, time) : due(timer.name, timer.armed).tell(state, time > timer.at ? time : timer.at);
}

const decideMove: fc.Arbitrary<Move> = fc
  .record({
    n,
    by: one("ann", "ann", "ann-2", "bob", "bob", "cy", "agent-1", "nobody"),
    yes: one("approve", "approve", "approve", "standing", "refuse", "edit"),
    documents,
    any: fc.integer({ min: 0, max: 9 }),
    guard: seldom(HIT, 40),
    verdict,
    edited: options,
    uses: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ n: which, by, yes, documents: now, any, guard, verdict: judged, edited, uses }): Move => (state, _told, time) => {
    const id = pick(any > 0 ? [...state.asked] : [...state.approvals.keys()], which) ?? "q999";
    const o = { documents: now, ...(guard && { guard }) };
    if (yes === "refuse") return turnDown(id, by, o).tell(state, time);
    if (yes === "edit") return edit(id, { n: which % 5 }, toolOptions(edited, time), by, o).tell(state, time);
    const standing = { vary: ["/n"], uses, expires_seconds: 300 };
    const told = approve(id, by, { ...o, ...(yes === "standing" && { standing }) }).tell(state, time);
    const action = state.approvals.get(id as never)?.context.action;
    return now === DOCUMENTS ? told : withAgain(told, judgedAgain(state, action, now, judged));
  });

/** Accounts answer what they are asked, in any order; now and then somebody else does, or it is something else. */
const replyMove: fc.Arbitrary<Move> = fc
  .record({ n, how: one("wish", "wish", "need", "none", "none", "wrong"), judged: verdict, faults: one([], [], [], INVALID) })
  .map(({ n: which, how, judged, faults }): Move => (state, _told, time) => {
    const debts = owed(state).flatMap((debt) => (debt.kind === "signal" ? [debt.body] : []));
    const body = pick(debts, which);
    if (body === undefined) return reply(`l${which}.1`, { granted: 1 }).tell(state, time);
    const need = body.name === "lease" ? body.need : 0;
    const granted = body.unit === "amount" || how === "need" ? need : how === "none" ? 0 : undefined;
    const o = { ...(granted !== undefined && { granted }), total: which * 10_000, cap: 10_000_000, judged: { judgement: judged, faults, ttlMs: 120_000 } };
    const told = reply(body.id, { ...o, ...(how === "wrong" && { by: "ledger:somebody" }) }).tell(state, time);
    // judged as it was proposed, but for the verdict: of its tool the run knows only what it was told
    return told;
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
      const doubts = [...state.open].filter((id) => ["in_doubt", "probing"].includes(state.actions.get(id)?.value ?? ""));
      const id = pick(doubts, which) ?? ("a2" as ActionId);
      return resolve(id, good ? "succeeded" : "failed", { id: `v${which}`, ...(good && { output: 1, faults }) }).tell(state, time);
    }),
  },
  { weight: 2, arbitrary: n.map((i) => said(cleanse(`k${i}`, i % 2 === 0 ? ["pii"] : []))) },
  // the bus delivers at least once, and late
  { weight: 6, arbitrary: n.map((i): Move => (state, told, time) => pick(told, i) ?? note("n0").tell(state, time)) },
);

const move = fc.oneof(
  { weight: 6, arbitrary: toolMove },
  { weight: 13, arbitrary: reportMove },
  { weight: 3, arbitrary: probedMove },
  { weight: 7, arbitrary: decideMove },
  { weight: 5, arbitrary: replyMove },
  { weight: 4, arbitrary: dueMove },
  { weight: 4, arbitrary: rest },
);

const beginning: fc.Arbitrary<Move> = fc
  .record({
    max_steps: one(undefined, undefined, 3, 20),
    max_cost_micro_usd: one(undefined, 500_000, 1_000_000),
    max_wall_ms: one(undefined, undefined, 120_000),
    max_output_tokens: one(undefined, 2000),
    pause_at_half: one(undefined, undefined, undefined, undefined, true),
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
  /** The chain of delegation that the commit's events carry. */
  readonly chain: readonly string[] | undefined;
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
    const chain = decision.kind === "commit" ? chainOf(state, decision.change) : undefined;
    if (decision.kind === "commit") evolve(state, decision.change);
    yield { told: now, decision, chain, state };
  }
}
