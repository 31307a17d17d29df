/** The plane's decision, requirement by requirement. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "../../machines/answers.ts";
import { MAX_OPEN_ACTIONS } from "../../machines/decide.ts";
import { owed } from "../../machines/owed.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { envelopeSchema } from "../../schemas/event.ts";
import { actionDocumentSchema } from "../../schemas/dispatch.ts";
import { timestamp } from "../../schemas/time.ts";
import {
  after, approve, claim, control, DOCUMENTS, due, fail, finish, given, INVALID, type Line, line, note, OTHER_DOCUMENTS, report, resolve, start, T0,
  tool, turnDown, judgement, AGENT,
} from "./given.ts";

const ALLOWED = ["action.proposed", "action.validated", "action.approved", "action.dispatched"] as const;
const ASKED = ["action.proposed", "action.validated", "approval.requested"] as const;
const ask = { decision: "ask" } as const;
const NOTHING_SPENT = { steps: 0, settled: 0, reserved: 0, input: { settled: 0, reserved: 0 }, output: { settled: 0, reserved: 0 } };

test("CORE-1: a run is started under its agent's own name, once, and by an agent that has a contract", () => {
  given().when(start()).then("run.started");
  given().when(start({ by: "agent-2" })).refused("run.prefix");
  given().when(start({ name: "agent-2" })).refused("run.not_holder");
  given().when(start({ unknown: true })).refused("contract.missing");
  given(start()).when(start({ id: "s2" })).refused("run.exists");
  assert.equal(given().when(note("n1")).refused("run.unknown")[0]?.help, "propose `start` first");
});

test("CORE-1: only the holder proposes, and after the end nobody does", () => {
  given(start()).when(note("n1", "agent-2")).refused("run.not_holder");
  given(start()).when(tool("t1", { by: "agent-2" })).refused("run.not_holder");
  for (const end of [finish("f"), fail("f"), control("cancel")]) given(start(), end).when(note("n1")).refused("run.ended");
});

test("CORE-2: a start that its contract cannot bear is refused in a journal of its own", () => {
  const refused = given().when(start({ version: "2.0.0", deadline: timestamp(T0) }));
  const [event] = refused.then("run.refused");
  assert.deepEqual(event?.type === "run.refused" && event.data.reasons.map((one) => [one.code, one.path]), [
    ["agent.version", "/agent/version"],
    ["deadline.passed", "/deadline"],
  ]);
  assert.equal(answerTo(refused.state(), `${AGENT}/s1`)?.status, "refused");
});

test("CORE-2: a rejection names every fault and the path to it, and nothing is dispatched", () => {
  const rejected = given(start()).when(tool("t1", { faults: INVALID }));
  const [, event] = rejected.then("action.proposed", "action.rejected");
  assert.deepEqual(event?.type === "action.rejected" && event.data.reasons, INVALID);
  assert.deepEqual(answerTo(rejected.state(), `${AGENT}/t1`)?.reasons, INVALID);
  assert.deepEqual(owed(rejected.state()), []);
});

test("CORE-3: policy allows, asks or denies, and what nobody judged or permits is denied", () => {
  given(start()).when(tool("t1")).then(...ALLOWED);
  given(start()).when(tool("t1", ask)).then(...ASKED);
  const cases = [
    { judgement: judgement("deny"), code: "policy.no_permit" },
    { judgement: null, code: "policy.error" },
    { judgement: { ...judgement("deny"), errors: ["it broke"] }, code: "policy.error" },
    { judgement: { ...judgement("deny"), policies: [{ id: "no-refunds", effect: "forbid", file: "default/x.cedar", line: 7 }] }, code: "policy.forbidden" },
  ] as const;
  for (const { judgement: judged, code } of cases) {
    const [, , denied] = given(start()).when(tool("t1", { judgement: judged as never })).then("action.proposed", "action.validated", "action.denied");
    assert.equal(denied?.type === "action.denied" && denied.data.by, "policy");
    assert.deepEqual(denied?.type === "action.denied" && denied.data.reasons.map((one) => one.code), [code]);
  }
});

test("CORE-3: the approval records the policies that determined it", () => {
  const approved = given(start()).when(tool("t1")).then(...ALLOWED)[2];
  assert.deepEqual(approved?.data, { action: "a2", by: "policy", policies: ["p1"], approvers: [] });
});

test("CORE-4: what is dispatched has the digest of what was judged, and its text is the action document", () => {
  const events = given(start()).when(tool("t1", { input: { b: 1, a: [1.5, "é"] } })).then(...ALLOWED);
  const [, validated, , dispatched] = events;
  assert.ok(validated?.type === "action.validated" && dispatched?.type === "action.dispatched");
  assert.equal(sha256Digest(validated.data.document), dispatched.data.digest);
  assert.equal(validated.data.digest, dispatched.data.digest);
  assert.deepEqual(actionDocumentSchema.parse(JSON.parse(validated.data.document)), {
    ns: "test", run: "agent-1_r1", action: "a2", tool: "crm.update", tool_hash: DOCUMENTS.tool, contract_hash: DOCUMENTS.contract,
    input: { a: [1.5, "é"], b: 1 }, principal: null,
  });
});

test("CORE-5: an input is applied once; the same id with other content is refused", () => {
  const g = given(start(), note("n1"), tool("t1"));
  g.when(note("n1")).is("duplicate");
  g.when(tool("t1")).is("duplicate");
  g.when(tool("t1", { input: { n: 2 } })).refused("id.reused");
  const [reused] = g.when(tool("n1")).refused("id.reused");
  assert.deepEqual([reused?.path, reused?.help], ["/id", "give every new message an id of its own"]);
  // ids are the sender's own: a report may bear the id of a proposal
  g.when(claim("a3", { id: "n1" })).then("action.started");
  given(start(), tool("t1"), claim("a2")).when(claim("a2")).is("duplicate");
  // and where one name ends and an id begins is told apart
  const says = (verb: "pause" | "resume", actor: string, id: string) => line(() => ({ kind: "control", actor, id, body: { verb, id, reason: "because" } }));
  given(start(), says("pause", "op", "a-1")).when(says("resume", "opa", "-1")).then("run.resumed");
});

test("CORE-5: what was refused is not remembered, and may come again when it fits", () => {
  const paused = given(start(), tool("t1"), control("pause"));
  paused.when(claim("a2", { id: "r1" })).refused("run.paused");
  given(start(), tool("t1"), control("pause"), control("resume")).when(claim("a2", { id: "r1" })).then("action.started");
});

test("CORE-7: the envelope names agent, owner, team, principal, documents, budget, deadline and trace", () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const principal = { subject: "ann", verified: false };
  const deadline = "2026-02-01T00:00:00Z";
  const [started] = given()
    .when(start({ principal, deadline, traceparent, budget: { max_steps: 9, max_cost_usd: 1.5, max_wall_seconds: 0.0001 }, contract: { max_steps: 5 } }))
    .then("run.started");
  assert.ok(started?.type === "run.started");
  assert.deepEqual(envelopeSchema.parse(started.data.envelope), {
    agent: { name: "agent-1", version: "1.0.0" }, owner: "an owner", team: "a team", principal, chain: ["principal:|ann", "agent:agent-1"],
    documents: { contract: DOCUMENTS.contract, policy: DOCUMENTS.policy },
    budget: { max_steps: 5, max_cost_micro_usd: 1_500_000, max_wall_ms: 1 },
    deadline: "2026-02-01T00:00:00.000Z", traceparent,
  });
  const state = given(start({ principal, traceparent }), tool("t1")).state;
  const [debt] = owed(state);
  assert.ok(debt?.kind === "dispatch");
  assert.equal(debt.message.traceparent, traceparent);
  assert.deepEqual(JSON.parse(debt.message.document).principal, principal);
});

test("GUARD-6: a wish beyond all measure stays a time and a whole number", () => {
  const wild = given().when(start({ budget: { max_wall_seconds: 1e300, max_cost_usd: 1e308 } }));
  const [started] = wild.then("run.started");
  assert.ok(started?.type === "run.started");
  envelopeSchema.parse(started.data.envelope);
  assert.match(owed(wild.state()).map((debt) => (debt.kind === "timer" ? debt.at : "")).join(), /^2027-/);
});

test("GUARD-6: steps are bounded, junk counts, and one event says that they are used up", () => {
  const g = (...lines: Line[]) => given(start({ contract: { max_steps: 2 } }), tool("t1"), tool("t2", { faults: INVALID }), ...lines);
  given(start({ contract: { max_steps: 2 } })).when(tool("t1")).then(...ALLOWED, "budget.warned");
  const over = g().when(tool("t3"));
  const events = over.then("action.proposed", "budget.exhausted", "action.validated", "action.denied");
  assert.deepEqual(events[1]?.data, { action: "a9", budget: "steps", limit: 2, used: 2 });
  assert.equal(events[3]?.type === "action.denied" && events[3].data.by, "budget");
  assert.equal(over.state().spent.steps, 2);
  g(tool("t3")).when(tool("t4")).refused("budget.steps");
  g().when(tool("t3", { faults: INVALID })).then("action.proposed", "budget.exhausted", "action.rejected");
  g(tool("t3", { faults: INVALID })).when(tool("t4", { faults: INVALID })).refused("budget.steps");
});

test("GUARD-6: money is reserved before it is spent, settled afterwards, and never overdrawn", () => {
  const cost = { costMicroUsd: 600_000 };
  const budget = start({ budget: { max_cost_usd: 1 } });
  const first = given(budget).when(tool("t1", cost));
  first.then("action.proposed", "budget.reserved", "action.validated", "action.approved", "action.dispatched");
  assert.deepEqual(first.state().spent, { ...NOTHING_SPENT, steps: 1, reserved: 600_000 });
  const second = given(budget, tool("t1", cost)).when(tool("t2", cost));
  second.then("action.proposed", "budget.exhausted", "action.validated", "action.denied");
  given(budget, tool("t1", cost), tool("t2", cost)).when(tool("t3", cost)).refused("budget.cost");
  // what still fits is not held up by what did not
  given(budget, tool("t1", cost), tool("t2", cost)).when(tool("t3", { costMicroUsd: 400_000 })).then(
    "action.proposed", "budget.reserved", "action.validated", "action.approved", "action.dispatched",
  );
  const settled = given(budget, tool("t1", cost), claim("a2")).when(report("a2", "succeeded", { costUsd: 0.25 }));
  assert.deepEqual(settled.then("action.succeeded", "action.verified", "budget.settled")[2]?.data, {
    action: "a2", cost_micro_usd: 250_000, reserved_micro_usd: 600_000,
  });
  assert.deepEqual(settled.state().spent, { ...NOTHING_SPENT, steps: 1, settled: 250_000 });
});

test("GUARD-6: a tool that is silent about its cost is not free, unless it certainly did nothing", () => {
  const run = [start({ budget: { max_cost_usd: 1 } }), tool("t1", { costMicroUsd: 600_000 }), claim("a2")];
  const settledBy = (line: Line) => given(...run).when(line).state().spent.settled;
  assert.equal(settledBy(report("a2", "succeeded")), 600_000);
  assert.equal(settledBy(report("a2", "succeeded", { costUsd: 0 })), 0);
  assert.equal(settledBy(report("a2", "succeeded", { costUsd: 99 })), 600_000);
  assert.equal(settledBy(report("a2", "failed", { effect: "none" })), 0);
  assert.equal(settledBy(report("a2", "failed", { effect: "none", costUsd: 0.1 })), 100_000);
  assert.equal(settledBy(report("a2", "failed", { effect: "done" })), 600_000);
  assert.equal(settledBy(report("a2", "succeeded", { faults: INVALID })), 600_000);
  assert.equal(settledBy(control("cancel")), 0, "what is in flight keeps its reservation");
  const doubt = [...run, report("a2", "in_doubt")];
  assert.equal(given(...doubt).when(resolve("a2", "succeeded")).state().spent.settled, 600_000);
  assert.equal(given(...doubt).when(resolve("a2", "failed")).state().spent.settled, 0);
});

test("GUARD-6: wall time runs out for the run, and stands while a person is waited for or the run is paused", () => {
  const wall = start({ contract: { max_wall_ms: 10_000 } });
  const out = given(wall, tool("t1"), claim("a2")).when(after(9_000, due("wall")));
  out.then("budget.exhausted", "run.failed");
  assert.equal(out.state().life.value, "failed");
  assert.equal(out.state().actions.get("a2" as never)?.value, "started", "what is in flight is not called off");
  for (const hold of [tool("t1", ask), control("pause")]) {
    const held = given(wall, hold);
    assert.deepEqual(held.state.wall, { usedMs: 1000, since: undefined, armed: 1 });
    held.when(after(60_000, due("wall", 1))).is("ignore");
  }
  const again = given(wall, after(4_000, control("pause")), after(60_000, control("resume")));
  assert.equal(again.state.wall.usedMs, 4_000);
  again.when(after(6_000, due("wall", 1))).is("ignore");
  again.when(after(6_000, due("wall"))).then("budget.exhausted", "run.failed");
});

test("EXEC-6: the deadline ends the run, also a paused one, once", () => {
  const run = start({ deadline: "2026-02-01T00:00:00Z" });
  const late = 20 * 3600_000;
  given(run, tool("t1", ask)).when(after(late, due("deadline"))).then("budget.exhausted", "run.failed", "approval.stale", "action.failed");
  given(run, control("pause")).when(after(late, due("deadline"))).then("budget.exhausted", "run.failed");
  given(run, finish("f")).when(after(late, due("deadline"))).is("ignore");
  given(start()).when(after(late, due("deadline"))).is("ignore");
});

test("APP-1: a person is asked, and until then nothing is dispatched", () => {
  const asked = given(start(), tool("t1", ask));
  assert.deepEqual(owed(asked.state).map((debt) => debt.key), ["timer/approval:q4/2"]);
  const events = asked.when(approve("q4")).then("approval.granted", "action.approved", "action.dispatched");
  assert.deepEqual(events[1]?.data, { action: "a2", by: "person", policies: [], approvers: ["ann"] });
  asked.when(turnDown("q4", "ann", { reason: "too much" })).then("approval.refused", "action.denied");
  asked.when(after(60_000, due("approval:q4"))).then("approval.expired", "action.denied");
});

test("APP-2: a decision is bound to what was shown, single-use, expires, and goes stale with the documents", () => {
  const asked = given(start(), tool("t1", ask));
  asked.when(approve("q4", "ann", { digest: sha256Digest("something else") })).refused("approval.wrong_digest");
  asked.when(approve("q9")).refused("approval.unknown");
  asked.when(approve("q4", "ann", { documents: OTHER_DOCUMENTS })).then("approval.stale", "action.denied");
  asked.when(after(60_001, approve("q4"))).refused("approval.expired");
  given(start(), tool("t1", ask), approve("q4")).when(approve("q4", "bob")).refused("approval.closed");
  given(start(), tool("t1", ask), turnDown("q4")).when(approve("q4", "bob")).refused("approval.closed");
  given(start(), tool("t1", ask), after(60_000, due("approval:q4"))).when(approve("q4", "bob")).refused("approval.expired");
  given(start(), tool("t1", ask), control("cancel")).when(approve("q4")).refused("approval.closed");
  given(start(), tool("t1", ask), approve("q4")).when(after(60_000, due("approval:q4", 2))).is("ignore");
});

test("APP-3: M of N, each once, and nobody approves what is their own", () => {
  const asked = [start({ principal: { subject: "eve", verified: false } }), tool("t1", { ...ask, count: 2 })];
  given(...asked).when(approve("q4")).then("approval.granted");
  given(...asked, approve("q4")).when(approve("q4", "ann", { id: "other" })).refused("approval.twice");
  given(...asked, approve("q4")).when(approve("q4", "bob")).then("approval.granted", "action.approved", "action.dispatched");
  given(...asked, approve("q4")).when(turnDown("q4", "bob")).then("approval.refused", "action.denied");
  given(...asked).when(approve("q4", AGENT)).refused("approval.self");
  given(...asked).when(approve("q4", "eve")).refused("approval.self");
});

test("law 9: a claim is granted to one, for the dispatched attempt, while the run is active and nothing changed", () => {
  const run = [start(), tool("t1")];
  given(...run, claim("a2")).when(claim("a2", { gateway: "g2", id: "x" })).refused("report.not_holder");
  given(...run).when(claim("a2", { attempt: 2 })).refused("report.not_holder");
  given(...run).when(claim("a2", { attempt: 2, documents: OTHER_DOCUMENTS })).refused("report.not_holder");
  given(...run).when(claim("a2", { documents: OTHER_DOCUMENTS })).then("action.failed");
  given(...run, control("pause")).when(claim("a2")).refused("run.paused");
  given(...run, control("cancel")).when(claim("a2")).refused("run.ended");
  given(...run).when(claim("a9")).refused("report.unknown_action");
});

test("law 9: a report counts only from the holder, and nobody reports in another gateway's name", () => {
  const run = given(start(), tool("t1"), claim("a2"));
  run.when(report("a2", "succeeded", { gateway: "g2" })).refused("report.not_holder");
  run.when(report("a2", "succeeded", { nonce: "nonce-0002" })).refused("report.not_holder");
  run.when(report("a2", "succeeded", { attempt: 2 })).refused("report.not_holder");
  // the claim stands in the journal for all readers: it proves nothing
  run.when(report("a2", "succeeded", { by: "g2" })).refused("report.not_holder");
  given(start(), tool("t1")).when(claim("a2", { by: "g2" })).refused("report.not_holder");
  run.when(report("a2", "succeeded")).then("action.succeeded", "action.verified");
  given(start(), tool("t1")).when(report("a2", "succeeded", { attempt: 1 })).refused("report.not_holder");
});

test("CORE-4: output that does not fit the schema is no success, whoever brings it", () => {
  const run = [start(), tool("t1"), claim("a2")];
  given(...run).when(report("a2", "succeeded", { faults: INVALID })).then("action.succeeded", "action.failed");
  given(...run, report("a2", "in_doubt")).when(resolve("a2", "succeeded", { output: 1, faults: INVALID })).then("action.succeeded", "action.failed");
});

test("EXEC-6: an attempt that certainly did nothing is tried again, with backoff, as often as the tool allows", () => {
  const run = [start(), tool("t1", { retries: 1 }), claim("a2"), report("a2", "failed")];
  const [, timer] = [given(...run).state, owed(given(...run).state)[0]];
  assert.ok(timer?.kind === "timer" && timer.name === "action:a2");
  given(...run).when(due("action:a2", 1)).is("ignore");
  given(...run).when(due("action:a2")).then("action.dispatched");
  given(...run, due("action:a2"), claim("a2")).when(report("a2", "failed")).then("action.failed");
  given(...run).when(claim("a2", { attempt: 1, id: "late" })).refused("report.not_holder");
});

test("EXEC-6: a retry that falls due while the run is paused waits for the resume", () => {
  const run = [start(), tool("t1", { retries: 1 }), claim("a2"), report("a2", "failed"), control("pause")];
  const paused = given(...run);
  paused.when(due("action:a2")).is("ignore");
  paused.when(after(60_000, control("resume"))).then("run.resumed", "action.dispatched");
  // a resume that was stored just before the timer's time leaves the timer owed under a new key
  const early = given(...run.slice(0, 4), after(0, control("pause"))).when(after(1, control("resume")));
  early.then("run.resumed");
  const key = owed(early.state()).find((debt) => debt.kind === "timer")?.key;
  assert.notEqual(key, owed(paused.state).find((debt) => debt.kind === "timer")?.key);
});

test("EXEC-7: a write whose end nobody knows is in doubt, and only a person or the holder ends the doubt", () => {
  const run = [start(), tool("t1", { retries: 3 }), claim("a2")];
  given(...run).when(report("a2", "in_doubt")).then("action.in_doubt");
  given(...run).when(report("a2", "failed", { effect: "unknown" })).then("action.in_doubt");
  given(...run).when(after(15_000, due("action:a2"))).then("action.in_doubt");
  const doubt = [...run, report("a2", "in_doubt")];
  given(...doubt).when(due("action:a2", 6)).is("ignore");
  given(...doubt).when(claim("a2", { gateway: "g2" })).refused("report.not_holder");
  given(...doubt).when(report("a2", "succeeded", { gateway: "g2" })).refused("report.not_holder");
  given(...doubt).when(report("a2", "in_doubt", { id: "again" })).refused("report.not_holder");
  given(...doubt).when(report("a2", "succeeded")).then("action.succeeded", "action.verified");
  given(...doubt).when(report("a2", "failed", { effect: "none" })).then("action.retrying");
  given(...doubt).when(resolve("a2", "failed")).then("action.failed");
  given(...doubt).when(resolve("a2", "succeeded", { output: 1 })).then("action.succeeded", "action.verified");
  given(...doubt, control("cancel")).when(resolve("a2", "failed")).then("action.failed");
  given(...run).when(resolve("a2", "failed")).refused("control.not_applicable");
  given(...doubt).when(finish("f")).refused("run.actions_open");
});

test("EXEC-7: an idempotent write is repeated; when no retries are left its doubt is not called a failure", () => {
  const run = [start(), tool("t1", { retries: 1, idempotent: true }), claim("a2")];
  given(...run).when(after(15_000, due("action:a2"))).then("action.retrying");
  const last = [...run, report("a2", "in_doubt"), due("action:a2"), claim("a2")];
  given(...last).when(report("a2", "in_doubt")).then("action.in_doubt");
  // the last attempt speaks for itself alone: what the first one did is still not known
  given(...last).when(report("a2", "failed", { effect: "none" })).then("action.in_doubt");
  // after the end of the run nothing is begun again
  given(...run, control("cancel")).when(report("a2", "in_doubt")).then("action.in_doubt");
});

test("EXEC-7: a read may be reported without a claim, and fails when its end is unknown", () => {
  const run = [start(), tool("t1", { effect: "read", retries: 1 })];
  given(...run).when(report("a2", "succeeded")).then("action.started", "action.succeeded", "action.verified");
  given(...run).when(report("a2", "failed")).then("action.started", "action.retrying");
  given(...run).when(report("a2", "in_doubt")).then("action.started", "action.retrying");
  given(...run, report("a2", "in_doubt"), due("action:a2")).when(report("a2", "in_doubt")).then("action.started", "action.failed");
  given(...run, report("a2", "in_doubt"), due("action:a2")).when(report("a2", "succeeded", { attempt: 1 })).refused("report.not_holder");
  given(...run, claim("a2")).when(report("a2", "succeeded", { gateway: "g2" })).refused("report.not_holder");
  given(...run, control("pause")).when(report("a2", "succeeded")).then("action.started", "action.succeeded", "action.verified");
  given(...run, control("cancel")).when(report("a2", "succeeded")).refused("report.not_holder");
});

test("a paused run holds what is approved, and lets it go when it is resumed", () => {
  const held = [start(), control("pause")];
  given(...held).when(tool("t1")).then("action.proposed", "action.validated", "action.approved");
  given(...held, tool("t1", ask)).when(approve("q5")).then("approval.granted", "action.approved");
  assert.deepEqual(owed(given(...held, tool("t1")).state), []);
  given(...held, tool("t1"), tool("t2")).when(control("resume")).then("run.resumed", "action.dispatched", "action.dispatched");
  given(...held).when(finish("f")).refused("run.paused");
  given(...held).when(fail("f")).then("run.failed");
  given(...held).when(control("pause", "p2")).refused("control.not_applicable");
  given(start()).when(control("resume")).refused("control.not_applicable");
});

test("cancel ends what was not begun, in every state, and waits for what was", () => {
  const cases: Record<string, { lines: Line[]; then: string[]; left: string }> = {
    awaiting_approval: { lines: [tool("t1", ask)], then: ["approval.stale", "action.failed"], left: "failed" },
    approved: { lines: [control("pause"), tool("t1")], then: ["action.failed"], left: "failed" },
    dispatched: { lines: [tool("t1")], then: ["action.failed"], left: "failed" },
    started: { lines: [tool("t1"), claim("a2")], then: [], left: "started" },
    retrying: { lines: [tool("t1", { retries: 1 }), claim("a2"), report("a2", "failed")], then: ["action.failed"], left: "failed" },
    in_doubt: { lines: [tool("t1"), claim("a2"), report("a2", "in_doubt")], then: [], left: "in_doubt" },
    verified: { lines: [tool("t1"), claim("a2"), report("a2", "succeeded")], then: [], left: "verified" },
    denied: { lines: [tool("t1", { decision: "deny" })], then: [], left: "denied" },
    rejected: { lines: [tool("t1", { faults: INVALID })], then: [], left: "rejected" },
  };
  for (const [state, { lines, then, left }] of Object.entries(cases)) {
    const run = given(start(), ...lines);
    const [action] = run.state.actions.values();
    assert.equal(action?.value, state);
    const cancelled = run.when(control("cancel"));
    cancelled.then("run.cancelled", ...(then as []));
    assert.equal([...cancelled.state().actions.values()][0]?.value, left);
    given(start(), ...lines, control("cancel")).when(control("cancel", "c2")).refused("control.not_applicable");
  }
});

test("after the end of the run, reports of what was in flight are still recorded, and nothing is begun again", () => {
  const run = [start(), tool("t1", { effect: "read", retries: 5 }), claim("a2"), control("cancel")];
  given(...run).when(report("a2", "succeeded")).then("action.succeeded", "action.verified");
  given(...run).when(report("a2", "failed")).then("action.failed");
  given(...run).when(after(15_000, due("action:a2"))).then("action.failed");
});

test("one run has a bounded number of open actions, so that its end fits into one commit", () => {
  assert.equal(MAX_OPEN_ACTIONS, 256, "recorded runs were refused at this number, and have to be again (law 5)");
  const many = Array.from({ length: MAX_OPEN_ACTIONS }, (_, i) => tool(`t${i}`, { ...ask, costMicroUsd: 1 }));
  const full = given(start(), ...many);
  full.when(tool("one-more")).refused("run.too_many_open");
  full.when(note("n")).then("note.recorded");
  const end = full.when(control("cancel")).decision;
  assert.ok(end.kind === "commit" && end.drafts.length <= 1000);
  assert.equal(end.drafts.length, 1 + 3 * MAX_OPEN_ACTIONS);
});

test("time never goes back: an input that was stored earlier takes the time of the run", () => {
  const early = given(start(), after(60_000, note("n1"))).when(after(-30_000, note("n2")));
  assert.ok(early.decision.kind === "commit");
  assert.equal(early.decision.change.at, timestamp(T0 + 61_000));
});
