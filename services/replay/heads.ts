/** Where every chain of a journal stands, and one hash over all of each segment: a Merkle tree, leaves by subject. */
import { sha256 } from "../../schemas/canonical.ts";
import { CHAIN_START } from "../../schemas/event.ts";
import { segmentOf } from "../../schemas/segments.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { leafOf, levelsOf, pathOf, rootOf } from "./merkle.ts";
import { linkOf } from "./withheld.ts";

/** One chain: its number of events, and the hash over all of their links, whatever the events say of each other. */
export interface Head {
  readonly count: number;
  readonly link: Uint8Array;
}
export const NO_HEAD: Head = { count: 0, link: CHAIN_START };

/** The head of a chain behind one more event. */
export function headAfter(head: Head, message: Pick<StoredMessage, "subject" | "data">): Head {
  return { count: head.count + 1, link: sha256(Buffer.concat([head.link, linkOf(message)])) };
}

/** That a chain stands so in the tree of a root: its place among so many leaves, and the neighbours on the way up, lowest first. */
export interface Inclusion extends Head {
  readonly subject: string;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
}

interface SegmentHeads {
  readonly heads: Map<string, Head>;
  last: number;
}

export class Heads {
  /** By segment of the journal; each is a tree of its own. */
  readonly #segments = new Map<number, SegmentHeads>();

  /** Takes the next message of a segment of the journal, in its order. */
  push(message: Pick<StoredMessage, "subject" | "data" | "seq">): void {
    const { subject, seq } = message;
    const segment = segmentOf(seq);
    let own = this.#segments.get(segment);
    if (own === undefined) this.#segments.set(segment, (own = { heads: new Map(), last: 0 }));
    own.heads.set(subject, headAfter(own.heads.get(subject) ?? NO_HEAD, message));
    own.last = seq;
  }

  /** Segments with a message, in order. */
  get segments(): number[] {
    return [...this.#segments.keys()].sort((a, b) => a - b);
  }

  /** Position of the last message of a segment that was taken; 0 for none. */
  last(segment: number): number {
    return this.#segments.get(segment)?.last ?? 0;
  }

  aggregates(segment: number): number {
    return this.#segments.get(segment)?.heads.size ?? 0;
  }

  /** In hex. Costs a hash for each aggregate and one for each node above them. */
  root(segment = 1): string {
    return this.including([], segment).root;
  }

  /** The root of a segment, with a proof for each of these subjects that has an event in it. Costs what {@link root} costs. */
  including(subjects: Iterable<string>, segment = 1): { readonly root: string; readonly proofs: readonly Inclusion[] } {
    const sorted = [...(this.#segments.get(segment)?.heads ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    const levels = levelsOf(sorted.map(([subject, { count, link }]) => leafOf(subject, count, link)));
    const wanted = new Set(subjects);
    const proofs = sorted.flatMap(([subject, head], index) => (wanted.has(subject) ? [{ subject, ...head, index, size: sorted.length, path: pathOf(levels, index) }] : []));
    return { root: Buffer.from(rootOf(levels)).toString("hex"), proofs };
  }
}
