/** The next segment of a journal is opened, and an old one sealed, when it is time (CORE-5): by what the server says of its streams. The server is real; the journal is written by hand, and what the keeper says is heard by the test. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it, mock } from "node:test";
import type { Logger } from "pino";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type RunId, actor } from "../../schemas/ids.ts";
import { listed, runHash, runListSchema } from "../../schemas/run-list.ts";
import { positionOf, segmentStream } from "../../schemas/segments.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { Documents } from "../../services/bus/documents.ts";
import type { ReadRange } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { apiRequest } from "../../services/bus/replies.ts";
import { SegmentTable } from "../../services/bus/segment-table.ts";
import type { SegmentedReader } from "../../services/bus/segmented.ts";
import { shred } from "../../services/bus/shred.ts";
import type { Placement } from "../../services/coordinator/placement.ts";
import { type KeeperSettings, SegmentKeeper } from "../../services/coordinator/segment-keeper.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { JournalWriter, NS, started } from "../projection/journal.ts";
import { Written } from "./written.ts";

const ended = { type: "run.completed" as const, to: "completed" };
const LONG_AGO = Date.UTC(2026, 0, 31);

let server: TestServer;
let nc: NatsConnection;
/** Subjects in the streams of the first two segments. */
let held: readonly [number, number];
const subjectsIn = async (segment: number) => ((await apiRequest(nc, `STREAM.INFO.${segmentStream(NS, segment)}`, undefined, 5000))["state"] as { num_subjects: number }).num_subjects;
before(async () => {
  server = await startTestServer();
  nc = await server.connect("coordinator", "one");
  const publisher = new Publisher(nc);
  for (const segment of [1, 2]) for (let n = 0; n <= segment; n++) await publisher.publish(subjects.log(NS, "run", `full_${n}`, segment), Buffer.from("x"));
  held = [await subjectsIn(1), await subjectsIn(2)];
  assert.notEqual(held[0], held[1]);
});
after(() => server?.stop());

let table: SegmentTable;
let written: Written;
/** As `written` was read. */
let ranges: ReadRange[];
let streams: number;
let owns: boolean;
let refreshes: number;
/** Stands in front of reading the table. */
let gate: Promise<void> | undefined;
let said: { readonly subject: string; readonly body: unknown; readonly headers: unknown }[];
let documents: Map<string, { readonly bytes: Uint8Array; readonly type: string }>;
let told: { readonly level: string; readonly fields: Record<string, unknown> }[];
const writer = new JournalWriter();
beforeEach(() => {
  [table, written, documents] = [new SegmentTable(0), new Written(), new Map<string, { readonly bytes: Uint8Array; readonly type: string }>()];
  [ranges, said, told] = [[], [], []];
  [streams, owns, refreshes, gate] = [2, true, 0, undefined];
});
/** An event of the table. */
const put = (type: "segments.opened" | "segments.sealed", data: Record<string, unknown>) => {
  for (const { subject, data: bytes } of writer.seal("segments", "journal", [{ type, data }])) table.take({ subject, data: bytes, seq: table.last + 1, time: 0, headers: new Map() });
};
/** Runs start in it from then on, ms since the epoch. */
const opened = (segment: number, from: number) => put("segments.opened", { segment, from: timestamp(from), by: "op" });
const keeperOf = (settings: KeeperSettings = {}) => {
  const log = (level: string) => (fields: Record<string, unknown>) => told.push({ level, fields });
  return new SegmentKeeper({
    nc,
    ns: NS,
    journal: {
      read: (range: ReadRange) => (ranges.push(range), written.read(range)),
      lastOf: (subject: string, segment: number) => written.lastOf(subject, segment),
    } as unknown as SegmentedReader,
    placement: {
      table,
      get streams() {
        return streams;
      },
      refresh: () => ((refreshes += 1), gate ?? Promise.resolve()),
    } as unknown as Placement,
    documents: {
      put: (bytes: Uint8Array, type: string) => {
        const digest = sha256Digest(bytes);
        documents.set(digest, { bytes, type });
        return Promise.resolve(digest);
      },
    } as unknown as Documents,
    publisher: { publish: (subject: string, data: Uint8Array, headers: unknown) => Promise.resolve(said.push({ subject, body: JSON.parse(Buffer.from(data).toString()), headers })) } as unknown as Publisher,
    owns: () => owns,
    log: { warn: log("warn"), error: log("error"), info: log("info") } as unknown as Logger,
    ...settings,
  });
};
const TABLE = "segments:journal";
const json = { "content-type": "application/json" };
const bodies = () => said.map(({ body }) => body as { name: string; segment: number; runs?: number; index?: string });

describe("CORE-5 rounds of looking", () => {
  it("one coordinator looks, the one to whom the table's inputs come, and only while it runs", async () => {
    const keeper = keeperOf();
    owns = false;
    await keeper.look();
    assert.equal(refreshes, 0);
    owns = true;
    await keeper.look();
    assert.equal(refreshes, 1);
    keeper.stop();
    await keeper.look();
    assert.equal(refreshes, 1);
  });

  it("there is one at a time: who asks meanwhile waits for it, who asks later begins another", async () => {
    const keeper = keeperOf();
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    const both = [keeper.look(), keeper.look()];
    open.resolve();
    await Promise.all(both);
    assert.equal(refreshes, 1);
    await keeper.look();
    assert.equal(refreshes, 2);
  });

  it("one that fails is told of and fails nobody; the next tries again", async () => {
    const keeper = keeperOf();
    gate = Promise.reject(new Error("no answer"));
    await keeper.look();
    assert.deepEqual(told, [{ level: "warn", fields: { error: "Error: no answer" } }]);
    gate = undefined;
    await keeper.look();
    assert.deepEqual([refreshes, told.length], [2, 1]);
  });

  it("there is one every minute, or as often as it is said, until the keeper is stopped; none keeps a process alive", async (t) => {
    const begun: { readonly tick: () => void; readonly ms: number; readonly timer: NodeJS.Timeout }[] = [];
    const cleared: unknown[] = [];
    const real = globalThis.setInterval;
    const mocks = [
      mock.method(globalThis, "setInterval", (tick: () => void, ms: number) => {
        const timer = real(() => undefined, ms);
        begun.push({ tick, ms, timer });
        return timer;
      }),
      mock.method(globalThis, "clearInterval", (timer: unknown) => cleared.push(timer)),
    ];
    t.after(() => {
      for (const one of mocks) one.mock.restore();
      for (const { timer } of begun) clearInterval(timer);
    });
    const keeper = keeperOf();
    keeper.start();
    keeperOf({ everyMs: 50 }).start();
    assert.deepEqual(begun.map(({ ms, timer }) => [ms, timer.hasRef()]), [[60_000, false], [50, false]]);
    begun[0]?.tick();
    assert.equal(refreshes, 1);
    keeper.stop();
    assert.deepEqual(cleared, [begun[0]?.timer]);
  });
});

describe("CORE-5 opening the next segment", () => {
  it("is asked for when the newest holds as many runs as it should, and not before", async () => {
    await keeperOf({ maxRuns: held[0] + 1 }).look();
    assert.deepEqual(said, []);
    await keeperOf({ maxRuns: held[0] }).look();
    assert.deepEqual(said, [{ subject: subjects.signal(NS, TABLE, TABLE, "open"), body: { name: "open", id: "open-2", segment: 2 }, headers: json }]);
  });

  it("goes by the newest segment alone", async () => {
    opened(2, LONG_AGO);
    streams = 3;
    written.add("a_1", started());
    await keeperOf({ maxRuns: held[1] + 1 }).look();
    assert.deepEqual(said, []);
    await keeperOf({ maxRuns: held[1] }).look();
    assert.deepEqual(bodies(), [{ name: "open", id: "open-3", segment: 3 }]);
  });

  it("is an alarm where the next has no stream", async () => {
    streams = 1;
    await keeperOf({ maxRuns: held[0] }).look();
    assert.deepEqual([said, told], [[], [{ level: "error", fields: { alarm: "segments", segment: 1, runs: held[0] } }]]);
  });

  it("does not come about at the few runs that a test has, unless it is said otherwise", async () => {
    await keeperOf().look();
    assert.deepEqual([said, told], [[], []]);
  });
});

describe("CORE-5 sealing a segment", () => {
  const SOON = { sealAfterMs: 0 };
  beforeEach(() => {
    written.add("a_1", started());
    written.add("a_2", started());
    written.add("a_1", ended);
  });

  it("never comes about while runs start in it", async () => {
    written.add("a_2", ended);
    await keeperOf(SOON).look();
    assert.deepEqual([said, ranges], [[], []]);
  });

  it("comes about when its last run has come to its end: a list of its runs is stored first, and names every one", async () => {
    opened(2, LONG_AGO);
    const keeper = keeperOf(SOON);
    await keeper.look();
    assert.deepEqual(said, []);
    // a run has more events than ten, and is one run
    for (let n = 0; n < 12; n++) written.add("a_2", { type: "run.paused", to: "paused" });
    written.add("a_2", ended);
    await keeper.look();
    const [seal] = bodies();
    assert.deepEqual(said, [{ subject: subjects.signal(NS, TABLE, TABLE, "seal"), body: { name: "seal", id: "seal-1", segment: 1, runs: 2, index: seal?.index }, headers: json }]);
    const index = documents.get(seal?.index ?? "");
    const list = runListSchema.parse(JSON.parse(Buffer.from(index?.bytes ?? []).toString()));
    assert.deepEqual([index?.type, list.segment, list.runs, list.parts.length], ["application/json", 1, 2, 1]);
    const parts = list.parts.map((part) => documents.get(part));
    assert.deepEqual(parts.map((part) => part?.type), ["application/octet-stream"]);
    assert.deepEqual(["a_1", "a_2", "a_3"].map((run) => listed(parts.map((part) => part?.bytes as Uint8Array), runHash(run as RunId))), [true, true, false]);
    assert.deepEqual(told, [{ level: "info", fields: { segment: 1, runs: 2, index: seal?.index } }]);
  });

  it("reads on from where the round before ended; once it is over, another one would read it anew", async () => {
    opened(2, LONG_AGO);
    const keeper = keeperOf(SOON);
    await keeper.look();
    written.add("a_2", ended);
    await keeper.look();
    await keeper.look();
    assert.deepEqual(ranges.map(({ segment, fromSeq, pageSize }) => [segment, fromSeq, pageSize]), [[1, 1, 2000], [1, 4, 2000], [1, 1, 2000]]);
    assert.deepEqual(said[1], said[0], "the same is said again");
  });

  it("is of each segment by itself: one that was sealed is over, and one without a run is sealed with an empty list", async () => {
    opened(2, LONG_AGO);
    opened(3, LONG_AGO + 1);
    put("segments.sealed", { segment: 1, runs: 2, index: sha256Digest("list") });
    const keeper = keeperOf(SOON);
    await keeper.look();
    const [seal] = bodies();
    assert.deepEqual([said.length, seal?.segment, seal?.runs], [1, 2, 0]);
    assert.deepEqual(ranges.map(({ segment, fromSeq }) => [segment, fromSeq]), [[2, positionOf(2, 0) + 1]]);
    table = new SegmentTable(0);
    opened(2, LONG_AGO);
    written.messages.length = 0;
    await keeperOf(SOON).look();
    assert.deepEqual(bodies().map(({ segment, runs }) => [segment, runs]), [[2, 0], [1, 0]]);
  });

  it("waits for a copy of the stream that lags behind its leader", async () => {
    opened(2, LONG_AGO);
    written.add("a_2", ended);
    const lastOf = mock.method(written, "lastOf", () => Promise.resolve({ ...written.messages.at(-1), seq: written.messages.length + 1 }));
    await keeperOf(SOON).look();
    assert.deepEqual([said, documents.size], [[], 0]);
    lastOf.mock.restore();
    await keeperOf(SOON).look();
    assert.equal(said.length, 1);
  });

  it("is broken off when the keeper is stopped, before a segment and within one", async () => {
    opened(2, LONG_AGO);
    written.add("a_2", ended);
    const early = keeperOf(SOON);
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    const looking = early.look();
    early.stop();
    open.resolve();
    await looking;
    assert.deepEqual([ranges, said], [[], []]);
    gate = undefined;
    const late = keeperOf(SOON);
    const within = written.within.bind(written);
    mock.method(written, "within", function* (range: ReadRange) {
      for (const one of within(range)) {
        yield one;
        if (range.fromSeq !== undefined) late.stop();
      }
    });
    await late.look();
    assert.deepEqual([ranges.length, said, documents.size], [1, [], 0]);
  });

  it("waits an hour after the last run has started in it, by the server's clock, or as long as it is said", async () => {
    written.add("a_2", ended);
    const { ts } = (await apiRequest(nc, `STREAM.INFO.${streamName("INBOX", NS)}`, undefined, 5000)) as unknown as { ts: string };
    for (const [settings, waits] of [[{}, 3_600_000], [{ sealAfterMs: 60_000 }, 60_000]] as const) {
      for (const [ago, over] of [[waits - 20_000, false], [waits, true]] as const) {
        table = new SegmentTable(0);
        opened(2, Date.parse(ts) - ago);
        said = [];
        await keeperOf(settings).look();
        assert.deepEqual(bodies().map(({ name }) => name), over ? ["seal"] : [], `${ago} ms ago`);
      }
    }
  });

  it("waits while a start that belongs into it is not decided, in either stream of inputs", async () => {
    written.add("a_2", ended);
    const agent = await server.connect("agent", "clerk");
    const operator = await server.connect("operator", "op");
    for (const [kind, sender, subject] of [["INBOX", agent, subjects.input(NS, "propose", actor("clerk"), "clerk_1")], ["CONTROL", operator, subjects.input(NS, "control", actor("op"), "clerk_1")]] as const) {
      const { seq } = await new Publisher(sender).publish(subject, Buffer.from("{}"));
      const { state } = (await apiRequest(nc, `STREAM.INFO.${streamName(kind, NS)}`, undefined, 5000)) as unknown as { state: { first_ts: string } };
      const first = Date.parse(state.first_ts);
      for (const [from, over] of [[first + 1, false], [first, true]] as const) {
        table = new SegmentTable(0);
        opened(2, from);
        said = [];
        await keeperOf(SOON).look();
        assert.deepEqual(bodies().map(({ name }) => name), over ? ["seal"] : [], kind);
      }
      await shred(nc, streamName(kind, NS), seq);
    }
  });
});
