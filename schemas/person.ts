/** A person: the NATS name that their credential carries, who they are at their issuer, and what they may decide (ID-5). */
import { z } from "zod";
import { actorSchema } from "./ids.ts";
import { roleSchema } from "./judgement.ts";

const line = z.string().trim().min(1).max(512);

export const personSchema = z.strictObject({
  person: z.strictObject({
    /** Name of the actor in subjects. */
    name: actorSchema,
    /** Two names of the same issuer and subject are one person. */
    issuer: line,
    subject: line,
    /** Roles that policies and contracts ask for, as `approver` or `finance`. */
    roles: z.array(roleSchema).max(64).default([]),
    team: line.optional(),
    /** Kept for the record, and counts for nothing any more. */
    disabled: z.boolean().optional(),
  }),
});
export type Person = z.infer<typeof personSchema>;
