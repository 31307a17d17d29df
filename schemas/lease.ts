/** What coordinators write down of themselves: signs of life, and who owns which share of a namespace's inputs. */
import { z } from "zod";

/** One coordinator, as it last said of itself; or what somebody found out about it. */
export const memberSchema = z.strictObject({
  v: z.literal(1),
  /** `gone` is final: whoever comes back after that comes as somebody else. */
  life: z.enum(["up", "gone"]),
  /** Sequence of its first sign of life, 0 in that one: the older one has the better right to a share. */
  since: z.int().nonnegative(),
  /** Counts its signs of life. */
  beat: z.int().nonnegative(),
  /** Names the process, for others on the same machine; null where it cannot be told apart from others. */
  process: z.string().nullable(),
});
export type MemberRecord = z.infer<typeof memberSchema>;

/** One share. It may be taken when it has no owner, or one that is gone. */
export const leaseSchema = z.strictObject({
  v: z.literal(1),
  owner: z.string().nullable(),
  /** Grows with each owner: it is in the names of the consumers that this owner makes, by which the server knows it from the last. */
  epoch: z.int().nonnegative(),
});
export type LeaseRecord = z.infer<typeof leaseSchema>;
