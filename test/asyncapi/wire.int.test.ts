/** The document against the wire: what a real plane stores is what the document says. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { applyDemo, play } from "../../infra/demo/play.ts";
import { type RunningPlane, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import { messageOfEvent } from "../../schemas/asyncapi/messages.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { patterns, type StreamKind, streamName } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { type StoredMessage, StreamReader } from "../../services/bus/journal.ts";
import { connect, Refused } from "../../services/client/index.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { faultsOf } from "./document.ts";

describe("the AsyncAPI document and what a plane stores (OPS-3)", () => {
  let folder: string;
  let plane: RunningPlane;
  let ns: Namespace;
  let nc: NatsConnection;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-wire-"));
    plane = await startPlane(readSettings([], { ...process.env, SIGNALBOX_DATA: folder, NATS_URL: "", SIGNALBOX_NATS_PORT: "" }), () => undefined);
    ns = plane.settings.namespaces[0] as Namespace;
    await applyDemo(plane);
    await play(plane, ns);
    await stray(plane, ns);
    const issued = await issueCreds(plane.keys, { role: "coordinator", name: "test" });
    nc = await connectBus({ url: plane.url, name: "test", creds: issued.creds, inboxPrefix: issued.inboxPrefix });
  });
  after(async () => {
    await nc?.close();
    await plane?.stop();
    await rm(folder, { recursive: true, force: true });
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
    for (const type of ["run.started", "action.verified", "action.denied", "approval.requested", "budget.settled", "tool.applied"]) {
      assert.ok(types.has(type), `the plane was played as far as \`${type}\``);
    }
  });

  it("describes every answer, refusal and document", async () => {
    const kinds: readonly [StreamKind, string, string[]][] = [
      ["OUT", patterns.out(ns), ["answer"]],
      ["REJECTED", patterns.rejected(ns), ["rejection"]],
      ["DOCUMENTS", patterns.documents(ns), ["documentContract", "documentTool", "documentPolicySet"]],
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

/** Something that is refused without entering a journal. */
async function stray(plane: RunningPlane, ns: Namespace): Promise<void> {
  const issued = await issueCreds(plane.keys, { role: "agent", name: "stranger", ns });
  const box = await connect({ url: plane.url, creds: issued.creds });
  try {
    await assert.rejects(box.agent("stranger").start({ goal: "an agent without a contract" }), Refused);
  } finally {
    await box.close();
  }
}
