/** Which pieces of text a set of texts may hold: a filter over their pieces of 8 characters, which never says no wrongly. */

/** Characters of a piece. */
export const GRAM = 8;
const BASE = 0x2f0b4c47;
const TOP = power(BASE, GRAM - 1);

/** A hash for each piece of a text, by where it begins. */
export function hashesOf(text: string): Int32Array {
  const count = text.length - GRAM + 1;
  if (count <= 0) return NONE;
  const hashes = new Int32Array(count);
  let hash = 0;
  for (let i = 0; i < GRAM; i++) hash = (Math.imul(hash, BASE) + text.charCodeAt(i)) | 0;
  hashes[0] = mixed(hash);
  for (let i = 1; i < count; i++) {
    hash = (Math.imul(hash - Math.imul(text.charCodeAt(i - 1), TOP), BASE) + text.charCodeAt(i + GRAM - 1)) | 0;
    hashes[i] = mixed(hash);
  }
  return hashes;
}

export class GramFilter {
  readonly #bits: Int32Array;
  readonly #mask: number;
  /** Pieces that it is made for; with more of them it says yes too often, and never no wrongly. */
  readonly room: number;

  constructor(room: number) {
    // at least 8 bits for each piece: one in eight says yes by chance, and a match needs several in a row
    const words = 2 ** Math.max(2, Math.ceil(Math.log2(room / 4)));
    this.#bits = new Int32Array(words);
    this.#mask = words * 32 - 1;
    this.room = words * 4;
  }

  add(hashes: Int32Array): void {
    for (const hash of hashes) {
      const bit = hash & this.#mask;
      this.#bits[bit >>> 5]! |= 1 << (bit & 31);
    }
  }

  has(hash: number): boolean {
    const bit = hash & this.#mask;
    return (this.#bits[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }
}

const NONE = new Int32Array(0);

function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return once ^ (once >>> 13);
}

function power(base: number, exponent: number): number {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = Math.imul(result, base);
  return result;
}
