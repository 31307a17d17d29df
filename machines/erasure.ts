/**
 * Erasures of data subjects (AUD-3): one aggregate per namespace, each erasure a small machine of its own. What is
 * recorded is the subject's pseudonym and the name of the key that is destroyed, never who it is.
 */
import { assign, setup } from "xstate";
import type { EventDraft } from "../schemas/event.ts";
import type { ErasureFacts } from "../schemas/facts.ts";
import type { Digest, Namespace } from "../schemas/ids.ts";
import type { RecordedErasure } from "../schemas/inputs.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import type { KeyId, Pseudonym } from "../schemas/sealed.ts";
import { later } from "../schemas/time.ts";
import { took } from "./record.ts";
import { type Snapshot, begin, step } from "./step.ts";

export interface ErasureContext {
  readonly subject: Pseudonym;
  readonly key: KeyId;
  /** NATS name of whoever asked for it. */
  readonly by: string;
  readonly reason: string;
}
export type ErasureEvent = { readonly type: "ERASE"; readonly by: string; readonly reason: string } | { readonly type: "DESTROYED" };

interface Args {
  readonly context: ErasureContext;
  readonly event: ErasureEvent;
}

export const erasureMachine = setup({
  types: { context: {} as ErasureContext, events: {} as ErasureEvent, input: {} as Pick<ErasureContext, "subject" | "key"> },
  actions: { took: (_, _event: unknown) => {} },
}).createMachine({
  id: "erasure",
  version: "3",
  options: { maxIterations: 16 },
  context: ({ input }) => ({ ...input, by: "", reason: "" }),
  initial: "kept",
  states: {
    kept: {
      on: {
        ERASE: {
          target: "requested",
          actions: [
            assign<ErasureContext, ErasureEvent, undefined, ErasureEvent, never>(({ event }) => (event.type === "ERASE" ? { by: event.by, reason: event.reason } : {})),
            took("kept", "requested", "erasure.requested", ({ context }: Args) => ({ ...context })),
          ],
        },
      },
    },
    /** From here on the key opens nothing any more, wherever it is still held. */
    requested: {
      on: {
        DESTROYED: {
          target: "completed",
          actions: [took("requested", "completed", "erasure.completed", ({ context: { subject, key } }: Args) => ({ subject, key }))],
        },
      },
    },
    completed: { type: "final" },
  },
});

export interface ErasureState {
  readonly ns: Namespace;
  readonly name: string;
  readonly machine: string;
  seq: number;
  at: string;
  readonly erasures: Map<KeyId, Snapshot<ErasureContext>>;
  readonly inputs: Map<string, Digest>;
}

export interface ErasureInput {
  readonly actor: string;
  readonly id: string;
  readonly hash: Digest;
  readonly time: string;
  readonly body: RecordedErasure;
}

export interface ErasureChange {
  readonly seq: number;
  readonly at: string;
  readonly erasure: readonly [KeyId, Snapshot<ErasureContext>];
  readonly input: readonly [string, Digest];
}

export type ErasureDecision =
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: ErasureChange }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] };

const refuse = (...reasons: Reason[]): ErasureDecision => ({ kind: "refuse", reasons });

export function emptyErasure(ns: Namespace, name: string, machine: string): ErasureState {
  return { ns, name, machine, seq: 0, at: "", erasures: new Map(), inputs: new Map() };
}

/** Same arguments, same events, byte for byte. `state` is only read. */
export function decideErasure(state: ErasureState, input: ErasureInput, facts: ErasureFacts): ErasureDecision {
  const { body, actor: by } = input;
  const id = `control/${by}/${input.id}`;
  const known = state.inputs.get(id);
  if (known === input.hash) return { kind: "duplicate" };
  if (known !== undefined) return refuse(reason("id.reused", `id \`${input.id}\` was used before with other content`, { path: "/id" }));
  const key = body.verb === "erase" ? facts.key : body.key;
  if (key === undefined) {
    return refuse(reason("erasure.nothing", "nothing is recorded under a key of this subject", { path: "/subject", help: "write the subject as the tool names it" }));
  }
  const before = state.erasures.get(key);
  if (body.verb === "erase" && before !== undefined) return refuse(reason("erasure.under_way", "this subject's key is being destroyed", { path: "/subject" }));
  if (body.verb === "destroyed" && before?.value !== "requested") {
    return before?.value === "completed" ? { kind: "duplicate" } : refuse(reason("erasure.unknown", "nobody asked for this erasure", { path: "/key" }));
  }
  const event: ErasureEvent = body.verb === "erase" ? { type: "ERASE", by, reason: body.reason } : { type: "DESTROYED" };
  const taken = step(erasureMachine, before ?? begin<ErasureContext>(erasureMachine, { subject: body.subject, key }).next, event);
  if (taken === undefined) throw new Error(`an erasure that is ${before?.value ?? "kept"} does not take ${event.type}`);
  const drafts = taken.effects.map((effect) => effect.params as EventDraft);
  const at = state.at === "" ? input.time : later(state.at, input.time);
  return { kind: "commit", drafts, change: { seq: state.seq + drafts.length, at, erasure: [key, taken.next], input: [id, input.hash] } };
}

export function evolveErasure(state: ErasureState, change: ErasureChange): void {
  state.seq = change.seq;
  state.at = change.at;
  state.erasures.set(change.erasure[0], change.erasure[1]);
  state.inputs.set(change.input[0], change.input[1]);
}

/** Keys that are to be destroyed and are not known to be. */
export function owedErasures({ erasures }: ErasureState): Pick<ErasureContext, "subject" | "key">[] {
  return [...erasures.values()].flatMap(({ value, context: { subject, key } }) => (value === "requested" ? [{ subject, key }] : []));
}
