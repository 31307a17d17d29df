/**
 * A contract: what one agent is for, who answers for it, and how far it may go (ID-1).
 * This is the normalised form: sections stand beside `agent`, and this is what is hashed and stored.
 */
import { z } from "zod";
import { fieldPathSchema } from "./field.ts";
import { actorSchema, toolNameSchema } from "./ids.ts";

const line = z.string().trim().min(1).max(512);

/** Given for the run and the agent together; a key that is absent sets no limit here. */
export const budgetsSchema = z.strictObject({
  max_steps: z.int().min(0).optional(),
  max_input_tokens: z.int().min(0).optional(),
  max_output_tokens: z.int().min(0).optional(),
  max_cost_usd_per_run: z.number().min(0).max(1_000_000_000).optional(),
  max_wall_seconds: z.int().min(1).max(31_622_400).optional(),
  max_depth: z.int().min(0).max(64).optional(),
});
export type Budgets = z.infer<typeof budgetsSchema>;

/** A decimal limit: a number, or written out (`"19.99"`) where a number would lose digits. */
const limitSchema = z.union([z.number(), z.string().regex(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/, "expected a decimal")], {
  error: "expected a number",
});

/** A tool that the agent may propose, and when a person must agree. These rules can only tighten policy. */
export const contractToolSchema = z.strictObject({
  name: toolNameSchema,
  requires_approval: z.boolean().optional(),
  /** Ask when the field of the input is above the value, is missing, or is no number. */
  requires_approval_above: z.strictObject({ field: fieldPathSchema, value: limitSchema }).optional(),
  approval_expires_seconds: z.int().min(1).max(31_622_400).optional(),
});
export type ContractTool = z.infer<typeof contractToolSchema>;

const METRICS = [
  "tool_error_rate",
  "amount_usd",
  "cost_usd",
  "confidence",
  "risk",
  "input_tokens",
  "output_tokens",
  "steps",
  "retries",
] as const;
const COMPARISONS = ["gt", "ge", "lt", "le"] as const;
const conditions = Object.fromEntries(
  METRICS.flatMap((metric) => COMPARISONS.map((than) => [`${metric}_${than}`, z.number().optional()])),
) as { [K in `${(typeof METRICS)[number]}_${(typeof COMPARISONS)[number]}`]: z.ZodOptional<z.ZodNumber> };

/** One reason to take a stronger model; every condition in it must hold. */
export const escalationSchema = z
  .strictObject(conditions)
  .refine((entry) => Object.keys(entry).length > 0, "expected a condition as `tool_error_rate_gt: 0.1`");

export const contractSchema = z.strictObject({
  agent: z.strictObject({
    name: actorSchema,
    version: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, "expected a version as `1.4.0`").optional(),
    owner: line,
    team: line,
    purpose: z.string().trim().min(1).max(4096),
    capabilities: z.array(line).max(256).default([]),
  }),
  model_routing: z
    .strictObject({ default: line, escalate_on: z.array(escalationSchema).max(64).default([]) })
    .optional(),
  budgets: budgetsSchema.default({}),
  /** An agent may propose what stands here and nothing else. */
  tools: z
    .strictObject({ allowlist: z.array(contractToolSchema).max(1024).default([]) })
    .default({ allowlist: [] }),
  identity: z
    .strictObject({
      mode: z.enum(["on_behalf_of", "service"]),
      token_ttl_seconds: z.int().min(1).max(86_400).optional(),
    })
    .optional(),
  logging: z
    .strictObject({
      /** How much of prompts and payloads telemetry may carry. */
      trace_level: z.enum(["none", "metadata", "full"]).optional(),
      pii_redaction: z.boolean().optional(),
    })
    .optional(),
});
export type Contract = z.infer<typeof contractSchema>;

/** The sections that published examples also write under `agent`. */
export const CONTRACT_SECTIONS = ["model_routing", "budgets", "tools", "identity", "logging"] as const;

/** The contract's entry for a tool; undefined when the agent may not propose it. */
export function contractTool(contract: Contract, name: string): ContractTool | undefined {
  return contract.tools.allowlist.find((entry) => entry.name === name);
}
