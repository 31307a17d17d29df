/** Charts are stepped through without XState's machinery: what they mean is what XState says, for every flat chart (law 5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AnyMachineSnapshot, type AnyStateMachine, assign, createMachine, initialTransition, not, raise, setup, transition } from "xstate";
import { flatten } from "../../machines/flat.ts";
import { begin, step } from "../../machines/step.ts";
import { MACHINES } from "./charts.ts";

test("law 5: every chart of every version is flat", () => {
  for (const [version, machines] of Object.entries(MACHINES)) for (const machine of machines) assert.ok(flatten(machine), `${machine.id} of version ${version}`);
});

interface Counting {
  readonly n: number;
  readonly log: string;
}
interface Edge {
  readonly to: string | undefined;
  readonly unless: number | undefined;
  readonly adds: number;
  readonly mark: boolean;
  readonly markFirst: boolean;
}
const STATES = ["a", "b", "c", "end"];
const EVENTS = ["GO", "STAY", "BACK"];
const edge = fc.record({ to: fc.constantFrom(undefined, ...STATES), unless: fc.option(fc.nat(4), { nil: undefined }), adds: fc.nat(2), mark: fc.boolean(), markFirst: fc.boolean() });
const room = fc.record({ on: fc.dictionary(fc.constantFrom(...EVENTS), fc.array(edge, { minLength: 1, maxLength: 3 })), always: fc.array(edge, { maxLength: 2 }) });
const chart = fc.record({ a: room, b: room, c: room });

/** The guard closes what was gone too often, so that most charts come to rest. */
function transitionOf({ to, unless, adds, mark, markFirst }: Edge) {
  const counted = assign(({ context, event }: { context: Counting; event: { type: string } }) => ({ n: context.n + adds, log: `${context.log}${event.type[0]}` }));
  const marked = { type: "took", params: ({ context, event }: { context: Counting; event: { type: string } }) => ({ n: context.n, on: event.type, to }) };
  const actions = mark ? (markFirst ? [marked, counted] : [counted, marked]) : [counted];
  return { ...(to !== undefined && { target: to }), ...(unless !== undefined && { guard: ({ context }: { context: Counting }) => context.n % 5 !== unless }), actions };
}

function machineOf(rooms: Readonly<Record<string, { readonly on: Readonly<Record<string, readonly Edge[]>>; readonly always: readonly Edge[] }>>): AnyStateMachine {
  const states = Object.fromEntries(
    Object.entries(rooms).map(([name, { on, always }]) => [
      name,
      { on: Object.fromEntries(Object.entries(on).map(([type, edges]) => [type, edges.map(transitionOf)])), ...(name !== "a" && always.length > 0 && { always: always.map(transitionOf) }) },
    ]),
  );
  return setup({ actions: { took: () => {} } }).createMachine({
    id: "made",
    options: { maxIterations: 16 },
    context: ({ input }: { input: unknown }) => ({ n: input as number, log: "" }),
    initial: "a",
    states: { ...states, end: { type: "final" } },
  } as never) as unknown as AnyStateMachine;
}

const plain = (actions: readonly { type: string; params: unknown }[]) => actions.filter(({ type }) => !type.startsWith("xstate.assign")).map(({ type, params }) => ({ type, params }));
const attempt = <T>(work: () => T): T | "threw" => {
  try {
    return work();
  } catch {
    return "threw";
  }
};

test("law 5: any flat chart goes where XState goes, with the same context and the same effects, and does not come to rest where it does not", () => {
  let [moved, endless] = [0, 0];
  fc.assert(
    fc.property(chart, fc.nat(4), fc.array(fc.constantFrom(...EVENTS, "UNKNOWN"), { minLength: 1, maxLength: 10 }), (rooms, input, events) => {
      const machine = machineOf(rooms);
      assert.ok(flatten(machine));
      let [live] = initialTransition(machine, input as never) as [AnyMachineSnapshot, unknown];
      let ours = begin<Counting>(machine, input).next;
      assert.deepEqual([ours.value, ours.context], [live.value, live.context]);
      for (const type of events) {
        const theirs = attempt(() => transition(machine, live, { type } as never) as [AnyMachineSnapshot, { type: string; params: unknown }[]]);
        const went = attempt(() => step(machine, ours, { type }));
        if (theirs === "threw" || went === "threw") {
          assert.equal(went, theirs);
          endless += 1;
          return;
        }
        const effects = plain(theirs[1]);
        assert.deepEqual(went?.effects ?? [], effects);
        // a step that leaves no effect is none of ours, wherever XState went
        if (went === undefined) return;
        moved += 1;
        [live] = theirs;
        ours = went.next;
        assert.deepEqual([ours.value, ours.context], [live.value, live.context]);
      }
    }),
    { numRuns: 4000, seed: 20260131 },
  );
  assert.ok(moved > 1000 && endless > 50, `${moved} moved, ${endless} did not come to rest`);
});

test("law 5: a chart that uses more of XState is left to XState", () => {
  const act = () => {};
  const actor = { src: createMachine({}) };
  const go = (more: object) => ({ a: { on: { GO: { target: "b", ...more } } }, b: {} });
  const states: Record<string, object> = {
    "a state with children": { a: { initial: "b", states: { b: {} } } },
    "an entry action": { a: { entry: act } },
    "an exit action": { a: { exit: act } },
    "an invoked actor": { a: { invoke: actor } },
    "an entry and an exit action": { a: { entry: act, exit: act } },
    "an entry action and an actor": { a: { entry: act, invoke: actor } },
    "a delayed transition": { a: { after: { 10: "b" } }, b: {} },
    "a history": { a: { on: { GO: "b" } }, b: { type: "history" } },
    "a wildcard": { a: { on: { "*": "b" } }, b: {} },
    "part of a wildcard": { a: { on: { "GO.*": "b" } }, b: {} },
    "an event of XState's own": { a: { on: { "xstate.done.actor.x": "b" } }, b: {} },
    "a transition out of the end": { a: {}, b: { type: "final", on: { GO: "a" } } },
    "transitions out of the end, with and without an event": { a: {}, b: { type: "final", on: { GO: "a" }, always: { guard: () => false, target: "a" } } },
    "a transition at once before the first event": { a: { always: "b" }, b: {} },
    "a guard with parameters": go({ guard: { type: "named", params: {} } }),
    "a guard of guards": go({ guard: not("named") }),
    "a guard that nobody wrote": go({ guard: "unknown" }),
    "two targets": { ...go({ target: ["b", "c"] }), c: {} },
    "the chart itself as a target": go({ target: "#made" }),
    "an action of no name": go({ actions: act }),
    "an action by its name alone": go({ actions: "took" }),
    "an action that nobody wrote": go({ actions: { type: "unknown" } }),
    "no action, where one is listed": go({ actions: [null] }),
    "an action that makes others": go({ actions: { type: "made" } }),
    "an effect of XState's own": go({ actions: raise({ type: "GO" }) }),
    "a change of context that is no function of it": go({ actions: assign({ n: 1 }) }),
    "a change of context by what is none of XState's": go({ actions: Object.assign(() => {}, { type: "other", assignment: () => ({}) }) }),
  };
  const charts: Record<string, object> = {
    "children side by side": { type: "parallel", states: { a: {}, b: {} } },
    "no states": {},
    "an event of the whole chart": { initial: "a", on: { GO: ".a" }, states: { a: {} } },
    "a transition at once of the whole chart": { initial: "a", always: { guard: () => false, target: ".a" }, states: { a: {} } },
    "an entry action of the chart": { initial: "a", entry: act, states: { a: {} } },
    "an exit action of the chart": { initial: "a", exit: act, states: { a: {} } },
    "an actor of the chart": { initial: "a", invoke: actor, states: { a: {} } },
    "a first action": { initial: { target: "a", actions: act }, states: { a: {} } },
    "an entry and an exit action of the chart": { initial: "a", entry: act, exit: act, states: { a: {} } },
    "an entry action and an actor of the chart": { initial: "a", entry: act, invoke: actor, states: { a: {} } },
    "an entry and a first action of the chart": { initial: { target: "a", actions: act }, entry: act, states: { a: {} } },
    "a context that is the same for every input": { initial: "a", context: { n: 1 }, states: { a: {} } },
  };
  for (const [what, of] of Object.entries(states)) charts[what] = { initial: "a", states: of };
  const implementations = { guards: { named: () => true }, actions: { took: () => {}, made: assign(() => ({})) } };
  const flatOf = (chart: object) => flatten(setup(implementations as never).createMachine({ id: "made", ...chart } as never) as unknown as AnyStateMachine);
  for (const [what, chart] of Object.entries(charts)) assert.equal(flatOf(chart), undefined, what);
  const understood = { guard: "named", actions: [{ type: "took", params: { n: 1 } }, assign(() => ({ n: 1 }))] };
  assert.ok(flatOf({ initial: "a", states: { ...go(understood), c: { type: "final" } } }), "what is understood is not left to it");
});

test("law 5: what is broken is no chart of another kind", () => {
  const broken = { get root(): never { throw new TypeError("it broke"); } };
  assert.throws(() => flatten(broken as never), { name: "TypeError", message: "it broke" });
});
