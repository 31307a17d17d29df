/** What the action chart's guards ask and what its events carry. Pure functions of context and event. */
import type { Difference, EventData } from "../schemas/event.ts";
import type { DocumentFacts, Need, ToolFacts } from "../schemas/facts.ts";
import type { ActionId, Actor, Digest, RequestId } from "../schemas/ids.ts";
import type { Claim, ProbeAnswer, Removed, Scan, ToolError, Usage } from "../schemas/inputs.ts";
import type { JsonValue } from "../schemas/json.ts";
import type { Judgement } from "../schemas/judgement.ts";
import type { ToolProposal } from "../schemas/proposal.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import { later, plusMillis } from "../schemas/time.ts";

/** A claim that brings no report is given up this long after the tool's own time-out, in ms. */
export const CLAIM_GRACE_MS = 5_000;
const BACKOFF_BASE_MS = 500;
const BACKOFF_MAX_MS = 60_000;
const PROBE_BACKOFF_BASE_MS = 1_000;
const PROBE_BACKOFF_MAX_MS = 300_000;

export interface ActionContext {
  readonly id: ActionId;
  readonly proposal: string;
  readonly agent: Actor;
  readonly tool: string;
  readonly documents: DocumentFacts;
  readonly effect: "read" | "write" | "irreversible";
  readonly timeoutMs: number;
  readonly digest: Digest | undefined;
  /** Text of the action document; dropped when the action has ended. */
  readonly document: string | undefined;
  /** 0 until the first dispatch. */
  readonly attempt: number;
  readonly claim: Claim | undefined;
  /** The timer that this state waits for: when, and the first sequence of the commit that armed it. */
  readonly timer: { readonly at: string; readonly armed: number } | undefined;
  readonly output: JsonValue | undefined;
  readonly error: ToolError | undefined;
  /** An earlier attempt may have taken effect: whatever later ones say of themselves, nobody can say that nothing happened. */
  readonly doubt: boolean;
  readonly reasons: readonly Reason[] | undefined;
  /** The approval that it rests on. A claim counts its persons again, and a policy's yes needs a principal that still holds. */
  readonly rests: Rests | undefined;
  readonly basis: Basis;
}

/** What an action was proposed and judged as. Apart from the context, which may not grow: see `CONTEXT_FIELDS`. */
export interface Basis {
  /** What was proposed, and the facts that it was judged by last; dropped when the action has ended. */
  readonly asked: ToolProposal | undefined;
  readonly facts: ToolFacts | undefined;
  /** What it is about in money, in ten-thousandths of the currency's unit. */
  readonly amount: { readonly units: number; readonly currency: string; readonly group?: string | undefined } | undefined;
  /** The action that this one replaces, who edited it, and how they differ. */
  readonly edited: Edited | undefined;
  /** Attempts that were sent back to judgement when they were to be claimed: they are no tries. */
  readonly unbegun: number;
  /** How often the tool was asked what became of this attempt. */
  readonly probes: number;
}

/**
 * XState copies a context at every step with `Object.assign`, which takes 60 ns up to this many fields, and 4 µs beyond
 * (V8 13: the copy then becomes a dictionary). A test holds the context to it.
 */
export const CONTEXT_FIELDS = 19;

export interface Rests {
  readonly by: "policy" | "person" | "standing";
  /** The request that persons agreed to. */
  readonly request: RequestId | undefined;
}

export interface Edited {
  readonly from: ActionId;
  readonly by: string;
  readonly diff: readonly Difference[];
}

export interface ActionInput {
  readonly id: ActionId;
  readonly proposal: string;
  readonly agent: Actor;
  readonly tool: string;
  readonly asked: ToolProposal;
  readonly amount: Basis["amount"];
  readonly edited: Edited | undefined;
}

export type Outcome =
  | {
      readonly status: "succeeded";
      readonly output: JsonValue;
      readonly removed: Removed[];
      readonly usage: Usage | undefined;
      readonly scan: Scan | undefined;
      /** What the plane's own check of the output found. */
      readonly faults: Reason[];
    }
  | { readonly status: "failed"; readonly error: ToolError };

interface Common {
  readonly at: string;
  /** Sequence of the first event of this commit. */
  readonly seq: number;
  /** The run is paused: what is approved waits. */
  readonly held: boolean;
  /** The run has ended: what was in flight is recorded, nothing is begun again. */
  readonly over: boolean;
}

export type ActionEvent =
  | (Common & {
      readonly type: "JUDGE";
      readonly facts: ToolFacts;
      readonly document: { readonly text: string; readonly digest: Digest } | undefined;
      /** A budget of the run that this action would overdraw. */
      readonly exhausted: Reason | undefined;
      /** What has to be leased before anything is judged. */
      readonly missing: readonly Need[];
      /** An approval that stands for this action too, if people would be asked. */
      readonly standing: { readonly request: RequestId; readonly approvers: string[] } | undefined;
    })
  /** An account of the ledger refused what the action needs. */
  | (Common & { readonly type: "EXHAUST"; readonly reasons: Reason[] })
  | (Common & { readonly type: "GRANT"; readonly request: RequestId; readonly approvers: string[] })
  | (Common & { readonly type: "REFUSE"; readonly by: "person" | "expiry" | "change" | "edit"; readonly reasons: Reason[] })
  | (Common & { readonly type: "RELEASE" })
  | (Common & { readonly type: "CLAIM"; readonly claim: Claim; readonly attempt: number })
  /** What was dispatched is not to be begun (law 9), or what a read brought is not to be given to the agent. */
  | (Common & { readonly type: "HALT"; readonly code: string; readonly message: string; readonly done: boolean; readonly reasons: Reason[] })
  | (Common & { readonly type: "REPORT"; readonly claim: Claim; readonly attempt: number; readonly outcome: Outcome })
  | (Common & { readonly type: "DUE"; readonly armed: number })
  /** The tool's answer, or that it could not be asked. */
  | (Common & {
      readonly type: "PROBED";
      readonly attempt: number;
      readonly number: number;
      readonly found: ProbeAnswer["found"];
      readonly by: Actor;
      readonly outcome: Outcome;
    })
  | (Common & { readonly type: "RESOLVE"; readonly outcome: Outcome })
  | (Common & { readonly type: "CANCEL"; readonly reason: string });

export interface Args {
  readonly context: ActionContext;
  readonly event: ActionEvent;
}

const NOT_REPORTED: ToolError = {
  code: "tool.deadline",
  message: "no report came before the deadline",
  effect: "unknown",
};

/** Only JUDGE leads through the states that ask for this. A missing judgement is nobody's yes. */
export function judgementOf(event: ActionEvent): Judgement {
  const judgement = event.type === "JUDGE" ? event.facts.judgement : undefined;
  return judgement ?? { decision: "deny", policies: [], reasons: [], errors: ["there was no judgement"], engine: "none" };
}

export function denialReasons(judgement: Judgement): Reason[] {
  const errors = judgement.errors.map((error) => reason("policy.error", error));
  const policies = judgement.policies.map((policy) =>
    reason("policy.forbidden", `policy \`${policy.id}\` forbids it`, {
      ...(policy.file && { help: `${policy.file}${policy.line === undefined ? "" : `:${policy.line}`}` }),
    }),
  );
  // the engine's summary says nothing that the named policies do not
  const others = judgement.reasons.filter(({ code }) => code !== "policy.forbidden" || policies.length === 0);
  const all = [...errors, ...policies, ...others];
  if (all.length > 0) return all;
  return [reason("policy.no_permit", "no policy permits it", { help: "what no policy permits is denied" })];
}

export function outcomeOf(event: ActionEvent): Outcome {
  if (event.type === "REPORT" || event.type === "PROBED" || event.type === "RESOLVE") return event.outcome;
  return { status: "failed", error: NOT_REPORTED };
}

export const succeeded = ({ event }: Args) => outcomeOf(event).status === "succeeded";

export function errorOf(event: ActionEvent): ToolError {
  const outcome = outcomeOf(event);
  return outcome.status === "failed" ? outcome.error : NOT_REPORTED;
}

/**
 * What the action's end says of the world: the attempt's own word, and the doubt that earlier attempts left. Persons and
 * probes are asked about all that was attempted: their word lifts that doubt too.
 */
export function endOfAction({ context, event }: Args): ToolError {
  const error = errorOf(event);
  const all = event.type === "RESOLVE" || event.type === "PROBED";
  return context.doubt && error.effect === "none" && !all ? { ...error, effect: "unknown" } : error;
}

/** Whether doubt remains after this attempt. A read changes nothing, whatever became of it. */
export const leavesDoubt = (args: Args) => args.context.effect !== "read" && endOfAction(args).effect === "unknown";

/** May be tried again: it certainly did nothing, or doing it twice is the same as doing it once. */
export function repeatable({ context, event }: Args): boolean {
  const { effect } = errorOf(event);
  return effect === "none" || (effect === "unknown" && (context.effect === "read" || context.basis.facts?.tool?.idempotent === true));
}

export const retriesLeft = (args: Args) =>
  !args.event.over && repeatable(args) && args.context.attempt - args.context.basis.unbegun <= (args.context.basis.facts?.tool?.retries ?? 0);

/**
 * Nobody knows what it did, and it is not tried again (EXEC-7). A read did nothing, whatever became of it; any write may
 * have done what it was to do, also an idempotent one that has no retries left, and must not be called a failure.
 */
export const unknowable = (args: Args) => outcomeOf(args.event).status === "failed" && leavesDoubt(args);

/** The output does not fit the tool's output schema: junk is no success. */
export const junk = ({ event }: Args) => {
  const outcome = outcomeOf(event);
  return outcome.status === "succeeded" && outcome.faults.length > 0;
};

/** A report counts only from the holder of the claim (law 9). */
export const byHolder = ({ context, event }: Args) =>
  event.type === "REPORT" &&
  event.attempt === context.attempt &&
  event.claim.gateway === context.claim?.gateway &&
  event.claim.nonce === context.claim.nonce;

/** A read may be reported without having been claimed: the report is claim and result in one. */
export const unclaimedRead = ({ context, event }: Args) =>
  event.type === "REPORT" && context.effect === "read" && event.attempt === context.attempt;

export const sameAttempt = ({ context, event }: Args) => event.type === "CLAIM" && event.attempt === context.attempt;

export const documentsDiffer = (a: DocumentFacts, b: DocumentFacts): boolean =>
  a.contract !== b.contract || a.tool !== b.tool || a.policy !== b.policy;

/** Not a timer that was replaced meanwhile. */
export const currentTimer = ({ context, event }: Args) => event.type === "DUE" && event.armed === context.timer?.armed;

/** Exponential, with a jitter taken from the digest: spread out, and the same in every replay. */
export function retryAt({ context, event }: Args): string {
  const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (context.attempt - 1));
  const from = "sha256:".length + (context.attempt % 60);
  const jitter = Number.parseInt(context.digest?.slice(from, from + 4) ?? "0", 16) / 0xffff;
  return plusMillis(event.at, Math.round(wait * (1 + jitter / 2)));
}

export const claimDeadline = ({ context, event }: Args) => plusMillis(event.at, context.timeoutMs + CLAIM_GRACE_MS);

/** How the tool is asked what became of an attempt; undefined when it cannot be. */
const probeOf = (context: ActionContext) => context.basis.facts?.tool?.probe;

const probesLeft = (context: ActionContext) => context.basis.probes < (probeOf(context)?.tries ?? 0);

/**
 * When an attempt in doubt is probed first: when its own time is over, however early the doubt came. Until then the call
 * may be on its way, and a tool that says that it did nothing could still do it. A call that is behind its deadline is
 * refused by the tool.
 */
export function firstProbe({ context, event }: Args): ActionContext["timer"] {
  if (!probesLeft(context)) return undefined;
  return { at: later(context.timer?.at ?? event.at, event.at), armed: event.seq };
}

/** Exponential: 1 s after the first answer that says nothing, then 4 s, up to five minutes. */
export function nextProbe({ context, event }: Args): ActionContext["timer"] {
  if (!probesLeft(context)) return undefined;
  const wait = Math.min(PROBE_BACKOFF_MAX_MS, PROBE_BACKOFF_BASE_MS * 4 ** (context.basis.probes - 1));
  return { at: plusMillis(event.at, wait), armed: event.seq };
}

/** The answer is waited for as long as a claim's report would be. */
export const probeDeadline = ({ context, event }: Args): ActionContext["timer"] => ({
  at: plusMillis(event.at, (probeOf(context)?.timeout_ms ?? 0) + CLAIM_GRACE_MS),
  armed: event.seq,
});

/** An answer counts once, to the question that is open. */
export const answersProbe = ({ context, event }: Args) =>
  event.type === "PROBED" && event.attempt === context.attempt && event.number === context.basis.probes;

/** A probe that said `none` lets the attempt be repeated: the word of its own holder that it was done comes in time until then. */
export const belied = (args: Args) => args.context.basis.probes > 0 && byHolder(args) && succeeded(args);

const probeAt = ({ timer }: ActionContext) => (timer === undefined ? {} : { probe_at: timer.at });

const of = (context: ActionContext) => ({ action: context.id, attempt: Math.max(1, context.attempt) });

/** Whose yes it is that lets an action go. */
export function restsOn(event: ActionEvent): Rests {
  if (event.type === "GRANT") return { by: "person", request: event.request };
  const asked = event.type === "JUDGE" && judgementOf(event).decision === "ask";
  return asked ? { by: "standing", request: event.standing?.request } : { by: "policy", request: undefined };
}

/** What an attempt that never began leaves behind: nothing, but for what earlier ones may have done. */
export const unbegun = (context: ActionContext) => (context.doubt ? ("unknown" as const) : ("none" as const));

/** Data of the events, by type. */
export const recorded = {
  rejected: ({ context }: Args): EventData<"action.rejected"> => ({
    action: context.id,
    reasons: [...(context.reasons ?? [])],
  }),
  validated: ({ context }: Args): EventData<"action.validated"> => {
    if (context.digest === undefined || context.document === undefined) throw new Error("an action without a document");
    return { action: context.id, digest: context.digest, document: context.document };
  },
  requested: ({ context, event }: Args): EventData<"budget.requested"> => ({
    action: context.id,
    needs: event.type === "JUDGE" ? [...event.missing] : [],
  }),
  denied:
    (by: "policy" | "budget" | "stop" | "answer") =>
    ({ context, event }: Args): EventData<"action.denied"> => ({
      action: context.id,
      by: by !== "answer" ? by : event.type === "REFUSE" ? event.by : "change",
      reasons: [...(context.reasons ?? [])],
    }),
  approved: ({ context, event }: Args): EventData<"action.approved"> => {
    const { by, request } = restsOn(event);
    return {
      action: context.id,
      by,
      policies: event.type === "JUDGE" ? judgementOf(event).policies.map((policy) => policy.id) : [],
      approvers: event.type === "GRANT" ? event.approvers : by === "standing" && event.type === "JUDGE" ? (event.standing?.approvers ?? []) : [],
      ...(by === "standing" && request !== undefined && { standing: request }),
    };
  },
  dispatched: ({ context }: Args): EventData<"action.dispatched"> => {
    if (context.digest === undefined) throw new Error("an action without a document");
    return { ...of(context), tool: context.tool, digest: context.digest };
  },
  started: (args: Args): EventData<"action.started"> => {
    if (args.context.claim === undefined) throw new Error("an action started without a claim");
    return { ...of(args.context), claim: args.context.claim, deadline: claimDeadline(args) };
  },
  succeeded: ({ context, event }: Args): EventData<"action.succeeded"> => {
    const outcome = outcomeOf(event);
    if (outcome.status !== "succeeded") throw new Error("a failed attempt is no success");
    const { output, removed, usage, scan } = outcome;
    return { ...of(context), output, removed, ...(usage && { usage }), ...(scan && { scan }) };
  },
  verified: ({ context }: Args): EventData<"action.verified"> => of(context),
  failed: ({ context }: Args): EventData<"action.failed"> => ({
    ...of(context),
    error: context.error ?? NOT_REPORTED,
    ...(context.reasons && { reasons: [...context.reasons] }),
  }),
  retrying: ({ context }: Args): EventData<"action.retrying"> => ({
    ...of(context),
    error: context.error ?? NOT_REPORTED,
    retry_at: context.timer?.at ?? "",
  }),
  inDoubt: ({ context }: Args): EventData<"action.in_doubt"> => ({ ...of(context), error: context.error ?? NOT_REPORTED, ...probeAt(context) }),
  probing: ({ context }: Args): EventData<"action.probing"> => ({ ...of(context), probe: Math.max(1, context.basis.probes), deadline: context.timer?.at ?? "" }),
  probed: ({ context, event }: Args): EventData<"action.probed"> => {
    const { found, by, outcome } = event.type === "PROBED" ? event : ({ found: "unanswered" } as const);
    return {
      ...of(context),
      probe: Math.max(1, context.basis.probes),
      found,
      ...(by !== undefined && { by }),
      ...(outcome?.status === "failed" && { error: outcome.error }),
      ...probeAt(context),
    };
  },
} as const;
