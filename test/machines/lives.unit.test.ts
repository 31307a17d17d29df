/** The lives of a run and of a request, event by event: what is recorded of each, and nothing that nobody said. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ApprovalContext, approvalMachine } from "../../machines/approval.ts";
import { runMachine } from "../../machines/run.ts";
import { begin, step } from "../../machines/step.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { timestamp } from "../../schemas/time.ts";
import { after, cleanse, control, DOCUMENTS, due, factsOf, finish, given, givenChange, HIT, INVALID, line, type Line, note, report, claim, resolve, start, T0, tool, type StartOptions } from "./given.ts";

const runTakes = (value: string, event: { type: string } & Record<string, unknown>) => {
  const taken = step(runMachine, { value, context: {} }, event);
  return taken && [taken.next.value, ...taken.effects.map(({ params }) => params)];
};

test("CORE-5: a run's every event is recorded with what was said, and without a member for what was not", () => {
  const said = { by: "op", reason: "r" };
  for (const [from, type, to, name] of [
    ["active", "PAUSE", "paused", "run.paused"], ["paused", "RESUME", "active", "run.resumed"], ["active", "CANCEL", "cancelled", "run.cancelled"], ["paused", "CANCEL", "cancelled", "run.cancelled"],
  ] as const) {
    assert.deepEqual(runTakes(from, { type, ...said }), [to, { type: name, from, to, data: said }]);
    assert.deepEqual(runTakes(from, { type, by: "op", reason: undefined }), [to, { type: name, from, to, data: { by: "op" } }]);
  }
  for (const from of ["active", "paused"]) {
    assert.deepEqual(runTakes(from, { type: "NOTE", text: "a note" }), [from, { type: "note.recorded", from, to: from, data: { text: "a note" } }]);
    assert.deepEqual(runTakes(from, { type: "FAIL", error: { code: "e" } }), ["failed", { type: "run.failed", from, to: "failed", data: { error: { code: "e" } } }]);
  }
  const completed = (output: unknown) => runTakes("active", { type: "FINISH", output })?.[1];
  assert.deepEqual([completed(null), completed(undefined)].map((one) => (one as { data: object }).data), [{ output: null }, {}]);
  assert.deepEqual(runTakes("admitting", { type: "ADMIT", envelope: 1, goal: "g" }), ["active", { type: "run.started", from: "admitting", to: "active", data: { envelope: 1, goal: "g" } }]);
  assert.deepEqual(runTakes("admitting", { type: "TURN_AWAY", reasons: INVALID }), ["refused", { type: "run.refused", from: "admitting", to: "refused", data: { reasons: INVALID } }]);
});

const DIGEST = sha256Digest("a view");
const request = (count: number): ApprovalContext =>
  ({ request: "q1", action: "a1", digest: DIGEST, role: "approver", count, grants: [], people: [], timer: { at: timestamp(T0), armed: 7 } }) as unknown as ApprovalContext;
const asked = (count = 2) => begin<ApprovalContext>(approvalMachine, request(count)).next;
const data = (taken: ReturnType<typeof step<ApprovalContext>>) => (taken?.effects[0]?.params as { data: unknown } | undefined)?.data;
const agrees = (by: string, more: object = {}) => ({ type: "APPROVE", at: timestamp(T0), by, issuer: "i", subject: by, standing: undefined, reason: undefined, ...more });
const names = { action: "a1", request: "q1" };

test("APP-3: each name and each person counts once, and the last of N grants it", () => {
  const first = step<ApprovalContext>(approvalMachine, asked(), agrees("ann", { reason: "fine" })) ?? assert.fail();
  assert.equal(first.next.value, "requested");
  assert.deepEqual(data(first), { ...names, by: "ann", reason: "fine", person: { issuer: "i", subject: "ann" }, digest: DIGEST, grants: 1, count: 2 });
  const then = (more: { by: string; issuer?: string; subject?: string }) => step<ApprovalContext>(approvalMachine, first.next, agrees(more.by, more))?.next.value;
  assert.deepEqual([then({ by: "ann", subject: "zoe" }), then({ by: "zoe", subject: "ann" })], [undefined, undefined]);
  assert.deepEqual([then({ by: "zoe", subject: "ann", issuer: "j" }), then({ by: "zoe" })], ["granted", "granted"]);
  const standing = { uses: 2 };
  const last = step<ApprovalContext>(approvalMachine, first.next, agrees("bob", { standing })) ?? assert.fail();
  assert.deepEqual(data(last), { ...names, by: "bob", person: { issuer: "i", subject: "bob" }, digest: DIGEST, grants: 2, count: 2, standing });
  assert.deepEqual([last.next.context.grants, last.next.context.people], [["ann", "bob"], [{ by: "ann", issuer: "i", subject: "ann", standing: undefined }, { by: "bob", issuer: "i", subject: "bob", standing }]]);
  assert.equal(step<ApprovalContext>(approvalMachine, asked(1), agrees("ann"))?.next.value, "granted");
  assert.equal(step<ApprovalContext>(approvalMachine, asked(3), agrees("ann"))?.next.value, "requested");
});

test("APP-2: a request ends once: refused, edited, expired by its own timer, or stale; what was granted may still go stale", () => {
  const ends = (event: object, from = asked()) => {
    const taken = step<ApprovalContext>(approvalMachine, from, { at: timestamp(T0), ...event } as never);
    return taken && [taken.next.value, data(taken)];
  };
  assert.deepEqual(ends({ type: "REFUSE", by: "ann", reason: "no" }), ["refused", { ...names, by: "ann", reason: "no", digest: DIGEST }]);
  assert.deepEqual(ends({ type: "REFUSE", by: "ann", reason: undefined }), ["refused", { ...names, by: "ann", digest: DIGEST }]);
  const diff = [{ path: "/n", from: 1, to: 2 }];
  assert.deepEqual(ends({ type: "EDIT", by: "ann", reason: "less", replacement: "a9", diff }), ["edited", { ...names, by: "ann", reason: "less", digest: DIGEST, replacement: "a9", diff }]);
  assert.deepEqual(ends({ type: "DUE", armed: 7 }), ["expired", names]);
  assert.equal(ends({ type: "DUE", armed: 8 }), undefined);
  assert.deepEqual(ends({ type: "STALE", reason: "changed" }), ["stale", { ...names, reason: "changed" }]);
  const granted = { ...asked(), value: "granted" };
  assert.deepEqual(ends({ type: "STALE", reason: "changed" }, granted), ["stale", { ...names, reason: "changed" }]);
  for (const event of [agrees("zoe"), { type: "REFUSE", by: "ann" }, { type: "DUE", armed: 7 }]) assert.equal(ends(event, granted), undefined);
});

/** A start whose agent is known under these names and no others. */
const startAs = (o: StartOptions, agent: object): Line => {
  const told = start(o);
  return { ...told, tell: (state, time) => {
    const one = told.tell(state, time);
    return { ...one, facts: { ...one.facts, agent } as never };
  } };
};
const faultsOf = (...starts: Line[]) => {
  const drafts = given().when(starts[0] as Line).then("run.refused");
  return drafts[0]?.type === "run.refused" ? drafts[0].data.reasons.map(({ code, path }) => [code, path]) : [];
};
const envelopeOf = (one: Line) => {
  const [started] = given().when(one).then("run.started");
  return started?.type === "run.started" ? started.data.envelope : assert.fail();
};

test("CORE-1 CORE-2: a start that leaves no journal says which member is at fault, or who can help", () => {
  const [other] = given().when(start({ name: "agent-2" })).refused("run.not_holder");
  assert.equal(other?.path, "/agent/name");
  const [missing] = given().when(start({ unknown: true })).refused("contract.missing");
  assert.equal(missing?.help, "an operator applies one with `signalbox apply`");
});

test("CORE-2: the version that is asked for is held against the one in force, where there are both", () => {
  const agent = { name: "agent-1", owner: "an owner", team: "a team", purpose: "tests" };
  assert.deepEqual(envelopeOf(start({ version: "1.0.0" })).agent, { name: "agent-1", version: "1.0.0" });
  assert.deepEqual(envelopeOf(start()).agent, { name: "agent-1", version: "1.0.0" });
  assert.deepEqual(envelopeOf(startAs({ version: "2.0.0" }, agent)).agent, { name: "agent-1" });
  assert.deepEqual(faultsOf(start({ version: "2.0.0" })), [["agent.version", "/agent/version"]]);
});

test("EXEC-6: a deadline that is now has passed; one a moment later has not, and is recorded in one form", () => {
  assert.deepEqual(faultsOf(start({ deadline: timestamp(T0 + 1000) })), [["deadline.passed", "/deadline"]]);
  assert.equal(envelopeOf(start({ deadline: timestamp(T0 + 1001) })).deadline, timestamp(T0 + 1001));
  assert.equal("deadline" in envelopeOf(start()), false);
  assert.equal("traceparent" in envelopeOf(start()), false);
});

test("CORE-2 GUARD-9: a start is turned away for everything that is wrong with it, in one event: faults, then the token, then the stop", () => {
  const refusal = { code: "token.expired", message: "it ended" };
  assert.deepEqual(faultsOf(start({ version: "2.0.0", refusals: [refusal], guard: HIT })).map(([code]) => code), ["agent.version", "token.expired", "guard.stopped"]);
  const away = given(start({ guard: HIT })).state;
  assert.deepEqual([away.life.value, away.envelope, away.goal, away.reasons?.length, away.holder], ["refused", undefined, "", 1, "agent-1"]);
  const on = given(start()).state;
  assert.deepEqual([on.life.value, on.goal, on.reasons, on.holder], ["active", "a goal", undefined, "agent-1"]);
});

test("POL-6: a change without a contract of the plane's own agent is turned away for that, and for that alone", () => {
  const bare = line(() => ({
    kind: "apply", actor: "op", id: "c1",
    body: { id: "c1", documents: [{ kind: "policy", name: "default", document: DOCUMENTS.policy }] } as never,
    facts: { kind: "change", start: { kind: "start", documents: {}, budgets: {}, principal: null }, tool: factsOf({}) } as never,
  }));
  const [refused] = givenChange().when(bare).then("run.refused");
  assert.deepEqual(refused?.type === "run.refused" && refused.data.reasons.map(({ code }) => code), ["contract.missing"]);
});

test("GUARD-6: of contract and wish the smaller counts, and either alone; a wish never widens, and is bounded", () => {
  const budget = (contract: object, wish?: object) => envelopeOf(start({ contract, ...(wish && { budget: wish }) })).budget;
  assert.deepEqual(budget({}), {});
  assert.deepEqual(budget({ pause_at_half: false }), {});
  assert.deepEqual(budget({ max_steps: 5 }, { max_steps: 3 }), { max_steps: 3 });
  assert.deepEqual(budget({ max_steps: 3 }, { max_steps: 5 }), { max_steps: 3 });
  assert.deepEqual(budget({ max_steps: 3 }), { max_steps: 3 });
  assert.deepEqual(budget({}, { max_steps: 3 }), { max_steps: 3 });
  assert.deepEqual(budget({ max_cost_micro_usd: 9, max_wall_ms: 9 }, { max_cost_usd: 1, max_wall_seconds: 1 }), { max_cost_micro_usd: 9, max_wall_ms: 9 });
  assert.deepEqual(budget({}, { max_cost_usd: 0.5, max_wall_seconds: 1.0001 }), { max_cost_micro_usd: 500_000, max_wall_ms: 1001 });
  assert.deepEqual(budget({}, { max_cost_usd: 1e12, max_wall_seconds: 1e12 }), { max_cost_micro_usd: 1e15, max_wall_ms: 31_622_400_000 });
});

const say = (body: object): Line => line(() => ({ kind: "control", actor: "op", id: "x", body: { id: "x", ...body } as never }));

test("what a run's life does not allow is refused in words for that, and changes nothing", () => {
  const words = (one: Line, ...lines: Line[]) => given(start(), ...lines).when(one).refused("control.not_applicable")[0]?.message;
  assert.equal(words(control("pause", "p2"), control("pause")), "a run that is paused cannot be paused");
  assert.equal(words(control("resume")), "a run that is active cannot be resumed");
  assert.equal(words(control("cancel", "c2"), control("cancel")), "a run that is cancelled cannot be cancelled");
  assert.equal(words(cleanse("x"), control("cancel")), "a run that is cancelled cannot be cleansed");
  assert.equal(words(control("pause"), finish("f")), "a run that is completed cannot be paused");
  const [unresolved] = given(start(), tool("t1")).when(resolve("t1", "failed")).refused("control.not_applicable");
  assert.equal(unresolved?.path, "/action");
  const [unmarked] = given(start()).when(cleanse("x")).refused("control.not_applicable");
  assert.equal(unmarked?.path, "/labels");
});

test("what an operator does is recorded as theirs, with their reason where they gave one; each resume is counted", () => {
  const on = (one: Line, ...lines: Line[]) => given(start(), ...lines).when(one);
  assert.deepEqual(on(say({ verb: "pause", reason: "r" })).then("run.paused")[0]?.data, { by: "op", reason: "r" });
  assert.deepEqual(on(say({ verb: "pause" })).then("run.paused")[0]?.data, { by: "op" });
  assert.deepEqual(on(say({ verb: "resume", reason: "r" }), control("pause")).then("run.resumed")[0]?.data, { by: "op", reason: "r" });
  assert.deepEqual(on(say({ verb: "cancel", reason: "r" })).then("run.cancelled")[0]?.data, { by: "op", reason: "r" });
  const twice = [control("pause"), control("resume"), control("pause", "p2"), control("resume", "r2")];
  assert.equal(given(start(), ...twice).state.resumes, 2);
  const [, failed] = on(say({ verb: "cancel" }), tool("t1")).then("run.cancelled", "action.failed");
  assert.equal(failed?.type === "action.failed" && failed.data.error.message, "the run was cancelled by op");
});

test("GUARD-3 GUARD-10: an operator lowers the taint and the labels that the run bears, sorted, each once, with the reason where there is one", () => {
  const marks = { tainted: true, labels: ["secret", "pii"], cleanses: false } as never;
  const marked = given(start(), tool("t1", { effect: "read" }), report("t1", "succeeded", { marks }));
  const lowered = (one: Line) => marked.when(one).then("taint.lowered")[0]?.data;
  assert.deepEqual(lowered(cleanse("x")), { by: "op", reason: "looked at it", labels: [] });
  assert.deepEqual(lowered(say({ verb: "cleanse", labels: ["secret", "pii", "secret", "payment"] })), { by: "op", labels: ["pii", "secret"] });
  const { marks: left } = marked.when(cleanse("x", ["pii"])).state();
  assert.deepEqual([left.tainted, left.labels], [false, ["secret"]]);
  const labelled = given(start(), tool("t1", { effect: "read" }), report("t1", "succeeded", { marks: { tainted: false, labels: ["pii"], cleanses: false } as never }));
  labelled.when(cleanse("x", ["pii"])).then("taint.lowered");
  labelled.when(cleanse("x")).refused("control.not_applicable");
});

test("EXEC-7: what an operator finds of a doubt is recorded as found: a failure without effect, or an output, held against the schema", () => {
  const doubt = given(start(), tool("t1"), claim("t1"), report("t1", "in_doubt"));
  const failed = (o: object) => {
    const [one] = doubt.when(line((state) => ({ kind: "control", actor: "op", id: "x", body: { verb: "resolve", id: "x", action: [...state.actions.keys()][0], outcome: "failed", ...o } as never }))).then("action.failed");
    return one?.type === "action.failed" && one.data.error;
  };
  assert.deepEqual(failed({}), { code: "resolved.failed", message: "`op` found that it failed", effect: "none" });
  assert.deepEqual(failed({ reason: "I looked" }), { code: "resolved.failed", message: "I looked", effect: "none" });
  const [succeeded] = doubt.when(resolve("t1", "succeeded")).then("action.succeeded", "action.verified");
  assert.deepEqual(succeeded?.type === "action.succeeded" && [succeeded.data.output, succeeded.data.removed, Object.keys(succeeded.data).sort()], [null, [], ["action", "attempt", "output", "removed"]]);
  const [given1] = doubt.when(resolve("t1", "succeeded", { output: { n: 1 } })).then("action.succeeded", "action.verified");
  assert.deepEqual(given1?.type === "action.succeeded" && given1.data.output, { n: 1 });
  doubt.when(resolve("t1", "succeeded", { output: 1, faults: INVALID })).then("action.succeeded", "action.failed");
});

test("EXEC-6 APP-2: a timer that nobody waits for is stale, and one that is waited for says what became of it", () => {
  const asking = given(start(), tool("t1", { decision: "ask", ttlMs: 60_000 }));
  const [, denied] = asking.when(after(60_000, due("approval:t1"))).then("approval.expired", "action.denied");
  assert.deepEqual(denied?.type === "action.denied" && [denied.data.by, denied.data.reasons], ["expiry", [{ code: "approval.expired", message: `nobody answered by ${timestamp(T0 + 62_000)}`, help: "propose it again" }]]);
  for (const timer of ["approval:q99", "action:a99", "wall", "half", "deadline", "other"]) given(start(), note("n")).when(due(timer, 1)).is("ignore");
  asking.when(due("approval:t1", 99)).is("ignore");
  given().when(due("wall", 1)).is("ignore");
  given(start({ deadline: timestamp(T0 + 5000) })).when(after(9000, due("other", 1))).is("ignore");
});

test("GUARD-6 EXEC-9: wall time and deadline end the run with their own name, limit and measure", () => {
  const wall = given(start({ contract: { max_wall_ms: 10_000 } })).when(after(10_000, due("wall")));
  const [used, failed] = wall.then("budget.exhausted", "run.failed");
  assert.deepEqual([used?.data, failed?.data], [{ budget: "wall", limit: 10_000, used: 10_000 }, { error: { code: "budget.wall", message: "the run's wall time is used up" } }]);
  assert.deepEqual([wall.state().exhausted, wall.state().error], [true, { code: "budget.wall", message: "the run's wall time is used up" }]);
  const late = given(start({ deadline: timestamp(T0 + 5000) }), tool("t1")).when(after(4000, due("deadline")));
  const [passed, ended, action] = late.then("budget.exhausted", "run.failed", "action.failed");
  assert.deepEqual(passed?.data, { budget: "deadline", limit: T0 + 5000, used: T0 + 6000 });
  assert.deepEqual(ended?.data, { error: { code: "budget.deadline", message: "the run's deadline passed" } });
  assert.equal(action?.type === "action.failed" && action.data.error.message, "the run's deadline passed");
  assert.equal(late.state().exhausted, true);
  const both = given(start({ contract: { max_wall_ms: 90_000 }, deadline: timestamp(T0 + 5000) })).when(after(5000, due("deadline", 1)));
  assert.equal((both.then("budget.exhausted", "run.failed")[0]?.data as { budget: string }).budget, "deadline");
  // used before a pause counts; the timer of before the pause does not
  const paused = [start({ contract: { max_wall_ms: 10_000 } }), after(4000, control("pause")), after(50_000, control("resume"))];
  given(...paused).when(after(6000, due("wall"))).then("budget.exhausted", "run.failed");
  assert.deepEqual(given(...paused).when(after(6500, due("wall"))).then("budget.exhausted", "run.failed")[0]?.data, { budget: "wall", limit: 10_000, used: 10_500 });
  given(...paused).when(after(6000, due("wall", 1))).is("ignore");
});
