/**
 * A server's clock that jumps, at the seam where it enters: the stored time of inputs. It goes back, and far ahead, in
 * the middle of anything. A run's own time never goes back, a timer counts once, and what expires is a matter of the
 * stored time of the word that it is about.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decide } from "../../machines/decide.ts";
import { owed } from "../../machines/owed.ts";
import { type RunState, evolve } from "../../machines/state.ts";
import { millis, timestamp } from "../../schemas/time.ts";
import { Admissions } from "../../services/coordinator/admission.ts";
import { type Line, T0, approve, claim, due, fresh, note, report, start, tool } from "../machines/given.ts";
import { type Move, type Step, program, runProgram } from "../machines/programs.ts";
import { Watcher } from "../machines/watcher.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const jump = fc.constantFrom(-400 * DAY, -DAY, -MINUTE, -5_000, MINUTE, DAY, 400 * DAY);
/** A timer that fires under a clock which has jumped: at any time, also before its own, and perhaps a second time. */
const anyDue: fc.Arbitrary<Move> = fc.nat(1000).map((n): Move => (state, told, time) => {
  const before = told.findLast(({ input }) => input.kind === "due");
  if (n % 4 === 0 && before !== undefined) return before;
  const timers = owed(state).flatMap((debt) => (debt.kind === "timer" ? [debt] : []));
  const timer = timers[n % Math.max(1, timers.length)];
  return timer === undefined ? note(`d${n}`).tell(state, time) : due(timer.name, timer.armed).tell(state, time);
});
/** A program, at some of whose steps the clock jumps, and some of which are timers that fire whenever they like. */
const jumpy: fc.Arbitrary<Step[]> = program.chain((steps) =>
  fc.array(fc.record({ at: fc.integer({ min: 1, max: steps.length }), jump, due: fc.option(anyDue, { freq: 2 }) }), { minLength: 3, maxLength: 20 }).map((jumps) => {
    const out = [...steps];
    for (const { at, jump: waitMs, due: timer } of jumps) {
      const step = out[at];
      if (step === undefined) continue;
      if (timer === null) out[at] = { ...step, waitMs };
      else out.splice(at, 0, { move: timer, waitMs });
    }
    return out;
  }),
);

describe("a clock that jumps", () => {
  test("CORE-3 EXEC-6 law 1: whatever the server's clock does, a run's time never goes back, a timer counts once, and no invariant breaks", () => {
    let [committed, backwards, fired] = [0, 0, 0];
    fc.assert(
      fc.property(jumpy, (steps) => {
        const watcher = new Watcher();
        const counted = new Set<string>();
        let at = "";
        for (const taken of runProgram(steps)) {
          watcher.see(taken);
          const { told, decision, state } = taken;
          if (decision.kind !== "commit") continue;
          committed += 1;
          if (told.input.time < at) backwards += 1;
          assert.ok(decision.change.at >= at);
          at = decision.change.at;
          assert.equal(state.at, at);
          if (told.input.kind !== "due") continue;
          fired += 1;
          const timer = `${told.input.body.timer}/${told.input.body.armed}`;
          assert.ok(!counted.has(timer), `${timer} counted twice`);
          counted.add(timer);
        }
      }),
      { seed: 20261121, numRuns: 300 },
    );
    // programs that reach nothing would prove nothing
    assert.ok(committed > 3_000 && backwards > 500 && fired > 300, `${committed} commits, ${backwards} of the past, ${fired} timers`);
  });

  /** Says it, and returns the types of what that wrote. */
  const say = (state: RunState, line: Line, time: number): readonly string[] => {
    const { input, facts } = line.tell(state, timestamp(time));
    const decision = decide(state, input, facts);
    if (decision.kind === "refuse") return decision.reasons.map(({ code }) => code);
    if (decision.kind !== "commit") return [decision.kind];
    evolve(state, decision.change);
    return decision.drafts.map(({ type }) => type);
  };
  const TTL_MS = 10 * MINUTE;
  /** A run that asks a person at {@link T0}, who may answer for ten minutes. */
  const asking = () => {
    const state = fresh();
    say(state, start(), T0);
    say(state, tool("t1", { decision: "ask", ttlMs: TTL_MS }), T0);
    const [request = ""] = state.asked;
    const timer = owed(state).find((debt) => debt.kind === "timer");
    assert.ok(timer?.kind === "timer" && request !== "");
    return { state, request, timer };
  };

  test("APP-1: the clock leaps over an approval's end: a word stored after that is too late, and the timer ends it", () => {
    const { state, request, timer } = asking();
    assert.deepEqual(say(state, approve(request, "ann"), T0 + DAY), ["approval.expired"]);
    assert.ok(say(state, due(timer.name, timer.armed), T0 + DAY).includes("approval.expired"));
    assert.deepEqual(say(state, due(timer.name, timer.armed), T0 + 2 * DAY), ["ignore"]);
  });

  test("APP-1: the clock goes back: a word stored at an earlier time than the question is in time, and the run's time stands still", () => {
    const { state, request } = asking();
    assert.ok(say(state, approve(request, "ann"), T0 - DAY).includes("action.dispatched"));
    assert.equal(state.at, timestamp(T0));
  });

  test("APP-1: the clock leaps over an approval's end and back: as long as its timer was not stored, a word of an earlier time is in time", () => {
    const { state, request, timer } = asking();
    assert.deepEqual(say(state, note("n1"), T0 + DAY), ["note.recorded"]);
    assert.ok(say(state, approve(request, "ann"), T0 + MINUTE).includes("approval.granted"));
    assert.equal(state.at, timestamp(T0 + DAY));
    assert.deepEqual(say(state, due(timer.name, timer.armed), T0 + TTL_MS), ["ignore"]);
  });

  test("EXEC-6: a timer that the server fired counts, whatever its clock says of it afterwards", () => {
    const { state, request, timer } = asking();
    assert.ok(say(state, due(timer.name, timer.armed), T0 - DAY).includes("approval.expired"));
    assert.equal(say(state, approve(request, "ann"), T0 - DAY).includes("approval.granted"), false);
  });

  test("EXEC-6: what a run arms after the clock was ahead lies behind the run's own time, not the clock's", () => {
    const state = fresh();
    say(state, start(), T0);
    say(state, note("n1"), T0 + DAY);
    say(state, tool("t1", { timeoutMs: 1_000 }), T0);
    say(state, claim("a3"), T0 + 10);
    const [timer] = owed(state).flatMap((debt) => (debt.kind === "timer" ? [debt] : []));
    assert.ok(timer !== undefined && millis(timer.at) > T0 + DAY);
    // nobody is kept from reporting until then
    assert.ok(say(state, report("a3", "succeeded"), T0 + 20).includes("action.succeeded"));
  });

  test("law 6: a clock that was ahead for a moment leaves no sender without quota until it gets there", () => {
    const admissions = new Admissions({ perSecond: 10, burst: 2 });
    assert.ok(admissions.admit("propose/clerk", T0 + DAY).admitted);
    let admitted = 0;
    let recorded = 0;
    for (let ms = 0; ms < 10_000; ms += 20) {
      const admission = admissions.admit("propose/clerk", T0 + ms);
      if (admission.admitted) admitted += 1;
      else if (admission.record > 0) recorded += 1;
    }
    assert.ok(admitted >= 95 && admitted <= 105, `${admitted}`);
    assert.ok(recorded >= 9, `${recorded}`);
  });
});
