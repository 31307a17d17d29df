import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compilePattern, MAX_MATCHED_TEXT, PatternError } from "../../services/registry/pattern.ts";

const atom = fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "\\d", "\\w", "\\s", "é", "😀", "\\u{1F600}", "\\b", "^", "$", "\\.", "[\\]a]", "\\p{L}", "\\x61", "\\u0062", "(?:)", "(?<n>a)");
const quantifier = fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "{0}");
const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4 },
    fc.tuple(atom, quantifier).map(([one, many]) => (/^(\\b|\^|\$)$/.test(one) ? one : one + many)),
    fc.tuple(tie("pattern"), tie("pattern")).map((parts) => parts.join("")),
    fc.tuple(tie("pattern"), tie("pattern")).map((parts) => `(${parts.join("|")})`),
    fc.tuple(tie("pattern"), quantifier).map(([inner, many]) => `(?:${inner})${many}`),
  ),
}));
const text = fc.array(fc.constantFrom("a", "b", "c", "1", " ", "é", "😀", "]", ".", "\n"), { maxLength: 8 }).map((parts) => parts.join(""));

test("CORE-2: patterns mean what they mean in ECMAScript", () => {
  fc.assert(
    fc.property(pattern, text, (source, subject) => {
      let native: RegExp;
      try {
        native = new RegExp(source, "u");
      } catch {
        return; // the same name in two groups
      }
      assert.equal(compilePattern(source).test(subject), native.test(subject));
    }),
    { numRuns: 3000 },
  );
});

for (const [what, source] of [
  ["a back reference", "(a)\\1"],
  ["a named back reference", "(?<n>a)\\k<n>"],
  ["lookahead", "a(?=b)"],
  ["lookbehind", "(?<!a)b"],
  ["a very long repetition", "a{5000}"],
  ["repetitions within repetitions", "(?:(?:(?:a{100}){100}){100}){100}"],
  ["repetitions of nothing", "((((((){1000}){1000}){1000}){1000}){1000})"],
  ["what is no expression", "a("],
] as const) {
  test(`CORE-2: ${what} is refused in a pattern`, () => {
    assert.throws(() => compilePattern(source), PatternError);
  });
}

test("CORE-2: text beyond the limit does not match", () => {
  assert.equal(compilePattern("a").test("a".repeat(MAX_MATCHED_TEXT)), true);
  assert.equal(compilePattern("a").test("a".repeat(MAX_MATCHED_TEXT + 1)), false);
});
