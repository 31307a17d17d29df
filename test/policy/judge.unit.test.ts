import assert from "node:assert/strict";
import { test } from "node:test";
import { judgementSchema } from "../../schemas/judgement.ts";
import { judge } from "../../services/policy/judge.ts";
import { codes, compiled, ids, request } from "./policies.ts";

const ALLOW = '@id("all") permit (principal, action, resource);';

test("CORE-3: nothing is allowed that no policy permits", () => {
  const verdict = judge(compiled('@id("reads") permit (principal, action == Action::"read", resource);'), request());
  assert.equal(verdict.decision, "deny");
  assert.deepEqual(codes(verdict), ["policy.no_permit"]);
});

test("CORE-3: without a policy set, or with an empty one, the answer is deny and says so", () => {
  for (const set of [undefined, compiled("// nothing yet")]) {
    const verdict = judge(set, request());
    assert.equal(verdict.decision, "deny");
    assert.deepEqual(codes(verdict), ["policy.no_set"]);
  }
});

test("CORE-3: a judgement names the policies that determined it, with file and line", () => {
  const verdict = judge(compiled(`// why\n\n${ALLOW}`), request());
  assert.equal(verdict.decision, "allow");
  assert.deepEqual(verdict.policies, [{ id: "all", effect: "permit", file: "default/test.cedar", line: 3 }]);
  assert.match(verdict.engine, /^cedar 4\./);
  judgementSchema.parse(verdict);
});

test("CORE-3: a forbid that errors denies, though Cedar alone would skip it and allow", () => {
  const set = compiled(`${ALLOW} @id("overflow") forbid (principal, action, resource) when { context.run.steps * 9223372036854775807 > 0 };`);
  const verdict = judge(set, request({ run: { ...request().run, steps: 5 } }));
  assert.equal(verdict.decision, "deny");
  assert.deepEqual(codes(verdict), ["policy.error"]);
  assert.match(verdict.errors.join(), /overflow/);
});

test("CORE-3: a permit that errors denies, even beside one that permits", () => {
  const set = compiled(`${ALLOW} @id("overflow") permit (principal, action, resource) when { context.run.steps * 9223372036854775807 > 0 };`);
  assert.equal(judge(set, request()).decision, "deny");
});

test("CORE-3: an error in what would hold once people agreed denies", () => {
  const set = compiled(`
    @id("ask") @ask("approver") forbid (principal, action, resource);
    @id("bad") permit (principal, action, resource) when { context.run.steps * 9223372036854775807 > 0 };`);
  assert.equal(judge(set, request()).decision, "deny");
});

const ASK = '@id("large") @ask("finance") @approvals("2") @expires_seconds("3600") forbid (principal, action, resource) when { context has amount && context.amount.greaterThan(decimal("100.0")) };';

test("APP-1: a forbid that asks is lifted by people, and only asked where it applies", () => {
  const set = compiled(`${ALLOW} ${ASK}`);
  assert.equal(judge(set, request({ amount: "100" })).decision, "allow");
  const verdict = judge(set, request({ amount: "100.01" }));
  assert.equal(verdict.decision, "ask");
  assert.deepEqual(verdict.ask, { role: "finance", count: 2, expires_seconds: 3600 });
  assert.deepEqual(ids(verdict), ["all", "large"]);
  judgementSchema.parse(verdict);
});

test("APP-1: nobody is asked what no approval could allow", () => {
  const verdict = judge(compiled(ASK), request({ amount: "200" }));
  assert.equal(verdict.decision, "deny");
  assert.deepEqual(codes(verdict), ["policy.no_permit"]);
});

test("CORE-3: a hard forbid beside one that asks denies, and only it is named", () => {
  const set = compiled(`${ALLOW} ${ASK} @id("never") forbid (principal, action, resource) when { resource.tags.contains("pci") };`);
  const verdict = judge(set, request({ amount: "200" }));
  assert.equal(verdict.decision, "deny");
  assert.deepEqual(ids(verdict), ["never"]);
});

test("APP-3: of several policies that ask one role, the greater number and the shorter time hold", () => {
  const set = compiled(`${ALLOW}
    @id("a") @ask("approver") @approvals("3") forbid (principal, action, resource);
    @id("b") @ask("approver") @expires_seconds("60") forbid (principal, action, resource);`);
  assert.deepEqual(judge(set, request()).ask, { role: "approver", count: 3, expires_seconds: 60 });
});

test("CORE-3: policies that ask different roles about one action deny it and say why", () => {
  const set = compiled(`${ALLOW}
    @id("a") @ask("legal") forbid (principal, action, resource);
    @id("b") @ask("finance") forbid (principal, action, resource);`);
  const verdict = judge(set, request());
  assert.equal(verdict.decision, "deny");
  assert.deepEqual(codes(verdict), ["policy.ask_conflict"]);
});

test("POL-2: policies see agent, team, namespace, tool, tags, effect, region, amount, cost, confidence, risk, time and the run", () => {
  const set = compiled(`@id("everything") permit (principal == Agent::"refund-assistant", action in Action::"call", resource == Tool::"stripe.create_refund")
    when {
      principal.name == "refund-assistant" && principal.version == "1.0.0" && principal.owner == "payments" &&
      principal.team == "support" && principal.namespace == "default" &&
      resource.tags.containsAny(["pci"]) && resource.effect == "write" && resource has region && resource.region == "eu" && !resource.idempotent &&
      context has principal && context.principal.subject == "anna" && !context.principal.verified &&
      context has amount && context.amount == decimal("25.0") && context.cost_usd == decimal("0.01") &&
      context has confidence && context.confidence.lessThan(decimal("0.9")) && context has risk && context.risk.greaterThan(decimal("0.1")) &&
      context has region && context.region == "de" &&
      context.time.iso like "2026-11-*" && context.time.epoch_seconds > 1700000000 && context.time.hour == 10 && context.time.weekday == 6 &&
      context.run.steps == 3 && context.run.succeeded.contains("zendesk.read_ticket") && context.run.failed.isEmpty()
    };`);
  const asked = request({ tool: { ...request().tool, region: "eu" }, confidence: 0.5, risk: 0.2, region: "de" });
  assert.equal(judge(set, asked).decision, "allow");
});

test("CORE-3: an amount is rounded up and a confidence down, so that digits beyond four places never loosen", () => {
  const set = compiled(`@id("small") permit (principal, action, resource) when {
    context has amount && context.amount.lessThanOrEqual(decimal("100.0")) && context has confidence && context.confidence.greaterThanOrEqual(decimal("0.5")) };`);
  assert.equal(judge(set, request({ amount: "100", confidence: 0.5 })).decision, "allow");
  assert.equal(judge(set, request({ amount: "100.000001", confidence: 0.5 })).decision, "deny");
  assert.equal(judge(set, request({ amount: "100", confidence: 0.49999999 })).decision, "deny");
});

test("CORE-3: an amount beyond what policies can compare denies", () => {
  const verdict = judge(compiled(ALLOW), request({ amount: "9".repeat(30) }));
  assert.equal(verdict.decision, "deny");
  assert.deepEqual(codes(verdict), ["policy.error"]);
});

test("CORE-6: the same set and request give the same judgement, also after other sets took its place in the cache", () => {
  const set = compiled(`${ALLOW} ${ASK}`);
  const before = judge(set, request({ amount: "200" }));
  for (let i = 0; i < 80; i++) {
    const other = compiled(`@id("only-${i}") permit (principal, action, resource) when { context.run.steps == ${i} };`);
    assert.equal(judge(other, request()).decision, i === 3 ? "allow" : "deny");
  }
  assert.deepEqual(judge(set, request({ amount: "200" })), before);
});
