/**
 * Outside facts (law 2): what the plane looked up or had judged before a machine saw the input.
 * They stand beside the input in the first event of its commit; exact replay feeds them back and asks nobody.
 */
import { z } from "zod";
import { digestSchema } from "./ids.ts";
import { judgementSchema } from "./judgement.ts";
import { reasonSchema } from "./reason.ts";

/** On whose behalf. `verified: false` means that somebody said so and nobody checked. */
export const principalSchema = z.strictObject({
  subject: z.string().max(512),
  issuer: z.string().max(512).optional(),
  key_id: z.string().max(256).optional(),
  /** SHA-256 of the token as it came; the token itself is never stored. */
  token_hash: digestSchema.optional(),
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
      purpose: z.string().optional(),
    })
    .optional(),
  budgets: z.strictObject({
    max_steps: z.int().min(0).optional(),
    max_cost_micro_usd: z.int().min(0).optional(),
    max_wall_ms: z.int().positive().optional(),
  }),
  principal: principalSchema.nullable(),
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
    })
    .optional(),
  /** Policy and contract together; absent when validation already failed. */
  judgement: judgementSchema.optional(),
  /** How long a person has to answer, in ms. */
  approval_ttl_ms: z.int().positive(),
});
export type ToolFacts = z.infer<typeof toolFactsSchema>;

/** What is looked up again when a person decides and when a gateway claims (law 9). */
export const currentFactsSchema = z.strictObject({ kind: z.literal("current"), documents: documentsSchema });
export type CurrentFacts = z.infer<typeof currentFactsSchema>;

/** The plane's own check of a reported output against the tool's output schema. */
export const outputFactsSchema = z.strictObject({
  kind: z.literal("output"),
  faults: z.array(reasonSchema),
  engine: z.string(),
});
export type OutputFacts = z.infer<typeof outputFactsSchema>;

export const appliedFactsSchema = z.strictObject({
  kind: z.literal("applied"),
  /** Faults of the document as compiled by this plane; only an empty list is applied. */
  faults: z.array(reasonSchema),
});
export type AppliedFacts = z.infer<typeof appliedFactsSchema>;

export const factsSchema = z.discriminatedUnion("kind", [
  startFactsSchema,
  toolFactsSchema,
  currentFactsSchema,
  outputFactsSchema,
  appliedFactsSchema,
  z.strictObject({ kind: z.literal("none") }),
]);
export type Facts = z.infer<typeof factsSchema>;
export const NO_FACTS: Facts = { kind: "none" };
