/** Requests that are remembered as one must have one answer: each is held against what the engine says of it alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { alike } from "../../services/policy/alike.ts";
import { CEDAR_SCHEMA, type CedarRequest, authorize, withCedar } from "../../services/policy/engine.ts";

const decimal = (arg: string) => ({ __extn: { fn: "decimal", arg } });
const number = fc.constantFrom(-3, -1, 0, 1, 2, 3, 4, 5, 900);
const amount = fc.constantFrom("-1.0000", "0.0000", "0.0001", "9.9999", "10.0000", "10.0001", "900.0000", "99999999999.9999", "922337203685477.5807");
const iso = fc.constantFrom("2026-01-31T09:30:00.000Z", "2026-01-31T09:30:00.001Z", "2027-02-01T00:00:00.000Z", "*", "");
const pattern = fc.constantFrom("*", "2026-*", "*Z", "2026-*-31T*Z", "*01*01*", "\\*", "2026-01-31T09:30:00.000Z", "", "*30:00.0*00Z");

/** Conditions on single attributes; those of the second list use them in ways that are not only comparisons with literals. */
const conditions = fc.oneof(
  fc.tuple(fc.constantFrom("run.steps", "tokens", "time.epoch_seconds", "run.elapsed_seconds"), fc.constantFrom("<", "<=", ">", ">=", "==", "!="), number, fc.boolean()).map(([way, op, n, turned]) =>
    turned ? `${n} ${op} context.${way}` : `context.${way} ${op} ${n}`,
  ),
  fc.tuple(fc.constantFrom("cost_usd", "amount"), fc.constantFrom("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"), amount).map(([way, op, n]) =>
    `context has amount && context.${way}.${op}(decimal("${n}"))`,
  ),
  fc.tuple(fc.constantFrom("==", "!="), amount).map(([op, n]) => `context has amount && decimal("${n}") ${op} context.amount`),
  fc.tuple(fc.constantFrom("time.iso", "run.id"), pattern).map(([way, like]) => `context.${way} like "${like}"`),
  fc.tuple(fc.constantFrom("time.iso", "run.id"), iso).map(([way, word]) => `context.${way} == "${word}"`),
  fc.constantFrom(
    "context.run.steps == context.tokens",
    "context.run.steps + 1 > context.tokens",
    "[1, 2, 3].contains(context.run.steps)",
    "context has amount && [decimal(\"10.0\")].contains(context.amount)",
    "context has amount && context.amount.greaterThan(context.cost_usd)",
    "context.run.id == context.time.iso",
    "{a: context.run.steps}.a > 2",
    "(if context.tainted then context.run.steps else context.tokens) > 2",
    "context.run.steps * 4611686018427387904 > 1",
    "context has currency && context.currency == \"USD\" && context.tainted",
    "principal.name == context.run.id",
  ),
);
const policies = fc.array(fc.tuple(fc.constantFrom("permit", "forbid"), conditions, fc.constantFrom("when", "unless")), { minLength: 1, maxLength: 6 }).map((parts) =>
  parts.map(([effect, condition, how]) => `${effect} (principal, action, resource) ${how} { ${condition} };`),
);

const requests: fc.Arbitrary<CedarRequest> = fc
  .record({ steps: number, tokens: number, seconds: number, iso, id: iso, amount: fc.option(amount), cost: amount, tainted: fc.boolean(), currency: fc.constantFrom("USD", "EUR") })
  .map((v) => ({
    principal: { type: "Agent", id: "a" },
    action: { type: "Action", id: "write" },
    resource: { type: "Tool", id: "tool" },
    context: {
      time: { iso: v.iso, epoch_seconds: v.seconds, hour: 3, weekday: 6 },
      run: { id: v.id, steps: v.steps, cost_micro_usd: 0, input_tokens: 0, output_tokens: 0, elapsed_seconds: v.seconds, depth: 0, succeeded: [], failed: [], successes: counts, failures: counts },
      tokens: v.tokens,
      input_tokens: 0,
      output_tokens: 0,
      regions: [],
      tainted: v.tainted,
      labels: [],
      sources: 0,
      cost_usd: decimal(v.cost),
      ...(v.amount !== null && { amount: decimal(v.amount), currency: v.currency }),
    },
    entities: [
      { uid: { type: "Agent", id: "a" }, attrs: { name: "*", version: "", team: "t", owner: "o", namespace: "default" }, parents: [] },
      { uid: { type: "Tool", id: "tool" }, attrs: { name: "tool", tags: [], effect: "write", idempotent: true, trusted: false, clearance: [] }, parents: [] },
      { uid: { type: "Counts", id: "none" }, attrs: {}, parents: [], tags: {} },
    ],
  }));
const counts = { __entity: { type: "Counts", id: "none" } };

test("CORE-3 requests that are remembered as one have the answer that the engine gives to each alone", () => {
  fc.assert(
    fc.property(policies, fc.array(requests, { minLength: 2, maxLength: 12 }), (chosen, asked) => {
      const texts = Object.fromEntries(chosen.map((text, index) => [`p${index}`, text]));
      for (const request of asked) {
        const whole = withCedar((engine) => engine.isAuthorized({ ...request, policies: { staticPolicies: texts }, schema: CEDAR_SCHEMA, validateRequest: true }));
        assert.equal(whole.type, "success");
        const { decision, diagnostics } = whole.response;
        const answer = authorize(JSON.stringify(chosen), texts, request);
        // an error denies, whatever else holds
        if (diagnostics.errors.length > 0) assert.deepEqual([answer.decision, answer.errors.length], ["deny", diagnostics.errors.length]);
        else assert.deepEqual(answer, { decision, reason: [...diagnostics.reason].sort(), errors: [] });
      }
    }),
    { numRuns: 150 },
  );
});

test("CORE-3 only what is held against literals and nothing else is put together", () => {
  const of = (condition: string) =>
    withCedar((engine) => {
      const policy = engine.policyToJson(`forbid (principal, action, resource) when { ${condition} };`);
      assert.ok(policy.type === "success", JSON.stringify(policy));
      return alike([policy.json]);
    });
  const limited = of(`context.run.steps > 900 && context.amount.greaterThan(decimal("10.0")) && context.time.iso like "2026-*"`);
  const put = (steps: number, amount: string, iso: string) => JSON.stringify(limited.put({ run: { steps }, amount: decimal(amount), time: { iso } }));
  assert.equal(put(3, "1.0000", "2026-01-31"), put(899, "9.9999", "2026-12-24"));
  assert.equal(put(901, "10.0001", "2026-01-31"), put(90000, "11.0000", "2026-12-24"));
  assert.notEqual(put(900, "1.0000", "2026"), put(901, "1.0000", "2026"));
  assert.notEqual(put(1, "10.0000", "2026"), put(1, "10.0001", "2026"));
  assert.notEqual(put(1, "1.0000", "2026-"), put(1, "1.0000", "2027-"));
  for (const other of ["context.run.steps == context.tokens", "[5].contains(context.run.steps)", "context.run.steps * 2 > 5 && context.run.steps > 3"]) {
    assert.equal(of(other).groups("run.steps"), false, other);
  }
});
