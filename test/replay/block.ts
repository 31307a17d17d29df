/**
 * nats-server's own message blocks (2.12 to 2.15, neither encrypted nor compressed), as somebody reads and writes them
 * who owns the data folder: records of length, sequence, time, subject, headers and body, each closed by HighwayHash-64
 * under a key that is no secret.
 */
import { createHash } from "node:crypto";

export interface Entry {
  readonly seq: bigint;
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  readonly subject: string;
  readonly headers: Buffer;
  readonly data: Buffer;
}

const HEAD = 22;
const HAS_HEADERS = 0x8000_0000;

/** @throws Error when a record is not closed by its hash: the form of the files is then another than is known here */
export function readBlock(stream: string, index: number, bytes: Buffer): Entry[] {
  const key = keyOf(stream, index);
  const entries: Entry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const stated = bytes.readUInt32LE(at);
    const length = stated & ~HAS_HEADERS;
    const seq = bytes.readBigUInt64LE(at + 4);
    const subjectLength = bytes.readUInt16LE(at + 20);
    let from = at + HEAD + subjectLength;
    const subject = bytes.toString("latin1", at + HEAD, from);
    let headers: Buffer = Buffer.alloc(0);
    if (stated >= HAS_HEADERS) {
      headers = bytes.subarray(from + 4, from + 4 + bytes.readUInt32LE(from));
      from += 4 + headers.length;
    }
    const end = at + length - 8;
    const entry = { seq, time: bytes.readBigUInt64LE(at + 12), subject, headers, data: bytes.subarray(from, end) };
    if (!bytes.subarray(end, end + 8).equals(closing(key, entry))) throw new Error(`record ${seq} has another hash than was computed`);
    entries.push(entry);
    at = end + 8;
  }
  return entries;
}

export function writeBlock(stream: string, index: number, entries: readonly Entry[]): Buffer {
  const key = keyOf(stream, index);
  return Buffer.concat(
    entries.flatMap((entry) => {
      const subject = Buffer.from(entry.subject, "latin1");
      const head = Buffer.alloc(HEAD);
      const own = entry.headers.length === 0 ? 0 : 4 + entry.headers.length;
      const length = HEAD + subject.length + own + entry.data.length + 8;
      head.writeUInt32LE((length | (own > 0 ? HAS_HEADERS : 0)) >>> 0, 0);
      placed(entry).copy(head, 4);
      head.writeUInt16LE(subject.length, 20);
      const size = Buffer.alloc(own > 0 ? 4 : 0);
      if (own > 0) size.writeUInt32LE(entry.headers.length);
      return [head, subject, size, entry.headers, entry.data, closing(key, entry)];
    }),
  );
}

function keyOf(stream: string, index: number): Buffer {
  return createHash("sha256").update(`${stream}-${index}`).digest();
}

function placed({ seq, time }: Entry): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(seq, 0);
  bytes.writeBigUInt64LE(time, 8);
  return bytes;
}

function closing(key: Buffer, entry: Entry): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(highwayHash64(key, Buffer.concat([placed(entry), Buffer.from(entry.subject, "latin1"), entry.headers, entry.data])));
  return bytes;
}

type Lanes = [bigint, bigint, bigint, bigint];
const MASK = (1n << 64n) - 1n;
const LOW = 0xffffffffn;
const INIT0: Lanes = [0xdbe6d5d5fe4cce2fn, 0xa4093822299f31d0n, 0x13198a2e03707344n, 0x243f6a8885a308d3n];
const INIT1: Lanes = [0x3bd39e10cb0ef593n, 0xc0acf169b5f18a8cn, 0xbe5466cf34e90c6cn, 0x452821e638d01377n];
const LANES = [0, 1, 2, 3] as const;
const swapped = (value: bigint) => ((value >> 32n) | (value << 32n)) & MASK;
const lanesOf = (bytes: Buffer): Lanes => [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8), bytes.readBigUInt64LE(16), bytes.readBigUInt64LE(24)];

/** HighwayHash, 64 bits, as its authors describe it. */
function highwayHash64(key: Buffer, message: Buffer): bigint {
  const keys = lanesOf(key);
  const state = { v0: INIT0.map((one, i) => one ^ (keys[i] as bigint)) as Lanes, v1: INIT1.map((one, i) => one ^ swapped(keys[i] as bigint)) as Lanes, mul0: [...INIT0] as Lanes, mul1: [...INIT1] as Lanes };
  let at = 0;
  for (; at + 32 <= message.length; at += 32) update(state, lanesOf(message.subarray(at, at + 32)));
  if (at < message.length) updateRest(state, message.subarray(at));
  for (let i = 0; i < 4; i++) update(state, [swapped(state.v0[2]), swapped(state.v0[3]), swapped(state.v0[0]), swapped(state.v0[1])]);
  return (state.v0[0] + state.v1[0] + state.mul0[0] + state.mul1[0]) & MASK;
}

interface State {
  readonly v0: Lanes;
  readonly v1: Lanes;
  readonly mul0: Lanes;
  readonly mul1: Lanes;
}

function update({ v0, v1, mul0, mul1 }: State, lanes: Lanes): void {
  for (const i of LANES) {
    v1[i] = (v1[i] + mul0[i] + lanes[i]) & MASK;
    mul0[i] ^= (v1[i] & LOW) * (v0[i] >> 32n);
    v0[i] = (v0[i] + mul1[i]) & MASK;
    mul1[i] ^= (v0[i] & LOW) * (v1[i] >> 32n);
  }
  zipped(v1, v0, 0);
  zipped(v1, v0, 2);
  zipped(v0, v1, 0);
  zipped(v0, v1, 2);
}

/** Two lanes, mixed byte by byte, are added to two of the other. */
function zipped(from: Lanes, to: Lanes, pair: 0 | 2): void {
  const [low, high] = [from[pair], from[(pair + 1) as 1 | 3]];
  const byte = (value: bigint, index: bigint) => (value >> (index * 8n)) & 0xffn;
  const joined = (bytes: readonly bigint[]) => bytes.reduce((sum, one, i) => sum | (one << BigInt(i * 8)), 0n);
  to[pair] = (to[pair] + joined([byte(low, 3n), byte(high, 4n), byte(low, 2n), byte(low, 5n), byte(high, 6n), byte(low, 1n), byte(high, 7n), byte(low, 0n)])) & MASK;
  const second = (pair + 1) as 1 | 3;
  to[second] = (to[second] + joined([byte(high, 3n), byte(low, 4n), byte(high, 2n), byte(high, 5n), byte(high, 1n), byte(low, 6n), byte(high, 0n), byte(low, 7n)])) & MASK;
}

function updateRest(state: State, rest: Buffer): void {
  const size = BigInt(rest.length);
  for (const i of LANES) {
    state.v0[i] = (state.v0[i] + (size << 32n) + size) & MASK;
    const turned = (half: bigint) => ((half << size) | (half >> (32n - size))) & LOW;
    state.v1[i] = (turned(state.v1[i] >> 32n) << 32n) | turned(state.v1[i] & LOW);
  }
  const packet = Buffer.alloc(32);
  const whole = rest.length & ~3;
  const odd = rest.length & 3;
  rest.copy(packet, 0, 0, whole);
  if ((rest.length & 16) !== 0) rest.copy(packet, 28, rest.length - 4);
  else if (odd > 0) {
    packet[16] = rest[whole] as number;
    packet[17] = rest[whole + (odd >> 1)] as number;
    packet[18] = rest[whole + odd - 1] as number;
  }
  update(state, lanesOf(packet));
}
