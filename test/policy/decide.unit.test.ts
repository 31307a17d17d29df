import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ContractTool, contractToolSchema } from "../../schemas/contract.ts";
import { type Decision, EFFECTS, type Judgement, judgementSchema } from "../../schemas/judgement.ts";
import { amountOf, combine } from "../../services/policy/decide.ts";
import { cedarDecimal, decimalText, isAbove } from "../../services/policy/decimal.ts";
import { judge } from "../../services/policy/judge.ts";
import { codes, compiled, request } from "./policies.ts";

const entry = (more: object = {}): ContractTool => contractToolSchema.parse({ name: "stripe.create_refund", ...more });
const allowed: Judgement = { decision: "allow", policies: [], reasons: [], errors: [], engine: "cedar 4" };
const asked: Judgement = { ...allowed, decision: "ask", ask: { role: "finance", count: 2, expires_seconds: 600 } };
const denied: Judgement = { ...allowed, decision: "deny" };
const limit = entry({ requires_approval_above: { field: "amount_usd", value: 100 } });

test("APP-1: a contract that requires approval asks one approver", () => {
  const verdict = combine(entry({ requires_approval: true, approval_expires_seconds: 60 }), "write", {}, allowed);
  assert.equal(verdict.decision, "ask");
  assert.deepEqual(verdict.ask, { role: "approver", count: 1, expires_seconds: 60 });
  assert.deepEqual(codes(verdict), ["contract.requires_approval"]);
});

for (const [what, input, decision] of [
  ["at the limit", { amount_usd: 100 }, "allow"],
  ["a hair above it", { amount_usd: 100.00000000000001 }, "ask"],
  ["above it", { amount_usd: 480 }, "ask"],
  ["missing", {}, "ask"],
  ["written in quotes", { amount_usd: "5" }, "ask"],
  ["null", { amount_usd: null }, "ask"],
  ["not finite", { amount_usd: Number.POSITIVE_INFINITY }, "ask"],
  ["inherited", Object.create({ amount_usd: 5 }), "ask"],
  ["in an input that is no object", 5, "ask"],
] as const) {
  test(`APP-1: a field ${what} is answered ${decision} by requires_approval_above`, () => {
    const verdict = combine(limit, "write", input, allowed);
    assert.equal(verdict.decision, decision);
    if (decision === "ask") assert.equal(verdict.reasons[0]?.path, "/amount_usd");
  });
}

test("APP-1: the field may lie deep, as a dotted path or as a JSON pointer", () => {
  for (const field of ["order.lines.0.price", "/order/lines/0/price"]) {
    const deep = entry({ requires_approval_above: { field, value: "19.99" } });
    assert.equal(combine(deep, "write", { order: { lines: [{ price: 19.99 }] } }, allowed).decision, "allow");
    assert.equal(combine(deep, "write", { order: { lines: [{ price: 20 }] } }, allowed).decision, "ask");
    assert.equal(amountOf(deep, { order: { lines: [{ price: 1e21 }] } }), "1000000000000000000000");
  }
});

test("POL-3: an irreversible effect that policy allows without asking is asked", () => {
  const verdict = combine(entry(), "irreversible", {}, allowed);
  assert.equal(verdict.decision, "ask");
  assert.deepEqual(codes(verdict), ["plane.irreversible"]);
});

test("APP-3: where policy asks, its role and number stand, and the shorter time", () => {
  const shorter = entry({ requires_approval: true, approval_expires_seconds: 60 });
  assert.deepEqual(combine(shorter, "write", {}, asked).ask, { role: "finance", count: 2, expires_seconds: 60 });
  const longer = entry({ requires_approval: true, approval_expires_seconds: 6000 });
  assert.deepEqual(combine(longer, "write", {}, asked).ask, { role: "finance", count: 2, expires_seconds: 600 });
});

test("CORE-2: a tool without an entry in the contract is denied", () => {
  for (const judgement of [allowed, asked, denied]) {
    assert.equal(combine(undefined, "read", {}, judgement).decision, "deny");
  }
});

const STRICTNESS: Record<Decision, number> = { allow: 0, ask: 1, deny: 2 };
const anyEntry = fc
  .record(
    {
      requires_approval: fc.boolean(),
      requires_approval_above: fc.record({ field: fc.constantFrom("amount", "a.b", "/x/0"), value: fc.integer() }),
      approval_expires_seconds: fc.integer({ min: 1, max: 10_000 }),
    },
    { requiredKeys: [] },
  )
  .map(entry);

test("CORE-3: whatever a contract says, it never loosens what policy said", () => {
  fc.assert(
    fc.property(
      fc.option(anyEntry, { nil: undefined }),
      fc.constantFrom(...EFFECTS),
      fc.jsonValue(),
      fc.constantFrom(allowed, asked, denied),
      (rule, effect, input, judgement) => {
        const verdict = combine(rule, effect, input, judgement);
        assert.ok(STRICTNESS[verdict.decision] >= STRICTNESS[judgement.decision]);
        assert.equal(verdict.decision === "ask", verdict.ask !== undefined);
        judgementSchema.parse(verdict);
      },
    ),
  );
});

const condition = fc.constantFrom(
  "true || context.run.steps == 0",
  "context.run.steps > 2",
  "context.run.steps > 5",
  "context has amount && context.amount.greaterThan(decimal(\"10.0\"))",
  'resource.tags.contains("pci")',
  'principal.team == "sales"',
  "context.run.steps * 9223372036854775807 > 0",
);
const note = fc.constantFrom("", '@ask("approver")', '@ask("finance") @approvals("2")');
const policy = fc.oneof(
  condition.map((when) => `permit (principal, action, resource) when { ${when} };`),
  fc.tuple(note, condition).map(([ask, when]) => `${ask} forbid (principal, action, resource) when { ${when} };`),
);
const identified = (policies: readonly string[]) => policies.map((text, i) => `@id("p${i}") ${text}`).join("\n");

test("CORE-3: adding a forbid, asking or not, never turns deny or ask into allow, nor deny into ask", () => {
  fc.assert(
    fc.property(fc.array(policy, { minLength: 1, maxLength: 5 }), note, condition, (policies, ask, when) => {
      const before = judge(compiled(identified(policies)), request());
      const after = judge(compiled(identified([...policies, `${ask} forbid (principal, action, resource) when { ${when} };`])), request());
      assert.ok(STRICTNESS[after.decision] >= STRICTNESS[before.decision], `${before.decision} became ${after.decision}`);
      if (before.decision === "ask" && after.decision === "ask") {
        assert.ok((after.ask?.count ?? 0) >= (before.ask?.count ?? 0));
      }
    }),
    { numRuns: 150 },
  );
});

test("decimals are compared as they are written", () => {
  assert.equal(isAbove(0.1 + 0.2, "0.3"), true);
  assert.equal(isAbove(0.3, "0.30"), false);
  assert.equal(isAbove(1e21, "999999999999999999999"), true);
  assert.equal(isAbove(-5e-7, 0), false);
  assert.equal(isAbove(Number.NaN, 0), undefined);
  assert.equal(decimalText(1.5e-7), "0.00000015");
  assert.equal(decimalText(-12.5), "-12.5");
  assert.equal(cedarDecimal("100.00001", "up"), "100.0001");
  assert.equal(cedarDecimal("-100.00001", "up"), "-100.0000");
  assert.equal(cedarDecimal("-0.00001", "down"), "-0.0001");
  assert.equal(cedarDecimal("922337203685477.5807", "up"), "922337203685477.5807");
  assert.equal(cedarDecimal("922337203685477.58071", "up"), undefined);
});

test("decimals agree with exact arithmetic on whole hundredths", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: -1e9, max: 1e9 }), (a, b) => {
      assert.equal(isAbove(a / 100, b / 100), a > b);
    }),
  );
});
