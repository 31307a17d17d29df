/** A policy set: Cedar files under one name, applied, hashed and judged together. */
import { z } from "zod";
import { effectSchema, roleSchema } from "./judgement.ts";
import { labelSchema } from "./label.ts";

export const policySetNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "a policy set is named [a-z0-9][a-z0-9-]{0,62}");

export const policyFileNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}\.cedar$/, "a policy file is named [A-Za-z0-9][A-Za-z0-9_.-]*.cedar");

export const fixtureFileNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}\.fixtures\.ya?ml$/, "a fixture file is named [A-Za-z0-9][A-Za-z0-9_.-]*.fixtures.yaml");

/** One row of the risk table: where every condition holds, the number is added. The sum is kept within 0 and 1. */
export const riskRuleSchema = z.strictObject({
  when: z.strictObject({
    effect: effectSchema.optional(),
    /** Any of these. */
    tags: z.array(z.string()).optional(),
    labels: z.array(labelSchema).optional(),
    /** A decimal, in the tool's currency. */
    amount_above: z.string().regex(/^(0|[1-9][0-9]*)(\.[0-9]+)?$/, "expected a decimal as `19.99`").optional(),
    tainted: z.boolean().optional(),
    principal_verified: z.boolean().optional(),
    /** At least so many failed actions, or steps, in the run so far. */
    failed_at_least: z.int().min(1).optional(),
    steps_at_least: z.int().min(1).optional(),
  }),
  add: z.number().min(-1).max(1),
});

/** `set.yaml` beside the policies: what of the plane's judgement a set decides besides them. */
export const policySettingsSchema = z.strictObject({
  /** Who agrees to a change of this set, once it is in force (POL-6). */
  review: z
    .strictObject({
      role: roleSchema,
      count: z.int().min(1).max(16),
      /** Kinds of document whose changes need the same agreement where they give more than there was. */
      also: z.array(z.enum(["agent", "tool", "budget"])).max(3).optional(),
    })
    .optional(),
  /** The table by which the plane computes risk; absent: the plane's own. */
  risk: z.array(riskRuleSchema).max(256).optional(),
  /** Currencies whose amounts are compared; any other asks. Absent: USD, EUR, GBP. */
  currencies: z.array(z.string().regex(/^[A-Z]{3}$/, "expected a currency as `USD`")).max(200).optional(),
});
export type PolicySettings = z.infer<typeof policySettingsSchema>;
export type Review = NonNullable<PolicySettings["review"]>;
/** Where a set says nothing of its review. */
export const DEFAULT_REVIEW: Review = { role: "approver", count: 1 };

export const policySetSchema = z.strictObject({
  name: policySetNameSchema,
  /** Cedar text by file name. */
  files: z.record(policyFileNameSchema, z.string()),
  /** `schema.cedarschema` beside them: what the policies were written against. */
  schema: z.string().optional(),
  /** Text of the fixtures by file name: requests with the decisions and policies that are expected. */
  fixtures: z.record(fixtureFileNameSchema, z.string()).optional(),
  settings: policySettingsSchema.optional(),
});
export type PolicySet = z.infer<typeof policySetSchema>;

/** The set that rules a namespace. */
export const RULING_POLICY_SET = "default";
