import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MsgHdrs, NatsConnection } from "nats";
import { ReadError, type StoredMessage, StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { PlainServer, addStream } from "./plain-server.ts";

let server: PlainServer;
let nc: NatsConnection;
let publisher: Publisher;
let reader: StreamReader;
const bytes = (text: string) => new TextEncoder().encode(text);

before(async () => {
  server = await PlainServer.start();
  nc = await server.connect();
  await addStream(nc, { name: "EV", subjects: ["ev.>"], allow_atomic: true, allow_direct: true });
  publisher = new Publisher(nc);
  reader = new StreamReader(nc, "EV");
  for (let i = 0; i < 5; i++) {
    await publisher.batch(
      Array.from({ length: 500 }, (_, j) => ({ subject: `ev.run.${j % 10}`, data: bytes(`${i}:${j}`), headers: { n: `${i}:${j}` } })),
    );
  }
});
after(() => server.stop());

async function all(messages: AsyncIterable<StoredMessage>): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  for await (const message of messages) found.push(message);
  return found;
}

const seqsOf = (messages: StoredMessage[]) => messages.map((message) => message.seq);
const everyTenth = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i * 10);

test("a subject is read whole and in order, over any number of pages", async () => {
  for (const pageSize of [1, 7, 250, 1000]) {
    const found = await all(reader.read({ subject: "ev.run.3", pageSize }));
    assert.deepEqual(seqsOf(found), everyTenth(4, 250));
    assert.ok(found.every((message) => message.subject === "ev.run.3"));
    assert.equal(found[0]?.headers.get("n"), "0:3");
    assert.deepEqual([...(found[0]?.headers.keys() ?? [])], ["n", "Nats-Batch-Id", "Nats-Batch-Sequence"]);
    assert.equal(Buffer.from(found[249]?.data ?? []).toString(), "4:493");
  }
});

test("a wildcard reads the whole stream, from and until a sequence", async () => {
  const found = await all(reader.read({ subject: "ev.>", fromSeq: 100, untilSeq: 1399, pageSize: 300 }));
  assert.deepEqual(seqsOf(found), Array.from({ length: 1300 }, (_, i) => 100 + i));
  assert.deepEqual(seqsOf(await all(reader.read({ subject: "ev.run.0", fromSeq: 5, untilSeq: 30 }))), [11, 21]);
});

test("the end, an unknown subject and an empty range are no errors", async () => {
  assert.deepEqual(await all(reader.read({ subject: "ev.nobody" })), []);
  assert.deepEqual(await all(reader.read({ subject: "ev.>", fromSeq: 9999 })), []);
  assert.deepEqual(await all(reader.read({ subject: "ev.>", fromSeq: 5, untilSeq: 4 })), []);
  assert.equal(await reader.lastOf("ev.nobody"), undefined);
  assert.equal(await reader.lastDirect("ev.nobody"), undefined);
});

test("leader, direct get and page give the same message", async () => {
  const [byPage] = await all(reader.read({ subject: "ev.run.9", fromSeq: 2500 }));
  const fromLeader = await reader.lastOf("ev.run.9");
  const direct = await reader.lastDirect("ev.run.9");
  const [byLeaderRead] = await all(reader.read({ subject: "ev.run.9", fromSeq: 2495, leader: true }));
  for (const message of [fromLeader, direct, byLeaderRead]) {
    assert.equal(message?.seq, byPage?.seq);
    assert.equal(message?.time, byPage?.time);
    assert.deepEqual([...(message?.headers ?? [])], [...(byPage?.headers ?? [])]);
    assert.deepEqual(Buffer.from(message?.data ?? []), Buffer.from(byPage?.data ?? []));
  }
  assert.ok(Math.abs(Date.now() - (byPage?.time ?? 0)) < 60_000);
  assert.ok(Number.isInteger(byPage?.time));
});

test("a sender can not lie about sequence, subject or time with headers of its own", async () => {
  const { seq } = await publisher.publish("ev.liar", bytes("x"), {
    "Nats-Stream": "OTHER",
    "Nats-Sequence": "1",
    "Nats-Subject": "ev.run.1",
    "Nats-Time-Stamp": "2001-01-01T00:00:00Z",
  });
  const direct = await reader.lastDirect("ev.liar");
  const [paged] = await all(reader.read({ subject: "ev.liar" }));
  for (const message of [direct, paged]) {
    assert.deepEqual([message?.seq, message?.subject], [seq, "ev.liar"]);
    assert.ok((message?.time ?? 0) > Date.parse("2020-01-01"));
  }
});

test("a stored status line does not end a page, and a broken header block harms nobody", async () => {
  const plant = async (block: string, text: string) => {
    const planted = { encode: () => bytes(block) } as unknown as MsgHdrs;
    await nc.request("ev.planted", bytes(text), { headers: planted, timeout: 2000 });
  };
  await plant("NATS/1.0 404 Message Not Found\r\n\r\n", "1");
  await plant("NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\n\r\n", "2");
  await plant("no header at all", "3");
  await plant("x", "4");
  const found = await all(reader.read({ subject: "ev.planted" }));
  assert.deepEqual(found.map((message) => Buffer.from(message.data).toString()), ["1", "2", "3", "4"]);
  assert.equal((await reader.lastDirect("ev.planted"))?.seq, found[3]?.seq);
});

test("gaps in the stream are passed over", async () => {
  await addStream(nc, { name: "GAPS", subjects: ["gaps.>"], allow_direct: true, max_msgs_per_subject: 1 });
  for (let i = 0; i < 30; i++) await publisher.publish(`gaps.${i % 3}`, bytes(String(i)));
  const gaps = new StreamReader(nc, "GAPS");
  assert.deepEqual(seqsOf(await all(gaps.read({ subject: "gaps.>", pageSize: 2 }))), [28, 29, 30]);
  assert.deepEqual(await gaps.info(), { ...(await gaps.info()), messages: 3, firstSeq: 28, lastSeq: 30 });
});

test("a page of large messages ends at its size and goes on in the next", async () => {
  for (let i = 0; i < 20; i++) await publisher.publish("ev.large", new Uint8Array(1024 * 1024).fill(i));
  const found = await all(reader.read({ subject: "ev.large" }));
  assert.deepEqual(found.map((message) => message.data[0]), Array.from({ length: 20 }, (_, i) => i));
});

test("a slow reader has at most two pages fetched", async () => {
  const other = await server.connect();
  const slow = new StreamReader(other, "EV");
  const messages = slow.read({ subject: "ev.run.*", pageSize: 100 });
  for (let i = 0; i < 50; i++) await messages.next();
  await other.flush();
  await other.flush();
  assert.ok(other.stats().inMsgs <= 202, `${other.stats().inMsgs} messages came`);
  await messages.return();
});

test("a reader survives the death of the server and goes on behind the last message", async () => {
  const other = await server.connect();
  const steady = new StreamReader(other, "EV");
  const found: number[] = [];
  for await (const message of steady.read({ subject: "ev.run.*", pageSize: 100 })) {
    found.push(message.seq);
    if (found.length === 350 || found.length === 1200) {
      await server.kill();
      await server.run();
    }
  }
  assert.deepEqual(found, Array.from({ length: 2500 }, (_, i) => i + 1));
});

test("a stream that does not exist is an error, not an empty stream", async () => {
  const nowhere = new StreamReader(nc, "NOWHERE");
  await assert.rejects(nowhere.info(), ReadError);
  await assert.rejects(nowhere.lastOf("ev.a"), ReadError);
  await assert.rejects(all(nowhere.read({ subject: "ev.a" })), ReadError);
});
