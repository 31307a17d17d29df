/** How far an approval stands (APP-3), question by question. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApprovalContext } from "../../machines/approval.ts";
import { NO_MARKS } from "../../machines/marks.ts";
import { type StandingApproval, limitUnits, shapeOf, standingFaults, standingFor, standingFrom, usedBy } from "../../machines/standing.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { ToolFacts } from "../../schemas/facts.ts";
import type { Standing } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { timestamp } from "../../schemas/time.ts";
import { DOCUMENTS, factsOf, T0 } from "./given.ts";

const AT = timestamp(T0);
const LIMITS = { max_uses: 3, max_seconds: 60, vary: ["/amount"], max_amount: 50_000, max_total: 90_000 };
const facts = (more: object = {}, amount: number | undefined = 10_000): ToolFacts =>
  ({ ...factsOf({ decision: "ask", standing: LIMITS, ...(amount !== undefined && { amount: { units: amount } }) }), ...more });
const written = (more: Partial<Standing> = {}): Standing => ({ vary: ["/amount"], uses: 2, expires_seconds: 30, ...more });
const approval = { request: "q1", action: "a2", role: "approver", count: 1, people: [] } as unknown as ApprovalContext;
const proposal = { kind: "tool", id: "t1", tool: "crm.update", input: { to: "x", amount: 1 } } as unknown as ToolProposal;
const same = (vary: string[], one: JsonValue, other: JsonValue) => shapeOf(one, vary) === shapeOf(other, vary);

test("APP-3: what may vary is cut out of the place that is named, and of no other", () => {
  assert.ok(same(["/a/0/b"], { a: [{ b: 1, c: 2 }, 3] }, { a: [{ b: 9, c: 2 }, 3] }));
  assert.ok(!same(["/a/0/b"], { a: [{ b: 1, c: 2 }, 3] }, { a: [{ b: 1, c: 9 }, 3] }));
  assert.ok(!same(["/a/0/b"], { a: [{ b: 1 }, { b: 3 }] }, { a: [{ b: 1 }, { b: 4 }] }));
  assert.ok(!same(["/a/0"], { a: [1, 2] }, { a: { 1: 2 } }), "a list is no object without its first member");
  assert.ok(!same(["/a/0"], { a: [1, 2] }, { a: [2] }), "an item is blanked, and the others keep their places");
  assert.ok(!same(["/a/b"], { a: { b: { c: 1 } } }, { a: {} , b: 1 }));
  assert.ok(same(["/a/b/c"], { a: { b: { c: 1, d: 2 } }, e: { b: { c: 1 } } }, { a: { b: { c: 7, d: 2 } }, e: { b: { c: 1 } } }));
  assert.ok(!same(["/a/b/c"], { a: { b: { c: 1 } }, e: { b: { c: 1 } } }, { a: { b: { c: 1 } }, e: { b: { c: 2 } } }));
  // a pointer that leads nowhere cuts nothing
  for (const value of ["text", 7, true, null, [1], { b: 1 }] as JsonValue[]) assert.equal(shapeOf({ a: value }, ["/a/length/x"]), shapeOf({ a: value }, []));
  assert.equal(shapeOf({ a: "abc" }, ["/a/0"]), shapeOf({ a: "abc" }, []));
  assert.equal(shapeOf({ a: null }, ["/a/0"]), shapeOf({ a: null }, []));
});

test("APP-3: a limit is cut to ten-thousandths, and one beyond exact whole numbers is no wider", () => {
  assert.deepEqual(["0.12345", "1.5", "12", ".5"].map(limitUnits), [1234, 15_000, 120_000, 5000]);
  assert.equal(limitUnits("900719925474.0991"), Number.MAX_SAFE_INTEGER);
  assert.equal(limitUnits("900719925474.0990"), Number.MAX_SAFE_INTEGER - 1);
  assert.equal(limitUnits("900719925474.0992"), Number.MAX_SAFE_INTEGER);
});

test("APP-3: each fault names the member that it is about, and says what the contract allows", () => {
  const of = (more: Partial<Standing>, about = facts(), tainted = false) => standingFaults(written(more), about, tainted).map(({ code, path, message }) => `${code} ${path} ${/[\d.]+/.exec(message)?.[0] ?? ""}`.trim());
  assert.deepEqual(of({}), []);
  assert.deepEqual(of({}, facts({ standing: undefined })), ["standing.not_allowed /standing"]);
  assert.deepEqual(of({}, facts({ tool: undefined })), ["standing.irreversible /standing"]);
  assert.deepEqual(of({}, facts(), true), ["standing.tainted /standing"]);
  assert.deepEqual(of({ vary: ["/amount", "/to"] }), ["standing.vary /standing/vary/1"]);
  assert.deepEqual(of({ uses: 4 }), ["standing.uses /standing/uses 3"]);
  assert.deepEqual(of({ expires_seconds: 61 }), ["standing.time /standing/expires_seconds 60"]);
  assert.deepEqual([of({ uses: 3 }), of({ expires_seconds: 60 })], [[], []]);
  assert.deepEqual(of({ max_amount: "5.0001" }), ["standing.amount /standing/max_amount 5"]);
  assert.deepEqual(of({ max_total: "9.0001" }), ["standing.amount /standing/max_total 9"]);
  assert.deepEqual(of({ max_amount: "5", max_total: "9" }), []);
  const { max_amount: _, max_total: __, ...unlimited } = LIMITS;
  assert.deepEqual(of({ max_amount: "500" }, facts({ standing: unlimited })), []);
  const { amount: ___, ...aboutNothing } = facts();
  assert.deepEqual(of({}, aboutNothing), []);
  assert.deepEqual(of({ max_amount: "1" }, aboutNothing), ["standing.amount /standing/max_amount"]);
});

test("APP-3: what was not said of amounts is as narrow as it can be", () => {
  const of = (more: Partial<Standing>, about = facts()) => {
    const { amount } = standingFrom(approval, written(more), proposal, about, AT);
    return amount && [amount.max, amount.maxTotal, amount.used];
  };
  const unlimited = { standing: { ...LIMITS, max_amount: undefined, max_total: undefined } };
  assert.deepEqual(of({}), [10_000, 20_000, 0]);
  assert.deepEqual(of({ max_amount: "4" }), [40_000, 80_000, 0]);
  assert.deepEqual(of({ max_total: "1.5" }), [10_000, 15_000, 0]);
  assert.deepEqual(of({ max_amount: "9", max_total: "20" }), [50_000, 90_000, 0], "no further than the contract");
  assert.deepEqual(of({ max_amount: "9", max_total: "20" }, facts(unlimited)), [90_000, 200_000, 0]);
  assert.deepEqual(of({ max_amount: "900719925474", uses: 10_000 }, facts(unlimited)), [9_007_199_254_740_000, Number.MAX_SAFE_INTEGER, 0]);
  const { amount: _, ...aboutNothing } = facts();
  assert.equal(of({}, aboutNothing), undefined);
  assert.equal(standingFrom(approval, written(), proposal, facts(), AT).ends, timestamp(T0 + 30_000));
});

const standing = (more: Partial<StandingApproval> = {}): StandingApproval => ({ ...standingFrom(approval, written({ max_amount: "2", max_total: "3" }), proposal, facts(), AT), ...more });
const covers = (one: StandingApproval, about = facts(), input: JsonValue = { to: "x", amount: 5 }, at = AT) =>
  standingFor(new Map([[one.request, one]]), NO_MARKS, { ...proposal, input } as ToolProposal, about, at) !== undefined;

test("APP-3: it covers an action of the same shape, by the same documents, within its time, uses and amounts", () => {
  assert.ok(covers(standing()));
  assert.ok(!covers(standing(), facts(), { to: "y", amount: 5 }));
  for (const kind of ["contract", "tool", "policy"]) assert.ok(!covers(standing(), facts({ documents: { ...DOCUMENTS, [kind]: sha256Digest("other") } })), kind);
  assert.ok(!covers(standing({ tool: "crm.other" })));
  assert.ok(!covers(standing(), facts({ tool: undefined })));
  assert.ok(!covers(standing(), { ...facts(), judgement: { ...facts().judgement!, decision: "deny" } }));
  assert.deepEqual([covers(standing({ uses: 1 })), covers(standing({ uses: 2 }))], [true, false]);
  assert.deepEqual([covers(standing(), facts(), undefined, timestamp(T0 + 29_999)), covers(standing(), facts(), undefined, timestamp(T0 + 30_000))], [true, false]);
  assert.deepEqual([covers(standing(), facts({}, 20_000)), covers(standing(), facts({}, 20_001))], [true, false]);
  assert.deepEqual([covers(standing({ amount: { ...standing().amount!, used: 20_000 } })), covers(standing({ amount: { ...standing().amount!, used: 20_001 } }))], [true, false]);
  assert.ok(!covers(standing({ amount: { ...standing().amount!, currency: "EUR" } })));
  assert.equal(standingFor(new Map(), NO_MARKS, proposal, facts(), AT), undefined);
});

test("APP-3: one that is about no money covers nothing that is, nor the other way round", () => {
  const { amount: _, ...aboutNothing } = facts();
  assert.ok(!covers(standing({ amount: undefined })));
  assert.ok(!covers(standing(), aboutNothing));
  assert.ok(covers(standing({ amount: undefined }), aboutNothing));
});

test("APP-3: each use counts, with its amount", () => {
  const used = usedBy(usedBy(standing(), facts()), facts({}, 500));
  assert.deepEqual([used.uses, used.amount?.used], [2, 10_500]);
  const { amount: _, ...aboutNothing } = facts();
  assert.deepEqual(usedBy(standing(), aboutNothing).amount?.used, 0);
  assert.equal(usedBy(standing({ amount: undefined }), facts()).amount, undefined);
});
