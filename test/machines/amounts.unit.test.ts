/** POL-2: what a run's actions are about in money, summed, so that splitting an amount does not pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ActionContext } from "../../machines/action-rules.ts";
import { amountKey, amountsOf, effectOf } from "../../machines/amounts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import { claim, given, report, start, tool } from "./given.ts";

const id = (name: string) => name as ActionId;
const asked = (name: string, units: number, more: { currency?: string; group?: string } = {}) => tool(name, { decision: "ask", amount: { units, ...more } });

test("POL-2: amounts add up by currency and by the group that tools declare, or else by tool", () => {
  assert.deepEqual(amountsOf(given(start()).state), []);
  const { state } = given(start(), asked("t1", 5), asked("t2", 7), asked("t3", 1, { currency: "EUR" }), asked("t4", 3, { group: "pay/out" }));
  assert.deepEqual(amountsOf(state), [
    { currency: "USD", group: "crm.update", units: 12 },
    { currency: "EUR", group: "crm.update", units: 1 },
    { currency: "USD", group: "pay/out", units: 3 },
  ]);
  assert.deepEqual([amountKey({ currency: "USD", group: "pay/out" }, "crm.update"), amountKey({ currency: "USD" }, "crm.update")], ["USD/pay/out", "USD/crm.update"]);
});

test("POL-2: an action that is judged again is not counted twice, and nothing else is left out for it", () => {
  const run = given(start(), asked("t1", 5), asked("t2", 7), asked("t3", 1, { currency: "EUR" }), tool("t4", { decision: "ask" }));
  const of = (name: string) => amountsOf(run.state, id(run.state.proposals.get(`agent-1/${name}`)?.action ?? ""));
  assert.deepEqual(of("t1"), [{ currency: "USD", group: "crm.update", units: 7 }, { currency: "EUR", group: "crm.update", units: 1 }]);
  assert.deepEqual(of("t3"), [{ currency: "USD", group: "crm.update", units: 12 }], "a sum of nothing is not told");
  assert.deepEqual(of("t4"), amountsOf(run.state), "it is about no amount");
});

test("POL-2: what has ended counts for good, whoever asks: it is not judged again", () => {
  const { state } = given(start(), tool("t1", { amount: { units: 5 } }), claim("t1"), report("t1", "succeeded"));
  assert.deepEqual(amountsOf(state, id("a2")), [{ currency: "USD", group: "crm.update", units: 5 }]);
});

test("EXEC-7: an action that was turned away did nothing outside, unless an earlier attempt is in doubt; any other did what it says", () => {
  const after = (value: string, more: Partial<ActionContext>) => effectOf(value, { doubt: false, error: undefined, ...more } as ActionContext);
  for (const turnedAway of ["rejected", "denied"]) {
    assert.equal(after(turnedAway, {}), "none", turnedAway);
    assert.equal(after(turnedAway, { doubt: true }), "unknown", turnedAway);
  }
  assert.equal(after("verified", {}), "done");
  assert.equal(after("verified", { doubt: true }), "done");
  for (const effect of ["none", "done", "unknown"] as const) assert.equal(after("failed", { error: { code: "tool.failed", message: "it failed", effect } }), effect);
});
