/**
 * Whether stored bytes are exactly what a value encodes to, found by walking both at once. Replay asks this of every
 * event; when it still encoded anew only to compare, that and the garbage of it were two fifths of its time.
 *
 * What an event of replay costs now, in processor time, with every link: reading the commit's first event 1.6 to 2 µs
 * (`strict.ts`), the machines 2.6 (`machines/flat.ts`), SHA-256 1.3, walking and headers 1.5, the rest is collecting what
 * states keep. `test/replay/throughput.ts` measures it.
 *
 * It may say no to what is the same (the caller then encodes, and is slower); it never says yes to what is not: every
 * byte is looked at, in the one form that the encoder gives a value.
 */

/** Begins to hold these bytes against values, one after the other, with {@link nextIs} and its like. */
export function beginAt(bytes: Buffer, offset: number): void {
  walked = bytes;
  at = offset;
}
/** Where the next value begins. */
export function position(): number {
  return at;
}
/** Passes over bytes that need no look. */
export function passTo(offset: number): void {
  at = offset;
}
/** Whether the encoding of this value comes next, and passes it. */
export function nextIs(value: unknown): boolean {
  return walk(value);
}
/** The same of a text. */
export function nextIsText(value: string): boolean {
  return text(value);
}
/** The same of a whole number from 0. */
export function nextIsCount(value: number): boolean {
  return number(value);
}
/** The same of so many members of a map, whose keys and values are told next. */
export function nextIsMap(members: number): boolean {
  return head(members, 0x80, 16, undefined, 0xde);
}
/** Whether these very bytes come next, and passes them. */
export function nextAre(expected: Uint8Array): boolean {
  const { length } = expected;
  const [bytes, from] = [walked, at];
  for (let i = 0; i < length; i++) if (bytes[from + i] !== expected[i]) return false;
  at += length;
  return true;
}
/** The same of the byte values of a text's characters. */
export function nextAreCharacters(expected: string): boolean {
  const { length } = expected;
  const [bytes, from] = [walked, at];
  for (let i = 0; i < length; i++) if (bytes[from + i] !== expected.charCodeAt(i)) return false;
  at += length;
  return true;
}

/** @returns true only if `bytes` is what `encode(value)` in `services/bus/codec.ts` returns, byte for byte */
export function sameBytes(value: unknown, bytes: Uint8Array): boolean {
  walked = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  at = 0;
  return walk(value) && at === walked.length;
}

/** One walk at a time, and no object for each. */
let walked: Buffer = Buffer.alloc(0);
let at = 0;
const float = Buffer.alloc(8);
/** Up to here a loop over characters beats a call out of JavaScript. */
const SHORT = 96;

function walk(value: unknown): boolean {
  switch (typeof value) {
    case "string":
      return text(value);
    case "number":
      return number(value);
    case "boolean":
      return walked[at++] === (value ? 0xc3 : 0xc2);
    case "object":
      if (value === null) return walked[at++] === 0xc0;
      if (Array.isArray(value)) return array(value);
      return value instanceof Uint8Array ? binary(value) : map(value as Record<string, unknown>);
    default:
      return false;
  }
}

function array(items: readonly unknown[]): boolean {
  if (!head(items.length, 0x90, 16, undefined, 0xdc)) return false;
  for (const item of items) if (!walk(item)) return false;
  return true;
}

function map(value: Record<string, unknown>): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  let count = 0;
  let sorted = true;
  let last = "";
  // nothing is inherited: the prototype was looked at
  for (const key in value) {
    if (value[key] !== undefined) count += 1;
    if (key < last) sorted = false;
    last = key;
  }
  if (!head(count, 0x80, 16, undefined, 0xde)) return false;
  if (!sorted) return members(value, Object.keys(value).sort());
  for (const key in value) {
    const member = value[key];
    if (member !== undefined && !(text(key) && walk(member))) return false;
  }
  return true;
}

function members(value: Record<string, unknown>, keys: readonly string[]): boolean {
  for (const key of keys) {
    const member = value[key];
    if (member !== undefined && !(text(key) && walk(member))) return false;
  }
  return true;
}

function binary(value: Uint8Array): boolean {
  const { length } = value;
  if (!head(length, 0, 0, 0xc4, 0xc5)) return false;
  at += length;
  return at <= walked.length && walked.compare(value, 0, length, at - length, at) === 0;
}

function text(value: string): boolean {
  const { length } = value;
  // as many bytes as characters: what is not ASCII has more, and is left to the slower way
  if (length <= SHORT) {
    const start = at;
    if (head(length, 0xa0, 32, 0xd9, 0xda)) {
      const [bytes, from] = [walked, at];
      let i = 0;
      while (i < length) {
        const code = value.charCodeAt(i);
        if (code >= 0x80 || bytes[from + i] !== code) break;
        i += 1;
      }
      if (i === length) {
        at += length;
        return true;
      }
    }
    at = start;
  }
  const bytes = Buffer.byteLength(value);
  if (!head(bytes, 0xa0, 32, 0xd9, 0xda)) return false;
  const start = at;
  at += bytes;
  // broken UTF-8 reads as U+FFFD: what holds that character itself is for the encoder to tell
  return at <= walked.length && walked.toString("utf8", start, at) === value && !value.includes("\u{FFFD}");
}

/** The head of a text, array, map or byte string: a fixed form below `fixed`, then one byte of length, two, four. */
function head(count: number, fix: number, fixed: number, one: number | undefined, two: number): boolean {
  if (count < fixed) return walked[at++] === (fix | count);
  if (one !== undefined && count < 0x100) return walked[at++] === one && walked[at++] === count;
  if (count < 0x10000) return walked[at++] === two && uint16(count);
  return walked[at++] === two + 1 && uint16(count >>> 16) && uint16(count & 0xffff);
}

function uint16(value: number): boolean {
  return walked[at++] === value >>> 8 && walked[at++] === (value & 0xff);
}

function number(value: number): boolean {
  if (!Number.isSafeInteger(value)) {
    float.writeDoubleBE(value);
    return walked[at++] === 0xcb && eight();
  }
  if (value >= 0) {
    if (value < 0x80) return walked[at++] === value + 0;
    if (value < 0x100) return walked[at++] === 0xcc && walked[at++] === value;
    if (value < 0x10000) return walked[at++] === 0xcd && uint16(value);
    if (value < 0x100000000) return walked[at++] === 0xce && uint16(value >>> 16) && uint16(value & 0xffff);
    float.writeBigUInt64BE(BigInt(value));
    return walked[at++] === 0xcf && eight();
  }
  // no event of ours holds one yet, so that the encoder may as well
  return false;
}

function eight(): boolean {
  at += 8;
  return at <= walked.length && walked.compare(float, 0, 8, at - 8, at) === 0;
}
