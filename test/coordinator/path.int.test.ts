/** The way of an action through the plane, with the test as gateway. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DEMO_DOCUMENTS, type TestPlane, startTestPlane } from "../harness/plane.ts";

let plane: TestPlane;
before(async () => {
  plane = await startTestPlane();
  await plane.coordinator();
  await plane.apply(...DEMO_DOCUMENTS);
});
after(() => plane?.stop());

test("CORE-2 CORE-3 a run starts, a read is approved by policy, a delete is denied, a large refund asks a person", async () => {
  const agent = await plane.agent("refund-assistant");
  const run = "refund-assistant_path-1";
  const started = await agent.propose(run, { kind: "start", id: "s", agent: { name: "refund-assistant" }, goal: "help" });
  assert.equal(started.status, "started");
  const read = await agent.propose(run, { kind: "tool", id: "r", tool: "zendesk.read_ticket", input: { ticket_id: "T-1" } }, () => true);
  assert.equal(read.status, "approved");
  const refused = await agent.propose(run, { kind: "tool", id: "d", tool: "crm.delete_customer", input: { customer_id: "cus_1" } });
  assert.equal(refused.status, "denied");
  assert.match(JSON.stringify(refused.reasons), /agents-never-delete-customers/);
  const asked = await agent.propose(
    run,
    { kind: "tool", id: "big", tool: "stripe.create_refund", input: { charge_id: "ch_1", amount_usd: 480 } },
    () => true,
  );
  assert.equal(asked.status, "pending");
  const bad = await agent.propose(run, { kind: "tool", id: "bad", tool: "stripe.create_refund", input: { amount_usd: "x", y: 1 } });
  assert.equal(bad.status, "rejected");
  console.log(JSON.stringify(bad.reasons), (await plane.events(run)).map((e) => `${e.body.seq} ${e.body.type} ${e.body.from}>${e.body.to}`));
});
