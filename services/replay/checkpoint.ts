/**
 * Holding a journal against checkpoints that somebody kept (AUD-1); `witness.ts` signs them. The hash chains show a
 * change within what is there; only a signature kept elsewhere shows that all of it was made anew.
 * Signatures are checked with the web's own cryptography, so that the plane and the verifier's page run the same code.
 */
import { canonicalBytes, sha256 } from "../../schemas/canonical.ts";
import { type CheckpointPart, partsOf, type SignedCheckpoint, signedCheckpointSchema, type WitnessKey } from "../../schemas/checkpoint.ts";
import { positionOf, positionText, segmentOf } from "../../schemas/segments.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { Heads } from "./heads.ts";

/** What the next checkpoint calls `previous`, in hex. */
export function hashOf({ signature: _, ...checkpoint }: SignedCheckpoint): string {
  return Buffer.from(sha256(canonicalBytes(checkpoint))).toString("hex");
}

/**
 * Reads checkpoints, one JSON text a line. The reason why a line is none stands in its place. One that stands there twice
 * is read once: it was sent again to a place that had it.
 */
export function readCheckpoints(text: string): (SignedCheckpoint | string)[] {
  const known = new Set<string>();
  const read = text.split("\n").filter((line) => line.trim() !== "").map(readCheckpoint);
  return read.filter((one) => typeof one === "string" || (!known.has(JSON.stringify(one)) && known.add(JSON.stringify(one))));
}

function readCheckpoint(line: string): SignedCheckpoint | string {
  try {
    const parsed = signedCheckpointSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : `it is no checkpoint: \`${parsed.error.issues[0]?.path.join(".") ?? ""}\``;
  } catch {
    return "it is not JSON";
  }
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
  for (const { segment, last } of partsOf(previous)) {
    const end = partsOf(next).find((part) => part.segment === segment)?.last ?? positionOf(segment, 0);
    if (end < last) return `its journal ends at ${positionText(end)}, before that of checkpoint ${previous.n}`;
  }
  if (next.at < previous.at) return `it is older than checkpoint ${previous.n}`;
  return undefined;
}

export interface CheckpointFinding {
  readonly n: number;
  readonly why: string;
}

/** Walks a journal past the ends that checkpoints name, in each segment by itself. */
export class CheckpointWalk {
  readonly #waiting = new Map<number, { readonly signed: SignedCheckpoint; readonly part: CheckpointPart }[]>();
  readonly #reached: (signed: SignedCheckpoint, part: CheckpointPart) => void;

  /** @param reached told when all of the journal that a part is about was taken, and nothing behind it */
  constructor(checkpoints: readonly SignedCheckpoint[], reached: (signed: SignedCheckpoint, part: CheckpointPart) => void) {
    this.#reached = reached;
    const parts = checkpoints.flatMap((signed) => partsOf(signed).map((part) => ({ signed, part })));
    for (const one of parts.sort((a, b) => a.part.last - b.part.last)) {
      const others = this.#waiting.get(one.part.segment);
      if (others === undefined) this.#waiting.set(one.part.segment, [one]);
      else others.push(one);
    }
  }

  /** Before the message at this position is taken. */
  before(position: number): void {
    const waiting = this.#waiting.get(segmentOf(position));
    if (waiting === undefined) return;
    for (let [next] = waiting; next !== undefined && position > next.part.last; [next] = waiting) {
      waiting.shift();
      this.#reached(next.signed, next.part);
    }
  }

  /** Whether every part was reached. */
  get done(): boolean {
    return [...this.#waiting.values()].every(({ length }) => length === 0);
  }

  /** After the last message. */
  conclude(): void {
    for (const waiting of this.#waiting.values()) for (const { signed, part } of waiting.splice(0)) this.#reached(signed, part);
  }
}

/** Holds a journal against checkpoints while it is read from its first message, each segment in its order. */
export class CheckpointAudit {
  readonly #checkpoints: readonly SignedCheckpoint[];
  readonly #heads = new Heads();
  readonly #walk: CheckpointWalk;
  readonly #findings: CheckpointFinding[] = [];
  readonly #wrong = new Set<SignedCheckpoint>();

  constructor(checkpoints: readonly SignedCheckpoint[]) {
    this.#checkpoints = checkpoints;
    this.#walk = new CheckpointWalk(checkpoints, (signed, part) => this.#compare(signed, part));
  }

  push(message: StoredMessage): void {
    this.#walk.before(message.seq);
    this.#heads.push(message);
  }

  /** Whether nothing that comes changes what is found. */
  get done(): boolean {
    return this.#walk.done;
  }

  /** After the last message. @returns what does not fit, and how many checkpoints do */
  conclude(): { readonly held: number; readonly findings: readonly CheckpointFinding[] } {
    this.#walk.conclude();
    return { held: this.#checkpoints.length - this.#wrong.size, findings: this.#findings };
  }

  #compare(signed: SignedCheckpoint, part: CheckpointPart): void {
    const { segment, last, aggregates, root } = part;
    const { heads, where } = { heads: this.#heads, where: positionText(last) };
    const end = heads.last(segment);
    if (end < last) {
      this.#finds(signed, `it covers the journal up to sequence ${where}, and the journal ends at ${positionText(end || positionOf(segment, 0))}: it was cut off, or an older copy was put in its place`);
    } else if (end !== last) {
      this.#finds(signed, `the journal has no message ${where}, where it ended when this was signed`);
    } else if (heads.aggregates(segment) !== aggregates) {
      const more = heads.aggregates(segment) - aggregates;
      const what = more > 0 ? `${more} more: something was added in the past` : `${-more} fewer: whole runs were taken away`;
      this.#finds(signed, `up to sequence ${where} there were ${aggregates} aggregates, and there are ${what}`);
    } else if (heads.root(segment) !== root) {
      this.#finds(signed, `what the journal says up to sequence ${where} is not what was signed: it was rewritten`);
    }
  }

  #finds(signed: SignedCheckpoint, why: string): void {
    // one reason is enough of each
    if (this.#wrong.has(signed)) return;
    this.#wrong.add(signed);
    this.#findings.push({ n: signed.n, why });
  }
}
