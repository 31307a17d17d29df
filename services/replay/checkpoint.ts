/**
 * Holding a journal against checkpoints that somebody kept (AUD-1); `witness.ts` signs them. The hash chains show a
 * change within what is there; only a signature kept elsewhere shows that all of it was made anew.
 * Signatures are checked with the web's own cryptography, so that the plane and the verifier's page run the same code.
 */
import { canonicalBytes, sha256 } from "../../schemas/canonical.ts";
import { type SignedCheckpoint, signedCheckpointSchema, type WitnessKey } from "../../schemas/checkpoint.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { Heads } from "./heads.ts";

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
export async function signatureFault(checkpoint: SignedCheckpoint, keys: readonly WitnessKey[]): Promise<string | undefined> {
  const { signature, ...signed } = checkpoint;
  const known = keys.find(({ key }) => key === checkpoint.key);
  if (known === undefined) return `it is signed with the key ${checkpoint.key.slice(0, 16)}…, which is none of those given`;
  const bytes = bytesOf(known.public);
  if (Buffer.from(sha256(bytes)).toString("hex") !== known.key) return `the key ${known.key.slice(0, 16)}… is not named after its own bytes`;
  const valid = await isSigned(bytes, canonicalBytes(signed), bytesOf(signature));
  if (valid === undefined) return "its signature cannot be checked here: Ed25519 is not known";
  if (!valid) return "its signature is not valid: it was changed, or signed by somebody else";
  if (checkpoint.at < known.not_before || checkpoint.at > known.not_after) return `its key was valid from ${known.not_before} to ${known.not_after}, and it is of ${checkpoint.at}`;
  return undefined;
}

/** Of base64url, which a page's `Buffer` does not know by name. */
function bytesOf(text: string): Uint8Array {
  return Buffer.from(text.replaceAll("-", "+").replaceAll("_", "/"), "base64");
}

/** Undefined where there is no Ed25519: some browsers have none. */
async function isSigned(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): Promise<boolean | undefined> {
  const { subtle } = globalThis.crypto;
  // copies: what is handed over has to own its memory
  const [key, text, mark] = [publicKey, bytes, signature].map((one) => Uint8Array.from(one)) as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  let imported: Awaited<ReturnType<typeof subtle.importKey>>;
  try {
    imported = await subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  } catch (error) {
    // bytes that are no point of the curve made no signature
    return (error as Error).name === "NotSupportedError" ? undefined : false;
  }
  return subtle.verify("Ed25519", imported, mark, text);
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
