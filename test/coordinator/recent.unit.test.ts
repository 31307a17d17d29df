/** An input that comes again after a crash is answered as the first time (EXEC-8): what the last ones gave rise to is known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunInput } from "../../machines/decide.ts";
import { Recent } from "../../services/coordinator/recent.ts";
import type { Computed, Driven, StoredCommit } from "../../services/replay/fold.ts";

const RUN = { kind: "run", state: { life: { value: "active" }, proposals: new Map([["clerk/p1", {}], ["clerk/p2", {}]]) } } as unknown as Driven;
const commit = (kind: string, id: string, input: unknown = {}) => ({ first: { cause: { kind, actor: "pat", id, time: "2026-01-31T09:30:00.000Z" } }, premise: { input, input_hash: "h" } }) as unknown as StoredCommit;
const asked = (kind: string, id: string, body: unknown = {}) => ({ kind, actor: "pat", id, body }) as unknown as RunInput;
/** A change of the actions of these proposals, and of the run's life. */
const change = (proposals: readonly string[], life?: string) =>
  ({
    change: {
      set: life === undefined ? {} : { life: { value: life } },
      proposals: new Map(),
      actions: new Map(proposals.map((proposal, index) => [`a${index}`, { context: { agent: "clerk", proposal } }])),
    },
  }) as unknown as Computed;

test("EXEC-8: an input that comes again tells the agents whose proposals it changed, and of the run's life", () => {
  const recent = new Recent();
  assert.equal(recent.of(asked("decide", "d1")), undefined);
  recent.note(RUN, commit("decide", "d1"), change(["p1", "p2"]));
  recent.note(RUN, commit("control", "c1"), change([], "paused"));
  recent.note(RUN, commit("control", "c2"), change(["p2"], "active"));
  assert.deepEqual(recent.of(asked("decide", "d1")), { keys: ["clerk/p1", "clerk/p2"], news: false });
  assert.deepEqual(recent.of(asked("control", "c1")), { keys: [], news: true });
  assert.deepEqual(recent.of(asked("control", "c2")), { keys: ["clerk/p2"], news: false });
  assert.equal(recent.of(asked("control", "d1")), undefined);
});

test("EXEC-8: what is answered in another way, or gave rise to nothing, is not kept", () => {
  const recent = new Recent();
  recent.note(RUN, commit("propose", "p1"), change(["p1"], "paused"));
  recent.note(RUN, commit("control", "c1"), change([]));
  recent.note(RUN, commit("control", "c2"), change([], "active"));
  recent.note(RUN, commit("control", "c3"), {} as Computed);
  recent.note({ ...RUN, kind: "ledger" } as unknown as Driven, commit("signal", "s1"), change(["p1"]));
  assert.equal(recent.entries().size, 0);
});

test("EXEC-9: a timer that was armed again under its name is another one", () => {
  const recent = new Recent();
  recent.note(RUN, commit("due", "wall", { timer: "wall", armed: 3 }), change(["p1"]));
  assert.ok(recent.of(asked("due", "wall", { timer: "wall", armed: 3 })));
  assert.equal(recent.of(asked("due", "wall", { timer: "wall", armed: 4 })), undefined);
});

test("law 6: what is kept of a run is bounded, and the oldest goes first", () => {
  const recent = new Recent();
  for (let n = 0; n < 64; n++) recent.note(RUN, commit("report", `r${n}`), change(["p1"]));
  assert.ok(recent.of(asked("report", "r0")));
  recent.note(RUN, commit("report", "r64"), change(["p1"]));
  assert.deepEqual([recent.of(asked("report", "r0")), recent.entries().size], [undefined, 64]);
  assert.ok(recent.of(asked("report", "r1")) && recent.of(asked("report", "r64")));
});

test("law 4: one that was put to rest and woken knows what it knew", () => {
  const recent = new Recent();
  recent.note(RUN, commit("decide", "d1"), change(["p1"]));
  const woken = new Recent(recent.entries());
  recent.note(RUN, commit("decide", "d2"), change(["p1"]));
  assert.deepEqual([woken.of(asked("decide", "d1")), woken.of(asked("decide", "d2"))], [{ keys: ["clerk/p1"], news: false }, undefined]);
});
