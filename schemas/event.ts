/**
 * Events: what happened, one CloudEvent each, for ever. The names below are the contract with every subscriber:
 * more may be added, none renamed. Own fields of a type are in `data`; the first event of a commit also carries
 * the input that caused it and the facts it rests on (law 2).
 */
import { z } from "zod";
import { factsSchema, needSchema, principalSchema } from "./facts.ts";
import { actionIdSchema, digestSchema, ledgerNameSchema, requestIdSchema, stopIdSchema } from "./ids.ts";
import { claimSchema, removedSchema, scanSchema, scopeSchema, standingSchema, toolErrorSchema, unitSchema, usageSchema, windowSchema } from "./inputs.ts";
import { jsonValueSchema } from "./json.ts";
import { labelSchema } from "./label.ts";
import { reasonSchema } from "./reason.ts";
import { keyIdSchema, pseudonymSchema } from "./sealed.ts";

/** Travels with the run through every hop (CORE-7). */
export const envelopeSchema = z.strictObject({
  agent: z.strictObject({ name: z.string(), version: z.string().optional() }),
  owner: z.string(),
  team: z.string(),
  project: z.string().optional(),
  principal: principalSchema.nullable(),
  /**
   * The chain of delegation, from the principal to the agent that acts (ID-3): `principal:<issuer>|<subject>`,
   * `agent:<name>`. Also in the cause of every event of the run.
   */
  chain: z.array(z.string()).optional(),
  documents: z.strictObject({
    contract: digestSchema.optional(),
    tool: digestSchema.optional(),
    policy: digestSchema.optional(),
  }),
  /** What remains after contract, proposal and deadline were narrowed to one. */
  budget: z.strictObject({
    max_steps: z.int().min(0).optional(),
    max_cost_micro_usd: z.int().min(0).optional(),
    max_wall_ms: z.int().positive().optional(),
    max_input_tokens: z.int().min(0).optional(),
    max_output_tokens: z.int().min(0).optional(),
    max_depth: z.int().min(0).optional(),
    pause_at_half: z.boolean().optional(),
  }),
  deadline: z.string().optional(),
  traceparent: z.string().optional(),
});
export type Envelope = z.infer<typeof envelopeSchema>;

const action = { action: actionIdSchema };
const attempt = { ...action, attempt: z.int().min(1) };
const request = { ...action, request: requestIdSchema };
const by = { by: z.string(), reason: z.string().optional() };
const account = { ledger: ledgerNameSchema, unit: unitSchema, window: windowSchema };
const applied = { document: digestSchema, version: z.int().min(1), previous: digestSchema.optional() };
/** One difference between two inputs; a side is absent where the member is. */
export const differenceSchema = z.strictObject({ path: z.string(), before: jsonValueSchema.optional(), after: jsonValueSchema.optional() });
export type Difference = z.infer<typeof differenceSchema>;

/** Reserved, or settled; absent for a tool that declares none. */
const tokens = { input_tokens: z.int().min(0).optional(), output_tokens: z.int().min(0).optional() };

/** Own fields of each event type. */
export const eventData = {
  "run.started": z.strictObject({ envelope: envelopeSchema, goal: z.string() }),
  "run.refused": z.strictObject({ reasons: z.array(reasonSchema) }),
  "run.paused": z.strictObject(by),
  "run.resumed": z.strictObject(by),
  "run.completed": z.strictObject({ output: jsonValueSchema.optional() }),
  "run.failed": z.strictObject({ error: jsonValueSchema }),
  "run.cancelled": z.strictObject(by),
  "action.proposed": z.strictObject({
    ...action,
    proposal: z.string(),
    tool: z.string(),
    agent: z.string(),
    /** The action that an approver edited, and who did: this one stands in its place. */
    edited: z.strictObject({ from: actionIdSchema, by: z.string() }).optional(),
  }),
  "action.rejected": z.strictObject({ ...action, reasons: z.array(reasonSchema) }),
  "action.validated": z.strictObject({
    ...action,
    digest: digestSchema,
    /** RFC 8785 text of the action document; its UTF-8 bytes are what `digest` is over. */
    document: z.string(),
  }),
  "action.denied": z.strictObject({
    ...action,
    by: z.enum(["policy", "person", "expiry", "budget", "change", "edit", "stop"]),
    reasons: z.array(reasonSchema),
  }),
  "action.approved": z.strictObject({
    ...action,
    by: z.enum(["policy", "person", "standing"]),
    policies: z.array(z.string()),
    approvers: z.array(z.string()),
    /** The request whose approval stands, when `by` is `standing`. */
    standing: requestIdSchema.optional(),
  }),
  "action.dispatched": z.strictObject({ ...attempt, tool: z.string(), digest: digestSchema }),
  "action.started": z.strictObject({ ...attempt, claim: claimSchema, deadline: z.string() }),
  "action.succeeded": z.strictObject({
    ...attempt,
    output: jsonValueSchema,
    removed: z.array(removedSchema),
    usage: usageSchema.optional(),
    scan: scanSchema.optional(),
  }),
  "action.verified": z.strictObject(attempt),
  "action.failed": z.strictObject({ ...attempt, error: toolErrorSchema, reasons: z.array(reasonSchema).optional() }),
  "action.retrying": z.strictObject({ ...attempt, error: toolErrorSchema, retry_at: z.string() }),
  "action.in_doubt": z.strictObject({
    ...attempt,
    error: toolErrorSchema,
    /** When the tool's probe is asked; absent where a person has to find out. */
    probe_at: z.string().optional(),
  }),
  /** The tool is asked, for the time of this number. `deadline`: when no answer is waited for any more. */
  "action.probing": z.strictObject({ ...attempt, probe: z.int().min(1), deadline: z.string() }),
  "action.probed": z.strictObject({
    ...attempt,
    probe: z.int().min(1),
    found: z.enum(["done", "none", "unknown", "unanswered"]),
    /** The gateway that asked; absent when none answered in time. */
    by: z.string().optional(),
    /** What the tool said of it, or why it could not be asked. */
    error: toolErrorSchema.optional(),
    /** When it is asked again; absent when it is not. */
    probe_at: z.string().optional(),
  }),
  "approval.requested": z.strictObject({
    ...request,
    /** RFC 8785 text of what the approver is shown; `digest` is over its UTF-8 bytes. */
    view: z.string(),
    digest: digestSchema,
    role: z.string(),
    count: z.int().min(1),
    expires_at: z.string(),
  }),
  "approval.granted": z.strictObject({
    ...request,
    ...by,
    /** The person behind the NATS name: persons are counted, not names. */
    person: z.strictObject({ issuer: z.string(), subject: z.string() }).optional(),
    digest: digestSchema,
    grants: z.int(),
    count: z.int(),
    standing: standingSchema.optional(),
  }),
  "approval.edited": z.strictObject({
    ...request,
    ...by,
    digest: digestSchema,
    /** The action with the new input, proposed in the same commit. */
    replacement: actionIdSchema,
    diff: z.array(differenceSchema),
  }),
  "approval.refused": z.strictObject({ ...request, ...by, digest: digestSchema }),
  "approval.expired": z.strictObject(request),
  "approval.stale": z.strictObject({ ...request, reason: z.string() }),
  "budget.reserved": z.strictObject({ ...action, cost_micro_usd: z.int(), ...tokens }),
  "budget.settled": z.strictObject({ ...action, cost_micro_usd: z.int(), reserved_micro_usd: z.int(), ...tokens }),
  "budget.exhausted": z.strictObject({
    action: actionIdSchema.optional(),
    budget: z.enum(["steps", "cost", "wall", "deadline", "input_tokens", "output_tokens", "ledger"]),
    limit: z.number(),
    used: z.number(),
    /** The account that refused, when `budget` is `ledger`. */
    ledger: ledgerNameSchema.optional(),
  }),
  "budget.warned": z.strictObject({ budget: z.enum(["steps", "cost", "wall", "input_tokens", "output_tokens"]), limit: z.number(), used: z.number() }),
  "budget.requested": z.strictObject({ ...action, needs: z.array(needSchema) }),
  "budget.leased": z.strictObject({ ...account, granted: z.int().min(0), total: z.int().min(0), cap: z.int().min(0).optional() }),
  "budget.returned": z.strictObject({ ...account, unused: z.int().min(0), last: z.boolean() }),
  "taint.raised": z.strictObject({ ...action, tool: z.string(), tainted: z.boolean(), labels: z.array(labelSchema) }),
  "taint.lowered": z.strictObject({
    /** The person, or `signalbox` for a cleansing tool. */
    ...by,
    action: actionIdSchema.optional(),
    labels: z.array(labelSchema),
  }),
  "note.recorded": z.strictObject({ text: z.string() }),
  "agent.applied": z.strictObject(applied),
  "tool.applied": z.strictObject(applied),
  "policy.applied": z.strictObject(applied),
  "person.applied": z.strictObject(applied),
  "issuer.applied": z.strictObject(applied),
  "budget.applied": z.strictObject(applied),
  "ledger.leased": z.strictObject({ ...account, run: z.string(), granted: z.int().min(0), total: z.int().min(0), cap: z.int().min(0).optional() }),
  "ledger.refused": z.strictObject({ ...account, run: z.string(), need: z.int().min(0), total: z.int().min(0), cap: z.int().min(0).optional() }),
  "ledger.returned": z.strictObject({ ...account, run: z.string(), unused: z.int().min(0), total: z.int().min(0), last: z.boolean() }),
  "guard.stopped": z.strictObject({ stop: stopIdSchema, kind: z.enum(["stop", "revocation"]), scope: scopeSchema, by: z.string(), reason: z.string() }),
  "guard.lifted": z.strictObject({ stop: stopIdSchema, kind: z.enum(["stop", "revocation"]), scope: scopeSchema, by: z.string(), reason: z.string() }),
  /** Runs whose start is stored at `from` or later belong to the segment; see `schemas/segments.ts` for when it counts. */
  "segments.opened": z.strictObject({ segment: z.int().min(2), from: z.string(), by: z.string() }),
  /** Nothing is added to its runs any more. `index`: the document that lists them; see `schemas/run-list.ts`. */
  "segments.sealed": z.strictObject({ segment: z.int().min(1), runs: z.int().min(0), index: digestSchema }),
  /** Nothing sealed under the key is opened any more; who the subject is only a keyed hash says. */
  "erasure.requested": z.strictObject({ subject: pseudonymSchema, key: keyIdSchema, by: z.string(), reason: z.string() }),
  /** The key was overwritten in the store. */
  "erasure.completed": z.strictObject({ subject: pseudonymSchema, key: keyIdSchema }),
} as const;

export type EventType = keyof typeof eventData;
export const EVENT_TYPES = Object.keys(eventData) as EventType[];
export type EventData<T extends EventType> = z.infer<(typeof eventData)[T]>;

/** Names that the wire reserves for capabilities to come; nobody else may give them another meaning. */
export const RESERVED_EVENT_TYPES: readonly string[] = [
  "run.handed_off",
  "action.compensating",
  "action.compensated",
  "plan.accepted",
  "plan.rejected",
  "plan.completed",
  "plan.rolled_back",
  "loop.detected",
  "snapshot.taken",
];

/** Which input this commit answers. `id` is the sender's, or the timer's name for `due`. */
export const causeSchema = z.strictObject({
  id: z.string(),
  kind: z.enum(["propose", "decide", "report", "control", "apply", "signal", "due"]),
  actor: z.string(),
  /** The server's time on the stored input. */
  time: z.string(),
  traceparent: z.string().optional(),
  /** The run's chain of delegation; see the envelope. From machine version 2 on. */
  chain: z.array(z.string()).optional(),
});
export type Cause = z.infer<typeof causeSchema>;

/** The input's content and the facts it was judged with, in `data` of a commit's first event. */
export const premiseSchema = z.strictObject({
  input: jsonValueSchema,
  /** SHA-256 of the input's canonical form: the same id with other content is refused by it. */
  input_hash: digestSchema,
  facts: factsSchema,
});
export type Premise = z.infer<typeof premiseSchema>;

/** What a machine records; the committer adds place, time and chain. */
export type EventDraft = {
  [T in EventType]: { readonly type: T; readonly from: string; readonly to: string; readonly data: EventData<T> };
}[EventType];

/** Body of a journal event, as encoded (MessagePack, sorted keys). */
export interface EventBody {
  /** Version of this form. */
  readonly v: 1;
  readonly ns: string;
  /** Name of the aggregate: a run, tool, agent or policy set. */
  readonly run: string;
  /** From 1 in the aggregate. */
  readonly seq: number;
  /** Place in its commit, from 1: `[i, n]`. */
  readonly part: readonly [number, number];
  readonly at: string;
  readonly type: EventType;
  readonly from: string;
  readonly to: string;
  readonly cause: Cause;
  /** Version of the machine that computed it. */
  readonly machine: string;
  readonly data: Record<string, unknown>;
  /** SHA-256 over subject, line feed and body of the aggregate's previous event; 32 zero bytes for the first. */
  readonly prev: Uint8Array;
}

export const CHAIN_START: Uint8Array = new Uint8Array(32);
