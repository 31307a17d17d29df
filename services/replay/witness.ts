/** Signing checkpoints (AUD-1): by a role and with a key that no other part of the plane has. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { canonicalBytes, sha256 } from "../../schemas/canonical.ts";
import type { Checkpoint, SignedCheckpoint, WitnessKey } from "../../schemas/checkpoint.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { sequenceOf } from "../../schemas/segments.ts";
import { hashOf } from "./checkpoint.ts";
import type { Heads } from "./heads.ts";

export const FIRST_PREVIOUS = "0".repeat(64);

/** PKCS #8 and SPKI of Ed25519, up to the 32 bytes. */
const PRIVATE = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_PREFIX = 12;

/** A signer of checkpoints, from the 32 bytes of an Ed25519 seed. */
export class Witness {
  readonly #private: KeyObject;
  /** The 32 bytes of the public key. */
  readonly publicKey: Uint8Array;
  readonly key: string;

  constructor(seed: Uint8Array) {
    this.#private = createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: "der", type: "pkcs8" });
    this.publicKey = createPublicKey(this.#private).export({ format: "der", type: "spki" }).subarray(PUBLIC_PREFIX);
    this.key = Buffer.from(sha256(this.publicKey)).toString("hex");
  }

  /** What auditors are given. Times are RFC 3339 in UTC. */
  published(notBefore: string, notAfter: string): WitnessKey {
    return { key: this.key, public: Buffer.from(this.publicKey).toString("base64url"), not_before: notBefore, not_after: notAfter };
  }

  /** Signs where the journal stands. @param previous the checkpoint before; none for the first */
  sign(ns: Namespace, heads: Heads, at: string, previous: SignedCheckpoint | undefined): SignedCheckpoint {
    const later = heads.segments
      .filter((segment) => segment > 1)
      .map((segment) => ({ segment, last_seq: sequenceOf(heads.last(segment)), aggregates: heads.aggregates(segment), root: heads.root(segment) }));
    const checkpoint: Checkpoint = {
      v: 1,
      ns,
      n: (previous?.n ?? 0) + 1,
      at,
      last_seq: heads.last(1),
      aggregates: heads.aggregates(1),
      root: heads.root(1),
      ...(later.length > 0 && { segments: later }),
      previous: previous === undefined ? FIRST_PREVIOUS : hashOf(previous),
      key: this.key,
    };
    return { ...checkpoint, signature: sign(null, canonicalBytes(checkpoint), this.#private).toString("base64url") };
  }
}
