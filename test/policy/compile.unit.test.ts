import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePolicySet } from "../../services/policy/compile.ts";
import { judge } from "../../services/policy/judge.ts";
import { compiled, request } from "./policies.ts";

function faultsOf(text: string): string[] {
  const result = compilePolicySet({ name: "default", files: { "test.cedar": text } });
  return result.ok ? [] : result.faults.map((fault) => `${fault.file}:${fault.line}:${fault.column} ${fault.code}`);
}

const REST = "(principal, action, resource)";
for (const [what, text, expected] of [
  ["a policy without an id", `// one\npermit ${REST};`, "default/test.cedar:2:1 policy.id_missing"],
  ["an id used twice", `@id("a") permit ${REST};\n  @id("a") forbid ${REST} when { context.run.steps > 3 };`, "default/test.cedar:2:3 policy.id_twice"],
  ["an id that is no word", `@id("a b") permit ${REST};`, "default/test.cedar:1:1 policy.id_invalid"],
  ["a syntax error", `@id("a") permit ${REST};\n@id("b")\npermit (principal, action resource);`, "default/test.cedar:3:27 policy.syntax"],
  ["a policy without its end", `@id("a") permit ${REST}`, "default/test.cedar:1:46 policy.syntax"],
  ["a name that the schema does not know, after text beyond ASCII", `// é€😀\n@id("a") permit ${REST} when { "é😀" == context.zz };`, "default/test.cedar:2:63 policy.invalid"],
  ["an optional name that is not tested for", `@id("a") permit ${REST} when { context.amount.lessThan(decimal("3.0")) };`, "default/test.cedar:1:54 policy.invalid"],
  ["an unknown action", `@id("a") permit (principal, action == Action::"delete", resource);`, "default/test.cedar:1:39 policy.invalid"],
  ["a comparison of different types", `@id("a") permit ${REST} when { principal.name == 3 };`, "default/test.cedar:1:54 policy.invalid"],
  ["a policy that can never apply", `@id("a") permit ${REST} when { false };`, "default/test.cedar:1:1 policy.impossible"],
  ["an entity of an unknown type", `@id("a") permit (principal == User::"a", action, resource);`, "default/test.cedar:1:31 policy.invalid"],
  ["a template", `@id("a") permit (principal == ?principal, action, resource);`, "default/test.cedar:1:31 policy.syntax"],
  ["an unknown annotation", `@id("a") @aks("x") forbid ${REST};`, "default/test.cedar:1:1 policy.annotation"],
  ["an ask on a permit", `@id("a") @ask("approver") permit ${REST};`, "default/test.cedar:1:1 policy.ask"],
  ["an ask of nobody", `@id("a") @ask forbid ${REST};`, "default/test.cedar:1:1 policy.ask"],
  ["no approvals", `@id("a") @ask("approver") @approvals("0") forbid ${REST};`, "default/test.cedar:1:1 policy.ask"],
  ["an expiry that is no number", `@id("a") @ask("approver") @expires_seconds("1h") forbid ${REST};`, "default/test.cedar:1:1 policy.ask"],
  ["approvals without an ask", `@id("a") @approvals("2") forbid ${REST};`, "default/test.cedar:1:1 policy.annotation"],
] as const) {
  test(`POL-1: ${what} is a fault with its place`, () => {
    assert.deepEqual(faultsOf(text), [expected]);
  });
}

test("POL-1: all faults of all files come at once", () => {
  const result = compilePolicySet({
    name: "default",
    files: { "a.cedar": `permit ${REST};\npermit (oops;`, "b.cedar": `@id("b") permit ${REST} when { context.nope };` },
  });
  assert.ok(!result.ok);
  assert.deepEqual(
    result.faults.map((fault) => `${fault.file}:${fault.line} ${fault.code}`),
    ["default/a.cedar:1 policy.id_missing", "default/a.cedar:2 policy.syntax", "default/b.cedar:1 policy.invalid"],
  );
});

test("POL-1: a semicolon in text or in a comment does not end a policy", () => {
  const set = compiled(`@id("a") // not; here\npermit ${REST} when { principal.name != "a;\\";b" };`);
  assert.deepEqual([...set.policies.keys()], ["a"]);
});

test("POL-1: the order of files and policies does not change what a set means or its digest", () => {
  const a = compilePolicySet({ name: "default", files: { "a.cedar": `@id("a") permit ${REST};`, "b.cedar": "" } });
  const b = compilePolicySet({ name: "default", files: { "b.cedar": "", "a.cedar": `@id("a") permit ${REST};` } });
  assert.ok(a.ok && b.ok);
  assert.equal(a.set.digest, b.set.digest);
});

// Beyond these depths the engine's stack overflows, and an instance that overflowed never answers again.
for (const [what, body] of [
  ["brackets", `${"(".repeat(3000)}true${")".repeat(3000)}`],
  ["sets", `${"[".repeat(200)}1${"]".repeat(200)} == [1]`],
  ["alternatives", Array(3000).fill("context.run.steps == 1").join(" || ")],
  ["members", `context${".a".repeat(3000)}`],
  ["negations", `${"!".repeat(3000)}true`],
  ["conditions", `${"if true then ".repeat(1000)}true${" else false".repeat(1000)}`],
] as const) {
  test(`POL-1: a policy of very many ${what} is refused, and the engine goes on answering`, () => {
    const before = compiled(`@id("all") permit ${REST};`);
    assert.equal(faultsOf(`@id("a") permit ${REST} when { ${body} };`)[0]?.split(" ")[1], "policy.too_much");
    assert.equal(judge(before, request()).decision, "allow");
  });
}

test("POL-1: the largest policy that is admitted can be validated and judged", () => {
  const deep = `${"(".repeat(30)}${Array(60).fill("context.run.steps == 1").join(" || ")}${")".repeat(30)}`;
  const set = compiled(`@id("all") permit ${REST}; @id("deep") forbid ${REST} when { ${deep} };`);
  assert.equal(judge(set, request()).decision, "allow");
});

test("POL-1: text that looks like a policy file but is anything else never throws", () => {
  for (const text of ["\u0000", '"', "@id(", "permit", "};;;{", "\ud800", '@id("a") permit (principal, action, resource) when { "\\u{110000}" == "" };']) {
    assert.equal(compilePolicySet({ name: "default", files: { "test.cedar": text } }).ok, false, JSON.stringify(text));
  }
});
