import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { contractToolSchema } from "../../schemas/contract.ts";
import type { Decision, Judgement } from "../../schemas/judgement.ts";
import { judgementRequestSchema, judgementSchema } from "../../schemas/judgement.ts";
import { reason } from "../../schemas/reason.ts";
import type { CompiledPolicySet } from "../../services/policy/compiled.ts";
import { DEFAULT_RISK, riskOf } from "../../services/policy/risk.ts";
import { type Asked, ENGINE, verdict } from "../../services/policy/verdict.ts";
import { codes, compiled, ids, request } from "./policies.ts";

const ENTRY = contractToolSchema.parse({ name: "stripe.create_refund" });
const VERIFIED = { subject: "kim", issuer: "https://issuer.example", verified: true };
const ALL = compiled('@id("all") permit (principal, action, resource);');
const STRICTNESS: Record<Decision, number> = { allow: 0, ask: 1, deny: 2 };

type Change = Parameters<typeof request>[0];
const asked = (change: Change = {}, more: Partial<Asked> = {}): Asked => ({ request: request({ principal: VERIFIED, ...change }), entry: ENTRY, unclear: [], ...more });
const judged = (change?: Change, set: CompiledPolicySet = ALL, more?: Partial<Asked>): Judgement => verdict(set, asked(change, more));
const tool = (more: object = {}) => judgementRequestSchema.shape.tool.parse({ name: "t", tags: [], effect: "write", idempotent: false, ...more });

for (const [what, principal, codesOf] of [
  ["nobody", null, ["principal.required"]],
  ["a name that nobody checked", { ...VERIFIED, verified: false }, ["principal.required"]],
  ["a token that has ended", { ...VERIFIED, verified: false, expired: true }, ["principal.expired"]],
] as const) {
  test(`ID-3 POL-3 on behalf of ${what} only reads are possible`, () => {
    for (const effect of ["write", "irreversible"] as const) {
      const verdict = judged({ principal, tool: tool({ effect }) });
      assert.deepEqual([verdict.decision, codes(verdict), ids(verdict), verdict.ask], ["deny", codesOf, [], undefined]);
    }
    assert.equal(judged({ principal, tool: tool({ effect: "read" }) }).decision, "allow");
  });
}

test("POL-3 an irreversible effect is never done on policy's word alone, and a policy that asks keeps its role", () => {
  const irreversible = judged({ tool: tool({ effect: "irreversible" }) });
  assert.deepEqual([irreversible.decision, irreversible.ask, codes(irreversible)], ["ask", { role: "approver", count: 1 }, ["plane.irreversible"]]);
  const set = compiled('@id("all") permit (principal, action, resource); @id("two") @ask("finance") @approvals("2") forbid (principal, action, resource);');
  assert.deepEqual(judged({ tool: tool({ effect: "irreversible" }) }, set).ask, { role: "finance", count: 2 });
});

test("POL-4 GUARD-10 data goes only where it is cleared for and may be, whatever the effect", () => {
  const outcome = (change: Change) => {
    const verdict = judged(change);
    return verdict.decision === "deny" ? codes(verdict) : verdict.decision;
  };
  for (const effect of ["read", "write"] as const) {
    assert.deepEqual(outcome({ tool: tool({ effect }), labels: ["pii"] }), ["data.not_cleared"]);
    assert.equal(outcome({ tool: tool({ effect, clearance: ["pii", "pci"] }), labels: ["pci", "pii"] }), "allow");
    assert.deepEqual(outcome({ tool: tool({ effect, clearance: ["pii"] }), labels: ["pci", "pii"] }), ["data.not_cleared"]);
    assert.deepEqual(outcome({ tool: tool({ effect, region: "us-east-1" }), labels: ["region:eu"] }), ["data.residency"]);
    assert.deepEqual(outcome({ tool: tool({ effect, region: "europa" }), labels: ["region:eu"] }), ["data.residency"]);
    assert.deepEqual(outcome({ tool: tool({ effect }), labels: ["region:eu"] }), ["data.residency"]);
    assert.equal(outcome({ tool: tool({ effect, region: "eu-west-1" }), labels: ["region:eu"] }), "allow");
    assert.equal(outcome({ tool: tool({ effect, region: "EU" }), labels: ["region:eu"] }), "allow");
    // each label demands its own place; a contract's places are those that are allowed
    assert.deepEqual(outcome({ tool: tool({ effect, region: "eu" }), labels: ["region:eu", "region:us"] }), ["data.residency"]);
    assert.equal(outcome({ tool: tool({ effect, region: "us-east-1" }), regions: ["eu", "us"] }), "allow");
    assert.deepEqual(outcome({ tool: tool({ effect, region: "ap-1" }), regions: ["eu", "us"] }), ["data.residency"]);
  }
});

test("POL-2 an amount that is not clear asks, and never turns a denial into a question", () => {
  const unclear = [reason("amount.missing", "there is none")];
  assert.equal(judged({}, ALL, { unclear }).decision, "ask");
  assert.equal(judged({}, compiled('@id("no") forbid (principal, action, resource);'), { unclear }).decision, "deny");
  assert.equal(judged({ principal: null }, ALL, { unclear }).decision, "deny");
});

test("CORE-3 a verdict names the version of the rules that gave it", () => {
  assert.match(ENGINE, /^cedar \d+\.\d+\.\d+, rules 2$/);
  assert.equal(judged().engine, ENGINE);
  assert.equal(judged({ principal: null }).engine, ENGINE);
});

const SURE = compiled('@id("sure") permit (principal, action, resource) when { context has confidence && context.confidence.greaterThan(decimal("0.8")) };');
test("APP-1 an agent that is sure of itself is given nothing for it", () => {
  assert.equal(judged({ confidence: 1 }, SURE).decision, "deny");
  assert.equal(judged({}, SURE).decision, "deny");
});

test("APP-1 an agent that says it is not sure is believed", () => {
  const set = compiled('@id("all") permit (principal, action, resource); @id("unsure") @ask("approver") forbid (principal, action, resource) when { context has confidence && context.confidence.lessThan(decimal("0.5")) };');
  assert.equal(judged({ confidence: 0.4 }, set).decision, "ask");
  assert.equal(judged({ confidence: 0.5 }, set).decision, "allow");
  assert.equal(judged({}, set).decision, "allow");
});

test("GUARD-3 naming sources in `uses` gains nothing that their absence would not give", () => {
  const set = compiled('@id("sourced") permit (principal, action, resource) when { context.sources > 0 };');
  assert.equal(judged({ sources: 1 }, set, { matched: 0 }).decision, "deny");
  assert.equal(judged({ sources: 1 }, set, { matched: 1 }).decision, "allow");
});

test("APP-3 where both ways of judging ask, more people and less time are asked, and two roles are a denial", () => {
  const both = (two: string) =>
    compiled(`@id("all") permit (principal, action, resource);
      @id("a") @ask("approver") @expires_seconds("600") forbid (principal, action, resource) when { !(context has confidence) };
      @id("b") ${two} forbid (principal, action, resource) when { context has confidence };`);
  const verdict = judged({ confidence: 0.9 }, both('@ask("approver") @approvals("2")'));
  assert.deepEqual([verdict.ask, ids(verdict)], [{ role: "approver", count: 2, expires_seconds: 600 }, ["a", "all", "b"]]);
  const conflict = judged({ confidence: 0.9 }, both('@ask("finance")'));
  assert.deepEqual([conflict.decision, codes(conflict), "ask" in conflict], ["deny", ["policy.ask_conflict"], false]);
});

const condition = fc.constantFrom(
  "context has confidence",
  'context has confidence && context.confidence.greaterThan(decimal("0.5"))',
  '!(context has confidence && context.confidence.greaterThan(decimal("0.5")))',
  "context.sources > 0",
  "context.sources == 0",
  "context.sources > 1 && context has confidence",
  "context.tainted",
  'context has risk && context.risk.greaterThan(decimal("0.5"))',
  "context.tokens > 10",
  "true || context.tainted",
);
const note = fc.constantFrom("", '@ask("approver")', '@ask("finance") @approvals("2")');
const policy = fc.oneof(
  condition.map((when) => `permit (principal, action, resource) when { ${when} };`),
  fc.tuple(note, condition).map(([ask, when]) => `${ask} forbid (principal, action, resource) when { ${when} };`),
);
const sets = fc.array(policy, { minLength: 1, maxLength: 5 }).map((texts) => compiled(texts.map((text, i) => `@id("p${i}") ${text}`).join("\n")));
const change: fc.Arbitrary<Change> = fc.record({
  tool: fc.constantFrom(tool(), tool({ effect: "read" }), tool({ effect: "irreversible" })),
  tainted: fc.boolean(),
  risk: fc.constantFrom(0.1, 0.6),
  tokens: fc.constantFrom({ input: 1, output: 1 }, { input: 20, output: 0 }),
});

test("APP-1 GUARD-3 whatever policies say, adding confidence or uses never loosens a verdict", () => {
  fc.assert(
    fc.property(sets, change, fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 2 }), (set, base, confidence, matched, named) => {
      const bare = judged({ ...base, sources: matched }, set, { matched });
      const sure = judged({ ...base, sources: matched, confidence }, set, { matched });
      const using = judged({ ...base, sources: matched + named }, set, { matched });
      const both = judged({ ...base, sources: matched + named, confidence }, set, { matched });
      for (const [less, more] of [[bare, sure], [bare, using], [sure, both], [using, both]] as const) {
        assert.ok(STRICTNESS[more.decision] >= STRICTNESS[less.decision], `${less.decision} became ${more.decision}`);
        judgementSchema.parse(more);
      }
    }),
    { numRuns: 200 },
  );
});

test("POL-2 risk is a sum of decimals by the table, kept within 0 and 1, and no word of the agent's is in it", () => {
  const risk = (change: Change, table = DEFAULT_RISK) => riskOf(request({ principal: VERIFIED, ...change, amount: (change ?? {}).amount }), table);
  const plain = { tool: tool(), amount: undefined };
  assert.equal(risk(plain), 0.2);
  assert.equal(risk({ ...plain, tool: tool({ effect: "read" }) }), 0);
  assert.equal(risk({ ...plain, tainted: true }), 0.5);
  assert.equal(risk({ ...plain, confidence: 0 }), 0.2);
  assert.equal(risk({ ...plain, amount: "100" }), 0.2);
  assert.equal(risk({ ...plain, amount: "100.0001" }), 0.3);
  assert.equal(risk({ ...plain, tool: tool({ effect: "irreversible", tags: ["pci"] }), amount: "20000", tainted: true, labels: ["pii"] }), 1);
  assert.equal(risk({ ...plain, principal: null }), 0.4);
  const table = [0.1, 0.2, -0.05].map((add) => ({ when: {}, add }));
  assert.equal(risk(plain, table), 0.25);
  assert.equal(risk(plain, [...table, { when: {}, add: -1 }]), 0);
  assert.equal(risk(plain, []), 0);
  const failing = { ...request().run, failures: { a: 2, b: 1 } };
  assert.equal(risk({ ...plain, run: failing }, [{ when: { failed_at_least: 3 }, add: 0.5 }]), 0.5);
  assert.equal(risk({ ...plain, run: failing }, [{ when: { failed_at_least: 4 }, add: 0.5 }]), 0);
});

test("POL-2 rows of a risk table add up in any order", () => {
  const rows = fc.array(fc.record({ when: fc.constantFrom({}, { tainted: true }, { effect: "write" as const }), add: fc.integer({ min: -10, max: 10 }).map((tenths) => tenths / 10) }), { maxLength: 12 });
  fc.assert(fc.property(rows, (table) => assert.equal(riskOf(request({ tainted: true }), table), riskOf(request({ tainted: true }), [...table].reverse()))));
});
