/** Bodies of CONTROL: decisions of approvers, reports of gateways, controls of operators, applied documents. */
import { z } from "zod";
import { actionIdSchema, actorSchema, digestSchema, inputIdSchema, requestIdSchema } from "./ids.ts";
import { jsonValueSchema } from "./json.ts";

const reasonText = z.string().max(4096);

export const decisionSchema = z.strictObject({
  id: inputIdSchema,
  request: requestIdSchema,
  decision: z.enum(["approve", "refuse"]),
  /** Hash of the bytes that the approver was shown; never fetched on the approver's behalf. */
  digest: digestSchema,
  reason: reasonText.optional(),
});
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

export const reportSchema = z.strictObject({
  id: inputIdSchema,
  action: actionIdSchema,
  attempt: z.int().min(1),
  claim: claimSchema,
  status: z.enum(["started", "succeeded", "failed", "in_doubt"]),
  output: jsonValueSchema.optional(),
  removed: z.array(removedSchema).max(1000).optional(),
  error: toolErrorSchema.optional(),
  usage: usageSchema.optional(),
});
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
]);
export type ControlInput = z.infer<typeof controlSchema>;

/** Makes a stored document the current version of its contract, tool or policy set. */
export const applySchema = z.strictObject({
  id: inputIdSchema,
  document: digestSchema,
  reason: reasonText.optional(),
});
export type ApplyInput = z.infer<typeof applySchema>;

/** A durable timer that fell due; `armed` is the sequence of the event that armed it. */
export const dueSchema = z.strictObject({ timer: z.string(), armed: z.int().min(1) });
export type DueInput = z.infer<typeof dueSchema>;
