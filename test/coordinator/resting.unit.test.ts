/** Runs at rest are packed, and wake exactly as they were (law 4). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { decide } from "../../machines/decide.ts";
import { RUN_ENDED } from "../../machines/run.ts";
import { type RunState, evolve } from "../../machines/state.ts";
import { namespace } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { EMPTY_CHAIN, seal } from "../../services/bus/commit.ts";
import type { Loaded } from "../../services/coordinator/aggregates.ts";
import { Recent } from "../../services/coordinator/recent.ts";
import { type Restable, RestingRuns, isOver } from "../../services/coordinator/resting.ts";
import { beginning, commits, recomputed } from "../../services/replay/fold.ts";
import { histories, recordedVersions, storedEvents } from "../histories/history.ts";
import { claim, control, finish, fresh, start, T0, tool } from "../machines/given.ts";
import { program, runProgram } from "../machines/programs.ts";
import { timestamp } from "../../schemas/time.ts";

const NS = namespace("default");
const TOKEN = "clerk_one";
const lane = (loaded?: Loaded, more: Partial<Restable> = {}): Restable => ({ token: TOKEN, share: 3, loaded, issued: new Set(), suspect: false, frozen: undefined, careful: 0, ...more });
const loadedOf = (state: RunState, recent = new Recent()): Loaded =>
  ({ ns: NS, name: TOKEN, kind: "run", subject: "a.subject", head: { seq: state.seq, prev: new Uint8Array(32).fill(7) }, streamSeq: 42, recent, state }) as Loaded;

/** Puts to rest and wakes; undefined when it was not kept. */
function slept(loaded: Loaded, resting = new RestingRuns(), issued = new Set(["timer/wall/1"])): { loaded: Loaded; issued: Set<string> } | undefined {
  resting.put(lane(loaded, { issued }));
  const woken = lane();
  resting.wake(woken);
  return woken.loaded && { loaded: woken.loaded, issued: woken.issued };
}

test("CORE-5: after any program of inputs a run that rested is what it was, and says of the next input what it would have said", () => {
  let kept = 0;
  fc.assert(
    fc.property(program, (steps) => {
      const resting = new RestingRuns();
      let woken: Loaded | undefined;
      for (const { told, decision, state } of runProgram(steps)) {
        // the copy hears what the original heard, and rests after every input
        if (woken !== undefined) {
          const copy = woken.state as RunState;
          const again = decide(copy, told.input, told.facts);
          assert.deepStrictEqual(again, decision);
          if (again.kind === "commit") evolve(copy, again.change);
          assert.deepStrictEqual(copy, state);
        }
        const rested = slept(loadedOf(woken === undefined ? structuredClone(state) : (woken.state as RunState)), resting);
        assert.equal(rested === undefined, RUN_ENDED.has(state.life.value) && state.open.size === 0 && state.signals.size === 0);
        if (rested === undefined) {
          woken = undefined;
          continue;
        }
        woken = rested.loaded;
        kept += 1;
        assert.deepStrictEqual({ ...woken }, { ...loadedOf(state), recent: woken.recent });
        assert.deepStrictEqual([...rested.issued], ["timer/wall/1"]);
      }
    }),
    { seed: 20260203, numRuns: 60 },
  );
  assert.ok(kept > 500, String(kept));
});

test("CORE-5: runs of every machine version go on from rest with the bytes that were recorded", () => {
  const resting = new RestingRuns();
  for (const version of recordedVersions()) {
    for (const history of histories(version)) {
      const address = parseLog(history.subject);
      if (address?.kind !== "run") continue;
      const ns = namespace(address.ns);
      let driven = beginning(ns, "run", address.name, version);
      let head = EMPTY_CHAIN;
      const recent = new Recent();
      for (const stored of commits(storedEvents(history))) {
        const computed = recomputed(driven, stored);
        const sealed = seal({ ns, kind: "run", name: address.name }, head, computed.content);
        for (const [index, { data }] of stored.events.entries()) assert.equal(Buffer.compare(sealed.events[index]?.data ?? Buffer.alloc(0), data), 0, `${version}/${history.name}, event ${stored.first.seq + index}`);
        recent.note(driven, stored, computed);
        computed.apply();
        head = sealed.head;
        const rested = slept({ ...loadedOf(driven.state as RunState, recent), head }, resting);
        if (rested === undefined) continue;
        assert.deepStrictEqual(rested.loaded.head, head);
        assert.deepStrictEqual(rested.loaded.recent.entries(), recent.entries());
        driven = { kind: "run", state: rested.loaded.state as RunState };
      }
    }
  }
});

const told = (state: RunState, line: ReturnType<typeof start>, second: number) => {
  const { input, facts } = line.tell(state, timestamp(T0 + second * 1000));
  const decision = decide(state, input, facts);
  assert.equal(decision.kind, "commit");
  if (decision.kind === "commit") evolve(state, decision.change);
  return state;
};
const begun = () => told(told(fresh(), start(), 1), tool("t1"), 2);

test("what is better folded again is not kept: ended runs that owe nothing, other aggregates, and whatever is in doubt", () => {
  const state = begun();
  assert.ok(slept(loadedOf(state)) !== undefined);
  const resting = new RestingRuns();
  resting.put(lane(loadedOf(state), { suspect: true }));
  resting.put(lane(loadedOf(state), { frozen: new Error("frozen") }));
  resting.put(lane(loadedOf(state), { careful: 1 }));
  resting.put(lane());
  resting.put(lane({ ...loadedOf(state), kind: "ledger" } as unknown as Loaded));
  resting.put(lane(loadedOf(told(told(fresh(), start(), 1), finish("f1"), 2))));
  assert.equal(resting.size, 0);
});

test("EXEC-8: an ended run that still owes something is kept: one of its actions is at work", () => {
  const state = told(told(begun(), claim("t1"), 3), control("cancel"), 4);
  assert.deepEqual([RUN_ENDED.has(state.life.value), state.open.size, state.signals.size], [true, 1, 0]);
  assert.deepStrictEqual(slept(loadedOf(state))?.loaded.state, state);
});

test("a run that is awake does not rest as well, and a share that another one took is forgotten", () => {
  const resting = new RestingRuns();
  resting.put(lane(loadedOf(begun())));
  resting.put(lane(loadedOf(begun()), { token: "clerk_two", share: 4 }));
  const woken = lane();
  resting.wake(woken);
  assert.equal(resting.size, 1);
  resting.wake(lane());
  resting.forget(3);
  assert.equal(resting.size, 1);
  resting.forget(4);
  assert.deepEqual([resting.size, resting.bytes], [0, 0]);
});

test("what rests is bounded in bytes: the runs that rested longest are forgotten first", () => {
  const resting = new RestingRuns(1_000);
  for (let n = 0; n < 200; n++) resting.put(lane(loadedOf(begun()), { token: `clerk_${n}` }));
  assert.ok(resting.bytes <= 1_000, String(resting.bytes));
  assert.ok(resting.size > 3 && resting.size < 100, String(resting.size));
  const oldest = lane(undefined, { token: "clerk_0" });
  resting.wake(oldest);
  assert.equal(oldest.loaded, undefined);
  const youngest = lane(undefined, { token: "clerk_199" });
  resting.wake(youngest);
  assert.deepStrictEqual((youngest.loaded as Loaded).state, begun());
});

test("what rests is bounded in bytes: as many as the bound says exactly are kept, and a run that rests again is counted once", () => {
  const put = (resting: RestingRuns, token: string) => resting.put(lane(loadedOf(fresh()), { token }));
  const free = new RestingRuns();
  put(free, "clerk_1");
  const one = free.bytes;
  for (let n = 0; n < 2; n++) put(free, "clerk_2");
  put(free, "clerk_1");
  assert.deepEqual([free.size, free.bytes], [2, one * 2]);
  const exact = new RestingRuns(one * 2);
  for (const token of ["clerk_1", "clerk_2"]) put(exact, token);
  assert.equal(exact.size, 2);
});

/** Names that runs of one kind have in common, and no other has: 1 KB that nothing makes smaller but having them in common. */
const named = (kind: string) => new Set(Array.from({ length: 16 }, (_, n) => createHash("sha256").update(`${kind} ${n}`).digest("hex")));
/** What one more run of a kind takes, in bytes. */
function taken(resting: RestingRuns, kind: string): number {
  const before = resting.bytes;
  resting.put(lane(loadedOf(fresh()), { token: `clerk_${resting.size}`, issued: named(kind) }));
  return resting.bytes - before;
}
const [LITTLE, MUCH] = [200, 500];

test("what runs have in common is packed once: from the first, then from the dozen before the thirty-third, then every 4096", () => {
  const resting = new RestingRuns();
  const of = (kind: string, bytes: "little" | "much") => {
    const took = taken(resting, kind);
    assert.ok(bytes === "little" ? took < LITTLE : took > MUCH, `run ${resting.size}, of kind ${kind}: ${took} bytes`);
  };
  of("a", "little");
  of("a", "little");
  for (let n = 3; n < 21; n++) of("b", "much");
  for (let n = 21; n <= 32; n++) of(`c${n}`, "much");
  of("c33", "little");
  for (let n = 22; n <= 32; n++) of(`c${n}`, "little");
  of("c21", "much");
  of("a", "much");
  while (resting.size < 4096) of("d", "much");
  for (let n = 0; n < 2; n++) of("d", "little");
  of("c33", "much");
});

test("law 4: a run is over when it has ended and nothing of it is open; what is no run never is", () => {
  const of = (kind: string, life: string, open: string[] = [], signals: string[] = []) =>
    isOver({ kind, state: { life: { value: life }, open: new Set(open), signals: new Map(signals.map((one) => [one, 1])) } } as unknown as Loaded);
  for (const life of ["completed", "failed", "cancelled", "refused"]) assert.ok(of("run", life), life);
  for (const [life, open, signals] of [["active", [], []], ["paused", [], []], ["cancelled", ["a1"], []], ["completed", [], ["lease"]]] as const) assert.ok(!of("run", life, [...open], [...signals]), life);
  assert.ok(!of("ledger", "completed"));
});
