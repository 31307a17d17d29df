import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pino } from "pino";
import type { Answer } from "../../schemas/answer.ts";
import { actor } from "../../schemas/ids.ts";
import { type AskService, startAsk } from "../../services/ask/ask.ts";
import { openPersonalMaster } from "../../services/identity/sealing.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import type { Role } from "../../services/identity/roles.ts";
import { type Reader, startReader } from "../../services/projection/reader.ts";
import { type TestPlane, startTestPlane } from "../harness/plane.ts";
import { Script, findPython } from "./python.ts";

const python = findPython();
const skip = "missing" in python ? `skipped: ${python.missing}` : false;
const RUN = "shop-clerk_py-1";
const log = pino({ level: process.env["SIGNALBOX_TEST_LOG"] ?? "silent" });

let plane: TestPlane;
let gateway: Gateway;
let ask: AskService;
let reader: Reader;
const scripts: Script[] = [];

before(async () => {
  if ("missing" in python) return;
  plane = await startTestPlane();
  const { server, ns } = plane;
  await plane.coordinator();
  const shop = join(import.meta.dirname, "shop");
  await plane.apply(join(shop, "tools"), join(shop, "contracts"), join(shop, "default"));
  gateway = new Gateway({ nc: await server.connect("gateway", "g1"), ns, name: actor("g1"), personal: await openPersonalMaster(server.dataDir), logger: log });
  await gateway.start();
  ask = await startAsk({ nc: await server.connect("ask", "a1"), namespaces: [ns], log });
  reader = await startReader({ nc: await server.connect("reader", "r1"), ns, dataDir: undefined });
});
after(async () => {
  if ("missing" in python) return;
  for (const script of scripts) await script.stop();
  await reader?.stop();
  await ask?.stop();
  await gateway?.stop();
  await plane?.stop();
});

async function run(script: string, role: Role, name: string, args: readonly string[], tool?: string): Promise<Script> {
  if ("missing" in python) throw new Error(python.missing);
  const { creds, inboxPrefix } = await plane.server.issue(role, name, plane.ns, tool === undefined ? {} : { tool });
  const path = join(plane.server.dataDir, `${name}.creds`);
  await writeFile(path, creds, { mode: 0o600 });
  const started = new Script(python, script, args, { NATS_URL: plane.server.url, NATS_CREDS: path, NATS_INBOX_PREFIX: inboxPrefix, SIGNALBOX_NAMESPACE: plane.ns, ...(role === "agent" && { PRINCIPAL: plane.issuer.token({ agent: name, run: RUN }) }) });
  scripts.push(started);
  return started;
}

test("OPS-3 OPS-4 CORE-1: agent, tools and approver in Python, each a plain NATS client that speaks JSON", { skip }, async () => {
  const reads = await run("tool.py", "tool", "py-reads", ["shop.read_order"], "shop.read_order");
  const refunds = await run("tool.py", "tool", "py-refunds", ["shop.refund"], "shop.refund");
  await Promise.all([reads.line(({ serving }) => serving === "shop.read_order"), refunds.line(({ serving }) => serving === "shop.refund")]);

  const agent = await run("agent.py", "agent", "shop-clerk", [RUN]);
  const said = async (step: string, nth = 0): Promise<Answer> => {
    await agent.line(() => agent.lines.filter((line) => line["step"] === step).length > nth);
    return agent.lines.filter((line) => line["step"] === step)[nth]?.["answer"] as Answer;
  };
  const codes = (answer: Answer) => (answer.reasons ?? []).map(({ code }) => code);

  const early = await said("early");
  assert.equal(early.status, "refused");
  assert.deepEqual(codes(early), ["run.unknown"]);
  assert.equal((await said("start")).status, "started");

  const read = await said("read");
  assert.equal(read.status, "succeeded");
  assert.deepEqual(read.output, { order: "o-7", total_usd: 500 });
  const call = await reads.line((line) => line["action"] === read.action);
  assert.equal(call["run"], RUN);
  assert.equal(call["digest"], read.digest);

  const bad = await said("bad");
  assert.equal(bad.status, "rejected");
  assert.deepEqual((bad.reasons ?? []).map(({ path }) => path).sort(), ["/input/colour", "/input/order"]);
  assert.equal((await said("stranger")).status, "rejected");
  assert.equal((await said("delete")).status, "denied");
  const unknown = await said("unknown");
  assert.equal(unknown.status, "failed");
  assert.match(JSON.stringify(unknown.error), /order\.unknown/);

  assert.deepEqual((await said("small")).output, { refund: "re-1" });
  assert.deepEqual((await said("small", 1)).output, { refund: "re-1" });

  const waiting = await said("large");
  assert.equal(waiting.status, "pending");
  assert.ok(waiting.request !== undefined && waiting.expires_at !== undefined);
  const approver = await run("approver.py", "approver", "ada", ["ada", RUN, waiting.request, "approve"]);
  const { refused } = await approver.line((line) => "refused" in line);
  assert.equal((refused as { id: string }).id, "with-a-wrong-digest");
  await approver.end();
  assert.deepEqual((await said("large", 1)).output, { refund: "re-2" });

  assert.equal((await said("finish")).status, "completed");
  await agent.end();
  const { ids } = await agent.line((line) => line["step"] === "told");
  assert.ok((ids as string[]).includes("large"));
  // Each was refunded once, whatever was asked how often.
  assert.deepEqual(refunds.lines.filter((line) => "refunded" in line).map((line) => line["refunded"]), [20, 480]);
});

for (const [what, script, args, forbidden] of [
  ["an agent cannot serve a tool", "tool.py", ["shop.refund"], /subscription to "signalbox\.default\.call\.shop\.refund"/i],
  ["an agent cannot read what an approver is shown", "approver.py", ["shop-clerk", RUN, "q1", "approve"], /publish to "signalbox\.default\.query\./i],
] as const) {
  test(`CORE-1: ${what}, with a plain client either`, { skip }, async () => {
    const intruder = await run(script, "agent", "shop-clerk", args);
    const said = await intruder.line((line) => "forbidden" in line);
    assert.match(String(said["forbidden"]), forbidden);
    await intruder.stop();
  });
}
