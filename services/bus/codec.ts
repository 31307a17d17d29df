/**
 * MessagePack of events and of everything else that we write ourselves. Equal values have equal bytes, whatever
 * the order in which their keys were set: exact replay rests on it.
 */
import { Decoder, Encoder, ExtensionCodec } from "@msgpack/msgpack";
import { NotPlain, type Packed, pack } from "./pack.ts";

/** A body has 64 levels (see `body.ts`) and stands a few levels deep in an event. */
const MAX_DEPTH = 128;

/**
 * The library writes a `Map` as an empty map, and a `Date` as an extension that comes back as something else than
 * it was. It asks its extension codec about every object first, so this is the place to refuse them.
 */
class PlainOnly extends ExtensionCodec {
  override tryToEncode(value: unknown): null {
    if (Array.isArray(value) || value instanceof Uint8Array) return null;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return null;
    throw new TypeError(`a value of type \`${(value as object).constructor.name}\` can not be encoded`);
  }

  override decode(_data: Uint8Array, type: number): never {
    throw new TypeError(`extension \`${type}\` is not part of our wire`);
  }
}

const extensionCodec = new PlainOnly();
const encoder = new Encoder({ sortKeys: true, ignoreUndefined: true, maxDepth: MAX_DEPTH, extensionCodec });
const decoder = new Decoder({ extensionCodec });

/**
 * Bytes of a plain value, in memory of their own. Keys are sorted by UTF-16 code units; members that are `undefined`
 * are left out.
 * @throws TypeError for class instances, Map, Set, Date, functions; Error beyond 128 levels
 */
export function encode(value: unknown): Uint8Array {
  try {
    return pack(value, MAX_DEPTH, "").whole;
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error;
    return encoder.encode(value);
  }
}

/** The same, and the bytes once more with a text in front of them, as a chain is made over them. */
export function encodeBehind(before: string, value: unknown): Packed {
  try {
    return pack(value, MAX_DEPTH, before);
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error;
    const data = encoder.encode(value);
    return { whole: Buffer.concat([Buffer.from(before), data]), data };
  }
}

/**
 * Reads what {@link encode} wrote. Byte strings in it are views into `bytes`. For what others send use `readBody`.
 * @throws Error when the bytes are not exactly one value
 */
export function decode(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}
