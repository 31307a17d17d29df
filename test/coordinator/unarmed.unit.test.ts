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
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    armed = [];
    unarmed = new Unarmed((run, { key }) => armed.push(`${run} ${key}`));
  });
  afterEach(() => mock.timers.reset());

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

  it("nothing is armed after a stop", () => {
    unarmed.take(RUN, timer("wall", 3000), NOW);
    unarmed.stop();
    wait(5000);
    assert.deepEqual(armed, []);
  });
});
