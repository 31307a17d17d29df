import assert from "node:assert/strict";
import { test } from "node:test";
import { Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { decode, encode, encodeBehind } from "../../services/bus/codec.ts";

/** The same value with the keys of every object set in another order. */
function shuffled(value: unknown, seed: number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, seed));
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, member]) => [key, shuffled(member, seed)] as const);
  const turned = entries.map((_, i) => entries[(i + seed) % entries.length] as (typeof entries)[number]);
  return Object.fromEntries(seed % 2 === 0 ? turned : turned.reverse());
}

const plain = fc.jsonValue().filter((value) => !JSON.stringify(value).includes("__proto__"));

test("CORE-6: equal values have identical bytes, whatever the order in which their keys were set", () => {
  fc.assert(
    fc.property(plain, fc.nat(100), (value, seed) => {
      assert.deepEqual(encode(shuffled(value, seed)), encode(value));
    }),
  );
});

test("CORE-6: what was encoded comes back, and encodes to the same bytes again", () => {
  fc.assert(
    fc.property(plain, (value) => {
      const bytes = encode(value);
      assert.deepEqual(encode(decode(bytes)), bytes);
      assert.deepEqual(JSON.stringify(decode(encode(shuffled(value, 0)))), JSON.stringify(decode(bytes)));
    }),
  );
});

const library = new Encoder({ sortKeys: true, ignoreUndefined: true });
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.tuple(fc.string({ unit: "grapheme" }), fc.constantFrom(0, 10, 23, 24, 25, 30, 31, 32, 84, 85, 86, 254, 255, 256, 21_844, 65_535, 65_536)).map(([some, length]) => some.padEnd(length, "aé€𝄞")),
  fc.constantFrom("\ud800", "a\udc00b", `${"a".repeat(60)}\ud800`),
);
const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(-0, -1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, Number.MIN_SAFE_INTEGER, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 2 ** 53, 1e300),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    text,
    number,
    fc.boolean(),
    fc.constantFrom(null, undefined),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("tree"), { maxLength: 20 }),
    fc.dictionary(text, tie("tree"), { maxKeys: 20 }),
    fc.dictionary(text, tie("tree"), { maxKeys: 20, noNullPrototype: true }),
  ),
}));

test("CORE-6: every plain value has the bytes that the library gives it", () => {
  fc.assert(
    fc.property(tree, fc.string(), (value, before) => {
      const bytes = Buffer.from(library.encode(value));
      assert.deepEqual(Buffer.from(encode(value)), bytes);
      const { data, whole } = encodeBehind(before, value);
      assert.deepEqual(Buffer.from(data), bytes);
      assert.deepEqual(Buffer.from(whole), Buffer.concat([Buffer.from(before), bytes]));
    }),
    { numRuns: 2000 },
  );
  const many = Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [`k${index % 3}-${index}`, index % 7 === 0 ? undefined : index]));
  const large = [many, Object.values(many), new Uint8Array(70_000), "é".repeat(3_000_000)];
  assert.ok(Buffer.from(encode(large)).equals(library.encode(large)));
  assert.ok(Buffer.from(encode([1])).equals(library.encode([1])));
});

test("members that are undefined are left out, and byte strings stay byte strings", () => {
  assert.deepEqual(encode({ a: 1, b: undefined }), encode({ a: 1 }));
  assert.deepEqual(decode(encode({ prev: new Uint8Array([1, 2, 3]) })), { prev: new Uint8Array([1, 2, 3]) });
});

test("no two results share memory", () => {
  const first = encode({ a: 1 });
  const copy = Uint8Array.from(first);
  encode({ b: "something else entirely" });
  assert.deepEqual(first, copy);
  assert.equal(first.buffer.byteLength, first.byteLength);
});

test("what would silently become something else is refused, and the codec works on afterwards", () => {
  class Money {}
  for (const value of [new Map([["a", 1]]), new Set(), new Date(), new Money(), () => 1, Symbol("x"), 1n]) {
    assert.throws(() => encode({ value }));
  }
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  assert.throws(() => encode(cycle));
  assert.throws(() => decode(new Uint8Array([0xd6, 0xff, 0, 0, 0, 0])), /extension/);
  assert.throws(() => decode(new Uint8Array([1, 2])));
  assert.throws(() => decode(new Uint8Array([0x92, 1])));
  assert.deepEqual(decode(encode({ a: [1] })), { a: [1] });
});
