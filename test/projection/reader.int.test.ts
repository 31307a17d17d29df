/** The role `reader` on a real server: index, tail, fan-out. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import type { Msg, NatsConnection } from "../../services/bus/connection.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { streamConfig } from "../../services/bus/streams.ts";
import { JournalFollower } from "../../services/projection/follower.ts";
import { RunIndex } from "../../services/projection/index-store.ts";
import { startReader } from "../../services/projection/reader.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { granted, JournalWriter, NS, proposed, requested, started } from "./journal.ts";

const state = (index: RunIndex) => ({
  runs: index.runs({ limit: 1000 }),
  approvals: index.runs({ limit: 1000 }).flatMap(({ run }) => index.approvalsOf(run)),
  documents: index.documents(),
  alarms: index.alarms(),
});

describe("the reader", () => {
  let server: TestServer;
  let nc: NatsConnection;
  let writer: JournalWriter;
  let folder: string;
  before(async () => {
    server = await startTestServer();
    nc = await server.connect("reader", "r1");
    writer = new JournalWriter(await server.connect("coordinator", "c1"));
    folder = await mkdtemp(join(tmpdir(), "signalbox-index-"));
  });
  after(async () => {
    writer.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  /** Everything that a subscription hears, until the last event of the journal's sequence came. */
  async function heard(on: NatsConnection, subject: string, cause: () => Promise<unknown>, count: number): Promise<Msg[]> {
    const messages: Msg[] = [];
    const all = Promise.withResolvers<void>();
    const subscription = on.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) messages.push(message);
        if (messages.length >= count) all.resolve();
      },
    });
    await on.flush();
    await cause();
    await all.promise;
    subscription.unsubscribe();
    return messages;
  }

  it("an index that is built as events happen equals one that is rebuilt from the journal (CORE-5)", async () => {
    const reader = await startReader({ nc, ns: NS, dataDir: folder });
    await writer.commit("tool", "stripe.refund", [{ type: "tool.applied", data: { document: `sha256:${"a".repeat(64)}`, version: 1 } }]);
    await writer.commit("run", "refunds_1", [started()]);
    await writer.commit("run", "refunds_1", [proposed("a2"), requested("refunds_1", "a2", "q3")]);
    await writer.commit("run", "refunds_2", [started()]);
    await writer.commit("run", "refunds_2", [proposed("a2"), requested("refunds_2", "a2", "q3")]);
    const last = await writer.commit("run", "refunds_2", [granted("a2", "q3"), { type: "run.completed", to: "completed" }]);
    assert.ok(await reader.follower.reached(last, 5_000));
    const live = state(reader.index);
    assert.deepEqual(live.runs.map(({ run, state, waiting, team }) => ({ run, state, waiting, team })), [
      { run: "refunds_2", state: "completed", waiting: 0, team: "Customer Ops" },
      { run: "refunds_1", state: "active", waiting: 1, team: "Customer Ops" },
    ]);
    assert.deepEqual(reader.index.openApprovals().map(({ run, request, tool }) => ({ run, request, tool })), [
      { run: "refunds_1", request: "q3", tool: "stripe.refund" },
    ]);
    await reader.stop();
    const rebuilt = await startReader({ nc, ns: NS, dataDir: undefined });
    assert.deepEqual(state(rebuilt.index), live);
    await rebuilt.stop();
  });

  it("a restart resumes from the checkpoint, and takes what was stored meanwhile once", async () => {
    const last = await writer.commit("run", "refunds_1", [granted("a2", "q3")]);
    const index = RunIndex.open(join(folder, "index", "default.sqlite"));
    const checkpoint = index.checkpoint;
    index.close();
    assert.equal(checkpoint, last - 1);
    const taken: number[] = [];
    const spy = { name: "spy", from: checkpoint + 1, take: (batch: readonly StoredMessage[]) => void taken.push(...batch.map(({ seq }) => seq)) };
    const reader = await startReader({ nc, ns: NS, dataDir: folder, listeners: [spy] });
    assert.deepEqual(taken, [last]);
    assert.equal(reader.index.run("refunds_1")?.waiting, 0);
    assert.deepEqual(reader.index.alarms(), []);
    await reader.stop();
  });

  it("what the live tail lost is read from the journal, in order and once", async () => {
    const admin = await server.connect("provision", "gap");
    const config = streamConfig("JOURNAL", NS, { replicas: 1 });
    const update = (more: object) => admin.request(`$JS.API.STREAM.UPDATE.${streamName("JOURNAL", NS)}`, JSON.stringify({ ...config, ...more }), { timeout: 5_000 });
    const taken: number[] = [];
    const from = (await writer.commit("run", "refunds_gap", [started()])) + 1;
    const follower = new JournalFollower(nc, NS, [{ name: "spy", from, take: (batch) => void taken.push(...batch.map(({ seq }) => seq)) }]);
    await follower.start();
    await writer.commit("run", "refunds_gap", [proposed("a2")]);
    // without republishing the tail is deaf: a real gap
    const { republish: _, ...silent } = config as Record<string, unknown>;
    await admin.request(`$JS.API.STREAM.UPDATE.${streamName("JOURNAL", NS)}`, JSON.stringify(silent), { timeout: 5_000 });
    for (const action of ["a3", "a4", "a5"]) await writer.commit("run", "refunds_gap", [proposed(action)]);
    await update({});
    const last = await writer.commit("run", "refunds_gap", [proposed("a6")]);
    assert.ok(await follower.reached(last, 5_000));
    assert.deepEqual(taken, Array.from({ length: last - from + 1 }, (_, index) => from + index));
    await follower.stop();
  });

  it("a loss at the very end of the tail is noticed after a silence", async () => {
    const admin = await server.connect("provision", "gap2");
    const config = streamConfig("JOURNAL", NS, { replicas: 1 });
    const { republish: _, ...silent } = config as Record<string, unknown>;
    const change = (to: object) => admin.request(`$JS.API.STREAM.UPDATE.${streamName("JOURNAL", NS)}`, JSON.stringify(to), { timeout: 5_000 });
    const from = (await writer.commit("run", "refunds_end", [started()])) + 1;
    const follower = new JournalFollower(nc, NS, [{ name: "spy", from, take: () => undefined }], { idleMs: 50 });
    await follower.start();
    await change(silent);
    const last = await writer.commit("run", "refunds_end", [proposed("a2")]);
    assert.ok(await follower.reached(last, 5_000));
    await change(config);
    await follower.stop();
  });

  it("a listener that fails gets the same batch again, and the others do not (back-pressure)", async () => {
    const alarms: string[] = [];
    const good: number[] = [];
    const bad: number[] = [];
    let failures = 2;
    const from = (await writer.commit("run", "refunds_fail", [started()])) + 1;
    const follower = new JournalFollower(
      nc,
      NS,
      [
        { name: "good", from, take: (batch) => void good.push(...batch.map(({ seq }) => seq)) },
        {
          name: "bad",
          from,
          take: (batch) => {
            if (failures-- > 0) throw new Error("disk full");
            bad.push(...batch.map(({ seq }) => seq));
          },
        },
      ],
      { onAlarm: (message) => alarms.push(message) },
    );
    await follower.start();
    const last = await writer.commit("run", "refunds_fail", [proposed("a2")]);
    assert.ok(await follower.reached(last, 5_000));
    assert.deepEqual({ good, bad }, { good: [last], bad: [last] });
    assert.match(alarms[0] ?? "", /`bad` cannot take the journal/);
    await follower.stop();
  });

  it("events are fanned out by type and by team with their stored bytes, and a developer hears only their team (CORE-9, OPS-3)", async () => {
    const reader = await startReader({ nc, ns: NS, dataDir: folder });
    const subscriber = await server.connect("subscriber", "s1");
    const developer = await server.connect("developer", "d1", undefined, { team: "Customer Ops" });
    const mine = heard(developer, patterns.team(NS, "Customer Ops"), async () => undefined, 2);
    await developer.flush();
    const messages = await heard(
      subscriber,
      patterns.events(NS),
      async () => {
        await writer.commit("run", "refunds_others", [started("Billing")]);
        await writer.commit("run", "refunds_fan", [started()]);
        await writer.commit("run", "refunds_fan", [proposed("a2")]);
      },
      3,
    );
    assert.deepEqual(messages.map(({ subject }) => subject), [
      subjects.event(NS, "run.started", "refunds_others"),
      subjects.event(NS, "run.started", "refunds_fan"),
      subjects.event(NS, "action.proposed", "refunds_fan"),
    ]);
    assert.equal(messages[2]?.headers?.get("ce-id"), "refunds_fan:2");
    assert.equal(messages[2]?.headers?.get("ce-specversion"), "1.0");
    const { body } = decodeEvent({ subject: "", seq: 0, time: 0, headers: new Map(), data: messages[2]!.data });
    assert.equal(body.type, "action.proposed");
    assert.deepEqual((await mine).map(({ subject }) => subject), [
      subjects.team(NS, "Customer Ops", "run.started", "refunds_fan"),
      subjects.team(NS, "Customer Ops", "action.proposed", "refunds_fan"),
    ]);
    await reader.stop();
  });

  it("an index that is thrown away is rebuilt without telling subscribers the past again", async () => {
    await rm(join(folder, "index"), { recursive: true });
    const subscriber = await server.connect("subscriber", "s2");
    const [only] = await heard(
      subscriber,
      patterns.events(NS),
      async () => {
        const reader = await startReader({ nc, ns: NS, dataDir: folder });
        assert.ok(reader.index.runs().length >= 5);
        const last = await writer.commit("run", "refunds_anew", [started()]);
        await reader.follower.reached(last, 5_000);
        await reader.stop();
      },
      1,
    );
    assert.equal(only?.subject, subjects.event(NS, "run.started", "refunds_anew"));
  });

  it("an index of another journal is emptied, and made anew from the first event (law 4)", async () => {
    await rm(join(folder, "index"), { recursive: true });
    const index = RunIndex.open(join(folder, "index", "default.sqlite"));
    const other = new JournalWriter();
    const strange = other.seal("run", "refunds_strange", [started()]).map((event, i) => ({
      subject: event.subject, seq: i + 1, time: 0, headers: new Map(Object.entries(event.headers)), data: event.data,
    }));
    index.apply(strange);
    index.close();
    const reader = await startReader({ nc, ns: NS, dataDir: folder });
    assert.equal(reader.index.run("refunds_strange"), undefined);
    const rebuilt = await startReader({ nc, ns: NS, dataDir: undefined });
    assert.deepEqual(state(reader.index), state(rebuilt.index));
    assert.ok(rebuilt.index.run("refunds_1"));
    await rebuilt.stop();
    await reader.stop();
  });

  it("a message that is no event raises an alarm and stops nothing (law 8)", async () => {
    const reader = await startReader({ nc, ns: NS, dataDir: folder });
    const rogue = await server.connect("coordinator", "rogue");
    const ack = await rogue.request(subjects.log(NS, "run", "refunds_1"), "junk", { timeout: 2_000 });
    const { seq } = ack.json<{ seq: number }>();
    assert.ok(await reader.follower.reached(seq, 5_000));
    assert.deepEqual(reader.index.alarms().map(({ stream_seq, why }) => ({ stream_seq, why })), [{ stream_seq: seq, why: "no event of this plane" }]);
    await reader.stop();
  });

  it("a server that was away loses no event for a listener", async () => {
    const taken: number[] = [];
    const from = (await writer.commit("run", "refunds_away", [started()])) + 1;
    const follower = new JournalFollower(nc, NS, [{ name: "spy", from, take: (batch) => void taken.push(...batch.map(({ seq }) => seq)) }]);
    await follower.start();
    await server.restart();
    const other = new JournalWriter(await server.connect("coordinator", "c2"));
    other.seal("run", "refunds_away", [started()]);
    const last = await other.commit("run", "refunds_away", [proposed("a2")]);
    assert.ok(await follower.reached(last, 10_000));
    assert.deepEqual(taken, [last]);
    other.close();
    await follower.stop();
  });
});
