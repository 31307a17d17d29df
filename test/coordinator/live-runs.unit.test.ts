/** The index of live runs as a coordinator keeps it: from a file that is of this journal, and what the journal holds behind it (law 4, CORE-5). */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import type { Logger } from "pino";
import { sha256Digest } from "../../schemas/canonical.ts";
import { positionOf } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { ReadRange, StoredMessage, StreamReader } from "../../services/bus/journal.ts";
import { SegmentTable } from "../../services/bus/segment-table.ts";
import { SegmentedReader } from "../../services/bus/segmented.ts";
import { LiveRunIndex, liveRunsOf } from "../../services/coordinator/live-runs.ts";
import { liveFile, readLive, segmentFile, writeLive } from "../../services/projection/live-file.ts";
import { JournalWriter, NS, started } from "../projection/journal.ts";
import { Written } from "./written.ts";

const ended = { type: "run.completed" as const, to: "completed" };
const settled = async () => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** The same, of several segments. */
class Segmented extends SegmentedReader {
  readonly written: Written;
  readonly known = new SegmentTable();
  readonly leaders: boolean[] = [];
  readonly #writer = new JournalWriter();

  constructor(written: Written) {
    // it reads nothing from a server: all that would ask one is told by hand
    super({ options: {} } as unknown as NatsConnection, NS);
    this.written = written;
  }
  put(type: "segments.opened" | "segments.sealed", data: Record<string, unknown>): this {
    for (const event of this.#writer.seal("segments", "journal", [{ type, data }])) this.known.take({ ...event, seq: this.known.last + 1, time: 0, headers: new Map() });
    return this;
  }
  override refresh(leader = false): Promise<SegmentTable> {
    this.leaders.push(leader);
    return Promise.resolve(this.known);
  }
  override read(range: ReadRange): AsyncGenerator<StoredMessage, void, undefined> {
    return this.written.read(range);
  }
  override lastOf(subject: string, segment?: number): Promise<StoredMessage | undefined> {
    return this.written.lastOf(subject, segment);
  }
}

describe("law 4 the index of live runs", () => {
  let folder: string;
  let file: string;
  let written: Written;
  /** What was logged: a file that was written, and one that could not be. */
  let told: Record<string, unknown>[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "signalbox-live-runs-"));
    file = liveFile(folder, NS);
    written = new Written();
    told = [];
    written.add("a_1", started());
    written.add("a_2", started());
    written.add("a_2", ended);
    written.add("a_3", started());
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const log = { debug: (fields: Record<string, unknown>) => told.push(fields), warn: (fields: Record<string, unknown>) => told.push(fields) } as unknown as Logger;
  const on = (journal: unknown, kept: string | undefined = file) => new LiveRunIndex({ journal: journal as StreamReader, ns: NS, file: kept, log });
  const kept = () => readLive(file, NS);

  it("says which runs may owe something, where the first event of each is, and keeps that in the data folder", async () => {
    const index = on(written);
    assert.deepEqual(await index.runs(), ["a_1", "a_3"]);
    assert.deepEqual(["a_1", "a_2", "a_3"].map((run) => index.first(subjects.log(NS, "run", run))), [1, undefined, 4]);
    assert.equal(index.first(subjects.log(NS, "run", "a_1", 2)), undefined);
    assert.deepEqual(kept()?.runs.map(([run]) => run), ["a_1", "a_3"]);
    assert.deepEqual(told, [{ segment: 1, from: 0, to: 4, live: 2 }]);
    assert.deepEqual(await liveRunsOf(written as unknown as StreamReader, NS), ["a_1", "a_3"]);
  });

  it("without a data folder keeps nothing, and says the same", async () => {
    const index = new LiveRunIndex({ journal: written as unknown as StreamReader, ns: NS, log });
    assert.deepEqual([await index.runs(), told], [["a_1", "a_3"], []]);
    const journal = new Segmented(written).put("segments.opened", { segment: 2, from: "2026-01-31T09:30:00.000Z", by: "op" });
    assert.deepEqual(await new LiveRunIndex({ journal, ns: NS, log }).runs(), ["a_1", "a_3"]);
  });

  it("goes on from what it knows, and from what the file holds: nothing is read twice, and nothing written that stands there", async () => {
    const index = on(written);
    await index.runs();
    written.add("a_4", started());
    assert.deepEqual(await index.runs(), ["a_1", "a_3", "a_4"]);
    const text = readFileSync(file, "utf8");
    assert.deepEqual(await on(written).runs(), ["a_1", "a_3", "a_4"]);
    await index.runs();
    assert.deepEqual([written.readings, told.length, readFileSync(file, "utf8") === text], [["1:1", "1:5"], 2, true]);
  });

  it("writes no empty index of a journal without runs", async () => {
    written.messages.length = 0;
    assert.deepEqual([await on(written).runs(), kept(), told], [[], undefined, []]);
  });

  it("believes a file only that is of this journal, and itself more than a file that is not newer", async () => {
    const index = on(written);
    await index.runs();
    const snapshot = kept();
    assert.ok(snapshot !== undefined);
    writeLive(file, { ...snapshot, mark: "00", runs: [] });
    assert.deepEqual(await on(written).runs(), ["a_1", "a_3"]);
    writeLive(file, { ...snapshot, runs: [] });
    assert.deepEqual(await index.runs(), ["a_1", "a_3"]);
    assert.deepEqual(await on(written).runs(), [], "one that knows nothing believes it");
  });

  it("forgets what it knows when the journal was put back and went on otherwise", async () => {
    const index = on(written, join(folder, "another.json"));
    await index.runs();
    const other = new Written();
    for (let n = 1; n < 8; n++) other.add(`b_${n}`, started());
    written.messages.splice(0, 4, ...other.messages);
    assert.deepEqual(await index.runs(), ["b_1", "b_2", "b_3", "b_4", "b_5", "b_6", "b_7"]);
  });

  it("is right where it cannot be written, says so, and is written as soon as it can", async () => {
    writeFileSync(join(folder, "index"), "in the way");
    const index = on(written);
    assert.deepEqual(await index.runs(), ["a_1", "a_3"]);
    assert.deepEqual([told.length, told[1]?.["file"], String(told[1]?.["error"]).startsWith("Error: ")], [2, file, true]);
    rmSync(join(folder, "index"));
    await index.runs();
    assert.deepEqual(kept()?.runs.map(([run]) => run), ["a_1", "a_3"]);
  });

  it("two who ask at once read once; a reading that fails keeps nobody from the next", async () => {
    const gate = Promise.withResolvers<void>();
    written.gate = gate.promise;
    const index = on(written);
    const asked = [index.runs(), index.runs()];
    gate.resolve();
    assert.deepEqual(await Promise.all(asked), [["a_1", "a_3"], ["a_1", "a_3"]]);
    assert.deepEqual(written.readings, ["1:1"]);
    written.gate = Promise.reject(new Error("no answer"));
    await assert.rejects(index.runs(), /no answer/);
    written.gate = undefined;
    assert.deepEqual(await index.runs(), ["a_1", "a_3"]);
  });

  it("a look takes over what somebody else keeps, and reads only where nobody does", async () => {
    const [index, other] = [on(written), on(written)];
    await index.runs();
    written.add("a_4", started());
    await other.runs();
    written.add("a_5", started());
    written.readings.length = 0;
    await index.look();
    assert.deepEqual([written.readings, index.first(subjects.log(NS, "run", "a_4")), index.first(subjects.log(NS, "run", "a_5"))], [[], 5, undefined]);
    await index.look();
    assert.deepEqual([written.readings, index.first(subjects.log(NS, "run", "a_5"))], [["1:6"], 6]);
  });

  it("a look that reads reads twenty thousand events, and leaves the rest to the next; who asks is told all", async () => {
    const [first] = written.messages;
    assert.ok(first !== undefined);
    written.messages.length = 0;
    for (let seq = 1; seq <= 40_001; seq++) written.messages.push({ ...first, seq });
    const index = on(written);
    await index.look();
    await index.look();
    await index.runs();
    assert.deepEqual(told.map(({ to }) => to), [20_000, 40_000, 40_001]);
  });

  it("CORE-5: is of every segment in which something may still happen, each in a file of its own, and of no other", async () => {
    const journal = new Segmented(written).put("segments.opened", { segment: 2, from: "2026-01-31T09:30:00.000Z", by: "op" });
    written.add("a_7", started(), 2);
    const index = on(journal);
    assert.deepEqual([await index.runs(), await liveRunsOf(journal, NS)], [["a_1", "a_3", "a_7"], ["a_1", "a_3", "a_7"]]);
    assert.deepEqual([index.first(subjects.log(NS, "run", "a_1")), index.first(subjects.log(NS, "run", "a_7", 2))], [1, positionOf(2, 1)]);
    assert.deepEqual(readLive(segmentFile(file, 2), NS)?.runs.map(([run]) => run), ["a_7"]);
    assert.deepEqual(told.map(({ segment, from, to }) => [segment, from, to]), [[1, 0, 4], [2, positionOf(2, 0), positionOf(2, 1)]]);
    // another process goes on from both files
    written.readings.length = 0;
    assert.deepEqual([await on(journal).runs(), written.readings], [["a_1", "a_3", "a_7"], []]);
    written.add("a_8", started(), 2);
    assert.deepEqual([await index.runs(), written.readings], [["a_1", "a_3", "a_7", "a_8"], ["2:2"]]);
    journal.put("segments.sealed", { segment: 1, runs: 4, index: sha256Digest("list") });
    assert.deepEqual([await index.runs(), await liveRunsOf(journal, NS)], [["a_7", "a_8"], ["a_7", "a_8"]]);
    assert.deepEqual([index.first(subjects.log(NS, "run", "a_1")), index.first(subjects.log(NS, "run", "a_7", 2))], [undefined, positionOf(2, 1)]);
    assert.ok(journal.leaders.every((leader) => leader), "of a stale table a run would be missed");
  });

  it("CORE-5: a segment without runs gives no file", async () => {
    const journal = new Segmented(written).put("segments.opened", { segment: 2, from: "2026-01-31T09:30:00.000Z", by: "op" });
    await on(journal).runs();
    assert.deepEqual([readLive(segmentFile(file, 2), NS), told.length], [undefined, 1]);
  });

  describe("kept near the journal's end", () => {
    let intervals: NodeJS.Timeout[];
    let cleared: unknown[];
    /** What a timer does, when it is time. */
    let ticks: (() => void)[];
    beforeEach(() => {
      [intervals, ticks, cleared] = [[], [], []];
      const real = globalThis.setInterval;
      mock.method(globalThis, "clearInterval", (timer: unknown) => cleared.push(timer));
      mock.method(globalThis, "setInterval", (tick: () => void, ms: number) => {
        const timer = real(() => undefined, ms);
        intervals.push(timer);
        ticks.push(tick);
        assert.equal(ms, 30_000);
        return timer;
      });
    });
    afterEach(() => {
      mock.restoreAll();
      for (const timer of intervals) clearInterval(timer);
    });

    it("it is looked at every half a minute, once for all who say so, and keeps no process alive", async () => {
      const index = on(written);
      index.keep();
      index.keep();
      assert.deepEqual(intervals.map((timer) => timer.hasRef()), [false]);
      ticks[0]?.();
      for (let n = 0; n < 50 && told.length === 0; n++) await settled();
      assert.deepEqual(kept()?.runs.map(([run]) => run), ["a_1", "a_3"]);
      index.stop();
      assert.deepEqual(cleared, intervals);
      index.keep();
      assert.equal(intervals.length, 2, "who was stopped may begin again");
    });

    it("a look that fails fails nobody: the next one comes", async () => {
      const index = on(written);
      index.keep();
      written.gate = Promise.reject(new Error("no answer"));
      const strays: unknown[] = [];
      const stray = (error: unknown) => strays.push(error);
      process.on("unhandledRejection", stray);
      ticks[0]?.();
      await settled();
      process.off("unhandledRejection", stray);
      assert.deepEqual(strays, []);
    });

    it("without a data folder there is nothing to keep", () => {
      const index = new LiveRunIndex({ journal: written as unknown as StreamReader, ns: NS, log });
      index.keep();
      index.stop();
      assert.equal(intervals.length, 0);
    });
  });
});
