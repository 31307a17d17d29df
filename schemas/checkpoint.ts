/**
 * A checkpoint: one signature over where every chain of a journal stood (AUD-1). Whoever keeps one elsewhere can tell
 * later whether anything before it was changed, whoever owns the store and the coordinator's keys by then.
 */
import { z } from "zod";
import { namespaceSchema } from "./ids.ts";

const hex = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hex digits");

export const checkpointSchema = z.strictObject({
  v: z.literal(1),
  ns: namespaceSchema,
  /** From 1, each follows the one before. */
  n: z.int().min(1),
  /** When it was signed; RFC 3339 in UTC. */
  at: z.iso.datetime(),
  /** The journal's last sequence that it covers; 0 for an empty journal. */
  last_seq: z.int().min(0),
  /** Aggregates with an event up to there. */
  aggregates: z.int().min(0),
  /** Merkle root over the heads of all of them, by subject. */
  root: hex,
  /** SHA-256 of the checkpoint before, as it was signed; 64 zeros for the first. */
  previous: hex,
  /** Name of the key: the SHA-256 of its 32 bytes. */
  key: hex,
});
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** As it is kept: `signature` is Ed25519 over the RFC 8785 text of everything else, in base64url. */
export const signedCheckpointSchema = checkpointSchema.extend({ signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/, "expected an Ed25519 signature") });
export type SignedCheckpoint = z.infer<typeof signedCheckpointSchema>;

/** A key that checkpoints are signed with: what auditors are given, once, by a way of their own. */
export const witnessKeySchema = z.strictObject({
  key: hex,
  /** The 32 bytes of an Ed25519 public key, in base64url. */
  public: z.string().regex(/^[A-Za-z0-9_-]{43}$/, "expected 32 bytes in base64url"),
  not_before: z.iso.datetime(),
  not_after: z.iso.datetime(),
});
export type WitnessKey = z.infer<typeof witnessKeySchema>;
