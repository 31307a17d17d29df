/** What a flood costs, counted in records; `flood.int.test.ts` shows that nobody else suffers from it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Admission, Admissions, DEFAULT_QUOTA } from "../../services/coordinator/admission.ts";

const T0 = Date.UTC(2026, 0, 31, 9, 30);
const QUOTA = { perSecond: 10, burst: 5 };

/** One input each ms: how many are admitted, and how many each record speaks of. */
function flood(admissions: Admissions, sender: string, from: number, ms: number) {
  let admitted = 0;
  const records: number[] = [];
  for (let n = 0; n < ms; n++) {
    const admission = admissions.admit(sender, T0 + from + n);
    if (admission.admitted) admitted += 1;
    else if (admission.record > 0) records.push(admission.record);
  }
  return { admitted, records };
}

test("law 6: an actor sends at once what its burst allows, and then as much as it may sustain", () => {
  const admissions = new Admissions(QUOTA);
  const atOnce = Array.from({ length: 8 }, () => admissions.admit("propose/a", T0).admitted);
  assert.deepEqual(atOnce, [true, true, true, true, true, false, false, false]);
  assert.equal(admissions.admit("propose/a", T0 + 99).admitted, false);
  assert.equal(admissions.admit("propose/a", T0 + 100).admitted, true);
  // a rest brings no more than the burst
  const rested = Array.from({ length: 6 }, () => admissions.admit("propose/a", T0 + 3_600_000).admitted);
  assert.deepEqual(rested, [true, true, true, true, true, false]);
});

test("law 6: beyond its quota there is one counted record a second, and the counts miss nobody", () => {
  const admissions = new Admissions(QUOTA);
  const { admitted, records } = flood(admissions, "propose/a", 0, 10_000);
  assert.ok(admitted <= QUOTA.burst + 10 * QUOTA.perSecond, `${admitted} were admitted`);
  assert.equal(records.length, 10);
  const rest = admissions.takeRest();
  assert.deepEqual(rest.map(([sender]) => sender), ["propose/a"]);
  assert.equal(admitted + records.reduce((sum, count) => sum + count, 0) + (rest[0]?.[1] ?? 0), 10_000);
  assert.deepEqual(admissions.takeRest(), []);
});

test("law 6: one actor's flood takes nothing from another, nor of its own inputs of another kind", () => {
  const admissions = new Admissions(QUOTA);
  flood(admissions, "propose/a", 0, 1_000);
  for (const sender of ["propose/b", "decide/a"]) assert.equal(admissions.admit(sender, T0 + 1_000).admitted, true);
});

test("law 6: time that goes back brings nothing", () => {
  const admissions = new Admissions(QUOTA);
  for (let n = 0; n < 5; n++) admissions.admit("propose/a", T0);
  assert.equal(admissions.admit("propose/a", T0 - 60_000).admitted, false);
  assert.equal(admissions.admit("propose/a", T0).admitted, false);
});

const recorded = (admission: Admission) => (admission.admitted ? "admitted" : admission.record);

test("law 6: without another word an actor may send 4,000 inputs at once and 1,000 a second", () => {
  const admissions = new Admissions();
  for (let n = 0; n < 4000; n++) assert.ok(admissions.admit("propose/a", T0).admitted);
  assert.deepEqual([admissions.admit("propose/a", T0).admitted, admissions.admit("propose/a", T0 + 1).admitted, admissions.admit("propose/a", T0 + 1).admitted], [false, true, false]);
  assert.deepEqual(DEFAULT_QUOTA, { perSecond: 1000, burst: 4000 });
});

test("law 6: a record is due a second after the last one, and the first at once", () => {
  const admissions = new Admissions({ perSecond: 0, burst: 0 });
  assert.deepEqual([1000, 1001, 1999, 2000, 2001].map((time) => recorded(admissions.admit("propose/a", time))), [1, 0, 0, 3, 0]);
});

test("law 6: a clock that went back by more than a minute is believed, one that went back less is not", () => {
  const quota = { perSecond: 1, burst: 1 };
  const after = (backMs: number) => {
    const admissions = new Admissions(quota);
    admissions.admit("propose/a", T0);
    return [T0, T0 - backMs, T0 - backMs + 999, T0 - backMs + 1000].map((time) => recorded(admissions.admit("propose/a", time)));
  };
  assert.deepEqual(after(60_000), [1, 0, 0, 0]);
  assert.deepEqual(after(60_001), [1, 1, 0, "admitted"]);
  // also where time has hardly begun
  const early = new Admissions({ perSecond: 0, burst: 0 });
  assert.deepEqual([T0, 1000].map((time) => recorded(early.admit("propose/a", time))), [1, 1]);
});

test("law 6: so many actors that memory would not hold them all begin anew", () => {
  const admissions = new Admissions({ perSecond: 0, burst: 1 });
  const admitted = (sender: string) => admissions.admit(sender, T0).admitted;
  assert.deepEqual([admitted("a"), admitted("a")], [true, false]);
  for (let n = 1; n < 100_000; n++) admitted(`b${n}`);
  assert.equal(admitted("a"), false);
  assert.ok(admitted("one more"));
  assert.deepEqual([admitted("a"), admitted("b1"), admitted("one more")], [true, true, false]);
});
