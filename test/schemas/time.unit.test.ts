import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { millis, timestamp } from "../../schemas/time.ts";

const MAX = 8.64e15;
const time = fc.oneof(
  fc.integer({ min: 1_769_850_000_000, max: 1_769_850_130_000 }),
  fc.integer({ min: -MAX, max: MAX }),
  fc.constantFrom(0, -1, -60_000, 59_999, 60_000, 253_402_300_799_999, 253_402_300_800_000, -62_167_219_200_001, 0.5, 1_769_850_000_000.7),
);

test("CORE-6 a time is written as the platform writes it, whichever was written before it", () => {
  fc.assert(
    fc.property(fc.array(time, { minLength: 1, maxLength: 20 }), (times) => {
      for (const ms of times) {
        assert.equal(timestamp(ms), new Date(ms).toISOString());
        assert.equal(millis(timestamp(ms)), Math.trunc(ms));
      }
    }),
  );
  assert.throws(() => timestamp(Number.NaN));
  assert.throws(() => timestamp(MAX + 1));
});
