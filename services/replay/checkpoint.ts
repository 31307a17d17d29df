/**
 * Signing checkpoints, and holding a journal against those that somebody kept (AUD-1).
 * The hash chains show a change within what is there; only a signature kept elsewhere shows that all of it was made anew.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { canonicalBytes, sha256 } from "../../schemas/canonical.ts";
import { type Checkpoint, type SignedCheckpoint, signedCheckpointSchema, type WitnessKey } from "../../schemas/checkpoint.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { Heads } from "./heads.ts";

export const FIRST_PREVIOUS = "0".repeat(64);

/** PKCS #8 and SPKI of Ed25519, up to the 32 bytes. */
const PRIVATE = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC = Buffer.from("302a300506032b6570032100", "hex");

/** A signer of checkpoints, from the 32 bytes of an Ed25519 seed. */
export class Witness {
  readonly #private: KeyObject;
  /** The 32 bytes of the public key. */
  readonly publicKey: Uint8Array;
  readonly key: string;

  constructor(seed: Uint8Array) {
    this.#private = createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: "der", type: "pkcs8" });
    this.publicKey = createPublicKey(this.#private).export({ format: "der", type: "spki" }).subarray(PUBLIC.length);
    this.key = Buffer.from(sha256(this.publicKey)).toString("hex");
  }

  /** What auditors are given. Times are RFC 3339 in UTC. */
  published(notBefore: string, notAfter: string): WitnessKey {
    return { key: this.key, public: Buffer.from(this.publicKey).toString("base64url"), not_before: notBefore, not_after: notAfter };
  }

  /** Signs where the journal stands. @param previous the checkpoint before; none for the first */
  sign(ns: Namespace, heads: Heads, at: string, previous: SignedCheckpoint | undefined): SignedCheckpoint {
    const checkpoint: Checkpoint = {
      v: 1,
      ns,
      n: (previous?.n ?? 0) + 1,
      at,
      last_seq: heads.last,
      aggregates: heads.aggregates,
      root: heads.root(),
      previous: previous === undefined ? FIRST_PREVIOUS : hashOf(previous),
      key: this.key,
    };
    return { ...checkpoint, signature: sign(null, canonicalBytes(checkpoint), this.#private).toString("base64url") };
  }
}

/** What the next checkpoint calls `previous`, in hex. */
export function hashOf({ signature: _, ...checkpoint }: SignedCheckpoint): string {
  return Buffer.from(sha256(canonicalBytes(checkpoint))).toString("hex");
}

/** Reads checkpoints, one JSON text a line. The reason why a line is none stands in its place. */
export function readCheckpoints(text: string): (SignedCheckpoint | string)[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      try {
        const parsed = signedCheckpointSchema.safeParse(JSON.parse(line));
        return parsed.success ? parsed.data : `it is no checkpoint: \`${parsed.error.issues[0]?.path.join(".") ?? ""}\``;
      } catch {
        return "it is not JSON";
      }
    });
}

/** Why the signature counts for nothing; undefined when it was made by one of the keys, in that key's time. */
export function signatureFault(checkpoint: SignedCheckpoint, keys: readonly WitnessKey[]): string | undefined {
  const { signature, ...signed } = checkpoint;
  const known = keys.find(({ key }) => key === checkpoint.key);
  if (known === undefined) return `it is signed with the key ${checkpoint.key.slice(0, 16)}…, which is none of those given`;
  const bytes = Buffer.from(known.public, "base64url");
  if (Buffer.from(sha256(bytes)).toString("hex") !== known.key) return `the key ${known.key.slice(0, 16)}… is not named after its own bytes`;
  const key = createPublicKey({ key: Buffer.concat([PUBLIC, bytes]), format: "der", type: "spki" });
  if (!verify(null, canonicalBytes(signed), key, Buffer.from(signature, "base64url"))) return "its signature is not valid: it was changed, or signed by somebody else";
  if (checkpoint.at < known.not_before || checkpoint.at > known.not_after) return `its key was valid from ${known.not_before} to ${known.not_after}, and it is of ${checkpoint.at}`;
  return undefined;
}

/** Why a checkpoint does not follow the one before it. */
export function sequenceFault(previous: SignedCheckpoint, next: SignedCheckpoint): string | undefined {
  if (next.n !== previous.n + 1) return `checkpoint ${next.n} follows checkpoint ${previous.n}: one is missing or was moved`;
  if (next.previous !== hashOf(previous)) return `it does not name checkpoint ${previous.n} as it stands here`;
  if (next.last_seq < previous.last_seq) return `its journal ends at ${next.last_seq}, before that of checkpoint ${previous.n}`;
  if (next.at < previous.at) return `it is older than checkpoint ${previous.n}`;
  return undefined;
}

export interface CheckpointFinding {
  readonly n: number;
  readonly why: string;
}

/** Holds a journal against checkpoints while it is read from its first message. */
export class CheckpointAudit {
  readonly #heads = new Heads();
  readonly #waiting: SignedCheckpoint[];
  readonly #findings: CheckpointFinding[] = [];
  #held = 0;

  constructor(checkpoints: readonly SignedCheckpoint[]) {
    this.#waiting = [...checkpoints].sort((a, b) => a.last_seq - b.last_seq);
  }

  push(message: StoredMessage): void {
    while (this.#waiting[0] !== undefined && message.seq > this.#waiting[0].last_seq) this.#compare(this.#waiting.shift() as SignedCheckpoint);
    this.#heads.push(message);
  }

  /** After the last message. @returns what does not fit, and how many checkpoints do */
  conclude(): { readonly held: number; readonly findings: readonly CheckpointFinding[] } {
    for (const checkpoint of this.#waiting.splice(0)) {
      if (checkpoint.last_seq <= this.#heads.last) this.#compare(checkpoint);
      else {
        const why = `it covers the journal up to sequence ${checkpoint.last_seq}, and the journal ends at ${this.#heads.last}: it was cut off, or an older copy was put in its place`;
        this.#findings.push({ n: checkpoint.n, why });
      }
    }
    return { held: this.#held, findings: this.#findings };
  }

  #compare(checkpoint: SignedCheckpoint): void {
    const { n, last_seq, aggregates, root } = checkpoint;
    if (this.#heads.last !== last_seq) {
      this.#findings.push({ n, why: `the journal has no message ${last_seq}, where it ended when this was signed` });
    } else if (this.#heads.aggregates !== aggregates) {
      const more = this.#heads.aggregates - aggregates;
      const what = more > 0 ? `${more} more: something was added in the past` : `${-more} fewer: whole runs were taken away`;
      this.#findings.push({ n, why: `up to sequence ${last_seq} there were ${aggregates} aggregates, and there are ${what}` });
    } else if (this.#heads.root() !== root) {
      this.#findings.push({ n, why: `what the journal says up to sequence ${last_seq} is not what was signed: it was rewritten` });
    } else this.#held += 1;
  }
}
