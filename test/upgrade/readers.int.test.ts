/** A reader of a release beside a plane of a later one, which records events of types that the reader never heard of. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { EventType } from "../../schemas/event.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { type Reader, startReader } from "../../services/projection/reader.ts";
import type { RunView, StatusAnswer } from "../../services/projection/views.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { JournalWriter, NS, proposed, requested, started } from "../projection/journal.ts";

const LATER = "action.foreseen" as EventType;

describe("law 4, EXEC-8: a reader of an older release", () => {
  let server: TestServer;
  let reader: Reader;
  let auditor: NatsConnection;
  before(async () => {
    server = await startTestServer();
    reader = await startReader({ nc: await server.connect("reader", "r1"), ns: NS, dataDir: undefined });
    auditor = await server.connect("auditor", "kim");
    const writer = new JournalWriter(await server.connect("coordinator", "c1"));
    await writer.commit("run", "refunds_1", [started()]);
    await writer.commit("run", "refunds_1", [proposed("a2"), { type: LATER, data: { action: "a2" } }]);
    await writer.commit("run", "refunds_1", [requested("refunds_1", "a2", "q4")]);
    await writer.commit("run", "refunds_2", [started()]);
    await writer.commit("run", "refunds_2", [proposed("a2")]);
    writer.close();
  });
  after(async () => {
    await reader.stop();
    await server.stop();
  });
  const ask = async <T>(what: string, body: unknown = {}): Promise<T> => {
    const answer = await auditor.request(subjects.query(NS, what), JSON.stringify(body), { timeout: 5_000 });
    const code = answer.headers?.get("Nats-Service-Error-Code");
    if (code) throw new Error(`${code}: ${answer.headers?.get("Nats-Service-Error")}`);
    return answer.json<T>();
  };

  it("follows the journal past them, lists their runs, and answers about all others", async () => {
    const status = await ask<StatusAnswer>("status");
    assert.deepEqual([status.runs, status.approvals_waiting, status.indexed, status.alarms], [{ active: 2 }, 1, 6, []]);
    const { runs } = await ask<{ runs: { run: string; seq: number; state: string; waiting: number }[] }>("runs");
    assert.deepEqual(runs.map(({ run, seq, state, waiting }) => [run, seq, state, waiting]), [["refunds_2", 2, "active", 0], ["refunds_1", 4, "active", 1]]);
    assert.equal((await ask<RunView>("run", { run: "refunds_2" })).actions.length, 1);
  });

  it("says of such a run that it does not know it, and shows none of it", async () => {
    await assert.rejects(ask("run", { run: "refunds_1" }), /^Error: 500: message 3 on `signalbox\.default\.log\.run\.\d+\.refunds_1` is of the type `action\.foreseen`, which this release does not know$/);
  });
});
