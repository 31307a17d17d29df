/** Inputs of a run, and what the plane decides on one. */
import type { EventDraft } from "../../schemas/event.ts";
import type { Actor, Digest } from "../../schemas/ids.ts";
import type { ApplyChangeInput, ControlInput, DecisionInput, DueInput, ReportInput, SignalInput } from "../../schemas/inputs.ts";
import type { Proposal } from "../../schemas/proposal.ts";
import type { Reason } from "../../schemas/reason.ts";
import type { Change } from "./state.ts";

/**
 * Actions of one run that have not ended. The end of a run ends them all in one commit, with at most three events
 * each, and the journal takes at most 1,000 messages at once.
 */
export const MAX_OPEN_ACTIONS = 256;

interface From {
  readonly actor: Actor;
  /** The sender's id of the input; for a due timer its name. */
  readonly id: string;
  /** SHA-256 of the body's canonical form. */
  readonly hash: Digest;
  /** The server's time on the stored input. */
  readonly time: string;
  readonly traceparent: string | undefined;
}
export type RunInput = From &
  (
    | { readonly kind: "propose"; readonly body: Proposal }
    | { readonly kind: "decide"; readonly body: DecisionInput }
    | { readonly kind: "report"; readonly body: ReportInput }
    | { readonly kind: "control"; readonly body: ControlInput }
    /** Several documents are to be put in force: a run of the plane's own agent. */
    | { readonly kind: "apply"; readonly body: ApplyChangeInput }
    /** An answer of another aggregate; `actor` is its token. */
    | { readonly kind: "signal"; readonly body: SignalInput }
    | { readonly kind: "due"; readonly body: DueInput }
  );

export type Decision =
  /** These events, this change, both or neither. */
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: Change }
  /** Applied before: the sender is told again how things stand. */
  | { readonly kind: "duplicate" }
  /** Nothing happens to the run; the sender is told why. */
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] }
  /** A timer that was replaced or is no longer waited for. */
  | { readonly kind: "ignore" };
