/** What a run owes is a function of its state, and its keys name debts, not moments (law 3). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { owed } from "../../machines/owed.ts";
import type { RunState } from "../../machines/state.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { timestamp } from "../../schemas/time.ts";
import { after, approve, claim, control, due, fail, finish, given, type Line, note, report, start, T0, tool } from "./given.ts";
import { program, runProgram } from "./programs.ts";

const keys = (state: RunState) => owed(state).map(({ key }) => key);
const keysAfter = (...lines: Line[]) => keys(given(start(), ...lines).state);
const retried = { retries: 1 };

test("law 3: each state owes its own: a dispatch, a deadline, an answer, a retry, or nothing", () => {
  assert.deepEqual(keysAfter(), []);
  assert.deepEqual(keysAfter(tool("t1")), ["dispatch/a2/1/0"]);
  assert.deepEqual(keysAfter(tool("t1"), claim("a2")), ["timer/action:a2/6"]);
  assert.deepEqual(keysAfter(tool("t1", { decision: "ask" })), ["timer/approval:q4/2"]);
  assert.deepEqual(keysAfter(tool("t1", { decision: "ask" }), approve("q4")), ["dispatch/a2/1/0"]);
  assert.deepEqual(keysAfter(tool("t1", retried), claim("a2"), report("a2", "failed")), ["timer/action:a2/7"]);
  assert.deepEqual(keysAfter(tool("t1", retried), claim("a2"), report("a2", "failed"), due("action:a2")), ["dispatch/a2/2/0"]);
  assert.deepEqual(keysAfter(tool("t1"), claim("a2"), report("a2", "in_doubt")), []);
  assert.deepEqual(keysAfter(tool("t1"), claim("a2"), report("a2", "succeeded")), []);
  assert.deepEqual(keysAfter(tool("t1", { decision: "deny" })), []);
});

test("law 3: the dispatch carries the document's very text, and its digest", () => {
  const [debt] = owed(given(start(), tool("t1", { timeoutMs: 7, effect: "irreversible" })).state);
  assert.ok(debt?.kind === "dispatch");
  assert.equal(sha256Digest(debt.message.document), debt.message.digest);
  assert.deepEqual([debt.tool, debt.message.timeout_ms, debt.message.effect, debt.message.attempt], ["crm.update", 7, "irreversible", 1]);
});

test("a paused run owes no dispatch; after the resume it is owed anew, under a key of its own", () => {
  assert.deepEqual(keysAfter(tool("t1"), control("pause")), []);
  assert.deepEqual(keysAfter(tool("t1"), control("pause"), control("resume")), ["dispatch/a2/1/1"]);
  const retrying = [tool("t1", retried), claim("a2"), report("a2", "failed")];
  assert.deepEqual(keysAfter(...retrying, after(0, control("pause")), after(0, control("resume"))), ["timer/action:a2/7/1"]);
});

test("GUARD-6: the run's wall time and deadline are owed as long as they run", () => {
  const limited = start({ contract: { max_wall_ms: 60_000 }, deadline: "2026-02-01T00:00:00Z" });
  const of = (...lines: Line[]) => owed(given(limited, ...lines).state).map((debt) => debt.kind === "timer" && [debt.name, debt.at, debt.armed]);
  const deadline = ["deadline", "2026-02-01T00:00:00.000Z", 1];
  assert.deepEqual(of(), [["wall", timestamp(T0 + 61_000), 1], ["half", timestamp(T0 + 31_000), 1], deadline]);
  assert.deepEqual(of(after(40_000, due("half"))), [["wall", timestamp(T0 + 61_000), 1], deadline], "said once");
  assert.deepEqual(of(after(10_000, control("pause"))), [deadline]);
  assert.deepEqual(of(after(10_000, control("pause")), after(5_000, control("resume"))), [["wall", timestamp(T0 + 66_000), 3], ["half", timestamp(T0 + 36_000), 3], deadline]);
  assert.deepEqual(of(finish("f")), []);
});

test("nothing is owed by a run that ended but the deadlines of what is in flight", () => {
  for (const end of [control("cancel"), fail("f")]) {
    assert.deepEqual(keysAfter(tool("t1"), end), []);
    assert.deepEqual(keysAfter(tool("t1", { decision: "ask" }), end), []);
    assert.deepEqual(keysAfter(tool("t1"), tool("t2"), claim("a2"), end), ["timer/action:a2/10"]);
  }
});

test("law 3: what is owed does not change by what is not concerned, and is the same for whoever folds the run", () => {
  assert.deepEqual(keysAfter(tool("t1"), note("n1")), keysAfter(tool("t1")));
  fc.assert(
    fc.property(program, (steps) => {
      for (const { state, decision } of runProgram(steps.slice(0, 30))) {
        if (decision.kind === "commit") assert.deepEqual(owed(structuredClone(state)), owed(state));
      }
    }),
    { seed: 20260202, numRuns: 30 },
  );
});
