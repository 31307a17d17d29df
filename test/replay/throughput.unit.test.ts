/** What replay costs, printed and not judged: the machine that runs the tests is shared. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { journal, throughput } from "./throughput.ts";

test("CORE-6 a journal is replayed, and replayed and verified, at a speed that is printed", async (context) => {
  const { events, replay_events_per_s, replay_verified_events_per_s } = await throughput(journal(30, 10));
  context.diagnostic(`${events} events: ${replay_events_per_s}/s replayed, ${replay_verified_events_per_s}/s replayed and verified, by processor time`);
  assert.ok(replay_events_per_s > 0 && replay_verified_events_per_s > 0);
});
