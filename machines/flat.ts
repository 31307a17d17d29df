/**
 * The flat part of XState's semantics, which is all that our charts use: states without children, guards, assignments,
 * marks, and transitions that are taken at once. A chart is read once, and then stepped through without the sets, lists
 * and snapshots that XState makes for charts with children. Those were two thirds of what a decision costs: the machines
 * took 7.7 µs an event in replay and take 2.6. The chart stays the specification, and XState what it means: tests hold
 * both against each other over random walks and random charts, and a chart that uses anything else is left to XState.
 */
import type { AnyStateMachine } from "xstate";

interface Args {
  readonly context: object;
  readonly event: { readonly type: string };
}
type Action =
  | { readonly assign: (args: Args) => object }
  | { readonly type: string; readonly params: unknown; readonly made: ((args: Args) => unknown) | undefined };

interface Transition {
  readonly guard: ((args: Args) => boolean) | undefined;
  readonly target: string | undefined;
  readonly actions: readonly Action[];
}

interface Room {
  readonly on: ReadonlyMap<string, readonly Transition[]>;
  readonly always: readonly Transition[];
}

export interface FlatChart {
  readonly initial: string;
  readonly context: (args: { readonly input: unknown }) => object;
  readonly rooms: Readonly<Record<string, Room>>;
  readonly maxIterations: number;
}

export interface Taken {
  readonly value: string;
  readonly context: object;
  readonly effects: readonly { readonly type: string; readonly params: unknown }[];
}

const NOTHING: readonly Transition[] = [];

/** Undefined for a chart that uses more of XState than is understood here. */
export function flatten(machine: AnyStateMachine): FlatChart | undefined {
  try {
    const { root } = machine;
    const initial = root.initial.target.map(({ key }) => key);
    demand(root.transitions.size === 0 && root.entry.length + root.exit.length + root.invoke.length + root.initial.actions.length === 0);
    demand((root.always ?? []).length === 0 && initial.length === 1 && root.type === "compound" && typeof machine.config.context !== "object");
    const rooms: Record<string, Room> = {};
    for (const state of Object.values(machine.states)) {
      demand((state.type === "atomic" || state.type === "final") && state.entry.length + state.exit.length + state.invoke.length === 0);
      const on = new Map([...state.transitions].map(([type, all]) => [type, all.map((one) => transition(machine, one))]));
      const always = (state.always ?? []).map((one) => transition(machine, one));
      demand(![...on.keys()].some((type) => type.includes("*") || type.startsWith("xstate.")) && (state.type === "atomic" || on.size + always.length === 0));
      rooms[state.key] = { on, always };
    }
    // what a chart does before its first event is XState's to say
    const [first = ""] = initial;
    demand(rooms[first]?.always.length === 0);
    const { context = () => ({}), options } = machine.config as { context?: FlatChart["context"]; options?: { maxIterations?: number } };
    return { initial: first, context, rooms, maxIterations: options?.maxIterations ?? Infinity };
  } catch (error) {
    if (error instanceof NotFlat) return undefined;
    throw error;
  }
}

class NotFlat extends Error {
  override readonly name = "NotFlat";
}

function demand(holds: boolean): void {
  if (!holds) throw new NotFlat();
}

function transition(machine: AnyStateMachine, { guard, target, actions }: { readonly guard?: unknown; readonly target?: unknown; readonly actions: readonly unknown[] }): Transition {
  const targets = (target ?? []) as readonly { readonly key: string; readonly parent?: unknown }[];
  const asked: unknown = typeof guard === "string" ? machine.implementations.guards[guard] : guard;
  demand((guard === undefined || (typeof asked === "function" && !("check" in asked))) && targets.length <= 1 && targets.every(({ parent }) => parent === machine.root));
  return { guard: asked as Transition["guard"], target: targets[0]?.key, actions: actions.map((one) => action(machine, one)) };
}

function action(machine: AnyStateMachine, given: unknown): Action {
  if (typeof given === "function") {
    const { type, assignment } = given as unknown as { readonly type?: string; readonly assignment?: unknown };
    demand(type === "xstate.assign" && typeof assignment === "function");
    return { assign: assignment as (args: Args) => object };
  }
  demand(typeof given === "object" && given !== null && "type" in given && typeof given.type === "string");
  const { type, params } = given as { readonly type: string; readonly params?: unknown };
  const implementation: unknown = machine.implementations.actions[type];
  demand(typeof implementation === "function" && !("resolve" in implementation));
  return { type, params, made: typeof params === "function" ? (params as (args: Args) => unknown) : undefined };
}

/** XState copies what the chart says; so is it here. */
export function beginFlat({ initial, context }: FlatChart, input: unknown): Taken {
  return { value: initial, context: Object.assign({}, context({ input })), effects: [] };
}

/**
 * One macrostep: the event's transition, and all that are taken at once after it; those also when there is none for the
 * event itself, as XState has it. Undefined when nothing was taken.
 */
export function stepFlat({ rooms, maxIterations }: FlatChart, value: string, context: object, event: { readonly type: string }): Taken | undefined {
  let room = rooms[value];
  if (room === undefined) throw new Error(`there is no state \`${value}\``);
  let at = value;
  let now = context;
  const effects: { type: string; params: unknown }[] = [];
  let taken = chosen(room.on.get(event.type) ?? NOTHING, now, event);
  if (taken === undefined && room.always.length === 0) return undefined;
  for (let iteration = 0; ; ) {
    if (taken !== undefined) {
      for (const one of taken.actions) {
        if ("assign" in one) now = Object.assign({}, now, one.assign({ context: now, event }));
        else effects.push({ type: one.type, params: one.made === undefined ? one.params : one.made({ context: now, event }) });
      }
      at = taken.target ?? at;
      room = rooms[at] as Room;
    } else if (iteration > 0) break;
    if ((iteration += 1) > maxIterations) throw new Error(`more than ${maxIterations} transitions at once`);
    taken = chosen(room.always, now, event);
  }
  return { value: at, context: now, effects };
}

function chosen(transitions: readonly Transition[], context: object, event: Args["event"]): Transition | undefined {
  for (const one of transitions) if (one.guard === undefined || one.guard({ context, event })) return one;
  return undefined;
}
