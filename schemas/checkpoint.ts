/**
 * A checkpoint: one signature over where every chain of a journal stood (AUD-1). Whoever keeps one elsewhere can tell
 * later whether anything before it was changed, whoever owns the store and the coordinator's keys by then.
 */
import { z } from "zod";
import { namespaceSchema } from "./ids.ts";
import { positionOf, segmentOf } from "./segments.ts";

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
  /** The same of each later segment of the journal that holds something; above stands the first. Sequences are the stream's own. */
  segments: z.array(z.strictObject({ segment: z.int().min(2), last_seq: z.int().min(1), aggregates: z.int().min(1), root: hex })).min(1).optional(),
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

/** What a checkpoint says of one segment of the journal. */
export interface CheckpointPart {
  readonly segment: number;
  /** Position of the last message that it covers. */
  readonly last: number;
  readonly aggregates: number;
  readonly root: string;
}

/** All of it, the first segment first. */
export function partsOf({ last_seq, aggregates, root, segments = [] }: Checkpoint): CheckpointPart[] {
  const later = segments.map(({ segment, last_seq: seq, ...part }) => ({ segment, last: positionOf(segment, seq), ...part }));
  return [{ segment: 1, last: last_seq, aggregates, root }, ...later];
}

/** Whether a checkpoint is about the message at this position. */
export function covers(checkpoint: Checkpoint, position: number): boolean {
  const part = partsOf(checkpoint).find(({ segment }) => segment === segmentOf(position));
  return part !== undefined && position <= part.last;
}
