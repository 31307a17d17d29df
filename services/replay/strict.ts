/**
 * Reads the first event of a commit, and takes it only in the one form that our encoder gives a value: what is read so
 * needs no second look when the commit is compared with what the machine computes (see `same-commit.ts`). Whatever has
 * another form is left to `decodeEvent`, which is slower and says what is wrong.
 *
 * It is twice as fast as the library's decoder, and leaves less garbage: the texts that come again and again in a
 * journal (names, digests of documents, codes) are kept and found by their bytes.
 */
import type { EventBody } from "../../schemas/event.ts";

/** Where a part of the stored bytes begins, and where what follows it does. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface OpenedEvent {
  readonly body: EventBody;
  /** Of the input and what was known of it, in `data`. */
  readonly facts: Span;
  readonly input: Span;
  readonly input_hash: Span;
}

const KEYS = ["at", "cause", "data", "from", "machine", "ns", "part", "prev", "run", "seq", "to", "type", "v"] as const;
/** Each key as it stands in the bytes, with its head. */
const ENCODED = KEYS.map((key) => Uint8Array.of(0xa0 | key.length, ...Buffer.from(key)));
const LINK_BYTES = 32;
const MAX_DEPTH = 128;

/** One reading at a time, and no object for each. */
let bytes: Uint8Array = new Uint8Array();
let buffer: Buffer = Buffer.alloc(0);
let at = 0;
/** Something has another form. */
let other = false;

/** @returns undefined for what is no first event of a commit in the encoder's form */
export function openFirst(data: Uint8Array): OpenedEvent | undefined {
  bytes = data;
  buffer = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  at = 0;
  other = bytes[at++] !== (0x80 | KEYS.length);
  const when = named(0, 0);
  const cause = named(1, 0);
  const spans: { facts?: Span; input?: Span; input_hash?: Span } = {};
  const content = key(2) ? dataMap(spans) : undefined;
  const from = named(3, 0);
  const machine = named(4, 0);
  const ns = named(5, 0);
  const part = named(6, 0) as [number, number];
  const prev = key(7) ? link() : undefined;
  const run = named(8, 0);
  const seq = named(9, 0);
  const to = named(10, 0);
  const type = named(11, 0);
  const v = named(12, 0);
  const { facts, input, input_hash } = spans;
  if (other || at !== bytes.length || facts === undefined || input === undefined || input_hash === undefined || prev === undefined) return undefined;
  if (!Array.isArray(part) || part[0] !== 1 || typeof cause !== "object" || cause === null || typeof machine !== "string" || v !== 1) return undefined;
  return { body: { at: when, cause, data: content, from, machine, ns, part, prev, run, seq, to, type, v } as unknown as EventBody, facts, input, input_hash };
}

/** The next key of the envelope has to be this one. */
function key(index: number): boolean {
  if (other) return false;
  const expected = ENCODED[index] as Uint8Array;
  const source = bytes;
  for (let i = 0; i < expected.length; i++) if (source[at + i] !== expected[i]) return refused() ?? false;
  at += expected.length;
  return true;
}

function named(index: number, depth: number): unknown {
  return key(index) ? value(depth) : undefined;
}

/** The bytes of a link; what it has to be is compared later. */
function link(): Uint8Array | undefined {
  if (bytes[at] !== 0xc4 || bytes[at + 1] !== LINK_BYTES) return refused();
  at += 2 + LINK_BYTES;
  return bytes.subarray(at - LINK_BYTES, at);
}

function dataMap(spans: { facts?: Span; input?: Span; input_hash?: Span }): Record<string, unknown> {
  return members(count(0x80, 16, 0xde), 0, spans);
}

function value(depth: number): unknown {
  const head = bytes[at++] as number;
  if (head < 0x80) return head;
  if (head < 0x90) return members(head & 0x0f, depth);
  if (head < 0xa0) return items(head & 0x0f, depth);
  if (head < 0xc0) return text(head & 0x1f);
  switch (head) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xcb:
      return float();
    case 0xcc:
      return least(whole(1), 0x80);
    case 0xcd:
      return least(whole(2), 0x100);
    case 0xce:
      return least(whole(4), 0x10000);
    case 0xcf:
      return least(whole(8), 0x100000000);
    case 0xd9:
      return text(least(whole(1), 32));
    case 0xda:
      return text(least(whole(2), 0x100));
    case 0xdb:
      return text(least(whole(4), 0x10000));
    case 0xdc:
      return items(least(whole(2), 16), depth);
    case 0xde:
      return members(least(whole(2), 16), depth);
    default:
      // numbers below zero but for the smallest, byte strings, very long lists: no event of ours holds one yet
      return head >= 0xe0 ? head - 0x100 : refused();
  }
}

function items(length: number, depth: number): unknown[] {
  if (depth >= MAX_DEPTH) refused();
  const list: unknown[] = [];
  for (let i = 0; i < length && !other; i++) list.push(value(depth + 1));
  return list;
}

/** Keys stand in the order of their UTF-16 code units, each once. */
function members(length: number, depth: number, spans?: { facts?: Span; input?: Span; input_hash?: Span }): Record<string, unknown> {
  if (depth >= MAX_DEPTH) refused();
  const map: Record<string, unknown> = {};
  let last = "";
  for (let i = 0; i < length && !other; i++) {
    const head = bytes[at++] as number;
    const name = head >= 0xa0 && head < 0xc0 ? text(head & 0x1f) : head === 0xd9 ? text(least(whole(1), 32)) : refused();
    if (name === undefined || (i > 0 && name <= last) || name === "__proto__") {
      refused();
      break;
    }
    last = name;
    const from = at;
    map[name] = value(depth + 1);
    if (spans !== undefined && (name === "facts" || name === "input" || name === "input_hash")) spans[name] = { from, to: at };
  }
  return map;
}

function count(fix: number, fixed: number, two: number): number {
  const head = bytes[at++] as number;
  if (head >= fix && head < fix + fixed) return head - fix;
  if (head === two) return least(whole(2), fixed);
  refused();
  return 0;
}

/** A number in a form that is longer than it needs is not the encoder's. */
function least(number: number, from: number): number {
  if (number < from || number > Number.MAX_SAFE_INTEGER) refused();
  return number;
}

function whole(size: 1 | 2 | 4 | 8): number {
  let number = 0;
  for (let i = 0; i < size; i++) number = number * 256 + (bytes[at++] as number);
  return number;
}

const floats = new DataView(new ArrayBuffer(8));
function float(): number {
  for (let i = 0; i < 8; i++) floats.setUint8(i, bytes[at++] ?? 0);
  const number = floats.getFloat64(0);
  // whole numbers have a form of their own, and not every bit of what is no number comes back
  if (Number.isSafeInteger(number) || Number.isNaN(number)) refused();
  return number;
}

/** Texts up to this length are kept, a power of two of them, beside the bytes that they were. */
const KEPT_LENGTH = 96;
const KEPT = 4096;
const keptBytes = new Uint8Array(KEPT * KEPT_LENGTH);
const keptTexts: string[] = Array.from({ length: KEPT }, () => "");

function text(length: number): string {
  const start = at;
  at += length;
  if (length === 0 || at > bytes.length) {
    if (length > 0) refused();
    return "";
  }
  if (length > KEPT_LENGTH) return longText(start);
  // a few bytes tell most texts apart; those that share a place push each other out
  const source = bytes;
  const quarter = length >> 2;
  let mixed = length;
  mixed = Math.imul(mixed ^ (source[start] as number), 0x01000193);
  mixed = Math.imul(mixed ^ (source[start + quarter] as number), 0x01000193);
  mixed = Math.imul(mixed ^ (source[start + 2 * quarter] as number), 0x01000193);
  mixed = Math.imul(mixed ^ (source[at - 1 - (quarter >> 1)] as number), 0x01000193);
  mixed = Math.imul(mixed ^ (source[at - 1] as number), 0x01000193);
  const place = (mixed ^ (mixed >>> 15)) & (KEPT - 1);
  const offset = place * KEPT_LENGTH;
  const known = keptTexts[place] as string;
  const kept = keptBytes;
  if (known.length === length) {
    let i = 0;
    while (i < length && kept[offset + i] === source[start + i]) i += 1;
    if (i === length) return known;
  }
  let high = 0;
  for (let i = 0; i < length; i++) high |= kept[offset + i] = source[start + i] as number;
  if (high < 0x80) return (keptTexts[place] = buffer.toString("latin1", start, at));
  // others have fewer characters than bytes, and are not kept
  keptTexts[place] = "";
  return longText(start);
}

function longText(start: number): string {
  const made = buffer.toString("utf8", start, at);
  // broken UTF-8 reads as U+FFFD: what holds that character itself is for the decoder to tell
  if (made.includes("\u{FFFD}")) refused();
  return made;
}

function refused(): undefined {
  other = true;
  return undefined;
}
