/** Effects that are tried again must not undo what came after them. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, test } from "node:test";
import { type Office, startOffice } from "../coordinator/office.ts";

/** Long enough that the older of two effects waits longer until its next try than the newer one. */
const OUTAGE_MS = 1_500;

let office: Office;
beforeEach(async () => (office = await startOffice()));
afterEach(() => office.stop());

test("EXEC-9 EXEC-6: an older timer of an action that could not be armed in time does not replace the newer one", async () => {
  const [agent, gateway] = [await office.agent("clerk"), await office.gateway("g1")];
  await office.begin(agent, "clerk_1");
  const { action = "" } = await office.ask(agent, "clerk_1", "t", "t.write", "approved");
  const mend = await office.cutOff("TIMERS");
  // the claim's deadline cannot be armed, and is tried again
  assert.equal((await gateway.claim("clerk_1", action)).verdict, "granted");
  await pause(OUTAGE_MS);
  // now the retry takes its place: it is due long before
  const failed = { action, status: "failed", error: { code: "x", message: "nothing was done", effect: "none" } };
  assert.equal((await gateway.report("clerk_1", failed)).verdict, "recorded");
  await mend();
  await office.event("clerk_1", "action.dispatched", ({ body }) => body.data["attempt"] === 2);
});
