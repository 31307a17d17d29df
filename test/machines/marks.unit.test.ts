/** GUARD-3, GUARD-10: what a run was given marks it, like a high-water line. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { raised } from "../../machines/marks.ts";
import type { OutputFacts } from "../../schemas/facts.ts";
import type { Label } from "../../schemas/label.ts";
import { claim, cleanse, control, due, given, INVALID, type Line, report, resolve, start, tool } from "./given.ts";

const output = (tainted: boolean, labels: Label[] = [], cleanses = false): OutputFacts["marks"] => ({ tainted, labels, cleanses });
interface View {
  readonly tainted: boolean;
  readonly labels: unknown;
  readonly sources: unknown;
  readonly amount: unknown;
  readonly agent_says: unknown;
  readonly policies: readonly { readonly id: string }[];
}
const read = (id: string, marks: OutputFacts["marks"], more = {}): Line[] => [tool(id, { effect: "read" }), report(id, "succeeded", { ...(marks && { marks }), ...more })];
const marksAfter = (...lines: Line[]) => given(start(), ...lines).state.marks;

test("GUARD-3: a run is marked when its agent is given an untrusted output, once, and everything after it rests on that", () => {
  const first = given(start(), tool("t1", { effect: "read" })).when(report("t1", "succeeded", { marks: output(true, ["pii", "phi"]) }));
  const raised = first.then("action.started", "action.succeeded", "action.verified", "taint.raised")[3];
  assert.deepEqual(raised?.data, { action: "a2", tool: "crm.update", tainted: true, labels: ["phi", "pii"] });
  assert.deepEqual(first.state().marks, { tainted: true, labels: ["phi", "pii"], sources: ["a2"] });
  const second = given(start(), ...read("t1", output(true, ["pii"])), tool("t2", { effect: "read" })).when(report("t2", "succeeded", { marks: output(true, ["pii"]) }));
  second.then("action.started", "action.succeeded", "action.verified");
  assert.deepEqual(second.state().marks.sources, ["a2", "a10"], "the line did not rise, but there is one more source");
  assert.deepEqual(marksAfter(...read("t1", output(false))), { tainted: false, labels: [], sources: [] });
  assert.deepEqual(marksAfter(...read("t1", output(false, ["region:eu"]))), { tainted: false, labels: ["region:eu"], sources: ["a2"] });
});

test("GUARD-3 GUARD-10: the line never falls by what is given: a trusted output leaves the taint, and an action is one source however often it is given", () => {
  const before = { tainted: true, labels: ["phi" as Label], sources: ["a2" as const] } as never;
  assert.deepEqual(raised(before, "a3" as never, { tainted: false, labels: ["pii"], cleanses: false }), { tainted: true, labels: ["phi", "pii"], sources: ["a2", "a3"] });
  assert.deepEqual(raised(before, "a2" as never, { tainted: true, labels: ["phi"], cleanses: false }), { tainted: true, labels: ["phi"], sources: ["a2"] });
  assert.equal(raised(before, "a3" as never, { tainted: false, labels: [], cleanses: false }), before);
});

test("GUARD-3: what the agent was not given marks nothing", () => {
  assert.equal(marksAfter(...read("t1", output(true), { faults: INVALID })).tainted, false);
  assert.equal(marksAfter(tool("t1", { effect: "read" }), report("t1", "failed")).tainted, false);
  assert.equal(given(start(), tool("t1"), claim("t1")).when(report("t1", "succeeded", { marks: output(true), gateway: "g2" })).state().marks.tainted, false);
});

test("GUARD-3: what an untrusted tool says of its failure marks the run too, and cleanses nothing", () => {
  const run = [start(), tool("t1", { effect: "read" })];
  given(...run).when(report("t1", "failed", { marks: output(true) })).then("action.started", "action.failed", "taint.raised");
  given(...run).when(report("t1", "in_doubt", { marks: output(true) })).then("action.started", "action.failed", "taint.raised");
  given(...run).when(report("t1", "failed")).then("action.started", "action.failed");
  const tainted = [start(), ...read("t0", output(true)), tool("t1", { effect: "read" })];
  given(...tainted).when(report("t1", "failed", { marks: output(false, [], true) })).then("action.started", "action.failed");
});

test("GUARD-3: what a person says an attempt brought marks the run as any output does", () => {
  const run = given(start(), tool("t1"), claim("t1"), report("t1", "in_doubt"));
  const told = resolve("t1", "succeeded", { output: 1 }).tell(run.state, run.state.at);
  const resolved = run.when({ waitMs: 0, tell: () => ({ ...told, facts: { ...told.facts, marks: output(true) } as never }) });
  resolved.then("action.succeeded", "action.verified", "taint.raised");
  given(start(), tool("t1"), claim("t1"), report("t1", "in_doubt")).when(resolve("t1", "succeeded")).then("action.succeeded", "action.verified");
});

test("GUARD-3: a person who looked at it lowers the taint, and of the labels those that are named", () => {
  const run = [start(), ...read("t1", output(true, ["pii", "secret"]))];
  const [lowered] = given(...run).when(cleanse("c1", ["secret", "phi"])).then("taint.lowered");
  assert.deepEqual(lowered?.data, { by: "op", reason: "looked at it", labels: ["secret"] });
  assert.deepEqual(given(...run, cleanse("c1", ["secret"])).state.marks, { tainted: false, labels: ["pii"], sources: ["a2"] });
  assert.deepEqual(given(...run, cleanse("c1", ["secret", "pii"])).state.marks, { tainted: false, labels: [], sources: [] });
  given(...run, cleanse("c1")).when(cleanse("c2", ["pii"])).then("taint.lowered");
  given(...run, cleanse("c1")).when(cleanse("c2")).refused("control.not_applicable");
  given(...run, cleanse("c1")).when(cleanse("c2", ["phi"])).refused("control.not_applicable");
  given(start()).when(cleanse("c1")).refused("control.not_applicable");
  given(...run, control("cancel")).when(cleanse("c1")).refused("control.not_applicable");
  given(...run, cleanse("c1")).when(cleanse("c1")).is("duplicate");
  // the next untrusted output raises it again
  given(...run, cleanse("c1"), tool("t2", { effect: "read" })).when(report("t2", "succeeded", { marks: output(true) })).then("action.started", "action.succeeded", "action.verified", "taint.raised");
});

test("GUARD-3: a cleansing tool lowers the taint and no label, and one whose own output is untrusted lowers nothing", () => {
  const run = [start(), ...read("t1", output(true, ["pii"])), tool("t2", { effect: "read" })];
  const clean = given(...run).when(report("t2", "succeeded", { marks: output(false, [], true) }));
  const lowered = clean.then("action.started", "action.succeeded", "action.verified", "taint.lowered")[3];
  assert.deepEqual(lowered?.data, { by: "signalbox", action: "a10", labels: [] });
  assert.deepEqual(clean.state().marks, { tainted: false, labels: ["pii"], sources: ["a2"] });
  given(...run).when(report("t2", "succeeded", { marks: output(true, [], true) })).then("action.started", "action.succeeded", "action.verified");
  given(start(), tool("t2", { effect: "read" })).when(report("t2", "succeeded", { marks: output(false, [], true) })).then("action.started", "action.succeeded", "action.verified");
  given(...run).when(report("t2", "succeeded", { marks: output(false, ["phi"], true) })).then("action.started", "action.succeeded", "action.verified", "taint.lowered", "taint.raised");
});

test("GUARD-3 APP-1: the approver is shown the run's marks as the plane's own words, apart from what the agent says", () => {
  const asked = given(start(), ...read("t1", output(true, ["pii"])), tool("t2", { decision: "ask", why: "trust me", confidence: 1, uses: ["a1"], sources: ["a2"], amount: { units: 5 } }));
  const view = JSON.parse([...asked.state.approvals.values()][0]?.view ?? "{}") as View;
  assert.deepEqual([view.tainted, view.labels, view.sources, view.amount], [true, ["pii"], ["a2"], { currency: "USD", units: 5 }]);
  assert.deepEqual(view.agent_says, { goal: "a goal", why: "trust me", confidence: 1, uses: ["a1"] });
  assert.deepEqual(view.policies.map(({ id }) => id), ["p1"]);
  const clean = given(start(), tool("t2", { decision: "ask" }));
  const plain = JSON.parse([...clean.state.approvals.values()][0]?.view ?? "{}") as View;
  assert.deepEqual([plain.tainted, plain.labels, plain.sources], [false, [], []]);
});

test("GUARD-3: what ends after the run marks it all the same: a handoff of its output must not lose the mark", () => {
  const late = given(start(), tool("t1"), claim("t1"), control("cancel")).when(report("t1", "succeeded", { marks: output(true) }));
  late.then("action.succeeded", "action.verified", "taint.raised");
  given(start(), tool("t1"), claim("t1")).when({ ...due("action:t1"), waitMs: 15_000 }).then("action.in_doubt");
});
