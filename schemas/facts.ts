/**
 * Outside facts (law 2): what the plane looked up or had judged before a machine saw the input.
 * They stand beside the input in the first event of its commit; exact replay feeds them back and asks nobody.
 */
import { z } from "zod";
import { actionIdSchema, digestSchema, ledgerNameSchema, stopIdSchema } from "./ids.ts";
import { scopeSchema, unitSchema, windowSchema } from "./inputs.ts";
import { judgementSchema } from "./judgement.ts";
import { labelSchema } from "./label.ts";
import { reasonSchema } from "./reason.ts";
import { keyIdSchema } from "./sealed.ts";

/** On whose behalf. `verified: false` means that somebody said so and nobody checked. */
export const principalSchema = z.strictObject({
  subject: z.string().max(512),
  issuer: z.string().max(512).optional(),
  key_id: z.string().max(256).optional(),
  /** SHA-256 of the token as it came; the token itself is never stored. */
  token_hash: digestSchema.optional(),
  /** The token's own id (`jti`), and when it ends: no claim is granted afterwards. */
  token_id: z.string().max(128).optional(),
  expires_at: z.string().optional(),
  /** As the issuer says in a verified token; policies may read them. */
  roles: z.array(z.string().max(128)).max(64).optional(),
  verified: z.boolean(),
});
export type Principal = z.infer<typeof principalSchema>;

/** Documents in force when the input was judged. */
export const documentsSchema = z.strictObject({
  contract: digestSchema.optional(),
  tool: digestSchema.optional(),
  policy: digestSchema.optional(),
});
export type DocumentFacts = z.infer<typeof documentsSchema>;

/** A person behind a NATS name, by the document in force. */
export const personFactsSchema = z.strictObject({
  issuer: z.string(),
  subject: z.string(),
  roles: z.array(z.string()),
  /** The document that says so. */
  document: digestSchema,
});
export type PersonFacts = z.infer<typeof personFactsSchema>;

/** An entry of the guard that covers what is asked about; or a principal whose own document says that it is disabled. */
export const guardHitSchema = z.strictObject({
  /** Absent for `disabled`. */
  stop: stopIdSchema.optional(),
  kind: z.enum(["stop", "revocation", "disabled"]),
  scope: scopeSchema,
  reason: z.string(),
});
export type GuardHit = z.infer<typeof guardHitSchema>;

/** What an action needs from an account of the ledger before it is judged. */
export const needSchema = z.strictObject({
  ledger: ledgerNameSchema,
  unit: unitSchema,
  window: windowSchema,
  need: z.int().min(0),
  /** What is asked for when what the run holds does not suffice: leases are taken in larger pieces. */
  want: z.int().min(0),
  /** Of an amount: what it adds up per. */
  dimension: z.enum(["principal", "target", "agent"]).optional(),
});
export type Need = z.infer<typeof needSchema>;

export const startFactsSchema = z.strictObject({
  kind: z.literal("start"),
  documents: documentsSchema,
  /** Absent when the agent has no contract: the start is then refused. */
  agent: z
    .strictObject({
      name: z.string(),
      version: z.string().optional(),
      owner: z.string(),
      team: z.string(),
      project: z.string().optional(),
      purpose: z.string().optional(),
    })
    .optional(),
  budgets: z.strictObject({
    max_steps: z.int().min(0).optional(),
    max_cost_micro_usd: z.int().min(0).optional(),
    max_wall_ms: z.int().positive().optional(),
    max_input_tokens: z.int().min(0).optional(),
    max_output_tokens: z.int().min(0).optional(),
    max_depth: z.int().min(0).optional(),
    /** The run is paused for review when it has used half of any of these. */
    pause_at_half: z.boolean().optional(),
  }),
  principal: principalSchema.nullable(),
  /** What is wrong with the principal's token: the start is refused, and the token is recorded nowhere. */
  refusals: z.array(reasonSchema).optional(),
  guard: guardHitSchema.optional(),
});
export type StartFacts = z.infer<typeof startFactsSchema>;

export const toolFactsSchema = z.strictObject({
  kind: z.literal("tool"),
  documents: documentsSchema,
  /** Everything wrong with the proposal; empty when it is valid. */
  faults: z.array(reasonSchema),
  /** The tool as far as the run's machine needs it; absent when there is no such tool. */
  tool: z
    .strictObject({
      effect: z.enum(["read", "write", "irreversible"]),
      timeout_ms: z.int().positive(),
      retries: z.int().min(0),
      idempotent: z.boolean(),
      cost_micro_usd: z.int().min(0),
      /** The most tokens that one call may use; absent when the tool uses none. */
      input_tokens: z.int().min(0).optional(),
      output_tokens: z.int().min(0).optional(),
      /** How the tool is asked what became of an attempt in doubt; absent when it cannot be. From machine version 3 on. */
      probe: z.strictObject({ timeout_ms: z.int().positive(), tries: z.int().min(1) }).optional(),
    })
    .optional(),
  /**
   * What the call is about, in ten-thousandths of the currency's unit, rounded up; the currency is empty where only the
   * contract names the field. Amounts of one group and currency add up.
   */
  amount: z.strictObject({ units: z.int().min(0), currency: z.string(), group: z.string().optional() }).optional(),
  /** Actions of this run whose untrusted output the input holds parts of, or that `uses` names. */
  sources: z.array(actionIdSchema).optional(),
  /** A fresh token of the run's own principal that came with the proposal: it stands in the place of the older one. */
  principal: principalSchema.optional(),
  guard: guardHitSchema.optional(),
  /** Allowances that the action needs; judged is only when the run holds them all. */
  needs: z.array(needSchema).optional(),
  /** How far the contract lets an approval of this tool stand. Absent: not at all. Amounts as in `amount`. */
  standing: z
    .strictObject({
      max_uses: z.int().min(1),
      max_seconds: z.int().min(1),
      vary: z.array(z.string()),
      max_amount: z.int().min(0).optional(),
      max_total: z.int().min(0).optional(),
    })
    .optional(),
  /** Policy and contract together; absent when validation already failed, or while allowances are waited for. */
  judgement: judgementSchema.optional(),
  /** How long a person has to answer, in ms. */
  approval_ttl_ms: z.int().positive(),
});
export type ToolFacts = z.infer<typeof toolFactsSchema>;

/** What is looked up again when a person decides and when a gateway claims (law 9). */
export const currentFactsSchema = z.strictObject({
  kind: z.literal("current"),
  documents: documentsSchema,
  /** The action judged again, when the documents are not those that it was judged with; or the edited input judged. */
  again: toolFactsSchema.optional(),
  /** Of the person who decides: null when nobody of that name is known. Absent for a claim. */
  person: personFactsSchema.nullable().optional(),
  /** Of everybody whose approval the action rests on, by NATS name, when a claim is asked for; null for one who no longer counts. */
  approvers: z.record(z.string(), personFactsSchema.nullable()).optional(),
  guard: guardHitSchema.optional(),
});
export type CurrentFacts = z.infer<typeof currentFactsSchema>;

/** The plane's own check of a reported output against the tool's output schema. */
export const outputFactsSchema = z.strictObject({
  kind: z.literal("output"),
  faults: z.array(reasonSchema),
  engine: z.string(),
  /** What the agent is marked with when it is given this output: by the tool's definition, and by what a scanner found. */
  marks: z
    .strictObject({
      tainted: z.boolean(),
      labels: z.array(labelSchema),
      /** A cleansing tool of closed output: it lowers the taint of what the run has seen so far. */
      cleanses: z.boolean(),
    })
    .optional(),
  guard: guardHitSchema.optional(),
});
export type OutputFacts = z.infer<typeof outputFactsSchema>;

export const appliedFactsSchema = z.strictObject({
  kind: z.literal("applied"),
  /** Faults of the document as compiled by this plane; only an empty list is applied. */
  faults: z.array(reasonSchema),
});
export type AppliedFacts = z.infer<typeof appliedFactsSchema>;

/** What an account's limit is when it is asked; absent: it only counts. */
export const ledgerFactsSchema = z.strictObject({ kind: z.literal("ledger"), cap: z.int().min(0).optional() });
export type LedgerFacts = z.infer<typeof ledgerFactsSchema>;

/** Who stops, revokes or lifts. */
export const guardFactsSchema = z.strictObject({ kind: z.literal("guard"), person: personFactsSchema.nullable() });
export type GuardFacts = z.infer<typeof guardFactsSchema>;

/** What a segment is opened with: the last one that has a stream, and how long before its time an opening is made. */
export const segmentsFactsSchema = z.strictObject({ kind: z.literal("segments"), streams: z.int().min(1), lead_ms: z.int().min(0) });
export type SegmentsFacts = z.infer<typeof segmentsFactsSchema>;
/** The key that the store holds of the subject, when its erasure is asked for; absent where there is none. */
export const erasureFactsSchema = z.strictObject({ kind: z.literal("erasure"), key: keyIdSchema.optional() });
export type ErasureFacts = z.infer<typeof erasureFactsSchema>;

/** A change of several documents, as an operator applies it: facts of its start and of its one action. */
export const changeFactsSchema = z.strictObject({ kind: z.literal("change"), start: startFactsSchema, tool: toolFactsSchema });
export type ChangeFacts = z.infer<typeof changeFactsSchema>;

export const factsSchema = z.discriminatedUnion("kind", [
  startFactsSchema,
  toolFactsSchema,
  currentFactsSchema,
  outputFactsSchema,
  appliedFactsSchema,
  ledgerFactsSchema,
  guardFactsSchema,
  segmentsFactsSchema,
  erasureFactsSchema,
  changeFactsSchema,
  z.strictObject({ kind: z.literal("none") }),
]);
export type Facts = z.infer<typeof factsSchema>;
export const NO_FACTS: Facts = { kind: "none" };
