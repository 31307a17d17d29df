import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { MUST_BE_CITED, PROOF } from "../requirements.ts";
import { citationsIn, collectCitations, uncited, unknown } from "./citations.ts";

const citations = collectCitations(join(import.meta.dirname, ".."));

test("a test cites only requirements that exist", () => {
  assert.deepEqual(unknown(citations), []);
});

test("every requirement that must be cited is cited by the title of a test", () => {
  const missing = new Set(uncited(citations));
  assert.deepEqual(MUST_BE_CITED.filter((id) => missing.has(id)), []);
});

test("what proves the plane is proved on a real server: unit tests alone are not enough", () => {
  const real = new Set(citations.filter(({ file }) => !file.includes(".unit.")).map(({ id }) => id));
  assert.deepEqual(PROOF.filter((id) => !real.has(id)), []);
});

test("requirements that no test cites are listed", (t) => {
  t.diagnostic(`no test cites: ${uncited(citations).join(" ")}`);
});

test("citations are read from titles of every form, and from nowhere else", () => {
  const id = (number: number): string => `CORE-${number}`;
  const text = `
    // ${id(9)} in a remark
    test("${id(1)}, ${id(2)}: a rule", () => {});
    it.skip('${id(3)} said "so"', () => {});
    await t.test(\`${id(4)} for \${name}\`, () => {});
    test(
      "${id(99)} does not exist and UTF-8 is none", () => {});
    const other = "${id(5)}";
    contest("${id(6)}");`;
  assert.deepEqual(citationsIn(text, "f").map((citation) => citation.id), [1, 2, 3, 4, 99].map(id));
  assert.deepEqual(unknown(citationsIn(text, "f")).map((citation) => citation.id), [id(99)]);
});
