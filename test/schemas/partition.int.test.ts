/** The server puts inputs into shares, and we compute the same: otherwise a coordinator would miss its own. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { actor, namespace } from "../../schemas/ids.ts";
import { aggregateToken, inputTransform, parseStoredInput, shareOf, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { addStream, PlainServer } from "../bus/plain-server.ts";

const ns = namespace("test");
let server: PlainServer;
before(async () => {
  server = await PlainServer.start();
});
after(() => server.stop());

test("EXEC-8: `shareOf` is the share that the server computes, for runs and for documents", async () => {
  const nc = await server.connect();
  await addStream(nc, { name: "PARTITIONS", subjects: ["signalbox.test.in.>"], subject_transform: inputTransform(ns), allow_direct: true });
  const tokens = [
    ...Array.from({ length: 200 }, (_, i) => `agent-${i % 7}_Run-${i * 7919}`),
    aggregateToken("tool", "stripe.create_refund"),
    aggregateToken("agent", "agent-1"),
    aggregateToken("policy", "default"),
  ];
  const publisher = new Publisher(nc);
  for (const token of tokens) await publisher.publish(subjects.input(ns, "apply", actor("op"), token), new Uint8Array(), {});
  const seen: string[] = [];
  for await (const { subject } of new StreamReader(nc, "PARTITIONS").read({ subject: "signalbox.test.part.>" })) {
    const address = parseStoredInput(subject);
    assert.ok(address, subject);
    assert.equal(Number(subject.split(".")[3]), shareOf(address.aggregate), subject);
    seen.push(address.aggregate);
  }
  assert.deepEqual(seen, tokens);
});
