/** Claim before acting (law 9): who may execute, who may report, and what becomes of what nobody knows. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestActor } from "../harness/plane.ts";
import { CONTRACTS, type Office, TOOLS, startOffice, types } from "./office.ts";

let office: Office;
let agent: TestActor;
before(async () => {
  office = await startOffice();
  agent = await office.agent("clerk");
});
after(() => office?.stop());

let runs = 0;
/** A new run with one approved action, dispatched. */
async function dispatched(tool: keyof typeof TOOLS): Promise<{ run: string; action: string }> {
  const run = `clerk_claim-${++runs}`;
  await office.begin(agent, run);
  const { action } = await office.ask(agent, run, "a", tool, "approved");
  return { run, action: action as string };
}
const tail = async (run: string) => types(await office.events(run)).slice(5);

test("law 9: a claim is granted once; a second gateway is refused, and so is another life of the first", async () => {
  const [one, two] = [await office.gateway("gw-one"), await office.gateway("gw-two")];
  const { run, action } = await dispatched("t.write");
  const claim = { id: "claim", action, status: "started" };
  assert.equal((await one.report(run, claim)).verdict, "granted");
  assert.equal((await two.claim(run, action)).verdict, "refused");
  assert.equal((await one.report(run, { action, status: "started", nonce: "another-life" })).verdict, "refused");
  // the same report again: its answer may have been lost
  assert.equal((await one.report(run, claim)).verdict, "granted");
  assert.deepEqual(await tail(run), ["action.started"]);
});

test("law 9: a report counts only from the holder of the claim, and the holder is known by its credential", async () => {
  const [one, two] = [await office.gateway("gw-three"), await office.gateway("gw-four")];
  const { run, action } = await dispatched("t.write");
  await one.claim(run, action);
  for (const body of [
    { action, status: "succeeded", output: {} },
    // the journal shows everybody's nonce
    { action, status: "succeeded", output: {}, claim: { gateway: one.name, nonce: one.nonce } },
    { action, status: "failed", error: { code: "x", message: "x", effect: "none" } },
  ]) {
    assert.equal((await two.report(run, body)).verdict, "refused");
  }
  assert.equal((await one.report(run, { action, attempt: 2, status: "succeeded", output: {} })).verdict, "refused");
  assert.deepEqual(await tail(run), ["action.started"]);
  assert.equal((await one.report(run, { action, status: "succeeded", output: {} })).verdict, "recorded");
  assert.deepEqual(await tail(run), ["action.started", "action.succeeded", "action.verified"]);
});

test("law 9: a report of what was never claimed is refused for a write, and is claim and result in one for a read", async () => {
  const gateway = await office.gateway("gw-five");
  const write = await dispatched("t.write");
  assert.equal((await gateway.report(write.run, { action: write.action, status: "succeeded", output: {} })).verdict, "refused");
  const read = await dispatched("t.read");
  assert.equal((await gateway.report(read.run, { action: read.action, status: "succeeded", output: {} })).verdict, "recorded");
  assert.deepEqual(await tail(read.run), ["action.started", "action.succeeded", "action.verified"]);
  assert.equal((await gateway.claim(read.run, read.action)).verdict, "refused");
});

test("law 9 EXEC-7: no report by the deadline: a write that may have happened is in doubt, and a late success settles it", async () => {
  const gateway = await office.gateway("gw-six");
  const { run, action } = await dispatched("t.short");
  await gateway.claim(run, action);
  const doubt = await office.event(run, "action.in_doubt");
  assert.equal((doubt.body.data["error"] as { effect: string }).effect, "unknown");
  await agent.answer(run, ({ status }) => status === "in_doubt");
  assert.equal((await gateway.report(run, { action, status: "succeeded", output: {} })).verdict, "recorded");
  assert.deepEqual((await tail(run)).slice(1), ["action.in_doubt", "action.succeeded", "action.verified"]);
});

test("law 9: a person's word settles what is in doubt, once", async () => {
  const gateway = await office.gateway("gw-seven");
  const operator = await office.operator();
  const { run, action } = await dispatched("t.write");
  await gateway.claim(run, action);
  await gateway.report(run, { action, status: "in_doubt", error: { code: "lost", message: "no answer", effect: "unknown" } });
  await office.event(run, "action.in_doubt");
  await operator.send("control", run, { verb: "resolve", id: "r1", action, outcome: "failed", reason: "the other side knows nothing of it" });
  const failed = await office.event(run, "action.failed");
  assert.equal((failed.body.data["error"] as { code: string }).code, "resolved.failed");
  await operator.send("control", run, { verb: "resolve", id: "r2", action, outcome: "succeeded" });
  const refused = await operator.rejection(({ id }) => id === "r2");
  assert.equal(refused.reasons[0]?.code, "control.not_applicable");
});

for (const tool of ["t.read", "t.same"] as const) {
  test(`law 9 EXEC-7: an attempt at \`${tool}\` whose effect is unknown is tried again, and only the new attempt counts`, async () => {
    const gateway = await office.gateway(`gw-retry-${tool.slice(2)}`);
    const { run, action } = await dispatched(tool);
    await gateway.claim(run, action);
    const error = { code: "tool.timeout", message: "no answer", effect: "unknown" };
    assert.equal((await gateway.report(run, { action, status: "failed", error })).verdict, "recorded");
    await office.event(run, "action.dispatched", ({ body }) => body.data["attempt"] === 2);
    assert.equal((await gateway.claim(run, action, 1)).verdict, "refused");
    assert.equal((await gateway.claim(run, action, 2)).verdict, "granted");
    assert.equal((await gateway.report(run, { action, attempt: 1, status: "succeeded", output: {} })).verdict, "refused");
    assert.equal((await gateway.report(run, { action, attempt: 2, status: "succeeded", output: {} })).verdict, "recorded");
    assert.deepEqual(await tail(run), [
      "action.started",
      "action.retrying",
      "action.dispatched",
      "action.started",
      "action.succeeded",
      "action.verified",
    ]);
  });
}

test("law 9 APP-2: documents that changed after the approval: the claim is refused, the action judged anew, and a new attempt dispatched", async () => {
  const gateway = await office.gateway("gw-eight");
  const { run, action } = await dispatched("t.write");
  await office.applyValues([{ ...CONTRACTS.clerk, budgets: { max_steps: 1000 } }]);
  const grant = await gateway.claim(run, action);
  assert.equal(grant.verdict, "refused");
  await office.event(run, "action.dispatched", ({ body }) => body.data["attempt"] === 2);
  assert.deepEqual(await tail(run), ["action.validated", "action.approved", "action.dispatched"]);
  assert.equal((await gateway.claim(run, action)).verdict, "refused");
  assert.equal((await gateway.claim(run, action, 2)).verdict, "granted");
});

test("law 2 CORE-4: an output is checked by the tool that was approved, whatever is in force by then", async (t) => {
  const gateway = await office.gateway("gw-old-tool");
  const { run, action } = await dispatched("t.same");
  await gateway.claim(run, action);
  const number = { type: "object", required: ["text"], properties: { text: { type: "number" } } };
  await office.applyValues([{ ...TOOLS["t.same"], output: number }]);
  t.after(() => office.applyValues([{ ...TOOLS["t.same"], description: "as it was before" }]));
  await gateway.report(run, { action, status: "succeeded", output: { text: "as was approved" } });
  assert.equal((await agent.answer(run, ({ final, tool }) => final && tool === "t.same")).status, "succeeded");
});

test("CORE-4: output that does not fit the tool's schema is junk, not success", async () => {
  const gateway = await office.gateway("gw-nine");
  const { run, action } = await dispatched("t.strict");
  await gateway.claim(run, action);
  await gateway.report(run, { action, status: "succeeded", output: { text: 5, more: true } });
  const answer = await agent.answer(run, ({ status }) => status === "failed");
  assert.equal((answer.error as { code: string }).code, "output.junk");
  assert.deepEqual((answer.reasons ?? []).map(({ path }) => path).sort(), ["/more", "/text"]);
});

test("law 6: an output kept as a document that nobody can read is junk, and holds up nobody", async () => {
  const gateway = await office.gateway("gw-ten");
  const { run, action } = await dispatched("t.strict");
  await gateway.claim(run, action);
  const output = { $doc: `sha256:${"0".repeat(64)}`, bytes: 1 };
  assert.equal((await gateway.report(run, { action, status: "succeeded", output })).verdict, "recorded");
  const answer = await agent.answer(run, ({ status }) => status === "failed");
  assert.equal(answer.reasons?.[0]?.code, "document.missing");
});
