/** What a flood costs, counted in records; `flood.int.test.ts` shows that nobody else suffers from it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Admissions } from "../../services/coordinator/admission.ts";

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
