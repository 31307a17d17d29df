/**
 * Emergency stops and revocations (GUARD-9, ID-2): one aggregate per namespace, each entry a small machine of its own.
 * Who may be stopped is asked by the coordinator; here stands what was stopped, by whom, and who lifted it.
 */
import { setup } from "xstate";
import type { EventDraft } from "../schemas/event.ts";
import type { GuardFacts, PersonFacts } from "../schemas/facts.ts";
import { type Digest, type Namespace, type StopId, stopIdSchema } from "../schemas/ids.ts";
import type { GuardControl, Scope } from "../schemas/inputs.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import { later } from "../schemas/time.ts";
import { took } from "./record.ts";
import { type Snapshot, begin, step } from "./step.ts";

export interface StopContext {
  readonly stop: StopId;
  readonly kind: "stop" | "revocation";
  readonly scope: Scope;
  /** NATS name of whoever made it, and the person behind it where one is known. */
  readonly by: string;
  readonly person: PersonFacts | null;
  readonly reason: string;
}

export type StopEvent =
  | { readonly type: "STOP" }
  | { readonly type: "LIFT"; readonly by: string; readonly person: PersonFacts | null; readonly reason: string };

interface Args {
  readonly context: StopContext;
  readonly event: StopEvent;
}

/** Another person, not only another name of the same one. */
export function isOther({ by, person }: Pick<StopContext, "by" | "person">, other: { readonly by: string; readonly person: PersonFacts | null }): boolean {
  if (by === other.by) return false;
  if (person === null || other.person === null) return true;
  return person.issuer !== other.person.issuer || person.subject !== other.person.subject;
}

const byAnother = ({ context, event }: Args) => event.type === "LIFT" && isOther(context, event);
const entryOf = ({ stop, kind, scope }: StopContext) => ({ stop, kind, scope });

export const stopMachine = setup({
  types: { context: {} as StopContext, events: {} as StopEvent, input: {} as StopContext },
  guards: { byAnother },
  actions: { took: (_, _event: unknown) => {} },
}).createMachine({
  id: "stop",
  version: "2",
  options: { maxIterations: 16 },
  context: ({ input }) => input,
  initial: "absent",
  states: {
    absent: {
      on: {
        STOP: {
          target: "standing",
          actions: [took("absent", "standing", "guard.stopped", ({ context }: Args) => ({ ...entryOf(context), by: context.by, reason: context.reason }))],
        },
      },
    },
    standing: {
      on: {
        LIFT: {
          guard: "byAnother",
          target: "lifted",
          actions: [
            took("standing", "lifted", "guard.lifted", ({ context, event }: Args) => {
              if (event.type !== "LIFT") throw new Error("nobody lifted it");
              return { ...entryOf(context), by: event.by, reason: event.reason };
            }),
          ],
        },
      },
    },
    lifted: { type: "final" },
  },
});

export interface GuardState {
  readonly ns: Namespace;
  readonly name: string;
  readonly machine: string;
  seq: number;
  at: string;
  readonly stops: Map<StopId, Snapshot<StopContext>>;
  readonly inputs: Map<string, Digest>;
}

export interface GuardInput {
  readonly actor: string;
  readonly id: string;
  readonly hash: Digest;
  readonly time: string;
  readonly body: GuardControl;
}

export interface GuardChange {
  readonly seq: number;
  readonly at: string;
  readonly stop: readonly [StopId, Snapshot<StopContext>];
  readonly input: readonly [string, Digest];
}

export type GuardDecision =
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: GuardChange }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] };

const refuse = (...reasons: Reason[]): GuardDecision => ({ kind: "refuse", reasons });

export function emptyGuard(ns: Namespace, name: string, machine: string): GuardState {
  return { ns, name, machine, seq: 0, at: "", stops: new Map(), inputs: new Map() };
}

/** Same arguments, same events, byte for byte. `state` is only read. */
export function decideGuard(state: GuardState, input: GuardInput, facts: GuardFacts): GuardDecision {
  const { body, actor: by } = input;
  const key = `control/${by}/${input.id}`;
  const known = state.inputs.get(key);
  if (known === input.hash) return { kind: "duplicate" };
  if (known !== undefined) {
    return refuse(reason("id.reused", `id \`${input.id}\` was used before with other content`, { path: "/id" }));
  }
  const said = { by, person: facts.person, reason: body.reason };
  let before: Snapshot<StopContext>;
  let event: StopEvent;
  if (body.verb === "lift") {
    const found = state.stops.get(body.stop);
    if (found === undefined) return refuse(reason("guard.unknown", `there is no stop \`${body.stop}\``, { path: "/stop" }));
    if (found.value === "lifted") return refuse(reason("guard.lifted_before", `\`${body.stop}\` was lifted before`, { path: "/stop" }));
    if (!isOther(found.context, said)) {
      const why = `\`${found.context.by}\` made \`${body.stop}\`, and another person lifts it`;
      return refuse(reason("guard.same_person", why, { help: "ask a second operator" }));
    }
    before = found;
    event = { type: "LIFT", ...said };
  } else {
    if (body.verb === "revoke" && !/^(agent|version|principal|person):/.test(body.scope)) {
      const help = "revoke `agent:…`, `version:…`, `principal:…` or `person:…`; anything else is stopped";
      return refuse(reason("guard.not_revocable", `\`${body.scope}\` is nobody who could be revoked`, { path: "/scope", help }));
    }
    const stop = stopIdSchema.parse(`s${state.seq + 1}`);
    const context: StopContext = { stop, kind: body.verb === "stop" ? "stop" : "revocation", scope: body.scope, ...said };
    before = begin<StopContext>(stopMachine, context).next;
    event = { type: "STOP" };
  }
  const taken = step(stopMachine, before, event);
  if (taken === undefined) throw new Error(`a stop that is ${before.value} does not take ${event.type}`);
  const drafts = taken.effects.map((effect) => effect.params as EventDraft);
  return {
    kind: "commit",
    drafts,
    change: {
      seq: state.seq + drafts.length,
      at: state.at === "" ? input.time : later(state.at, input.time),
      stop: [taken.next.context.stop, taken.next],
      input: [key, input.hash],
    },
  };
}

export function evolveGuard(state: GuardState, change: GuardChange): void {
  state.seq = change.seq;
  state.at = change.at;
  state.stops.set(change.stop[0], change.stop[1]);
  state.inputs.set(change.input[0], change.input[1]);
}
