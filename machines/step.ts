/**
 * An XState machine as a pure function: snapshot and event in, next snapshot and effects (as data) out.
 * Charts that are flat, as all of ours are, are stepped through by `flat.ts`; for any other, one inert scope serves every
 * call: nothing runs, nothing is scheduled, nobody is spawned.
 *
 * The scope's shape is internal to XState 5.33.3, therefore the exact version is pinned and a test holds this
 * against XState's own `transition()` over random walks. That one builds an actor per call and costs four times as much.
 */
import { type AnyActorScope, type AnyStateMachine, createActor, createMachine } from "xstate";
import { beginFlat, type FlatChart, flatten, stepFlat } from "./flat.ts";

/** What is kept of a machine between inputs. Children and history are not: our charts have none. */
export interface Snapshot<C> {
  readonly value: string;
  readonly context: C;
}

export interface Effect {
  readonly type: string;
  readonly params: unknown;
}

export interface Step<C> {
  readonly next: Snapshot<C>;
  readonly effects: readonly Effect[];
}

let collected: Effect[] = [];

const self = createActor(createMachine({}));
const scope = {
  self,
  system: self.system,
  id: "signalbox",
  sessionId: "signalbox",
  logger: () => {},
  defer: () => {},
  emit: () => {},
  stopChild: () => {},
  // changes of context do not come here: to XState they are no effects either
  actionExecutor: ({ type, params }: Effect) => {
    collected.push({ type, params });
  },
} as unknown as AnyActorScope;

const flat = new WeakMap<AnyStateMachine, { readonly chart: FlatChart | undefined }>();

/** Charts are read once; see `flat.ts`. */
function flatOf(machine: AnyStateMachine): FlatChart | undefined {
  let known = flat.get(machine);
  if (known === undefined) flat.set(machine, (known = { chart: flatten(machine) }));
  return known.chart;
}

/** The snapshot in which a machine begins. */
export function begin<C>(machine: AnyStateMachine, input: unknown): Step<C> {
  const chart = flatOf(machine);
  if (chart !== undefined) {
    const { value, context, effects } = beginFlat(chart, input);
    return { next: { value, context: context as C }, effects };
  }
  collected = [];
  const snapshot = machine.getInitialSnapshot(scope, input);
  return { next: { value: snapshot.value as string, context: snapshot.context as C }, effects: collected };
}

/**
 * One macrostep. `undefined` when the machine, in this state, has no transition for the event:
 * every transition of ours records at least one event, so no effect means that nothing was taken.
 * A throwing guard or assignment throws out of here.
 */
export function step<C>(machine: AnyStateMachine, snapshot: Snapshot<C>, event: { type: string }): Step<C> | undefined {
  const chart = flatOf(machine);
  if (chart !== undefined) {
    const taken = stepFlat(chart, snapshot.value, snapshot.context as object, event);
    if (taken === undefined || taken.effects.length === 0) return undefined;
    return { next: { value: taken.value, context: taken.context as C }, effects: taken.effects };
  }
  collected = [];
  const live = machine.resolveState({ value: snapshot.value, context: snapshot.context });
  const next = machine.transition(live, event, scope);
  if (collected.length === 0) return undefined;
  return { next: { value: next.value as string, context: next.context as C }, effects: collected };
}
