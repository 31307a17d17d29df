/** In which segment of the journal a run starts, and in which it is: by the server's time and a table that is known well enough (CORE-5, law 1). The server is real; what its journal holds is written by hand. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it, mock } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type Digest, type RunId, runId } from "../../schemas/ids.ts";
import { RunHashes, runHash } from "../../schemas/run-list.ts";
import { MAX_SEGMENTS, SEGMENTS } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { ReadError } from "../../services/bus/journal.ts";
import { SegmentTable } from "../../services/bus/segment-table.ts";
import type { SegmentedReader } from "../../services/bus/segmented.ts";
import { Needs } from "../../services/coordinator/facts.ts";
import { Doubled, Placement, type PlacementOptions } from "../../services/coordinator/placement.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { JournalWriter, NS } from "../projection/journal.ts";

const MARGIN = 1000;
const T = Date.UTC(2026, 0, 31, 9, 30);
const at = (ms: number) => timestamp(T + ms);
const RUN = runId("clerk_1");
const settled = async () => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
};
/** Something of it is a question to the server, which answers when it does. */
const until = async (holds: () => boolean) => {
  for (const began = performance.now(); !holds() && performance.now() - began < 10_000; ) await settled();
};
const ALL_OPEN = SEGMENTS.slice(1);

let server: TestServer;
let nc: NatsConnection;
before(async () => {
  server = await startTestServer();
  nc = await server.connect("coordinator", "one");
});
after(() => server?.stop());

/** A journal of which the test says what stands in it, and when it is read. */
class Journal {
  readonly table = new SegmentTable(MARGIN);
  /** What is in front of each reading that was begun, in order; undefined: nothing. */
  readonly gates: (Promise<void> | undefined)[] = [];
  readonly leaders: boolean[] = [];
  /** Subjects that hold something. */
  readonly stored = new Set<string>();
  readonly looked: (number | undefined)[] = [];
  readonly #writer = new JournalWriter();
  looking: Promise<void> | undefined;

  async refresh(leader = false): Promise<SegmentTable> {
    this.leaders.push(leader);
    await this.gates[this.leaders.length - 1];
    return this.table;
  }

  async lastOf(subject: string, segment?: number): Promise<object | undefined> {
    this.looked.push(segment);
    await this.looking;
    return this.stored.has(subject) ? {} : undefined;
  }

  /** Runs start in it from this time on, ms behind {@link T}. */
  opened(segment: number, from = segment): this {
    return this.#take("segments.opened", { segment, from: at(from), by: "op" });
  }
  sealed(segment: number, runs: number, index: Digest): this {
    return this.#take("segments.sealed", { segment, runs, index });
  }
  #take(type: "segments.opened" | "segments.sealed", data: Record<string, unknown>): this {
    const [event] = this.#writer.seal("segments", "journal", [{ type, data }]);
    assert.ok(event !== undefined);
    this.table.take({ subject: event.subject, data: event.data, seq: this.table.last + 1, time: T - MARGIN, headers: new Map() });
    return this;
  }
}

let journal: Journal;
let now: number;
let documents: Map<Digest, Uint8Array>;
let fetched: Digest[];
beforeEach(() => {
  journal = new Journal();
  now = 5;
  documents = new Map();
  fetched = [];
});
const placementOn = (connection: NatsConnection, options: PlacementOptions = {}) => {
  const get = (digest: Digest) => {
    fetched.push(digest);
    const found = documents.get(digest);
    return found === undefined ? Promise.reject(new Error("not stored")) : Promise.resolve(found);
  };
  return new Placement(connection, NS, journal as unknown as SegmentedReader, { get }, { marginMs: MARGIN, now: () => now, ...options });
};
const put = (bytes: Uint8Array): Digest => {
  const digest = sha256Digest(bytes);
  documents.set(digest, bytes);
  return digest;
};
/** A list of the runs of a segment, each part of it a document. */
const list = (segment: number, ...parts: RunId[][]): Digest => {
  const hashes = parts.map((runs) => {
    const all = new RunHashes();
    for (const run of runs) all.push(run);
    return put(Buffer.concat(all.parts()));
  });
  return put(Buffer.from(JSON.stringify({ v: 1, kind: "run-list", segment, runs: parts.flat().length, parts: hashes })));
};
const unread = (time: string) => (error: unknown) => error instanceof Needs && assert.deepEqual(error.what, { table: time }) === undefined;

describe("law 1 what is known of the table of segments", () => {
  it("is nothing before it was read, from the leader; then it holds for inputs of less than a margin after the one in hand", async () => {
    const placement = placementOn(nc);
    assert.deepEqual([placement.segmentAt(at(0)), placement.maySend(1)], [undefined, false]);
    await placement.refresh(at(0));
    assert.deepEqual([-MARGIN, 0, MARGIN - 1, MARGIN].map((ms) => placement.segmentAt(at(ms))), [1, 1, 1, undefined]);
    assert.deepEqual(journal.leaders, [true]);
  });

  it("is, read with no input in hand, enough to send by and not to place by", async () => {
    const placement = placementOn(nc);
    await placement.refresh();
    assert.deepEqual([placement.segmentAt(at(0)), placement.maySend(1)], [undefined, true]);
  });

  it("is not less after a reading for an earlier input", async () => {
    const placement = placementOn(nc);
    await placement.refresh(at(0));
    for (const earlier of [at(-MARGIN), undefined]) {
      await placement.refresh(earlier);
      assert.equal(placement.segmentAt(at(MARGIN - 1)), 1);
    }
    await placement.refresh(at(1));
    assert.equal(placement.segmentAt(at(MARGIN)), 1);
  });

  it("is by our own clock believed for half a margin, and what was decided by it is sent within a margin", async () => {
    const placement = placementOn(nc);
    await placement.refresh(at(0));
    const told = [0, MARGIN / 2, MARGIN / 2 + 1, MARGIN, MARGIN + 1].map((later) => {
      now = 5 + later;
      return [placement.segmentAt(at(0)), placement.maySend(1)];
    });
    assert.deepEqual(told, [[1, true], [1, true], [undefined, true], [undefined, true], [undefined, false]]);
  });

  it("counts from when its reading began, and not from when it ended", async () => {
    const placement = placementOn(nc);
    const gate = Promise.withResolvers<void>();
    journal.gates.push(gate.promise);
    const reading = placement.refresh(at(0));
    now += MARGIN / 2 + 1;
    gate.resolve();
    await reading;
    assert.equal(placement.segmentAt(at(0)), undefined);
  });

  it("is by the wire's minute and this machine's clock, unless it is said otherwise", async (t) => {
    const placement = new Placement(nc, NS, journal as unknown as SegmentedReader, { get: () => Promise.reject(new Error("nobody asks")) });
    const clock = mock.method(performance, "now", () => now);
    t.after(() => clock.mock.restore());
    await placement.refresh(at(0));
    assert.deepEqual([placement.segmentAt(at(59_999)), placement.segmentAt(at(60_000)), placement.leadMs, placement.streams], [1, undefined, 120_000, 2]);
    now += 30_001;
    assert.equal(placement.segmentAt(at(0)), undefined);
  });

  it("is not sent by, into a segment that was sealed meanwhile", async () => {
    const placement = placementOn(nc);
    journal.opened(2).sealed(1, 0, sha256Digest("list"));
    await placement.refresh(at(0));
    assert.deepEqual([placement.maySend(1), placement.maySend(2)], [false, true]);
  });
});

describe("law 1 reading the table of segments", () => {
  it("says nothing of an input that came into hand after it had begun: the next reading begins when it has ended, well or not", async () => {
    for (const well of [true, false]) {
      journal = new Journal();
      const placement = placementOn(nc);
      const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      journal.gates.push(first.promise, second.promise);
      const early = assert[well ? "doesNotReject" : "rejects"](placement.refresh(at(0)));
      const late = placement.refresh(at(MARGIN));
      await settled();
      assert.equal(journal.leaders.length, 1);
      if (well) first.resolve();
      else first.reject(new ReadError("no answer"));
      await early;
      await until(() => journal.leaders.length >= 2);
      assert.deepEqual([journal.leaders.length, placement.segmentAt(at(0)), placement.segmentAt(at(MARGIN))], [2, well ? 1 : undefined, undefined]);
      second.resolve();
      await late;
      assert.equal(placement.segmentAt(at(MARGIN)), 1);
    }
  });

  it("is spared where it is known well enough", async () => {
    const placement = placementOn(nc);
    await placement.ensure(at(0));
    await placement.ensure(at(MARGIN - 1));
    assert.equal(journal.leaders.length, 1);
    await placement.ensure(at(MARGIN));
    assert.equal(journal.leaders.length, 2);
  });

  it("is shared by those who need no later one; who needs it, or is with one that failed, reads for itself", async () => {
    for (const [well, needed, readings] of [[true, 0, 1], [true, MARGIN, 2], [false, 0, 2]] as const) {
      journal = new Journal();
      const own = placementOn(nc);
      const gate = Promise.withResolvers<void>();
      journal.gates.push(gate.promise);
      const begun = assert[well ? "doesNotReject" : "rejects"](own.refresh(at(0)));
      const ensured = own.ensure(at(needed));
      await settled();
      assert.equal(journal.leaders.length, 1);
      if (well) gate.resolve();
      else gate.reject(new ReadError("no answer"));
      await Promise.all([begun, ensured]);
      assert.deepEqual([journal.leaders.length, own.segmentAt(at(needed))], [readings, 1]);
    }
  });
});

describe("CORE-5 the place of a run that starts", () => {
  const fresh = () => ({ ns: NS, name: RUN, subject: subjects.log(NS, "run", RUN), looked: journal.table.last }) as Parameters<Placement["place"]>[0];

  it("is the segment that the time of its start belongs to", async () => {
    journal.opened(2, 50);
    const placement = placementOn(nc);
    await placement.refresh(at(0));
    for (const [ms, segment] of [[49, 1], [50, 2]] as const) {
      const run = fresh();
      placement.place(run, at(ms));
      assert.deepEqual([run.segment, run.subject], [segment, subjects.log(NS, "run", RUN, segment)]);
    }
  });

  it("is not known before the table is read, nor when the run was looked for in fewer segments", async () => {
    const placement = placementOn(nc);
    assert.throws(() => placement.place(fresh(), at(0)), unread(at(0)));
    await placement.refresh(at(0));
    const run = fresh();
    journal.opened(2, 50);
    assert.throws(() => placement.place(run, at(0)), unread(at(0)));
    assert.deepEqual([run.segment, run.subject], [undefined, subjects.log(NS, "run", RUN)]);
  });
});

describe("CORE-5 what the table's own inputs are decided by", () => {
  it("is looked at for each of them: the table is read first, and once", async () => {
    const placement = placementOn(nc);
    const arrival = { input: { time: at(0) } };
    assert.throws(() => placement.facts(arrival), unread(at(0)));
    await placement.refresh(at(0));
    assert.deepEqual(placement.facts(arrival), { kind: "segments", streams: 2, lead_ms: 2 * MARGIN });
    assert.throws(() => placement.facts({ input: { time: at(0) } }), unread(at(0)));
  });

  it("is the next segment's stream, if there is one; never one beyond the last that there can be", async () => {
    const placement = placementOn(nc);
    assert.equal(placement.streams, 1, "nothing is known of any before the table is read");
    await placement.refresh();
    assert.equal(placement.streams, 2);
    // streams are laid two ahead of what holds something
    journal.opened(2);
    await placement.refresh();
    assert.equal(placement.streams, 3);
    journal.opened(3);
    await placement.refresh();
    assert.equal(placement.streams, 3);
    for (const segment of ALL_OPEN.slice(2)) journal.opened(segment);
    await placement.refresh();
    assert.equal(placement.streams, MAX_SEGMENTS);
  });

  it("is no more than what is open while a coordinator runs that knows of no segments", async () => {
    let together = false;
    const placement = placementOn(nc, { together: () => together });
    await placement.refresh();
    assert.equal(placement.streams, 1);
    journal.opened(2);
    assert.equal(placement.streams, 2);
    together = true;
    await placement.refresh();
    assert.equal(placement.streams, 3);
  });

  it("is asked of the server only where that is not known, and a server that does not answer is no missing stream", async () => {
    const away = await server.connect("coordinator", "away");
    const known = placementOn(away);
    await known.refresh();
    await away.close();
    await known.refresh();
    assert.equal(known.streams, 2);
    journal.opened(2);
    const failed = await known.refresh().catch((error: unknown) => error);
    assert.ok(failed instanceof ReadError && failed.cause instanceof Error && failed.message === failed.cause.message);
    for (const segment of ALL_OPEN.slice(1)) journal.opened(segment);
    const full = placementOn(away);
    await full.refresh();
    assert.equal(full.streams, MAX_SEGMENTS);
  });
});

describe("CORE-5 where a run is", () => {
  const inSegments = (...segments: number[]) => {
    for (const segment of segments) journal.stored.add(subjects.log(NS, "run", RUN, segment));
  };

  it("needs no looking up where there was never another segment", async () => {
    assert.equal(await placementOn(nc).find(RUN), 1);
    assert.deepEqual(journal.looked, []);
  });

  it("is asked of every segment in which something may still happen, each by its own subject", async () => {
    journal.opened(2).opened(3);
    for (const segment of [1, 2, 3]) {
      journal.stored.clear();
      inSegments(segment);
      assert.equal(await placementOn(nc).find(RUN), segment);
    }
    assert.deepEqual(journal.looked, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    journal.stored.clear();
    assert.equal(await placementOn(nc).find(RUN), undefined);
  });

  it("law 8: is nowhere to be said when two hold it", async () => {
    journal.opened(2);
    inSegments(1, 2);
    await assert.rejects(placementOn(nc).find(RUN), (error: Error) => error instanceof Doubled && error.name === "Doubled");
  });

  it("is read from the lists of sealed segments where no open one holds it: each list once, an empty one never", async () => {
    const others = [runId("clerk_2"), runId("clerk_3")];
    journal.opened(2).opened(3).opened(4).sealed(1, 2, list(1, [RUN], [others[0] as RunId])).sealed(2, 0, sha256Digest("nothing")).sealed(3, 1, list(3, [others[1] as RunId]));
    const placement = placementOn(nc);
    assert.deepEqual(await Promise.all([RUN, ...others, runId("clerk_4")].map((run) => placement.find(run))), [1, 1, 3, undefined]);
    assert.deepEqual([new Set(journal.looked), new Set(fetched).size, fetched.length], [new Set([4]), 5, 5]);
    const [first] = [...documents.values()];
    assert.deepEqual(Buffer.from(first ?? []), Buffer.from(runHash(RUN)));
  });

  it("is asked of the lists only when no open segment holds it", async () => {
    journal.opened(2).sealed(1, 1, list(1, [RUN]));
    inSegments(2);
    assert.equal(await placementOn(nc).find(RUN), 2);
    assert.deepEqual(fetched, []);
  });

  it("is by its list also where the only segment is sealed", async () => {
    journal.sealed(1, 1, list(1, [RUN]));
    const placement = placementOn(nc);
    assert.deepEqual([await placement.find(RUN), await placement.find(runId("clerk_2")), journal.looked], [1, undefined, []]);
  });

  it("is not said by a list that could not be read, and the next who asks reads it again", async () => {
    const index = list(1, [RUN]);
    journal.opened(2).sealed(1, 1, index);
    const bytes = documents.get(index) as Uint8Array;
    documents.delete(index);
    const placement = placementOn(nc);
    await assert.rejects(placement.find(RUN), /not stored/);
    documents.set(index, bytes);
    assert.equal(await placement.find(RUN), 1);
  });

  it("is found by the table as it is known, or as an input's time demands; and by which table is said", async () => {
    const placement = placementOn(nc);
    journal.opened(2);
    inSegments(2);
    assert.deepEqual([await placement.locate(RUN), journal.leaders.length], [{ segment: 2, looked: 1 }, 0]);
    const gate = Promise.withResolvers<void>();
    journal.looking = gate.promise;
    const locating = placement.locate(RUN, at(0));
    await until(() => journal.looked.length >= 4);
    journal.opened(3);
    gate.resolve();
    assert.deepEqual([await locating, journal.leaders.length], [{ segment: 2, looked: 1 }, 1]);
  });
});
