/** What an agent may say: the bodies of `in.propose`. Whatever it says of itself may only tighten judgement. */
import { z } from "zod";
import { actorSchema, inputIdSchema, toolNameSchema } from "./ids.ts";
import { jsonObjectSchema, jsonValueSchema } from "./json.ts";

const text = z.string().max(16_384);

export const budgetRequestSchema = z.strictObject({
  max_steps: z.int().min(0).optional(),
  max_cost_usd: z.number().min(0).optional(),
  max_wall_seconds: z.number().positive().optional(),
});
/** Narrows the contract's budget; a wider wish has no effect. */
export type BudgetRequest = z.infer<typeof budgetRequestSchema>;

export const startProposalSchema = z.strictObject({
  kind: z.literal("start"),
  id: inputIdSchema,
  agent: z.strictObject({ name: actorSchema, version: z.string().max(64).optional() }),
  goal: text,
  context: jsonObjectSchema.optional(),
  budget: budgetRequestSchema.optional(),
  /** The run fails when this passes; RFC 3339 in UTC. */
  deadline: z.iso.datetime().optional(),
});

export const toolProposalSchema = z.strictObject({
  kind: z.literal("tool"),
  id: inputIdSchema,
  tool: toolNameSchema,
  input: jsonValueSchema,
  why: text.optional(),
  confidence: z.number().min(0).max(1).optional(),
  uses: z.array(z.string().max(128)).max(256).optional(),
});

export const noteProposalSchema = z.strictObject({ kind: z.literal("note"), id: inputIdSchema, text });

export const finishProposalSchema = z.strictObject({
  kind: z.literal("finish"),
  id: inputIdSchema,
  output: jsonValueSchema.optional(),
});

export const failProposalSchema = z.strictObject({
  kind: z.literal("fail"),
  id: inputIdSchema,
  error: jsonValueSchema,
});

export const proposalSchema = z.discriminatedUnion("kind", [
  startProposalSchema,
  toolProposalSchema,
  noteProposalSchema,
  finishProposalSchema,
  failProposalSchema,
]);
export type Proposal = z.infer<typeof proposalSchema>;
export type StartProposal = z.infer<typeof startProposalSchema>;
export type ToolProposal = z.infer<typeof toolProposalSchema>;

/** Kinds of the wire that this version answers with `kind.not_built`, by name, instead of `kind.unknown`. */
export const PLANNED_KINDS: readonly string[] = ["model", "plan", "handoff"];
