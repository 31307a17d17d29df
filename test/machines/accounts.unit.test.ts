/** Edges of the two accounts of a namespace, the ledger (GUARD-7) and the guard (GUARD-9). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decideGuard, emptyGuard, evolveGuard, type GuardState, isOther, type StopContext, stopMachine } from "../../machines/guard.ts";
import { decideLedger, emptyLedger, evolveLedger, type LedgerState } from "../../machines/ledger.ts";
import { begin, step } from "../../machines/step.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { LedgerName } from "../../schemas/ids.ts";
import type { GuardControl, SignalInput } from "../../schemas/inputs.ts";
import { timestamp } from "../../schemas/time.ts";
import { NS, personOf, T0 } from "./given.ts";

const DAY = "2026-01-31";
const TEAM = `team.a.${DAY}` as LedgerName;
const AMOUNT = `amount.${"0".repeat(32)}.${DAY}` as LedgerName;

/** Applied when it is taken. */
function ask(state: LedgerState, id: string, more: object, o: { cap?: number; at?: number; name?: "lease" | "return" } = {}) {
  const { cap, at = T0, name = "lease" } = o;
  const own = name === "lease" ? { need: 5, want: 9 } : { unused: 5, last: false };
  const body = { name, id, ledger: state.name, unit: "cost", window: DAY, ...own, ...more } as SignalInput;
  const decision = decideLedger(state, { actor: "a_1", id, hash: canonicalDigest(body), time: timestamp(at), body }, { kind: "ledger", ...(cap !== undefined && { cap }) });
  if (decision.kind === "commit") evolveLedger(state, decision.change);
  return decision;
}
const granted = (decision: ReturnType<typeof ask>) => (decision.kind === "commit" && decision.reply.name === "leased" ? decision.reply.granted : undefined);
const refusal = (decision: { kind: string; reasons?: readonly { code: string; path?: string | undefined; help?: string | undefined }[] }) =>
  decision.reasons?.map(({ code, path, help }) => [code, path, ...(help === undefined ? [] : [help])]);
const ledger = (name = TEAM) => emptyLedger(NS, name, "3");

test("GUARD-7: where nothing limits an account its wish is granted; an amount is granted as it is needed, and no more", () => {
  assert.equal(granted(ask(ledger(), "1", {})), 9);
  assert.equal(granted(ask(ledger(), "1", {}, { cap: 9 })), 9);
  assert.equal(granted(ask(ledger(), "1", {}, { cap: 7 })), 7);
  assert.equal(granted(ask(ledger(), "1", { unit: "requests", window: `${DAY}T09:30` })), 9);
  assert.equal(granted(ask(ledger(AMOUNT), "1", { unit: "amount" }, { cap: 1 })), 5);
});

test("GUARD-7: an account numbers its events, never goes back in time, and remembers only what runs hold", () => {
  const state = ledger();
  ask(state, "1", {}, { at: T0 + 1000 });
  assert.deepEqual([state.seq, state.at, [...state.held.values()]], [1, timestamp(T0 + 1000), [9]]);
  ask(state, "2", {}, { at: T0 });
  assert.deepEqual([state.seq, state.at, [...state.held.values()]], [2, timestamp(T0 + 1000), [18]]);
  ask(state, "3", { unit: "requests", window: `${DAY}T09:30` }, { at: T0 + 2000 });
  assert.deepEqual([state.seq, state.at, state.held.size], [3, timestamp(T0 + 2000), 1], "of requests nothing is held: they are spent");
  ask(state, "4", { unused: 18 }, { name: "return" });
  assert.deepEqual([state.seq, state.held.size, [...state.totals.values()]], [4, 0, [0, 9]]);
});

test("GUARD-7: a refusal names the member, and says how the unit is counted", () => {
  const state = ledger();
  ask(state, "1", {});
  assert.deepEqual(refusal(ask(state, "1", { want: 10 })), [["id.reused", "/id"]]);
  assert.deepEqual(refusal(ask(state, "2", { ledger: `team.b.${DAY}` })), [["ledger.other", "/ledger"]]);
  assert.deepEqual(refusal(ask(state, "2", { unit: "amount" })), [["ledger.unit", "/unit"]]);
  assert.deepEqual(refusal(ask(state, "2", { window: "2026-02-01" })), [["ledger.window", "/window", "it is counted by the day"]]);
  assert.deepEqual(refusal(ask(state, "2", { unit: "requests" })), [["ledger.window", "/window", "requests are counted by the minute"]]);
  assert.deepEqual(refusal(ask(state, "2", { unit: "requests", window: `${DAY}T09:30` }, { name: "return" })), [["ledger.spent", "/unit"]]);
});

function say(state: GuardState, by: string, body: Partial<GuardControl> & { id: string }, at = T0) {
  const input = { actor: by, id: body.id, hash: canonicalDigest(body as never), time: timestamp(at), body: body as GuardControl };
  const decision = decideGuard(state, input, { kind: "guard", person: personOf(by) });
  if (decision.kind === "commit") evolveGuard(state, decision.change);
  return decision;
}
const stop = { verb: "stop", scope: "all", reason: "r" } as const;

test("GUARD-9: another person is another issuer or another subject; where nobody is known names tell them apart", () => {
  const ann = personOf("ann");
  const other = (a: Parameters<typeof isOther>[0], b: Parameters<typeof isOther>[1]) => isOther(a, b);
  assert.equal(other({ by: "a", person: ann }, { by: "b", person: ann }), false);
  assert.equal(other({ by: "a", person: ann }, { by: "b", person: { ...ann, issuer: "https://other.example" } }), true);
  assert.equal(other({ by: "a", person: ann }, { by: "b", person: { ...ann, subject: "bob" } }), true);
  assert.equal(other({ by: "a", person: null }, { by: "b", person: ann }), true);
  assert.equal(other({ by: "a", person: ann }, { by: "b", person: null }), true);
  assert.equal(other({ by: "a", person: null }, { by: "a", person: ann }), false);
});

test("GUARD-9: the chart itself lifts a stop for another person alone", () => {
  const context: StopContext = { stop: "s1" as never, kind: "stop", scope: "all" as never, by: "ann", person: personOf("ann"), reason: "r" };
  const standing = step(stopMachine, begin<StopContext>(stopMachine, context).next, { type: "STOP" })?.next ?? assert.fail();
  assert.equal(step(stopMachine, standing, { type: "LIFT", by: "ann-2", person: personOf("ann-2"), reason: "r" } as never), undefined);
  assert.equal(step(stopMachine, standing, { type: "LIFT", by: "bob", person: personOf("bob"), reason: "r" } as never)?.next.value, "lifted");
});

test("GUARD-9: a refusal names the member, and the guard never goes back in time", () => {
  const state = emptyGuard(NS, "stops", "3");
  say(state, "ann", { ...stop, id: "1" }, T0 + 1000);
  assert.deepEqual([state.seq, state.at], [1, timestamp(T0 + 1000)]);
  assert.deepEqual(refusal(say(state, "ann", { ...stop, id: "1", reason: "other" })), [["id.reused", "/id"]]);
  assert.deepEqual(refusal(say(state, "ann", { verb: "lift", id: "2", stop: "s9" as never, reason: "r" })), [["guard.unknown", "/stop"]]);
  assert.deepEqual(refusal(say(state, "ann", { verb: "lift", id: "2", stop: "s1" as never, reason: "r" })), [["guard.same_person", undefined, "ask a second operator"]]);
  const help = "revoke `agent:…`, `version:…`, `principal:…` or `person:…`; anything else is stopped";
  assert.deepEqual(refusal(say(state, "ann", { ...stop, verb: "revoke", id: "2" })), [["guard.not_revocable", "/scope", help]]);
  say(state, "bob", { verb: "lift", id: "3", stop: "s1" as never, reason: "r" }, T0);
  assert.deepEqual([state.seq, state.at, state.stops.get("s1" as never)?.value], [2, timestamp(T0 + 1000), "lifted"]);
  assert.deepEqual(refusal(say(state, "bob", { verb: "lift", id: "4", stop: "s1" as never, reason: "r" })), [["guard.lifted_before", "/stop"]]);
});
