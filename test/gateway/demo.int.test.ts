import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { demoAdapter, demoTools } from "../../services/gateway/adapters/demo.ts";
import { MemoryLedger } from "../../services/gateway/adapters/ledger.ts";
import type { Adapter } from "../../services/gateway/adapters/adapter.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { parseDocument } from "../../services/registry/parse.ts";
import { actor } from "../../schemas/ids.ts";
import { startTestPlane } from "../harness/plane.ts";
import { startPlane } from "./plane.ts";

test("a write of the demo takes effect once for each idempotency key, whatever the attempt", { timeout: 60_000 }, async (t) => {
  const plane = await startPlane();
  t.after(() => plane.stop());
  const ledger = new MemoryLedger();
  const hash = await plane.applyTool({ name: "stripe.create_refund", effect: "irreversible" });
  await plane.gateway("g1", { tools: Object.fromEntries(demoTools(ledger)) });
  plane.answerAll(({ status }) => (status === "started" ? "granted" : "recorded"));
  const input = { charge_id: "ch_1", amount_usd: 40 };
  const outputs = [];
  for (const attempt of [1, 2]) {
    await plane.dispatch("stripe.create_refund", hash, { run: "alice_1", attempt, input });
    outputs.push((await plane.report(({ status }) => status === "succeeded")).output);
  }
  assert.deepEqual(outputs[0], outputs[1]);
  assert.deepEqual(
    ledger.effects.map(({ key, tool }) => [key, tool]),
    [["alice_1.a3", "stripe.create_refund"]],
  );
});

/** By how the call was lost: behind its effect, and before it. */
const LOST = [
  ["behind", ["action.in_doubt", "action.probing", "action.probed", "action.verified"], 1],
  ["before", ["action.in_doubt", "action.probing", "action.probed", "action.failed"], 0],
] as const;

for (const [when, events, effects] of LOST) {
  test(`EXEC-7: a refund of the demo whose call was lost ${when} its effect is found out by asking, and no person is needed`, { timeout: 60_000 }, async (t) => {
    const plane = await startTestPlane();
    t.after(() => plane.stop());
    await plane.coordinator();
    const parsed = parseDocument(await readFile(new URL("../../infra/demo/tools/stripe.create_refund.yaml", import.meta.url), "utf8"), "refund");
    assert.ok(parsed.ok && parsed.document.kind === "tool");
    // asked when the claim's own time is over, which is soon
    const tool = { ...parsed.document.value, timeout_ms: 50 };
    const contract = { agent: { name: "clerk", owner: "o", team: "t", purpose: "p" }, tools: { allowlist: [{ name: tool.name }] } };
    await plane.applyValues([tool, contract], `@id("all") permit (principal, action, resource);\n`);
    const ledger = new MemoryLedger();
    const demo = demoAdapter(ledger, true);
    const losing: Adapter = {
      call: async (request, signal) => {
        if (when === "behind") await demo.call(request, signal);
        throw new Error("the answer is lost");
      },
      probe: (request, signal) => demo.probe(request, signal),
    };
    const gateway = new Gateway({ nc: await plane.server.connect("gateway", "g1"), ns: plane.ns, name: actor("g1"), adapters: { builtin: losing } });
    await gateway.start();
    t.after(() => gateway.stop());
    const clerk = await plane.agent("clerk");
    await clerk.propose("clerk_r1", { kind: "start", id: "start", agent: { name: "clerk" }, goal: "refund" });
    const ended = ({ status }: { readonly status: string }) => status === "succeeded" || status === "failed";
    const answer = await clerk.propose("clerk_r1", { kind: "tool", id: "p1", tool: tool.name, input: { charge_id: "ch_1001", amount_usd: 40 } }, ended);
    assert.equal(answer.status, effects === 1 ? "succeeded" : "failed");
    const seen = (await plane.events("clerk_r1")).map(({ body }) => body.type as string);
    assert.deepEqual(seen.filter((type) => (events as readonly string[]).includes(type)), events);
    assert.equal(ledger.effects.length, effects);
  });
}
