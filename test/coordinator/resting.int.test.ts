/** A coordinator that keeps hardly anything awake: runs rest between their inputs, and nobody notices (law 4). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { type Office, startOffice, types } from "./office.ts";

let office: Office;
before(async () => {
  office = await startOffice({ coordinator: false });
  await office.coordinator({ awake: 2 });
  await office.applyDefaults();
});
after(() => office?.stop());

test("CORE-5 EXEC-9 runs that rest between their inputs go on as they were: claims, duplicates, approvals and their bytes", async () => {
  const [clerk, asker, ann, gateway] = [await office.agent("clerk"), await office.agent("asker"), await office.approver("ann"), await office.gateway("gw-rest")];
  const names = Array.from({ length: 12 }, (_, n) => `clerk_rest-${n}`);
  const actions = new Map<string, string>();
  for (const run of names) await office.begin(clerk, run);
  for (const run of names) actions.set(run, (await office.ask(clerk, run, "w", "t.write", "approved")).action as string);
  // a request of which its run knows nothing any more but what rested
  await office.begin(asker, "asker_rest");
  await office.ask(asker, "asker_rest", "w", "t.write", "pending");
  for (const run of names) assert.equal((await gateway.claim(run, actions.get(run) as string)).verdict, "granted");
  const second = await office.gateway("gw-late");
  for (const run of names) assert.equal((await second.claim(run, actions.get(run) as string)).verdict, "refused");
  for (const run of names) assert.equal((await gateway.report(run, { action: actions.get(run) as string, status: "succeeded", output: { text: "x" } })).verdict, "recorded");
  for (const run of names) assert.equal((await office.ask(clerk, run, "w", "t.write", "succeeded")).status, "succeeded");
  const { data } = (await office.event("asker_rest", "approval.requested")).body;
  await ann.send("decide", "asker_rest", { id: "d", request: data["request"], digest: data["digest"], decision: "approve" });
  await office.event("asker_rest", "action.dispatched");
  for (const run of names) {
    const found = types(await office.events(run));
    assert.deepEqual(found.filter((type) => type === "action.started" || type === "action.verified"), ["action.started", "action.verified"], run);
  }
  const journal = new StreamReader(await office.server.connect("auditor", "checker"), streamName("JOURNAL", office.ns));
  for (const { replay, verify } of await checkAll(journal, office.ns)) {
    assert.deepEqual([replay.difference, verify.fault, replay.identical], [undefined, undefined, replay.events], replay.name);
  }
});
