/** Calls of tools: allowed, denied, unknown, tried again, waiting in a pause, under a probe of their own, and failing. */
import { type Capability, contract } from "../capability.ts";
import { propose, until } from "../patience.ts";
import { agentOf, ask, call, control, finish, recorded, start } from "../script.ts";
import { definition, toolDocuments } from "../tools.ts";

export const FREELY = [{ name: "c.read" }, { name: "c.write" }, { name: "c.same" }, { name: "c.asked" }];
const SECRET = {
  name: "c.secret", description: "forbidden", effect: "read", adapter: "nats", tags: ["forbidden"], input: { type: "object" }, output: {},
};
const runs = (serial: string) => ({ clerk: `clerk_${serial}` });

export const CALLS: Capability = {
  name: "calls",
  documents: ({ timeoutMs, retries }) => [
    ...toolDocuments(timeoutMs, retries),
    SECRET,
    contract("clerk", [...FREELY, { name: "c.secret" }]),
    contract("hasty", FREELY.map((tool) => ({ ...tool, ...(tool.name !== "c.read" && { requires_approval: true, approval_expires_seconds: 1 }) }))),
  ],
  policy: `@id("never-this") forbid (principal, action == Action::"read", resource) when { resource.tags.contains("forbidden") };\n`,
  journals: (serial) => ({ clerk: { kind: "run", name: runs(serial).clerk } }),
  play: async (world, serial) => {
    const { clerk: run } = runs(serial);
    const clerk = agentOf(world, run);
    await start(world, run);
    await call(world, run, "c.read", "read");
    await call(world, run, "c.write", "write");
    await propose(clerk, run, { kind: "tool", id: "secret", tool: "c.secret", input: {} }, ({ status }) => status === "denied");
    await propose(clerk, run, { kind: "tool", id: "unknown", tool: "c.nothing", input: {} }, ({ status }) => status === "rejected");
    await call(world, run, "c.same", "flaky", ["fail", "ok"]);
    await control(world, run, "pause", "run.paused");
    await ask(world, run, "c.write", "held", "approved");
    await control(world, run, "resume", "run.resumed");
    await call(world, run, "c.write", "held");
    // no journal takes this: it leaves a record
    await until(
      () => clerk.send("propose", `${run}-x`, { kind: "note", id: "lost", text: "nobody started this" }),
      () => clerk.rejections.find((one) => one.run === `${run}-x`),
      "a note to no run",
    );
    await propose(clerk, run, { kind: "note", id: "note", text: "all done" }, ({ final }) => final);
    await finish(world, run, { ok: true });
  },
  effects: { clerk: ["write", "flaky", "held"] },
  events: [
    "run.started", "run.paused", "run.resumed", "run.completed", "note.recorded", "budget.reserved", "budget.settled",
    "action.proposed", "action.rejected", "action.validated", "action.denied", "action.approved", "action.dispatched", "action.started", "action.retrying", "action.succeeded", "action.verified",
  ],
  agents: ["clerk", "hasty", "hasty"],
};

/** What an attempt that was lost did is asked of the tool: a kill only adds questions. */
export const PROBES: Capability = {
  name: "probes",
  documents: ({ retries }) => [
    definition("c.probed", "write", 300, Math.max(retries, 3), { probe: { timeout_ms: 300, tries: 20 } }),
    contract("prober", [{ name: "c.probed" }]),
  ],
  journals: (serial) => ({ prober: { kind: "run", name: `prober_${serial}` } }),
  play: async (world, serial) => {
    const run = `prober_${serial}`;
    await start(world, run);
    await propose(agentOf(world, run), run, { kind: "tool", id: "done", tool: "c.probed", input: { step: "done", does: ["never"] } }, ({ final }) => final);
    await finish(world, run);
  },
  effects: { prober: ["done"] },
  events: [
    "run.started", "run.completed", "budget.reserved", "budget.settled",
    "action.proposed", "action.validated", "action.approved", "action.dispatched", "action.started", "action.in_doubt", "action.probing", "action.probed", "action.succeeded", "action.verified",
  ],
  same: "ends",
};

/** What comes from outside marks a run until a person has looked; a read that fails, and a run that its agent gives up. */
export const MARKS: Capability = {
  name: "marks",
  documents: ({ timeoutMs }) => [
    definition("c.web", "read", timeoutMs, 0, { trusted: false }),
    contract("surfer", [{ name: "c.web" }]),
  ],
  journals: (serial) => ({ surfer: { kind: "run", name: `surfer_${serial}` } }),
  play: async (world, serial) => {
    const run = `surfer_${serial}`;
    const surfer = agentOf(world, run);
    await start(world, run);
    await call(world, run, "c.web", "seen");
    await recorded(world, run, "taint.raised");
    await control(world, run, "cleanse", "taint.lowered");
    await propose(surfer, run, { kind: "tool", id: "broken", tool: "c.web", input: { step: "broken", does: ["fail"] } }, ({ final }) => final);
    await propose(surfer, run, { kind: "fail", id: "fail", error: "nothing to be had" }, ({ final }) => final);
  },
  effects: {},
  events: [
    "run.started", "run.failed", "taint.raised", "taint.lowered", "budget.reserved", "budget.settled",
    "action.proposed", "action.validated", "action.approved", "action.dispatched", "action.started", "action.succeeded", "action.verified", "action.failed",
  ],
};
