/** What coordinators write down of themselves: signs of life, and who owns which share of a namespace's inputs. */
import { z } from "zod";

const machineNameSchema = z.string().min(1).max(16);

// Not strict: releases work beside each other, and the older one reads what it knows of what the newer one says.
/** One coordinator, as it last said of itself; or what somebody found out about it. */
export const memberSchema = z.object({
  v: z.literal(1),
  /** `gone` is final: whoever comes back after that comes as somebody else. */
  life: z.enum(["up", "gone"]),
  /** Sequence of its first sign of life, 0 in that one: the older one has the better right to a share. */
  since: z.int().nonnegative(),
  /** Counts its signs of life. */
  beat: z.int().nonnegative(),
  /** Names the process, for others on the same machine; null where it cannot be told apart from others. */
  process: z.string().nullable(),
  /** Versions of the machines that it has: new runs begin with one that all have. Left out by whoever knows of no other than 1 and 2. */
  machines: z.array(machineNameSchema).max(256).optional(),
});
export type MemberRecord = z.infer<typeof memberSchema>;

/** One share. It may be taken when it has no owner, or one that is gone. */
export const leaseSchema = z.object({
  v: z.literal(1),
  owner: z.string().nullable(),
  /** Grows with each owner: it is in the names of the consumers that this owner makes, by which the server knows it from the last. */
  epoch: z.int().nonnegative(),
  /** Versions of machines without which it was given up: who has them all takes it, as long as anybody does. */
  needs: z.array(machineNameSchema).max(256).optional(),
});
export type LeaseRecord = z.infer<typeof leaseSchema>;
