/** The plane's decision on an applied document: the same shape as `decide` for runs, over the document's machine. */
import type { EventDraft } from "../schemas/event.ts";
import type { AppliedFacts } from "../schemas/facts.ts";
import type { AggregateKind, Digest, Namespace } from "../schemas/ids.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import { later } from "../schemas/time.ts";
import { type DocumentContext, documentMachine } from "./document.ts";
import { type Snapshot, begin, step } from "./step.ts";

export type DocumentKind = Extract<AggregateKind, "agent" | "tool" | "policy" | "person" | "issuer" | "budget">;
export const DOCUMENT_KINDS: readonly DocumentKind[] = ["agent", "tool", "policy", "person", "issuer", "budget"];

export interface DocumentState {
  readonly ns: Namespace;
  readonly kind: DocumentKind;
  readonly name: string;
  readonly machine: string;
  seq: number;
  at: string;
  snapshot: Snapshot<DocumentContext>;
  readonly inputs: Map<string, Digest>;
}

export interface DocumentInput {
  readonly actor: string;
  readonly id: string;
  readonly hash: Digest;
  readonly time: string;
  readonly document: Digest;
}

export interface DocumentChange {
  readonly seq: number;
  readonly at: string;
  readonly snapshot: Snapshot<DocumentContext>;
  readonly input: readonly [string, Digest];
}

export type DocumentDecision =
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: DocumentChange }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] };

export function emptyDocument(ns: Namespace, kind: DocumentKind, name: string, machine: string): DocumentState {
  const snapshot = begin<DocumentContext>(documentMachine, { applied: `${kind}.applied` }).next;
  return { ns, kind, name, machine, seq: 0, at: "", snapshot, inputs: new Map() };
}

export function decideDocument(state: DocumentState, input: DocumentInput, facts: AppliedFacts): DocumentDecision {
  const key = `apply/${input.actor}/${input.id}`;
  const known = state.inputs.get(key);
  if (known === input.hash) return { kind: "duplicate" };
  if (known !== undefined) {
    return { kind: "refuse", reasons: [reason("id.reused", `id \`${input.id}\` was used before with other content`, { path: "/id" })] };
  }
  if (facts.faults.length > 0) return { kind: "refuse", reasons: facts.faults };
  const taken = step(documentMachine, state.snapshot, { type: "APPLY", document: input.document } as { type: string });
  // the version in force, applied again: said and done, nothing to record
  if (taken === undefined) return { kind: "duplicate" };
  const drafts = taken.effects.map((effect) => effect.params as EventDraft);
  const at = state.at === "" ? input.time : later(state.at, input.time);
  return {
    kind: "commit",
    drafts,
    change: { seq: state.seq + drafts.length, at, snapshot: taken.next, input: [key, input.hash] },
  };
}

export function evolveDocument(state: DocumentState, change: DocumentChange): void {
  state.seq = change.seq;
  state.at = change.at;
  state.snapshot = change.snapshot;
  state.inputs.set(change.input[0], change.input[1]);
}
