/** People stop, hold and end runs; budgets do the same without them (GUARD-6, APP-4). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestActor } from "../harness/plane.ts";
import { type Office, dispatchesOf, requestOf, startOffice, types } from "./office.ts";

let office: Office;
let operator: TestActor;
before(async () => {
  office = await startOffice();
  operator = await office.operator();
});
after(() => office?.stop());

const note = (id: string) => ({ kind: "note", id, text: "x" });
const control = (run: string, verb: string) => operator.send("control", run, { verb, id: `${verb}-${run}` });

test("CORE-2 a paused run grants no claim; after a resume its dispatch is owed anew, and is claimed", async () => {
  const agent = await office.agent("clerk");
  const gateway = await office.gateway("gw-paused");
  const queue = await dispatchesOf(office, "t.write");
  const run = "clerk_paused";
  await office.begin(agent, run);
  const { action } = await office.ask(agent, run, "w", "t.write", "approved");
  await queue.next((found) => found.run === run);
  await control(run, "pause");
  assert.equal((await agent.answer(run, ({ kind }) => kind === "run")).status, "paused");
  const refused = await gateway.claim(run, action as string);
  assert.deepEqual([refused.verdict, refused.code], ["refused", "run.paused"]);
  // what is approved meanwhile waits; what was proposed before is not forgotten
  await office.ask(agent, run, "held", "t.write", "approved");
  assert.equal(queue.found.length, 1);
  await control(run, "resume");
  await agent.answer(run, ({ status }) => status === "resumed");
  await queue.next(() => queue.found.length === 3);
  assert.deepEqual(queue.found.slice(1).map((found) => found.action === action).sort(), [false, true]);
  assert.equal((await gateway.claim(run, action as string)).verdict, "granted");
});

test("CORE-2 a cancelled run begins nothing; what was in flight is still recorded", async () => {
  const agent = await office.agent("clerk");
  const gateway = await office.gateway("gw-cancelled");
  const run = "clerk_cancelled";
  await office.begin(agent, run);
  const flying = (await office.ask(agent, run, "one", "t.write", "approved")).action as string;
  const waiting = (await office.ask(agent, run, "two", "t.write", "approved")).action as string;
  await gateway.claim(run, flying);
  await control(run, "cancel");
  assert.equal((await agent.answer(run, ({ kind }) => kind === "run")).status, "cancelled");
  assert.equal((await gateway.claim(run, waiting)).verdict, "refused");
  assert.equal((await gateway.report(run, { action: flying, status: "succeeded", output: {} })).verdict, "recorded");
  assert.deepEqual(types(await office.events(run)).slice(-4), ["run.cancelled", "action.failed", "action.succeeded", "action.verified"]);
});

test("CORE-2 a control that does not fit the run's state is refused and recorded", async () => {
  const agent = await office.agent("clerk");
  const run = "clerk_controlled";
  await office.begin(agent, run);
  await control(run, "resume");
  assert.equal((await operator.rejection((found) => found.run === run)).reasons[0]?.code, "control.not_applicable");
});

test("GUARD-6 APP-4 wall time stands while a person thinks and while the run is paused, and runs on afterwards", async () => {
  const agent = await office.agent("sprinter");
  const ann = await office.approver("ann");
  const [asks, paused, runs] = ["sprinter_asks", "sprinter_paused", "sprinter_runs"];
  await office.begin(agent, asks);
  await office.begin(agent, paused);
  await office.ask(agent, asks, "w", "t.write", "pending");
  await control(paused, "pause");
  await office.event(paused, "run.paused");
  // a third run is the clock: it began last, and its second has passed
  await office.begin(agent, runs);
  const failed = await office.event(runs, "run.failed");
  assert.equal((failed.body.data["error"] as { code: string }).code, "budget.wall");
  for (const run of [asks, paused]) assert.equal((await agent.propose(run, note("still-here"))).status, "recorded");

  const asked = requestOf(await office.event(asks, "approval.requested"));
  await ann.send("decide", asks, { id: "d", decision: "approve", ...asked });
  await office.event(asks, "action.dispatched");
  await control(paused, "resume");
  for (const run of [asks, paused]) {
    const { body } = await office.event(run, "budget.exhausted");
    assert.equal(body.data["budget"], "wall");
    await office.event(run, "run.failed");
  }
});

test("GUARD-6 steps: the first proposal beyond the budget is denied in the run, all further ones are refused", async () => {
  const agent = await office.agent("miser");
  const run = "miser_1";
  await office.begin(agent, run);
  for (const id of ["one", "two"]) await office.ask(agent, run, id, "t.read", "approved");
  const denied = await office.ask(agent, run, "three", "t.read", "denied");
  assert.equal(denied.reasons?.[0]?.code, "budget.steps");
  await agent.send("propose", run, { kind: "tool", id: "four", tool: "t.read", input: { text: "x" } });
  assert.equal((await agent.rejection(({ id }) => id === "four")).reasons[0]?.code, "budget.steps");
  assert.equal(types(await office.events(run)).filter((type) => type === "budget.exhausted").length, 1);
  // it may still think, and end
  assert.equal((await agent.propose(run, note("n"))).status, "recorded");
  assert.equal((await agent.propose(run, { kind: "fail", id: "f", error: "no steps left" })).status, "failed");
});

test("GUARD-6 money is reserved before it is spent: two that fit one by one do not fit together, and what is unused comes back", async () => {
  const agent = await office.agent("spender");
  const gateway = await office.gateway("gw-money");
  const run = "spender_1";
  await office.begin(agent, run);
  const first = (await office.ask(agent, run, "one", "t.dear", "approved")).action as string;
  assert.equal((await office.ask(agent, run, "two", "t.dear", "denied")).reasons?.[0]?.code, "budget.cost");
  await gateway.claim(run, first);
  await gateway.report(run, { action: first, status: "succeeded", output: {}, usage: { cost_usd: 0.1 } });
  const settled = await office.event(run, "budget.settled");
  assert.deepEqual([settled.body.data["cost_micro_usd"], settled.body.data["reserved_micro_usd"]], [100_000, 600_000]);
  await office.ask(agent, run, "three", "t.dear", "approved");
});

test("GUARD-6 a wish narrows the contract's budget and never widens it", async () => {
  const agent = await office.agent("miser");
  await office.begin(agent, "miser_wide", { budget: { max_steps: 1000 } });
  for (const id of ["one", "two"]) await office.ask(agent, "miser_wide", id, "t.read", "approved");
  await office.ask(agent, "miser_wide", "three", "t.read", "denied");
  await office.begin(agent, "miser_none", { budget: { max_steps: 0 } });
  await office.ask(agent, "miser_none", "one", "t.read", "denied");
});
