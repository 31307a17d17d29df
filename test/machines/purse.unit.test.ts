/** What one decision does to a run's money (GUARD-6, GUARD-7), move by move, on states that are made by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ActionContext } from "../../machines/action-rules.ts";
import { accountKey } from "../../machines/leases.ts";
import { type Desk, Purse } from "../../machines/purse.ts";
import { emptyRun, type Hold, type Holding, type OpenSignal, type Reservation, type RunState } from "../../machines/state.ts";
import type { EventDraft } from "../../schemas/event.ts";
import type { Need } from "../../schemas/facts.ts";
import type { ActionId, LedgerName } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { factsOf, NS, RUN } from "./given.ts";

const DAY = "2026-01-31";
const MINUTE = `${DAY}T09:30`;
const TEAM = "team.a.2026-01-31" as LedgerName;
const OTHER = "team.b.2026-01-31" as LedgerName;
const A2 = "a2" as ActionId;
const account = { ledger: TEAM, unit: "cost" as const, window: DAY };
const hold = (more: Partial<Hold> = {}): Hold => ({ ...account, need: 10, held: 10, lease: undefined, total: undefined, ...more });
const pool = (more: Partial<Holding> = {}): Holding => ({ ...account, granted: 50, spent: 5, held: 10, total: 70, closed: false, ...more });
const need = (units: number, more: Partial<Need> = {}): Need => ({ ...account, need: units, want: 20, ...more });
const lease = (more: object = {}): OpenSignal & { action: ActionId | undefined } => ({ body: { name: "lease", id: "l1", ...account, need: 5, want: 5, ...more } as never, action: A2 });
const answer = (more: object = {}) => ({ name: "leased", id: "l1", ...account, granted: 5, total: 99, ...more }) as SignalInput & { name: "leased" };
const ended = (more: object = {}) => ({ id: A2, tool: "pay", basis: { amount: { units: 7, currency: "EUR" } }, ...more }) as unknown as ActionContext;

interface Given {
  readonly pools?: readonly Holding[];
  readonly holds?: readonly Hold[];
  readonly signals?: readonly OpenSignal[];
  readonly reservation?: Reservation;
}
function desk({ pools = [], holds = [], signals = [], reservation }: Given = {}): { purse: Purse; drafts: EventDraft[]; state: RunState } {
  const state = emptyRun(NS, RUN, "3");
  for (const one of pools) state.holdings.set(accountKey(one), one);
  if (holds.length > 0) state.holds.set(A2, holds);
  for (const one of signals) state.signals.set(one.body.id, one);
  if (reservation !== undefined) state.reservations.set(A2, reservation);
  const drafts: EventDraft[] = [];
  const at: Desk = { state, first: 5, next: 7, life: "active", draft: (draft) => void drafts.push(draft) };
  return { purse: new Purse(at), drafts, state };
}
const plain = (map: ReadonlyMap<unknown, unknown>) => Object.fromEntries(map as ReadonlyMap<string, unknown>);
const tool = (cost: number, input?: number, output?: number) =>
  ({ ...factsOf({}).tool!, cost_micro_usd: cost, ...(input !== undefined && { input_tokens: input }), ...(output !== undefined && { output_tokens: output }) });
const sums = ({ purse }: { purse: Purse }) => purse.spentSoFar();

test("GUARD-6: money and tokens are reserved each where the tool declares them; nothing leaves no trace", () => {
  const of = (cost: number, input?: number, output?: number) => {
    const at = desk();
    at.purse.reserve(A2, tool(cost, input, output));
    return { data: at.drafts[0]?.data, reservation: at.purse.reservation(A2), spent: sums(at) };
  };
  const none = { settled: 0, reserved: 0 };
  assert.deepEqual([of(0).data, of(0).reservation], [undefined, undefined]);
  assert.deepEqual(of(5), { data: { action: A2, cost_micro_usd: 5 }, reservation: { reserved: 5, used: undefined }, spent: { steps: 0, settled: 0, reserved: 5, input: none, output: none } });
  assert.deepEqual(of(0, 1).data, { action: A2, cost_micro_usd: 0, input_tokens: 1 });
  assert.deepEqual(of(0, undefined, 1).data, { action: A2, cost_micro_usd: 0, output_tokens: 1 });
  assert.deepEqual(of(0, undefined, 1).reservation, { reserved: 0, used: undefined, tokens: { input: { reserved: 0, used: undefined }, output: { reserved: 1, used: undefined } } });
  assert.deepEqual(of(0, 3, 4).spent, { steps: 0, settled: 0, reserved: 0, input: { settled: 0, reserved: 3 }, output: { settled: 0, reserved: 4 } });
});

test("GUARD-6: what attempts say that they used adds up, to no more than was reserved; what they do not say is not known", () => {
  const at = desk({ reservation: { reserved: 10, used: undefined, tokens: { input: { reserved: 5, used: 1 }, output: { reserved: 5, used: undefined } } } });
  at.purse.use(A2, { cost_usd: 0.000004, input_tokens: 3 });
  at.purse.use(A2, { cost_usd: 0.000009 });
  assert.deepEqual(at.purse.reservation(A2), { reserved: 10, used: 10, tokens: { input: { reserved: 5, used: 4 }, output: { reserved: 5, used: undefined } } });
  const plainly = desk({ reservation: { reserved: 10, used: undefined } });
  plainly.purse.use(A2, { cost_usd: 0.000004 });
  assert.deepEqual(plainly.purse.reservation(A2), { reserved: 10, used: 4 });
  const nobody = desk();
  nobody.purse.use(A2, { cost_usd: 1 });
  assert.equal(nobody.purse.reservation(A2), undefined);
});

test("GUARD-6: an end settles what was used; what did nothing costs only what it said, and what nobody knows costs all", () => {
  const settle = (reservation: Reservation, effect: "none" | "done" | "unknown") => {
    const at = desk({ reservation });
    at.purse.settle(ended(), effect);
    return [at.drafts[0]?.data, at.purse.reservation(A2)];
  };
  const data = (cost: number) => ({ action: A2, cost_micro_usd: cost, reserved_micro_usd: 10 });
  const left = (used: number) => ({ reserved: 0, used });
  assert.deepEqual(settle({ reserved: 10, used: 4 }, "done"), [data(4), left(4)]);
  assert.deepEqual(settle({ reserved: 10, used: undefined }, "done"), [data(10), left(10)]);
  assert.deepEqual(settle({ reserved: 10, used: undefined }, "none"), [data(0), left(0)]);
  assert.deepEqual(settle({ reserved: 10, used: 4 }, "none"), [data(4), left(4)]);
  assert.deepEqual(settle({ reserved: 10, used: 4 }, "unknown"), [data(10), left(10)]);
  const tokens = { input: { reserved: 3, used: 1 }, output: { reserved: 4, used: undefined } };
  assert.deepEqual(settle({ reserved: 0, used: undefined, tokens }, "done")[0], { action: A2, cost_micro_usd: 0, reserved_micro_usd: 0, input_tokens: 1, output_tokens: 4 });
  assert.deepEqual(settle({ reserved: 0, used: 4 }, "done"), [undefined, { reserved: 0, used: 4 }], "nothing is settled twice");
  const settles = (reservation?: Reservation) => desk(reservation && { reservation }).purse.settles(A2);
  assert.deepEqual([settles(), settles({ reserved: 0, used: 4 }), settles({ reserved: 1, used: undefined }), settles({ reserved: 0, used: undefined, tokens })], [false, false, true, true]);
});

test("GUARD-7: an end spends of an account what was used of money, all requests that were made, and an amount unless nothing was done", () => {
  const after = (one: Hold, effect: "none" | "done" | "unknown", reservation?: Reservation) => {
    const at = desk({ pools: [pool({ ledger: one.ledger, unit: one.unit, window: one.window })], holds: [one], ...(reservation && { reservation }) });
    at.purse.settle(ended(), effect);
    const { spent, held, granted } = at.purse.holdings.get(accountKey(one)) ?? pool();
    return { spent: spent - 5, held, granted, returns: at.purse.signals.size, holds: at.purse.holds.get(A2) };
  };
  const all = { granted: 50, held: 0, returns: 0, holds: undefined };
  assert.deepEqual(after(hold(), "done", { reserved: 10, used: 4 }), { ...all, spent: 4 });
  assert.deepEqual(after(hold({ held: 3, need: 3 }), "done", { reserved: 10, used: 4 }), { ...all, held: 7, spent: 3 });
  assert.deepEqual(after(hold(), "none"), { ...all, spent: 0 });
  const request = { unit: "requests" as const, window: MINUTE };
  assert.deepEqual(after(hold(request), "none"), { ...all, spent: 10 });
  assert.deepEqual(after(hold({ ...request, lease: "l1" }), "none"), { ...all, spent: 0 }, "one that waits for its account was not made");
  const amount = hold({ unit: "amount", dimension: "target" });
  assert.deepEqual([after(amount, "done"), after(amount, "unknown")], [{ ...all, spent: 10 }, { ...all, spent: 10 }]);
  assert.deepEqual(after(amount, "none"), { ...all, spent: 0, granted: 40, returns: 1 });
  assert.deepEqual(after(hold({ unit: "amount", held: 0 }), "none"), { ...all, spent: 0, held: 10 });
  assert.deepEqual(desk().purse.holds.size, 0);
});

test("GUARD-7: what nobody holds of is not settled, and what has no holds is not touched", () => {
  const stray = desk({ holds: [hold()] });
  stray.purse.settle(ended(), "done");
  assert.equal(stray.purse.holdings.size, 0);
  const none = desk({ pools: [pool()] });
  none.purse.settle(ended(), "done");
  assert.deepEqual([none.purse.holdings.size, none.purse.holds.size], [0, 0]);
});

test("GUARD-7: a claim speaks for what is there and leases what is not; what the action had stays, also what it no longer needs", () => {
  const at = desk({ pools: [pool()] });
  at.purse.claim(A2, [need(10), need(4, { unit: "amount", dimension: "target" })], [need(3), need(4, { unit: "amount", dimension: "target" })]);
  assert.equal(at.purse.holdings.get(accountKey(account))?.held, 17);
  assert.deepEqual([...at.purse.signals.keys()], ["l7.1", "l7.2"]);
  assert.deepEqual(at.purse.holdsOf(A2), [
    { ...account, need: 10, held: 7, lease: "l7.1", total: undefined },
    { ...account, unit: "amount", dimension: "target", need: 4, held: 0, lease: "l7.2", total: undefined },
  ]);
  // judged again: one need is as it was, one is larger, one is gone, and one waits already
  const kept = [hold({ total: 3 }), hold({ unit: "requests", window: MINUTE }), hold({ ledger: OTHER, held: 0, lease: "l1" }), hold({ unit: "amount", dimension: "target", held: 4, need: 4 })];
  const again = desk({ pools: [pool(), pool({ ledger: OTHER })], holds: kept });
  again.purse.claim(A2, [need(12), need(10, { ledger: OTHER }), need(4, { unit: "amount", dimension: "principal" })], [need(10, { ledger: OTHER }), need(4, { unit: "amount", dimension: "principal" })]);
  assert.equal(again.purse.holdings.get(accountKey(account))?.held, 12);
  assert.deepEqual([...again.purse.signals.keys()], ["l7.3"]);
  assert.deepEqual(again.purse.holdsOf(A2), [
    { ...account, need: 12, held: 12, lease: undefined, total: 3 },
    { ...account, ledger: OTHER, need: 10, held: 0, lease: "l1", total: undefined },
    { ...account, unit: "amount", dimension: "principal", need: 4, held: 0, lease: "l7.3", total: undefined },
    kept[1],
    kept[3],
  ]);
  const single = desk({ pools: [pool()] });
  single.purse.claim(A2, [need(1)], []);
  assert.equal(single.purse.holdings.get(accountKey(account))?.held, 11);
  assert.throws(() => desk().purse.claim(A2, [need(1)], []), /nothing is held/);
  const nothing = desk();
  nothing.purse.claim(A2, [need(0)], []);
  assert.equal(nothing.purse.holdings.size, 0);
});

test("GUARD-7: what is leased goes into its pool, and of it the action takes what it asked for", () => {
  const apply = (given: Given, reply = answer(), open = lease()) => {
    const at = desk(given);
    const filled = at.purse.leased(reply, open);
    const key = accountKey(reply);
    return { filled, pool: at.purse.holdings.get(key), hold: at.purse.holds.get(A2)?.[0], returns: [...at.purse.signals.values()].flatMap((one) => (one === undefined ? [] : [one.body])), answered: at.purse.signals.has("l1") };
  };
  const fresh = { ...account, granted: 5, spent: 0, held: 0, total: 99, closed: false };
  assert.deepEqual(apply({}), { filled: undefined, pool: fresh, hold: undefined, returns: [], answered: true });
  assert.deepEqual(apply({}, answer({ granted: 0 })).pool, { ...fresh, granted: 0 });
  const waiting = hold({ held: 6, need: 10, lease: "l1" });
  const served = apply({ pools: [pool({ held: 6, granted: 11 })], holds: [waiting] });
  assert.deepEqual([served.filled, served.pool?.held, served.hold], [true, 10, { ...waiting, held: 10, lease: undefined, total: 99 }]);
  const short = apply({ pools: [pool({ held: 6, granted: 11 })], holds: [waiting] }, answer({ granted: 3 }));
  assert.deepEqual([short.filled, short.hold?.held], [false, 9]);
  assert.equal(apply({ pools: [pool({ held: 60 })], holds: [waiting] }, answer({ granted: 1 })).hold?.held, 6, "an overdrawn pool has nothing to give");
  assert.equal(apply({ pools: [pool()], holds: [waiting] }, answer(), { ...lease(), action: undefined }).filled, undefined);
  assert.equal(apply({ pools: [pool()], holds: [{ ...waiting, lease: "l9" }] }).filled, undefined);
  // an amount is nobody else's
  const amount = { unit: "amount" };
  const own = hold({ unit: "amount", need: 10, held: 0, lease: "l1" });
  const rich = [pool({ unit: "amount", granted: 90 })];
  assert.deepEqual(apply({ pools: rich, holds: [own] }, answer(amount), lease(amount)).hold?.held, 5);
  const back = apply({ pools: rich }, answer(amount), lease(amount));
  assert.deepEqual([back.pool?.granted, back.returns], [90, [{ name: "return", id: "r5.1", ...account, unit: "amount", unused: 5, last: false }]]);
  assert.deepEqual(apply({ pools: rich }, answer({ ...amount, granted: 0 }), lease(amount)).returns, []);
  assert.equal(apply({ pools: rich }, answer({ ...amount, granted: 1 }), lease(amount)).returns.length, 1);
  assert.deepEqual(apply({ pools: [pool()] }, answer()).returns, [], "money is left to the others");
});

test("GUARD-7: a new minute forgets the older ones of its account, but for what is spoken for or waited for", () => {
  const minute = (at: string, more: Partial<Holding> = {}) => pool({ unit: "requests", window: `${DAY}T${at}`, held: 0, ...more });
  const forgotten = (given: readonly Holding[], signals: readonly OpenSignal[] = []) => {
    const at = desk({ pools: given, signals });
    at.purse.leased(answer({ unit: "requests", window: MINUTE }), { ...lease(), action: undefined });
    return [...at.purse.holdings].flatMap(([key, one]) => (one === undefined ? [key] : []));
  };
  const old = minute("09:29");
  assert.deepEqual(forgotten([old, minute("09:30"), minute("09:31")]), [accountKey(old)]);
  assert.deepEqual(forgotten([minute("09:29", { held: 1 }), minute("09:29", { ledger: OTHER }), pool({ window: "2026-01-30", held: 0 })]), []);
  const waits = lease({ id: "l2", unit: "requests", window: old.window });
  assert.deepEqual(forgotten([old], [waits]), []);
  assert.deepEqual(forgotten([old], [waits, lease({ id: "l3", unit: "requests", window: MINUTE })]), []);
  assert.deepEqual(forgotten([old], [{ ...waits, body: { ...waits.body, name: "return", unused: 1, last: true } as never }]), [accountKey(old)]);
  assert.deepEqual(forgotten([old], [lease({ id: "l2", unit: "requests", window: MINUTE })]), [accountKey(old)]);
  const served = desk({ pools: [minute("09:30")] });
  served.purse.leased(answer({ unit: "requests", window: MINUTE }), { ...lease(), action: undefined });
  assert.equal(served.purse.holdings.get(accountKey(minute("09:30")))?.granted, 55, "the minute itself is not forgotten");
  const money = desk({ pools: [minute("09:29")] });
  money.purse.leased(answer({ window: "2026-02-01" }), { ...lease(), action: undefined });
  assert.equal(money.purse.holdings.size, 1, "only an answer about requests says that a minute has begun");
});

test("GUARD-7: the last return takes leave of an account, another does not", () => {
  const after = (last: boolean) => {
    const at = desk({ pools: [pool()] });
    at.purse.returned({ name: "returned", id: "r1", ...account, unused: 3, last });
    return [at.purse.signals.has("r1"), at.purse.holdings.has(accountKey(account))];
  };
  assert.deepEqual([after(true), after(false)], [[true, true], [true, false]]);
});

test("GUARD-7: a run that ended gives back what is free, and when nothing is in flight or unanswered all, for the last time", () => {
  const close = (given: Given, inFlight: boolean, before: (purse: Purse) => void = () => undefined) => {
    const at = desk(given);
    before(at.purse);
    at.purse.close(inFlight);
    return [...at.purse.signals.values()].flatMap((one) => (one?.body.name === "return" ? [[one.body.unused, one.body.last]] : []));
  };
  assert.deepEqual(close({ pools: [pool()] }, true), [[35, false]]);
  assert.deepEqual(close({ pools: [pool()] }, false), [[35, true]]);
  assert.deepEqual(close({ pools: [pool({ held: 45 })] }, true), []);
  assert.deepEqual(close({ pools: [pool({ held: 44 })] }, true), [[1, false]]);
  assert.deepEqual(close({ pools: [pool({ held: 45 })] }, false), [[0, true]]);
  assert.deepEqual(close({ pools: [pool()], signals: [lease()] }, false), [[35, false]]);
  assert.deepEqual(close({ pools: [pool()], signals: [lease()] }, false, (purse) => purse.leased(answer(), { ...lease(), action: undefined })), [[40, true]]);
  assert.deepEqual(close({ pools: [pool()], signals: [{ ...lease(), body: { ...lease().body, name: "return", unused: 1, last: false } as never }] }, false), [[35, true]]);
  assert.deepEqual(close({ pools: [pool({ closed: true })] }, false), []);
  assert.deepEqual(close({ pools: [pool({ unit: "requests", window: MINUTE })] }, false), []);
  assert.deepEqual(close({}, false), []);
});

test("what a purse did not touch it does not change", () => {
  const { purse } = desk({ pools: [pool()], holds: [hold()], signals: [lease()] });
  assert.deepEqual([plain(purse.holdings), plain(purse.holds), plain(purse.signals), plain(purse.reservations), plain(purse.amounts), purse.spent], [{}, {}, {}, {}, {}, undefined]);
});
