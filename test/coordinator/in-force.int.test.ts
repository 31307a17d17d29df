/** Several coordinators, each input decided by any of them: all judge by what is in force, whoever put it there. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startTestPlane, type TestActor, type TestPlane } from "../harness/plane.ts";

const RUNS = 40;
const contract = (purpose: string) => ({
  agent: { name: "clerk", owner: "owner", team: "team", purpose },
  tools: { allowlist: [{ name: "t.read" }] },
});
const TOOL = { name: "t.read", description: "reads", effect: "read", adapter: "nats", input: { type: "object" }, output: {} };

describe("EXEC-8: several coordinators", () => {
  let plane: TestPlane;
  let clerk: TestActor;
  before(async () => {
    plane = await startTestPlane();
    for (let i = 0; i < 3; i++) await plane.coordinator();
    clerk = await plane.agent("clerk");
  });
  after(() => plane.stop());

  it("each of them knows a document that another one put in force", async () => {
    await plane.applyValues([TOOL, contract("to be known")], '@id("all") permit (principal, action, resource);');
    const started = await Promise.all(
      Array.from({ length: RUNS }, (_, i) => clerk.hear("propose", `clerk_r${i}`, { kind: "start", id: "start", agent: { name: "clerk" }, goal: "a goal" })),
    );
    assert.deepEqual([...new Set(started.map(({ status, codes }) => `${status} ${codes.join()}`))], ["started "]);
    const proposed = await Promise.all(
      Array.from({ length: RUNS }, (_, i) => clerk.hear("propose", `clerk_r${i}`, { kind: "tool", id: "t", tool: "t.read", input: {} }, {}, ({ status }) => status !== "pending")),
    );
    assert.deepEqual([...new Set(proposed.map(({ status, codes }) => `${status} ${codes.join()}`))], ["approved "]);
  });
});
