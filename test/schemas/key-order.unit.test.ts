import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { keysInOrder } from "../../schemas/key-order.ts";

describe("key order", () => {
  it("is that of UTF-16 code units, however many keys there are and however they came", () => {
    const keys = fc.uniqueArray(fc.string({ unit: "grapheme", maxLength: 3 }), { maxLength: 60 });
    fc.assert(
      fc.property(keys, (given) => {
        const members = Object.fromEntries(given.map((key, i) => [key, i]));
        // a comparison written out, apart from whatever the platform does by default
        assert.deepEqual(keysInOrder(members), [...given].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      }),
    );
    // U+FFFD stands before U+1D11E among code points, and after it among code units
    assert.deepEqual(keysInOrder({ "\ufffd": 1, "𝄞": 2 }), ["𝄞", "\ufffd"]);
  });

  it("leaves out what is inherited or not a text, and leaves the object as it was", () => {
    const members = Object.assign(Object.create({ inherited: 1 }) as object, { b: 1, a: 2, [Symbol("s")]: 3 });
    assert.deepEqual(keysInOrder(members), ["a", "b"]);
    assert.deepEqual(Object.keys(members), ["b", "a"]);
  });
});
