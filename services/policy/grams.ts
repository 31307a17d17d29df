/** Which pieces a text may hold: filters over pieces of 8 and of 12 characters that are small and never say no wrongly. */

/** Characters of a gram. */
export const GRAM = 8;
/** Two grams this far apart make a pair: 12 characters. */
export const PAIRED = 4;
const BASE = 0x2f0b4c47;
const TOP = power(BASE, GRAM - 1);

/** A hash for each gram of a text, by where it begins. */
export function gramsOf(text: string): Int32Array {
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

/** A hash for each piece of 12 characters, by where it begins. */
export function pairsOf(grams: Int32Array): Int32Array {
  const count = grams.length - PAIRED;
  if (count <= 0) return NONE;
  const hashes = new Int32Array(count);
  for (let i = 0; i < count; i++) hashes[i] = mixed((Math.imul(grams[i]!, BASE) + grams[i + PAIRED]!) | 0);
  return hashes;
}

/** The pieces of one text: 16 to 32 bits for each, and two looks; one piece in a hundred is held to be there by chance. */
export class PieceFilter {
  readonly #bits: Int32Array;
  readonly #mask: number;

  /** @param room pieces that it is made for */
  constructor(room: number) {
    const words = 2 ** Math.max(2, Math.ceil(Math.log2(room / 2)));
    this.#bits = new Int32Array(words);
    this.#mask = words * 32 - 1;
  }

  add(hashes: Int32Array): void {
    for (const hash of hashes) {
      const [first, second] = [hash & this.#mask, other(hash) & this.#mask];
      this.#bits[first >>> 5]! |= 1 << (first & 31);
      this.#bits[second >>> 5]! |= 1 << (second & 31);
    }
  }

  has(hash: number): boolean {
    const first = hash & this.#mask;
    if ((this.#bits[first >>> 5]! & (1 << (first & 31))) === 0) return false;
    const second = other(hash) & this.#mask;
    return (this.#bits[second >>> 5]! & (1 << (second & 31))) !== 0;
  }
}

/** How many groups of texts an {@link OwnerTable} tells apart. */
export const GROUPS = 8;

/** Whose a piece may be: a bit for each group of texts. */
export class OwnerTable {
  #masks: Uint8Array;
  /** Pieces that it holds; beyond `room` it says yes too often, and never no wrongly. */
  #held = 0;

  constructor(room: number) {
    this.#masks = new Uint8Array(sizeFor(room));
  }

  get full(): boolean {
    return this.#held * 2 > this.#masks.length;
  }

  /** Forgets everything, and has room for twice what it held. */
  grow(): void {
    this.#masks = new Uint8Array(sizeFor(2 * this.#held));
    this.#held = 0;
  }

  add(hashes: Int32Array, group: number): void {
    this.#held += hashes.length;
    const [masks, mask, bit] = [this.#masks, this.#masks.length - 1, 1 << group];
    for (const hash of hashes) {
      masks[hash & mask]! |= bit;
      masks[other(hash) & mask]! |= bit;
    }
  }

  at(hash: number): number {
    const mask = this.#masks.length - 1;
    const first = this.#masks[hash & mask]!;
    return first === 0 ? 0 : first & this.#masks[other(hash) & mask]!;
  }
}

const NONE = new Int32Array(0);
const sizeFor = (room: number) => 2 ** Math.max(8, Math.ceil(Math.log2(2 * room + 1)));
const other = (hash: number) => Math.imul((hash >>> 9) ^ hash, 0x5bd1e995) >>> 3;

function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return once ^ (once >>> 13);
}

function power(base: number, exponent: number): number {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = Math.imul(result, base);
  return result;
}
