/** GUARD-9, ID-2, ID-3: stops, revocations and bad tokens, wherever a run may meet them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "../../machines/answers.ts";
import { owed } from "../../machines/owed.ts";
import { reason } from "../../schemas/reason.ts";
import { AGENT, approve, claim, control, due, given, HIT, INVALID, report, start, tool } from "./given.ts";

test("GUARD-9 ID-3: a run is not started while a stop covers it, or with a token that proves nothing; its journal says why and no more", () => {
  const refused = given().when(start({ guard: HIT, refusals: [reason("principal.expired", "the token has ended")] }));
  const [event] = refused.then("run.refused");
  assert.deepEqual(event?.type === "run.refused" && event.data.reasons.map(({ code }) => code), ["principal.expired", "guard.stopped"]);
  const answer = answerTo(refused.state(), `${AGENT}/s1`);
  assert.deepEqual([answer?.status, answer?.reasons?.length], ["refused", 2]);
  given(start({ guard: HIT })).when(tool("t1")).refused("run.ended");
  given().when(start({ guard: HIT, unknown: true })).refused("contract.missing");
});

test("GUARD-9: what is proposed while a stop covers it is denied by the stop, costs nothing and asks nobody", () => {
  const denied = given(start()).when(tool("t1", { guard: HIT, decision: "ask", costMicroUsd: 5 }));
  const [, , event] = denied.then("action.proposed", "action.validated", "action.denied");
  assert.ok(event?.type === "action.denied" && event.data.by === "stop");
  assert.deepEqual(event.data.reasons, [
    { code: "guard.stopped", message: "`agent:agent-1` is stopped: it went wild", help: "entry `s1`: it holds until it is lifted" },
  ]);
  assert.deepEqual(owed(denied.state()), []);
  assert.equal(denied.state().spent.steps, 1, "it is a step: nobody hammers at a stop for ever");
  given(start()).when(tool("t1", { guard: HIT, faults: INVALID })).then("action.proposed", "action.rejected");
});

test("GUARD-9 law 9: what was approved or queued when a stop came is not begun, whoever approved it", () => {
  for (const run of [[tool("t1")], [tool("t1", { decision: "ask" }), approve("t1")]]) {
    const [failed] = given(start(), ...run).when(claim("t1", { guard: HIT })).then("action.failed");
    assert.ok(failed?.type === "action.failed");
    assert.deepEqual([failed.data.error.code, failed.data.error.effect, failed.data.reasons?.[0]?.code], ["guard.stopped", "none", "guard.stopped"]);
  }
  // earlier attempts may have done something
  const again = [start(), tool("t1", { retries: 1, idempotent: true }), claim("t1"), report("t1", "in_doubt"), due("action:t1")];
  const [doubtful] = given(...again).when(claim("t1", { guard: HIT })).then("action.failed");
  assert.ok(doubtful?.type === "action.failed" && doubtful.data.error.effect === "unknown");
  // a claim that nobody could be granted halts nothing
  given(start(), tool("t1"), claim("t1")).when(claim("t1", { id: "x", gateway: "g2", guard: HIT })).refused("report.not_holder");
  given(start(), tool("t1"), control("pause")).when(claim("t1", { guard: HIT })).refused("run.paused");
});

test("GUARD-9: the output of a read that nobody claimed is not given to an agent that was stopped meanwhile; it is paid for", () => {
  const run = [start(), tool("t1", { effect: "read", retries: 2, costMicroUsd: 7 })];
  const stopped = given(...run).when(report("t1", "succeeded", { guard: HIT, output: { secret: 1 } }));
  stopped.then("action.failed", "budget.settled");
  assert.equal(stopped.state().actions.get("a2" as never)?.context.output, undefined);
  assert.equal(stopped.state().spent.settled, 7);
  // what was in flight when the stop came is recorded as it ended
  given(...run, claim("t1")).when(report("t1", "succeeded", { guard: HIT })).then("action.succeeded", "action.verified", "budget.settled");
  given(...run).when(report("t1", "succeeded", { guard: HIT, attempt: 2 })).refused("report.not_holder");
});

test("ID-2: a disabled principal is named as such, and no entry of the guard is", () => {
  const disabled = { kind: "disabled" as const, scope: "principal:https://id.example|eve", reason: "left" };
  const [, , denied] = given(start()).when(tool("t1", { guard: disabled })).then("action.proposed", "action.validated", "action.denied");
  assert.match(denied?.type === "action.denied" ? (denied.data.reasons[0]?.message ?? "") : "", /is disabled: left/);
});
