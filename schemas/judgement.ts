/**
 * What policy is asked about one action, and what it answers. Both are recorded (law 2): replay feeds the
 * judgement back, and judging again is a comparison of its own.
 */
import { z } from "zod";
import { labelSchema } from "./label.ts";
import { reasonSchema } from "./reason.ts";

export const EFFECTS = ["read", "write", "irreversible"] as const;
export const effectSchema = z.enum(EFFECTS);
/** What a call does to the world. Only a read may be repeated without asking anybody. */
export type Effect = (typeof EFFECTS)[number];

/** Who is asked: the name of a role that approvers hold. */
export const roleSchema = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, "a role is [a-z][a-z0-9-]{0,62}");

/** A decimal number written out, as `480` or `19.99`. */
const decimalSchema = z.string().regex(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/, "expected a decimal as `19.99`");

const names = z.array(z.string()).default([]);
const counted = z.record(z.string(), z.int().min(0)).default({});
const count = z.int().min(0).default(0);

/** What adds up, this call included, each as a decimal in the amount's currency. */
export const amountTotalsSchema = z.strictObject({
  /** Over the run's actions of the same tool, or of its group, that were not turned away. */
  in_run: decimalSchema,
  /** Over all runs of the day (UTC). Absent where nothing reads it, or where there is no such target or principal. */
  target_day: decimalSchema.optional(),
  principal_day: decimalSchema.optional(),
  agent_day: decimalSchema.optional(),
});
export type AmountTotals = z.infer<typeof amountTotalsSchema>;

/**
 * Everything that policies may rest on. Personal fields never stand here (law 10), so the input does not.
 * What has a default was added later: a request of an earlier record means the same without it.
 */
export const judgementRequestSchema = z.strictObject({
  namespace: z.string(),
  agent: z.strictObject({
    name: z.string(),
    /** Absent in contracts without a version; policies then read the empty string. */
    version: z.string().optional(),
    owner: z.string(),
    team: z.string(),
    project: z.string().optional(),
  }),
  tool: z.strictObject({
    name: z.string(),
    tags: z.array(z.string()),
    effect: effectSchema,
    region: z.string().optional(),
    idempotent: z.boolean(),
    /** Whether its output is believed (GUARD-3). */
    trusted: z.boolean().default(false),
    /** Labels that its input may carry. */
    clearance: z.array(labelSchema).default([]),
  }),
  /** On whose behalf; null when nobody was named. `verified` is what holds now: an expired token verifies nothing. */
  principal: z
    .strictObject({
      subject: z.string(),
      issuer: z.string().optional(),
      verified: z.boolean(),
      /** It was verified once, and its token has ended. */
      expired: z.boolean().optional(),
      /** By the issuer's word; empty unless verified. */
      roles: names,
    })
    .nullable(),
  /** What the call is about in money, as the tool declares it. Rounded up to four places for policies. */
  amount: decimalSchema.optional(),
  currency: z.string().optional(),
  amounts: amountTotalsSchema.optional(),
  /** The most tokens that the call may use: as declared, or estimated from the size of its input. */
  tokens: z.strictObject({ input: z.int().min(0), output: z.int().min(0) }).default({ input: 0, output: 0 }),
  /** The most that the call itself may cost. */
  cost_micro_usd: z.int().min(0),
  /** What the agent says of itself, 0 to 1. Rounded down. */
  confidence: z.number().min(0).max(1).optional(),
  /** Computed by the plane, 0 to 1. Rounded up. */
  risk: z.number().min(0).max(1).optional(),
  /** Where the contract lets the data of the run be: the one place, and all places. Nowhere named: anywhere. */
  region: z.string().optional(),
  regions: names,
  /** The run was given output that is not to be believed. */
  tainted: z.boolean().default(false),
  /** What kinds of data the run was given, with those of what this call's input was taken from. */
  labels: z.array(labelSchema).default([]),
  /** Outputs that left marks on the run and that the input rests on: matched by content, or named by the agent. */
  sources: count,
  /** Server time of the input (law 1: judgement has no clock of its own). */
  at: z.iso.datetime({ precision: 3 }),
  /** The run before this action. */
  run: z.strictObject({
    id: z.string(),
    steps: z.int().min(0),
    cost_micro_usd: z.int().min(0),
    /** Tokens used and held back, as far as tools say how many they may use. */
    input_tokens: count,
    output_tokens: count,
    /** Seconds since the run started. */
    elapsed_seconds: z.int().min(0),
    depth: z.int().min(0),
    /** Names of tools that succeeded, or failed, in this run. */
    succeeded: z.array(z.string()),
    failed: z.array(z.string()),
    /** How often, by tool. */
    successes: counted,
    failures: counted,
  }),
});
export type JudgementRequest = z.infer<typeof judgementRequestSchema>;

/** So many people of one role, and how long they have. */
export const askSchema = z.strictObject({
  role: roleSchema,
  count: z.int().min(1),
  expires_seconds: z.int().positive().optional(),
});
export type Ask = z.infer<typeof askSchema>;

export const judgementSchema = z.strictObject({
  decision: z.enum(["allow", "deny", "ask"]),
  /** The policies that determined the decision, in order of their id. Empty when nothing permits. */
  policies: z.array(
    z.strictObject({
      id: z.string(),
      effect: z.enum(["permit", "forbid"]),
      /** `<set>/<file>` of the policy set. */
      file: z.string().optional(),
      line: z.int().positive().optional(),
    }),
  ),
  /** Present exactly when the decision is `ask`. */
  ask: askSchema.optional(),
  /** Why, beyond the policies: what no policy said, and what the contract and the plane's own rules added. */
  reasons: z.array(reasonSchema),
  /** Errors of the engine. Any one of them denies. */
  errors: z.array(z.string()),
  /** As the plane computed it for the request, 0 to 1, so that approvers see it. Absent in records of rules 1. */
  risk: z.number().min(0).max(1).optional(),
  /** Name and version of the engine and of the plane's own rules, as `cedar 4.13.0, rules 2`; rules 1 are not named. */
  engine: z.string(),
});
export type Judgement = z.infer<typeof judgementSchema>;
export type Decision = Judgement["decision"];
