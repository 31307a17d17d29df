/** Timers that are put off: what is still owed is armed, and in time; what was let go costs nothing (EXEC-9). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { runId } from "../../schemas/ids.ts";
import { plusMillis } from "../../schemas/time.ts";
import { type OwedTimer, Unarmed } from "../../services/coordinator/unarmed.ts";

const NOW = "2026-01-31T09:30:00.000Z";
const RUN = runId("a_1");
const timer = (name: string, afterMs: number, armed = 1): OwedTimer => ({ kind: "timer", key: `timer/${name}/${armed}`, name, at: plusMillis(NOW, afterMs), armed });

/** In small steps: a timer that is set by a timer is set at its time. */
function wait(ms: number): void {
  for (let waited = 0; waited < ms; waited += 100) mock.timers.tick(100);
}

describe("EXEC-9 timers that are owed and not armed yet", () => {
  let armed: string[];
  let unarmed: Unarmed;
  /** How often the process was asked to be woken. */
  let alarms: number;
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    alarms = 0;
    const set = globalThis.setTimeout;
    mock.method(globalThis, "setTimeout", ((...args: Parameters<typeof set>) => (alarms++, set(...args))) as typeof set);
    armed = [];
    unarmed = new Unarmed((run, { key }) => armed.push(`${run} ${key}`));
  });
  afterEach(() => {
    mock.restoreAll();
    mock.timers.reset();
  });

  it("what is due soon is armed at once by whoever asks", () => {
    assert.equal(unarmed.take(RUN, timer("wall", 2999), NOW), false);
    assert.equal(unarmed.take(RUN, timer("wall", -5), NOW), false);
    wait(10_000);
    assert.deepEqual(armed, []);
  });

  it("what is still owed after its wait is armed, once, and long before it is due", () => {
    assert.equal(unarmed.take(RUN, timer("wall", 3000), NOW), true);
    wait(1000);
    assert.deepEqual(armed, ["a_1 timer/wall/1"]);
    wait(10_000);
    assert.equal(armed.length, 1);
  });

  it("what is no debt any more is let go, in either half of its wait", () => {
    for (const waited of [0, 600]) {
      unarmed.take(RUN, timer("action:a1", 10_000), NOW);
      unarmed.take(RUN, timer("wall", 90_000), NOW);
      wait(waited);
      unarmed.keep(RUN, new Set(["timer/wall/1"]));
      wait(2000);
      assert.deepEqual(armed.splice(0), ["a_1 timer/wall/1"], String(waited));
    }
  });

  it("a timer takes the place of an older one of its name: armed later, that would take the newer one's place at the server", () => {
    unarmed.take(RUN, timer("action:a1", 10_000, 1), NOW);
    wait(600);
    assert.equal(unarmed.take(RUN, timer("action:a1", 500, 7), NOW), false);
    unarmed.take(runId("b_1"), timer("action:a1", 10_000, 1), NOW);
    wait(600);
    assert.equal(unarmed.take(runId("b_1"), timer("action:a1", 10_000, 9), NOW), true);
    wait(2000);
    assert.deepEqual(armed, ["b_1 timer/action:a1/9"]);
  });

  it("what is armed at once is not armed again when the older one of its name has waited", () => {
    unarmed.take(RUN, timer("wall", 10_000), NOW);
    assert.equal(unarmed.take(RUN, timer("wall", 500, 2), NOW), false);
    wait(5000);
    assert.deepEqual(armed, []);
  });

  it("all that a run owes is armed, each under its own name", () => {
    unarmed.take(RUN, timer("wall", 10_000), NOW);
    unarmed.take(RUN, timer("action:a1", 20_000), NOW);
    wait(2000);
    assert.deepEqual(armed, ["a_1 timer/wall/1", "a_1 timer/action:a1/1"]);
  });

  it("a plane that nothing waits in is not woken: there are no rounds without timers", () => {
    unarmed.take(RUN, timer("wall", 10_000), NOW);
    wait(10_000);
    assert.equal(alarms, 2);
    unarmed.take(RUN, timer("wall", 10_000), NOW);
    unarmed.keep(RUN, new Set());
    wait(10_000);
    assert.deepEqual([alarms, armed.length], [3, 1]);
  });

  it("nothing is armed after a stop", () => {
    unarmed.take(RUN, timer("wall", 3000), NOW);
    unarmed.stop();
    wait(5000);
    assert.deepEqual(armed, []);
  });
});
