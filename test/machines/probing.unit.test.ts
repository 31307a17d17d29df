/** An attempt whose end is unknown: the tool is asked, and nothing is repeated before it says that nothing was done (EXEC-7). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "../../machines/answers.ts";
import { CLAIM_GRACE_MS } from "../../machines/action-rules.ts";
import { owed } from "../../machines/owed.ts";
import type { RunState } from "../../machines/state.ts";
import { timestamp } from "../../schemas/time.ts";
import { after, claim, control, due, fail, finish, given, INVALID, type Line, report, resolve, start, T0, tool, type ToolOptions } from "./given.ts";
import { PROBE, probed } from "./probes.ts";

const TIMEOUT_MS = 10_000;
const PROBED: ToolOptions = { probe: PROBE, timeoutMs: TIMEOUT_MS };
/** Claimed three seconds after `T0`, given up by then and so much later. */
const DEADLINE = timestamp(T0 + 3_000 + TIMEOUT_MS + CLAIM_GRACE_MS);
const doubt = (o: ToolOptions = {}): Line[] => [start(), tool("t1", { ...PROBED, ...o }), claim("t1"), after(500, report("t1", "in_doubt"))];
const asking = (o: ToolOptions = {}): Line[] => [...doubt(o), after(20_000, due("action:t1"))];
const keys = (state: RunState) => owed(state).map(({ key }) => key);
const only = <T>(all: readonly T[]): T => {
  assert.equal(all.length, 1);
  return all[0] as T;
};

test("EXEC-7: the tool is asked when the attempt's own time is over, however early the doubt came, and at once when it came by the deadline", () => {
  const early = given(...doubt());
  assert.deepEqual(owed(early.state).map((debt) => debt.kind === "timer" && [debt.name, debt.at]), [["action:a2", DEADLINE]]);
  const [event] = given(start(), tool("t1", PROBED), claim("t1")).when(report("t1", "in_doubt")).then("action.in_doubt");
  assert.equal(event?.type === "action.in_doubt" && event.data.probe_at, DEADLINE);
  const late = given(start(), tool("t1", PROBED), claim("t1"), after(30_000, due("action:t1")));
  assert.deepEqual(owed(late.state).map((debt) => debt.kind === "timer" && debt.at), [timestamp(T0 + 33_000)]);
  late.when(due("action:t1")).then("action.probing");
});

test("EXEC-7: without a probe nothing is asked, and a person finds out", () => {
  const [event] = given(start(), tool("t1"), claim("t1")).when(report("t1", "in_doubt")).then("action.in_doubt");
  assert.ok(event?.type === "action.in_doubt" && event.data.probe_at === undefined);
  const none = given(start(), tool("t1"), claim("t1"), report("t1", "in_doubt"));
  assert.deepEqual(keys(none.state), []);
  none.when(due("action:t1", 7)).is("ignore");
  none.when(probed("t1", "done")).refused("probe.not_asked");
});

test("law 3: a question is owed as a dispatch under its own number and time-out, beside the timer that ends its waiting", () => {
  const { state } = given(...asking());
  assert.deepEqual(keys(state), ["probe/a2/1/1", "timer/action:a2/8"]);
  const [debt, timer] = owed(state);
  assert.ok(debt?.kind === "dispatch" && timer?.kind === "timer");
  const { probe, attempt, timeout_ms, document, digest } = debt.message;
  assert.deepEqual([probe, attempt, timeout_ms], [1, 1, PROBE.timeout_ms]);
  const first = owed(given(start(), tool("t1", PROBED)).state)[0];
  assert.ok(first?.kind === "dispatch" && first.message.probe === undefined);
  assert.deepEqual([document, digest], [first.message.document, first.message.digest], "about the very document that was dispatched");
  const [asked] = given(...doubt()).when(after(20_000, due("action:t1"))).then("action.probing");
  assert.deepEqual(asked?.data, { action: "a2", attempt: 1, probe: 1, deadline: timestamp(T0 + 23_500 + PROBE.timeout_ms + CLAIM_GRACE_MS) });
  assert.equal(timer.at, timestamp(T0 + 23_500 + PROBE.timeout_ms + CLAIM_GRACE_MS));
});

test("EXEC-7: `done` gives the output as the gateway sanitised it, checked and marked like any other", () => {
  const drafts = given(...asking()).when(probed("t1", "done", { output: { ok: 7 } })).then("action.probed", "action.succeeded", "action.verified");
  const [answer, succeeded] = drafts;
  assert.deepEqual(answer?.data, { action: "a2", attempt: 1, probe: 1, found: "done", by: "g2" });
  assert.ok(succeeded?.type === "action.succeeded");
  assert.deepEqual([succeeded.from, succeeded.data.output], ["probed", { ok: 7 }]);
  const after1 = given(...asking()).when(probed("t1", "done", { output: { ok: 7 } })).state();
  assert.deepEqual([answerTo(after1, "agent-1/t1")?.status, answerTo(after1, "agent-1/t1")?.output], ["succeeded", { ok: 7 }]);
  given(...asking()).when(probed("t1", "done", { faults: INVALID })).then("action.probed", "action.succeeded", "action.failed");
  given(...asking()).when(probed("t1", "done", { marks: { tainted: true, labels: [], cleanses: false } })).then("action.probed", "action.succeeded", "action.verified", "taint.raised");
});

test("EXEC-7: what was done and cannot be given has failed after it was done: nothing repeats it", () => {
  const drafts = given(...asking({ retries: 3 })).when(probed("t1", "done", { error: "the output was thrown away" })).then("action.probed", "action.failed");
  const failed = drafts[1];
  assert.equal(failed?.type === "action.failed" && failed.data.error.effect, "done");
});

test("EXEC-7: `none` fails it without effect; a write is attempted again only for that word, and only while retries are left", () => {
  const ended = given(...asking()).when(probed("t1", "none", { error: "no such refund" })).then("action.probed", "action.failed");
  assert.deepEqual(ended[1]?.type === "action.failed" && ended[1].data.error, { code: "tool.said", message: "no such refund", effect: "none" });
  const retried = given(...asking({ retries: 1 }), probed("t1", "none"));
  assert.equal(retried.state.actions.get("a2" as never)?.value, "retrying");
  const again = given(...asking({ retries: 1 }), probed("t1", "none"), due("action:t1"));
  assert.deepEqual(keys(again.state), ["dispatch/a2/2/0"]);
  // the second attempt has retries and questions of its own
  const second = [...asking({ retries: 1 }), probed("t1", "none"), due("action:t1"), claim("t1"), report("t1", "in_doubt"), after(20_000, due("action:t1"))];
  assert.deepEqual(keys(given(...second).state).slice(0, 1), ["probe/a2/2/1"]);
  given(...second).when(probed("t1", "none")).then("action.probed", "action.failed");
});

test("EXEC-7: after `none` the holder's late word that it was done still comes in time, until the next attempt is dispatched", () => {
  const retried = [...asking({ retries: 1 }), probed("t1", "none")];
  given(...retried).when(report("t1", "succeeded")).then("action.succeeded", "action.verified");
  given(...retried).when(report("t1", "succeeded", { gateway: "g2" })).refused("report.not_holder");
  given(...retried).when(report("t1", "failed")).refused("report.not_holder");
  given(...retried, due("action:t1")).when(report("t1", "succeeded", { attempt: 1 })).refused("report.not_holder");
  // where nobody asked, the holder has said how it ended
  given(start(), tool("t1", { ...PROBED, retries: 1 }), claim("t1"), report("t1", "failed")).when(report("t1", "succeeded", { id: "other" })).refused("report.not_holder");
});

test("EXEC-7: an idempotent write is repeated under its key first; what remains in doubt when no retries are left is asked about, for all of it", () => {
  const tried = [start(), tool("t1", { ...PROBED, idempotent: true, retries: 1 }), claim("t1"), report("t1", "in_doubt"), due("action:t1"), claim("t1"), report("t1", "in_doubt")];
  assert.equal(given(...tried).state.actions.get("a2" as never)?.value, "in_doubt");
  const [, failed] = given(...tried, after(20_000, due("action:t1"))).when(probed("t1", "none")).then("action.probed", "action.failed");
  // the doubt that the first attempt left is lifted too: the key was asked about
  assert.equal(failed?.type === "action.failed" && failed.data.error.effect, "none");
});

test("EXEC-7: an answer that says nothing, and none at all, are asked for again, later each time, so often as was declared; then a person is needed", () => {
  const [unknown] = given(...asking()).when(probed("t1", "unknown", { error: "busy" })).then("action.probed");
  assert.ok(unknown?.type === "action.probed");
  assert.deepEqual([unknown.to, unknown.data.found, unknown.data.probe_at], ["in_doubt", "unknown", timestamp(T0 + 24_500 + 1_000)]);
  const [silent] = given(...asking()).when(after(7_000, due("action:t1"))).then("action.probed");
  assert.ok(silent?.type === "action.probed");
  assert.deepEqual([silent.data.found, silent.data.by, silent.data.error], ["unanswered", undefined, undefined]);
  assert.equal(silent.data.probe_at, timestamp(T0 + 30_500 + 1_000));
  const twice = [...asking(), probed("t1", "unknown"), after(2_000, due("action:t1"))];
  assert.deepEqual(keys(given(...twice).state).slice(0, 1), ["probe/a2/1/2"]);
  const [last] = given(...twice).when(after(7_000, due("action:t1"))).then("action.probed");
  assert.ok(last?.type === "action.probed" && last.data.probe_at === undefined);
  const left = given(...twice, probed("t1", "unknown"));
  assert.deepEqual(keys(left.state), []);
  left.when(resolve("t1", "failed")).then("action.failed");
});

test("EXEC-7: the waits between questions grow from one second to five minutes", () => {
  const tries = { timeout_ms: 1, tries: 8 };
  const lines = [...asking({ probe: tries })];
  const waits: number[] = [];
  for (let asked = 1; asked < 8; asked++) {
    lines.push(probed("t1", "unknown"));
    const { state } = given(...lines);
    const timer = only(owed(state));
    assert.ok(timer.kind === "timer");
    waits.push(Date.parse(timer.at) - Date.parse(state.at));
    lines.push(after(600_000, due("action:t1")));
  }
  assert.deepEqual(waits, [1_000, 4_000, 16_000, 64_000, 256_000, 300_000, 300_000]);
});

test("law 9: a question is answered once, under its own number and attempt; a person's word, or the holder's, that came first stays", () => {
  const open = given(...asking());
  open.when(probed("t1", "done", { number: 2 })).refused("probe.not_asked");
  open.when(probed("t1", "none", { attempt: 2 })).refused("probe.not_asked");
  open.when(probed("t1", "done", { by: "g9" })).refused("report.not_holder");
  open.when(resolve("t1", "succeeded", { output: 1 })).then("action.succeeded", "action.verified");
  open.when(report("t1", "succeeded")).then("action.succeeded", "action.verified");
  open.when(report("t1", "succeeded", { gateway: "g2" })).refused("report.not_holder");
  open.when(report("t1", "in_doubt", { id: "again" })).refused("report.not_holder");
  given(...asking(), probed("t1", "done")).when(probed("t1", "none", { gateway: "g3" })).refused("probe.not_asked");
  given(...asking(), resolve("t1", "failed")).when(probed("t1", "done")).refused("probe.not_asked");
  given(...asking(), report("t1", "succeeded")).when(probed("t1", "none")).refused("probe.not_asked");
  given(...asking(), probed("t1", "unknown")).when(probed("t1", "done", { gateway: "g3" })).refused("probe.not_asked");
  given(...asking({ retries: 1 }), probed("t1", "none")).when(resolve("t1", "succeeded", { output: 1 })).refused("control.not_applicable");
  given(...asking()).when(claim("t1", { gateway: "g2" })).refused("report.not_holder");
});

test("a question goes on whatever became of its run: paused, cancelled, given up; what it finds is recorded, and begins nothing", () => {
  for (const end of [control("pause"), control("cancel"), fail("f")]) {
    const lines = [...doubt({ retries: 1 }), end, after(20_000, due("action:t1"))];
    assert.deepEqual(keys(given(...lines).state), ["probe/a2/1/1", `timer/action:a2/${lines.length + 3}`]);
    given(...lines).when(probed("t1", "done")).then("action.probed", "action.succeeded", "action.verified");
  }
  const paused = given(...doubt({ retries: 1 }), control("pause"), after(20_000, due("action:t1")), probed("t1", "none"));
  paused.when(after(5_000, due("action:t1"))).is("ignore");
  given(...doubt({ retries: 1 }), control("cancel"), after(20_000, due("action:t1"))).when(probed("t1", "none")).then("action.probed", "action.failed");
  given(...asking()).when(control("cancel")).then("run.cancelled");
  given(...asking()).when(finish("f")).refused("run.actions_open");
});

test("GUARD-6: what was reserved stays so until it is known what was done", () => {
  const spent = (...lines: Line[]) => given(...asking({ costMicroUsd: 500_000 }), ...lines).state.spent;
  assert.deepEqual([spent().reserved, spent().settled], [500_000, 0]);
  assert.deepEqual([spent(probed("t1", "unknown")).reserved, spent(probed("t1", "unknown")).settled], [500_000, 0]);
  assert.deepEqual([spent(probed("t1", "done")).reserved, spent(probed("t1", "done")).settled], [0, 500_000]);
  assert.equal(spent(probed("t1", "done", { costUsd: 0.2 })).settled, 200_000);
  assert.deepEqual([spent(probed("t1", "none")).reserved, spent(probed("t1", "none")).settled], [0, 0]);
  assert.equal(spent(probed("t1", "none", { costUsd: 0.2 })).settled, 0, "what did nothing costs nothing, whatever is said of it");
});

test("the agent is told `in_doubt` while its tool is asked", () => {
  const status = (...lines: Line[]) => answerTo(given(...lines).state, "agent-1/t1")?.status;
  assert.deepEqual([status(...doubt()), status(...asking()), status(...asking(), probed("t1", "unknown"))], ["in_doubt", "in_doubt", "in_doubt"]);
});
