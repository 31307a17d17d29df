/** Approvals while nobody decides: what was stored in time counts, however late it is read (APP-2, APP-4, EXEC-9). */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { RunId } from "../../schemas/ids.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import { startTestPlane, type TestActor, type TestPlane, withPatience } from "../harness/plane.ts";

const EXPIRES_SECONDS = 2;
const CONTRACT = {
  agent: { name: "clerk", owner: "owner", team: "team", purpose: "to be asked about" },
  tools: { allowlist: [{ name: "t.write", requires_approval: true, approval_expires_seconds: EXPIRES_SECONDS }] },
};
const TOOL = { name: "t.write", description: "writes", effect: "write", adapter: "nats", input: { type: "object" }, output: {} };
const START = { kind: "start", id: "start", agent: { name: "clerk" }, goal: "a goal" };

describe("APP-2 APP-4 EXEC-9: a plane that is away while people decide", () => {
  let plane: TestPlane;
  let clerk: TestActor;
  let ann: TestActor;
  let bob: TestActor;
  let coordinator: Coordinator;
  let timers: StreamReader;
  before(async () => {
    plane = await startTestPlane();
    coordinator = await plane.coordinator();
    await plane.applyValues([TOOL, CONTRACT], '@id("all") permit (principal, action, resource);');
    [clerk, ann, bob] = [await plane.agent("clerk"), await plane.approver("ann"), await plane.approver("bob")];
    timers = new StreamReader(await plane.server.connect("coordinator", "timers"), streamName("TIMERS", plane.ns));
  });
  after(() => plane.stop());

  interface Asked {
    readonly request: string;
    readonly digest: string;
  }
  async function asked(run: string): Promise<Asked> {
    await clerk.propose(run, START);
    await clerk.propose(run, { kind: "tool", id: "t", tool: "t.write", input: {} }, ({ request }) => request !== undefined);
    const { data } = (await plane.event(run, "approval.requested")).body;
    return { request: String(data["request"]), digest: String(data["digest"]) };
  }
  /** Until the server has stored that the request's time is over. */
  async function over(run: string): Promise<void> {
    const due = async () => {
      while ((await timers.lastOf(subjects.due(plane.ns, run as RunId))) === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
    };
    await withPatience(due(), `no timer of ${run} fell due`);
  }

  it("an approval that was stored in time is granted, though it is read after its request's end", async () => {
    const one = await asked("clerk_intime");
    await coordinator.stop();
    await ann.send("decide", "clerk_intime", { id: "d1", decision: "approve", ...one });
    await over("clerk_intime");
    coordinator = await plane.coordinator();
    await plane.event("clerk_intime", "action.approved");
    const types = (await plane.events("clerk_intime")).map(({ body }) => body.type);
    assert.ok(!types.includes("approval.expired"), types.join());
  });

  it("an approval that was stored after its request's end is refused, and the request expires", async () => {
    const one = await asked("clerk_late");
    await coordinator.stop();
    await over("clerk_late");
    await ann.send("decide", "clerk_late", { id: "d1", decision: "approve", ...one });
    coordinator = await plane.coordinator();
    await plane.event("clerk_late", "approval.expired");
    const { reasons } = await ann.rejection(({ run }) => run === "clerk_late");
    assert.deepEqual(reasons.map(({ code }) => code), ["approval.expired"]);
    assert.equal((await clerk.answer("clerk_late", ({ id, final }) => id === "t" && final)).status, "denied");
  });

  it("of two persons who decide at the same moment the first that was stored is heard, and the other is told", async () => {
    const one = await asked("clerk_both");
    await Promise.all([
      ann.send("decide", "clerk_both", { id: "d1", decision: "approve", ...one }),
      bob.send("decide", "clerk_both", { id: "d1", decision: "refuse", ...one }),
    ]);
    const decided = async () => {
      for (;;) {
        const types = (await plane.events("clerk_both")).map(({ body }) => body.type).filter((type) => type === "approval.granted" || type === "approval.refused");
        if (types.length > 0) return types;
      }
    };
    const types = await withPatience(decided(), "nobody was heard");
    assert.equal(types.length, 1);
    const loser = types[0] === "approval.granted" ? bob : ann;
    const { reasons } = await loser.rejection(({ run }) => run === "clerk_both");
    assert.deepEqual(reasons.map(({ code }) => code), ["approval.closed"]);
  });

  it("an approval after the run was cancelled decides nothing, and says so", async () => {
    const one = await asked("clerk_gone");
    const operator = await plane.operator();
    await operator.send("control", "clerk_gone", { verb: "cancel", id: "c1", reason: "not needed" });
    await plane.event("clerk_gone", "run.cancelled");
    await ann.send("decide", "clerk_gone", { id: "d1", decision: "approve", ...one });
    const { reasons } = await ann.rejection(({ run }) => run === "clerk_gone");
    assert.deepEqual(reasons.map(({ code }) => code), ["approval.closed"]);
  });
});
