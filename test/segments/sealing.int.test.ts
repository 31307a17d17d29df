/** A segment in which nothing can happen any more is sealed, and a list of its runs answers for it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type EventData } from "../../schemas/event.ts";
import { type RunId } from "../../schemas/ids.ts";
import { segmentOf } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import { segmentFaults } from "../../services/bus/configured.ts";
import { Documents } from "../../services/bus/documents.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { closeSegments, provision } from "../../services/bus/streams.ts";
import { SegmentTable } from "../../services/bus/segment-table.ts";
import { SegmentedReader } from "../../services/bus/segmented.ts";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import { liveRunsOf } from "../../services/coordinator/live-runs.ts";
import { Placement } from "../../services/coordinator/placement.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { type Office, startOffice, types } from "../coordinator/office.ts";
import type { TestActor } from "../harness/plane.ts";
import { MARGIN_MS, nextSegment, told } from "./office.ts";

let office: Office;
let clerk: TestActor;
let coordinator: Coordinator;
const options = { segments: { marginMs: MARGIN_MS, sealAfterMs: 0, maxRuns: 40 } };
before(async () => {
  office = await startOffice({ coordinator: false });
  coordinator = await office.coordinator(options);
  await office.applyDefaults();
  clerk = await office.agent("clerk");
});
after(() => office?.stop());

const finish = (run: string) => clerk.propose(run, { kind: "finish", id: "f" });

test("CORE-5 the next segment is opened by itself when the newest holds enough runs, and once", async () => {
  for (let i = 0; i < 40; i++) await office.begin(clerk, `clerk_full-${i}`);
  const opened = await told(office, "segments.opened", () => coordinator.lookAfterSegments());
  assert.equal((opened.body.data as unknown as EventData<"segments.opened">).segment, 2);
  await coordinator.lookAfterSegments();
  await coordinator.lookAfterSegments();
  let run = "";
  for (let i = 0; segmentOf((await office.events(run || "clerk_full-0"))[0]?.streamSeq ?? 0) === 1; i++) await office.begin(clerk, (run = `clerk_then-${i}`));
  const journal = new SegmentedReader(await office.server.connect("auditor", "one"), office.ns, new SegmentTable(MARGIN_MS));
  assert.deepEqual((await journal.refresh()).segments.map(({ segment, counts }) => [segment, counts]), [[1, true], [2, true]]);
});

test("CORE-5 a segment with a live run is not sealed; with none it is, and its list names every run of it", async () => {
  const reader = await office.server.connect("coordinator", "lister");
  const live = await liveRunsOf(new SegmentedReader(reader, office.ns), office.ns);
  const first = live.filter((run) => run.startsWith("clerk_full"));
  await coordinator.lookAfterSegments();
  const journal = new SegmentedReader(reader, office.ns);
  assert.equal((await journal.refresh()).segments[0]?.sealed, undefined);
  for (const run of live) await finish(run);
  const sealed = await told(office, "segments.sealed", () => coordinator.lookAfterSegments());
  const { segment, runs } = sealed.body.data as unknown as EventData<"segments.sealed">;
  assert.equal(segment, 1);
  assert.ok(runs >= first.length, `${runs} of ${first.length}`);
  assert.equal((await journal.refresh()).segments[0]?.sealed?.runs, runs);
});

class Counting extends SegmentedReader {
  readonly asked: (number | undefined)[] = [];
  override lastOf(subject: string, segment?: number): Promise<StoredMessage | undefined> {
    this.asked.push(segment);
    return super.lastOf(subject, segment);
  }
}

test("CORE-5 the list of a sealed segment answers for its runs, and its stream is not asked", async () => {
  const nc = await office.server.connect("coordinator", "by-list");
  const journal = new Counting(nc, office.ns, new SegmentTable(MARGIN_MS));
  const placement = new Placement(nc, office.ns, journal, new Documents(nc, new Publisher(nc), office.ns), { marginMs: MARGIN_MS });
  await placement.refresh();
  for (let i = 0; i < 40; i++) assert.equal(await placement.find(`clerk_full-${i}` as RunId), 1);
  assert.equal(await placement.find("clerk_nobody" as RunId), undefined);
  assert.deepEqual([...new Set(journal.asked)], [2]);
});

test("CORE-5 an old id is answered as it stands by a coordinator that knows it from the list alone, and is not started again", async () => {
  await coordinator.stop();
  coordinator = await office.coordinator(options);
  const again = await office.begin(clerk, "clerk_full-7");
  assert.equal(again.status, "started");
  const heard = await clerk.hear("propose", "clerk_full-7", { kind: "start", id: "second", agent: { name: "clerk" }, goal: "again" });
  assert.notEqual(heard.status, "started");
  assert.deepEqual(types(await office.events("clerk_full-7")), ["run.started", "run.completed"]);
  assert.deepEqual((await office.events("clerk_full-7")).map(({ streamSeq }) => segmentOf(streamSeq)), [1, 1]);
});

test("CORE-6 the table of segments replays byte for byte, the third segment is opened by hand, and a sealed one owes nothing", async () => {
  await nextSegment(office, clerk, 3);
  const reader = await office.server.connect("coordinator", "final");
  const journal = new SegmentedReader(reader, office.ns);
  const checked = await checkAll(journal, office.ns);
  assert.deepEqual(checked.flatMap(({ replay, verify }) => [replay.difference ?? [], verify.fault ?? []].flat()), []);
  const live = await liveRunsOf(journal, office.ns);
  assert.ok(live.length > 0);
  assert.ok(live.every((run) => run.startsWith("clerk_s3")), live.join(" "));
});

test("CORE-5 law 8: the stream of a sealed segment is closed for ever: nothing is added, and everything is read as before", async () => {
  const reader = await office.server.connect("coordinator", "closer");
  const journal = new SegmentedReader(reader, office.ns, new SegmentTable(MARGIN_MS));
  if ((await journal.refresh()).segments[1]?.sealed === undefined) {
    for (const run of await liveRunsOf(journal, office.ns)) if (segmentOf((await office.events(run))[0]?.streamSeq ?? 0) === 2) await finish(run);
    await told(office, "segments.sealed", () => coordinator.lookAfterSegments());
  }
  const provisioning = await office.server.connect("provision", "closing");
  const sealed = (await journal.refresh()).segments.filter((one) => one.sealed !== undefined).map(({ segment }) => segment);
  assert.deepEqual(sealed, [1, 2]);
  const before = await checkAll(journal, office.ns);
  await closeSegments(provisioning, office.ns, sealed);
  await closeSegments(provisioning, office.ns, sealed);
  await provision(provisioning, office.ns);
  const publisher = new Publisher(reader);
  const forged = { subject: subjects.log(office.ns, "run", "clerk_forged", 2), data: Buffer.from("x") };
  await assert.rejects(publisher.batch([forged]), /sealed/);
  assert.deepEqual(await checkAll(journal, office.ns), before);
  // an operator is told of a stream that is not as it must be, and this one is
  for (const segment of [2, 3]) assert.deepEqual(await segmentFaults(reader, office.ns, segment), []);
  // the first segment goes on for what is not a run
  await office.approver("newcomer");
  await office.begin(clerk, "clerk_after-all");
});
