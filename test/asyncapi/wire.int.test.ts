/** The document against the wire: what a real plane stores is what the document says. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { play } from "../../infra/demo/play.ts";
import type { EventType } from "../../schemas/event.ts";
import { APPLICABLE, messageOfEvent } from "../../schemas/asyncapi/messages.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { patterns, type StreamKind, streamName } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { type StoredMessage, StreamReader } from "../../services/bus/journal.ts";
import { Refused } from "../../services/client/index.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { type DemoPlane, startDemoPlane } from "../cli/demo-plane.ts";
import { faultsOf } from "./document.ts";

/** As far as the plane is played: what is asked, edited, leased, marked, stopped, put in force. */
const PLAYED: readonly EventType[] = [
  "run.started", "action.verified", "action.denied", "approval.requested", "approval.edited", "budget.settled", "budget.requested", "budget.leased", "taint.raised", "taint.lowered",
  "ledger.leased", "guard.stopped", "guard.lifted", "tool.applied", "agent.applied", "policy.applied", "person.applied", "issuer.applied", "budget.applied",
];

describe("the AsyncAPI document and what a plane stores (OPS-3)", () => {
  let demo: DemoPlane;
  let ns: Namespace;
  let nc: NatsConnection;
  before(async () => {
    demo = await startDemoPlane();
    const { plane } = demo;
    ns = plane.settings.namespaces[0] as Namespace;
    const { waiting } = await play(plane, ns);
    const { run, action } = waiting.get("large-refund") as { run: string; action: string };
    const input = JSON.stringify({ charge_id: "ch_1002", amount_usd: 470 });
    await demo.cli(["edit", run, action, "--input", input, "--digest", await demo.digestOf(run, action)]);
    await demo.cli(["cleanse", run, "--reason", "read it", "--labels", "pii"]);
    await demo.cli(["stop", "tool:crm.delete_customer", "--reason", "not today"]);
    await demo.cli(["lift", "s1", "--reason", "tomorrow", "--as", "second-operator"]);
    await assert.rejects((await demo.box("agent", "stranger")).agent("stranger").start({ goal: "an agent without a contract" }), Refused);
    const issued = await issueCreds(plane.keys, { role: "coordinator", name: "test" });
    nc = await connectBus({ url: plane.url, name: "test", creds: issued.creds, inboxPrefix: issued.inboxPrefix });
  });
  after(async () => {
    await nc?.close();
    await demo?.stop();
  });

  const stored = async (kind: StreamKind, subject: string): Promise<StoredMessage[]> => {
    const found: StoredMessage[] = [];
    for await (const message of new StreamReader(nc, streamName(kind, ns)).read({ subject })) found.push(message);
    return found;
  };

  it("describes every event, headers and body", async () => {
    const types = new Set<string>();
    for (const message of await stored("JOURNAL", patterns.log(ns))) {
      const { body, headers } = decodeEvent(message);
      types.add(body.type);
      const plain: unknown = JSON.parse(JSON.stringify({ ...body, prev: Buffer.from(body.prev).toString("hex") }));
      const place = `${body.run}:${body.seq} ${body.type}`;
      assert.deepEqual(faultsOf(messageOfEvent(body.type), "payload", plain), [], place);
      assert.deepEqual(faultsOf(messageOfEvent(body.type), "headers", Object.fromEntries(headers)), [], place);
    }
    for (const type of PLAYED) assert.ok(types.has(type), `the plane was played as far as \`${type}\``);
  });

  it("describes every answer, refusal and document", async () => {
    const kinds: readonly [StreamKind, string, string[]][] = [
      ["OUT", patterns.out(ns), ["answer"]],
      ["REJECTED", patterns.rejected(ns), ["rejection"]],
      ["DOCUMENTS", patterns.documents(ns), [...APPLICABLE]],
    ];
    for (const [kind, subject, names] of kinds) {
      const messages = await stored(kind, subject);
      assert.ok(messages.length > 0, kind);
      for (const { data } of messages) {
        const body: unknown = JSON.parse(Buffer.from(data).toString());
        const faults = names.map((name) => faultsOf(name, "payload", body));
        assert.ok(faults.some((found) => found.length === 0), `${kind}: ${JSON.stringify(faults)} in ${JSON.stringify(body)}`);
      }
    }
  });
});
