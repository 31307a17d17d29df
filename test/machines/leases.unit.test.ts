/** What a run still needs of the ledger, question by question (GUARD-7). The states are made by hand: one rule each. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { accountKey, fills, freeOf, holdingsOf, readied, uncovered } from "../../machines/leases.ts";
import { emptyRun, type Hold, type Holding, type RunState } from "../../machines/state.ts";
import type { Need } from "../../schemas/facts.ts";
import type { ActionId, LedgerName } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { NS, RUN } from "./given.ts";

const WINDOW = "2026-01-31";
const TEAM = "team.a.2026-01-31" as LedgerName;
const A2 = "a2" as ActionId;
const cost = (need: number, more: Partial<Need> = {}): Need => ({ ledger: TEAM, unit: "cost", window: WINDOW, need, want: need, ...more });
const amount = (need: number, dimension: "target" | "principal" = "target"): Need => cost(need, { unit: "amount", dimension });
const pool = (more: Partial<Holding> = {}): Holding => ({ ledger: TEAM, unit: "cost", window: WINDOW, granted: 10, spent: 2, held: 3, total: 40, closed: false, ...more });
const hold = (more: Partial<Hold> = {}): Hold => ({ ledger: TEAM, unit: "cost", window: WINDOW, need: 10, held: 4, lease: undefined, total: undefined, ...more });
const leased = (more: object = {}): SignalInput => ({ name: "leased", id: "l1", ledger: TEAM, unit: "cost", window: WINDOW, granted: 6, total: 60, ...more }) as SignalInput;

interface Given {
  readonly pools?: readonly Holding[];
  readonly holds?: readonly Hold[];
  readonly asked?: Partial<SignalInput>;
  readonly action?: ActionId | undefined;
  readonly value?: string;
}
function run({ pools = [], holds = [], asked, action = A2, value = "reserving" }: Given): RunState {
  const state = emptyRun(NS, RUN, "3");
  for (const one of pools) state.holdings.set(accountKey(one), one);
  if (holds.length > 0) state.holds.set(A2, holds);
  if (asked !== undefined) state.signals.set("l1", { body: { name: "lease", id: "l1", ledger: TEAM, unit: "cost", window: WINDOW, need: 6, want: 6, ...asked } as never, action });
  state.actions.set(A2, { value, context: {} as never });
  return state;
}

test("GUARD-7: what a pool has left is what was granted, less what is spent and spoken for; of one that is closed, nothing", () => {
  assert.deepEqual([freeOf(pool()), freeOf(pool({ closed: true })), freeOf(undefined)], [5, 0, 0]);
});

test("GUARD-7: what is not held is asked for, reduced by what the pool has left and what the action has already", () => {
  assert.deepEqual(uncovered(run({}), undefined, [cost(7)]), [cost(7)]);
  assert.deepEqual(uncovered(run({ pools: [pool()] }), undefined, [cost(7, { want: 1 })]), [cost(2, { want: 2 })]);
  assert.deepEqual(uncovered(run({ pools: [pool()] }), undefined, [cost(5)]), []);
  const held = run({ holds: [hold()] });
  assert.deepEqual(uncovered(held, A2, [cost(10)]), [cost(6, { want: 10 })]);
  assert.deepEqual(uncovered(held, A2, [cost(3)]), []);
  assert.deepEqual(uncovered(held, undefined, [cost(10)]), [cost(10)], "what another action holds is not its own");
  assert.deepEqual(uncovered(held, "a9" as ActionId, [cost(10)]), [cost(10)]);
});

test("GUARD-7: two needs of one account do not both take what is left of it", () => {
  assert.deepEqual(uncovered(run({ pools: [pool()] }), undefined, [cost(4), cost(4)]), [cost(3, { want: 4 })]);
  assert.deepEqual(uncovered(run({ pools: [pool({ granted: 14 })] }), undefined, [cost(4), cost(4), cost(4)]), [cost(3, { want: 4 })]);
});

test("GUARD-7: an overdrawn pool takes nothing away from what an action needs", () => {
  assert.deepEqual(uncovered(run({ pools: [pool({ held: 20 })] }), undefined, [cost(1)]), [cost(1)]);
});

test("GUARD-7: an answer that is about to be applied counts for the hold that asked for it, and for no other", () => {
  const waiting = run({ holds: [hold({ lease: "l1" })], asked: {} });
  assert.deepEqual(uncovered(waiting, A2, [cost(10)], leased()), []);
  assert.deepEqual(uncovered(waiting, A2, [cost(10)], leased({ granted: 5 })), [cost(1, { want: 10 })]);
  assert.deepEqual(uncovered(waiting, A2, [cost(10)], leased({ id: "l2" })), [cost(6, { want: 10 })]);
  assert.deepEqual(uncovered(waiting, A2, [cost(10)], leased({ window: "2026-02-01" })), [cost(6, { want: 10 })], "an answer of another account");
  assert.deepEqual(uncovered(waiting, A2, [cost(10)], { ...leased(), name: "returned", unused: 6, last: false } as never), [cost(6, { want: 10 })]);
  assert.deepEqual(uncovered(run({ holds: [hold()], asked: {} }), A2, [cost(10)], leased()), [cost(6, { want: 10 })]);
  assert.deepEqual(uncovered(run({ holds: [hold({ lease: "l1" })], asked: { name: "return", unused: 1, last: true } as never }), A2, [cost(10)], leased()), [cost(6, { want: 10 })]);
});

test("GUARD-7: an amount is leased whole, per dimension, and no pool covers it", () => {
  const pools = [pool({ unit: "amount", granted: 100 })];
  const own = (more: Partial<Hold>) => run({ pools, holds: [hold({ unit: "amount", dimension: "target", need: 10, held: 10, ...more })], asked: { unit: "amount" } });
  assert.deepEqual(uncovered(run({ pools }), undefined, [amount(10)]), [amount(10)]);
  assert.deepEqual(uncovered(own({}), A2, [amount(10)]), []);
  assert.deepEqual(uncovered(own({}), A2, [amount(11)]), [amount(11)]);
  assert.deepEqual(uncovered(own({}), A2, [amount(10, "principal")]), [amount(10, "principal")]);
  assert.deepEqual(uncovered(own({ lease: "l9" }), A2, [amount(10)]), [amount(10)], "not while its answer is waited for");
  assert.deepEqual(uncovered(own({ held: 0, lease: "l1" }), A2, [amount(10)], leased({ unit: "amount", granted: 10 })), []);
  assert.deepEqual(uncovered(own({ held: 0, lease: "l1" }), A2, [amount(10)], leased({ unit: "amount", granted: 9 })), [amount(10)]);
});

test("GUARD-7: an answer fills a hold with what was granted; of money and requests also with what the pool has by now, of an amount never", () => {
  const pools = { holdings: new Map([[accountKey(pool()), pool()], [accountKey(pool({ unit: "amount" })), pool({ unit: "amount" })]]) };
  assert.deepEqual([fills(pools, hold(), 1), fills(pools, hold(), 0)], [true, false]);
  const of = hold({ unit: "amount" });
  assert.deepEqual([fills(pools, of, 6), fills(pools, of, 5)], [true, false]);
  const overdrawn = { holdings: new Map([[accountKey(pool()), pool({ held: 20 })]]) };
  assert.deepEqual([fills(overdrawn, hold(), 6), fills(overdrawn, hold(), 5)], [true, false]);
});

test("GUARD-7: an action is judged with the one answer that it still waits for, when that gives it all it needs", () => {
  const waiting = (more: Given = {}) => run({ holds: [hold({ lease: "l1" })], asked: {}, ...more });
  assert.equal(readied(waiting(), leased()), A2);
  assert.equal(readied(waiting(), leased({ granted: 5 })), undefined);
  assert.equal(readied(waiting(), leased({ id: "l2" })), undefined);
  assert.equal(readied(waiting({ value: "denied" }), leased()), undefined);
  const nobodys = waiting();
  nobodys.signals.set("l1", { body: nobodys.signals.get("l1")!.body, action: undefined });
  assert.equal(readied(nobodys, leased()), undefined);
  const other = hold({ unit: "requests", lease: "l2" });
  assert.equal(readied(waiting({ holds: [hold({ lease: "l1" }), other] }), leased()), undefined);
  assert.equal(readied(waiting({ holds: [hold({ lease: "l1" }), { ...other, lease: undefined }] }), leased()), A2);
  assert.equal(readied(waiting({ holds: [hold()] }), leased()), undefined);
  assert.equal(readied(waiting({ holds: [other] }), leased()), undefined);
  assert.equal(readied(waiting({ holds: [] }), leased()), undefined);
});

test("GUARD-7: an action is judged by what it has, never by more than it needs; of what is not answered it has nothing", () => {
  const has = (holds: readonly Hold[], reply?: SignalInput, pools: readonly Holding[] = [pool()]) => holdingsOf(run({ pools, holds, asked: {} }), A2, reply);
  const account = { ledger: TEAM, unit: "cost" as const, window: WINDOW };
  assert.deepEqual(has([hold()]), [{ ...account, granted: 4, total: 40 }]);
  assert.deepEqual(has([hold({ total: 7 })]), [{ ...account, granted: 4, total: 7 }]);
  assert.deepEqual(has([hold()], undefined, []), [{ ...account, granted: 4, total: 0 }]);
  assert.deepEqual(has([hold({ lease: "l1" })]), []);
  assert.deepEqual(has([hold({ lease: "l1", total: 7 })], leased()), [{ ...account, granted: 10, total: 60 }]);
  assert.deepEqual(has([hold({ lease: "l1" })], leased({ granted: 90 })), [{ ...account, granted: 10, total: 60 }]);
  assert.deepEqual(has([hold({ lease: "l2" })], leased()), []);
  assert.deepEqual(has([hold({ dimension: "target" })]), [{ ...account, dimension: "target", granted: 4, total: 40 }]);
  assert.deepEqual(holdingsOf(run({}), A2), []);
});
