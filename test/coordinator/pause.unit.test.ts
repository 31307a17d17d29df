/** What a server did not take is tried again after a while, not at once and not never. */
import assert from "node:assert/strict";
import { test, mock } from "node:test";
import { pause } from "../../services/coordinator/pause.ts";

test("a pause is over when its time is, and no sooner", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  let over = 0;
  for (const ms of [250, 2000]) void pause(ms).then(() => (over += 1));
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  for (const [ms, expected] of [[249, 0], [1, 1], [1749, 1], [1, 2]] as const) {
    mock.timers.tick(ms);
    await settled();
    assert.equal(over, expected);
  }
});
