/** The queues of aggregates: one turn at a time in order, and what a person says goes first (law 6, EXEC-8). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { shareOf } from "../../schemas/subjects.ts";
import type { Loaded } from "../../services/coordinator/aggregates.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import { type Lane, Lanes } from "../../services/coordinator/lanes.ts";

const arrival = (token: string, kind: string, id = kind) => ({ token, kind, input: { id } }) as unknown as Arrival;
const ids = (queue: readonly Arrival[] | undefined) => queue?.map(({ input }) => input.id);
const loaded = (seq: number, kind = "run", life = "active") => ({ kind, head: { seq }, recent: { entries: () => new Map() }, state: { life: { value: life }, open: new Set(), signals: new Map() } }) as unknown as Loaded;
/** All that have their turn now, in order. */
function turns(lanes: Lanes): string[] {
  const all: string[] = [];
  for (let lane = lanes.take(); lane !== undefined && all.length < 100; lane = lanes.take()) all.push(lane.token);
  return all;
}
/** Has its turn with all that waits in it, and is loaded by then. */
function decided(lanes: Lanes, lane: Lane | undefined, seq = 1): void {
  assert.ok(lane);
  for (const queue of [lane.control, lane.inbox, lane.due]) queue.length = 0;
  lane.loaded = loaded(seq);
  lanes.release(lane);
}

test("law 6: in a lane control goes before proposals, and timers that fell due go last", () => {
  const lane = new Lanes().lane("clerk_1");
  assert.deepEqual([lane.waiting, lane.queue()], [false, undefined]);
  for (const kind of ["due", "propose", "decide", "report"]) {
    lane.push(arrival("clerk_1", kind));
    assert.ok(lane.waiting, kind);
  }
  assert.deepEqual([ids(lane.control), ids(lane.inbox), ids(lane.due)], [["decide", "report"], ["propose"], ["due"]]);
  const order: string[] = [];
  for (let queue = lane.queue(); queue !== undefined && order.length < 10; queue = lane.queue()) order.push(queue.shift()?.kind ?? "");
  assert.deepEqual([order, lane.waiting], [["decide", "report", "propose", "due"], false]);
  for (const kind of ["decide", "propose", "due"]) {
    lane.push(arrival("clerk_1", kind));
    assert.deepEqual([lane.waiting, ids(lane.queue())], [true, [kind]]);
    lane.queue()?.pop();
  }
});

test("EXEC-8: what was decided and not stored is decided again in its order, before what came later", () => {
  const lane = new Lanes().lane("ledger:team");
  assert.deepEqual([lane.kind, lane.name, lane.share], ["ledger", "team", shareOf("ledger:team")]);
  lane.push(arrival("t", "decide", "3"));
  lane.putBack([arrival("t", "decide", "1"), arrival("t", "propose", "p"), arrival("t", "decide", "2")]);
  assert.deepEqual([ids(lane.control), ids(lane.inbox)], [["1", "2", "3"], ["p"]]);
});

test("law 6: a lane with control inputs has its turn first, also when it waited with proposals before", () => {
  const lanes = new Lanes();
  for (const token of ["a_1", "b_1", "c_1", "d_1"]) lanes.push(arrival(token, "propose"));
  lanes.push(arrival("c_1", "propose", "again"));
  lanes.push(arrival("d_1", "decide"));
  lanes.push(arrival("e_1", "report"));
  assert.deepEqual(turns(lanes), ["d_1", "e_1", "a_1", "b_1", "c_1"]);
  for (let time = 0; time < 3; time++) {
    decided(lanes, lanes.lane("b_1"));
    decided(lanes, lanes.lane("d_1"));
    lanes.push(arrival("b_1", "propose"));
    lanes.push(arrival("d_1", "decide"));
    lanes.push(arrival("d_1", "control"));
    assert.deepEqual(turns(lanes), ["d_1", "b_1"], `time ${time}`);
  }
  for (const token of ["b_1", "d_1"]) decided(lanes, lanes.lane(token));
  for (const kind of ["decide", "control"]) lanes.push(arrival("d_1", kind));
  decided(lanes, lanes.take());
  for (const token of ["b_1", "d_1"]) lanes.push(arrival(token, "propose"));
  assert.deepEqual(turns(lanes), ["b_1", "d_1"], "what was urgent is not for that");
});

test("EXEC-8: a lane has one turn at a time; what comes meanwhile has its turn afterwards", () => {
  const lanes = new Lanes();
  for (const kind of ["propose", "decide", "due"]) {
    lanes.push(arrival("a_1", "propose"));
    const lane = lanes.take();
    assert.equal(lane?.state, "busy");
    lane?.inbox.splice(0);
    lanes.push(arrival("a_1", kind));
    assert.equal(lanes.take(), undefined);
    lanes.release(lane as Lane);
    assert.equal(lane?.state, "queued");
    assert.equal(lanes.take(), lane);
    decided(lanes, lane);
    assert.deepEqual([lane?.state, lanes.take()], ["idle", undefined]);
  }
  lanes.wake(lanes.lane("a_1"));
  assert.deepEqual(turns(lanes), [], "nothing waits in it");
});

test("law 3: what is owed is paid again in a turn of the lane, and whoever asked for it is told once, however many asked", () => {
  const lanes = new Lanes();
  let told: string[] = [];
  lanes.sweep("a_1", () => told.push("one"));
  lanes.sweep("a_1", () => told.push("two"));
  const lane = lanes.take() as Lane;
  assert.deepEqual([lane.token, lane.waiting, lanes.take()], ["a_1", true, undefined]);
  assert.equal(told.length, 0);
  lane.endSweep();
  lane.endSweep();
  assert.deepEqual([told, lane.waiting], [["one", "two"], false]);
  told = [];
  lanes.release(lane);
  lane.frozen = new Error("frozen");
  lanes.sweep("a_1", () => told.push("frozen"));
  assert.deepEqual([told, turns(lanes)], [["frozen"], []]);
});

test("EXEC-8: inputs that are no longer in hand are forgotten wherever they wait; others stay in their order", () => {
  const lanes = new Lanes();
  for (const token of ["a_1", "b_1"]) for (const kind of ["decide", "propose", "due"]) for (const id of ["gone-1", "1", "gone-2", "gone-3", "2", "gone-4"]) lanes.push(arrival(token, kind, id));
  lanes.forget(({ input }) => input.id.startsWith("gone"));
  for (const token of ["a_1", "b_1"]) {
    const { control, inbox, due } = lanes.lane(token);
    assert.deepEqual([control, inbox, due].map(ids), [["1", "2"], ["1", "2"], ["1", "2"]]);
  }
});

/** Of one share, and of another. */
const [MINE, ALSO, HIS] = ["clerk_1", "clerk_9", "clerk_2"];
assert.ok(shareOf(MINE) === shareOf(ALSO) && shareOf(MINE) !== shareOf(HIS));

test("EXEC-8: of a share that another one may have owned everything is in doubt, also what rests", () => {
  const lanes = new Lanes(2);
  for (const token of [ALSO, MINE, HIS]) {
    lanes.push(arrival(token, "propose"));
    decided(lanes, lanes.take());
  }
  assert.equal(lanes.size, 1);
  lanes.lane(MINE);
  assert.deepEqual(lanes.loaded().map(({ token }) => token), [HIS, MINE]);
  lanes.suspect(shareOf(MINE));
  assert.deepEqual([MINE, HIS].map((token) => lanes.lane(token).suspect), [true, false]);
  assert.equal(lanes.lane(ALSO).loaded, undefined, "what rested is folded again");
});

test("EXEC-8: of a share that another one owns nothing is decided any more; what is under way ends, and nothing follows", () => {
  const lanes = new Lanes();
  const told: string[] = [];
  lanes.push(arrival(MINE, "propose"));
  const busy = lanes.take() as Lane;
  lanes.sweep(MINE, () => told.push(MINE));
  lanes.push(arrival(ALSO, "decide"));
  lanes.sweep(ALSO, () => told.push(ALSO));
  const queued = lanes.lane(ALSO);
  for (const kind of ["propose", "decide", "due"]) lanes.push(arrival(HIS, kind));
  for (const kind of ["propose", "decide", "due"]) lanes.push(arrival(MINE, kind));
  lanes.drop(shareOf(MINE));
  assert.deepEqual(told, [ALSO], "who is busy with a lane ends its sweep");
  assert.deepEqual([busy.gone, busy.state, queued.gone, queued.state, queued.waiting], [true, "busy", true, "idle", false]);
  assert.deepEqual([busy.control, busy.inbox, busy.due], [[], [], []]);
  assert.deepEqual([lanes.size, turns(lanes)], [1, [HIS]]);
  assert.ok(!lanes.lane(HIS).gone && lanes.lane(HIS).inbox.length === 1);
  lanes.release(busy);
  assert.deepEqual([told, busy.state, lanes.size, turns(lanes)], [[ALSO, MINE], "idle", 1, []]);
  assert.notEqual(lanes.lane(MINE), busy);
});

test("EXEC-8: what of a share rests is forgotten with it", () => {
  for (const [share, kept] of [[shareOf(MINE), false], [shareOf(HIS), true]] as const) {
    const lanes = new Lanes(1);
    for (const token of [MINE, HIS]) {
      lanes.push(arrival(token, "propose"));
      decided(lanes, lanes.take());
    }
    lanes.drop(share);
    assert.equal(lanes.lane(MINE).loaded !== undefined, kept);
  }
});

test("law 4: beyond what is kept as it is, runs that were used least lately go to rest, and wake as they were", () => {
  const lanes = new Lanes(2);
  for (const token of ["a_1", "b_1", "a_1"]) {
    lanes.push(arrival(token, "propose"));
    decided(lanes, lanes.take(), 7);
  }
  assert.deepEqual(lanes.loaded().map(({ token }) => token), ["b_1", "a_1"]);
  lanes.lane("ledger:team").loaded = loaded(1, "ledger");
  assert.deepEqual(lanes.loaded().map(({ token }) => token), ["ledger:team"]);
  assert.deepEqual([lanes.lane("b_1").loaded?.head.seq, lanes.lane("a_1").loaded?.head.seq], [7, 7]);
});

test("an aggregate without a single event is not remembered", () => {
  const lanes = new Lanes();
  for (const seq of [0, 1]) {
    lanes.push(arrival(`a_${seq}`, "propose"));
    decided(lanes, lanes.take(), seq);
  }
  assert.equal(lanes.size, 1);
  lanes.lane("b_1");
  assert.deepEqual(lanes.loaded().map(({ token }) => token), ["a_1"], "what was not loaded yet is in nobody's memory");
});

/** Lanes under their turn, as many as the number says. */
function busy(lanes: Lanes, count: number): Lane[] {
  return Array.from({ length: count }, (_, n) => {
    lanes.push(arrival(`busy_${n}`, "propose"));
    return lanes.take() as Lane;
  });
}

test("law 6: sixteen are put to rest at a time; who is busy, waits, or is just made is not", () => {
  const lanes = new Lanes(20);
  for (const lane of busy(lanes, 20)) decided(lanes, lane);
  const made = lanes.lane("new_1");
  assert.deepEqual([lanes.size, lanes.lane("new_1") === made], [5, true]);
  lanes.lane("new_2");
  assert.equal(lanes.size, 6);

  const few = new Lanes(2);
  const [one, other] = busy(few, 2) as [Lane, Lane];
  few.release(one);
  few.release(other);
  other.inbox.length = 0;
  assert.deepEqual([one.state, other.state], ["queued", "queued"]);
  one.state = "idle";
  const third = few.lane("new_3");
  assert.deepEqual([few.size, few.lane("busy_0") === one, few.lane("busy_1") === other, few.lane("new_3") === third], [3, true, true, true], "a lane whose inputs wait to be tried again is not idle");
});

test("law 6: where none can be spared, not every new lane looks for one", () => {
  const lanes = new Lanes(2);
  const all = busy(lanes, 3);
  for (const lane of all) decided(lanes, lane);
  lanes.lane("new_1");
  assert.equal(lanes.size, 4, "a tenth more are let in");
  lanes.lane("new_2");
  assert.equal(lanes.size, 1);

  const many = new Lanes(2);
  for (const lane of busy(many, 20)) decided(many, lane);
  for (const n of [1, 2, 3]) many.lane(`new_${n}`);
  assert.equal(many.size, 7);
  many.lane("new_4");
  assert.equal(many.size, 1, "as soon as some could be, the next looks again");

  const single = new Lanes(2);
  const [first] = busy(single, 2) as [Lane];
  decided(single, first);
  single.lane("new_1");
  assert.equal(single.size, 2);
  single.lane("new_2");
  assert.equal(single.size, 2);
});

/** Has a turn of its own, after which its run is over. */
function over(lanes: Lanes, token: string, life = "completed"): Lane {
  lanes.push(arrival(token, "propose"));
  const lane = lanes.take() as Lane;
  lane.inbox.length = 0;
  lane.loaded = loaded(1, lane.kind, life);
  lanes.release(lane);
  return lane;
}
const has = (lanes: Lanes, ...lanesOf: readonly Lane[]) => lanesOf.map((lane) => lanes.loaded().includes(lane));

test("law 6: of runs that are over only those are kept that were used last, whatever room there is; live ones stay", () => {
  const lanes = new Lanes();
  const live = over(lanes, "live_1", "active");
  const other = over(lanes, "ledger:team");
  const frozen = lanes.lane("frozen_1");
  frozen.frozen = new Error("what it holds cannot be relied on");
  over(lanes, "frozen_1");
  const first = over(lanes, "over_1");
  const second = over(lanes, "over_2");
  for (let n = 0; n < 126; n++) over(lanes, `more_${n}`);
  assert.deepEqual(has(lanes, live, other, frozen, first, second), [true, true, true, true, true]);
  assert.equal(over(lanes, "over_1"), first, "asked once more, and used last");
  const late = over(lanes, "late_1");
  assert.deepEqual(has(lanes, live, other, frozen, first, second, late), [true, true, true, true, false, true]);
  assert.equal(lanes.lane("over_2").loaded, undefined, "folded again");
  assert.equal(lanes.size, 132);
});

test("law 6: a run that is over and has something to do stays until that is done", () => {
  const lanes = new Lanes();
  const [taken, waiting, idle, last] = ["taken_1", "waiting_1", "idle_1", "last_1"].map((token) => over(lanes, token)) as [Lane, Lane, Lane, Lane];
  lanes.push(arrival("taken_1", "propose"));
  assert.equal(lanes.take(), taken);
  taken.inbox.length = 0;
  // its inputs wait for somebody to wake it
  waiting.push(arrival("waiting_1", "propose"));
  // another lane has its name by now
  lanes.drop(idle.share);
  const anew = lanes.lane("idle_1");
  for (let n = 0; n < 127; n++) over(lanes, `more_${n}`);
  assert.deepEqual([has(lanes, taken, waiting, last), lanes.lane("idle_1") === anew], [[true, true, true], true]);
  over(lanes, "one_1");
  assert.deepEqual(has(lanes, taken, waiting, last), [true, true, false]);
  lanes.release(taken);
  for (let n = 0; n < 128; n++) over(lanes, `again_${n}`);
  assert.deepEqual(has(lanes, taken, waiting), [false, true]);
});

test("two thousand lanes are kept as they are, unless it is said otherwise", () => {
  const lanes = new Lanes();
  for (let n = 0; n < 2048; n++) lanes.lane(`a_${n}`);
  assert.equal(lanes.size, 2048);
  lanes.lane("b_1");
  assert.equal(lanes.size, 2033);
});
