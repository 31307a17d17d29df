/** What an exporter adds of checkpoints: those that say most of what is exported, and proofs that it is in them. */
import type { SignedCheckpoint } from "../../schemas/checkpoint.ts";
import { Heads, type Inclusion } from "./heads.ts";
import type { Messages } from "./journal.ts";

/**
 * The first checkpoint that is about all of it up to `lastSeq`, and the latest of all; only the latest when none is.
 * Of a whole journal only those that are about nothing behind its end.
 */
export function chosenCheckpoints(known: readonly SignedCheckpoint[], lastSeq: number, whole: boolean): SignedCheckpoint[] {
  const sorted = known.filter(({ last_seq }) => !whole || last_seq <= lastSeq).sort((a, b) => a.n - b.n);
  const latest = sorted.at(-1);
  if (latest === undefined) return [];
  const first = whole ? latest : (sorted.find(({ last_seq }) => last_seq >= lastSeq) ?? latest);
  return first === latest ? [latest] : [first, latest];
}

export interface Proven {
  readonly signed: SignedCheckpoint;
  readonly proofs: readonly Inclusion[];
  /** Why the journal is not what was signed: nothing can then be proved. */
  readonly fault?: string;
}

/**
 * Proofs that these subjects stand in these checkpoints: one reading of the journal from its first message up to the
 * last of the checkpoints.
 */
export async function proven(journal: Messages, checkpoints: readonly SignedCheckpoint[], subjects: ReadonlySet<string>): Promise<Proven[]> {
  const heads = new Heads();
  const waiting = [...checkpoints].sort((a, b) => a.last_seq - b.last_seq);
  const done: Proven[] = [];
  const prove = (signed: SignedCheckpoint) => {
    const { root, proofs } = heads.including(subjects);
    const same = heads.last === signed.last_seq && root === signed.root;
    done.push(same ? { signed, proofs } : { signed, proofs: [], fault: `the journal up to sequence ${signed.last_seq} is not what was signed` });
  };
  for await (const message of journal) {
    while (waiting[0] !== undefined && message.seq > waiting[0].last_seq) prove(waiting.shift() as SignedCheckpoint);
    if (waiting.length === 0) break;
    heads.push(message);
  }
  for (const signed of waiting) prove(signed);
  return done.sort((a, b) => a.signed.n - b.signed.n);
}
