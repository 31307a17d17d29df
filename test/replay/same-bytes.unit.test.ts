/** Comparing without encoding is as strict as encoding (CORE-6). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encode } from "../../services/bus/codec.ts";
import { sameBytes } from "../../services/replay/same-bytes.ts";

const leaf = fc.oneof(
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ maxLength: 300 }),
  fc.maxSafeInteger(),
  fc.integer({ min: -40, max: 70_000 }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 40 }),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: "small" }, leaf, fc.array(tie("value"), { maxLength: 20 }), fc.dictionary(fc.string({ maxLength: 40 }), tie("value"), { maxKeys: 20 })),
}));

test("CORE-6 no other bytes than those of its encoding are ever taken for a value's", () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, where, change) => {
      const bytes = encode(given);
      const at = where % bytes.length;
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ change;
      assert.equal(sameBytes(given, changed), false);
      assert.equal(sameBytes(given, bytes.subarray(0, at)), false);
      assert.equal(sameBytes(given, Buffer.concat([bytes, bytes.subarray(0, 1)])), false);
    }),
    { numRuns: 500 },
  );
});

test("CORE-6 what events hold is recognised without encoding it: texts, whole numbers, flags, lists, maps, links", () => {
  const long = "a long text, ".repeat(6000);
  const plain = { b: [1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER, 0.5, -0], a: "naïve", z: { "": true, y: null, gone: undefined }, long, prev: new Uint8Array(32), many: Array.from({ length: 70_000 }, () => 0) };
  assert.equal(sameBytes(plain, encode(plain)), true);
  assert.equal(sameBytes({ text: "x".repeat(255) }, encode({ text: "x".repeat(255) })), true);
});

test("CORE-6 what the encoder refuses is no one's encoding", () => {
  for (const refused of [new Map(), new Date(0), undefined, Symbol("x")]) assert.equal(sameBytes(refused, Buffer.from([0x80])), false);
});
