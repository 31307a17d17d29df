import assert from "node:assert/strict";
import { once, EventEmitter } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import type { NatsConnection } from "nats";
import { parseAckSubject } from "../../services/bus/ack-subject.ts";
import { Intake } from "../../services/bus/intake.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { PlainServer, addStream } from "./plain-server.ts";

let server: PlainServer;
let nc: NatsConnection;
let publisher: Publisher;
let name = 0;
let stream = "";
const bytes = (text: string) => new TextEncoder().encode(text);

before(async () => {
  server = await PlainServer.start();
  nc = await server.connect();
  publisher = new Publisher(nc);
});
after(() => server.stop());
beforeEach(async () => {
  stream = `IN${++name}`;
  await addStream(nc, { name: stream, subjects: [`${stream}.>`], retention: "workqueue" });
});

async function put(from: number, count: number, subject = "a"): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => publisher.publish(`${stream}.${subject}`, bytes(String(from + i)), { n: String(from + i) })));
}

/** What an owner does: remembers what it has, forgets it on a reset. */
class Owner extends EventEmitter {
  hand: IntakeMessage[] = [];
  readonly handled: number[] = [];
  readonly resets: string[] = [];
  autoAck = true;

  readonly take = (messages: IntakeMessage[]): void => {
    this.hand.push(...messages);
    if (this.autoAck) this.ackAll();
    this.emit("change");
  };
  readonly onReset = (_generation: number, reason: string): void => {
    this.hand = [];
    this.resets.push(reason);
    this.emit("change");
  };
  ackAll(): void {
    for (const message of this.hand.splice(0)) {
      this.handled.push(message.seq);
      message.ack();
    }
  }
  async until(done: () => boolean): Promise<void> {
    while (!done()) await once(this, "change");
  }
}

/** The server works off acknowledgements a little later than it takes them. */
async function emptied(reader: StreamReader, left = 0): Promise<void> {
  while ((await reader.info()).messages > left);
}

const oneTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test("inputs come in the order of the stream, each once, with their time and headers, and leave it when acknowledged", async () => {
  const before = Date.now();
  await put(1, 1000);
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset, batch: 100, maxAckPending: 2000 });
  await intake.start(owner.take);
  await owner.until(() => owner.hand.length === 1000);
  const [first] = owner.hand;
  assert.equal(first?.subject, `${stream}.a`);
  assert.equal(first.headers.get("n"), "1");
  assert.deepEqual([first.redelivered, first.deliveries], [false, 1]);
  assert.ok(first.time >= before - 1000 && first.time <= Date.now() + 1000);
  const stored = await new StreamReader(nc, stream).lastOf(`${stream}.a`);
  assert.equal(owner.hand.at(-1)?.time, stored?.time);
  assert.equal(intake.handledThrough, 0);
  owner.ackAll();
  await put(1001, 200);
  await owner.until(() => owner.hand.length === 200);
  owner.ackAll();
  assert.deepEqual(owner.handled, oneTo(1200));
  assert.equal(intake.handledThrough, 1200);
  await intake.stop();
  await emptied(new StreamReader(nc, stream));
});

test("never more than maxAckPending in our hands; acknowledging some lets as many come", async () => {
  await put(1, 300);
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset, batch: 32, maxAckPending: 50 });
  let most = 0;
  owner.on("change", () => (most = Math.max(most, intake.inHand)));
  await intake.start(owner.take);
  for (let handled = 0; handled < 300; handled = owner.handled.length) {
    await owner.until(() => owner.hand.length === Math.min(50, 300 - handled));
    owner.ackAll();
  }
  assert.deepEqual(owner.handled, oneTo(300));
  assert.ok(most <= 50, String(most));
  assert.deepEqual(owner.resets, []);
  await intake.stop();
});

test("large bodies: nothing more is asked for than fits into memory, and all of it comes", async () => {
  const big = new Uint8Array(1000);
  await Promise.all(Array.from({ length: 40 }, () => publisher.publish(`${stream}.a`, big)));
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset, batch: 4, maxBytesInHand: 5000 });
  let most = 0;
  owner.on("change", () => (most = Math.max(most, intake.inHand)));
  await intake.start(owner.take);
  while (owner.handled.length < 40) {
    await owner.until(() => owner.hand.length >= Math.min(5, 40 - owner.handled.length));
    owner.ackAll();
  }
  assert.deepEqual(owner.handled, oneTo(40));
  // what was asked for before the limit was reached still comes: at most two pulls
  assert.ok(most <= 5 + 2 * 4, String(most));
  await intake.stop();
});

test("a paused intake asks for nothing more", async () => {
  const owner = new Owner();
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset, batch: 4, maxAckPending: 8 });
  await intake.start(owner.take);
  intake.pause();
  await put(1, 100);
  await nc.flush();
  await owner.until(() => owner.handled.length >= 4);
  await nc.flush();
  assert.ok(owner.handled.length <= 8);
  intake.resume();
  await owner.until(() => owner.handled.length === 100);
  assert.deepEqual(owner.handled, oneTo(100));
  await intake.stop();
});

test("a reset drops what is in hand, and begins with the oldest that is not acknowledged", async () => {
  await put(1, 20);
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset });
  await intake.start(owner.take);
  await owner.until(() => owner.hand.length === 20);
  const old = [...owner.hand];
  old[4]?.ack();
  old[9]?.ack();
  const reader = new StreamReader(nc, stream);
  await emptied(reader, 18);
  const { generation } = intake;
  const done = intake.reset();
  assert.ok(intake.generation > generation);
  assert.equal(owner.hand.length, 0);
  for (const message of old) message.ack(); // of an ended generation: nothing
  await done;
  await owner.until(() => owner.hand.length === 18);
  assert.deepEqual(owner.hand.map((m) => m.seq), oneTo(20).filter((seq) => seq !== 5 && seq !== 10));
  assert.equal(intake.handledThrough, 0);
  await intake.stop();
});

test("an older input behind a newer one resets by itself, and order is kept", async () => {
  await put(1, 10);
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset });
  await intake.start(owner.take);
  await owner.until(() => owner.hand.length === 10);
  nc.publish(owner.hand[2]?.reply ?? "", "-NAK"); // as the server does on its own when an acknowledgement is overdue
  await owner.until(() => owner.resets.length === 1);
  assert.match(owner.resets[0] ?? "", /`3` came behind `10`/);
  await owner.until(() => owner.hand.length === 10);
  assert.deepEqual(owner.hand.map((m) => m.seq), oneTo(10));
  await intake.stop();
});

test("what is worked on for long is not sent again", async () => {
  await put(1, 5);
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset, ackWaitMs: 400 });
  await intake.start(owner.take);
  await owner.until(() => owner.hand.length === 5);
  const extended = nc.subscribe("$JS.ACK.>", { max: 15 });
  let count = 0;
  for await (const message of extended) if (message.string() === "+WPI") count++;
  assert.equal(count, 15);
  assert.deepEqual(owner.resets, []);
  await intake.stop();
});

test("a consumer that somebody deletes is made anew", async () => {
  const owner = new Owner();
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset });
  await intake.start(owner.take);
  await put(1, 3);
  await owner.until(() => owner.handled.length === 3);
  await nc.request(`$JS.API.CONSUMER.DELETE.${stream}.c`);
  await put(4, 3);
  // The server may overtake the acknowledgements with the deletion: then the first three come once more.
  await owner.until(() => owner.handled.includes(6));
  assert.deepEqual([...new Set(owner.handled)], oneTo(6));
  await intake.stop();
});

test("a second owner takes everything over from the oldest", async () => {
  await put(1, 10);
  const first = new Owner();
  first.autoAck = false;
  const dead = new Intake(nc, { stream, consumer: "c", onReset: first.onReset });
  await dead.start(first.take);
  await first.until(() => first.hand.length === 10);
  await dead.stop();
  const second = new Owner();
  const intake = new Intake(nc, { stream, consumer: "c", onReset: second.onReset });
  await intake.start(second.take);
  await second.until(() => second.handled.length === 10);
  assert.deepEqual(second.handled, oneTo(10));
  await intake.stop();
});

test("after the server is killed and started again nothing is missing and order is kept", async () => {
  const other = await server.connect();
  await put(1, 2000);
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(other, { stream, consumer: "c", onReset: owner.onReset, batch: 64, maxAckPending: 200 });
  await intake.start(owner.take);
  const generations: number[][] = [[]];
  const seen = new Set<number>();
  let kills = 0;
  while (seen.size < 2000) {
    await owner.until(() => owner.hand.length > 0);
    for (const message of owner.hand.splice(0)) {
      (generations[message.generation] ??= []).push(message.seq);
      seen.add(message.seq);
      message.ack();
    }
    if (kills < 2 && seen.size > 600 * (kills + 1)) {
      kills++;
      await server.kill();
      await owner.until(() => owner.resets.includes("the connection was lost"));
      await server.run();
      owner.resets.length = 0;
    }
  }
  assert.deepEqual([...seen].sort((a, b) => a - b), oneTo(2000));
  for (const seqs of generations.filter((g) => g !== undefined)) {
    assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b));
  }
  await intake.stop();
  await emptied(new StreamReader(other, stream));
  // the connection of all tests comes back in its own time: the tests behind this one get another
  await nc.close();
  nc = await server.connect();
  publisher = new Publisher(nc);
});

test("a status line among the sender's own headers is a message like any other", async () => {
  const owner = new Owner();
  const intake = new Intake(nc, { stream, consumer: "c", onReset: owner.onReset });
  await intake.start(owner.take);
  const planted = { encode: () => bytes("NATS/1.0 409 Consumer Deleted\r\n\r\n") } as never;
  nc.publish(`${stream}.a`, bytes("x"), { headers: planted });
  await put(2, 1);
  await owner.until(() => owner.handled.length === 2);
  assert.deepEqual(owner.resets, []);
  await intake.stop();
});

test("the fence for timers is the last input still in the stream", async () => {
  const owner = new Owner();
  owner.autoAck = false;
  const intake = new Intake(nc, { stream, consumer: "c", filter: `${stream}.a`, onReset: owner.onReset });
  assert.equal(await intake.lastStored(), 0);
  await put(1, 2);
  await put(3, 1, "b");
  assert.equal(await intake.lastStored(), 2);
  await intake.start(owner.take);
  await owner.until(() => owner.hand.length === 2);
  assert.deepEqual([intake.handedThrough, intake.handledThrough], [2, 0]);
  owner.ackAll();
  assert.equal(intake.handledThrough, 2);
  await intake.stop();
});

test("a stream that does not exist fails the start", async () => {
  await assert.rejects(new Intake(nc, { stream: "NOWHERE", consumer: "c" }).start(() => undefined));
});

test("both forms of the server's ack subject are understood", () => {
  const expected = { deliveries: 2, seq: 10, nth: 11, time: 1795260000123, pending: 7 };
  assert.deepEqual(parseAckSubject("$JS.ACK.S.C.2.10.11.1795260000123456789.7"), expected);
  assert.deepEqual(parseAckSubject("$JS.ACK.hub.ACCHASH.S.C.2.10.11.1795260000123456789.7"), expected);
  assert.deepEqual(parseAckSubject("$JS.ACK.hub.ACCHASH.S.C.2.10.11.1795260000123456789.7.rnd"), expected);
});
