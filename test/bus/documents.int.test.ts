import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { NatsConnection } from "nats";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type Digest, namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { DocumentCorrupt, DocumentMissing, Documents } from "../../services/bus/documents.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { streamConfig } from "../../services/bus/streams.ts";
import { PlainServer, addStream } from "./plain-server.ts";

const ns = namespace("default");
let server: PlainServer;
let nc: NatsConnection;
let publisher: Publisher;
const bytes = (text: string) => new TextEncoder().encode(text);
const fresh = () => new Documents(nc, publisher, ns);

before(async () => {
  server = await PlainServer.start();
  nc = await server.connect();
  publisher = new Publisher(nc);
  await addStream(nc, streamConfig("DOCUMENTS", ns) as never);
});
after(() => server.stop());

test("a document is found under the SHA-256 of its bytes, by everybody and after a restart", async () => {
  const digest = await fresh().put(bytes("a contract"), "text/plain");
  assert.equal(digest, sha256Digest("a contract"));
  await server.kill();
  await server.run();
  assert.equal(Buffer.from(await fresh().get(digest)).toString(), "a contract");
});

test("putting the same again, or by two at once, stores it once", async () => {
  const digests = await Promise.all([fresh(), fresh(), fresh()].map((d) => d.put(bytes("twice"), "text/plain")));
  const again = await fresh().put(bytes("twice"), "application/json");
  assert.deepEqual([...new Set([...digests, again])], [sha256Digest("twice")]);
  const subject = subjects.document(ns, again.slice(7));
  const stored = [];
  for await (const message of new StreamReader(nc, "DOCUMENTS_default").read({ subject })) stored.push(message);
  assert.deepEqual(stored.map((message) => message.headers.get("content-type")), ["text/plain"]);
});

test("a document that is not there is missing, and found once it is", async () => {
  const documents = fresh();
  const digest = sha256Digest("later");
  await assert.rejects(documents.get(digest), DocumentMissing);
  await fresh().put(bytes("later"), "text/plain");
  assert.equal((await documents.get(digest)).length, 5);
});

test("bytes that do not hash to their address are corrupt, for the reader and for the writer", async () => {
  const digest = sha256Digest("the truth");
  await publisher.publish(subjects.document(ns, digest.slice(7)), bytes("a lie"));
  await assert.rejects(fresh().get(digest), DocumentCorrupt);
  await assert.rejects(fresh().put(bytes("the truth"), "text/plain"), DocumentCorrupt);
});

test("the cache forgets what was not used for longest, and changes of the caller's buffer do not reach it", async () => {
  const documents = new Documents(nc, publisher, ns, { cacheBytes: 4000 });
  const buffer = new Uint8Array(900).fill(1);
  const first = await documents.put(buffer, "x/y");
  buffer.fill(9);
  const others: Digest[] = [];
  for (let i = 2; i < 5; i++) others.push(await documents.put(new Uint8Array(900).fill(i), "x/y"));
  const asked = nc.stats().outMsgs;
  assert.equal((await documents.get(first))[0], 1);
  assert.equal(nc.stats().outMsgs, asked);
  await documents.put(new Uint8Array(900).fill(5), "x/y");
  const before = nc.stats().outMsgs;
  await documents.get(first);
  assert.equal(nc.stats().outMsgs, before);
  await documents.get(others[0] as Digest);
  assert.ok(nc.stats().outMsgs > before);
});
