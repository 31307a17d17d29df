/** The client against the whole plane: coordinator, gateway, ask and reader, nothing played. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pino } from "pino";
import { actor } from "../../schemas/ids.ts";
import { type AskService, startAsk } from "../../services/ask/ask.ts";
import { type Box, Refused, ToolFailure, connect } from "../../services/client/index.ts";
import { openPersonalMaster } from "../../services/identity/sealing.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import type { Role } from "../../services/identity/roles.ts";
import { type Reader, startReader } from "../../services/projection/reader.ts";
import { type TestPlane, startTestPlane } from "../harness/plane.ts";

const SHOP = join(import.meta.dirname, "../interop/shop");
const log = pino({ level: process.env["SIGNALBOX_TEST_LOG"] ?? "silent" });
let plane: TestPlane;
let gateway: Gateway;
let ask: AskService;
let reader: Reader;
let clerk: Box;
let approver: Box;
const boxes: Box[] = [];
const refunds: number[] = [];

async function as(role: Role, name: string, tool?: string): Promise<Box> {
  const { creds } = await plane.server.issue(role, name, plane.ns, tool === undefined ? {} : { tool });
  const box = await connect({ url: plane.server.url, creds, env: {} });
  boxes.push(box);
  return box;
}

/** Starts a run of the clerk with a token of `kim` for it. */
const starting = (id: string, goal: string) => ({ id, goal, principal: plane.issuer.token({ agent: "shop-clerk", run: `shop-clerk_${id}` }) });

before(async () => {
  plane = await startTestPlane();
  const { server, ns } = plane;
  await plane.coordinator();
  await plane.apply(join(SHOP, "tools"), join(SHOP, "contracts"), join(SHOP, "default"));
  gateway = new Gateway({ nc: await server.connect("gateway", "g1"), ns, name: actor("g1"), personal: await openPersonalMaster(server.dataDir), logger: log });
  await gateway.start();
  ask = await startAsk({ nc: await server.connect("ask", "a1"), namespaces: [ns], log });
  reader = await startReader({ nc: await server.connect("reader", "r1"), ns, dataDir: undefined });
  clerk = await as("agent", "shop-clerk");
  approver = await as("approver", "ada");
  const reads = await as("tool", "reads", "shop.read_order");
  await reads.tool<{ order: string }>("shop.read_order", ({ order }) => {
    if (order !== "o-7") throw new ToolFailure({ code: "order.unknown", message: `there is no order ${order}`, effect: "none" });
    return { order, total_usd: 500 };
  });
  const pays = await as("tool", "pays", "shop.refund");
  await pays.tool<{ amount_usd: number }>("shop.refund", ({ amount_usd }) => ({ refund: `re-${refunds.push(amount_usd)}` }));
});
after(async () => {
  for (const box of boxes) await box.close();
  await reader?.stop();
  await ask?.stop();
  await gateway?.stop();
  await plane?.stop();
});

test("CORE-1 CORE-2: a run from its start to its end, with an outcome for each proposal", async () => {
  const run = await clerk.agent().start(starting("whole", "refund order o-7"));
  const read = await run.propose({ tool: "shop.read_order", input: { order: "o-7" } });
  assert.deepEqual(read.status === "succeeded" && read.output, { order: "o-7", total_usd: 500 });
  const unknown = await run.propose({ tool: "shop.read_order", input: { order: "o-8" } });
  assert.match(JSON.stringify(unknown.status === "failed" && unknown.error), /order\.unknown/);
  const bad = await run.propose({ tool: "shop.read_order", input: { order: 7 } });
  assert.deepEqual(bad.status === "rejected" && bad.reasons.map(({ path }) => path), ["/input/order"]);
  const removal = await run.propose({ tool: "shop.delete_order", input: { order: "o-7" } });
  assert.equal(removal.status, "denied");
  await run.note("that is all");
  assert.equal((await run.finish({ ok: true })).status, "completed");
  await assert.rejects(run.note("too late"), (error) => error instanceof Refused && error.reasons[0]?.code === "run.ended");
});

test("the same start and the same proposal, asked again, are the same: nothing is done twice", async () => {
  const start = starting("twice", "refund a little");
  const call = { tool: "shop.refund", input: { order: "o-7", amount_usd: 11 }, id: "once" };
  const outcomes = [];
  for (let life = 1; life <= 2; life++) outcomes.push(await (await clerk.agent().start(start)).propose(call));
  assert.deepEqual(outcomes[1]?.status === "succeeded" && outcomes[1].output, outcomes[0]?.status === "succeeded" && outcomes[0].output);
  assert.equal(refunds.filter((amount) => amount === 11).length, 1);
  const run = clerk.agent().run("twice");
  const other = await run.propose({ ...call, input: { order: "o-7", amount_usd: 12 } });
  assert.deepEqual(other.status === "refused" && other.reasons.map(({ code }) => code), ["id.reused"]);
});

test("APP-1 APP-4: a person is shown a request, decides by its digest, and the agent hears the result", async () => {
  const asked = approver.events({ type: "approval.requested" });
  await approver.flush();
  const run = await clerk.agent().start(starting("person", "refund a lot"));
  const call = { tool: "shop.refund", input: { order: "o-7", amount_usd: 480 }, id: "large" };
  const waiting = await run.propose(call, { wait: "verdict" });
  assert.equal(waiting.status, "pending");
  for await (const event of asked) {
    assert.equal(event.run, run.id);
    const shown = await approver.approvals.show(event.run, event.data.request);
    assert.equal(shown.digest, event.data.digest);
    const wrong = { run: run.id, request: shown.request, digest: `sha256:${"0".repeat(64)}`, decision: "approve" } as const;
    await assert.rejects(approver.approvals.decide(wrong), Refused);
    const decided = await approver.approvals.decide({ ...wrong, digest: shown.digest });
    assert.equal(decided.status, "granted");
    break;
  }
  const outcome = await run.propose(call);
  assert.equal(outcome.status, "succeeded");
  await run.finish();
});

test("APP-3: an edited action is done as edited, and its agent is told who changed what", async () => {
  const asked = approver.events({ type: "approval.requested", run: "shop-clerk_edited" });
  await approver.flush();
  const run = await clerk.agent().start(starting("edited", "refund a lot, or less"));
  const outcome = run.propose({ tool: "shop.refund", input: { order: "o-8", amount_usd: 300 }, id: "large" });
  let replacement: string | undefined;
  for await (const { data } of asked) {
    const { request, digest } = await approver.approvals.show(run.id, data.request);
    if (replacement !== undefined) {
      assert.equal(data.action, replacement, "what was edited is asked in its turn");
      assert.equal((await approver.approvals.decide({ run: run.id, request, digest, decision: "approve" })).status, "granted");
      break;
    }
    const edited = await approver.approvals.decide({ run: run.id, request, digest, decision: "edit", input: { order: "o-8", amount_usd: 200 }, reason: "one item was kept" });
    assert.equal(edited.status, "edited");
    replacement = edited.status === "edited" ? edited.event.data.replacement : "";
  }
  const { status, action, edited } = await outcome;
  assert.deepEqual({ status, action, edited }, {
    status: "succeeded", action: replacement, edited: { from: edited?.from, by: "ada", diff: [{ path: "/amount_usd", before: 300, after: 200 }] },
  });
  assert.ok(refunds.includes(200) && !refunds.includes(300));
  await run.finish();
});

test("ID-3: a token that does not hold starts nothing, and says why in every respect; without one a run only reads", async () => {
  const agent = clerk.agent();
  const stolen = await agent.start({ goal: "x", id: "stolen", principal: plane.issuer.token({ agent: "shop-clerk", run: "shop-clerk_other" }) }).catch((error: unknown) => error);
  assert.ok(stolen instanceof Refused);
  assert.deepEqual(stolen.reasons.map(({ code }) => code), ["principal.run"]);
  const nobody = await agent.start({ goal: "x", id: "nobody" });
  assert.equal((await nobody.propose({ tool: "shop.read_order", input: { order: "o-7" } })).status, "succeeded");
  const denied = await nobody.propose({ tool: "shop.refund", input: { order: "o-7", amount_usd: 3 } });
  assert.equal(denied.status, "denied");
  assert.ok(denied.status === "denied" && denied.reasons.some(({ code }) => code === "principal.required"));
});

test("OPS-3: a subscriber hears of a run in order, each event typed", async () => {
  const subscriber = await as("subscriber", "s1");
  const events = subscriber.events({ run: "shop-clerk_heard" });
  await subscriber.flush();
  const run = await clerk.agent().start(starting("heard", "be heard"));
  await run.propose({ tool: "shop.read_order", input: { order: "o-7" } });
  await run.finish();
  const types: string[] = [];
  const numbers: number[] = [];
  for await (const { type, seq } of events) {
    types.push(type);
    numbers.push(seq);
    if (type === "run.completed") break;
  }
  assert.deepEqual(numbers, numbers.map((_, index) => index + 1));
  assert.equal(types[0], "run.started");
  assert.ok(types.indexOf("action.approved") < types.indexOf("action.succeeded"));
});
