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

/** Collects runs for a list, in 16 bytes each. A name is to be given once. */
export class RunHashes {
  #bytes = Buffer.alloc(1024 * RUN_HASH_BYTES);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  push(run: string): void {
    const at = this.#count * RUN_HASH_BYTES;
    if (at === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(at)]);
    this.#bytes.set(runHash(run), at);
    this.#count += 1;
  }

  /** Sorted, in parts of at most {@link RUNS_PER_PART}. */
  parts(): Uint8Array[] {
    const bytes = this.#bytes;
    const order = Uint32Array.from({ length: this.#count }, (_, index) => index * RUN_HASH_BYTES);
    order.sort((a, b) => bytes.compare(bytes, b, b + RUN_HASH_BYTES, a, a + RUN_HASH_BYTES));
    const sorted = Buffer.alloc(order.length * RUN_HASH_BYTES);
    order.forEach((from, index) => bytes.copy(sorted, index * RUN_HASH_BYTES, from, from + RUN_HASH_BYTES));
    const parts: Uint8Array[] = [];
    for (let at = 0; at < sorted.length; at += RUNS_PER_PART * RUN_HASH_BYTES) parts.push(sorted.subarray(at, at + RUNS_PER_PART * RUN_HASH_BYTES));
    return parts;
  }
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
