/** Where every chain of a journal stands, and one hash over all of it: a Merkle tree, leaves by subject. */
import { sha256 } from "../../schemas/canonical.ts";
import { CHAIN_START } from "../../schemas/event.ts";
import { chainLink } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { leafOf, levelsOf, pathOf, rootOf } from "./merkle.ts";

/** One chain: its number of events, and the hash over all of their links, whatever the events say of each other. */
export interface Head {
  readonly count: number;
  readonly link: Uint8Array;
}
export const NO_HEAD: Head = { count: 0, link: CHAIN_START };

/** The head of a chain behind one more event. */
export function headAfter(head: Head, { subject, data }: Pick<StoredMessage, "subject" | "data">): Head {
  return { count: head.count + 1, link: sha256(Buffer.concat([head.link, chainLink(subject, data)])) };
}

/** That a chain stands so in the tree of a root: its place among so many leaves, and the neighbours on the way up, lowest first. */
export interface Inclusion extends Head {
  readonly subject: string;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
}

export class Heads {
  readonly #heads = new Map<string, Head>();
  #last = 0;

  /** Takes the next message of the journal, in stream order. */
  push(message: Pick<StoredMessage, "subject" | "data" | "seq">): void {
    const { subject, seq } = message;
    this.#heads.set(subject, headAfter(this.#heads.get(subject) ?? NO_HEAD, message));
    this.#last = seq;
  }

  /** Stream sequence of the last message that was taken. */
  get last(): number {
    return this.#last;
  }

  get aggregates(): number {
    return this.#heads.size;
  }

  /** In hex. Costs a hash for each aggregate and one for each node above them. */
  root(): string {
    return this.including([]).root;
  }

  /** The root, with a proof for each of these subjects that has an event. Costs what {@link root} costs. */
  including(subjects: Iterable<string>): { readonly root: string; readonly proofs: readonly Inclusion[] } {
    const sorted = [...this.#heads].sort(([a], [b]) => (a < b ? -1 : 1));
    const levels = levelsOf(sorted.map(([subject, { count, link }]) => leafOf(subject, count, link)));
    const wanted = new Set(subjects);
    const proofs = sorted.flatMap(([subject, head], index) => (wanted.has(subject) ? [{ subject, ...head, index, size: sorted.length, path: pathOf(levels, index) }] : []));
    return { root: Buffer.from(rootOf(levels)).toString("hex"), proofs };
  }
}
