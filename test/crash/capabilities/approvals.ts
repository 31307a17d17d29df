/** People: they approve, alone or by two; let a request lapse; edit; approve for a while; and a run is cancelled meanwhile. */
import { type Capability, contract } from "../capability.ts";
import { applyOne, ask, call, control, decide, finish, start, takesEffect } from "../script.ts";
import { definition } from "../tools.ts";

const WRITTEN = ["budget.reserved", "budget.settled", "action.proposed", "action.validated", "action.approved", "action.dispatched", "action.started", "action.succeeded", "action.verified"] as const;
const asked = (more: object = {}) => [{ name: "c.write", requires_approval: true, ...more }];
const runs = (serial: string) => ({ asker: `asker_${serial}`, cancelled: `asker_${serial}-c`, grave: `grave_${serial}` });

export const APPROVALS: Capability = {
  name: "approvals",
  documents: ({ timeoutMs, retries }) => [
    definition("c.grave", "write", timeoutMs, retries, { tags: ["grave"] }),
    contract("asker", [{ name: "c.read" }, ...asked(), { name: "c.same", requires_approval: true, approval_expires_seconds: 1 }]),
    contract("grave", [{ name: "c.grave" }]),
  ],
  policy: `@id("two-people") @ask("approver") @approvals("2") forbid (principal, action, resource) when { resource.tags.contains("grave") };\n`,
  journals: (serial) => Object.fromEntries(Object.entries(runs(serial)).map(([role, name]) => [role, { kind: "run", name }])),
  play: async (world, serial) => {
    const { asker, cancelled, grave } = runs(serial);
    await start(world, asker);
    await ask(world, asker, "c.write", "asked", "pending");
    await decide(world, asker);
    await call(world, asker, "c.write", "asked");
    await ask(world, asker, "c.write", "unwanted", "pending");
    await decide(world, asker, { nth: 2, decision: "refuse", type: "approval.refused" });
    // nobody answers
    await ask(world, asker, "c.same", "lapsed", "denied");
    await start(world, cancelled);
    await ask(world, cancelled, "c.write", "never", "pending");
    await control(world, cancelled, "cancel", "run.cancelled");
    await start(world, grave);
    await ask(world, grave, "c.grave", "grave", "pending");
    await decide(world, grave);
    await decide(world, grave, { by: world.people.second });
    await call(world, grave, "c.grave", "grave");
    await finish(world, grave);
    await finish(world, asker);
  },
  effects: { asker: ["asked"], grave: ["grave"] },
  events: ["run.started", "run.completed", "run.cancelled", ...WRITTEN, "action.denied", "approval.requested", "action.failed", "approval.granted", "approval.refused", "approval.expired", "approval.stale"],
};

/** A person puts another input in the place of one that waits: it is judged anew, and another person agrees to it. */
export const EDITS: Capability = {
  name: "edits",
  documents: () => [contract("edited", asked())],
  journals: (serial) => ({ edited: { kind: "run", name: `edited_${serial}` } }),
  play: async (world, serial) => {
    const run = `edited_${serial}`;
    await start(world, run);
    await ask(world, run, "c.write", "much", "pending");
    await decide(world, run, { decision: "edit", input: { step: "less" }, type: "approval.edited" });
    await decide(world, run, { nth: 2, by: world.people.second });
    await takesEffect(world, run, "less");
    await finish(world, run);
  },
  effects: { edited: ["less"] },
  events: ["run.started", "run.completed", ...WRITTEN, "action.denied", "approval.requested", "approval.edited", "approval.granted"],
};

/** One approval for two more actions of the same shape; the fourth is asked for again, and its request meets another contract. */
export const STANDING: Capability = {
  name: "standing approval",
  documents: () => [standing("first")],
  journals: (serial) => ({ standing: { kind: "run", name: `standing_${serial}` } }),
  play: async (world, serial) => {
    const run = `standing_${serial}`;
    await applyOne(world, standing(`before ${serial}`), `before-${serial}`);
    await start(world, run);
    await ask(world, run, "c.write", "once", "pending");
    await decide(world, run, { standing: { vary: ["/step"], uses: 2, expires_seconds: 600 } });
    for (const step of ["once", "twice", "thrice"]) await call(world, run, "c.write", step);
    await ask(world, run, "c.write", "again", "pending");
    // what was asked for is judged by documents that are in force no more
    await applyOne(world, standing(`after ${serial}`), `after-${serial}`);
    await decide(world, run, { nth: 2, type: "approval.stale" });
    await decide(world, run, { nth: 3, by: world.people.second });
    await call(world, run, "c.write", "again");
    await finish(world, run);
  },
  effects: { standing: ["once", "twice", "thrice", "again"] },
  events: ["run.started", "run.completed", ...WRITTEN, "approval.requested", "approval.granted", "approval.stale"],
};
const standing = (version: string) => {
  const one = contract("standing", asked({ standing_approval: { max_uses: 2, max_seconds: 600, vary: ["/step"] } }));
  return { ...one, agent: { ...one.agent, purpose: `to be crashed, as ${version}` } };
};
