/** GUARD-6: hard budgets of one run: tokens, warnings at half, pause for review, and what a tool's word is worth. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exhaustedBy, halves } from "../../machines/budget.ts";
import { envelopeSchema } from "../../schemas/event.ts";
import { after, claim, control, due, given, type Line, note, report, resolve, start, tool } from "./given.ts";

const tokens = { tokens: { input: 1000, output: 200 } } as const;
const limited = (more = {}) => start({ contract: { max_input_tokens: 2000, max_output_tokens: 500, ...more } });
const none = { settled: 0, reserved: 0 };

test("GUARD-6: tokens are reserved before the call, settled by its usage, and bounded by the reservation", () => {
  const run = [limited(), tool("t1", tokens)];
  const first = given(limited()).when(tool("t1", tokens));
  const [, reserved] = first.then("action.proposed", "budget.reserved", "action.validated", "action.approved", "action.dispatched");
  assert.deepEqual(reserved?.data, { action: "a2", cost_micro_usd: 0, input_tokens: 1000, output_tokens: 200 });
  const spentBy = (...lines: Line[]) => {
    const { input, output } = given(...run, claim("t1"), ...lines).state.spent;
    assert.deepEqual([input.reserved, output.reserved], [0, 0]);
    return [input.settled, output.settled];
  };
  assert.deepEqual(spentBy(report("t1", "succeeded", { tokens: { input: 10, output: 20 } })), [10, 20]);
  assert.deepEqual(spentBy(report("t1", "succeeded", { tokens: { input: 1e9, output: 0 } })), [1000, 0]);
  assert.deepEqual(spentBy(report("t1", "succeeded")), [1000, 200], "silence is not free");
  assert.deepEqual(spentBy(report("t1", "failed", { effect: "none" })), [0, 0]);
  assert.deepEqual(spentBy(report("t1", "failed", { effect: "none", tokens: { input: 7 } })), [7, 0]);
  assert.deepEqual(spentBy(report("t1", "in_doubt"), resolve("t1", "succeeded")), [1000, 200]);
  const settled = given(...run, claim("t1")).when(report("t1", "succeeded", { tokens: { input: 10 } })).then("action.succeeded", "action.verified", "budget.settled")[2];
  assert.deepEqual(settled?.data, { action: "a2", cost_micro_usd: 0, reserved_micro_usd: 0, input_tokens: 10, output_tokens: 200 });
});

test("GUARD-6: what policy denies reserves nothing", () => {
  given(start()).when(tool("t1", { costMicroUsd: 5, ...tokens, decision: "deny" })).then("action.proposed", "action.validated", "action.denied");
});

test("GUARD-6: an attempt of unknown end uses all that was reserved, also when another one follows", () => {
  const run = given(limited(), tool("t1", { ...tokens, retries: 1, idempotent: true }), claim("t1"), report("t1", "in_doubt"), due("action:t1"), claim("t1"), report("t1", "failed", { effect: "done", tokens: { input: 1, output: 1 } }));
  assert.deepEqual(run.state.spent.input, { settled: 1000, reserved: 0 });
});

test("GUARD-6: what would exceed the tokens of the run is denied before it is made, parallel proposals counted", () => {
  const over = given(limited(), tool("t1", tokens), tool("t2", tokens)).when(tool("t3", tokens));
  const [, exhausted, , denied] = over.then("action.proposed", "budget.exhausted", "action.validated", "action.denied");
  assert.deepEqual(exhausted?.data, { action: "a12", budget: "input_tokens", limit: 2000, used: 2000 });
  assert.deepEqual(denied?.type === "action.denied" && denied.data.reasons.map(({ code }) => code), ["budget.input_tokens"]);
  given(limited(), tool("t1", tokens), tool("t2", tokens), tool("t3", tokens)).when(tool("t4", tokens)).refused("budget.input_tokens");
  given(limited(), tool("t1", tokens), tool("t2", tokens), tool("t3", tokens)).when(tool("t4")).then("action.proposed", "action.validated", "action.approved", "action.dispatched");
  const output = given(limited()).when(tool("t1", { tokens: { output: 501 } }));
  assert.deepEqual(output.then("action.proposed", "budget.exhausted", "action.validated", "action.denied")[1]?.data, { action: "a2", budget: "output_tokens", limit: 500, used: 0 });
});

test("GUARD-6: a tool that reports more than it may cost is charged what was reserved, and one that reserved nothing is charged nothing", () => {
  const run = given(start(), tool("t1"), claim("t1"), report("t1", "succeeded", { costUsd: 5, tokens: { input: 9, output: 9 } }));
  assert.deepEqual(run.state.spent, { steps: 1, settled: 0, reserved: 0, input: none, output: none });
});

test("GUARD-6: half of a budget is warned of once, when it is used and not when it is only held back", () => {
  const costs = { costMicroUsd: 500_000 };
  const run = [start({ contract: { max_cost_micro_usd: 1_000_000 } }), tool("t1", costs), claim("t1")];
  const half = given(...run).when(report("t1", "succeeded"));
  const [, , , warned] = half.then("action.succeeded", "action.verified", "budget.settled", "budget.warned");
  assert.deepEqual(warned?.data, { budget: "cost", limit: 1_000_000, used: 500_000 });
  assert.deepEqual(half.state().warned, ["cost"]);
  given(...run, report("t1", "succeeded"), tool("t2", { costMicroUsd: 400_000 }), claim("t2")).when(report("t2", "succeeded")).then("action.succeeded", "action.verified", "budget.settled");
  const tokensToo = given(limited(), tool("t1", tokens), claim("t1")).when(report("t1", "succeeded"));
  assert.deepEqual(tokensToo.then("action.succeeded", "action.verified", "budget.settled", "budget.warned")[3]?.data, { budget: "input_tokens", limit: 2000, used: 1000 });
});

test("GUARD-6: a run is paused for review at half of a budget where the contract says so, by the plane, and goes on when it is resumed", () => {
  const review = start({ contract: { max_steps: 4, pause_at_half: true } });
  const run = [review, tool("t1")];
  const half = given(...run).when(tool("t2"));
  const paused = half.then("action.proposed", "action.validated", "action.approved", "action.dispatched", "budget.warned", "run.paused")[5];
  assert.deepEqual(paused?.data, { by: "signalbox", reason: "half of the run's budget is used: steps" });
  given(...run, tool("t2")).when(claim("t2")).refused("run.paused");
  given(...run, tool("t2"), control("resume")).when(claim("t2")).then("action.started");
  given(...run, tool("t2"), control("resume")).when(tool("t3")).then("action.proposed", "action.validated", "action.approved", "action.dispatched");
  // paused already: it is said, and no more
  given(review, tool("t1"), control("pause")).when(tool("t2")).then("action.proposed", "action.validated", "action.approved", "budget.warned");
});

test("GUARD-6 EXEC-9: half of the wall time is told by a timer, once, and not while the clock stands", () => {
  const wall = start({ contract: { max_wall_ms: 10_000, pause_at_half: true } });
  const half = given(wall).when(after(5_000, due("half")));
  const [warned] = half.then("budget.warned", "run.paused");
  assert.deepEqual(warned?.data, { budget: "wall", limit: 10_000, used: 5_000 });
  assert.equal(half.state().wall.since, undefined);
  given(wall, after(5_000, due("half")), control("resume")).when(due("half", 4)).is("ignore");
  given(wall, control("pause")).when(after(9_000, due("half", 1))).is("ignore");
  given(wall, control("pause"), control("resume")).when(after(9_000, due("half", 1))).is("ignore");
  given(start()).when(due("half", 1)).is("ignore");
  given(wall, control("cancel")).when(due("half", 1)).is("ignore");
});

test("GUARD-6 CORE-7: the envelope bears every budget of the contract, and the agent's wish narrows only what it may", () => {
  const contract = { max_steps: 5, max_cost_micro_usd: 10, max_wall_ms: 10, max_input_tokens: 3, max_output_tokens: 4, max_depth: 2, pause_at_half: true };
  const [started] = given().when(start({ contract, budget: { max_steps: 9 }, project: "p" })).then("run.started");
  assert.ok(started?.type === "run.started");
  assert.deepEqual(envelopeSchema.parse(started.data.envelope).budget, contract);
  assert.equal(started.data.envelope.project, "p");
  given(start({ contract: { max_steps: 0 } })).when(note("n")).then("note.recorded");
});

test("GUARD-6: what has no budget is neither held up nor warned of, and what asks for nothing exceeds nothing", () => {
  const spent = { steps: 2, settled: 5, reserved: 5, input: { settled: 8, reserved: 3 }, output: { settled: 0, reserved: 0 } };
  const tool = (more: object) => ({ effect: "write", timeout_ms: 1, retries: 0, ...more }) as never;
  assert.equal(exhaustedBy(undefined, spent, undefined), undefined);
  assert.deepEqual(halves(undefined, spent), []);
  assert.equal(exhaustedBy({ max_steps: 2 }, spent, undefined)?.budget, "steps", "what is not said to be none is a step");
  assert.equal(exhaustedBy({ max_steps: 2 }, spent, undefined, false), undefined);
  assert.equal(exhaustedBy({ max_cost_micro_usd: 10 }, spent, undefined), undefined, "a tool that is not known costs nothing");
  // eleven of ten are used: a call without tokens goes on, one with a single token does not
  assert.equal(exhaustedBy({ max_input_tokens: 10 }, spent, tool({})), undefined);
  assert.equal(exhaustedBy({ max_input_tokens: 10 }, spent, tool({ input_tokens: 0 })), undefined);
  assert.equal(exhaustedBy({ max_input_tokens: 10 }, spent, tool({ input_tokens: 1 }))?.used, 11);
});

test("GUARD-6: each budget is warned of by its own name and measure; one of nothing has no half", () => {
  const spent = { steps: 1, settled: 50, reserved: 9, input: { settled: 6, reserved: 9 }, output: { settled: 7, reserved: 9 } };
  assert.deepEqual(halves({ max_steps: 1, max_cost_micro_usd: 100, max_input_tokens: 12, max_output_tokens: 14 }, spent), [
    { budget: "steps", limit: 1, used: 1 }, { budget: "cost", limit: 100, used: 50 }, { budget: "input_tokens", limit: 12, used: 6 }, { budget: "output_tokens", limit: 14, used: 7 },
  ]);
  assert.deepEqual(halves({ max_cost_micro_usd: 101, max_input_tokens: 13, max_output_tokens: 15 }, spent), []);
  assert.deepEqual(halves({ max_steps: 0, max_output_tokens: 0 }, spent), []);
});

test("GUARD-6: what is settled after the end of its run is warned of no more", () => {
  const costs = { costMicroUsd: 600_000 };
  const ended = given(start({ contract: { max_cost_micro_usd: 1_000_000 } }), tool("t1", costs), claim("t1"), control("cancel"));
  ended.when(report("t1", "succeeded")).then("action.succeeded", "action.verified", "budget.settled");
});
