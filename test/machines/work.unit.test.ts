/** The working copy of a decision, and the state that it leaves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { owed } from "../../machines/owed.ts";
import { emptyRun, type RunState } from "../../machines/state.ts";
import { Work } from "../../machines/work.ts";
import { millis } from "../../schemas/time.ts";
import { apply, approve, claim, control, due, edit, fresh, given, givenChange, INVALID, type Line, note, NS, report, RUN, start, tool, turnDown } from "./given.ts";

const ask = { decision: "ask" } as const;
const wall = (state: RunState) => ({ usedMs: state.wall.usedMs, runs: state.wall.since !== undefined });

test("GUARD-6 EXEC-9: wall time stands while a person is waited for and while the run is paused, and goes on from the very answer", () => {
  const limited = start({ contract: { max_wall_ms: 60_000 } });
  const of = (...lines: Line[]) => wall(given(limited, ...lines).state);
  assert.deepEqual(of(), { usedMs: 0, runs: true });
  // each line comes a second after the one before
  assert.deepEqual(of(tool("t1", ask)), { usedMs: 1000, runs: false });
  assert.deepEqual(of(tool("t1", ask), note("n")), { usedMs: 1000, runs: false });
  for (const answer of [approve("t1"), turnDown("t1"), edit("t1", { n: 2 })]) {
    assert.deepEqual(of(tool("t1", ask), note("n"), answer), { usedMs: 1000, runs: true });
    const { state } = given(limited, tool("t1", ask), note("n"), answer);
    assert.equal(state.wall.since, state.at);
    assert.deepEqual(owed(state).flatMap((debt) => (debt.kind === "timer" && debt.name === "wall" ? [millis(debt.at) - millis(state.at)] : [])), [59_000]);
  }
  assert.deepEqual(of(tool("t1", ask), tool("t2", ask), approve("t1")), { usedMs: 1000, runs: false }, "another one is still waited for");
  assert.deepEqual(of(tool("t1", { ...ask, count: 2 }), approve("t1")), { usedMs: 1000, runs: false }, "and so is the second person");
  assert.deepEqual(of(control("pause"), note("n")), { usedMs: 1000, runs: false });
  assert.deepEqual(of(control("pause"), note("n"), control("resume")), { usedMs: 1000, runs: true });
  assert.deepEqual(of(note("n"), control("cancel")), { usedMs: 2000, runs: false });
});

test("POL-6: a change that an approver edited ends as the edited action does, and not as the one that it replaced", () => {
  const edited = [apply("c1", ask), edit("c1", { documents: [] }), claim("c1")];
  const done = givenChange(...edited).when(report("c1", "succeeded", { output: { applied: 1 } }));
  done.then("action.succeeded", "action.verified", "run.completed");
  assert.deepEqual(done.state().output, { applied: 1 });
  givenChange(...edited).when(report("c1", "failed", { effect: "done" })).then("action.failed", "run.failed");
  // also when the run goes on long after it
  givenChange(...edited, control("pause"), report("c1", "succeeded")).when(control("resume")).then("run.resumed", "run.completed");
});

test("law 5: what a machine's state does not know is not taken, and nothing is drafted", () => {
  const work = new Work(given(start()).state, "2026-01-31T09:31:00.000Z");
  assert.throws(() => work.run({ type: "RESUME", by: "op", reason: undefined }), { name: "NotTaken", message: "run active does not take RESUME" });
  assert.equal(work.answer("q9" as never, { type: "STALE", reason: "gone" }), undefined);
  assert.equal(work.act("a9" as never, { type: "RELEASE" }), false);
  assert.equal(work.lastAction(), undefined);
  assert.deepEqual([work.drafts, work.life], [[], "active"]);
});

test("law 4: a run that nobody started has seen nothing, is held by nobody, and its clock was never set going", () => {
  const { ns, run, machine, life, seq, at, holder, goal, wall: clock, exhausted, resumes, warned, spent } = emptyRun(NS, RUN, "3");
  assert.deepEqual([ns, run, machine, life.value, seq, at, holder, goal], [NS, RUN, "3", "admitting", 0, "", "", ""]);
  assert.deepEqual([clock, exhausted, resumes, warned], [{ usedMs: 0, since: undefined, armed: 0 }, false, 0, []]);
  const nothing = { settled: 0, reserved: 0 };
  assert.deepEqual(spent, { steps: 0, ...nothing, input: nothing, output: nothing });
  assert.deepEqual(owed(fresh()), []);
});

test("law 4: what a decision walks through is what has not ended, however long the run has been", () => {
  const open = (...lines: Line[]) => {
    const { state } = given(start(), ...lines);
    return [[...state.open], [...state.asked]];
  };
  assert.deepEqual(open(tool("t1")), [["a2"], []]);
  assert.deepEqual(open(tool("t1", ask)), [["a2"], ["q4"]]);
  assert.deepEqual(open(tool("t1"), claim("t1"), report("t1", "in_doubt")), [["a2"], []], "what is in doubt has not ended");
  const ends: readonly (readonly Line[])[] = [
    [tool("t1"), claim("t1"), report("t1", "succeeded")],
    [tool("t1"), claim("t1"), report("t1", "failed", { effect: "done" })],
    [tool("t1", { faults: INVALID })],
    [tool("t1", { decision: "deny" })],
    [tool("t1", ask), turnDown("t1")],
    [tool("t1", { ...ask, ttlMs: 1000 }), due("approval:t1")],
    [tool("t1", ask), control("cancel")],
  ];
  for (const lines of ends) assert.deepEqual(open(...lines), [[], []]);
});
