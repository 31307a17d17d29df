import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CLAIM_GRACE_MS } from "../../machines/action-rules.ts";
import { timeLeft } from "../../services/gateway/execute.ts";

test("EXEC-7: a call that waited long for its grant ends before the plane gives the claim up, or is not made", () => {
  assert.equal(timeLeft(30_000, 20), 30_000);
  assert.equal(timeLeft(30_000, CLAIM_GRACE_MS), 30_000);
  assert.equal(timeLeft(30_000, 15_000), 20_000);
  assert.equal(timeLeft(30_000, 21_000), 0);
  assert.equal(timeLeft(0, 10), 0);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 86_400_000 }), fc.double({ min: 0, max: 1e9, noNaN: true }), (timeoutMs, waitedMs) => {
      const left = timeLeft(timeoutMs, waitedMs);
      assert.ok(left >= 0 && left <= timeoutMs);
      if (left > 0) assert.ok(waitedMs + left <= timeoutMs + CLAIM_GRACE_MS);
    }),
  );
});
