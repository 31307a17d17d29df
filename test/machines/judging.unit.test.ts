/** An action on its way to a verdict: what is held for it, what it is judged by again, and whose token counts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { proposalOf } from "../../machines/proposals.ts";
import type { Principal } from "../../schemas/facts.ts";
import type { Standing } from "../../schemas/inputs.ts";
import { approve, claim, given, HIT, INVALID, ISSUER, personOf, start, tool, type ToolOptions } from "./given.ts";

const ask = { decision: "ask" } as const;
const ALLOWED = ["action.proposed", "action.validated", "action.approved", "action.dispatched"] as const;

test("GUARD-6 GUARD-7: what is rejected is about no money, exhausts none, and holds none back", () => {
  const dear: ToolOptions = { costMicroUsd: 5, amount: { units: 5 }, faults: INVALID };
  const rejected = given(start({ contract: { max_cost_micro_usd: 4 } })).when(tool("t1", dear));
  rejected.then("action.proposed", "action.rejected");
  const { amounts, actions, exhausted, spent, reservations } = rejected.state();
  assert.deepEqual([[...amounts], exhausted, spent.reserved, reservations.size], [[], false, 0, 0]);
  assert.equal(actions.get("a2" as never)?.context.basis.amount, undefined);
  const proposed = given(start()).when(tool("t1", { ...dear, faults: [] })).state();
  assert.deepEqual([...proposed.amounts.values()], [5]);
});

test("GUARD-7: an action that needs no allowance holds none, whether nothing is said of needs or that there are none", () => {
  for (const needs of [undefined, []]) {
    const { state } = given(start(), tool("t1", needs === undefined ? {} : { needs }));
    assert.equal(state.holds.size, 0);
  }
});

test("APP-3 law 9: when the approval that an action rested on falls, another that stands for it still does", () => {
  const limits: ToolOptions["standing"] = { max_uses: 3, max_seconds: 600, vary: ["/note"] };
  const like = (note: string): ToolOptions => ({ ...ask, input: { to: "cus_1", note }, standing: limits });
  const standing: Standing = { vary: ["/note"], uses: 3, expires_seconds: 600 };
  const both = [start(), tool("t1", like("a")), tool("t2", like("b")), approve("t1", "ann", { standing }), approve("t2", "bob", { standing })];
  const resting = given(...both, tool("t3", like("c")));
  const [first, second] = [...resting.state.standings.keys()];
  const rests = (state: typeof resting.state) => [...state.actions.values()].at(-1)?.context.rests;
  assert.deepEqual(rests(resting.state), { by: "standing", request: first });
  const again = resting.when(claim("t3", { approvers: { ann: null, bob: personOf("bob") } }));
  const [, , approved] = again.then("approval.stale", "action.validated", "action.approved", "action.dispatched");
  assert.deepEqual(approved?.type === "action.approved" && [approved.data.standing, approved.data.approvers], [second, ["bob"]]);
  assert.deepEqual(rests(again.state()), { by: "standing", request: second });
  assert.deepEqual([...again.state().standings].map(([id, { uses }]) => [id, uses]), [[second, 1]], "the one is used, the other is gone");
});

test("APP-3 GUARD-6 GUARD-9: a standing approval is not used by what is denied before anybody would be asked", () => {
  const limits: ToolOptions["standing"] = { max_uses: 3, max_seconds: 600, vary: [] };
  const like: ToolOptions = { ...ask, standing: limits, costMicroUsd: 5 };
  const approved = given(start({ contract: { max_cost_micro_usd: 9 } }), tool("t1", like), approve("t1", "ann", { standing: { vary: [], uses: 3, expires_seconds: 600 } }));
  const denied = [approved.when(tool("t2", like)), approved.when(tool("t2", { ...like, costMicroUsd: 0, guard: HIT })), approved.when(tool("t2", { ...like, faults: INVALID }))];
  for (const one of denied) assert.deepEqual([...one.state().standings.values()].map(({ uses }) => uses), [0]);
  assert.deepEqual([...approved.when(tool("t2", { ...like, costMicroUsd: 4 })).state().standings.values()].map(({ uses }) => uses), [1]);
});

test("ID-3: a fresh token takes the place of the run's own when both are verified, and of the same issuer and subject", () => {
  const own: Principal = { subject: "eve", issuer: ISSUER, verified: true, token: "old" } as Principal;
  const fresh = { ...own, expires_at: "2026-02-01T00:00:00.000Z" };
  const cases: readonly [what: string, own: Principal | null, brought: Principal | undefined, taken: boolean][] = [
    ["the same principal", own, fresh, true],
    ["no token", own, undefined, false],
    ["a run on nobody's behalf", null, fresh, false],
    ["an own token that was never verified", { ...own, verified: false }, fresh, false],
    ["a token that is not verified", own, { ...fresh, verified: false }, false],
    ["another issuer", own, { ...fresh, issuer: "https://other.example" }, false],
    ["another subject", own, { ...fresh, subject: "mallory" }, false],
  ];
  for (const [what, principal, brought, taken] of cases) {
    const proposed = given(start({ principal })).when(tool("t1", brought === undefined ? {} : { principal: brought }));
    proposed.then(...ALLOWED);
    assert.deepEqual(proposed.state().envelope?.principal, taken ? brought : principal, what);
  }
});

test("APP-3: what is judged of an edited action is what was proposed, but for its input; of one that ended nothing is kept", () => {
  const { state } = given(start(), tool("t1", { ...ask, why: "a reason" }));
  const asked = { kind: "tool", id: "t1", tool: "crm.update", input: { n: 1 }, why: "a reason" };
  assert.deepEqual(proposalOf(state, "a2" as never), asked);
  assert.deepEqual(proposalOf(state, "a2" as never, { n: 2 }), { ...asked, input: { n: 2 } });
  assert.deepEqual(proposalOf(state, "a2" as never, null), { ...asked, input: null });
  const ended = given(start(), tool("t1", { faults: INVALID })).state;
  assert.deepEqual([...ended.actions.keys()], ["a2"]);
  for (const id of ["a2", "a9"]) assert.throws(() => proposalOf(ended, id as never), /what was proposed is not kept/);
});
