/** Where every chain of a journal stands, and one hash over all of it: a Merkle tree as in RFC 6962, leaves by subject. */
import { sha256 } from "../../schemas/canonical.ts";
import { CHAIN_START } from "../../schemas/event.ts";
import { chainLink } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

export class Heads {
  /** By subject: number of events, and the hash over all of their links, whatever the events say of each other. */
  readonly #heads = new Map<string, { count: number; link: Uint8Array }>();
  #last = 0;

  /** Takes the next message of the journal, in stream order. */
  push({ subject, data, seq }: Pick<StoredMessage, "subject" | "data" | "seq">): void {
    let head = this.#heads.get(subject);
    if (head === undefined) this.#heads.set(subject, (head = { count: 0, link: CHAIN_START }));
    head.count += 1;
    head.link = sha256(Buffer.concat([head.link, chainLink(subject, data)]));
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
    const leaves = [...this.#heads].sort(([a], [b]) => (a < b ? -1 : 1)).map(([subject, { count, link }]) => leaf(subject, count, link));
    return Buffer.from(rootOf(leaves)).toString("hex");
  }
}

/** An event more or less is another leaf, also where somebody found two events with one link. */
function leaf(subject: string, count: number, link: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([LEAF, Buffer.from(`${subject}\n${count}\n`), link]));
}

/** Level by level; a node without a neighbour moves up as it is, which is RFC 6962's tree for every number of leaves. */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256("");
  let level = leaves;
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i] as Uint8Array, level[i + 1]];
      above.push(right === undefined ? left : sha256(Buffer.concat([NODE, left, right])));
    }
    level = above;
  }
  return level[0] as Uint8Array;
}
