import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { canonicalText, sha256Digest } from "../../schemas/canonical.ts";
import { removedSchema } from "../../schemas/inputs.ts";
import { sanitise, sanitiseText } from "../../services/gateway/sanitise.ts";

const reasons = (value: unknown) => sanitise(value).removed.map(({ path, reason }) => `${path} ${reason}`);

describe("CORE-4: what a tool said is sanitised before anybody sees it", () => {
  test("clean values come through as they are, line breaks and tabs included", () => {
    const value = { text: "first\n\tsecond\r\n", emoji: "👩‍🚀", list: [1, -0.5, true, null], hebrew: "שלום\u200f" };
    assert.deepEqual(sanitise(value), { value, removed: [] });
  });

  test("terminal escapes go whole, and are listed with place, size and hash", () => {
    const { value, removed } = sanitise({ log: ["ok", "\x1b[31mred\x1b[0m \x1b]0;title\x07done"] });
    assert.deepEqual(value, { log: ["ok", "red done"] });
    const text = "\x1b[31m\x1b[0m\x1b]0;title\x07";
    assert.deepEqual(removed, [{ path: "/log/1", reason: "ansi_escape", bytes: text.length, sha256: sha256Digest(text) }]);
  });

  test("control characters, bidirectional overrides and lone surrogates go", () => {
    assert.deepEqual(sanitise("a\0b\u0085c\u202ed\ud800e\x7f").value, "abcde");
    assert.deepEqual(reasons("a\0b\u202ed\ud800"), [" control_character", " bidi_override", " lone_surrogate"]);
  });

  test("two lone surrogates do not become a character when what stood between them goes", () => {
    assert.equal(sanitise("\ud83d\0\ude00").value, "");
  });

  test("prototype keys and document references go, also when a control character hid them", () => {
    const hostile = JSON.parse('{"__proto__":{"admin":true},"pro\\u0000totype":1,"a":{"constructor":2,"$doc":"sha256:x"}}') as unknown;
    assert.deepEqual(sanitise(hostile).value, { a: {} });
    assert.deepEqual(reasons(hostile), [
      "/__proto__ prototype_key",
      " control_character",
      "/prototype prototype_key",
      "/a/constructor prototype_key",
      "/a/$doc reserved_key",
    ]);
  });

  test("a key that is another's once cleaned never replaces it", () => {
    assert.deepEqual(sanitise({ "amo\0unt": 900, amount: 1 }).value, { amount: 1 });
    assert.deepEqual(sanitise({ amount: 1, "amo\0unt": 900 }).value, { amount: 1 });
  });

  test("what JSON cannot say goes, and items keep their places", () => {
    const value = { a: Number.NaN, b: [Number.POSITIVE_INFINITY, 1], c: 2 ** 53, d: 1n, e: new Date(0), f: undefined };
    assert.deepEqual(sanitise(value).value, { b: [null, 1] });
    assert.deepEqual(reasons(value), ["/a not_finite", "/b/0 not_finite", "/c unsafe_integer", "/d not_json", "/e not_json", "/f not_json"]);
    assert.equal(sanitise(undefined).value, null);
  });

  test("a cycle ends at the depth that the wire admits", () => {
    const loop: { self?: unknown } = {};
    loop.self = loop;
    assert.deepEqual(
      sanitise(loop).removed.map(({ reason }) => reason),
      ["too_deep"],
    );
  });

  test("more removals than a report may carry are counted together", () => {
    const { removed } = sanitise(Array.from({ length: 1500 }, () => "\0"));
    assert.equal(removed.length, 1000);
    assert.equal(removed.at(-1)?.reason, "and_501_more");
    assert.equal(removed.at(-1)?.bytes, 501);
  });

  test("property: it is idempotent, its value has a canonical form, and its list is well formed", () => {
    const evil = fc.constantFrom("\x1b[", "\x1b]", "\x1b", "\x9b", "31m", "\x07", "\ud83d", "\ude00", "\u202e", "\0", "__proto__", "a", ";", "\\", "$doc");
    const text = fc.array(fc.oneof(evil, fc.string({ unit: "binary" })), { maxLength: 8 }).map((parts) => parts.join(""));
    const { value: anything } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, text, fc.double(), fc.integer(), fc.boolean(), fc.constant(null), fc.bigInt(),
        fc.array(tie("value"), { maxLength: 4 }), fc.dictionary(text, tie("value"), { maxKeys: 4 })),
    }));
    fc.assert(
      fc.property(anything, (value) => {
        const once = sanitise(value);
        canonicalText(once.value);
        for (const entry of once.removed) removedSchema.parse(entry);
        assert.deepEqual(sanitise(once.value), { value: once.value, removed: [] });
      }),
      { numRuns: 2000 },
    );
  });

  test("hostile text takes time in proportion to its length, not to its square", () => {
    const timed = (text: string) => {
      const before = process.cpuUsage();
      sanitise(text);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    for (const unit of ["\x1b]", "\x1b[1;", "\x1b[1 ", "\x90", "\ud800", "\x1bP\x1b]"]) {
      const short = unit.repeat(20_000);
      timed(short);
      const [once, tenfold] = [timed(short), timed(short.repeat(10))];
      // quadratic would be a hundredfold; the floor keeps the clock's grain out of it
      assert.ok(tenfold < 40 * Math.max(once, 2000), `${JSON.stringify(unit)}: ${once} µs, ten times as long: ${tenfold} µs`);
    }
  });

  test("an error message is cut without splitting a character", () => {
    assert.equal(sanitiseText("\x1b[1mab😀", 3), "ab");
  });
});
