import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Actor, requestId, runId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { readHeaders } from "../../services/bus/headers.ts";
import { SERVICE_ERROR } from "../../services/bus/service.ts";
import { openPersonalMaster } from "../../services/identity/sealing.ts";
import { RunIndex } from "../../services/projection/index-store.ts";
import { serveQueries } from "../../services/projection/query.ts";
import { serveReveals } from "../../services/projection/reveal.ts";
import type { SegmentsFollower } from "../../services/projection/segments-follower.ts";
import { startTestPlane, type TestPlane } from "../harness/plane.ts";

const BROKEN = "cannot read planted-4Hw2\nof the disk";
/** A read model that is broken: it fails for everybody, and its reason holds what only some may know. */
const follower = { current: () => Promise.reject(new Error(BROKEN)) } as unknown as SegmentsFollower;
const asked = { run: runId("clerk_r1"), request: requestId(1) };
let plane: TestPlane;
before(async () => {
  plane = await startTestPlane();
});
after(() => plane?.stop());

describe("what is said of an error that nobody foresaw", () => {
  it("law 10: who opens personal fields for an approver says nothing of it, and keeps it for the operator", async () => {
    const { server, ns } = plane;
    const index = RunIndex.open(":memory:");
    const troubles: unknown[] = [];
    const reveals = await serveReveals({
      nc: await server.connect("reveal", "reveal"),
      reading: { nc: await server.connect("reader", "reader"), index, follower },
      ns,
      master: await openPersonalMaster(server.dataDir),
      version: "0.0.0",
      onTrouble: (error) => void troubles.push(error),
    });
    const approver = await server.connect("approver", "ada");
    const reply = await approver.request(subjects.reveal(ns, "ada" as Actor), JSON.stringify(asked), { timeout: 5000 });
    assert.deepEqual(faultOf(reply), { code: "500", message: "it cannot be opened now", data: "" });
    assert.deepEqual(troubles.map(String), [`Error: ${BROKEN}`]);
    await reveals.stop();
    index.close();
  });

  it("the reader, whose askers may read everything that it has, says what it is in one line", async () => {
    const { server, ns } = plane;
    const index = RunIndex.open(":memory:");
    const queries = await serveQueries({ nc: await server.connect("reader", "reader-2"), ns, index, follower, version: "0.0.0" });
    const auditor = await server.connect("auditor", "auditor");
    const reply = await auditor.request(subjects.query(ns, "run"), JSON.stringify({ run: asked.run }), { timeout: 5000 });
    assert.deepEqual(faultOf(reply), { code: "500", message: BROKEN.replace("\n", " "), data: "" });
    await queries.stop();
    index.close();
  });
});

function faultOf(reply: Parameters<typeof readHeaders>[0]) {
  const { headers } = readHeaders(reply);
  return { code: headers.get(SERVICE_ERROR.code), message: headers.get(SERVICE_ERROR.message), data: Buffer.from(reply.data).toString() };
}
