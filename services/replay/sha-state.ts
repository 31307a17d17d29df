/**
 * SHA-256 that is stopped at a block's end and gone on with from there. A hash over bytes of which some may not be shown
 * can be checked for those that come after them: whoever has the state behind the hidden part computes the rest, and has
 * to arrive at the hash. To arrive there with another rest, another state would have to be found for it, which is a
 * preimage of the compression function: as hard as one of SHA-256 itself, as far as anybody knows.
 *
 * Written here because the hash libraries at hand keep that state to themselves; tests hold it against Node's own.
 */

export const BLOCK = 64;

/** Round constants: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const K = constants(64, Math.cbrt);
/** The same of the square roots of the first eight. */
const START = constants(8, Math.sqrt);

function constants(count: number, root: (n: number) => number): Int32Array {
  const found = new Int32Array(count);
  for (let n = 2, i = 0; i < count; n++) {
    let prime = true;
    for (let by = 2; by * by <= n; by++) prime &&= n % by !== 0;
    if (prime) found[i++] = (root(n) % 1) * 0x100000000;
  }
  return found;
}

/** 32 bytes: where the hash stands behind these blocks. @throws RangeError when they do not end where a block does */
export function stateBehind(bytes: Uint8Array): Uint8Array {
  if (bytes.length % BLOCK !== 0) throw new RangeError("the bytes end within a block");
  const state = Int32Array.from(START);
  for (let at = 0; at < bytes.length; at += BLOCK) compress(state, bytes, at);
  return bytesOf(state);
}

/**
 * The hash of bytes of which the first `size - rest.length` led to this state.
 * @param size of all of them together; at most 2^32
 */
export function hashFrom(from: Uint8Array, rest: Uint8Array, size: number): Uint8Array {
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  const state = Int32Array.from({ length: 8 }, (_, i) => view.getInt32(i * 4));
  // a one, zeros, and the length in bits
  const padded = new Uint8Array(Math.ceil((rest.length + 9) / BLOCK) * BLOCK);
  padded.set(rest);
  padded[rest.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(size) * 8n);
  for (let at = 0; at < padded.length; at += BLOCK) compress(state, padded, at);
  return bytesOf(state);
}

function bytesOf(state: Int32Array): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  state.forEach((word, i) => view.setInt32(i * 4, word));
  return bytes;
}

const W = new Int32Array(64);
const rotated = (x: number, by: number) => (x >>> by) | (x << (32 - by));

function compress(state: Int32Array, bytes: Uint8Array, at: number): void {
  for (let i = 0, byte = at; i < 16; i++, byte += 4) {
    W[i] = ((bytes[byte] as number) << 24) | ((bytes[byte + 1] as number) << 16) | ((bytes[byte + 2] as number) << 8) | (bytes[byte + 3] as number);
  }
  for (let i = 16; i < 64; i++) {
    const [x, y] = [W[i - 15] as number, W[i - 2] as number];
    const [s0, s1] = [rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3), rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10)];
    W[i] = (W[i - 16] as number) + s0 + (W[i - 7] as number) + s1;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const one = (h + s1 + ((e & f) ^ (~e & g)) + (K[i] as number) + (W[i] as number)) | 0;
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] = (state[i] as number) + word));
}
