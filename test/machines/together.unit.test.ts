/**
 * GUARD-7 without a broker: several runs and one account, each message lost, late, repeated and out of order. The cap
 * is never exceeded, and when all runs have ended the account has exactly what they spent.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decide } from "../../machines/decide.ts";
import { decideLedger, emptyLedger, evolveLedger, type LedgerState } from "../../machines/ledger.ts";
import { readied } from "../../machines/leases.ts";
import { owed } from "../../machines/owed.ts";
import { type RunState, evolve } from "../../machines/state.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { type Need, NO_FACTS } from "../../schemas/facts.ts";
import { type LedgerName, runId } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { aggregateToken } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import { factsOf } from "./facts-of.ts";
import { claim, control, fresh, type Line, NS, report, resolve, start, T0, tool } from "./given.ts";

const LEDGER = "team.a.2026-01-31" as LedgerName;
const need = (units: number, want: number): Need => ({ ledger: LEDGER, unit: "cost", window: "2026-01-31", need: units, want });

/** A small plane: what is owed is on its way, and what was sent may arrive again. */
class Plane {
  readonly runs: RunState[];
  readonly ledger: LedgerState = emptyLedger(NS, LEDGER, CURRENT_VERSION);
  /** Answers that are under way, or may come again. */
  readonly answers: { readonly run: number; readonly body: SignalInput }[] = [];
  readonly cap: number;
  #time = T0;
  #ids = 0;

  constructor(runs: number, cap: number) {
    this.cap = cap;
    this.runs = Array.from({ length: runs }, (_, i) => fresh(runId(`agent-1_r${i}`)));
    this.runs.forEach((_, i) => this.say(i, start()));
  }

  get total(): number {
    return this.ledger.totals.get("cost/2026-01-31") ?? 0;
  }

  say(run: number, line: Line): void {
    const state = this.runs[run] as RunState;
    const { input, facts } = line.tell(state, timestamp((this.#time += 10)));
    const decision = decide(state, input, facts);
    if (decision.kind === "commit") evolve(state, decision.change);
  }

  propose(run: number, cost: number, want: number): void {
    this.say(run, tool(`t${(this.#ids += 1)}`, { costMicroUsd: cost, needs: [need(cost, want)] }));
  }

  /** A run's message reaches the account, for the first time or again. */
  send(run: number, pick: number): boolean {
    const state = this.runs[run] as RunState;
    const bodies = owed(state).flatMap((debt) => (debt.kind === "signal" ? [debt.body] : []));
    const body = bodies[pick % Math.max(1, bodies.length)];
    if (body === undefined) return false;
    const input = { actor: state.run, id: body.id, hash: canonicalDigest(body), time: timestamp((this.#time += 10)), body };
    const decision = decideLedger(this.ledger, input, { kind: "ledger", cap: this.cap });
    assert.notEqual(decision.kind, "refuse");
    if (decision.kind === "refuse") return false;
    if (decision.kind === "commit") evolveLedger(this.ledger, decision.change);
    this.answers.push({ run, body: decision.reply });
    return true;
  }

  /** An answer of the account reaches its run; it stays under way, and may come again. */
  answer(pick: number): void {
    const one = this.answers[pick % Math.max(1, this.answers.length)];
    if (one === undefined) return;
    const { run, body } = one;
    const tell: Line["tell"] = (state, time) => {
      const action = readied(state, body);
      const needs = action === undefined ? [] : (state.holds.get(action) ?? []).map(({ need: units }) => need(units, units));
      const facts = action === undefined ? NO_FACTS : factsOf({ costMicroUsd: needs[0]?.need ?? 0, needs });
      return { input: { kind: "signal", actor: aggregateToken("ledger", LEDGER) as never, id: body.id, time, traceparent: undefined, hash: canonicalDigest(body), body }, facts };
    };
    this.say(run, { waitMs: 0, tell });
  }

  /** Claims what is dispatched, or reports what is started. */
  work(run: number, costUsd: number | undefined, status: "succeeded" | "failed" | "in_doubt"): void {
    const state = this.runs[run] as RunState;
    for (const id of [...state.open]) {
      const value = state.actions.get(id)?.value;
      if (value === "dispatched") this.say(run, claim(id));
      else if (value === "started") this.say(run, report(id, status, costUsd === undefined ? {} : { costUsd }));
      else continue;
      return;
    }
  }

  /** Everything that is owed is delivered, and every run ends. */
  drain(): void {
    for (const [run, state] of this.runs.entries()) {
      this.say(run, control("cancel"));
      for (const id of [...state.open]) if (state.actions.get(id)?.value === "started") this.say(run, report(id, "succeeded"));
      for (const id of [...state.open]) this.say(run, resolve(id, "succeeded"));
    }
    for (let more = true; more; ) {
      more = false;
      for (const run of this.runs.keys()) more = this.send(run, 0) || more;
      for (let i = 0; i < this.answers.length; i++) this.answer(i);
    }
  }
}

const step = fc.record({
  what: fc.constantFrom("propose", "propose", "send", "send", "send", "answer", "answer", "answer", "work", "work", "end"),
  run: fc.nat(4),
  pick: fc.nat(1000),
  cost: fc.constantFrom(1, 7, 30),
  want: fc.constantFrom(1, 20, 60),
  said: fc.constantFrom(undefined, 0, 0.000001, 99),
  status: fc.constantFrom("succeeded" as const, "succeeded" as const, "failed" as const, "in_doubt" as const),
});

test("GUARD-7: whatever is lost, repeated and late, runs together never exceed the cap, and nothing is stranded when they have ended", () => {
  let capped = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 160, size: "max" }), (steps) => {
      const plane = new Plane(5, 100);
      for (const { what, run, pick, cost, want, said, status } of steps) {
        if (what === "propose") plane.propose(run, cost, want);
        else if (what === "send") plane.send(run, pick);
        else if (what === "answer") plane.answer(pick);
        else if (what === "work") plane.work(run, said, status);
        else if (pick < 60) plane.say(run, control("cancel"));
        assert.ok(plane.total <= plane.cap, `${plane.total} of ${plane.cap}`);
        const spent = plane.runs.reduce((sum, { spent: { settled } }) => sum + settled, 0);
        assert.ok(spent <= plane.total, "spent what nobody leased");
      }
      if (plane.total === plane.cap) capped += 1;
      plane.drain();
      const settled = plane.runs.reduce((sum, { spent }) => sum + spent.settled, 0);
      assert.equal(plane.total, settled, "the account has what was spent, and not a cent more");
      const held = [...plane.ledger.held.values()].reduce((sum, units) => sum + units, 0);
      assert.equal(held, settled);
      for (const state of plane.runs) {
        assert.deepEqual([state.holdings.size, state.holds.size, state.signals.size], [0, 0, 0]);
      }
    }),
    { seed: 20260131, numRuns: 150 },
  );
  assert.ok(capped > 30, `${capped} of 150 reached the cap`);
});
