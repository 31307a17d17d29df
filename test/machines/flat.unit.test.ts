/** Charts are stepped through without XState's machinery: what they mean is what XState says, for every flat chart (law 5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AnyMachineSnapshot, type AnyStateMachine, assign, createMachine, initialTransition, not, setup, transition } from "xstate";
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
  const others: Record<string, object> = {
    "a state with children": { a: { initial: "b", states: { b: {} } } },
    "an entry action": { a: { entry: () => {} } },
    "an exit action": { a: { exit: () => {} } },
    "a delayed transition": { a: { after: { 10: "b" } }, b: {} },
    "an invoked actor": { a: { invoke: { src: createMachine({}) } } },
    "a wildcard": { a: { on: { "*": "b" } }, b: {} },
    "an action of no name": { a: { on: { GO: { actions: () => {} } } } },
    "a transition at once before the first event": { a: { always: "b" }, b: {} },
    "a guard with parameters": { a: { on: { GO: { guard: { type: "named", params: {} }, target: "b" } } }, b: {} },
    "a guard of guards": { a: { on: { GO: { guard: not("named"), target: "b" } } }, b: {} },
  };
  for (const [what, states] of Object.entries(others)) {
    const machine = setup({ guards: { named: () => true } }).createMachine({ initial: "a", states } as never) as unknown as AnyStateMachine;
    assert.equal(flatten(machine), undefined, what);
  }
  const parallel = createMachine({ type: "parallel", states: { a: {}, b: {} } }) as unknown as AnyStateMachine;
  assert.equal(flatten(parallel), undefined);
  const rooted = createMachine({ initial: "a", on: { GO: ".a" }, states: { a: {} } }) as unknown as AnyStateMachine;
  assert.equal(flatten(rooted), undefined);
  const named = setup({ guards: { named: () => false }, actions: { took: () => {} } }).createMachine({ initial: "a", states: { a: { on: { GO: { guard: not("named"), target: "b", actions: [{ type: "took" }] }, STOP: { guard: "named", target: "b", actions: [{ type: "took" }] } } }, b: {} } });
  assert.equal(step(named, begin(named, undefined).next, { type: "GO" })?.next.value, "b", "and goes on as XState has it");
  assert.equal(step(named, begin(named, undefined).next, { type: "STOP" }), undefined);
});
