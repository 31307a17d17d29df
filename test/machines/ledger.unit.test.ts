/** GUARD-7 as a property of the pure machine: whatever is asked in whatever order, no account exceeds its cap. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type LedgerDecision, type LedgerState, decideLedger, emptyLedger, evolveLedger } from "../../machines/ledger.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { LedgerFacts } from "../../schemas/facts.ts";
import { type LedgerName, ledgerNameSchema, namespace } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";

const NS = namespace("test");
const DAY = "2026-11-21";
const NEXT = "2026-11-22";
const name = (account: string, day = DAY): LedgerName => ledgerNameSchema.parse(`${account}.${day}`);
const TEAM = name("team.support");

interface Asked {
  readonly run: string;
  readonly body: SignalInput;
  readonly cap?: number | undefined;
  readonly time?: string;
}

function tell(state: LedgerState, { run, body, cap, time = `${DAY}T12:00:00.000Z` }: Asked): LedgerDecision {
  const facts: LedgerFacts = { kind: "ledger", ...(cap !== undefined && { cap }) };
  const input = { actor: run, id: body.id, hash: canonicalDigest(body), time, body };
  const decision = decideLedger(state, input, facts);
  assert.deepEqual(decideLedger(state, input, facts), decision, "the same arguments, the same decision");
  if (decision.kind === "commit") evolveLedger(state, decision.change);
  return decision;
}
const lease = (id: string, need: number, want = need, more: object = {}): SignalInput =>
  ({ name: "lease", id, ledger: TEAM, unit: "cost", window: DAY, need, want, ...more }) as SignalInput;
const giveBack = (id: string, unused: number, last = false, more: object = {}): SignalInput =>
  ({ name: "return", id, ledger: TEAM, unit: "cost", window: DAY, unused, last, ...more }) as SignalInput;
const reply = (decision: LedgerDecision) => {
  assert.notEqual(decision.kind, "refuse", JSON.stringify(decision));
  return (decision as LedgerDecision & { reply: SignalInput }).reply;
};
const codes = (decision: LedgerDecision) => (decision.kind === "refuse" ? decision.reasons.map(({ code }) => code) : decision.kind);

test("GUARD-7 a lease is granted what is left between need and wish, or nothing at all", () => {
  const state = emptyLedger(NS, TEAM, "2");
  const granted = (body: SignalInput) => (reply(tell(state, { run: "a_1", body, cap: 100 })) as { granted: number }).granted;
  assert.equal(granted(lease("1", 10, 60)), 60);
  assert.equal(granted(lease("2", 10, 60)), 40);
  assert.equal(granted(lease("3", 1, 1)), 0);
  assert.deepEqual(reply(tell(state, { run: "a_1", body: giveBack("4", 30), cap: 100 })), { name: "returned", id: "4", ledger: TEAM, unit: "cost", window: DAY, unused: 30, last: false });
  assert.equal(granted(lease("5", 31, 31)), 0);
  assert.equal(granted(lease("6", 30, 31)), 30);
});

test("GUARD-7 a cap lowered below what is held grants nothing, and takes nothing back by itself", () => {
  const state = emptyLedger(NS, TEAM, "2");
  tell(state, { run: "a_1", body: lease("1", 80), cap: 100 });
  const refused = tell(state, { run: "b_1", body: lease("1", 1), cap: 50 });
  assert.deepEqual(reply(refused), { name: "leased", id: "1", ledger: TEAM, unit: "cost", window: DAY, granted: 0, total: 80, cap: 50 });
  assert.equal(refused.kind === "commit" && refused.drafts[0]?.type, "ledger.refused");
});

test("GUARD-7 an amount is counted and never refused, and only an account of amounts counts it", () => {
  const amounts = name(`amount.${"0".repeat(32)}`);
  const state = emptyLedger(NS, amounts, "2");
  const body = lease("1", 480_0000, 999, { ledger: amounts, unit: "amount" });
  assert.deepEqual(reply(tell(state, { run: "a_1", body, cap: 1 })), { name: "leased", id: "1", ledger: amounts, unit: "amount", window: DAY, granted: 480_0000, total: 480_0000 });
  assert.deepEqual(codes(tell(state, { run: "a_1", body: lease("2", 1, 1, { ledger: amounts }) })), ["ledger.unit"]);
});

test("GUARD-7 what belongs to another account, day or minute is refused", () => {
  const state = emptyLedger(NS, TEAM, "2");
  const refused = (body: SignalInput) => codes(tell(state, { run: "a_1", body }));
  assert.deepEqual(refused(lease("1", 1, 1, { window: NEXT })), ["ledger.window"]);
  assert.deepEqual(refused(lease("1", 1, 1, { window: `${DAY}T09:30` })), ["ledger.window"]);
  assert.deepEqual(refused(lease("1", 1, 1, { unit: "requests", window: `${NEXT}T00:00` })), ["ledger.window"]);
  assert.deepEqual(refused(lease("1", 1, 1, { ledger: name("team.other") })), ["ledger.other"]);
  assert.deepEqual(refused({ name: "leased", id: "1", ledger: TEAM, unit: "cost", window: DAY, granted: 1, total: 1 }), ["signal.not_for_ledger"]);
  assert.deepEqual(refused(giveBack("1", 1, true, { unit: "requests", window: `${DAY}T09:30` })), ["ledger.spent"]);
  assert.equal(state.seq, 0);
});

test("GUARD-7 the same id with other content is refused, the same again is answered the same again, whatever the cap is by then", () => {
  const state = emptyLedger(NS, TEAM, "2");
  const first = tell(state, { run: "a_1", body: lease("1", 10, 20), cap: 100 });
  const again = tell(state, { run: "a_1", body: lease("1", 10, 20), cap: 5 });
  assert.equal(again.kind, "duplicate");
  assert.deepEqual(reply(again), reply(first));
  assert.deepEqual(codes(tell(state, { run: "a_1", body: lease("1", 10, 21), cap: 100 })), ["id.reused"]);
  assert.equal(tell(state, { run: "b_1", body: lease("1", 10, 20), cap: 100 }).kind, "commit", "another run's id is another id");
});

/** A model of many runs around the turn of a day: each holds what it was granted, gives some of it back, and repeats itself. */
test("GUARD-7 property: around the turn of a day no account exceeds its cap, nobody gives back another's, every unit is accounted for", () => {
  const step = fc.record({
    run: fc.integer({ min: 0, max: 5 }),
    day: fc.constantFrom(DAY, NEXT),
    /** The day of the window that is asked for need not be that of the clock: what was begun before midnight goes on. */
    late: fc.boolean(),
    asks: fc.boolean(),
    units: fc.integer({ min: 0, max: 40 }),
    extra: fc.integer({ min: 0, max: 40 }),
    repeat: fc.boolean(),
    last: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 0, max: 120 }), (steps, cap) => {
      const ledgers = new Map([DAY, NEXT].map((day) => [day, emptyLedger(NS, name("team.support", day), "2")]));
      const held = new Map<string, number>();
      const total = new Map<string, number>();
      steps.forEach(({ run, day, late, asks, units, extra, repeat, last }, index) => {
        const state = ledgers.get(day) as LedgerState;
        const account = { ledger: state.name, window: day };
        const key = `${run}/${day}`;
        const before = held.get(key) ?? 0;
        const sum = total.get(day) ?? 0;
        const body = asks ? lease(`s${index}`, units, units + extra, account) : giveBack(`s${index}`, units, last, account);
        const asked = { run: `a_${run}`, body, cap, time: late ? `${NEXT}T00:00:00.${String(index).padStart(3, "0")}Z` : `${DAY}T23:59:59.${String(index).padStart(3, "0")}Z` };
        const answer = reply(tell(state, asked));
        if (repeat) assert.deepEqual(reply(tell(state, asked)), answer);
        if (answer.name === "leased") {
          assert.ok(answer.granted === 0 || answer.granted >= units, "a grant below its need helps nobody");
          assert.ok(answer.granted <= units + extra);
          if (units > 0) assert.equal(answer.granted === 0, sum + units > cap, "refused exactly when it would exceed the cap");
          assert.equal(answer.total, sum + answer.granted);
          held.set(key, before + answer.granted);
          total.set(day, answer.total);
          assert.ok(answer.granted === 0 || answer.total <= cap);
        } else if (answer.name === "returned") {
          assert.equal(answer.unused, Math.min(units, before), "nobody gives back more than they hold");
          held.set(key, before - answer.unused);
          total.set(day, sum - answer.unused);
        }
        assert.equal(state.totals.get(`cost/${day}`) ?? 0, total.get(day) ?? 0);
      });
      for (const day of [DAY, NEXT]) {
        const holdings = [...held].filter(([key]) => key.endsWith(day)).reduce((sum, [, units]) => sum + units, 0);
        assert.equal(total.get(day) ?? 0, holdings, "the total is what the runs hold and spent");
      }
    }),
    { numRuns: 300 },
  );
});
