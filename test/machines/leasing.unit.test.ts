/** GUARD-7, the run's side: what is asked of accounts of the ledger, spent, and given back, whatever comes when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "../../machines/answers.ts";
import { holdingsOf, readied, uncovered } from "../../machines/leases.ts";
import type { RunState } from "../../machines/state.ts";
import type { Need } from "../../schemas/facts.ts";
import type { LedgerName } from "../../schemas/ids.ts";
import { type SignalInput, signalSchema } from "../../schemas/inputs.ts";
import {
  AGENT, claim, control, due, fail, finish, given, HIT, INVALID, type Line, report, resolve, start, tool, edit, turnDown,
} from "./given.ts";
import { reply, signalsOf } from "./replies.ts";

const DAY = "2026-01-31";
const TEAM = "team.a.2026-01-31" as LedgerName;
const AGENTS = "agent.agent-1.2026-01-31" as LedgerName;
const TARGET = `amount.${"0".repeat(32)}.${DAY}` as LedgerName;
const cost = (need: number, want = need, ledger = TEAM): Need => ({ ledger, unit: "cost", window: DAY, need, want });
const request = (need = 1, want = 10, window = `${DAY}T09:30`): Need => ({ ledger: TEAM, unit: "requests", window, need, want });
const amount = (need: number): Need => ({ ledger: TARGET, unit: "amount", window: DAY, need, want: need, dimension: "target" });
const spends = (units: number, want = 100) => ({ costMicroUsd: units, needs: [cost(units, want)] });
const pool = (state: RunState, key = `${TEAM}/cost/${DAY}`) => {
  const found = state.holdings.get(key);
  return found && { granted: found.granted, spent: found.spent, held: found.held };
};
const leases = (state: RunState) => signalsOf(state, "lease").map((one) => (one.name === "lease" ? [one.id, one.need, one.want] : []));
const returns = (state: RunState) => signalsOf(state, "return").map((one) => (one.name === "return" ? [one.id, one.unused, one.last] : []));
const valueOf = (state: RunState, named: string) => state.actions.get(state.proposals.get(`${AGENT}/${named}`)?.action ?? ("" as never))?.value;

test("GUARD-7: what the run does not hold is asked for first, and nothing is judged, shown or dispatched until it has come", () => {
  const asked = given(start()).when(tool("t1", spends(5)));
  const [, , wants] = asked.then("action.proposed", "budget.reserved", "budget.requested");
  assert.deepEqual(wants?.data, { action: "a2", needs: [cost(5, 100)] });
  const state = asked.state();
  assert.equal(valueOf(state, "t1"), "reserving");
  assert.equal(answerTo(state, `${AGENT}/t1`)?.status, "pending");
  const [lease] = signalsOf(state, "lease");
  assert.deepEqual(signalSchema.parse(lease), { name: "lease", id: "l4.1", ledger: TEAM, unit: "cost", window: DAY, need: 5, want: 100 });
});

test("GUARD-7: the answer to the last lease brings the judgement with it; what was leased beyond the need serves the next action", () => {
  const run = [start(), tool("t1", spends(5))];
  const answered = given(...run).when(reply("l4.1", { total: 700 }));
  const [leased] = answered.then("budget.leased", "action.validated", "action.approved", "action.dispatched");
  assert.deepEqual(leased?.data, { ledger: TEAM, unit: "cost", window: DAY, granted: 100, total: 700 });
  assert.deepEqual(pool(answered.state()), { granted: 100, spent: 0, held: 5 });
  assert.deepEqual(leases(answered.state()), [], "answered, and not owed any more");
  const next = given(...run, reply("l4.1")).when(tool("t2", spends(60)));
  next.then("action.proposed", "budget.reserved", "action.validated", "action.approved", "action.dispatched");
  assert.deepEqual(pool(next.state()), { granted: 100, spent: 0, held: 65 });
  const third = given(...run, reply("l4.1"), tool("t2", spends(60))).when(tool("t3", spends(50)));
  third.then("action.proposed", "budget.reserved", "budget.requested");
  assert.deepEqual(pool(third.state()), { granted: 100, spent: 0, held: 100 }, "what is left is spoken for");
  assert.deepEqual(leases(third.state()).map(([, need, want]) => [need, want]), [[15, 100]], "only the rest is asked for");
  const served = given(...run, reply("l4.1"), tool("t2", spends(60)), tool("t3", spends(50)), reply("lease"));
  assert.deepEqual(pool(served.state), { granted: 200, spent: 0, held: 115 }, "and only the rest is taken of it");
});

test("GUARD-7: an action that needs several accounts waits for all of them, in any order", () => {
  const needs = [cost(5), cost(5, 5, AGENTS), request()];
  const run = given(start(), tool("t1", { costMicroUsd: 5, needs }));
  assert.deepEqual(leases(run.state).map(([id]) => id), ["l4.1", "l4.2", "l4.3"]);
  run.when(reply("l4.2")).then("budget.leased");
  given(start(), tool("t1", { costMicroUsd: 5, needs }), reply("l4.2"), reply("l4.3")).when(reply("l4.1")).then(
    "budget.leased", "action.validated", "action.approved", "action.dispatched",
  );
});

test("GUARD-7: a refused lease denies the action by its budget, and lets go of what was spoken for", () => {
  const needs = [cost(5), cost(5, 5, AGENTS)];
  const run = [start(), tool("t1", { costMicroUsd: 5, needs }), reply("l4.2")];
  const refused = given(...run).when(reply("l4.1", { granted: 0, total: 98, cap: 100 }));
  const [, exhausted, denied] = refused.then("budget.leased", "budget.exhausted", "action.denied", "budget.settled");
  assert.deepEqual(exhausted?.data, { action: "a2", budget: "ledger", limit: 100, used: 98, ledger: TEAM });
  assert.ok(denied?.type === "action.denied" && denied.data.by === "budget" && denied.data.reasons[0]?.code === "budget.ledger");
  assert.deepEqual(pool(refused.state(), `${AGENTS}/cost/${DAY}`), { granted: 5, spent: 0, held: 0 });
  assert.deepEqual(refused.state().spent.reserved, 0);
  assert.equal(refused.state().exhausted, false, "the run's own budgets are another matter");
  // the other account answers late: what it gave serves others
  const late = given(start(), tool("t1", { costMicroUsd: 5, needs }), reply("l4.1", { granted: 0 })).when(reply("l4.2"));
  late.then("budget.leased");
  assert.deepEqual(pool(late.state(), `${AGENTS}/cost/${DAY}`), { granted: 5, spent: 0, held: 0 });
});

test("GUARD-7: of proposals in parallel the larger lease of one saves the other, whose own was refused", () => {
  const run = [start(), tool("t1", spends(1, 10)), tool("t2", spends(1, 10)), reply("l4.1", { granted: 10, cap: 10 })];
  given(...run).when(reply("l7.1", { granted: 0, total: 10, cap: 10 })).then("budget.leased", "action.validated", "action.approved", "action.dispatched");
});

test("GUARD-7: what an action cost is spent of the pool, never more than it held; what it did not use is there for the next one", () => {
  const run = [start(), tool("t1", spends(10)), reply("l4.1"), claim("t1")];
  const after = (...lines: Line[]) => pool(given(...run, ...lines).state);
  assert.deepEqual(after(report("t1", "succeeded", { costUsd: 0.000004 })), { granted: 100, spent: 4, held: 0 });
  assert.deepEqual(after(report("t1", "succeeded", { costUsd: 99 })), { granted: 100, spent: 10, held: 0 });
  assert.deepEqual(after(report("t1", "succeeded")), { granted: 100, spent: 10, held: 0 });
  assert.deepEqual(after(report("t1", "failed", { effect: "none" })), { granted: 100, spent: 0, held: 0 });
  assert.deepEqual(after(report("t1", "in_doubt")), { granted: 100, spent: 0, held: 10 });
  assert.deepEqual(after(report("t1", "in_doubt"), resolve("t1", "failed")), { granted: 100, spent: 0, held: 0 });
  assert.deepEqual(after(report("t1", "in_doubt"), resolve("t1", "succeeded")), { granted: 100, spent: 10, held: 0 });
  // an account is charged no more than was leased of it for the action
  const less = given(start(), tool("t1", { costMicroUsd: 10, needs: [cost(4)] }), reply("lease"), claim("t1"), report("t1", "succeeded"));
  assert.deepEqual(pool(less.state), { granted: 4, spent: 4, held: 0 });
});

test("GUARD-7: an amount belongs to its action: it is judged with what all runs add up to, and given back at once when nothing came of it", () => {
  const run = [start(), tool("t1", { needs: [amount(5_000_000)], amount: { units: 5_000_000 } })];
  const waiting = given(...run).state;
  const answer = reply("l3.1", { total: 12_000_000 }).tell(waiting, waiting.at).input.body as SignalInput;
  assert.equal(readied(waiting, answer), "a2");
  assert.deepEqual(holdingsOf(waiting, "a2" as never, answer), [{ ledger: TARGET, unit: "amount", window: DAY, dimension: "target", granted: 5_000_000, total: 12_000_000 }]);
  assert.deepEqual(holdingsOf(waiting, "a2" as never), [], "without the answer nothing is held");
  const asked = [...run, reply("l3.1", { total: 12_000_000, judged: { decision: "ask", amount: { units: 5_000_000 }, needs: [amount(5_000_000)] } })];
  assert.equal(holdingsOf(given(...asked).state, "a2" as never)[0]?.total, 12_000_000, "and it is judged by the same again");
  const refused = given(...asked, turnDown("t1"));
  assert.deepEqual(returns(refused.state), [["r7.1", 5_000_000, false]]);
  assert.deepEqual(refused.state.amounts, new Map([["USD/crm.update", 0]]));
  const [returned] = refused.when(reply("r7.1")).then("budget.returned");
  assert.deepEqual(returned?.data, { ledger: TARGET, unit: "amount", window: DAY, unused: 5_000_000, last: false });
  // another action's amount is not covered by it
  assert.deepEqual(uncovered(given(...asked).state, undefined, [amount(1)]), [amount(1)]);
  // done is done
  const done = given(...run, reply("l3.1"), claim("t1"), report("t1", "succeeded"));
  assert.deepEqual(returns(done.state), []);
  assert.deepEqual(done.state.amounts, new Map([["USD/crm.update", 5_000_000]]));
});

test("GUARD-7: requests are pooled for their own minute, spent by being made, and never returned", () => {
  const run = [start(), tool("t1", { needs: [request(1, 10)] }), reply("l3.1")];
  const key = `${TEAM}/requests/${DAY}T09:30`;
  assert.deepEqual(pool(given(...run).state, key), { granted: 10, spent: 0, held: 1 });
  given(...run).when(tool("t2", { needs: [request(1, 10)] })).then("action.proposed", "action.validated", "action.approved", "action.dispatched");
  given(...run).when(tool("t2", { needs: [request(1, 10, `${DAY}T09:31`)] })).then("action.proposed", "budget.requested");
  const ended = given(...run, claim("t1"), report("t1", "failed", { effect: "none" }));
  assert.deepEqual(pool(ended.state, key), { granted: 10, spent: 1, held: 0 });
  assert.deepEqual(returns(given(...run, claim("t1"), report("t1", "succeeded"), finish("f")).state), []);
  const later = given(...run, claim("t1"), report("t1", "succeeded"), tool("t2", { needs: [request(1, 10, `${DAY}T09:31`)] }), reply("l12.1"));
  assert.deepEqual([...later.state.holdings.keys()], [`${TEAM}/requests/${DAY}T09:31`], "the minute that passed is forgotten");
});

test("GUARD-7: at the end of the run everything unspent goes back, with leave of each account", () => {
  const run = [start(), tool("t1", spends(10)), reply("l4.1"), claim("t1"), report("t1", "succeeded", { costUsd: 0.000004 })];
  const ended = given(...run, finish("f"));
  assert.deepEqual(returns(ended.state), [["r13.1", 96, true]]);
  const [last] = ended.when(reply("r13.1")).then("budget.returned");
  assert.ok(last?.type === "budget.returned" && last.data.last);
  const gone = given(...run, finish("f"), reply("r13.1"));
  assert.equal(gone.state.holdings.size, 0);
  const same = reply("r13.1").tell(ended.state, ended.state.at);
  gone.when({ waitMs: 0, tell: () => same }).is("duplicate");
});

test("GUARD-7: a run that was ended while something is in flight gives back the rest at once, and leaves when the last of it has ended", () => {
  for (const end of [control("cancel"), fail("x")]) {
    const run = [start(), tool("t1", spends(10)), reply("l4.1"), claim("t1"), end];
    const ended = given(...run);
    assert.deepEqual(returns(ended.state).map(([, unused, last]) => [unused, last]), [[90, false]]);
    const done = given(...run, report("t1", "succeeded"));
    assert.deepEqual(returns(done.state).map(([, unused, last]) => [unused, last]), [[90, false], [0, true]]);
    const lost = given(...run, report("t1", "in_doubt"), resolve("t1", "failed"));
    assert.deepEqual(returns(lost.state).map(([, unused, last]) => [unused, last]), [[90, false], [10, true]]);
  }
});

test("GUARD-7: out of time, also while reserving: the lease that comes afterwards is given back", () => {
  const late = [start({ contract: { max_wall_ms: 10_000 } }), tool("t1", spends(10)), { ...due("wall"), waitMs: 20_000 }];
  const over = given(...late);
  assert.equal(valueOf(over.state, "t1"), "failed");
  assert.deepEqual(leases(over.state), [["l4.1", 10, 100]], "it may have been granted: it stays owed until it is answered");
  assert.deepEqual(returns(over.state), []);
  const answered = over.when(reply("l4.1"));
  answered.then("budget.leased");
  assert.deepEqual(returns(answered.state()).map(([, unused, last]) => [unused, last]), [[100, true]]);
  const refused = over.when(reply("l4.1", { granted: 0 })).state();
  assert.deepEqual(returns(refused).map(([, unused, last]) => [unused, last]), [[0, true]]);
});

test("GUARD-7: an amount that comes when its action was cancelled goes back alone", () => {
  const run = [start(), tool("t1", { needs: [amount(7)] }), tool("t2"), claim("t2"), control("cancel")];
  const late = given(...run).when(reply("l3.1")).state();
  assert.deepEqual(returns(late).map(([, unused, last]) => [unused, last]), [[7, false]]);
});

test("GUARD-7: an answer counts once, from the account that was asked, and for what was asked", () => {
  const run = given(start(), tool("t1", spends(10)));
  const refusals: readonly [Line, string][] = [
    [reply("l4.1", { by: "ledger:team%2Eb%2E2026-01-31" }), "signal.wrong_sender"],
    [reply("l4.1", { by: "agent-1_r2" }), "signal.wrong_sender"],
    [reply("l9.1", { granted: 5 }), "signal.unknown"],
    [reply("l4.1", { body: { window: "2026-02-01" } }), "signal.mismatch"],
    [reply("l4.1", { granted: 101 }), "signal.mismatch"],
    [reply("l4.1", { granted: 9 }), "signal.mismatch"],
    [reply("l4.1", { body: { name: "lease", need: 1, want: 1 } as never }), "signal.not_taken"],
  ];
  for (const [line, code] of refusals) run.when(line).refused(code);
  const once = given(start(), tool("t1", spends(10)), reply("l4.1"));
  once.when(reply("l4.1", { granted: 100, body: { ledger: TEAM } })).is("duplicate");
  once.when(reply("l4.1", { granted: 50, body: { ledger: TEAM } })).refused("id.reused");
  given().when(reply("l4.1", { granted: 50 })).refused("run.unknown");
});

test("GUARD-7: a return is settled by its own answer and by no other", () => {
  const ended = given(start(), tool("t1", spends(10)), reply("l4.1"), claim("t1"), report("t1", "succeeded"), finish("f"));
  ended.when(reply("r13.1", { body: { unused: 1000 } as never })).refused("signal.mismatch");
  ended.when(reply("r13.1", { body: { last: false } as never })).refused("signal.mismatch");
  ended.when(reply("r13.1", { body: { name: "leased", granted: 1, total: 1 } as never })).refused("signal.mismatch");
});

test("GUARD-7: a run that is paused while it waits for an allowance judges when it comes, and holds what is approved", () => {
  const paused = [start(), tool("t1", spends(10)), control("pause")];
  given(...paused).when(reply("l4.1")).then("budget.leased", "action.validated", "action.approved");
  given(...paused, reply("l4.1")).when(control("resume")).then("run.resumed", "action.dispatched");
  assert.equal(given(...paused).state.wall.since, undefined);
});

test("GUARD-7: what changed while the allowance was waited for counts: faults reject, a stop denies, a lost judgement denies", () => {
  const run = given(start(), tool("t1", spends(10)));
  run.when(reply("l4.1", { judged: { faults: INVALID } })).then("budget.leased", "action.rejected", "budget.settled");
  const stopped = run.when(reply("l4.1", { judged: { guard: HIT } }));
  stopped.then("budget.leased", "action.validated", "action.denied", "budget.settled");
  assert.deepEqual(pool(stopped.state()), { granted: 100, spent: 0, held: 0 });
  run.when(reply("l4.1", { judged: { judgement: null } })).then("budget.leased", "action.validated", "action.denied", "budget.settled");
  run.when(reply("l4.1", { judged: { decision: "ask" } })).then("budget.leased", "action.validated", "approval.requested");
  // another account limits it by now
  const more = run.when(reply("l4.1", { judged: { needs: [cost(10), cost(10, 10, AGENTS)], judgement: null } }));
  more.then("budget.leased", "budget.requested");
  assert.deepEqual(leases(more.state()).map(([, need]) => need), [10]);
});

test("GUARD-7: what is faulty, stopped or beyond the run's own budget asks no account for anything", () => {
  assert.deepEqual(leases(given(start(), tool("t1", { ...spends(5), faults: INVALID })).state), []);
  assert.deepEqual(leases(given(start(), tool("t1", { ...spends(5), guard: HIT })).state), []);
  assert.deepEqual(leases(given(start({ contract: { max_cost_micro_usd: 4 } }), tool("t1", spends(5))).state), []);
});

test("GUARD-7 APP-3: an edited action asks for its own allowances, and what the old one held is free again", () => {
  const asked = [start(), tool("t1", { ...spends(10), decision: "ask" }), reply("l4.1", { judged: { decision: "ask", ...spends(10) } })];
  const within = given(...asked).when(edit("t1", { n: 2 }, { ...spends(20) }));
  within.then("approval.edited", "action.denied", "budget.settled", "action.proposed", "budget.reserved", "action.validated", "action.approved", "action.dispatched");
  assert.deepEqual(pool(within.state()), { granted: 100, spent: 0, held: 20 });
  const beyond = given(...asked).when(edit("t1", { n: 2 }, { ...spends(200) }));
  beyond.then("approval.edited", "action.denied", "budget.settled", "action.proposed", "budget.reserved", "budget.requested");
  assert.deepEqual(leases(beyond.state()).map(([, need]) => need), [110]);
});

test("law 3: leases and returns are owed under keys of their own until they are answered", () => {
  const run = given(start(), tool("t1", { costMicroUsd: 5, needs: [cost(5), cost(5, 5, AGENTS)] }));
  assert.equal(new Set(signalsOf(run.state, "lease").map(({ id }) => id)).size, 2);
  const answered = given(start(), tool("t1", spends(10)), reply("l4.1"), control("pause"));
  assert.deepEqual(leases(answered.state), []);
});
