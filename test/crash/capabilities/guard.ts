/** An emergency stop of an agent, and its lift by a second person. */
import type { JournalEvent } from "../../../services/bus/commit.ts";
import type { TestActor } from "../../harness/plane.ts";
import { type Capability, contract } from "../capability.ts";
import { until } from "../patience.ts";
import { ask, call, finish, start } from "../script.ts";
import type { World } from "../world.ts";
import { FREELY } from "./calls.ts";

const GUARD = "guard:stops";

async function guarded(world: World, by: TestActor, body: { id: string; verb: string; [key: string]: unknown }): Promise<JournalEvent> {
  return until(
    () => by.send("control", GUARD, { reason: "an exercise", ...body }),
    async () => (await world.journal("guard", "stops")).find(({ body: { cause } }) => cause.id === body.id),
    `${body.verb} in the guard; ${JSON.stringify(by.rejections.slice(-2))}`,
  );
}

export const STOPS: Capability = {
  name: "stops",
  documents: () => [contract("halted", FREELY)],
  journals: (serial) => ({
    halted: { kind: "run", name: `halted_${serial}` },
    refused: { kind: "run", name: `halted_${serial}-r` },
    guard: { kind: "guard", name: "stops", part: (all) => all.filter(({ body }) => body.cause.id.endsWith(`-${serial}`)) },
  }),
  play: async (world, serial) => {
    const { operator, otherOperator } = world.people;
    const run = `halted_${serial}`;
    await start(world, run);
    await call(world, run, "c.write", "before");
    const stopped = await guarded(world, operator, { verb: "stop", id: `stop-${serial}`, scope: "agent:halted" });
    await ask(world, run, "c.write", "meanwhile", "denied");
    await start(world, `${run}-r`);
    await guarded(world, otherOperator, { verb: "lift", id: `lift-${serial}`, stop: stopped.body.data["stop"] });
    await call(world, run, "c.write", "after");
    await finish(world, run);
  },
  effects: { halted: ["before", "after"] },
  events: [
    "run.started", "run.refused", "run.completed", "guard.stopped", "guard.lifted", "budget.reserved", "budget.settled",
    "action.proposed", "action.validated", "action.denied", "action.approved", "action.dispatched", "action.started", "action.succeeded", "action.verified",
  ],
};
