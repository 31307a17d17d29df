/** The charts are the specification: each is walked, transition by transition, and kept as text. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { ENDED } from "../../machines/action.ts";
import { RUN_ENDED } from "../../machines/run.ts";
import { CURRENT_VERSION, machineVersion } from "../../machines/versions.ts";
import { EVENT_TYPES, type EventDraft } from "../../schemas/event.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type ChartTransition, chartText, MACHINES, statesOf, transitionsOf } from "./charts.ts";

const GOLDEN = new URL("./charts.golden.txt", import.meta.url);

/** Enough of everything that the events' data can be computed; what is in it is the business of other tests. */
const CONTEXT = {
  id: "a1", action: "a1", request: "q1", attempt: 1, tool: "t", digest: sha256Digest("x"), document: "{}", timeoutMs: 1, grants: [], count: 1,
  claim: { gateway: "g1", nonce: "nonce-0001" }, applied: "tool.applied", version: 1, reasons: [],
};
const AT = "2026-01-31T09:30:00.000Z";
const SUCCESS = { status: "succeeded", output: 1, removed: [], faults: [] };
const EVENT = { at: AT, seq: 1, armed: 1, outcome: SUCCESS, reasons: [], approvers: [], facts: { faults: [] }, by: "expiry" };

/** What a transition leaves behind: the drafts of its `took` marks and the requests it makes. */
function marks(one: ChartTransition): { drafts: EventDraft[]; requests: number } {
  const drafts: EventDraft[] = [];
  let requests = 0;
  for (const action of one.actions) {
    if (action.type === "requestApproval") requests += 1;
    if (action.type !== "took") continue;
    const event = { ...EVENT, type: one.on === "" ? "REPORT" : one.on };
    drafts.push((action.params as (args: unknown) => EventDraft)({ context: CONTEXT, event }));
  }
  return { drafts, requests };
}

for (const machine of MACHINES) {
  const transitions = transitionsOf(machine);
  const where = (one: ChartTransition) => `${machine.id}: ${one.from} -> ${one.on} -> ${one.to}`;

  test(`CORE-5: every transition of the ${machine.id} chart leaves exactly one event, which says from where to where`, () => {
    assert.ok(transitions.length > 0);
    for (const one of transitions) {
      const { drafts, requests } = marks(one);
      assert.equal(drafts.length + requests, 1, where(one));
      for (const { type, from, to } of drafts) {
        assert.ok(EVENT_TYPES.includes(type), `${type} is no event type`);
        assert.deepEqual([from, to], [one.from, one.to], where(one));
      }
      const known = one.actions.every(({ type }) => ["took", "requestApproval", "xstate.assign"].includes(type));
      assert.ok(known, `${where(one)}: an action that nobody carries out`);
    }
  });

  test(`every state of the ${machine.id} chart can be reached, and none but a final one is a dead end`, () => {
    const reached = new Set([String(machine.config.initial)]);
    for (let before = 0; before !== reached.size; ) {
      before = reached.size;
      for (const { from, to } of transitions) if (reached.has(from)) reached.add(to);
    }
    for (const state of statesOf(machine)) {
      assert.ok(reached.has(state.key), `${machine.id}: nothing leads to ${state.key}`);
      assert.equal(transitions.some(({ from }) => from === state.key), state.type !== "final", `${machine.id}: ${state.key}`);
    }
  });

  test(`of several transitions of the ${machine.id} chart on one event, only the last may be without a guard`, () => {
    for (const [index, one] of transitions.entries()) {
      const next = transitions[index + 1];
      if (next !== undefined && next.from === one.from && next.on === one.on) assert.ok(one.guarded, where(one));
    }
  });

  test(`law 5: the ${machine.id} machine has a version, no endless loops, no timers, no children, no effects of its own`, () => {
    assert.ok(machineVersion(String(machine.version)));
    assert.equal(machine.version, CURRENT_VERSION);
    assert.equal(machine.options.maxIterations, 16);
    for (const state of statesOf(machine)) {
      assert.deepEqual([state.after.length, state.invoke.length, state.entry.length, state.exit.length], [0, 0, 0, 0], state.key);
      assert.equal(Object.keys(state.states).length, 0, "a snapshot's value is one word");
    }
  });
}

test("the states that count as ended are the final states", () => {
  const finals = (id: string) => new Set(MACHINES.filter((one) => one.id === id).flatMap(statesOf).filter(({ type }) => type === "final").map(({ key }) => key));
  assert.deepEqual(finals("run"), new Set(RUN_ENDED));
  assert.deepEqual(finals("action"), new Set(ENDED));
});

test("EXEC-7: in the chart nothing leads from doubt to a new attempt but the holder's word that nothing was done", () => {
  const ways = MACHINES.filter((one) => one.id === "action").flatMap(transitionsOf).filter(({ from }) => from === "in_doubt");
  assert.deepEqual(ways.filter(({ to }) => to === "dispatched"), []);
  assert.ok(ways.every(({ on }) => on === "REPORT" || on === "RESOLVE"));
});

test("a chart changes only with the machine's version: write it anew with UPDATE_GOLDEN=1 when no release has it", () => {
  const mark = (one: ChartTransition) => marks(one).drafts[0]?.type ?? "approval.requested";
  const text = MACHINES.map((machine) => chartText(machine, mark)).join("\n");
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(GOLDEN, text);
  assert.equal(text, readFileSync(GOLDEN, "utf8"));
});
