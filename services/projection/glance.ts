/**
 * What the read model needs of most events, without reading the rest: a commit's first event holds its input and all
 * its facts, and of ten events one is needed whole. Decoding all of them was a sixth of this thread's time.
 */
import type { EventBody } from "../../schemas/event.ts";
import { decode } from "../bus/codec.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";

export interface Glance {
  readonly type: EventBody["type"];
  readonly at: string;
  readonly part: EventBody["part"];
  /** Of `data`, only what is {@link WANTED}. */
  readonly data: Readonly<Record<string, unknown>>;
}

const named = (...names: string[]) => names.map((name) => ({ name, bytes: Buffer.from(name) }));
const OF_EVENT = named("type", "at", "part", "v", "data");
const WANTED = named("action", "approvers", "tool", "attempt", "claim", "deadline");
const SEEN = new WeakMap<StoredMessage, Glance>();

/** Several listeners look at one message; it is read once. @throws EventMalformed */
export function glance(message: StoredMessage): Glance {
  const seen = SEEN.get(message);
  if (seen !== undefined) return seen;
  // whatever is not as expected is looked at by who says what is wrong with it
  const read = readGlance(message.data) ?? decodeEvent(message).body;
  SEEN.set(message, read);
  return read;
}

function readGlance(bytes: Uint8Array): Glance | undefined {
  const glimpse: Record<string, unknown> = {};
  const data: Record<string, unknown> = {};
  let whole = false;
  const end = members(bytes, 0, OF_EVENT, (key, start, next) => {
    if (key !== "data") glimpse[key] = valueAt(bytes, start, next);
    else whole = members(bytes, start, WANTED, (name, from, to) => (data[name] = valueAt(bytes, from, to))) === next;
  });
  const { type, at, part, v } = glimpse;
  if (!whole || end !== bytes.length || v !== 1 || typeof type !== "string" || typeof at !== "string" || !Array.isArray(part) || part.length !== 2) return undefined;
  return { type: type as Glance["type"], at, part: part as unknown as Glance["part"], data };
}

/** Short texts and small numbers, and pairs of them: a decoder that is set up for each costs more than they do. */
function valueAt(bytes: Uint8Array, start: number, end: number): unknown {
  const head = bytes[start] as number;
  if (head < 0x80) return head;
  if (head >= 0xa0 && head < 0xc0) return Buffer.from(bytes.buffer, bytes.byteOffset + start + 1, end - start - 1).toString("utf8");
  const [one = 0x80, other = 0x80] = head === 0x92 && end === start + 3 ? bytes.subarray(start + 1, end) : [];
  return one < 0x80 && other < 0x80 ? [one, other] : decode(bytes.subarray(start, end));
}

/**
 * Goes through a map, and tells of the members that are wanted. Names are compared as they stand: a text of each would
 * cost more than all the rest. @returns where it ends; undefined where there is no map, or not all of it
 */
function members(bytes: Uint8Array, start: number, wanted: typeof WANTED, member: (key: string, start: number, end: number) => void): number | undefined {
  const head = bytes[start] ?? 0;
  let count = head - 0x80;
  let at = start + 1;
  if (head === 0xde && start + 3 <= bytes.length) {
    count = sizeAt(bytes, at, 2);
    at += 2;
  } else if (head < 0x80 || head > 0x8f) return undefined;
  for (let i = 0; i < count; i++) {
    const from = skip(bytes, at);
    if (from === undefined) return undefined;
    const to = skip(bytes, from);
    if (to === undefined || to > bytes.length) return undefined;
    for (const { name, bytes: key } of wanted) if (bytes[at] === 0xa0 + key.length && stands(bytes, at + 1, key)) member(name, from, to);
    at = to;
  }
  return at;
}

function stands(bytes: Uint8Array, at: number, key: Uint8Array): boolean {
  for (let i = 0; i < key.length; i++) if (bytes[at + i] !== key[i]) return false;
  return true;
}

function sizeAt(bytes: Uint8Array, at: number, width: number): number {
  let size = 0;
  for (let i = 0; i < width; i++) size = size * 256 + (bytes[at + i] as number);
  return size;
}

/** Behind the value that begins here; undefined where none of ours does. */
function skip(bytes: Uint8Array, start: number): number | undefined {
  let at = start;
  // values that are still to be passed over
  for (let left = 1; left > 0; left--) {
    const head = bytes[at];
    if (head === undefined) return undefined;
    at += 1;
    if (head < 0x80 || head >= 0xe0) continue;
    if (head < 0x90) left += 2 * (head - 0x80);
    else if (head < 0xa0) left += head - 0x90;
    else if (head < 0xc0) at += head - 0xa0;
    else {
      const width = WIDTHS[head - 0xc0] as number;
      const sized = SIZED[head - 0xc0] as number;
      if (width < 0 || at + sized > bytes.length) return undefined;
      const size = sized === 0 ? 0 : sizeAt(bytes, at, sized);
      at += width + sized;
      if (head === 0xdc || head === 0xdd) left += size;
      else if (head === 0xde || head === 0xdf) left += 2 * size;
      else at += size;
    }
  }
  return at;
}

/** Of the heads from 0xc0 on: bytes that follow always, -1 for what we never write, and of the size that follows. */
const WIDTHS = [0, -1, 0, 0, 0, 0, 0, -1, -1, -1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0];
const SIZED = [0, 0, 0, 0, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4];
