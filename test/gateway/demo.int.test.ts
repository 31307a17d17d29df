import assert from "node:assert/strict";
import { test } from "node:test";
import { demoTools } from "../../services/gateway/adapters/demo.ts";
import { MemoryLedger } from "../../services/gateway/adapters/ledger.ts";
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
