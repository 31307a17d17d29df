/** One step of a chart, whoever goes it: ours where it is flat, XState's where it is not (law 5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnyMachineSnapshot, type AnyStateMachine, assign, initialTransition, not, setup, transition } from "xstate";
import { flatten, stepFlat } from "../../machines/flat.ts";
import { begin, step } from "../../machines/step.ts";

interface Counting {
  readonly n: number;
}
const implementations = { guards: { never: () => false }, actions: { took: () => {} } };
const chart = (states: object, more: object = {}): AnyStateMachine =>
  setup(implementations as never).createMachine({ id: "made", context: ({ input }: { input: unknown }) => ({ n: input as number }), initial: "a", states, ...more } as never) as unknown as AnyStateMachine;
const add = assign(({ context }: { context: Counting }) => ({ n: context.n + 1 }));
const told = { type: "took", params: ({ context }: { context: Counting }) => ({ n: context.n }) };

/** The same chart, and one of the same meaning that only XState understands. */
const go = { target: "b", actions: [told, add, told] };
const FLAT = chart({ a: { on: { GO: go } }, b: {} });
const NOT_FLAT = chart({ a: { on: { GO: { ...go, guard: not("never") } } }, b: {} });

test("law 5: a step gives the marks that it left, in their order and with what they say, and no change of context is one", () => {
  assert.ok(flatten(FLAT) !== undefined && flatten(NOT_FLAT) === undefined);
  for (const machine of [FLAT, NOT_FLAT]) {
    const first = begin<Counting>(machine, 7);
    assert.deepEqual(first, { next: { value: "a", context: { n: 7 } }, effects: [] });
    assert.deepEqual(step(machine, first.next, { type: "GO" }), {
      next: { value: "b", context: { n: 8 } },
      effects: [{ type: "took", params: { n: 7 } }, { type: "took", params: { n: 8 } }],
    });
    assert.equal(step(machine, first.next, { type: "UNKNOWN" }), undefined);
  }
});

test("law 5: a transition that leaves no event is not taken", () => {
  for (const guard of [{}, { guard: not("never") }]) {
    const silent = chart({ a: { on: { GO: { target: "b", actions: [add], ...guard } } }, b: {} });
    assert.equal(step(silent, begin(silent, 1).next, { type: "GO" }), undefined);
  }
  const flat = flatten(FLAT);
  assert.ok(flat);
  assert.equal(stepFlat(flat, "a", { n: 1 }, { type: "UNKNOWN" }), undefined, "and nothing at all is no transition");
  assert.throws(() => stepFlat(flat, "z", {}, { type: "GO" }), /there is no state `z`/);
});

test("law 5: what a mark says may be written down once, computed, or nothing, as XState has it", () => {
  for (const [params, said] of [[{ params: { n: 1 } }, { n: 1 }], [{ params: ({ context }: { context: Counting }) => ({ m: context.n }) }, { m: 7 }], [{}, undefined]] as const) {
    const machine = chart({ a: { on: { GO: { target: "b", actions: [{ type: "took", ...params }] } } }, b: {} });
    assert.ok(flatten(machine));
    const [live] = initialTransition(machine, 7 as never) as [AnyMachineSnapshot, unknown];
    const [, theirs] = transition(machine, live, { type: "GO" } as never) as [AnyMachineSnapshot, { type: string; params: unknown }[]];
    assert.deepEqual(theirs.map((one) => one.params), [said]);
    assert.deepEqual(step(machine, begin(machine, 7).next, { type: "GO" })?.effects, [{ type: "took", params: said }]);
  }
});

test("law 5: a chart goes as many transitions at once as it says, and not one more, as XState does", () => {
  const chain = (length: number, maxIterations: number) => {
    const rooms = Object.fromEntries(Array.from({ length }, (_, index) => [`r${index}`, { always: { target: `r${index + 1}`, actions: [told] } }]));
    return chart({ a: { on: { GO: { target: "r0", actions: [told] } } }, ...rooms, [`r${length}`]: {} }, { options: { maxIterations } });
  };
  const goes = (work: () => unknown) => {
    try {
      return work() !== undefined;
    } catch {
      return false;
    }
  };
  const found = new Set<boolean>();
  for (const most of [1, 2, 3, 4]) {
    for (const length of [0, 1, 2, 3, 4, 5]) {
      const machine = chain(length, most);
      assert.ok(flatten(machine));
      const [live] = initialTransition(machine, 7 as never) as [AnyMachineSnapshot, unknown];
      const ours = goes(() => step(machine, begin(machine, 7).next, { type: "GO" }));
      assert.equal(ours, goes(() => transition(machine, live, { type: "GO" } as never)), `${length} after the first, at most ${most}`);
      found.add(ours);
    }
  }
  assert.deepEqual([...found].sort(), [false, true]);
});

test("law 5: a flat chart is read once, and then stepped through without XState", () => {
  let reads = 0;
  const refuse = () => assert.fail("XState was asked");
  const machine = Object.create(FLAT, {
    states: { get: () => ((reads += 1), FLAT.states) },
    transition: { value: refuse }, getInitialSnapshot: { value: refuse }, resolveState: { value: refuse },
  }) as AnyStateMachine;
  for (let round = 1; round <= 3; round += 1) assert.equal(step(machine, begin(machine, 7).next, { type: "GO" })?.next.value, "b");
  assert.equal(reads, 1);
});
