/** Inclusion proofs of RFC 6962: each leaf's leads to the root, and nothing else does (AUD-1). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../../schemas/canonical.ts";
import { leafOf, levelsOf, pathOf, rootFrom, rootOf } from "../../services/replay/merkle.ts";

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");
const leaves = (n: number) => Array.from({ length: n }, (_, i) => leafOf(`run-${i}`, i + 1, sha256(String(i))));

test("AUD-1 in a tree of any size, the proof of every leaf leads to the root", () => {
  for (let size = 1; size <= 40; size++) {
    const levels = levelsOf(leaves(size));
    for (const [index, leaf] of leaves(size).entries()) assert.equal(hex(rootFrom(leaf, index, size, pathOf(levels, index))), hex(rootOf(levels)), `${index} of ${size}`);
  }
});

test("AUD-1 another leaf, place, size, or way leads somewhere else", () => {
  for (const size of [2, 3, 5, 8, 13, 40]) {
    const all = leaves(size);
    const levels = levelsOf(all);
    const root = hex(rootOf(levels));
    for (const [index, leaf] of all.entries()) {
      const path = pathOf(levels, index);
      const wrong = [
        rootFrom(leafOf(`run-${index}`, index + 2, sha256(String(index))), index, size, path),
        rootFrom(all[(index + 1) % size] as Uint8Array, index, size, path),
        rootFrom(leaf, index ^ 1, size, path),
        rootFrom(leaf, index + size, size, path),
        rootFrom(leaf, index, size * 2, path),
        rootFrom(leaf, index, size, path.slice(1)),
        rootFrom(leaf, index, size, [...path, sha256("")]),
        rootFrom(leaf, index, size, path.with(0, sha256("")).slice(0, path.length)),
        ...(path.length > 1 ? [rootFrom(leaf, index, size, path.toReversed())] : []),
      ];
      for (const [which, found] of wrong.entries()) assert.notEqual(hex(found), root, `${index} of ${size}, change ${which}`);
    }
  }
});
