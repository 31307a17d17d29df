import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type NatsConnection, headers } from "nats";
import { PublishError, Publisher } from "../../services/bus/publisher.ts";
import { PlainServer, addStream } from "./plain-server.ts";

let server: PlainServer;
let nc: NatsConnection;
let publisher: Publisher;
const bytes = (text: string) => new TextEncoder().encode(text);

before(async () => {
  server = await PlainServer.start();
  nc = await server.connect();
  await addStream(nc, { name: "EV", subjects: ["ev.>"], allow_atomic: true, allow_direct: true });
  publisher = new Publisher(nc);
});
after(() => server.stop());

async function failure(promise: Promise<unknown>): Promise<PublishError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof PublishError, String(error));
    return error;
  }
  assert.fail("the publish was accepted");
}

async function lastOf(subject: string): Promise<{ seq: number; hdrs: string } | undefined> {
  const answer = await nc.request("$JS.API.STREAM.MSG.GET.EV", JSON.stringify({ last_by_subj: subject }));
  const { message } = answer.json<{ message?: { seq: number; hdrs?: string } }>();
  if (message === undefined) return undefined;
  return { seq: message.seq, hdrs: Buffer.from(message.hdrs ?? "", "base64").toString() };
}

test("CORE-5: an acknowledged message is in the stream, with its headers", async () => {
  const hdrs = headers();
  hdrs.set("ce-type", "signalbox.run.started");
  const stored = await publisher.publish("ev.a", bytes("one"), hdrs);
  assert.equal(stored.stream, "EV");
  assert.equal(stored.duplicate, false);
  const found = await lastOf("ev.a");
  assert.equal(found?.seq, stored.seq);
  assert.match(found.hdrs, /ce-type: signalbox\.run\.started/);
});

test("many publishes in flight each get their own acknowledgement", async () => {
  const stored = await Promise.all(
    Array.from({ length: 500 }, (_, i) => publisher.publish(`ev.many.${i}`, bytes(String(i)), { n: String(i) })),
  );
  const seqs = stored.map((s) => s.seq);
  assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b));
  assert.equal(new Set(seqs).size, 500);
});

test("a batch is contiguous and carries the expected sequences of several subjects", async () => {
  const first = await publisher.batch([
    { subject: "ev.b.1", data: bytes("1"), expectLastSubjectSequence: 0 },
    { subject: "ev.b.1", data: bytes("2") },
    { subject: "ev.b.2", data: bytes("3"), expectLastSubjectSequence: 0, headers: { x: "y" } },
  ]);
  assert.equal(first.count, 3);
  const second = await publisher.batch([
    { subject: "ev.b.1", data: bytes("4"), expectLastSubjectSequence: first.seq - 1 },
    { subject: "ev.b.2", data: bytes("5"), expectLastSubjectSequence: first.seq },
  ]);
  assert.equal(second.seq, first.seq + 2);
});

test("a batch of one is a plain message without batch headers, still fenced", async () => {
  const { seq, count } = await publisher.batch([{ subject: "ev.one", data: bytes("1"), expectLastSubjectSequence: 0 }]);
  assert.equal(count, 1);
  assert.doesNotMatch((await lastOf("ev.one"))?.hdrs ?? "", /Nats-Batch/);
  const again = await failure(publisher.batch([{ subject: "ev.one", data: bytes("2"), expectLastSubjectSequence: 0 }]));
  assert.deepEqual([again.kind, again.code, again.inDoubt], ["conflict", 10071, false]);
  assert.equal((await lastOf("ev.one"))?.seq, seq);
});

test("a conflict anywhere in a batch stores nothing of it", async () => {
  await publisher.publish("ev.c.taken", bytes("theirs"));
  const error = await failure(
    publisher.batch([
      { subject: "ev.c.free", data: bytes("1"), expectLastSubjectSequence: 0 },
      { subject: "ev.c.taken", data: bytes("2"), expectLastSubjectSequence: 0 },
    ]),
  );
  assert.equal(error.kind, "conflict");
  assert.equal(await lastOf("ev.c.free"), undefined);
});

test("a subject that no stream takes is unavailable and not stored", async () => {
  assert.equal((await failure(publisher.publish("elsewhere.a", bytes("1")))).kind, "unavailable");
});

test("what can not be sent whole is refused before the first byte", async () => {
  const huge = new Uint8Array(9 * 1024 * 1024);
  const fine = { subject: "ev.d", data: bytes("1") };
  const kinds = [
    await failure(publisher.batch([])),
    await failure(publisher.batch(Array.from({ length: 1001 }, () => fine))),
    await failure(publisher.batch([fine, { subject: "ev.d", data: huge }])),
    await failure(publisher.batch([fine, { subject: "ev.*", data: bytes("1") }])),
    await failure(publisher.batch([fine, { subject: "ev d", data: bytes("1") }])),
    await failure(publisher.batch([fine, { subject: "ev.d", data: bytes("1"), headers: { a: "b\r\nNats-Rollup: all" } }])),
  ].map((error) => error.kind);
  assert.deepEqual(kinds, ["refused", "refused", "refused", "refused", "refused", "refused"]);
  assert.equal(await lastOf("ev.d"), undefined);
});

test("a stream that does not take batches refuses one, and says why by code", async () => {
  await addStream(nc, { name: "PLAIN", subjects: ["plain.>"] });
  const message = { subject: "plain.a", data: bytes("1") };
  const error = await failure(publisher.batch([message, message]));
  assert.equal(error.kind, "refused");
  assert.equal(typeof error.code, "number");
});

test("a server that is frozen is a time-out, and the message may be stored later", async () => {
  const other = await server.connect();
  const hasty = new Publisher(other, { timeoutMs: 300 });
  await server.freeze();
  const waiting = hasty.publish("ev.frozen", bytes("1"));
  const error = await failure(waiting);
  server.thaw();
  assert.deepEqual([error.kind, error.inDoubt], ["timeout", true]);
  await other.flush();
  hasty.close();
});

test("when the server dies, what is unanswered fails at once and nothing is sent again behind our back", async () => {
  const other = await server.connect();
  const slow = new Publisher(other, { timeoutMs: 60_000 });
  const back = async (connection: NatsConnection) => {
    for await (const status of connection.status()) if (status.type === "reconnect") return;
  };
  const reconnected = Promise.all([back(other), back(nc)]);
  await server.freeze();
  const batch = Array.from({ length: 200 }, () => ({ subject: "ev.lost", data: new Uint8Array(2000) }));
  const sent = [failure(slow.batch(batch)), failure(slow.publish("ev.lost", bytes("1")))];
  await server.kill();
  for (const error of await Promise.all(sent)) assert.equal(error.kind, "disconnected");
  const down = await failure(slow.batch(batch));
  assert.deepEqual([down.kind, down.inDoubt], ["unavailable", false]);
  await server.run();
  await reconnected;
  await other.flush();
  assert.equal(await lastOf("ev.lost"), undefined);
  assert.equal((await slow.batch(batch)).count, 200);
  slow.close();
});

test("closing the publisher, or the connection, fails what is unanswered", async () => {
  const other = await server.connect();
  const one = new Publisher(other);
  const unanswered = failure(one.publish("ev.e", bytes("1")));
  one.close();
  assert.equal((await unanswered).kind, "disconnected");
  assert.equal((await failure(one.publish("ev.e", bytes("1")))).kind, "unavailable");
  const two = new Publisher(other);
  const open = failure(two.publish("ev.e", bytes("1")));
  await other.close();
  assert.equal((await open).kind, "disconnected");
});
