/** One share of the inputs in its owner's hands: taken from the oldest, handed over whole, and nobody else's (EXEC-8). On a real server. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it, mock } from "node:test";
import type { Logger } from "pino";
import { type RunId, actor, runId } from "../../schemas/ids.ts";
import { SHARES, formerPartitions, inputTransform, patterns, shareOf, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Intake } from "../../services/bus/intake.ts";
import { consumersOf, deleteConsumer } from "../../services/bus/intake-consumer.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { apiRequest } from "../../services/bus/replies.ts";
import { shred } from "../../services/bus/shred.ts";
import { streamConfig } from "../../services/bus/streams.ts";
import { createConsumer } from "../../services/bus/work-consumer.ts";
import { Share, type ShareOptions } from "../../services/coordinator/share.ts";
import { withPatience } from "../harness/plane.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { NS } from "../projection/journal.ts";
import { Hearing, emptied } from "./hearing.ts";

const QUEUES = ["INBOX", "CONTROL", "TIMERS"] as const;
type Queue = (typeof QUEUES)[number];
const AGENT = actor("clerk");
/** A run of each share. */
const RUN = Array.from({ length: SHARES }, (_, share) => {
  for (let n = 0; ; n++) if (shareOf(`clerk_${n}`) === share) return runId(`clerk_${n}`);
});
const run = (share: number) => RUN[share] as RunId;

let server: TestServer;
let nc: NatsConnection;
let provisioner: NatsConnection;
let own: Publisher;
let agents: Publisher;
let operators: Publisher;
before(async () => {
  server = await startTestServer();
  nc = await server.connect("coordinator", "one");
  provisioner = await server.connect("provision", "one");
  own = new Publisher(nc);
  agents = new Publisher(await server.connect("agent", "clerk"));
  operators = new Publisher(await server.connect("operator", "op"));
});
after(() => server?.stop());

const consumersIn = async (queue: Queue) => (await consumersOf(nc, streamName(queue, NS), 5000)).sort();
const consumers = async () => ({ INBOX: await consumersIn("INBOX"), CONTROL: await consumersIn("CONTROL"), TIMERS: await consumersIn("TIMERS") });
const all = (...names: string[]) => ({ INBOX: names, CONTROL: names, TIMERS: names });
const none = all();

/** Whatever happens is told here. */
let hearing: Hearing;
let heard: Hearing["heard"];
const hear: Hearing["hear"] = (...said) => hearing.hear(...said);
const until: Hearing["until"] = (...asked) => hearing.until(...asked);
const whats = () => heard.map(({ what }) => what);
const count = (what: string) => whats().filter((one) => one === what).length;

beforeEach(async () => {
  hearing = new Hearing();
  heard = hearing.heard;
  for (const queue of QUEUES) await emptied(nc, queue);
});

type Wish = Partial<Pick<ShareOptions, "onInputs" | "onDropped" | "onUnshared" | "raise" | "nc">>;
/** Hears every input and timer, and acknowledges none. */
function owned(number: number, wish: Wish = {}): Share {
  const told = (level: string) => (fields: Record<string, unknown>) => hear(`${level} ${Object.keys(fields).join()}`);
  const log = {
    child: (fields: object) => {
      assert.deepEqual(fields, { share: number });
      return { info: told("info"), warn: told("warn"), debug: told("debug") };
    },
  };
  return new Share({
    nc,
    ns: NS,
    number,
    log: log as unknown as Logger,
    onInputs: (messages) => messages.forEach((message) => hear(bodyOf(message), message)),
    onDue: ({ message, input }) => hear(`due ${input.id}`, message),
    onDropped: () => hear("dropped"),
    onUnshared: () => Promise.reject(new Error("nobody asks for it")),
    raise: () => Promise.reject(new Error("nothing is in the way")),
    ...wish,
  });
}
const bodyOf = ({ data }: IntakeMessage) => Buffer.from(data).toString();
const propose = (share: number, text: string) => agents.publish(subjects.input(NS, "propose", AGENT, run(share)), Buffer.from(text));
const control = (share: number, text: string) => operators.publish(subjects.input(NS, "control", actor("op"), run(share)), Buffer.from(text));
/** Falls due at once. */
const timer = (share: number, name: string, partition: number = share) =>
  own.publish(subjects.timer(NS, run(share), name), Buffer.from(JSON.stringify({ timer: name, armed: 1 })), { "Nats-Schedule": "@at 2026-01-01T00:00:00Z", "Nats-Schedule-Target": `signalbox.${NS}.due.${partition}.${run(share)}` });
const ackAll = () => heard.forEach(({ message }) => message?.ack());
const consumer = (queue: Queue, name: string, filter: string) => createConsumer(nc, { stream: streamName(queue, NS), consumer: name, filter, ackWaitMs: 60_000, maxAckPending: 10, memory: true }, 5000);
const infoOf = async (queue: Queue, name: string) => apiRequest(nc, `CONSUMER.INFO.${streamName(queue, NS)}.${name}`, undefined, 5000) as Promise<{ num_pending: number; num_ack_pending: number; config: { mem_storage?: boolean; max_ack_pending: number } }>;

describe("EXEC-8 a share that is taken", () => {
  it("hands out its inputs and timers from the oldest, those of no other share, and goes on with what comes", async (t) => {
    await propose(2, "a");
    await propose(3, "of another");
    await control(2, "b");
    await control(3, "of another");
    const share = owned(2);
    t.after(() => share.leave());
    await share.start(5);
    assert.deepEqual(await consumers(), all("share-2-5"));
    await until(() => heard.length === 2, "what was stored");
    assert.deepEqual(whats().sort(), ["a", "b"]);
    for (const text of ["c", "d", "e"]) await propose(2, text);
    await timer(3, "of another");
    await timer(2, "wall");
    await until(() => count("due wall") === 1, "its timer");
    assert.deepEqual(whats().filter((what) => !"ab".includes(what)), ["c", "d", "e", "due wall"]);
  });

  it("law 6: has four thousand in hand at most of each stream, by consumers that the server keeps in memory", async (t) => {
    const share = owned(2);
    t.after(() => share.leave());
    await share.start(1);
    for (const queue of QUEUES) {
      const { config } = await infoOf(queue, "share-2-1");
      // those that are set aside are not in hand
      assert.deepEqual([config.mem_storage, config.max_ack_pending], [true, 4096 + 100_000]);
    }
  });

  it("EXEC-9: hands a timer out behind the inputs that were stored before it fell due", async (t) => {
    for (let n = 0; n < 30; n++) await (n % 2 === 0 ? propose : control)(4, "input");
    await timer(4, "wall");
    const timers = new Intake(nc, { stream: streamName("TIMERS", NS), consumer: "look", filter: patterns.duesOf(NS, 4) });
    while ((await timers.lastStored()) === 0);
    const share = owned(4);
    t.after(() => share.leave());
    await share.start(1);
    await until(() => count("due wall") === 1, "the timer");
    assert.deepEqual([heard.length, whats().at(-1)], [31, "due wall"]);
  });

  it("EXEC-9: does not wait with a timer for an input that is gone when its stream is taken anew", async (t) => {
    const share = owned(4);
    t.after(() => share.leave());
    await share.start(1);
    await deleteConsumer(nc, streamName("INBOX", NS), "share-4-1", 5000);
    const { seq } = await propose(4, "taken away");
    await timer(4, "wall");
    const timers = new Intake(nc, { stream: streamName("TIMERS", NS), consumer: "look", filter: patterns.duesOf(NS, 4) });
    while ((await timers.lastStored()) === 0);
    await nc.flush();
    await shred(nc, streamName("INBOX", NS), seq);
    await until(() => count("due wall") === 1, "the timer");
  });

  it("drops what is in hand when the server lost its consumer, says so, and begins with the oldest again", async (t) => {
    await propose(1, "a");
    const share = owned(1);
    t.after(() => share.leave());
    await share.start(1);
    await until(() => heard.length === 1, "the input");
    await deleteConsumer(nc, streamName("INBOX", NS), "share-1-1", 5000);
    await until(() => count("a") === 2, "the input once more");
    assert.deepEqual(whats(), ["a", "info stream,generation,why", "dropped", "a"]);
    assert.deepEqual(heard.filter(({ what }) => what === "a").map(({ message }) => message?.inHand), [false, true]);
  });

  it("says that its consumer cannot be made while a later owner's is in the way", async (t) => {
    const share = owned(1);
    t.after(() => share.leave());
    await share.start(1);
    await deleteConsumer(nc, streamName("CONTROL", NS), "share-1-1", 5000);
    await consumer("CONTROL", "share-1-2", patterns.inputsOf(NS, 1));
    await until(() => count("warn stream,error") > 0, "that it cannot be made");
  });
});

describe("EXEC-8 what is in the way of a share", () => {
  it("is an earlier owner's, who hears nothing from then on; or a plane's that had no shares", async (t) => {
    const earlier = owned(5);
    await earlier.start(1);
    const later = owned(5);
    t.after(() => Promise.all([earlier.stop(), later.leave()]));
    await propose(5, "a");
    await until(() => count("a") === 1, "the input, at the earlier one");
    await later.start(2);
    await until(() => count("a") === 2, "the input, at the later one");
    assert.deepEqual(await consumers(), all("share-5-2"));
    assert.ok(whats().filter((what) => what !== "a").every((what) => what === "dropped" || what.startsWith("info")));
    const wide = owned(6);
    t.after(() => wide.leave());
    await consumer("CONTROL", "coordinator", patterns.inputsOf(NS, 6));
    await wide.start(1);
    assert.deepEqual(await consumersIn("CONTROL"), ["share-5-2", "share-6-1"]);
  });

  for (const queue of QUEUES) {
    it(`is an owner's of another time, in ${queue}: then it is owned on beyond the newest, and each input handed out once`, async (t) => {
      await propose(7, "a");
      const filter = queue === "TIMERS" ? patterns.duesOf(NS, 7) : patterns.inputsOf(NS, 7);
      await consumer(queue, "share-7-9", filter);
      await consumer("INBOX", "share-3-20", patterns.inputsOf(NS, 3));
      const beyond: number[] = [];
      const share = owned(7, { raise: (newest) => (beyond.push(newest), Promise.resolve(newest + 1)) });
      t.after(() => share.leave());
      await share.start(4);
      assert.deepEqual(beyond, [9]);
      assert.deepEqual(await consumers(), { ...all("share-7-10"), INBOX: ["share-3-20", "share-7-10"] });
      await until(() => heard.some(({ what, message }) => what === "a" && message?.inHand === true), "the input");
      assert.equal(heard.filter(({ message }) => message?.inHand === true).length, 1);
    });
  }

  for (const [whose, name] of [["one of its own epoch", "share-7-4-x"], ["another share's", "share-6-1"], ["another share's of a later epoch", "share-6-9"]] as const) {
    it(`is not deleted when it is ${whose}; who cannot own the share on says so`, async () => {
      await consumer("INBOX", name, patterns.inputsOf(NS, 7));
      const share = owned(7, { raise: (beyond) => Promise.reject(new Error(`beyond ${beyond}`)) });
      await assert.rejects(share.start(4), new Error("beyond 4"));
      assert.equal(count("dropped"), 3, "what it had taken already is dropped");
      assert.ok((await consumersIn("INBOX")).includes(name));
    });
  }

  it("is nothing where the server refuses for another reason, or nobody answers: that is thrown, and nothing is raised", async () => {
    const away = await server.connect("coordinator", "away");
    const share = owned(2, { nc: away });
    await away.close();
    await assert.rejects(share.start(1), (error: Error) => error.message !== "nothing is in the way");
    // nor is a farewell to a server that is away an error
    await share.leave();
  });

  it("is of no concern to one who was stopped before", async () => {
    const share = owned(2);
    await share.stop();
    await share.start(1);
    assert.deepEqual(await consumers(), none);
  });
});

describe("EXEC-8 a share that is let go of", () => {
  it("is drained first: nothing more is asked for, what was asked for is ended, and its consumers are gone", async () => {
    const share = owned(3);
    await share.start(1);
    await propose(3, "input");
    await until(() => heard.length === 1, "the first");
    let drained = false;
    const draining = share.drain().then(() => (drained = true));
    for (let n = 1; n < 300; n++) await propose(3, "input");
    // one pull of 256, and no second
    await until(() => heard.length === 256, "what was asked for");
    let info = await infoOf("INBOX", "share-3-1");
    while (info.num_ack_pending + info.num_pending < 300) info = await infoOf("INBOX", "share-3-1");
    assert.deepEqual([info.num_ack_pending, heard.length, drained], [256, 256, false]);
    ackAll();
    await draining;
    assert.deepEqual([await consumers(), count("input")], [none, 256]);
    assert.ok(!whats().some((what) => what.startsWith("info")), "what ends with it is not told as lost");
    assert.equal(count("dropped"), 3);
  });

  it("is drained at once where nothing is in hand", async (t) => {
    const share = owned(3);
    await share.start(1);
    const clock = mock.method(performance, "now", () => 1000);
    t.after(() => clock.mock.restore());
    await withPatience(share.drain(), "it is not drained", 3_000);
    assert.deepEqual(await consumers(), none);
  });

  it("is drained for two seconds at most, and no longer than its owner runs", async (t) => {
    for (const ends of ["in time", "by being stopped"]) {
      heard.length = 0;
      await propose(3, "input");
      const share = owned(3);
      await share.start(1);
      await until(() => count("input") > 0, "the input");
      let now = 1000;
      const clock = mock.method(performance, "now", () => now);
      t.after(() => clock.mock.restore());
      let drained = false;
      const draining = share.drain().then(() => (drained = true));
      now = 2999;
      for (let n = 0; n < 20; n++) await nc.flush();
      await new Promise<void>((resolve) => setTimeout(resolve, 25));
      assert.equal(drained, false);
      if (ends === "in time") now = 3000;
      else await share.stop();
      await withPatience(draining, `it is not drained ${ends}`);
      clock.mock.restore();
      assert.deepEqual(await consumers(), none);
    }
  });

  it("is left at once by one who leaves: what is in hand is dropped, and nothing stands in the next owner's way", async () => {
    await propose(3, "input");
    const share = owned(3);
    await share.start(1);
    await until(() => count("input") === 1, "the input");
    await share.leave();
    assert.deepEqual([heard[0]?.message?.inHand, await consumers()], [false, none]);
  });

  it("is dropped by one who stops: its consumers are the next owner's to delete, and no timer of it is handed out", async () => {
    const share = owned(3);
    await share.start(1);
    await share.stop();
    assert.deepEqual(await consumers(), all("share-3-1"));
    await timer(3, "wall");
    await nc.flush();
    assert.deepEqual(new Set(whats()), new Set(["dropped"]));
  });
});

describe("EXEC-8 OPS-2 what a plane of before stored", () => {
  const [former = 0, another = 0] = formerPartitions(3);
  const signal = (where: string, text: string) => own.publish(`signalbox.${NS}.${where}.signal.${run(1)}.${run(3)}.leased`, Buffer.from(text));
  const transform = async (to: number) => {
    const { src, dest } = inputTransform(NS);
    await apiRequest(provisioner, `STREAM.UPDATE.${streamName("INBOX", NS)}`, { ...streamConfig("INBOX", NS), subject_transform: { src, dest: dest.replace(/\{\{partition\(.*?\)\}\}/, String(to)) } }, 5000);
  };
  const mended = () => apiRequest(provisioner, `STREAM.UPDATE.${streamName("INBOX", NS)}`, streamConfig("INBOX", NS), 5000);

  it("under the number of a partition is handed out before what stands in the share, in every stream of it", async (t) => {
    t.after(mended);
    await propose(3, "newer");
    await control(3, "newer");
    await transform(former);
    for (let n = 0; n < 3; n++) await propose(3, "older");
    await mended();
    await signal(`part.${another}`, "older signal");
    await timer(3, "former", another);
    const timers = new Intake(nc, { stream: streamName("TIMERS", NS), consumer: "look", filter: patterns.duesOf(NS, another) });
    while ((await timers.lastStored()) === 0);
    const share = owned(3);
    t.after(() => share.leave());
    await share.start(6);
    await until(() => count("newer") === 2, "what is newer");
    const before = whats().slice(0, whats().indexOf("newer"));
    assert.deepEqual([before.filter((what) => what === "older").length, before.includes("older signal")], [3, true]);
    await until(() => count("due former") === 1, "the timer");
    assert.deepEqual(await consumers(), { INBOX: ["share-3-6", `share-3-6-${former}`], CONTROL: ["share-3-6", `share-3-6-${another}`], TIMERS: ["share-3-6", `share-3-6-${another}`] });
  });

  it("is waited for, however much it is: nothing that stands in the share comes before its end", async (t) => {
    // more than may be in hand at once
    await Promise.all(Array.from({ length: 4_200 }, () => signal(`part.${another}`, "older")));
    await control(3, "newer");
    const share = owned(3);
    t.after(() => share.leave());
    const starting = share.start(1);
    await until(() => heard.length === 4_096, "what may be in hand");
    for (let n = 0; n < 5; n++) assert.deepEqual(await consumers(), { ...none, CONTROL: [`share-3-1-${another}`] });
    ackAll();
    await starting;
    await until(() => count("newer") === 1, "what is newer");
    assert.deepEqual([count("older"), whats().at(-1)], [4_200, "newer"]);
  });

  it("is waited for by nobody who is stopped meanwhile", async () => {
    await signal(`part.${another}`, "older signal");
    const share: Share = owned(3, { onDropped: () => undefined, onInputs: () => void share.stop() });
    await withPatience(share.start(1), "its start does not end");
    assert.deepEqual(await consumersIn("INBOX"), ["share-3-1"]);
  });

  it("in no share is passed on by one share alone, in its order, and then acknowledged", async (t) => {
    for (const text of ["one", "two"]) await signal("in", text);
    const passed = Promise.withResolvers<void>();
    const onUnshared = async (message: IntakeMessage) => {
      hear(`passed ${bodyOf(message)}`);
      await passed.promise;
    };
    const [other, share] = [owned(1, { onUnshared }), owned(0, { onUnshared })];
    t.after(() => Promise.all([share.leave(), other.leave()]));
    await other.start(1);
    assert.deepEqual(await consumers(), all("share-1-1"));
    await share.start(1);
    assert.deepEqual(await consumersIn("CONTROL"), ["share-0-1", "share-0-1-signals", "share-1-1"]);
    await until(() => heard.length === 1, "the first");
    passed.resolve();
    await until(() => heard.length === 2, "the second");
    assert.deepEqual(whats(), ["passed one", "passed two"]);
    const look = new Intake(nc, { stream: streamName("CONTROL", NS), consumer: "look", filter: patterns.unsharedSignals(NS) });
    await withPatience((async () => { while ((await look.lastStored()) > 0); })(), "they are not acknowledged");
  });

  it("in no share is left to the next owner by one who cannot pass it on, and nothing behind it is passed", async (t) => {
    for (const text of ["one", "two"]) await signal("in", text);
    const failing = owned(0, { onUnshared: (message) => (hear(`tried ${bodyOf(message)}`), Promise.reject(new Error("stopped"))) });
    await failing.start(1);
    await until(() => count("debug error") === 1, "that it was not passed on");
    await failing.leave();
    assert.deepEqual(whats().filter((what) => what.startsWith("tried")), ["tried one"]);
    const next = owned(0, { onUnshared: (message) => (hear(`passed ${bodyOf(message)}`), Promise.resolve()) });
    t.after(() => next.leave());
    await next.start(2);
    await until(() => count("passed two") === 1, "the signals");
    assert.equal(count("passed one"), 1);
  });
});
