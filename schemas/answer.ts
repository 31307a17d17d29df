/** What an agent is told: answers on `out`, records on `rejected`. JSON, so that any client can read them. */
import { z } from "zod";
import { actionIdSchema, digestSchema, requestIdSchema } from "./ids.ts";
import { differenceSchema } from "./event.ts";
import { jsonValueSchema } from "./json.ts";
import { reasonSchema } from "./reason.ts";

export const ANSWER_STATUSES = [
  "started",
  "refused",
  "recorded",
  "completed",
  "cancelled",
  "paused",
  "resumed",
  "rejected",
  "denied",
  "pending",
  "approved",
  "succeeded",
  "failed",
  "in_doubt",
] as const;

export const answerSchema = z.strictObject({
  v: z.literal(1),
  run: z.string(),
  /** The proposal that this answers; null for news of the run itself. */
  id: z.string().nullable(),
  kind: z.enum(["start", "tool", "note", "finish", "fail", "run"]),
  status: z.enum(ANSWER_STATUSES),
  /** Nothing more will be said of this proposal. */
  final: z.boolean(),
  /** The run's sequence that this reflects: of two answers, the higher is the newer. */
  seq: z.int(),
  at: z.string(),
  action: actionIdSchema.optional(),
  tool: z.string().optional(),
  digest: digestSchema.optional(),
  /** The approval that is waited for, and until when. */
  request: requestIdSchema.optional(),
  expires_at: z.string().optional(),
  /** An approver changed the input: this is the action that stands in the place of what was proposed, and how it differs. */
  edited: z.strictObject({ from: actionIdSchema, by: z.string(), diff: z.array(differenceSchema) }).optional(),
  reasons: z.array(reasonSchema).optional(),
  output: jsonValueSchema.optional(),
  error: jsonValueSchema.optional(),
});
export type Answer = z.infer<typeof answerSchema>;

/** Of what was refused without entering a journal: enough to recognise it, not a copy (law 6). */
export const rejectionSchema = z.strictObject({
  v: z.literal(1),
  at: z.string(),
  actor: z.string(),
  kind: z.string(),
  /** As it stood in the subject; legal or not. */
  run: z.string(),
  /** The input's own id, where it could be read. */
  id: z.string().optional(),
  reasons: z.array(reasonSchema),
  bytes: z.int().min(0),
  sha256: digestSchema,
  /** More than 1 when an actor exceeded its quota and the plane counts instead of listing. */
  count: z.int().min(1),
});
export type Rejection = z.infer<typeof rejectionSchema>;
