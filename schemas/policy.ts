/** A policy set: Cedar files under one name, applied, hashed and judged together. */
import { z } from "zod";

export const policySetNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "a policy set is named [a-z0-9][a-z0-9-]{0,62}");

export const policyFileNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}\.cedar$/, "a policy file is named [A-Za-z0-9][A-Za-z0-9_.-]*.cedar");

export const policySetSchema = z.strictObject({
  name: policySetNameSchema,
  /** Cedar text by file name. */
  files: z.record(policyFileNameSchema, z.string()),
});
export type PolicySet = z.infer<typeof policySetSchema>;

/** The set that rules a namespace. */
export const RULING_POLICY_SET = "default";
