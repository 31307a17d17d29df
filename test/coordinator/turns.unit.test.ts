/** Turns: decided together, stored as one batch, concluded after it; effects behind the commit, acknowledgements behind the effects (laws 3, 5, 8 and 9). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ReadError } from "../../services/bus/journal.ts";
import type { Loaded } from "../../services/coordinator/aggregates.ts";
import { type Landing, type Part, Stopped } from "../../services/coordinator/committer.ts";
import type { Turns } from "../../services/coordinator/turns.ts";
import { MachineMissing } from "../../services/replay/fold.ts";
import { documents } from "../registry/in-force.ts";
import { quickly } from "./quickly.ts";
import { type Scene, arrives, asks, begins, bodyOf, fires, notes, reports, scene, signals } from "./scene.ts";
import { settled, until, turns, storedAt, gate } from "./turns-alone.ts";

let hurry: ReturnType<typeof quickly>;
beforeEach(() => (hurry = quickly()));
afterEach(() => hurry.stop());
test("law 3: an input is stored, then its effects go out, then it is acknowledged; a thing is owed once", async () => {
  const stored = gate();
  const effects = gate();
  const done: string[] = [];
  const all = await turns({ commits: [async (parts) => (await stored.promise, storedAt(...parts.map(() => 50))())], effect: async (what) => (what.startsWith("pay dispatch") ? void (await effects.promise) : undefined) });
  await all.push(begins("clerk", "clerk_1", {}, { ack: () => void done.push("s") }), asks("clerk", "clerk_1", "t", "t.write", { text: "x" }, { ack: () => void done.push("t") }));
  assert.deepEqual([all.news(), done], [["load clerk_1", "append 5"], []]);
  assert.equal(all.batches[0]?.[0]?.expected, 0);
  stored.resolve(undefined);
  await settled();
  const { loaded } = all.lanes.lane("clerk_1");
  assert.deepEqual([loaded?.streamSeq, done], [50, []]);
  assert.deepEqual(all.news(), ["pay dispatch/a2/1/0", "owes clerk_1 dispatch/a2/1/0", "answer clerk s started", "answer clerk t approved"]);
  effects.resolve(undefined);
  await settled();
  assert.deepEqual(done, ["s", "t"]);
  // by the time of its own last event, and not again
  assert.deepEqual(all.paid, [{ key: "dispatch/a2/1/0", now: "2026-01-31T09:30:02.000Z" }]);
  await all.push(notes("clerk_1", "n"));
  assert.deepEqual([all.news().filter((what) => what.startsWith("pay")), all.batches[1]?.[0]?.expected, all.batches[1]?.[0]?.subject], [[], 50, loaded?.subject]);
});

test("law 3: what fails on its way out leaves its input in the stream, without a word where it is a stop", async () => {
  for (const [error, words] of [[new Stopped(), 0], [new Error("broken"), 1]] as const) {
    const done: string[] = [];
    const all = await turns({ effect: () => Promise.reject(error) });
    await all.push(begins("clerk", "clerk_1", {}, { ack: () => void done.push("s") }));
    assert.deepEqual([done, all.said.length], [[], words]);
    if (words > 0) assert.match(String(all.said[0]?.["error"]), /^Error: broken\n/);
  }
  const stopped = await turns({ effect: () => Promise.reject("no error" as unknown as Error), commits: [(parts) => (stopped.turns.stop(), storedAt(...parts.map(() => 1))())] });
  await stopped.push(begins("clerk", "clerk_1"));
  assert.deepEqual(stopped.said, []);
  const odd = await turns({ effect: () => Promise.reject("no error" as unknown as Error) });
  await odd.push(begins("clerk", "clerk_1"));
  assert.equal(odd.said[0]?.["error"], "no error");
});

test("CORE-5: 256 events are one batch, two batches are under way at once, and one commit of an aggregate", async () => {
  const [first, second] = [gate(), gate()];
  const wait = (on: PromiseWithResolvers<undefined>) => async (parts: readonly Part[]) => (await on.promise, storedAt(...parts.map(() => 7))());
  const all = await turns({ commits: [(parts) => storedAt(...parts.map(() => 1))(), wait(first), wait(second)] });
  const runs = Array.from({ length: 12 }, (_, n) => `clerk_${n}`);
  await all.push(...runs.map((run) => begins("clerk", run)));
  assert.ok(all.news().filter((what) => what.startsWith("append")).every((what) => what === "append 12"));
  await all.push(...runs.flatMap((run) => Array.from({ length: 33 }, (_, n) => notes(run, `n${n}`))));
  assert.deepEqual(all.news().filter((what) => what.startsWith("append")), ["append 256", "append 128"]);
  // everybody is busy or has no room by now
  await all.push(begins("clerk", "clerk_late"));
  assert.deepEqual(all.news(), []);
  second.resolve(undefined);
  await settled();
  assert.deepEqual(all.news().filter((what) => what.startsWith("append") || what.startsWith("load")), ["load clerk_late", "append 4", "append 1"]);
  first.resolve(undefined);
  await settled();
  assert.deepEqual(all.news().filter((what) => what.startsWith("append")), ["append 8"]);
});

test("law 1: what somebody else overtook is folded again and decided again, in the same order, and nobody was told of it", async () => {
  const all = await turns({ commits: [() => Promise.resolve([{ kind: "moved" }])] });
  const gone = notes("clerk_1", "gone", { inHand: false });
  await all.push(begins("clerk", "clerk_1"), notes("clerk_1", "a"), gone, notes("clerk_1", "b"));
  assert.deepEqual(all.news(), ["load clerk_1", "append 4", "load clerk_1", "append 3", "owes clerk_1 ", "answer clerk s started", "answer clerk a recorded", "answer clerk b recorded"]);
  assert.deepEqual(all.batches[1]?.[0]?.events.map((event) => bodyOf(event).cause.id), ["s", "a", "b"]);
  assert.deepEqual([all.refusals, all.said, all.lanes.lane("clerk_1").careful], [[], [], 0]);
  // one alone, of which is heard late
  const late = await turns({ commits: [async () => (await settled(), [{ kind: "moved" }])] });
  await late.push(begins("clerk", "clerk_1"));
  await until(() => late.batches.length > 1);
  assert.deepEqual([late.refusals, late.batches.length], [[], 2]);
});

test("CORE-5: a commit that the journal does not take is tried one input at a time, and the one that it is refuses alone", async () => {
  const no: Landing = { kind: "refused", why: "too long" };
  const all = await turns({ commits: [() => Promise.resolve([no]), storedAt(1), () => Promise.resolve([no])] });
  await all.push(begins("clerk", "clerk_1"), notes("clerk_1", "a"), notes("clerk_1", "b"));
  assert.deepEqual(all.news().filter((what) => what.startsWith("append")), ["append 3", "append 1", "append 1"]);
  // in memory alone nothing is stored: behind the refusal the run begins anew
  assert.deepEqual(all.refusals.map(({ id }) => id), ["a", "b"]);
  assert.deepEqual(all.refusals.slice(0, 1), [{ id: "a", codes: ["journal.refused"], message: "the journal does not take it: too long" }]);
  assert.deepEqual(all.said.map(({ level, aggregate, why }) => [level, aggregate, why]), [[50, "clerk_1", "too long"]]);
  assert.equal(all.lanes.lane("clerk_1").careful, 0);
  const away = await turns({ commits: [() => Promise.resolve([no])] });
  await away.push(begins("clerk", "clerk_1", {}, { inHand: false }));
  assert.deepEqual([away.refusals, away.lanes.lane("clerk_1").careful], [[], 0], "it is another owner's by now");
  const careful = await turns({ commits: [() => Promise.resolve([no])] });
  careful.lanes.lane("clerk_1").careful = 5;
  await careful.push(begins("clerk", "clerk_1"));
  assert.equal(careful.lanes.lane("clerk_1").careful, 4);
});

test("OPS-4: nothing is decided while what is in force is not known, while it is not certain who owns it, or after a stop", async () => {
  const own = { may: false };
  const all = await turns({ may: () => own.may });
  await all.push(begins("clerk", "clerk_1"));
  assert.deepEqual(all.news(), []);
  own.may = true;
  all.turns.hold();
  assert.equal(all.turns.held, true);
  all.turns.wake();
  await settled();
  assert.deepEqual(all.news(), []);
  all.turns.resume();
  await settled();
  assert.deepEqual([all.turns.held, all.news().slice(0, 2)], [false, ["load clerk_1", "append 1"]]);
  all.turns.stop();
  await all.push(notes("clerk_1", "n"));
  assert.deepEqual(all.news(), []);
});

test("law 8: of a frozen aggregate everything that waits is refused, and what it owes is not waited for", async () => {
  const all = await turns({ loads: [() => Promise.resolve(new Error("it was forged"))] });
  let swept = 0;
  all.lanes.sweep("clerk_1", () => (swept += 1));
  await all.push(notes("clerk_1", "a"), arrives("control", "op", "clerk_1", { verb: "pause", id: "p" }));
  assert.deepEqual(all.refusals, ["p", "a"].map((id) => ({ id, codes: ["run.frozen"], message: "`clerk_1` is frozen: it was forged; ask the plane's operator" })));
  assert.deepEqual([all.batches, swept], [[], 1]);
  await all.push(notes("clerk_1", "b"));
  assert.deepEqual([all.refusals.length, all.news()], [3, ["load clerk_1"]]);
});

test("law 5: what a machine drives that is not at hand is left where it is, and its share is known to need another", async () => {
  const done: string[] = [];
  const all = await turns({ loads: [() => Promise.resolve(new MachineMissing("9"))] });
  await all.push(notes("clerk_1", "a", { done }), notes("clerk_1", "b", { done }));
  assert.deepEqual([done, all.refusals, all.news()], [["aside", "aside"], [], ["load clerk_1", `lacks ${all.lanes.lane("clerk_1").share} 9`]]);
  await all.push(notes("clerk_1", "c", { done }));
  assert.deepEqual(done.length, 3);
});

test("law 4: what may have been another's meanwhile is read again first; whoever is stopped while it loads says nothing", async () => {
  const all = await turns();
  await all.push(begins("clerk", "clerk_1"));
  all.news();
  const lane = all.lanes.lane("clerk_1");
  lane.issued.add("x");
  lane.suspect = true;
  await all.push(begins("clerk", "clerk_1"));
  assert.deepEqual(all.news().slice(0, 2), ["load clerk_1", "append 1"]);
  assert.deepEqual([lane.suspect, lane.issued.has("x")], [false, false]);
  const again: { loaded?: Loaded } = {};
  const same = await turns({ loads: [async (own) => (again.loaded = (await all.of.lane(own.token)).loaded), () => Promise.resolve(again.loaded as Loaded)] });
  await same.push(begins("clerk", "clerk_1"), asks("clerk", "clerk_1", "t", "t.write"));
  same.paid.length = 0;
  same.lanes.lane("clerk_1").suspect = true;
  await same.push(notes("clerk_1", "n"));
  assert.deepEqual(same.paid.map(({ key }) => key), ["dispatch/a2/1/0"], "what was read again may be owed again");
  const stopped = await turns({ loads: [() => Promise.reject(new Stopped())] });
  await stopped.push(notes("clerk_1", "a"));
  assert.deepEqual([stopped.said, stopped.lanes.lane("clerk_1").state], [[], "busy"]);
  const broken = await turns({ loads: [() => Promise.reject(new TypeError("a bug"))] });
  await broken.push(notes("clerk_1", "a"));
  assert.equal(broken.said.length, 1);
  const uncommitted = await turns({ commits: [() => Promise.reject(new TypeError("a bug"))] });
  await uncommitted.push(begins("clerk", "clerk_1"), begins("clerk", "clerk_2"));
  assert.equal(uncommitted.said.length, 1);
  await uncommitted.push(begins("clerk", "clerk_3"), begins("clerk", "clerk_4"), begins("clerk", "clerk_5"));
  assert.ok(uncommitted.batches.length > 1, "a batch that failed is not under way for ever");
});

test("GUARD-9 law 9: before a claim is granted the leader is asked what is stopped, as long as it does not answer", async () => {
  let asked = 0;
  const away = { n: 21, stop: false };
  const of: Scene = await scene(() => {
    asked += 1;
    if (away.n-- > 0) return Promise.reject(new ReadError("away"));
    if (away.stop) of.stop("tool:t.write");
    return Promise.resolve(undefined);
  });
  const all = await turns({ of });
  await all.push(begins("clerk", "clerk_1"), asks("clerk", "clerk_1", "t", "t.write"));
  assert.equal(asked, 0, "nobody claims anything");
  await all.push(reports("gw", "clerk_1", "r", "started"));
  await until(() => all.grants.length > 0);
  assert.deepEqual([all.grants.map(({ verdict }) => verdict), asked], [["granted"], 22]);
  assert.deepEqual([hurry.pauses.slice(0, 2), hurry.pauses.slice(19)], [[100, 200], [2000, 2000]]);
  assert.deepEqual(all.said.map(({ level, error }) => [level, error]), Array.from({ length: 21 }, () => [40, "ReadError: away"]));
  // the same claim again stores nothing, and rests on the same question
  away.stop = true;
  all.news();
  await all.push(reports("gw", "clerk_1", "r", "started"));
  assert.deepEqual([asked, all.batches.length, all.grants.at(-1)?.verdict, all.grants.at(-1)?.code], [23, 2, "refused", "guard.withheld"]);
  await all.push(reports("gw", "clerk_1", "s", "succeeded", { output: {} }));
  assert.deepEqual([all.grants.at(-1)?.verdict, asked], ["recorded", 23]);
});

test("law 9: one claim among other inputs, or other runs, is asked about; what is none is not; what came meanwhile is decided behind it", async () => {
  let asked = 0;
  let held: Promise<void> = Promise.resolve();
  const of = await scene(async () => {
    asked += 1;
    await held;
    return undefined;
  });
  const all = await turns({ of });
  await all.push(begins("clerk", "clerk_1"), asks("clerk", "clerk_1", "t", "t.write"), begins("clerk", "clerk_2"), asks("clerk", "clerk_2", "t", "t.write"));
  await all.push(reports("gw", "clerk_1", "r", "started"), notes("clerk_1", "n"), notes("clerk_2", "n"));
  assert.deepEqual([asked, all.grants.length], [1, 1]);
  await all.push(begins("clerk", "clerk_1"), notes("clerk_1", "m"), notes("clerk_1", "m"));
  await all.push(begins("clerk", "clerk_1"));
  assert.equal(asked, 1);
  const wait = gate();
  held = wait.promise;
  await all.push(reports("gw", "clerk_1", "r", "started"));
  await all.push(notes("clerk_1", "meanwhile"));
  const before = all.batches.length;
  wait.resolve(undefined);
  await settled();
  assert.deepEqual([asked, all.grants.length, all.batches.length - before], [2, 2, 1]);
});

test("law 3: whoever is stopped while the leader is asked grants nothing", async () => {
  const own: { turns?: Turns; n: number } = { n: 0 };
  const of = await scene(() => {
    own.n += 1;
    own.turns?.stop();
    return Promise.reject(new ReadError("away"));
  });
  const all = await turns({ of });
  own.turns = all.turns;
  await all.push(begins("clerk", "clerk_1"), asks("clerk", "clerk_1", "t", "t.write"));
  await all.push(reports("gw", "clerk_1", "r", "started"));
  assert.deepEqual([all.grants, own.n, all.said.map(({ level }) => level)], [[], 1, [40]]);
});

test("law 3: a sweep pays again whatever is owed, now; a stray timer has the one that it replaced armed again", async () => {
  const all = await turns();
  const run = "sprinter_1";
  await all.push(begins("sprinter", run), asks("sprinter", run, "t", "t.read"));
  const keys = all.paid.splice(0).map(({ key }) => key);
  assert.ok(keys.length >= 3 && keys.some((key) => key.startsWith("dispatch/")));
  let swept = 0;
  all.lanes.sweep(run, () => (swept += 1));
  await all.push();
  assert.deepEqual([all.paid.splice(0), swept, all.lanes.lane(run).swept], [keys.map((key) => ({ key, now: undefined })), 1, undefined]);
  await all.push(fires(run, "wall", 99, 1));
  assert.deepEqual(all.paid.splice(0).map(({ key }) => key), keys.filter((key) => key.startsWith("timer/wall/")));
  await all.push(fires(run, "other", 99, 1), fires(run, "half", 99, 1));
  assert.deepEqual(all.paid.splice(0).map(({ key }) => key), keys.filter((key) => key.startsWith("timer/half/")));
  await all.push(fires(run, "other", 99, 1));
  assert.deepEqual(all.paid, []);
});

test("law 3: a timer that fires while its run is paused is let go, and is owed as it was", async () => {
  const all = await turns();
  await all.push(begins("clerk", "clerk_1"), asks("clerk", "clerk_1", "t", "t.write"));
  await all.push(reports("gw", "clerk_1", "r", "started"), reports("gw", "clerk_1", "f", "failed", { error: { code: "x", message: "x", effect: "none" } }));
  const [, , armed] = all.paid.findLast(({ key }) => key.startsWith("timer/action:a2/"))?.key.split("/") ?? [];
  await all.push(arrives("control", "op", "clerk_1", { verb: "pause", id: "p" }, 5));
  const stored = all.batches.length;
  all.paid.length = 0;
  await all.push(fires("clerk_1", "action:a2", Number(armed), 60));
  assert.deepEqual([armed !== undefined, all.batches.length - stored, all.paid], [true, 0, []]);
});

test("law 3: the agent that holds a run is told what became of it; a ledger answers who asked; what has no event owes nothing", async () => {
  const all = await turns();
  await all.push(begins("clerk", "clerk_1"));
  all.news();
  await all.push(arrives("control", "op", "clerk_1", { verb: "pause", id: "p" }, 5));
  assert.ok(all.news().includes("answer clerk null paused"));
  const asked = { name: "lease", id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", need: 1, want: 2 };
  const done: string[] = [];
  await all.push(signals("clerk_1", "ledger:team%2Ex%2E2026-01-31", asked, 1, { done }));
  assert.deepEqual([all.news().slice(1), done], [["append 1", "signal ledger:team%2Ex%2E2026-01-31 clerk_1 leased"], ["ack"]]);
  await all.push(signals("clerk_1", "ledger:team%2Ex%2E2026-01-31", { ...asked, want: 3 }, 1, { done }));
  assert.deepEqual([all.refusals.splice(0).map(({ id }) => id), all.news(), all.said], [["l"], [], []]);
  await all.push(notes("clerk_none", "n", { done }));
  assert.deepEqual([all.news(), all.refusals.map(({ id, codes }) => [id, codes]), done], [["load clerk_none"], [["n", ["run.unknown"]]], ["ack"]]);
});

test("law 8: an aggregate whose debts cannot be computed is frozen, with an alarm", async () => {
  const all = await turns();
  await all.push(begins("clerk", "clerk_1"));
  const lane = all.lanes.lane("clerk_1");
  const done: string[] = [];
  Object.defineProperty(lane.loaded?.state, "open", { get: () => assert.fail("broken") });
  await all.push(notes("clerk_1", "n", { done }));
  assert.match(lane.frozen?.message ?? "", /broken/);
  assert.deepEqual(all.said.map(({ level, alarm, aggregate }) => [level, alarm, aggregate]), [[50, "frozen", "clerk_1"]]);
  assert.match(String(all.said[0]?.["why"]), /broken/);
});

test("law 4: a document is in force before the next input is judged and before its own is acknowledged; so is a stop", async () => {
  const order = gate();
  const all = await turns({ effect: async (what) => (what === "applied" ? void (await order.promise) : undefined) });
  const done: string[] = [];
  const [tool] = all.of.store(...documents(JSON.stringify({ ...JSON.parse(Buffer.from(all.of.bytes(all.of.sources.registry.tool("t.read")?.digest as never) ?? "").toString()), description: "another" })));
  assert.ok(tool);
  const apply = arrives("apply", "op", "tool:t%2Eread", { id: "a", document: tool.document }, 1, { done });
  await all.push(apply);
  assert.deepEqual([all.news(), done], [["load tool:t%2Eread", "get", "append 1", "applied tool/t.read 1"], []]);
  assert.deepEqual(all.of.sources.registry.toolVersion(tool.document)?.description, "another", "it can be looked up at once");
  const lane = all.lanes.lane("tool:t%2Eread");
  assert.equal(lane.documents.size, 1);
  order.resolve(undefined);
  await settled();
  assert.deepEqual([done, lane.documents.size], [["ack"], 0]);
  await all.push(arrives("control", "op", "guard:stops", { verb: "stop", id: "s", scope: "tool:t.read", reason: "r" }, 2, { done }));
  assert.deepEqual([all.of.sources.guard.hit({ tool: "t.read" })?.stop, done], ["s1", ["ack", "ack"]]);
  assert.deepEqual([all.news(), all.said], [["load guard:stops", "append 1"], []]);
  const [agent] = all.of.store(...documents(JSON.stringify({ agent: { name: "clerk", owner: "o", team: "team", purpose: "other" }, budgets: {}, tools: { allowlist: [] } })));
  assert.ok(agent);
  await all.push(arrives("apply", "op", "agent:clerk", { id: "a", document: agent.document }));
  assert.deepEqual([all.of.sources.registry.toolVersion(agent.document), all.batches.length], [undefined, 3]);
});

test("CORE-5: an input at which the plane fails is tried on a state that is folded again, and others go on", async () => {
  const judge = { judge: () => assert.fail("the engine broke") };
  const all = await turns({ sources: { judge } });
  await all.push(begins("clerk", "clerk_1"));
  all.news();
  const done: string[] = [];
  await all.push(asks("clerk", "clerk_1", "t", "t.read", { text: "x" }, { ack: () => void done.push("t") }));
  // in memory alone nothing is stored: what is folded again has no event
  assert.deepEqual([all.news().filter((what) => what.startsWith("load")), all.refusals.map(({ id }) => id), done], [["load clerk_1"], ["t"], []]);
});
