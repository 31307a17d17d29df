/** A timer is applied behind the inputs that were stored before it fell due: an approval stored in time wins (EXEC-9, law 3). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import type { Logger } from "pino";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { DueFence } from "../../services/coordinator/fence.ts";

/** All that waits for a promise, and for what follows from it. */
const settled = async () => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** One of the two streams, as far as a fence looks at it. */
class Stream {
  generation = 1;
  handedThrough = 0;
  last = 0;
  asked = 0;
  broken = false;
  lastStored(): Promise<number> {
    this.asked += 1;
    // who asks without end is not answered
    if (this.asked > 100) return new Promise(() => undefined);
    return this.broken ? Promise.reject(new Error("no answer")) : Promise.resolve(this.last);
  }
}

function due(run: string, more: Partial<{ data: string; inHand: boolean }> = {}) {
  const message = { acknowledged: 0, inHand: true, subject: `signalbox.default.due.2.${run}`, data: Buffer.from('{"timer":"wall","armed":1}'), headers: new Map(), time: 0, ack: () => void message.acknowledged++ };
  return Object.assign(message, more, more.data !== undefined && { data: Buffer.from(more.data) }) as unknown as { acknowledged: number; inHand: boolean } & Omit<IntakeMessage, "inHand">;
}

describe("EXEC-9 a timer that fell due", () => {
  let inbox: Stream;
  let control: Stream;
  let delivered: string[];
  let warned: unknown[];
  let fence: DueFence;
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    [inbox, control, delivered, warned] = [new Stream(), new Stream(), [], []];
    fence = new DueFence({ inbox, control }, (arrival) => delivered.push(arrival.token), { warn: (fields: unknown) => warned.push(fields) } as unknown as Logger);
  });
  /** It may wait for something. */
  const take = async (...messages: Parameters<DueFence["take"]>[0]) => {
    let failed: unknown;
    fence.take(messages).catch((error: unknown) => (failed = error));
    await settled();
    assert.ifError(failed);
  };
  afterEach(() => mock.timers.reset());

  it("waits until all that was stored before it has been handed out, in both streams, and is delivered once", async () => {
    [inbox.last, control.last] = [5, 7];
    await take(due("clerk_1"), due("clerk_2"));
    for (const [one, other] of [[4, 7], [5, 6], [0, 0]] as const) {
      [inbox.handedThrough, control.handedThrough] = [one, other];
      fence.release();
      assert.deepEqual(delivered, [], `${one} and ${other}`);
    }
    [inbox.handedThrough, control.handedThrough] = [5, 7];
    fence.release();
    fence.release();
    assert.deepEqual(delivered, ["clerk_1", "clerk_2"]);
    assert.deepEqual([inbox.asked, control.asked], [1, 1]);
  });

  it("waits for nothing when nothing is waiting before it", async () => {
    await take(due("clerk_1"));
    assert.deepEqual(delivered, ["clerk_1"]);
  });

  it("is not delivered when it is in hand no longer, before or behind its fence", async () => {
    const [early, late] = [due("clerk_1", { inHand: false }), due("clerk_2")];
    await take(early);
    assert.deepEqual([delivered, inbox.asked], [[], 0]);
    inbox.last = 1;
    await take(late, due("clerk_3"));
    late.inHand = false;
    inbox.handedThrough = 1;
    fence.release();
    assert.deepEqual(delivered, ["clerk_3"]);
  });

  it("is taken out of the stream when the plane did not put it there, and no fence is asked for", async () => {
    const strange = due("clerk_1", { data: "no timer" });
    await take(strange);
    assert.deepEqual([strange.acknowledged, delivered, inbox.asked], [1, [], 0]);
    const own = due("clerk_1");
    await take(own);
    assert.deepEqual([own.acknowledged, delivered], [0, ["clerk_1"]]);
  });

  it("EXEC-8: has a new fence when either stream began anew: what the old one spoke of may never be handed out", async () => {
    for (const stream of [inbox, control]) {
      stream.last = 9;
      await take(due("clerk_1"));
      fence.release();
      assert.deepEqual(delivered, []);
      stream.generation += 1;
      stream.last = 0;
      fence.release();
      await settled();
      assert.deepEqual(delivered.splice(0), ["clerk_1"]);
    }
    assert.deepEqual([inbox.asked, control.asked], [4, 4]);
  });

  it("asks again while the server does not answer: later and later, never later than two seconds, and says so", async () => {
    inbox.broken = true;
    await take(due("clerk_1"));
    for (let attempt = 1; attempt <= 25; attempt++) {
      await settled();
      assert.deepEqual([inbox.asked, warned.length], [attempt, attempt]);
      mock.timers.tick(Math.min(2000, 100 * attempt) - 1);
      await settled();
      assert.equal(inbox.asked, attempt);
      if (attempt === 25) inbox.broken = false;
      mock.timers.tick(1);
    }
    await settled();
    assert.deepEqual(delivered, ["clerk_1"]);
    assert.deepEqual(warned[0], { error: "Error: no answer" });
  });

  it("is left to the next owner by one who is stopped", async () => {
    inbox.last = 1;
    await take(due("clerk_1"));
    inbox.broken = true;
    await take(due("clerk_2"));
    await settled();
    fence.stop();
    inbox.handedThrough = 1;
    fence.release();
    [inbox.broken, inbox.last] = [false, 0];
    mock.timers.tick(100);
    await settled();
    assert.deepEqual([delivered, inbox.asked], [[], 2]);
  });
});
