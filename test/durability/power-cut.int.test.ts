/** What the embedded default promises: an acknowledged message outlives a power cut. All settings: `npm run durability`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noDisk } from "./disk.ts";
import { once } from "./once.ts";

test("CORE-5 a power cut under load loses nothing that was acknowledged, when every write is synchronised", async (t) => {
  const why = await noDisk();
  if (why !== undefined) return t.skip(`no power can be cut here: ${why}`);
  const { acknowledged, lost } = await once("always", "power cut");
  assert.ok(acknowledged > 0);
  assert.equal(lost, 0);
});
