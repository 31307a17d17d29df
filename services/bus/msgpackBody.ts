/**
 * A reader of the part of MessagePack that says what JSON says. General decoders keep the last of two equal keys,
 * repair broken UTF-8 and turn extensions into objects of their own; in a proposal each of these is a refusal.
 */
import type { JsonValue } from "../../schemas/json.ts";
import { MAX_BODY_DEPTH } from "../../schemas/limits.ts";
import { Refused, checkKey, checkNumber } from "./bodyRules.ts";

/** @throws Refused */
export function readMsgpack(data: Uint8Array): JsonValue {
  const reader = new MsgpackReader(data);
  const value = reader.value(0);
  reader.end();
  return value;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const REPLACEMENT = "\u{FFFD}";

class MsgpackReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new Refused("trailing", `\`${left}\` bytes stand behind the value`);
  }

  /** Recursion is bounded by the depth that the wire admits. */
  value(depth: number): JsonValue {
    const head = this.#uint(1);
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 0x0f, depth);
    if (head < 0xa0) return this.#array(head & 0x0f, depth);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return checkNumber(this.#bytes.readFloatBE(this.#take(4)));
      case 0xcb:
        return checkNumber(this.#bytes.readDoubleBE(this.#take(8)));
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return safe(this.#bytes.readBigUInt64BE(this.#take(8)));
      case 0xd0:
        return this.#bytes.readInt8(this.#take(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#take(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#take(4));
      case 0xd3:
        return safe(this.#bytes.readBigInt64BE(this.#take(8)));
      case 0xd9:
        return this.#text(this.#uint(1));
      case 0xda:
        return this.#text(this.#uint(2));
      case 0xdb:
        return this.#text(this.#uint(4));
      case 0xdc:
        return this.#array(this.#uint(2), depth);
      case 0xdd:
        return this.#array(this.#uint(4), depth);
      case 0xde:
        return this.#map(this.#uint(2), depth);
      case 0xdf:
        return this.#map(this.#uint(4), depth);
      case 0xc4:
      case 0xc5:
      case 0xc6:
        throw new Refused("binary", "a byte string is no JSON value");
      case 0xc1:
        throw new Refused("msgpack", "the byte `0xc1` is never used");
      default:
        throw new Refused("extension", "extensions are not part of the wire");
    }
  }

  #array(count: number, depth: number): JsonValue {
    this.#enter(count, depth);
    const items: JsonValue[] = [];
    for (let i = 0; i < count; i++) {
      try {
        items.push(this.value(depth + 1));
      } catch (error) {
        throw error instanceof Refused ? error.under(i) : error;
      }
    }
    return items;
  }

  #map(count: number, depth: number): JsonValue {
    this.#enter(count * 2, depth);
    const members: { [key: string]: JsonValue } = {};
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      checkKey(key);
      if (Object.hasOwn(members, key)) throw new Refused("duplicate_key", "a key stands twice in one object").under(key);
      try {
        members[key] = this.value(depth + 1);
      } catch (error) {
        throw error instanceof Refused ? error.under(key) : error;
      }
    }
    return members;
  }

  /** A count is believed only as far as there are bytes for it: every value has at least one. */
  #enter(values: number, depth: number): void {
    if (depth >= MAX_BODY_DEPTH) throw new Refused("depth", `the body is nested deeper than \`${MAX_BODY_DEPTH}\` levels`);
    if (values > this.#bytes.length - this.#at) throw new Refused("msgpack", "the body ends in the middle of a value");
  }

  #key(): string {
    const head = this.#uint(1);
    if (head >= 0xa0 && head < 0xc0) return this.#text(head & 0x1f);
    if (head === 0xd9) return this.#text(this.#uint(1));
    if (head === 0xda) return this.#text(this.#uint(2));
    if (head === 0xdb) return this.#text(this.#uint(4));
    throw new Refused("key", "a key is not a string");
  }

  /** A well-formed string always: surrogates have no UTF-8. */
  #text(length: number): string {
    const start = this.#take(length);
    const text = this.#bytes.toString("utf8", start, start + length);
    // The fast way puts U+FFFD in place of what is broken; it may also have been sent as such.
    if (text.includes(REPLACEMENT)) {
      try {
        return strict.decode(this.#bytes.subarray(start, start + length));
      } catch {
        throw new Refused("utf8", "a text is not UTF-8");
      }
    }
    return text;
  }

  #uint(size: 1 | 2 | 4): number {
    return this.#bytes.readUIntBE(this.#take(size), size);
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new Refused("msgpack", "the body ends in the middle of a value");
    this.#at = start + length;
    return start;
  }
}

/** Checked before the conversion, which rounds. */
function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < -BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new Refused("number", "an integer lies beyond ±2^53");
  }
  return Number(value);
}
