/** Two coordinators that know different tables of segments: no run is started twice, and where it was, it is noticed. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { EventData } from "../../schemas/event.ts";
import type { RunId } from "../../schemas/ids.ts";
import { SEGMENT_MARGIN_MS, segmentOf } from "../../schemas/segments.ts";
import { segmentOfSubject, subjects } from "../../schemas/subjects.ts";
import { millis, timestamp } from "../../schemas/time.ts";
import { Documents } from "../../services/bus/documents.ts";
import { SegmentTable } from "../../services/bus/segment-table.ts";
import { SegmentedReader } from "../../services/bus/segmented.ts";
import type { Part } from "../../services/coordinator/committer.ts";
import { GroupCommitter } from "../../services/coordinator/committer.ts";
import type { Lane } from "../../services/coordinator/lanes.ts";
import { Placement } from "../../services/coordinator/placement.ts";
import type { Turn } from "../../services/coordinator/turn.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { pino } from "pino";
import type { Office } from "../coordinator/office.ts";
import { type Rival, arrival, rival } from "../coordinator/rival.ts";
import type { TestActor } from "../harness/plane.ts";
import { MARGIN_MS, TABLE, segmentOffice, told } from "./office.ts";

let office: Office;
let clerk: TestActor;
let stale: Rival;
let stalePlacement: Placement;
/** Time of a start that the stale one took in hand before it read the table. */
let readAt: number;
let from: number;
let second: string;

async function placementOf(name: string, now?: () => number): Promise<{ placement: Placement; journal: SegmentedReader }> {
  const nc = await office.server.connect("coordinator", name);
  const journal = new SegmentedReader(nc, office.ns, new SegmentTable(MARGIN_MS));
  return { journal, placement: new Placement(nc, office.ns, journal, new Documents(nc, stale.publisher, office.ns), { marginMs: MARGIN_MS, ...(now && { now }) }) };
}

before(async () => {
  office = await segmentOffice();
  clerk = await office.agent("clerk");
  stale = await rival(office, await office.server.connect("coordinator", "stale"));
  // its own clock stands still: what keeps it from starting anything is the server's time alone
  ({ placement: stalePlacement } = await placementOf("stale-table", () => 0));
  await office.begin(clerk, "clerk_before");
  readAt = (await office.events("clerk_before"))[0]?.storedAt ?? 0;
  await stalePlacement.refresh(timestamp(readAt));
  const operator = await office.operator("op-rivals");
  const opened = await told(office, "segments.opened", () => operator.send("control", TABLE, { verb: "open", id: "first" }));
  from = millis((opened.body.data as unknown as EventData<"segments.opened">).from);
  for (let i = 0; ; i++) {
    second = `clerk_second-${i}`;
    await office.begin(clerk, second);
    if (segmentOf((await office.events(second))[0]?.streamSeq ?? 0) === 2) break;
  }
});
after(() => office?.stop());

const start = (run: string, time: number, id = "start") => arrival(office, "propose", "clerk", run, { kind: "start", id, agent: { name: "clerk" }, goal: "test" }, time);

async function laneOf(placement: Placement, run: string, ...arrivals: Parameters<Rival["lane"]>[1][]): Promise<Lane> {
  const lane = await stale.lane(run, ...arrivals);
  if (lane.loaded !== undefined) Object.assign(lane.loaded, { looked: placement.table.last });
  return lane;
}
const turnOf = (lane: Lane, placement: Placement): Turn => stale.turn(lane, { placement });

test("CORE-5 law 1: whoever has not read the table of segments since it may have changed starts nothing", async () => {
  // of before the time at which it read, and within the margin: the table was complete for it
  const { placement } = await placementOf("fresh-then-stale");
  await placement.refresh(timestamp(readAt));
  assert.equal(placement.segmentAt(timestamp(readAt)), 1);
  assert.equal(stalePlacement.table.segments.length, 1, "it has not heard of the second");
  assert.equal(stalePlacement.segmentAt(timestamp(from)), undefined);
  const turn = turnOf(await laneOf(stalePlacement, "clerk_unread", start("clerk_unread", from)), stalePlacement);
  assert.deepEqual([turn.events.length, turn.needs], [0, { table: timestamp(from) }]);
  // nor does a server's clock that stands still help: by its own it knows that it read long ago
  let now = 0;
  const { placement: slow } = await placementOf("slow-server", () => now);
  await slow.refresh(timestamp(readAt));
  now = MARGIN_MS / 2 + 1;
  assert.equal(slow.segmentAt(timestamp(readAt)), undefined);
});

test("CORE-5 law 1: an opening leaves whoever read the table the time for which they believe it", async () => {
  const opened = (await office.events("clerk_before"))[0];
  assert.ok(opened !== undefined);
  const { journal } = await placementOf("looker");
  const table = await journal.refresh();
  const entry = table.segments[1];
  assert.deepEqual([entry?.segment, entry?.counts, entry?.from], [2, true, from]);
  // stored one margin before, at the latest: so it was unknown only to who read more than a margin before `from`
  assert.ok(from - MARGIN_MS >= readAt);
  const strict = new SegmentTable(SEGMENT_MARGIN_MS);
  for await (const message of journal.read({ subject: subjects.log(office.ns, "segments", "journal") })) strict.take(message);
  assert.equal(strict.segments[1]?.counts, false, "of an opening that came too late nobody believes anything");
  assert.equal(strict.at(from + 1), 1);
});

test("CORE-5 law 1: the stale one reads the table and comes to the same segment; the run is there already", async () => {
  const stored = (await office.events(second))[0];
  assert.ok(stored !== undefined);
  const time = millis(stored.body.cause.time);
  const { placement } = await placementOf("catches-up");
  await placement.ensure(timestamp(time));
  assert.equal(placement.segmentAt(timestamp(time)), 2);
  assert.equal(await placement.find(second as RunId), 2);
  // it looked for the run before the second was opened, and has to look again
  const early = await stale.lane(second, start(second, time, "another"));
  if (early.loaded !== undefined) Object.assign(early.loaded, { looked: 0 });
  assert.deepEqual(turnOf(early, placement).needs, { table: timestamp(time) });
  // it looked before the run was stored, as a rival does that decides at the same moment
  const turn = turnOf(await laneOf(placement, second, start(second, time, "another")), placement);
  const part = stale.part(turn);
  assert.equal(segmentOfSubject(part.subject), 2);
  const committer = new GroupCommitter(stale.publisher, (await placementOf("commits")).journal, pino({ level: "silent" }));
  assert.deepEqual((await committer.append([part])).map(({ kind }) => kind), ["moved"]);
});

test("CORE-5 what starts a run is not sent once the table may have changed, nor into a segment that was sealed", async () => {
  let now = 0;
  const { placement, journal } = await placementOf("slow", () => now);
  const time = timestamp(from + 1);
  await placement.ensure(time);
  const part = stale.part(turnOf(await laneOf(placement, "clerk_slow", start("clerk_slow", from + 1)), placement));
  const refused = new GroupCommitter(stale.publisher, journal, pino({ level: "silent" }), () => false);
  assert.deepEqual(await refused.append([part]), [{ kind: "moved" }]);
  assert.equal(await placement.find("clerk_slow" as RunId), undefined);
  // what does not start a run has its own subject's sequence for a fence
  assert.equal(placement.maySend(2), true);
  now += MARGIN_MS + 1;
  assert.equal(placement.maySend(2), false);
});

test("CORE-5 commits of several segments in one batch land each in its own stream, with positions that can be built upon", async () => {
  const { placement, journal } = await placementOf("mixed");
  await placement.ensure(timestamp(from + 1));
  const parts: Part[] = [];
  for (const [run, time] of [["clerk_mixed-new", from + 1], ["clerk_mixed-old", from - 1]] as const) {
    await placement.ensure(timestamp(from + 1));
    parts.push(stale.part(turnOf(await laneOf(placement, run, start(run, time)), placement)));
  }
  assert.deepEqual(parts.map(({ subject }) => segmentOfSubject(subject)), [2, 1]);
  const committer = new GroupCommitter(stale.publisher, journal, pino({ level: "silent" }));
  const landings = await committer.append(parts);
  const last = landings.map((landing) => (landing.kind === "stored" ? landing.last : 0));
  assert.deepEqual(last.map(segmentOf), [2, 1]);
  for (const [index, { subject }] of parts.entries()) assert.equal((await journal.lastOf(subject))?.seq, last[index]);
});

test("law 8: a run that somebody wrote into two segments is frozen, and verification names it", async () => {
  const run = "clerk_doubled";
  const { placement, journal } = await placementOf("doubler");
  await placement.ensure(timestamp(from + 1));
  const lane = await laneOf(placement, run, start(run, from + 1));
  const part = stale.part(turnOf(lane, placement));
  const elsewhere = subjects.log(office.ns, "run", run);
  const committer = new GroupCommitter(stale.publisher, journal, pino({ level: "silent" }));
  const twice = { ...part, subject: elsewhere, events: part.events.map((event) => ({ ...event, subject: elsewhere })) };
  assert.deepEqual((await committer.append([part, twice])).map(({ kind }) => kind), ["stored", "stored"]);
  await assert.rejects(placement.find(run as RunId), /stands in the segments 1 and 2/);
  const heard = await clerk.hear("propose", run, { kind: "note", id: "n", text: "which of them?" });
  assert.deepEqual([heard.status, heard.codes], ["turned away", ["run.frozen"]]);
  const faults = (await checkAll(journal, office.ns)).flatMap(({ verify }) => (verify.fault === undefined ? [] : [[verify.name, verify.fault.why]]));
  assert.deepEqual(faults, [[run, "it stands in segment 1 of the journal too"]]);
});
