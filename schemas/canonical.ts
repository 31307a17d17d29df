/**
 * The one way in which a value becomes bytes that are hashed: RFC 8785 (JSON Canonicalization Scheme).
 * Documents, action documents and approval views are stored in this form, and their digest is their address.
 * Ours, because what has no canonical form must be refused with its path, where the library leaves it out or throws
 * without a word; a property test holds the text against the library's.
 */
import { hash } from "node:crypto";
import { type Digest } from "./ids.ts";
import { keysInOrder } from "./key-order.ts";

/** A value that has no canonical form: not finite, not plain JSON, or a string with a lone surrogate. */
export class NotCanonicalError extends TypeError {
  override readonly name = "NotCanonicalError";
  /** JSON pointer to the value. */
  readonly path: string;
  constructor(path: string, why: string) {
    super(`${path === "" ? "the value" : `\`${path}\``} has no canonical form: ${why}`);
    this.path = path;
  }
}

/** Deeper values are refused: the wire admits 64 levels, and a limit turns a cycle into an error instead of a crash. */
const MAX_DEPTH = 128;

/**
 * RFC 8785 text of a plain value. Members that are `undefined` are left out, as JSON leaves them out;
 * anything else that JSON cannot say is refused instead of being silently changed.
 * @throws NotCanonicalError
 */
export function canonicalText(value: unknown): string {
  // almost always there is nothing wrong: only then is the way to it followed
  return quickText(value, 0) ?? text(value, undefined, 0);
}

/** UTF-8 bytes of {@link canonicalText}. */
export function canonicalBytes(value: unknown): Uint8Array {
  return encoder.encode(canonicalText(value));
}

/** SHA-256, 32 bytes. A string is hashed as UTF-8. */
export function sha256(bytes: Uint8Array | string): Uint8Array {
  return hash("sha256", bytes, "buffer");
}

/** SHA-256 in the form that names a document: `sha256:<64 hex>`. A string is hashed as UTF-8. */
export function sha256Digest(bytes: Uint8Array | string): Digest {
  return `sha256:${hash("sha256", bytes, "hex")}` as Digest;
}

/** The digest of a value's canonical bytes. */
export function canonicalDigest(value: unknown): Digest {
  return sha256Digest(canonicalText(value));
}

const encoder = new TextEncoder();

/** The same text without keeping the way to each value; undefined where there is anything to refuse. */
function quickText(value: unknown, depth: number): string | undefined {
  if (typeof value === "string") return value.isWellFormed() ? JSON.stringify(value) : undefined;
  if (typeof value === "number") return Number.isFinite(value) ? (value === 0 ? "0" : String(value)) : undefined;
  if (typeof value === "boolean") return value ? "true" : "false";
  if (value === null) return "null";
  if (typeof value !== "object" || depth >= MAX_DEPTH) return undefined;
  if (Array.isArray(value)) {
    let out = "[";
    for (let i = 0; i < value.length; i++) {
      const item = quickText(value[i], depth + 1);
      if (item === undefined) return undefined;
      out += i === 0 ? item : `,${item}`;
    }
    return `${out}]`;
  }
  const proto: unknown = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== null) return undefined;
  let out = "{";
  for (const key of keysInOrder(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    const written = quickText(member, depth + 1);
    if (written === undefined || !key.isWellFormed()) return undefined;
    out += `${out.length > 1 ? "," : ""}${JSON.stringify(key)}:${written}`;
  }
  return `${out}}`;
}

/** The way to a value, kept as a linked list because it is needed only when something is wrong. */
interface Step {
  readonly parent: Step | undefined;
  readonly key: string | number;
}

function text(value: unknown, at: Step | undefined, depth: number): string {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw new NotCanonicalError(pointer(at), "a lone surrogate");
      return JSON.stringify(value);
    case "number":
      if (!Number.isFinite(value)) throw new NotCanonicalError(pointer(at), "a number that is not finite");
      // ECMAScript's own form of a number is the one that RFC 8785 prescribes, but for minus zero
      return value === 0 ? "0" : String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      if (depth >= MAX_DEPTH) throw new NotCanonicalError(pointer(at), `nested deeper than ${MAX_DEPTH}`);
      return Array.isArray(value) ? arrayText(value, at, depth) : objectText(value, at, depth);
    default:
      throw new NotCanonicalError(pointer(at), `a value of type ${typeof value}`);
  }
}

function arrayText(items: readonly unknown[], at: Step | undefined, depth: number): string {
  let out = "[";
  for (let i = 0; i < items.length; i++) {
    if (i > 0) out += ",";
    out += text(items[i], { parent: at, key: i }, depth + 1);
  }
  return `${out}]`;
}

function objectText(value: object, at: Step | undefined, depth: number): string {
  const proto: unknown = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== null) throw new NotCanonicalError(pointer(at), "not a plain object");
  let out = "{";
  for (const key of keysInOrder(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    if (!key.isWellFormed()) throw new NotCanonicalError(pointer(at), "a key with a lone surrogate");
    if (out.length > 1) out += ",";
    out += `${JSON.stringify(key)}:${text(member, { parent: at, key }, depth + 1)}`;
  }
  return `${out}}`;
}

function pointer(at: Step | undefined): string {
  if (at === undefined) return "";
  return `${pointer(at.parent)}/${String(at.key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
