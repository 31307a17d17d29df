/**
 * What policy is asked about one action, and what it answers. Both are recorded (law 2): replay feeds the
 * judgement back, and judging again is a comparison of its own.
 */
import { z } from "zod";
import { reasonSchema } from "./reason.ts";

export const EFFECTS = ["read", "write", "irreversible"] as const;
export const effectSchema = z.enum(EFFECTS);
/** What a call does to the world. Only a read may be repeated without asking anybody. */
export type Effect = (typeof EFFECTS)[number];

/** Who is asked: the name of a role that approvers hold. */
export const roleSchema = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, "a role is [a-z][a-z0-9-]{0,62}");

/** A decimal number written out, as `480` or `19.99`. */
const decimalSchema = z.string().regex(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/, "expected a decimal as `19.99`");

/** Everything that policies may rest on. Personal fields never stand here (law 10), so the input does not. */
export const judgementRequestSchema = z.strictObject({
  namespace: z.string(),
  agent: z.strictObject({
    name: z.string(),
    /** Absent in contracts without a version; policies then read the empty string. */
    version: z.string().optional(),
    owner: z.string(),
    team: z.string(),
  }),
  tool: z.strictObject({
    name: z.string(),
    tags: z.array(z.string()),
    effect: effectSchema,
    region: z.string().optional(),
    idempotent: z.boolean(),
  }),
  /** On whose behalf; null when nobody was named. */
  principal: z
    .object({ subject: z.string(), issuer: z.string().optional(), verified: z.boolean() })
    .nullable(),
  /** What the call is about, in the unit of the contract's field. Rounded up to four places for policies. */
  amount: decimalSchema.optional(),
  /** The most that the call itself may cost. */
  cost_micro_usd: z.int().min(0),
  /** What the agent says of itself, 0 to 1. Rounded down. */
  confidence: z.number().min(0).max(1).optional(),
  /** 0 to 1. Rounded up. */
  risk: z.number().min(0).max(1).optional(),
  /** Where the data of the run may be. */
  region: z.string().optional(),
  /** Server time of the input (law 1: judgement has no clock of its own). */
  at: z.iso.datetime({ precision: 3 }),
  /** The run before this action. */
  run: z.strictObject({
    id: z.string(),
    steps: z.int().min(0),
    cost_micro_usd: z.int().min(0),
    /** Seconds since the run started. */
    elapsed_seconds: z.int().min(0),
    depth: z.int().min(0),
    /** Names of tools that succeeded, or failed, in this run. */
    succeeded: z.array(z.string()),
    failed: z.array(z.string()),
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
  /** Name and version of the engine, as `cedar 4.13.0`. */
  engine: z.string(),
});
export type Judgement = z.infer<typeof judgementSchema>;
export type Decision = Judgement["decision"];
