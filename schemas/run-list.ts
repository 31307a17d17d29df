/**
 * The runs of a sealed segment, as documents: a list of parts, and each part the sorted hashes of the runs' names, 16
 * bytes each, without anything between them. It answers whether a run was ever started, when nobody knows it any more.
 */
import { z } from "zod";
import { sha256 } from "./canonical.ts";
import { digestSchema } from "./ids.ts";

/** Bytes of a run's hash in a list: two of ten million runs are alike once in 10^24 lists. */
export const RUN_HASH_BYTES = 16;
/** Hashes in one part, which has 4 MiB: less than the largest document. */
export const RUNS_PER_PART = 262_144;

export const runListSchema = z.strictObject({
  v: z.literal(1),
  kind: z.literal("run-list"),
  segment: z.int().min(1),
  runs: z.int().min(0),
  parts: z.array(digestSchema),
});
export type RunListDocument = z.infer<typeof runListSchema>;

export function runHash(run: string): Uint8Array {
  return sha256(run).subarray(0, RUN_HASH_BYTES);
}

/** Sorted hashes of these runs, in parts. */
export function runListParts(hashes: readonly Uint8Array[]): Uint8Array[] {
  const sorted = [...hashes].sort(Buffer.compare);
  const parts: Uint8Array[] = [];
  for (let i = 0; i < sorted.length; i += RUNS_PER_PART) parts.push(Buffer.concat(sorted.slice(i, i + RUNS_PER_PART)));
  return parts;
}

/** Whether one of the parts, in order, holds the hash: by halves. */
export function listed(parts: readonly Uint8Array[], hash: Uint8Array): boolean {
  for (const part of parts) {
    let low = 0;
    let high = part.length / RUN_HASH_BYTES;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = Buffer.compare(part.subarray(middle * RUN_HASH_BYTES, (middle + 1) * RUN_HASH_BYTES), hash);
      if (order === 0) return true;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
  }
  return false;
}
