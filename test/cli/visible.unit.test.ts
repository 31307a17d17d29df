/** Hostile text on a person's screen. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { visible, visibleJson, visibleShort } from "../../services/cli/visible.ts";

describe("words of agents and tools", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["bidirectional overrides and isolates", "a\u202eb\u2066c\u200f", "a\\u202eb\\u2066c\\u200f"],
    ["zero-width characters", "a\u200bb\u200d\ufeff\u2060", "a\\u200bb\\u200d\\ufeff\\u2060"],
    ["terminal escapes", "\u001b[2J\u009b1m\u0007", "\\u001b[2J\\u009b1m\\u0007"],
    ["line ends of every kind", "a\nb\rc\u2028d\u0085", "a\\u000ab\\u000dc\\u2028d\\u0085"],
    ["spaces that are none, and letters that show as nothing", "a\u00a0\u3164\u2800", "a\\u00a0\\u3164\\u2800"],
    ["tag characters and variation selectors", "a\u{e0041}\ufe0f\u{e0100}", "a\\u{e0041}\\ufe0f\\u{e0100}"],
    ["lone surrogates", "a\ud800b", "a\\ud800b"],
  ];
  for (const [what, hostile, shown] of cases) {
    it(`${what} are made visible, not removed (APP-4)`, () => assert.equal(visible(hostile), shown));
  }

  it("letters of any script are left as they are", () => assert.equal(visible("Zoë 漢字 עברית 😀 €5"), "Zoë 漢字 עברית 😀 €5"));

  it("JSON keeps its layout, and hides nothing in keys or values", () => {
    assert.equal(visibleJson({ "k\u202e": "v\u200b\n" }), '{\n  "k\\u202e": "v\\u200b\\n"\n}');
  });

  it("what is cut says so", () => assert.equal(visibleShort("abcdef", 4), "abc…"));
});
