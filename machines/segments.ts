/**
 * The segments of a journal: one aggregate per namespace, each segment behind the first a small machine of its own.
 * Segment 1 was never opened: it is there from the beginning, and can only be sealed.
 */
import { setup } from "xstate";
import type { EventDraft } from "../schemas/event.ts";
import type { SegmentsFacts } from "../schemas/facts.ts";
import type { Digest, Namespace } from "../schemas/ids.ts";
import type { SegmentsControl, SegmentsSignal } from "../schemas/inputs.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import { MAX_SEGMENTS } from "../schemas/segments.ts";
import { later, plusMillis } from "../schemas/time.ts";
import { took } from "./record.ts";
import { type Snapshot, begin, step } from "./step.ts";

export interface SegmentContext {
  readonly segment: number;
  /** Runs whose start is stored at this time or later belong to it; empty for the first. */
  readonly from: string;
  /** Who opened it. */
  readonly by: string;
}

export type SegmentEvent = { readonly type: "OPEN" } | { readonly type: "SEAL"; readonly runs: number; readonly index: Digest };

interface Args {
  readonly context: SegmentContext;
  readonly event: SegmentEvent;
}

export const segmentMachine = setup({
  types: { context: {} as SegmentContext, events: {} as SegmentEvent, input: {} as SegmentContext },
  actions: { took: (_, _event: unknown) => {} },
}).createMachine({
  id: "segment",
  version: "1",
  options: { maxIterations: 16 },
  context: ({ input }) => input,
  initial: "absent",
  states: {
    absent: {
      on: {
        OPEN: { target: "open", actions: [took("absent", "open", "segments.opened", ({ context: { segment, from, by } }: Args) => ({ segment, from, by }))] },
      },
    },
    open: {
      on: {
        SEAL: {
          target: "sealed",
          actions: [
            took("open", "sealed", "segments.sealed", ({ context, event }: Args) => {
              if (event.type !== "SEAL") throw new Error("nobody sealed it");
              return { segment: context.segment, runs: event.runs, index: event.index };
            }),
          ],
        },
      },
    },
    sealed: { type: "final" },
  },
});

export interface SegmentsState {
  readonly ns: Namespace;
  readonly name: string;
  readonly machine: string;
  seq: number;
  at: string;
  readonly segments: Map<number, Snapshot<SegmentContext>>;
  readonly inputs: Map<string, Digest>;
}

export interface SegmentsInput {
  readonly actor: string;
  readonly id: string;
  readonly hash: Digest;
  readonly time: string;
  readonly body: SegmentsControl | SegmentsSignal;
}

export interface SegmentsChange {
  readonly seq: number;
  readonly at: string;
  readonly segment: readonly [number, Snapshot<SegmentContext>];
  readonly input: readonly [string, Digest];
}

export type SegmentsDecision =
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: SegmentsChange }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] };

const refuse = (...reasons: Reason[]): SegmentsDecision => ({ kind: "refuse", reasons });

export function emptySegments(ns: Namespace, name: string, machine: string): SegmentsState {
  const first: Snapshot<SegmentContext> = { value: "open", context: { segment: 1, from: "", by: "" } };
  return { ns, name, machine, seq: 0, at: "", segments: new Map([[1, first]]), inputs: new Map() };
}

/** Same arguments, same events, byte for byte. `state` is only read. */
export function decideSegments(state: SegmentsState, input: SegmentsInput, facts: SegmentsFacts): SegmentsDecision {
  const { body, actor: by } = input;
  const key = `${by}/${input.id}`;
  const known = state.inputs.get(key);
  if (known === input.hash) return { kind: "duplicate" };
  if (known !== undefined) return refuse(reason("id.reused", `id \`${input.id}\` was used before with other content`, { path: "/id" }));
  const at = state.at === "" ? input.time : later(state.at, input.time);
  const newest = Math.max(...state.segments.keys());
  let before: Snapshot<SegmentContext> | undefined;
  let event: SegmentEvent;
  if ("name" in body && body.name === "seal") {
    const { segment, runs, index } = body;
    before = state.segments.get(segment);
    if (before === undefined) return refuse(reason("segments.unknown", `there is no segment \`${segment}\``, { path: "/segment" }));
    if (before.value === "sealed") return refuse(reason("segments.sealed", `segment \`${segment}\` was sealed before`, { path: "/segment" }));
    const after = state.segments.get(segment + 1);
    if (after === undefined || after.context.from > at) return refuse(reason("segments.in_use", `runs still start in segment \`${segment}\``, { path: "/segment" }));
    event = { type: "SEAL", runs, index };
  } else {
    const segment = newest + 1;
    // two that noticed the same want one segment, not two
    if ("name" in body && body.segment !== segment) return refuse(reason("segments.not_next", `the next segment is \`${segment}\``, { path: "/segment" }));
    if (segment > MAX_SEGMENTS) return refuse(reason("segments.most", `a journal has at most \`${MAX_SEGMENTS}\` segments`));
    if ((state.segments.get(newest)?.context.from ?? "") > at) return refuse(reason("segments.pending", `segment \`${newest}\` is opened already, and no run has started in it`));
    if (segment > facts.streams) {
      return refuse(reason("segments.no_stream", `segment \`${segment}\` has no stream`, { help: "a plane that starts makes the next one" }));
    }
    before = begin<SegmentContext>(segmentMachine, { segment, from: plusMillis(at, facts.lead_ms), by }).next;
    event = { type: "OPEN" };
  }
  const taken = step(segmentMachine, before, event);
  if (taken === undefined) throw new Error(`a segment that is ${before.value} does not take ${event.type}`);
  const drafts = taken.effects.map((effect) => effect.params as EventDraft);
  return {
    kind: "commit",
    drafts,
    change: { seq: state.seq + drafts.length, at, segment: [taken.next.context.segment, taken.next], input: [key, input.hash] },
  };
}

export function evolveSegments(state: SegmentsState, change: SegmentsChange): void {
  state.seq = change.seq;
  state.at = change.at;
  state.segments.set(change.segment[0], change.segment[1]);
  state.inputs.set(change.input[0], change.input[1]);
}
