/** What an agent is told of its proposals and its run, state by state, member by member. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { actionMachine } from "../../machines/action.ts";
import { answerTo, news, touched } from "../../machines/answers.ts";
import { runMachine } from "../../machines/run.ts";
import type { RunState } from "../../machines/state.ts";
import { type Answer, answerSchema } from "../../schemas/answer.ts";
import { timestamp } from "../../schemas/time.ts";
import { statesOf } from "./charts.ts";
import { after, AGENT, approve, claim, control, edit, fail, finish, given, HIT, INVALID, type Line, note, report, start, T0, tool } from "./given.ts";

const ask = { decision: "ask" } as const;
const told = (state: RunState, id: string): Answer => answerSchema.parse(answerTo(state, `${AGENT}/${id}`));

test("each state of an action has its answer, and the answer is final when nothing can follow", () => {
  const state = given(start(), tool("t1")).state;
  const [id, action] = [...state.actions][0] ?? assert.fail();
  const error = { code: "e", message: "m", effect: "unknown" } as const;
  const answers = Object.fromEntries(
    statesOf(actionMachine).map(({ key }) => {
      state.actions.set(id, { value: key, context: { ...action.context, error, output: { n: 1 } } });
      const { status, final, error: why, output } = told(state, "t1");
      return [key, [status, final, why !== undefined, output !== undefined]];
    }),
  );
  const pending = ["pending", false, false, false];
  const approved = ["approved", false, false, false];
  const doubt = ["in_doubt", false, true, false];
  assert.deepEqual(answers, {
    proposed: pending, reserving: pending, validated: pending, awaiting_approval: pending,
    approved, dispatched: approved, started: approved, retrying: approved, succeeded: approved,
    in_doubt: doubt, probing: doubt, probed: doubt,
    verified: ["succeeded", true, false, true], failed: ["failed", true, true, false], rejected: ["rejected", true, false, false], denied: ["denied", true, false, false],
  });
});

test("an answer to an action holds what there is, and no member for what there is not", () => {
  const keys = (...lines: Line[]) => Object.keys(told(given(start(), ...lines).state, "t1")).sort();
  const always = ["action", "at", "digest", "final", "id", "kind", "run", "seq", "status", "tool", "v"];
  assert.deepEqual(keys(tool("t1")), always);
  assert.deepEqual(keys(tool("t1", { faults: INVALID })), [...always.filter((key) => key !== "digest"), "reasons"].sort());
  assert.deepEqual(keys(tool("t1"), claim("t1"), report("t1", "succeeded")), [...always, "output"].sort());
  assert.deepEqual(keys(tool("t1", ask)), [...always, "request", "expires_at"].sort());
  assert.deepEqual(keys(tool("t1", ask), approve("t1")), always, "what is answered waits for nobody");
  assert.deepEqual(keys(tool("t1", { ...ask, count: 2 }), approve("t1")), [...always, "request", "expires_at"].sort());
});

test("the answer to an action is of now, and names the request that it waits for, and not another's", () => {
  const two = given(start(), tool("t1", { ...ask, ttlMs: 60_000 }), tool("t2", { ...ask, ttlMs: 60_000 }));
  const [first, second] = [told(two.state, "t1"), told(two.state, "t2")];
  assert.deepEqual([first.request, first.expires_at, first.action, first.tool], ["q4", timestamp(T0 + 62_000), "a2", "crm.update"]);
  assert.deepEqual([second.request, second.expires_at, second.action], ["q7", timestamp(T0 + 63_000), "a5"]);
  assert.deepEqual([first.v, first.run, first.id, first.kind, first.seq, first.at, first.final], [1, two.state.run, "t1", "tool", 7, timestamp(T0 + 3000), false]);
  const [stayed, edited] = [told(given(start(), tool("t1", ask), edit("t1", { n: 1, m: 2 }, {})).state, "t1"), two.when(edit("t1", { n: 2 }, ask)).state()];
  assert.deepEqual([stayed.status, stayed.edited?.by, stayed.edited?.from, stayed.edited?.diff.length], ["approved", "ann", "a2", 1]);
  assert.deepEqual([told(edited, "t1").request, told(edited, "t1").edited?.from, told(edited, "t2").edited], ["q12", "a2", undefined]);
});

test("a tool that gave nothing succeeded with null", () => {
  const state = given(start(), tool("t1"), claim("t1"), report("t1", "succeeded")).state;
  const [id, { value, context }] = [...state.actions][0] ?? assert.fail();
  state.actions.set(id, { value, context: { ...context, output: undefined } });
  assert.equal(told(state, "t1").output, null);
  assert.equal(answerTo(state, `${AGENT}/t9`), undefined, "nobody proposed it");
  state.actions.delete(id);
  assert.equal(answerTo(state, `${AGENT}/t1`), undefined, "its action is not known");
});

test("what is no action is answered once and for all, as it was when it was recorded", () => {
  const of = (id: string, ...lines: Line[]) => {
    const { status, final, seq, at, kind, ...more } = told(given(...lines).state, id);
    return [status, final, kind, seq, at, Object.keys(more).sort().join()];
  };
  const [one, two] = [timestamp(T0 + 1000), timestamp(T0 + 2000)];
  const base = "id,run,v";
  assert.deepEqual(of("s1", start(), note("n1")), ["started", true, "start", 1, one, base]);
  assert.deepEqual(of("n1", start(), note("n1"), after(9000, note("n2"))), ["recorded", true, "note", 2, two, base]);
  assert.deepEqual(of("f1", start(), finish("f1")), ["completed", true, "finish", 2, two, base]);
  assert.deepEqual(of("f1", start(), fail("f1")), ["failed", true, "fail", 2, two, base]);
  assert.deepEqual(of("s1", start({ guard: HIT })), ["refused", true, "start", 1, one, "id,reasons,run,v"]);
  const refused = given(start({ guard: HIT })).state;
  assert.deepEqual(told(refused, "s1").reasons?.map(({ code }) => code), ["guard.stopped"]);
  refused.reasons = undefined;
  assert.deepEqual(told(refused, "s1").reasons, []);
  assert.equal(told(refused, "s1").final, true);
});

test("a proposal's id is all that stands behind its agent's name", () => {
  const state = given(start(), note("n1")).state;
  state.proposals.set(`${AGENT}/a/b`, { kind: "note", seq: 2, at: state.at });
  assert.equal(answerTo(state, `${AGENT}/a/b`)?.id, "a/b");
});

test("a change touches what was proposed in it and each action it moved, by the proposal's own name, and nothing that nobody proposed", () => {
  const asked = given(start(), tool("t1", ask), note("n1"));
  const keys = (line: Line) => {
    const when = asked.when(line);
    return when.decision.kind === "commit" ? touched(when.state(), when.decision.change) : [];
  };
  assert.deepEqual(keys(approve("t1")), [`${AGENT}/t1`]);
  assert.deepEqual(keys(tool("t2")), [`${AGENT}/t2`]);
  assert.deepEqual(keys(note("n2")), [`${AGENT}/n2`]);
  assert.deepEqual(keys(control("pause")), []);
  const moved = asked.when(approve("t1"));
  const state = moved.state();
  state.proposals.delete(`${AGENT}/t1`);
  assert.deepEqual(moved.decision.kind === "commit" && touched(state, moved.decision.change), []);
});

test("news of a run says what became of it, whether that is final, and with which error", () => {
  const state = given(start(), fail("f1", { code: "gave.up" })).state;
  assert.deepEqual(answerSchema.parse(news(state)), {
    v: 1, run: state.run, id: null, kind: "run", status: "failed", final: true, seq: 2, at: timestamp(T0 + 2000), error: { code: "gave.up" },
  });
  const live = given(start()).state;
  assert.equal("error" in news(live), false);
  const of = (value: string) => [news({ ...live, life: { value, context: {} } }).status, news({ ...live, life: { value, context: {} } }).final];
  assert.deepEqual(Object.fromEntries(statesOf(runMachine).map(({ key }) => [key, of(key)])), {
    admitting: ["refused", false], active: ["resumed", false], paused: ["paused", false],
    completed: ["completed", true], failed: ["failed", true], cancelled: ["cancelled", true], refused: ["refused", true],
  });
});
