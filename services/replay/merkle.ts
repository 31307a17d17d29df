/**
 * The Merkle tree of RFC 6962 over where the chains of a journal stand. A root says all of it in 32 bytes; an inclusion
 * proof shows of one chain that it is among what the root says, with nothing known of the others but hashes.
 */
import { sha256 } from "../../schemas/canonical.ts";

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

/** An event more or less is another leaf, also where somebody found two events with one link. */
export function leafOf(subject: string, count: number, link: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([LEAF, Buffer.from(`${subject}\n${count}\n`), link]));
}

/** Level by level; a node without a neighbour moves up as it is, which is RFC 6962's tree for every number of leaves. */
export function levelsOf(leaves: readonly Uint8Array[]): (readonly Uint8Array[])[] {
  const levels: (readonly Uint8Array[])[] = [leaves];
  for (let level = leaves; level.length > 1; levels.push(level)) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i] as Uint8Array, level[i + 1]];
      above.push(right === undefined ? left : nodeOf(left, right));
    }
    level = above;
  }
  return levels;
}

/** The root of {@link levelsOf}; of no leaves at all, the hash of nothing. */
export function rootOf(levels: readonly (readonly Uint8Array[])[]): Uint8Array {
  return levels.at(-1)?.[0] ?? sha256("");
}

/** The neighbours on the way from a leaf to the root, lowest first. */
export function pathOf(levels: readonly (readonly Uint8Array[])[], index: number): Uint8Array[] {
  return levels.slice(0, -1).flatMap((level, height) => level[(index >> height) ^ 1] ?? []);
}

/**
 * The root that a leaf in this place has with these neighbours; undefined when a tree of `size` leaves has no such
 * place or a path of another length.
 */
export function rootFrom(leaf: Uint8Array, index: number, size: number, path: readonly Uint8Array[]): Uint8Array | undefined {
  if (index >= size) return undefined;
  let node = leaf;
  let used = 0;
  let place = index;
  for (let width = size; width > 1; width = Math.ceil(width / 2), place >>= 1) {
    // the last of an odd number moves up alone
    if (place === width - 1 && width % 2 === 1) continue;
    const neighbour = path[used++];
    if (neighbour === undefined) return undefined;
    node = place % 2 === 0 ? nodeOf(node, neighbour) : nodeOf(neighbour, node);
  }
  return used === path.length ? node : undefined;
}

function nodeOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([NODE, left, right]));
}
