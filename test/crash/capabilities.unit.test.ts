/** The list of capabilities is whole: what the machines can record is recorded under fire, or somebody says why not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENT_TYPES, type EventType } from "../../schemas/event.ts";
import { CAPABILITIES, UNREACHED } from "./capabilities.ts";
import { kept, keptPrograms } from "./choose.ts";
import { capabilityOf } from "./disturb.ts";

test("OPS-2: every event type is recorded by the play of a capability that is disturbed at its boundaries, or named with the reason why not", () => {
  // what a play really records is compared with its list whenever it is played
  const reached = new Set<EventType>(CAPABILITIES.flatMap(({ events }) => events));
  assert.deepEqual(EVENT_TYPES.filter((type) => !reached.has(type) && UNREACHED[type] === undefined), []);
  assert.deepEqual(Object.keys(UNREACHED).filter((type) => reached.has(type as EventType)), [], "a reason for nothing");
});

test("what is kept can be played: by capabilities that there are, and agents that have a contract", () => {
  for (const { capability } of kept()) assert.ok(capabilityOf(capability));
  const agents = new Set(CAPABILITIES.flatMap((one) => one.documents({ timeoutMs: 1, retries: 0 })).flatMap((one) => ("agent" in one ? [one.agent.name] : [])));
  for (const { program } of keptPrograms()) for (const { agent } of program.runs) assert.ok(agents.has(agent), agent);
  for (const { agents: some = [] } of CAPABILITIES) for (const agent of some) assert.ok(agents.has(agent), agent);
  assert.equal(new Set(CAPABILITIES.map(({ name }) => name)).size, CAPABILITIES.length);
});
