/**
 * A contract: what one agent is for, who answers for it, and how far it may go (ID-1).
 * This is the normalised form: sections stand beside `agent`, and this is what is hashed and stored.
 */
import { z } from "zod";
import { fieldPathSchema } from "./field.ts";
import { actorSchema, namespaceSchema, toolNameSchema } from "./ids.ts";
import { jsonObjectSchema } from "./json.ts";
import { labelSchema } from "./label.ts";
import { personalSchema } from "./personal.ts";

const line = z.string().trim().min(1).max(512);

/** Given for the run and the agent together; a key that is absent sets no limit here. */
export const budgetsSchema = z.strictObject({
  max_steps: z.int().min(0).optional(),
  max_input_tokens: z.int().min(0).optional(),
  max_output_tokens: z.int().min(0).optional(),
  max_cost_usd_per_run: z.number().min(0).max(1_000_000_000).optional(),
  max_wall_seconds: z.int().min(1).max(31_622_400).optional(),
  max_depth: z.int().min(0).max(64).optional(),
  /** A run that has used half of one of its budgets is paused until an operator resumes it (GUARD-6). */
  pause_at_half: z.boolean().optional(),
  /** Over all runs of the agent together; a day is a day in UTC (GUARD-7). */
  max_cost_usd_per_day: z.number().min(0).max(1_000_000_000).optional(),
  max_requests_per_minute: z.int().min(0).optional(),
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
  requires_approval_above: z
    .strictObject({
      field: fieldPathSchema,
      value: limitSchema,
      /** The same limit for what adds up (splitting does not pass): in the run, and per day for one target, one principal, the agent. */
      per_run: limitSchema.optional(),
      per_target_day: limitSchema.optional(),
      per_principal_day: limitSchema.optional(),
      per_agent_day: limitSchema.optional(),
    })
    .optional(),
  /** How far an approval may stand for later actions of the same shape in the run. Absent: not at all. */
  standing_approval: z
    .strictObject({
      max_uses: z.int().min(1).max(10_000),
      max_seconds: z.int().min(1).max(31_622_400),
      /** JSON pointers into the input that may vary. */
      vary: z.array(z.string().max(512)).max(64).default([]),
      max_amount: limitSchema.optional(),
      max_total: limitSchema.optional(),
    })
    .optional(),
  /** Tools of which each must have succeeded in the run before this one (EXEC-5). Validated; not enforced yet. */
  after: z.array(toolNameSchema).max(64).optional(),
  approval_expires_seconds: z.int().min(1).max(31_622_400).optional(),
  /** Fields of this tool's input and output that are personal in this agent's hands, besides those that the tool marks (law 10). */
  personal: z.array(personalSchema).max(256).optional(),
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
    project: line.optional(),
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
  /** Models that the agent may use, and the most tokens that one call may hold. Validated; used once there are model calls. */
  models: z.strictObject({ allow: z.array(line).max(256).default([]), context_window: z.int().min(1).optional() }).optional(),
  /** Prompt templates by name: versioned with the contract (LIFE-3). */
  prompts: z.array(z.strictObject({ name: z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,62}$/, "a prompt is named [a-z0-9][a-z0-9_.-]{0,62}"), text: z.string().max(65_536) })).max(256).optional(),
  /** Where runs of this agent may be started; absent: wherever the contract is applied. */
  namespaces: z.array(namespaceSchema).max(256).optional(),
  /** Who a run may be handed to, and how. Validated; used once there are handoffs. */
  handoffs: z
    .array(
      z.strictObject({
        to: z.union([z.strictObject({ agent: actorSchema }), z.strictObject({ capability: line })]),
        modes: z.array(z.enum(["transfer", "delegate"])).min(1),
        /** JSON Schema of the payload. */
        payload: jsonObjectSchema.optional(),
      }),
    )
    .max(256)
    .optional(),
  /** Where the data of its runs may go (POL-4): each `region:<where>` allows tools in that region or below it. */
  data: z.strictObject({ labels: z.array(labelSchema).max(64).default([]) }).optional(),
  logging: z
    .strictObject({
      /** What traces tell of its runs: nothing, names and numbers (absent), or inputs and outputs too. */
      trace_level: z.enum(["none", "metadata", "full"]).optional(),
      /**
       * Whether what is labelled, marked or found to be about a person is left out of inputs and outputs in traces; absent:
       * it is. Only `true` also withholds what was said in its runs from exports that nobody asked to be whole (AUD-3).
       */
      pii_redaction: z.boolean().optional(),
    })
    .optional(),
});
export type Contract = z.infer<typeof contractSchema>;

/** The sections that published examples also write under `agent`. */
export const CONTRACT_SECTIONS = ["model_routing", "budgets", "tools", "identity", "logging", "models", "prompts", "namespaces", "handoffs", "data"] as const;

/** The contract's entry for a tool; undefined when the agent may not propose it. */
export function contractTool(contract: Contract, name: string): ContractTool | undefined {
  return contract.tools.allowlist.find((entry) => entry.name === name);
}
