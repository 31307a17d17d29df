import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { policySetSchema } from "../../schemas/policy.ts";
import { checkPolicySet, compilePolicySet } from "../../services/policy/compile.ts";
import { CEDAR_SCHEMA } from "../../services/policy/engine.ts";
import { loadPath } from "../../services/registry/load.ts";
import { signalbox } from "../cli/terminal.ts";

const EXAMPLES = join(import.meta.dirname, "examples");
const ALL = '@id("all") permit (principal, action, resource);';
const BIG = '@id("big") @ask("finance") @approvals("2") forbid (principal, action, resource) when { context has amount && context.amount.greaterThan(decimal("100.0")) };';

function check(fixtures: string, more: object = {}, policies = `${ALL}\n${BIG}`) {
  return checkPolicySet(policySetSchema.parse({ name: "default", files: { "rules.cedar": policies }, fixtures: { "a.fixtures.yaml": fixtures }, ...more }), "policies/default");
}
const faults = (fixtures: string, more?: object, policies?: string) => check(fixtures, more, policies).faults.map(({ file, line, column, code }) => `${file}:${line}:${column} ${code}`);

test("POL-1 a fixture that is answered as it says is no fault, and what it leaves out is unremarkable", () => {
  const { faults, results } = check(`
- name: nothing special
  decision: allow
- name: large
  request: { amount: 100.0001 }
  decision: ask
  policies: [big, all]
  reasons: [policy.ask, big]
  role: finance
  count: 2
- name: nobody
  request: { principal: null }
  decision: deny
  reasons: [principal.required]
`);
  assert.deepEqual(faults, []);
  assert.deepEqual(results.map(({ judgement }) => judgement.decision), ["allow", "ask", "deny"]);
});

test("POL-1 everything in which an answer is not what was expected is a fault, at its place", () => {
  assert.deepEqual(
    faults(`
- name: large
  request: { amount: 101 }
  decision: allow
  policies: [all]
  reasons: [something.else]
  role: approver
  count: 1
- name: small
  decision: deny
`),
    [
      "policies/default/a.fixtures.yaml:4:3 fixture.failed",
      "policies/default/a.fixtures.yaml:5:3 fixture.failed",
      "policies/default/a.fixtures.yaml:6:3 fixture.failed",
      "policies/default/a.fixtures.yaml:7:3 fixture.failed",
      "policies/default/a.fixtures.yaml:8:3 fixture.failed",
      "policies/default/a.fixtures.yaml:10:3 fixture.failed",
    ],
  );
});

for (const [what, text, expected] of [
  ["that is no list", "decision: allow", ["policies/default/a.fixtures.yaml:1:1 document.invalid"]],
  ["with a misspelt key", "- name: a\n  desicion: allow\n", ["policies/default/a.fixtures.yaml:1:3 document.missing", "policies/default/a.fixtures.yaml:2:3 document.unknown_key"]],
  ["with an unknown decision", "- name: a\n  decision: perhaps\n", ["policies/default/a.fixtures.yaml:2:3 document.invalid"]],
  ["with a request that policies have no word for", "- name: a\n  decision: allow\n  request: { input: {} }\n", ["policies/default/a.fixtures.yaml:3:14 document.unknown_key"]],
  ["that is no YAML", "- name: [\n", ["policies/default/a.fixtures.yaml:2:1 yaml.syntax"]],
  ["with the same key twice", "- name: a\n  name: b\n  decision: allow\n", ["policies/default/a.fixtures.yaml:2:3 yaml.duplicate_key"]],
] as const) {
  test(`POL-1 a fixture file ${what} is refused with its place`, () => {
    const found = faults(text);
    for (const one of expected) assert.ok(found.includes(one), `${one} not in ${found.join(", ")}`);
  });
}

test("POL-1 faults of policies, schema and fixtures come at once, and fixtures of a faulty set are not run", () => {
  const found = check("- name: a\n  decision: perhaps\n- name: b\n  decision: deny\n", { schema: "entity Agent = { name: Strin };" }, `${ALL}\npermit (oops;`);
  assert.deepEqual(found.faults.map(({ code }) => code).sort(), ["document.invalid", "policy.schema", "policy.syntax"]);
  assert.deepEqual(found.results, []);
});

test("POL-1 policies are held to the set's own schema as well as to the plane's", () => {
  const narrow = CEDAR_SCHEMA.replace("  tainted: Bool,\n", "");
  const reads = `${ALL}\n@id("t") forbid (principal, action, resource) when { context.tainted };`;
  assert.deepEqual(faults("[]", { schema: CEDAR_SCHEMA }, reads), []);
  assert.deepEqual(faults("[]", { schema: narrow }, reads), ["policies/default/rules.cedar:2:54 policy.invalid"]);
  // a schema of one's own cannot make a name known that the plane does not send
  const wide = CEDAR_SCHEMA.replace("  tainted: Bool,\n", "  tainted: Bool,\n  mood: String,\n");
  assert.deepEqual(faults("[]", { schema: wide }, `${ALL}\n@id("t") forbid (principal, action, resource) when { context.mood == "bad" };`), ["policies/default/rules.cedar:2:54 policy.invalid"]);
});

for (const [what, schema, place] of [
  ["a syntax error", "entity Agent = {\n  name String };", "2:8"],
  ["an unknown type", "entity Agent;\nentity Tool = { name: Strin };", "2:23"],
  ["very deep brackets", `entity A = { a: ${"Set<".repeat(40)}String${">".repeat(40)} };`, "1:144"],
  ["more than can be meant", " ".repeat(200_000), "1:1"],
] as const) {
  test(`POL-1 a schema with ${what} is refused with its place`, () => {
    assert.deepEqual(faults("[]", { schema }), [`policies/default/schema.cedarschema:${place} policy.schema`]);
  });
}

test("POL-1 a set whose fixtures fail is no set that could rule", () => {
  const set = policySetSchema.parse({ name: "default", files: { "rules.cedar": ALL }, fixtures: { "a.fixtures.yaml": "- name: a\n  decision: deny\n" } });
  assert.equal(compilePolicySet(set).ok, false);
});

test("POL-2 fixtures say risk, history and sums in the words of policies, and risk is computed by the set's table", () => {
  const rules = `${ALL}
@id("risky") forbid (principal, action, resource) when { context has risk && context.risk.greaterThan(decimal("0.5")) };
@id("again") forbid (principal, action, resource) when { context.run.failures.hasTag("pay") && context.run.failures.getTag("pay") > 1 };
@id("failed") @ask("approver") forbid (principal, action, resource) when { context.run.failed.contains("pay") };`;
  const settings = { risk: [{ when: { tainted: true }, add: 0.6 }] };
  assert.deepEqual(
    faults(
      `
- { name: risk by the table, request: { tainted: true }, decision: deny, policies: [risky] }
- { name: risk as given, request: { tainted: true, risk: 0.1 }, decision: allow }
- { name: a count says that it failed, request: { run: { failures: { pay: 1 } } }, decision: ask, policies: [all, failed] }
- { name: a name counts once, request: { run: { failed: [pay] } }, decision: ask }
- { name: twice, request: { run: { failures: { pay: 2 } } }, decision: deny, policies: [again] }
`,
      { settings },
      rules,
    ),
    [],
  );
});

test("POL-1 POL-2 POL-3 POL-4 GUARD-3 the published examples are answered as their fixtures say", async () => {
  const { documents, faults } = await loadPath(EXAMPLES);
  assert.deepEqual(faults, []);
  const [set] = documents;
  assert.ok(set?.kind === "policy");
  const checked = checkPolicySet(set.value, EXAMPLES);
  assert.deepEqual(checked.faults, []);
  assert.ok(checked.results.length > 20);
  const asked = new Set(checked.results.flatMap(({ judgement }) => judgement.policies.map(({ id }) => id)));
  assert.deepEqual([...(checked.set?.policies.keys() ?? [])].filter((id) => !asked.has(id)), [], "policies that no fixture shows");
});

test("POL-1 the schema beside the examples is the plane's", async () => {
  assert.equal(await readFile(join(EXAMPLES, "schema.cedarschema"), "utf8"), CEDAR_SCHEMA);
});

test("POL-1 `signalbox policy test` says what passed and ends with 3 where something did not", async () => {
  const passed = await signalbox(["policy", "test", EXAMPLES]);
  assert.deepEqual([passed.exit, passed.err], [0, ""]);
  assert.match(passed.out, /^passed {2}examples in .* 12 policies, 26 of 26 fixture\(s\) as expected/);
  const nothing = await signalbox(["policy", "test", join(import.meta.dirname, "..", "cli")]);
  assert.equal(nothing.exit === 0, false);
  const schema = await signalbox(["policy", "schema"]);
  assert.equal(schema.out.trimEnd(), CEDAR_SCHEMA.trimEnd());
});
