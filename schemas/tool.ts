/** A tool definition: what it takes and gives, what it does to the world, and how the gateway reaches it. */
import { z } from "zod";
import { fieldPathSchema, fieldPatternSchema } from "./field.ts";
import { toolNameSchema } from "./ids.ts";
import { jsonObjectSchema } from "./json.ts";
import { effectSchema } from "./judgement.ts";
import { labelSchema } from "./label.ts";
import { personalSchema } from "./personal.ts";

const tag = z.string().regex(/^[a-z0-9][a-z0-9_:.-]{0,62}$/, "a tag is [a-z0-9][a-z0-9_:.-]{0,62}");
const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, "expected one word as `eu-west-1`");

/**
 * The stored form: defaults are written out, so that a later change of a default does not change a tool
 * that was applied before it.
 */
export const toolSchema = z.strictObject({
  name: toolNameSchema,
  description: z.string().trim().min(1).max(8192),
  /** JSON Schema 2020-12; compiled, and its own faults found, by `services/registry`. */
  input: jsonObjectSchema,
  output: jsonObjectSchema,
  effect: effectSchema,
  tags: z.array(tag).max(64).default([]),
  region: word.optional(),
  /** One attempt, from the gateway's call to the tool's answer. */
  timeout_ms: z.int().min(1).max(86_400_000).default(30_000),
  /** Attempts after the first. */
  retries: z.int().min(0).max(20).default(0),
  /** Whether the same call with the same idempotency key takes effect once. */
  idempotent: z.boolean().default(false),
  /**
   * The tool can be asked what became of an attempt whose end nobody knows (EXEC-7). It then serves
   * `signalbox.<ns>.probe.<tool>` too, and answers about the idempotency key of the call.
   */
  probe: z
    .strictObject({
      /** One asking, from the gateway's question to the tool's answer. */
      timeout_ms: z.int().min(1).max(600_000).default(10_000),
      /** How often it is asked before a person has to find out. */
      tries: z.int().min(1).max(20).default(5),
    })
    .optional(),
  /** The most that one call may cost. */
  cost_usd: z.number().min(0).max(1_000_000_000).optional(),
  /** `registry` is the plane's own: documents that name it are refused when people apply them. */
  adapter: z.strictObject({ type: z.enum(["builtin", "nats", "registry"]) }),
  personal: z.array(personalSchema).max(256).default([]),
  /** The tool's name where it comes from, when that is no name of ours. */
  alias: z.string().min(1).max(256).optional(),
  /** Whether what it gives may be believed. Absent: no, and whoever was given its output is marked (GUARD-3). */
  trusted: z.boolean().optional(),
  /** Its output says so little (closed schema, no free text) that a run given it is no longer marked as tainted. */
  cleanses: z.boolean().optional(),
  /** Labels of what it gives; without a path, of all of it (GUARD-10). */
  labels: z.array(z.strictObject({ label: labelSchema, path: fieldPatternSchema.optional() })).max(64).optional(),
  /** Labels that its input may carry. */
  clearance: z.array(labelSchema).max(64).optional(),
  /** What a call is about in money: a field of the input, and the currency or the field that says it. */
  amount: z
    .strictObject({
      field: fieldPathSchema,
      currency: z.union([z.string().regex(/^[A-Z]{3}$/, "expected a currency as `USD`"), z.strictObject({ field: fieldPathSchema })]),
      /** The field that says to whom or what: amounts add up per target. */
      target: fieldPathSchema.optional(),
      /** Tools of one group add up together; absent: the tool alone. */
      group: word.optional(),
    })
    .optional(),
  /** The most tokens of one call, as a number or as the field of the input that says it. */
  tokens: z
    .strictObject({
      max_input: z.union([z.int().min(0), z.strictObject({ field: fieldPathSchema })]).optional(),
      max_output: z.union([z.int().min(0), z.strictObject({ field: fieldPathSchema })]).optional(),
    })
    .optional(),
});
export type Tool = z.infer<typeof toolSchema>;
