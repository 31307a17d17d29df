/** The primitives of the bus on the plane's own accounts, streams and permissions. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { after, before, test } from "node:test";
import { actor, namespace, runId } from "../../schemas/ids.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Documents } from "../../services/bus/documents.ts";
import { Intake } from "../../services/bus/intake.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { PublishError, Publisher } from "../../services/bus/publisher.ts";
import { Timers, readTimerPayload } from "../../services/bus/timers.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";

const ns = namespace("default");
const run = runId("assistant_1");
const bytes = (text: string) => new TextEncoder().encode(text);
let server: TestServer;
let coordinator: NatsConnection;
let publisher: Publisher;

before(async () => {
  server = await startTestServer();
  coordinator = await server.connect("coordinator", "main");
  publisher = new Publisher(coordinator);
});
after(() => server.stop());

/** Takes from a stream until `wanted` messages came, acknowledging each. */
async function take(stream: string, wanted: number, filter?: string): Promise<IntakeMessage[]> {
  const events = new EventEmitter();
  const found: IntakeMessage[] = [];
  const intake = new Intake(coordinator, { stream, consumer: "coordinator", ...(filter === undefined ? {} : { filter }) });
  await intake.start((messages) => {
    for (const message of messages) message.ack();
    found.push(...messages);
    events.emit("taken");
  });
  while (found.length < wanted) await once(events, "taken");
  await intake.stop();
  return found;
}

test("CORE-5: a coordinator commits several runs in one batch and reads each back", async () => {
  const log = (name: string) => subjects.log(ns, "run", name);
  const { count } = await publisher.batch([
    { subject: log("assistant_1"), data: bytes("1"), expectLastSubjectSequence: 0 },
    { subject: log("assistant_1"), data: bytes("2") },
    { subject: log("assistant_2"), data: bytes("1"), expectLastSubjectSequence: 0 },
  ]);
  assert.equal(count, 3);
  const reader = new StreamReader(coordinator, streamName("JOURNAL", ns));
  const found: string[] = [];
  for await (const message of reader.read({ subject: log("assistant_1") })) found.push(Buffer.from(message.data).toString());
  assert.deepEqual(found, ["1", "2"]);
  assert.equal((await reader.lastOf(log("assistant_2")))?.seq, 3);
  assert.equal((await reader.lastDirect(log("assistant_2")))?.seq, 3);
  assert.equal((await reader.info()).lastSeq, 3);
});

test("CORE-1: an agent's proposal is taken from INBOX under its partition; what it may not publish is refused at once", async () => {
  const agent = await server.connect("agent", "assistant");
  const proposals = new Publisher(agent);
  const stored = await proposals.publish(subjects.input(ns, "propose", actor("assistant"), run), bytes("{}"));
  assert.equal(stored.duplicate, false);
  const [message] = await take(streamName("INBOX", ns), 1);
  assert.match(message?.subject ?? "", /\.part\.\d+\.propose\.assistant\.assistant_1$/);
  await assert.rejects(
    proposals.publish(subjects.log(ns, "run", run), bytes("forged")),
    (error: unknown) => error instanceof PublishError && (error.kind === "refused" || error.kind === "unavailable"),
  );
});

test("EXEC-9: a coordinator's timer comes back on the run's due subject", async () => {
  const timers = new Timers(publisher, ns);
  await timers.arm(run, "deadline", Date.now() - 1000, { timer: "deadline", armed: 1 });
  const [message] = await take(streamName("TIMERS", ns), 1, patterns.dues(ns));
  assert.deepEqual(readTimerPayload(message?.data ?? new Uint8Array()), { timer: "deadline", armed: 1 });
});

test("a coordinator's document is read by an auditor in its own account", async () => {
  const digest = await new Documents(coordinator, publisher, ns).put(bytes("policy"), "text/plain");
  const auditor = await server.connect("auditor", "anna");
  const documents = new Documents(auditor, new Publisher(auditor), ns);
  assert.equal(Buffer.from(await documents.get(digest)).toString(), "policy");
  const journal = new StreamReader(auditor, streamName("JOURNAL", ns));
  const found: number[] = [];
  for await (const message of journal.read({ subject: patterns.log(ns) })) found.push(message.seq);
  assert.deepEqual(found, [1, 2, 3]);
});
