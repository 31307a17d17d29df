import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { withPatience } from "../harness/plane.ts";

test("CORE-6 CORE-8 `npm run demo` plays to its end, replays and verifies everything, and finds a flipped byte", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../infra/demo.ts")], {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const code = await withPatience(new Promise((resolve) => child.once("close", resolve)), "the demo did not end", 60_000);
  assert.equal(code, 0, output);
  assert.match(output, /customer-care@example\.com\s+claimed, not verified/);
  assert.match(output, /approved by\s+ada|approved\s+by ada/);
  assert.match(output, /identical\s+refund-assistant_demo\s+32 event\(s\)/);
  assert.match(output, /intact\s+refund-assistant_demo/);
  assert.match(output, /found: .*, event \d+: its link is not the hash of event \d+/);
});
