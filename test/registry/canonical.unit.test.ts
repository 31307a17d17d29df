import assert from "node:assert/strict";
import { test } from "node:test";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { canonicalBytes, canonicalDigest, canonicalText, NotCanonicalError, sha256, sha256Digest } from "../../schemas/canonical.ts";

test("CORE-6: canonical text equals an independent RFC 8785 implementation on any JSON value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      assert.equal(canonicalText(value), canonicalize(value));
    }),
  );
});

test("CORE-6: the order in which members were written does not change the digest", () => {
  assert.equal(canonicalDigest({ a: 1, b: { d: 2, c: 3 } }), canonicalDigest({ b: { c: 3, d: 2 }, a: 1 }));
});

test("members that are undefined are left out, as on the wire", () => {
  assert.equal(canonicalText({ a: undefined, b: 1 }), '{"b":1}');
});

const cyclic: Record<string, unknown> = {};
cyclic["again"] = { cyclic };

for (const [what, value, path] of [
  ["a number that is not finite", { a: [1, Number.NaN] }, "/a/1"],
  ["a lone surrogate", { a: "\ud800" }, "/a"],
  ["a lone surrogate in a key", { a: { "\udfff": 1 } }, "/a"],
  ["an array with a hole", { a: [undefined] }, "/a/0"],
  ["a date", { "a/b": new Date(0) }, "/a~1b"],
  ["a big integer", [1n], "/0"],
] as const) {
  test(`${what} is refused with its path`, () => {
    assert.throws(
      () => canonicalText(value),
      (error) => error instanceof NotCanonicalError && error.path === path,
    );
  });
}

test("a value that contains itself is refused", () => {
  assert.throws(() => canonicalText(cyclic), NotCanonicalError);
});

test("digest and hash agree, over UTF-8", () => {
  const bytes = canonicalBytes({ text: "€" });
  assert.equal(sha256Digest(bytes), `sha256:${Buffer.from(sha256(bytes)).toString("hex")}`);
  assert.equal(sha256Digest(bytes), sha256Digest('{"text":"€"}'));
});
