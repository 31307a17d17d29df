/** What an exporter adds of checkpoints: those that say most of what is exported, and proofs that it is in them. */
import { covers, partsOf, type SignedCheckpoint } from "../../schemas/checkpoint.ts";
import { positionText, segmentOf } from "../../schemas/segments.ts";
import { CheckpointWalk } from "./checkpoint.ts";
import { Heads, type Inclusion } from "./heads.ts";
import type { Messages } from "./journal.ts";

/**
 * The first checkpoint that is about all of it up to the end, and the latest of all; only the latest when none is.
 * Of a whole journal only those that are about nothing behind its ends.
 * @param ends position of the last message in each segment
 */
export function chosenCheckpoints(known: readonly SignedCheckpoint[], ends: readonly number[], whole: boolean): SignedCheckpoint[] {
  const within = (signed: SignedCheckpoint) => partsOf(signed).every(({ segment, last }) => ends.some((end) => segmentOf(end) === segment && last <= end));
  const sorted = known.filter((signed) => !whole || within(signed)).sort((a, b) => a.n - b.n);
  const latest = sorted.at(-1);
  if (latest === undefined) return [];
  const first = whole ? latest : (sorted.find((signed) => ends.every((end) => covers(signed, end))) ?? latest);
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
  const done = new Map<SignedCheckpoint, Proven>(checkpoints.map((signed) => [signed, { signed, proofs: [] }]));
  const walk = new CheckpointWalk(checkpoints, (signed, { segment, last, root: wanted }) => {
    const before = done.get(signed) as Proven;
    const { root, proofs } = heads.including(subjects, segment);
    const same = heads.last(segment) === last && root === wanted;
    if (!same) done.set(signed, { signed, proofs: [], fault: `the journal up to sequence ${positionText(last)} is not what was signed` });
    else if (before.fault === undefined) done.set(signed, { signed, proofs: [...before.proofs, ...proofs] });
  });
  for await (const message of journal) {
    walk.before(message.seq);
    if (walk.done) break;
    heads.push(message);
  }
  walk.conclude();
  return [...done.values()].sort((a, b) => a.signed.n - b.signed.n);
}
