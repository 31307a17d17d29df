/** A journal of several streams: a run stays in the segment of its first event, and no id is started twice. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { segmentOf } from "../../schemas/segments.ts";
import { SegmentedReader } from "../../services/bus/segmented.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { type Office, types } from "../coordinator/office.ts";
import type { TestActor } from "../harness/plane.ts";
import { QUICK, nextSegment, segmentOffice } from "./office.ts";

let office: Office;
let clerk: TestActor;
let asker: TestActor;
before(async () => {
  office = await segmentOffice();
  clerk = await office.agent("clerk");
  asker = await office.agent("asker");
});
after(() => office?.stop());

const segmentsOf = async (run: string) => [...new Set((await office.events(run)).map(({ streamSeq }) => segmentOf(streamSeq)))];

test("CORE-5 a run stays in the segment of its first event, and new ones start in the next", async () => {
  await office.begin(clerk, "clerk_old");
  assert.deepEqual(await segmentsOf("clerk_old"), [1]);
  const run = await nextSegment(office, clerk, 2);
  await clerk.propose(run, { kind: "note", id: "n", text: "in the second" });
  await clerk.propose("clerk_old", { kind: "note", id: "n", text: "still in the first" });
  assert.deepEqual(await segmentsOf(run), [2]);
  assert.deepEqual(await segmentsOf("clerk_old"), [1]);
  assert.deepEqual(types(await office.events(run)), ["run.started", "note.recorded"]);
});

test("CORE-5 a coordinator that starts anew finds a run wherever it is, and answers an old id as it stands", async () => {
  await office.coordinator(QUICK);
  const again = await office.begin(clerk, "clerk_old");
  assert.equal(again.status, "started");
  assert.deepEqual(await segmentsOf("clerk_old"), [1]);
  const other = await clerk.hear("propose", "clerk_old", { kind: "start", id: "another", agent: { name: "clerk" }, goal: "again" });
  assert.notEqual(other.status, "started");
  assert.deepEqual(types(await office.events("clerk_old")), ["run.started", "note.recorded"]);
});

test("CORE-5 effects go out of a run of a later segment: dispatch, claim, report, approval and timer", async () => {
  const run = "clerk_work";
  await office.begin(clerk, run);
  assert.deepEqual(await segmentsOf(run), [2]);
  const gateway = await office.gateway("gw-seg");
  await clerk.send("propose", run, { kind: "tool", id: "w", tool: "t.write", input: {} });
  const { body } = await office.event(run, "action.dispatched");
  const action = body.data["action"] as string;
  assert.equal((await gateway.claim(run, action)).verdict, "granted");
  await gateway.report(run, { action, status: "succeeded", output: {} });
  assert.equal((await clerk.answer(run, ({ id, status }) => id === "w" && status === "succeeded")).status, "succeeded");
  await office.begin(asker, "asker_waits");
  await asker.send("propose", "asker_waits", { kind: "tool", id: "w", tool: "t.write", input: {} });
  const { body: request } = await office.event("asker_waits", "approval.requested");
  const ann = await office.approver("ann");
  await ann.send("decide", "asker_waits", { id: "d", request: request.data["request"], decision: "approve", digest: request.data["digest"] });
  await office.event("asker_waits", "action.dispatched");
  assert.deepEqual(await segmentsOf("asker_waits"), [2]);
});

test("CORE-6 AUD-1 every aggregate of every segment replays byte for byte, and its chain verifies", async () => {
  const journal = new SegmentedReader(await office.server.connect("auditor", "checker"), office.ns);
  const checked = await checkAll(journal, office.ns);
  assert.deepEqual(checked.flatMap(({ replay, verify }) => [replay.difference ?? [], verify.fault ?? []].flat()), []);
  for (const name of ["clerk_old", "clerk_work", "journal"]) assert.ok(checked.some(({ verify }) => verify.name === name), name);
});
