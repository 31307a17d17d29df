/** Who takes a share over pays what its runs owe (law 3, EXEC-8): all of them, and not all at the same time. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import type { Logger } from "pino";
import { type RunId, runId } from "../../schemas/ids.ts";
import { SHARES, shareOf } from "../../schemas/subjects.ts";
import type { Loaded } from "../../services/coordinator/aggregates.ts";
import { type Lane, Lanes } from "../../services/coordinator/lanes.ts";
import { Sweeper } from "../../services/coordinator/sweep.ts";

const settled = async () => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
};
const ALL = Array.from({ length: SHARES }, (_, share) => share);
const runs = (count: number) => Array.from({ length: count }, (_, n) => runId(`clerk_${n}`));
const [ONE, OTHER] = [runId("clerk_1"), runId("clerk_2")];
assert.notEqual(shareOf(ONE), shareOf(OTHER));

describe("law 3 the sweep of a share", () => {
  let lanes: Lanes;
  let woken: number;
  let told: unknown[];
  /** Answers to the question which runs are live, in the order in which it is asked. */
  let answers: (() => Promise<Iterable<RunId>>)[];
  let asked: number;
  let sweeper: Sweeper;
  /** What was taken in hand since this was asked last. */
  const taken = () => {
    const all: Lane[] = [];
    for (let lane = lanes.take(); lane !== undefined && all.length < 1000; lane = lanes.take()) all.push(lane);
    return all;
  };
  const tokens = () => taken().map(({ token }) => token).toSorted();
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    [lanes, woken, told, answers, asked] = [new Lanes(), 0, [], [], 0];
    const live = () => (answers[asked++] ?? (() => Promise.resolve([])))();
    sweeper = new Sweeper(lanes, live, () => void woken++, { error: (fields: unknown) => told.push(fields) } as unknown as Logger);
  });
  afterEach(() => mock.timers.reset());
  /** Begins a sweep, which may wait for something. */
  const sweep = async (...shares: number[]) => {
    let failed: unknown;
    sweeper.sweep(shares).catch((error: unknown) => (failed = error));
    await settled();
    assert.ifError(failed);
  };
  const answer = (...found: RunId[]) => answers.push(() => Promise.resolve(found));

  it("takes every run of it in hand that may owe something, and none of another share", async () => {
    answer(ONE, OTHER);
    await sweep(shareOf(ONE));
    const [lane, ...others] = taken();
    assert.deepEqual([lane?.token, others.length, woken], [ONE, 0, 1]);
    assert.ok(lane?.swept);
  });

  it("takes in hand what is in memory as well, which an index may not have heard of: runs, of this share", async () => {
    for (const token of [ONE, OTHER, "ledger:team"]) lanes.lane(token).loaded = {} as Loaded;
    lanes.lane("clerk_9");
    await sweep(shareOf(ONE), shareOf("ledger:team"));
    assert.deepEqual(tokens(), [ONE]);
  });

  it("law 6: has 256 runs in hand at once, however many there are", async () => {
    answer(...runs(300));
    let done = false;
    sweeper.sweep(ALL).then(() => (done = true), assert.ifError);
    await settled();
    const first = taken();
    assert.deepEqual([first.length, done], [256, false]);
    for (const lane of first.slice(0, 10)) lane.endSweep();
    await settled();
    const next = taken();
    assert.equal(next.length, 10);
    for (const lane of [...first.slice(10), ...next]) lane.endSweep();
    await settled();
    assert.deepEqual([taken().length, done], [34, true]);
  });

  it("EXEC-8: takes no run of a share in hand that another one has taken meanwhile", async () => {
    const all = runs(600);
    answer(...all);
    await sweep(...ALL);
    const first = taken();
    sweeper.drop(3);
    for (const lane of first) lane.endSweep();
    for (let round = 0; round < 3; round++) {
      await settled();
      for (const lane of taken()) {
        assert.notEqual(lane.share, 3);
        lane.endSweep();
      }
    }
    assert.equal(woken, 256 + all.slice(256).filter((run) => shareOf(run) !== 3).length);
  });

  it("ends the one before it, and covers what that one had to", async () => {
    const [first, second] = [Promise.withResolvers<RunId[]>(), Promise.withResolvers<RunId[]>()];
    answers.push(() => first.promise, () => second.promise);
    await sweep(shareOf(ONE));
    await sweep(shareOf(OTHER));
    first.resolve([ONE]);
    await settled();
    assert.deepEqual([tokens(), woken], [[], 0]);
    second.resolve([ONE, OTHER]);
    await settled();
    assert.deepEqual(tokens(), [ONE, OTHER]);
  });

  it("is not forgotten when the one before it finds nothing, and is over when it is over", async () => {
    const [first, second] = [Promise.withResolvers<RunId[]>(), Promise.withResolvers<RunId[]>()];
    answers.push(() => first.promise, () => second.promise);
    await sweep(shareOf(ONE));
    await sweep(shareOf(OTHER));
    first.resolve([]);
    await settled();
    second.resolve([ONE, OTHER]);
    await settled();
    assert.deepEqual(tokens(), [ONE, OTHER]);
    answer(runId("clerk_9"), OTHER);
    assert.equal(shareOf("clerk_9"), shareOf(ONE));
    for (const token of [ONE, OTHER]) lanes.release(Object.assign(lanes.lane(token), { swept: undefined }));
    await sweep(shareOf(OTHER));
    assert.deepEqual(tokens(), [OTHER], "a share that was swept is not swept with the next one");
  });

  it("is tried again while nobody says which runs are live: later and later, never later than five seconds, and says so", async () => {
    for (let n = 0; n < 25; n++) answers.push(() => Promise.reject(new Error("no answer")));
    answer(ONE);
    await sweep(shareOf(ONE));
    for (let attempt = 1; attempt <= 25; attempt++) {
      await settled();
      assert.deepEqual([asked, told.length], [attempt, attempt]);
      mock.timers.tick(Math.min(5000, 250 * attempt) - 1);
      await settled();
      assert.equal(asked, attempt);
      mock.timers.tick(1);
    }
    await settled();
    assert.deepEqual(tokens(), [ONE]);
    assert.deepEqual(told[0], { error: "Error: no answer" });
  });

  it("EXEC-8: of one who is stopped begins nothing, goes on with nothing and asks nobody again", async () => {
    answers.push(() => Promise.reject(new Error("no answer")));
    answer(ONE);
    await sweep(shareOf(ONE));
    sweeper.stop();
    mock.timers.tick(250);
    await settled();
    await sweep(shareOf(ONE));
    assert.deepEqual([asked, tokens()], [1, []]);
  });
});
