/** The charts are the specification: each is walked, transition by transition, and kept as text. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { actionMachine, ENDED } from "../../machines/action.ts";
import { CONTEXT_FIELDS } from "../../machines/action-rules.ts";
import { RUN_ENDED } from "../../machines/run.ts";
import { begin } from "../../machines/step.ts";
import { CURRENT_VERSION, machineVersion } from "../../machines/versions.ts";
import { EVENT_TYPES, type EventDraft } from "../../schemas/event.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type ChartTransition, chartText, MACHINES, statesOf, transitionsOf } from "./charts.ts";

const golden = (version: string) => new URL(`./charts.v${version}.golden.txt`, import.meta.url);

/** Enough of everything that the events' data can be computed; what is in it is the business of other tests. */
const CONTEXT = {
  id: "a1", action: "a1", request: "q1", attempt: 1, tool: "t", digest: sha256Digest("x"), document: "{}", timeoutMs: 1, grants: [], count: 1,
  claim: { gateway: "g1", nonce: "nonce-0001" }, applied: "tool.applied", version: 1, reasons: [], people: [],
  basis: { asked: undefined, facts: undefined, amount: undefined, edited: undefined, unbegun: 0, probes: 1 },
};
const AT = "2026-01-31T09:30:00.000Z";
const SUCCESS = { status: "succeeded", output: 1, removed: [], faults: [] };
const ACCOUNT = { ledger: "team.a.2026-01-31", unit: "cost", window: "2026-01-31" };
const EVENT = {
  at: AT, seq: 1, armed: 1, outcome: SUCCESS, reasons: [], approvers: [], missing: [], facts: { faults: [] }, by: "expiry",
  run: "agent-1_r1", asked: { ...ACCOUNT, need: 1, want: 2 }, given: { ...ACCOUNT, unused: 1, last: true }, total: 0, held: 1,
};

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

for (const [version, machines] of Object.entries(MACHINES)) {
  for (const machine of machines) {
    const name = `${machine.id} v${version}`;
    const transitions = transitionsOf(machine);
    const where = (one: ChartTransition) => `${machine.id}: ${one.from} -> ${one.on} -> ${one.to}`;

    test(`CORE-5: every transition of the ${name} chart leaves exactly one event, which says from where to where`, () => {
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

    test(`every state of the ${name} chart can be reached, and none but a final one is a dead end`, () => {
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

    test(`of several transitions of the ${name} chart on one event, only the last may be without a guard`, () => {
      for (const [index, one] of transitions.entries()) {
        const next = transitions[index + 1];
        if (next !== undefined && next.from === one.from && next.on === one.on) assert.ok(one.guarded, where(one));
      }
    });

    test(`law 5: the ${name} machine has a version, no endless loops, no timers, no children, no effects of its own`, () => {
      assert.ok(machineVersion(String(machine.version)));
      // documents are driven as they always were, ledgers and the guard as from version 2 on
      if (["run", "action", "approval"].includes(machine.id)) assert.equal(machine.version, version);
      assert.equal(machine.options.maxIterations, 16);
      for (const state of statesOf(machine)) {
        assert.deepEqual([state.after.length, state.invoke.length, state.entry.length, state.exit.length], [0, 0, 0, 0], state.key);
        assert.equal(Object.keys(state.states).length, 0, "a snapshot's value is one word");
      }
    });
  }
}

const CURRENT = MACHINES[CURRENT_VERSION] ?? [];

test("the states that count as ended are the final states", () => {
  const finals = (id: string) => new Set(CURRENT.filter((one) => one.id === id).flatMap(statesOf).filter(({ type }) => type === "final").map(({ key }) => key));
  assert.deepEqual(finals("run"), new Set(RUN_ENDED));
  assert.deepEqual(finals("action"), new Set(ENDED));
});

for (const [version, machines] of Object.entries(MACHINES)) {
  test(`EXEC-7: in chart v${version} nothing leads from doubt to a new attempt but the holder's word, or the tool's, that nothing was done`, () => {
    const doubts = ["in_doubt", "probing", "probed"];
    const ways = machines.filter((one) => one.id === "action").flatMap(transitionsOf).filter(({ from }) => doubts.includes(from));
    assert.deepEqual(ways.filter(({ to }) => to === "dispatched"), []);
    const retried = ways.filter(({ to }) => to === "retrying").map(({ from, on }) => `${from} ${on}`);
    assert.deepEqual(retried, version === "1" || version === "2" ? ["in_doubt REPORT"] : ["in_doubt REPORT", "probing REPORT", "probed "]);
    // a timer asks the tool, or says that it did not answer: it ends no doubt
    assert.ok(ways.filter(({ on }) => on === "DUE").every(({ to }) => doubts.includes(to)));
    assert.ok(ways.every(({ on }) => ["REPORT", "RESOLVE", "DUE", "PROBED", ""].includes(on)));
  });

  test(`a chart of v${version} changes only with the machine's version: write it anew with UPDATE_GOLDEN=1 when no release has it`, () => {
    const mark = (one: ChartTransition) => marks(one).drafts[0]?.type ?? "approval.requested";
    const text = machines.map((machine) => chartText(machine, mark)).join("\n");
    if (process.env["UPDATE_GOLDEN"] === "1" && version === CURRENT_VERSION) writeFileSync(golden(version), text);
    assert.equal(text, readFileSync(golden(version), "utf8"));
  });
}

test("APP-2 law 9: in the chart nothing is dispatched that was not approved or tried before, and nothing is judged without being validated", () => {
  const ways = CURRENT.filter((one) => one.id === "action").flatMap(transitionsOf);
  assert.deepEqual([...new Set(ways.filter(({ to }) => to === "dispatched").map(({ from }) => from))].sort(), ["approved", "retrying"]);
  assert.deepEqual([...new Set(ways.filter(({ to }) => to === "approved").map(({ from }) => from))].sort(), ["awaiting_approval", "validated"]);
  assert.deepEqual([...new Set(ways.filter(({ to }) => to === "validated").map(({ from }) => from))].sort(), ["awaiting_approval", "dispatched", "proposed", "reserving"]);
});

test("an action's context stays as small as XState copies it fast", () => {
  const context = begin<object>(actionMachine, { id: "a2" }).next.context;
  assert.ok(Object.keys(context).length <= CONTEXT_FIELDS, `${Object.keys(context).length} fields`);
});
