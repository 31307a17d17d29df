/** Bodies of CONTROL: decisions of approvers, reports of gateways, controls of operators, applied documents, signals. */
import { z } from "zod";
import { actionIdSchema, actorSchema, digestSchema, inputIdSchema, ledgerNameSchema, requestIdSchema, stopIdSchema } from "./ids.ts";
import { labelSchema } from "./label.ts";
import { jsonValueSchema } from "./json.ts";
import { keyIdSchema, pseudonymSchema } from "./sealed.ts";

const reasonText = z.string().max(4096);

const jsonPointer = z.string().max(512).regex(/^(\/([^/~]|~[01])*)*$/, "expected a JSON pointer as `/amount_usd`");
const positiveDecimal = z.string().max(40).regex(/^(0|[1-9][0-9]*)(\.[0-9]+)?$/, "expected a decimal as `19.99`");

/**
 * An approval for the same shape of action within the run (APP-3): everything of the input but what may vary is the
 * same. Within what the contract's `standing_approval` allows, and never for irreversible or tainted actions.
 */
export const standingSchema = z.strictObject({
  /** JSON pointers into the input. */
  vary: z.array(jsonPointer).max(64),
  /** In the tool's amount, each use and all uses together. */
  max_amount: positiveDecimal.optional(),
  max_total: positiveDecimal.optional(),
  uses: z.int().min(1).max(10_000),
  expires_seconds: z.int().min(1).max(31_622_400),
});
export type Standing = z.infer<typeof standingSchema>;

export const decisionSchema = z
  .strictObject({
    id: inputIdSchema,
    request: requestIdSchema,
    decision: z.enum(["approve", "refuse", "edit"]),
    /** Hash of the bytes that the approver was shown; never fetched on the approver's behalf. */
    digest: digestSchema,
    /** The new input, when the decision is `edit`: it becomes an action of its own, judged anew. */
    input: jsonValueSchema.optional(),
    /** With `approve`: also for later actions of the same shape in this run. */
    standing: standingSchema.optional(),
    reason: reasonText.optional(),
  })
  .refine(({ decision, input }) => (decision === "edit") === (input !== undefined), { path: ["input"], message: "an `input` belongs to the decision `edit`, and to no other" })
  .refine(({ decision, standing }) => standing === undefined || decision === "approve", { path: ["standing"], message: "only an approval can stand" });
export type DecisionInput = z.infer<typeof decisionSchema>;

/** Who executes an attempt. The nonce makes two lives of one gateway two claimants. */
export const claimSchema = z.strictObject({ gateway: actorSchema, nonce: z.string().min(8).max(64) });
export type Claim = z.infer<typeof claimSchema>;

export const usageSchema = z.strictObject({
  cost_usd: z.number().min(0).optional(),
  input_tokens: z.int().min(0).optional(),
  output_tokens: z.int().min(0).optional(),
});
export type Usage = z.infer<typeof usageSchema>;

export const toolErrorSchema = z.strictObject({
  code: z.string().max(128),
  message: z.string().max(4096),
  /** What the failed attempt did outside: nothing, something, or nobody knows. */
  effect: z.enum(["none", "done", "unknown"]),
});
export type ToolError = z.infer<typeof toolErrorSchema>;

/** What the gateway took out of an output before anybody saw it. */
export const removedSchema = z.strictObject({
  path: z.string(),
  reason: z.string(),
  bytes: z.int().min(0),
  sha256: digestSchema,
});
export type Removed = z.infer<typeof removedSchema>;

/** What the gateway's scanner found in an output (GUARD-3, GUARD-10). No guarantee rests on it. */
export const scanSchema = z.strictObject({
  /** Name and version of the scanner, as `signalbox-scan 1`. */
  engine: z.string().max(64),
  findings: z
    .array(
      z.strictObject({
        kind: z.enum(["instructions", "secret", "label"]),
        /** JSON pointer into the output. */
        path: z.string().max(1024),
        /** The rule that matched. */
        rule: z.string().max(64),
        label: labelSchema.optional(),
      }),
    )
    .max(256),
});
export type Scan = z.infer<typeof scanSchema>;

/**
 * A tool's answer to its probe, about everything that was attempted under the action's idempotency key:
 * - `done`: it took effect; the report's output is what it gave, its error what became of it
 * - `none`: it did not, and will not any more
 * - `unknown`: the tool cannot say, or gave no answer
 */
export const probeAnswerSchema = z.strictObject({
  /** Which asking it answers, from 1 in the attempt. */
  number: z.int().min(1),
  found: z.enum(["done", "none", "unknown"]),
});
export type ProbeAnswer = z.infer<typeof probeAnswerSchema>;

export const reportSchema = z
  .strictObject({
    id: inputIdSchema,
    action: actionIdSchema,
    attempt: z.int().min(1),
    claim: claimSchema,
    status: z.enum(["started", "succeeded", "failed", "in_doubt", "probed"]),
    /** With `probed`: what the tool answered when it was asked what became of an attempt in doubt. */
    probe: probeAnswerSchema.optional(),
    output: jsonValueSchema.optional(),
    removed: z.array(removedSchema).max(1000).optional(),
    error: toolErrorSchema.optional(),
    usage: usageSchema.optional(),
    scan: scanSchema.optional(),
  })
  .refine(({ status, probe }) => (status === "probed") === (probe !== undefined), { path: ["probe"], message: "`probe` belongs to the status `probed`, and to no other" });
export type ReportInput = z.infer<typeof reportSchema>;

export const controlSchema = z.discriminatedUnion("verb", [
  z.strictObject({ verb: z.literal("pause"), id: inputIdSchema, reason: reasonText.optional() }),
  z.strictObject({ verb: z.literal("resume"), id: inputIdSchema, reason: reasonText.optional() }),
  z.strictObject({ verb: z.literal("cancel"), id: inputIdSchema, reason: reasonText.optional() }),
  z.strictObject({
    verb: z.literal("resolve"),
    id: inputIdSchema,
    reason: reasonText.optional(),
    action: actionIdSchema,
    /** What a person found out about an attempt in doubt. */
    outcome: z.enum(["succeeded", "failed"]),
    output: jsonValueSchema.optional(),
  }),
  /** A person looked at what the agent was given, and lowers the run's marks; labels not named stay. */
  z.strictObject({
    verb: z.literal("cleanse"),
    id: inputIdSchema,
    reason: reasonText.min(1),
    labels: z.array(labelSchema).max(64).optional(),
  }),
]);
export type ControlInput = z.infer<typeof controlSchema>;

/**
 * What a stop or a revocation is about: `all`, `agent:<name>`, `version:<agent>@<version>`, `tool:<name>`, `team:<name>`,
 * `principal:<issuer>|<subject>`, `person:<actor>` (a person in every role, by its document).
 */
export const scopeSchema = z
  .string()
  .max(1200)
  .regex(/^(all|(agent|tool|team|person):.+|version:[^@]+@.+|principal:[^|]*\|.+)$/, "expected a scope as `agent:refund-assistant`, `tool:stripe.create_refund`, `team:support`, `version:<agent>@<version>`, `principal:<issuer>|<subject>`, `person:<name>` or `all`");
export type Scope = z.infer<typeof scopeSchema>;

/** Controls of the guard, on `in.control.<operator>.guard:stops` (GUARD-9, ID-2). A stop is lifted by a second person. */
export const guardControlSchema = z.discriminatedUnion("verb", [
  z.strictObject({ verb: z.literal("stop"), id: inputIdSchema, scope: scopeSchema, reason: reasonText.min(1) }),
  z.strictObject({ verb: z.literal("revoke"), id: inputIdSchema, scope: scopeSchema, reason: reasonText.min(1) }),
  z.strictObject({ verb: z.literal("lift"), id: inputIdSchema, stop: stopIdSchema, reason: reasonText.min(1) }),
]);
export type GuardControl = z.infer<typeof guardControlSchema>;

/** Controls of the table of segments, on `in.control.<operator>.segments:journal`: the next one is opened before it has to be. */
export const segmentsControlSchema = z.discriminatedUnion("verb", [z.strictObject({ verb: z.literal("open"), id: inputIdSchema, reason: reasonText.optional() })]);
export type SegmentsControl = z.infer<typeof segmentsControlSchema>;
/**
 * Controls of erasures, on `in.control.<operator>.erasure:subjects` (AUD-3): the subject as the tools name it. The plane
 * puts a keyed hash in its place before anything is recorded. `destroyed` is the plane's own word.
 */
export const erasureControlSchema = z.discriminatedUnion("verb", [
  z.strictObject({ verb: z.literal("erase"), id: inputIdSchema, subject: z.string().min(1).max(512), reason: reasonText.min(1) }),
  z.strictObject({ verb: z.literal("destroyed"), id: inputIdSchema, subject: pseudonymSchema, key: keyIdSchema }),
]);
export type ErasureControl = z.infer<typeof erasureControlSchema>;

/** The same as it is recorded. */
export const recordedErasureSchema = z.discriminatedUnion("verb", [
  z.strictObject({ verb: z.literal("erase"), id: inputIdSchema, subject: pseudonymSchema, reason: reasonText.min(1) }),
  z.strictObject({ verb: z.literal("destroyed"), id: inputIdSchema, subject: pseudonymSchema, key: keyIdSchema }),
]);
export type RecordedErasure = z.infer<typeof recordedErasureSchema>;

/** What a ledger counts: micro-USD, requests, or an amount in ten-thousandths of its currency's unit. */
export const unitSchema = z.enum(["cost", "requests", "amount"]);
export type Unit = z.infer<typeof unitSchema>;

/** A day (`2026-11-21`) or a minute (`2026-11-21T09:30`), in UTC. */
export const windowSchema = z.string().regex(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?$/, "a window is a day or a minute in UTC");

const account = { ledger: ledgerNameSchema, unit: unitSchema, window: windowSchema };
const count = z.int().min(0);

/**
 * Messages between aggregates, on `in.signal.<from>.<to>.<name>`; the coordinator alone sends them. Each is owed until
 * it is answered, and an answer is given again whenever it is asked for again.
 */
export const signalSchema = z.discriminatedUnion("name", [
  /** A run asks an account for an allowance: at least `need`, at best `want`. */
  z.strictObject({ name: z.literal("lease"), id: inputIdSchema, ...account, need: count, want: count }),
  /** The account's answer; `granted` is 0 when `need` would exceed the cap. `total`: held and spent in the window, with this. */
  z.strictObject({ name: z.literal("leased"), id: inputIdSchema, ...account, granted: count, total: count, cap: count.optional() }),
  /** A run gives back what it did not use of what it leased in this window. `last`: it is done with the account. */
  z.strictObject({ name: z.literal("return"), id: inputIdSchema, ...account, unused: count, last: z.boolean() }),
  z.strictObject({ name: z.literal("returned"), id: inputIdSchema, ...account, unused: count, last: z.boolean() }),
]);
export type SignalInput = z.infer<typeof signalSchema>;

/** What the table of segments is told by whoever keeps it, as a signal to itself. */
export const segmentsSignalSchema = z.discriminatedUnion("name", [
  /** The newest segment holds as many runs as it should. */
  z.strictObject({ name: z.literal("open"), id: inputIdSchema, segment: z.int().min(2) }),
  /** No run of the segment is live, and none can start in it; `index` lists them. */
  z.strictObject({ name: z.literal("seal"), id: inputIdSchema, segment: z.int().min(1), runs: z.int().min(0), index: digestSchema }),
]);
export type SegmentsSignal = z.infer<typeof segmentsSignalSchema>;

/** Makes a stored document the current version of its contract, tool or policy set. */
export const applySchema = z.strictObject({
  id: inputIdSchema,
  document: digestSchema,
  reason: reasonText.optional(),
});
export type ApplyInput = z.infer<typeof applySchema>;

/** Several stored documents put in force together, as a run of the plane's own agent: `in.apply.<operator>.signalbox-registry_<id>`. */
export const applyChangeSchema = z.strictObject({
  id: inputIdSchema,
  documents: z
    .array(z.strictObject({ kind: z.enum(["tool", "agent", "policy", "person", "issuer", "budget"]), name: z.string().min(1).max(512), document: digestSchema }))
    .min(1)
    .max(512),
  reason: reasonText.optional(),
});
export type ApplyChangeInput = z.infer<typeof applyChangeSchema>;

/** A durable timer that fell due; `armed` is the sequence of the event that armed it. */
export const dueSchema = z.strictObject({ timer: z.string(), armed: z.int().min(1) });
export type DueInput = z.infer<typeof dueSchema>;
