import assert from "node:assert/strict";
import { test } from "node:test";
import { shareLines, sharesOfProfile } from "./shares.ts";

const frame = (functionName: string, url = "") => ({ functionName, url });

test("the processor's time is told by who asked for it, idle time left out", () => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame("(root)"), children: [2, 3, 4, 6] },
      { id: 2, callFrame: frame("(idle)") },
      { id: 3, callFrame: frame("(garbage collector)") },
      { id: 4, callFrame: frame("seal", "file:///somewhere/services/bus/commit.ts"), children: [5] },
      { id: 5, callFrame: frame("hash", "node:internal/crypto/hash") },
      { id: 6, callFrame: frame("parse", "file:///somewhere/node_modules/zod/v4/core/parse.js") },
    ],
    samples: [2, 3, 4, 5, 6, 1],
    timeDeltas: [9_000_000, 100_000, 200_000, 300_000, 200_000, 200_000],
  };
  const found = sharesOfProfile("a", profile);
  assert.deepEqual(found, { profile: "a", busy_s: 1, shares: [["services/bus", 50], ["zod", 20], ["node", 20], ["collecting garbage", 10]] });
  assert.deepEqual(shareLines([found]), ["a: 1 s: services/bus 50 %, zod 20 %, node 20 %, collecting garbage 10 %"]);
});
