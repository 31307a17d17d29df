/**
 * What signed checkpoints say of an export (AUD-1, AUD-2). A whole journal is held against them as it stands. Of single
 * runs, a proof shows where each stood in what was signed, and their events up to there have to amount to just that;
 * what happened later no signature is about, and it is said how much that is.
 */
import { covers, partsOf, type SignedCheckpoint, type WitnessKey } from "../../schemas/checkpoint.ts";
import { positionText } from "../../schemas/segments.ts";
import { parseLog, segmentOfSubject } from "../../schemas/subjects.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { CheckpointAudit, hashOf, signatureFault } from "./checkpoint.ts";
import type { CheckpointLine, ExportHeader, ExportKey, ProofLine } from "./export-lines.ts";
import { type Head, headAfter, NO_HEAD } from "./heads.ts";
import { leafOf, rootFrom } from "./merkle.ts";

export interface AttestedCheckpoint {
  readonly line: number;
  readonly n: number;
  readonly at: string;
  /** The journal's last sequence that it is about. */
  readonly last_seq: number;
  readonly key: string;
  /** Whether the key is one that was given, or one that only the file itself names. */
  readonly named_by: "you" | "file";
  /** Events of the file that it holds, and those that are newer. */
  readonly held: number;
  readonly newer: number;
  /** What is wrong; undefined when all that it is about is as it was signed. */
  readonly fault: string | undefined;
}

/** Takes the keys, checkpoints and proofs of an export, and then its events, in the order of its lines. */
export class Attestation {
  readonly #keys: WitnessKey[] = [];
  readonly #checkpoints: { readonly line: number; readonly signed: SignedCheckpoint }[] = [];
  readonly #proofs = new Map<string, ProofLine>();
  readonly #foreign: string[] = [];
  /** Of each subject: where it stood behind the last event up to each checkpoint, by the checkpoint's number. */
  readonly #heads = new Map<string, { head: Head; readonly passed: Map<number, Head> }>();
  #audits: readonly { readonly signed: SignedCheckpoint; readonly audit: CheckpointAudit }[] | undefined;
  readonly #seqs: number[] = [];

  key(of: ExportKey): void {
    if (of.use === "witness") this.#keys.push(of.key);
  }

  /** @returns why it cannot stand there */
  checkpoint(line: number, { signed }: CheckpointLine): string | undefined {
    if (this.#heads.size > 0) return "a checkpoint stands before the first event";
    if (this.#checkpoints.some((one) => one.signed.n === signed.n)) return `checkpoint ${signed.n} stands in the file twice`;
    this.#checkpoints.push({ line, signed });
    return undefined;
  }

  /** @returns why it cannot stand there */
  proof(proof: ProofLine): string | undefined {
    const id = `${proof.checkpoint} ${proof.subject}`;
    if (!this.#checkpoints.some(({ signed }) => signed.n === proof.checkpoint)) return `it proves something of checkpoint ${proof.checkpoint}, which does not stand before it`;
    if (this.#proofs.has(id)) return `a second proof of the same run in checkpoint ${proof.checkpoint}`;
    this.#proofs.set(id, proof);
    return undefined;
  }

  push(header: ExportHeader, message: StoredMessage): void {
    if (this.#checkpoints.length === 0) return;
    this.#seqs.push(message.seq);
    if ("all" in header.what) {
      this.#audits ??= this.#checkpoints.map(({ signed }) => ({ signed, audit: new CheckpointAudit([signed]) }));
      for (const { audit } of this.#audits) audit.push(message);
      return;
    }
    const known = this.#heads.get(message.subject) ?? { head: NO_HEAD, passed: new Map<number, Head>() };
    known.head = headAfter(known.head, message);
    for (const { signed } of this.#checkpoints) if (covers(signed, message.seq)) known.passed.set(signed.n, known.head);
    this.#heads.set(message.subject, known);
  }

  /** Checkpoints that stand in the file as they were signed, whoever signed them: what somebody kept may be one of them. */
  has(kept: SignedCheckpoint): boolean {
    return this.#checkpoints.some(({ signed }) => hashOf(signed) === hashOf(kept));
  }

  /**
   * After the last event.
   * @param trusted keys that whoever verifies was given; without any, those of the file are taken, and it is said so
   */
  async conclude(header: ExportHeader, trusted: readonly WitnessKey[] | undefined): Promise<AttestedCheckpoint[]> {
    return Promise.all(
      this.#checkpoints.map(async ({ line, signed }): Promise<AttestedCheckpoint> => {
        const { n, at, last_seq, key } = signed;
        const held = this.#seqs.filter((seq) => covers(signed, seq)).length;
        const fault =
          signed.ns !== header.namespace
            ? `it is of namespace \`${signed.ns}\`, the file of \`${header.namespace}\``
            : ((await signatureFault(signed, trusted ?? this.#keys)) ?? ("all" in header.what ? this.#wholeFault(signed) : this.#runsFault(signed)));
        return { line, n, at, last_seq, key, named_by: trusted === undefined ? "file" : "you", held, newer: this.#seqs.length - held, fault };
      }),
    );
  }

  #wholeFault(signed: SignedCheckpoint): string | undefined {
    const audit = this.#audits?.find((one) => one.signed === signed)?.audit ?? new CheckpointAudit([signed]);
    return audit.conclude().findings[0]?.why;
  }

  #runsFault(signed: SignedCheckpoint): string | undefined {
    const own = [...this.#proofs.values()].filter(({ checkpoint }) => checkpoint === signed.n);
    const stray = own.find(({ subject }) => !this.#heads.has(subject));
    if (stray !== undefined) return `a proof is of \`${nameIn(stray.subject)}\`, of which the file has no event`;
    for (const [subject, { passed }] of this.#heads) {
      const head = passed.get(signed.n);
      const proof = own.find((one) => one.subject === subject);
      const why = proof === undefined ? head && "no proof that it is in what was signed" : proofFault(signed, proof, head ?? NO_HEAD);
      if (why !== undefined) return `\`${nameIn(subject)}\`: ${why}`;
    }
    return undefined;
  }
}

function proofFault(signed: SignedCheckpoint, { subject, count, head, index, size, path }: ProofLine, found: Head): string | undefined {
  const part = partsOf(signed).find(({ segment }) => segment === segmentOfSubject(subject));
  if (part === undefined) return "it is of a segment of the journal that nothing was signed of";
  const { root, aggregates } = part;
  const last_seq = positionText(part.last);
  const leaf = leafOf(subject, count, Buffer.from(head, "hex"));
  const computed = size === aggregates ? rootFrom(leaf, index, size, path.map((one) => Buffer.from(one, "hex"))) : undefined;
  if (computed === undefined || Buffer.from(computed).toString("hex") !== root) return "its proof does not lead to what was signed: it is another's, or was edited";
  if (found.count < count) return `${count} event(s) were signed up to journal sequence ${last_seq}, and the file has ${found.count}: it was cut off, or events were dropped`;
  if (found.count > count) return `${count} event(s) were signed up to journal sequence ${last_seq}, and the file has ${found.count}: something was added in the past`;
  if (Buffer.from(found.link).toString("hex") !== head) return `what it says up to journal sequence ${last_seq} is not what was signed: it was rewritten`;
  return undefined;
}

function nameIn(subject: string): string {
  return parseLog(subject)?.name ?? subject;
}
