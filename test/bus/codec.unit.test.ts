import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decode, encode } from "../../services/bus/codec.ts";

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
