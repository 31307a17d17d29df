/** What a proposal leaves behind: a record of it, or a refusal that says what to do instead. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_OPEN_ACTIONS } from "../../machines/decide.ts";
import { AGENT, control, fail, finish, given, type Line, note, start, tool } from "./given.ts";

const many = (count: number) => Array.from({ length: count }, (_, index) => tool(`t${index + 1}`));

test("CORE-1: a proposal that is refused says what to do instead", () => {
  const run = given(start(), tool("t1"));
  const full = given(start());
  // as if so many had been proposed
  for (let index = 0; index < MAX_OPEN_ACTIONS; index += 1) full.state.open.add(`a${index + 2}` as never);
  const cases: readonly [run: typeof run, line: Line, code: string, help: string][] = [
    [given(), start({ by: "agent-2" }), "run.prefix", "a run's name begins with its agent's"],
    [run, start({ id: "s2" }), "run.exists", "choose another run id"],
    [given(start(), finish("f")), note("n"), "run.ended", "start another run"],
    [run, finish("f"), "run.actions_open", "await their outcome, or propose `fail`"],
    [given(start(), control("pause")), finish("f"), "run.paused", "an operator resumes it"],
    [full, tool("t1"), "run.too_many_open", "await the outcome of some"],
  ];
  for (const [of, line, code, help] of cases) assert.deepEqual(of.when(line).refused(code).map((one) => one.help), [help], code);
});

test("CORE-1: a run that cannot be finished names the first eight actions that have not ended, and how many there are", () => {
  const [refusal] = given(start(), ...many(9)).when(finish("f")).refused("run.actions_open");
  assert.equal(refusal?.message, "9 action(s) have not ended: a2, a6, a10, a14, a18, a22, a26, a30");
});

test("CORE-5: every proposal is remembered by its first event and its time, and a refused one by nothing", () => {
  const records = (...lines: Line[]) => {
    const { state } = given(start(), note("n"), ...lines);
    return [...state.proposals].map(([key, { kind, seq, at, action }]) => [key, kind, seq, at === state.at, action]);
  };
  const before = [[`${AGENT}/s1`, "start", 1, false, undefined], [`${AGENT}/n`, "note", 2, false, undefined]];
  assert.deepEqual(records(tool("t1")), [...before, [`${AGENT}/t1`, "tool", 3, true, "a3"]]);
  assert.deepEqual(records(finish("f")), [...before, [`${AGENT}/f`, "finish", 3, true, undefined]]);
  assert.deepEqual(records(fail("x")), [...before, [`${AGENT}/x`, "fail", 3, true, undefined]]);
  const refused = given().when(start({ unknown: true }));
  refused.refused("contract.missing");
  assert.equal(refused.state().proposals.size, 0);
});
