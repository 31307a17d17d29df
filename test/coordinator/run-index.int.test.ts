/** The disposable run index on a real journal: whatever is wrong with it, no live run is lost (law 4). */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { pino } from "pino";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { apiRequest } from "../../services/bus/replies.ts";
import { loadAggregate } from "../../services/coordinator/aggregates.ts";
import { LiveRunIndex, liveRunsOf } from "../../services/coordinator/live-runs.ts";
import { liveFile, readLive, writeLive } from "../../services/projection/live-file.ts";
import { startReader } from "../../services/projection/reader.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { JournalWriter, NS, started } from "../projection/journal.ts";
import { dispatchesOf, startOffice } from "./office.ts";

const log = pino({ enabled: false });
const completed = { type: "run.completed" as const, to: "completed" };

describe("the run index of a data folder", () => {
  let server: TestServer;
  let writer: JournalWriter;
  let journal: StreamReader;
  let folder: string;
  let file: string;
  before(async () => {
    server = await startTestServer();
    const nc = await server.connect("coordinator", "c1");
    writer = new JournalWriter(nc);
    journal = new StreamReader(nc, streamName("JOURNAL", NS));
    folder = mkdtempSync(join(tmpdir(), "signalbox-run-index-"));
    file = liveFile(folder, NS);
    await writer.commit("tool", "t.write", [{ type: "tool.applied", data: { document: "x", version: 1 } }]);
    for (const run of ["a_1", "a_2", "a_3"]) await writer.commit("run", run, [started()]);
    await writer.commit("run", "a_2", [completed]);
  });
  after(async () => {
    writer.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => rmSync(file, { force: true }));
  const index = (on = journal) => new LiveRunIndex({ journal: on, ns: NS, file, log });
  const truth = () => liveRunsOf(journal, NS);
  let count = 10;
  /** Something more happens: a run begins, another one ends. */
  const more = async () => {
    await writer.commit("run", `a_${++count}`, [started()]);
    await writer.commit("run", `a_${++count}`, [started(), completed]);
  };

  it("is made where there is none, and gone on from where there is one (CORE-5)", async () => {
    assert.deepEqual(await index().runs(), ["a_1", "a_3"]);
    const made = readLive(file, NS);
    assert.deepEqual(made?.runs.map(([run]) => run), ["a_1", "a_3"]);
    await more();
    assert.deepEqual(await index().runs(), await truth());
    assert.ok((readLive(file, NS)?.position ?? 0) > (made?.position ?? 0));
  });

  it("one process that asks again hears what others stored meanwhile", async () => {
    const asked = index();
    await asked.runs();
    await more();
    assert.deepEqual(await asked.runs(), await truth());
  });

  it("deleted, cut off or overwritten while a coordinator runs, it is made again", async () => {
    const asked = index();
    await asked.runs();
    rmSync(file);
    await more();
    assert.deepEqual(await asked.runs(), await truth());
    assert.deepEqual(readLive(file, NS)?.runs.map(([run]) => run), await truth());
  });

  it("an older one costs reading and no run", async () => {
    await index().runs();
    copyFileSync(file, `${file}.old`);
    await more();
    await index().runs();
    await more();
    copyFileSync(`${file}.old`, file);
    assert.deepEqual(await index().runs(), await truth());
  });

  it("one of a journal that is put back from a backup is ahead of it, and is thrown away", async () => {
    const snapshot = await madeUp();
    writeLive(file, { ...snapshot, position: snapshot.position + 1000, runs: [] });
    assert.deepEqual(await index().runs(), await truth());
    assert.deepEqual(readLive(file, NS)?.runs.map(([run]) => run), await truth());
  });

  it("one of a journal that went on otherwise from a backup is thrown away, though the journal is longer by now", async () => {
    const other = await startTestServer();
    try {
      const nc = await other.connect("coordinator", "c2");
      const elsewhere = new StreamReader(nc, streamName("JOURNAL", NS));
      const fork = new JournalWriter(nc);
      for (const run of ["b_1", "b_2"]) await fork.commit("run", run, [started()]);
      assert.deepEqual(await index(elsewhere).runs(), ["b_1", "b_2"]);
      assert.deepEqual(await index().runs(), await truth());
      fork.close();
    } finally {
      await other.stop();
    }
  });

  it("what a process knows of a journal is thrown away too when that journal went on from a backup while it ran", async () => {
    const other = await startTestServer();
    const asked = index();
    try {
      const nc = await other.connect("coordinator", "c3");
      const fork = new JournalWriter(nc);
      for (let n = 1; n < 40; n++) await fork.commit("run", `c_${n}`, [started()]);
      // the same index, whose connection comes back to another store
      const moving = { current: journal };
      const both = new Proxy(journal, { get: (_, key) => (Reflect.get(moving.current, key) as (...args: unknown[]) => unknown).bind(moving.current) });
      const first = new LiveRunIndex({ journal: both, ns: NS, log });
      assert.deepEqual(await first.runs(), await truth());
      moving.current = new StreamReader(nc, streamName("JOURNAL", NS));
      assert.deepEqual(await first.runs(), await liveRunsOf(moving.current, NS));
      fork.close();
    } finally {
      asked.stop();
      await other.stop();
    }
  });

  it("a look takes over what somebody else keeps, and reads for itself where nobody does", async () => {
    const one = index();
    await one.runs();
    await more();
    const other = index();
    await other.runs();
    const kept = readLive(file, NS)?.position;
    await more();
    // the other one's file is newer: nothing is read
    await one.look();
    assert.equal(readLive(file, NS)?.position, kept);
    await one.look();
    assert.equal(readLive(file, NS)?.position, (await journal.info()).lastSeq);
    assert.deepEqual(readLive(file, NS)?.runs.map(([run]) => run), await truth());
  });

  it("a first sequence that is wrong costs a second reading and no event", async () => {
    const subject = subjects.log(NS, "run", "a_1");
    const events = [];
    for await (const message of journal.read({ subject })) events.push(message.seq);
    const [first = 0] = events;
    await writer.commit("run", "a_1", [{ type: "run.paused", to: "paused" }]);
    for (const wrong of [first + 1, first + 1_000_000]) {
      // written by hand, it is nothing that a machine would say: it is read whole, and then refused
      await assert.rejects(loadAggregate(journal, NS, "run", "a_1", { first: () => wrong }), ({ name, message }: Error) => name !== "Frozen" && !/does not follow/.test(message));
    }
  });

  it("a reader keeps it while events come, so that a coordinator beside it has nothing to read (CORE-5)", async () => {
    const nc = await server.connect("reader", "r1");
    const reader = await startReader({ nc, ns: NS, dataDir: folder });
    const { lastSeq } = await journal.info();
    assert.equal(readLive(file, NS)?.position, lastSeq);
    await more();
    assert.ok(await reader.follower.current(5_000));
    await reader.stop();
    assert.deepEqual(readLive(file, NS)?.runs.map(([run]) => run), await truth());
    // and goes on from it at its next start
    await more();
    const again = await startReader({ nc, ns: NS, dataDir: folder });
    assert.deepEqual(readLive(file, NS)?.runs.map(([run]) => run), await truth());
    await again.stop();
  });

  async function madeUp() {
    await index().runs();
    const snapshot = readLive(file, NS);
    assert.ok(snapshot !== undefined);
    return snapshot;
  }
});

it("EXEC-9 a coordinator that starts from the run index pays what is owed, also of runs that others began meanwhile", async () => {
  const office = await startOffice({ coordinator: false });
  const folder = mkdtempSync(join(tmpdir(), "signalbox-run-index-"));
  const options = { liveFile: liveFile(folder, office.ns) };
  const kept = () => readLive(options.liveFile, office.ns)?.runs.map(([run]) => run);
  try {
    const queue = await dispatchesOf(office, "t.write");
    const dispatched = async (...runs: string[]) => {
      for (const run of runs) await queue.next((found) => found.run === run);
      queue.found.length = 0;
    };
    const publisher = new Publisher(await office.server.connect("coordinator", "repeater"));
    // A stream takes no second dispatch of a name within its window of deduplication: of one that waits in the queue it
    // needs none, and the queue of this test keeps nothing. What was stored before this has been forgotten after it.
    let windows = 0;
    const windowPassed = async () => {
      // a name of its own: that of the window before may not be forgotten yet, and would be so too soon for this one
      const name = `window-${++windows}`;
      const once = () => publisher.publish(subjects.dispatch(office.ns, "t.window"), new Uint8Array(), { "Nats-Msg-Id": name });
      await once();
      let duplicate: boolean;
      do ({ duplicate } = await once());
      while (duplicate);
      // what the one before repeated by itself is nothing that the next one paid
      queue.found.length = 0;
    };
    // An input whose acknowledgement is still under way when one stops comes to the next one again, which then pays what is
    // owed after it without having looked into the index.
    const provisioner = await office.server.connect("provision", "looker");
    const decided = async () => {
      for (const kind of ["INBOX", "CONTROL"] as const) {
        const left = async () => ((await apiRequest(provisioner, `STREAM.INFO.${streamName(kind, office.ns)}`, undefined, 5000))["state"] as { messages: number }).messages;
        while ((await left()) > 0);
      }
    };
    const ask = async (run: string) => {
      const agent = await office.agent("clerk");
      await office.begin(agent, run);
      await office.ask(agent, run, "w", "t.write", "approved");
    };
    const first = await office.coordinator();
    await office.applyDefaults();
    await ask("clerk_before");
    await dispatched("clerk_before");
    await decided();
    await first.stop();
    await windowPassed();
    const second = await office.coordinator(options);
    await dispatched("clerk_before");
    assert.deepEqual(kept(), ["clerk_before"]);
    await decided();
    await second.stop();
    await windowPassed();
    const third = await office.coordinator();
    await dispatched("clerk_before");
    await ask("clerk_meanwhile");
    await dispatched("clerk_meanwhile");
    await decided();
    await third.stop();
    await windowPassed();
    assert.deepEqual(kept(), ["clerk_before"]);
    await office.coordinator(options);
    await dispatched("clerk_before", "clerk_meanwhile");
    assert.deepEqual(kept(), ["clerk_before", "clerk_meanwhile"]);
    publisher.close();
  } finally {
    await office.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
