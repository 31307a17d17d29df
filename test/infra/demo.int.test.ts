import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { withPatience } from "../harness/plane.ts";

test("CORE-6 CORE-8 APP-3 GUARD-9 AUD-4 `npm run demo` plays to its end, replays and verifies everything, and finds a flipped byte", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../infra/demo.ts")], {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const code = await withPatience(new Promise((resolve) => child.once("close", resolve)), "the demo did not end", 60_000);
  assert.equal(code, 0, output);
  assert.match(output, /customer-care@example\.com\s+verified, issuer urn:signalbox:demo-issuer/);
  assert.match(output, /approved\s+by fay/);
  assert.match(output, /\/amount_usd: 480 -> 450/);
  assert.match(output, /guard\.stopped|stop s1/);
  for (const run of ["refund-assistant_demo", "refund-assistant_demo-injected", "ledger-clerk_demo"]) {
    assert.match(output, new RegExp(`identical\\s+${run}\\s+\\d+ event`));
    assert.match(output, new RegExp(`intact\\s+${run}\\s`));
  }
  assert.match(output, /identical\s+guard stops/);
  assert.match(output, /found: refund-assistant_demo, event \d+: \S.+/);
});
