/**
 * Reading the bodies that others send. One set of values is admitted, whichever encoding they come in; everything
 * else is a refusal with a code, a reason and a path, and never an exception. Reasons hold nothing of the body but
 * names of keys, because refusals are kept where bodies must not be (law 6).
 */
import { isUtf8 } from "node:buffer";
import type { JsonValue } from "../../schemas/json.ts";
import { MAX_BODY_BYTES, MAX_BODY_DEPTH } from "../../schemas/limits.ts";
import { type BodyFault, type BodyFaultCode, Refused, checkKey, checkNumber, checkText } from "./bodyRules.ts";
import { duplicateKeyPath, scanJson } from "./jsonScan.ts";
import { readMsgpack } from "./msgpackBody.ts";

export type BodyResult = { readonly ok: true; readonly value: JsonValue } | ({ readonly ok: false } & BodyFault);

const JSON_TYPES = new Set(["application/json"]);
const MSGPACK_TYPES = new Set(["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"]);

/**
 * Reads a body as its content type says; without one it is JSON. Never throws.
 * @param maxBytes larger only for what becomes a document before it goes on, as a tool's answer
 */
export function readBody(data: Uint8Array, contentType: string | undefined, maxBytes: number = MAX_BODY_BYTES): BodyResult {
  try {
    if (data.length > maxBytes) {
      return fault("too_large", `the body has \`${data.length}\` bytes, more than \`${maxBytes}\``);
    }
    const type = mediaType(contentType);
    if (type === "json") return { ok: true, value: readJson(data) };
    if (type === "msgpack") return { ok: true, value: readMsgpack(data) };
    return fault("content_type", "the content type is neither `application/json` nor `application/msgpack`");
  } catch (error) {
    if (error instanceof Refused) return { ok: false, ...error.fault() };
    return fault("unreadable", "the body can not be read");
  }
}

function fault(code: BodyFaultCode, reason: string): BodyResult {
  return { ok: false, code, reason };
}

function mediaType(contentType: string | undefined): "json" | "msgpack" | undefined {
  if (contentType === undefined || contentType === "") return "json";
  const [type, ...parameters] = contentType.toLowerCase().split(";").map((part) => part.trim());
  if (MSGPACK_TYPES.has(type ?? "")) return "msgpack";
  if (!JSON_TYPES.has(type ?? "")) return undefined;
  const charset = parameters.find((parameter) => parameter.startsWith("charset="));
  return charset === undefined || /^charset="?utf-8"?$/.test(charset) ? "json" : undefined;
}

function readJson(data: Uint8Array): JsonValue {
  if (data.length === 0) throw new Refused("json", "the body is empty");
  if (data[0] === 0xef && data[1] === 0xbb && data[2] === 0xbf) throw new Refused("byte_order_mark", "the body begins with a byte order mark");
  if (!isUtf8(data)) throw new Refused("utf8", "the body is not UTF-8");
  // Depth is checked on the bytes, before anything is built of them.
  const { keys, tooDeep } = scanJson(data, MAX_BODY_DEPTH);
  if (tooDeep) throw new Refused("depth", `the body is nested deeper than \`${MAX_BODY_DEPTH}\` levels`);
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8");
  let root: JsonValue;
  try {
    root = JSON.parse(text) as JsonValue;
  } catch (error) {
    // The engine's message quotes the body: only the place is taken from it.
    const place = /at position (\d+)/.exec((error as Error).message)?.[1];
    throw new Refused("json", place === undefined ? "the body is not JSON" : `the body is not JSON, from character \`${place}\` on`);
  }
  const counter = { keys: 0 };
  root = checked(root, counter);
  // A key that came twice has been written in the text once more than it stands in the value.
  if (counter.keys !== keys) throw new Refused("duplicate_key", "a key stands twice in one object").under(...duplicateKeyPath(text));
  return root;
}

/** Checks a parsed value; minus zero becomes zero, because no encoding of ours keeps it and replay would differ. */
function checked(value: JsonValue, counter: { keys: number }): JsonValue {
  if (typeof value === "string") {
    checkText(value);
  } else if (typeof value === "number") {
    return checkNumber(value);
  } else if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item = value[i] as JsonValue;
      try {
        const kept = checked(item, counter);
        if (kept !== item || kept === 0) value[i] = kept;
      } catch (error) {
        throw at(error, i);
      }
    }
  } else if (typeof value === "object" && value !== null) {
    for (const key in value) {
      counter.keys++;
      checkKey(key);
      const member = value[key] as JsonValue;
      try {
        const kept = checked(member, counter);
        if (kept === 0) value[key] = kept;
      } catch (error) {
        throw at(error, key);
      }
    }
  }
  return value;
}

function at(error: unknown, step: string | number): unknown {
  return error instanceof Refused ? error.under(step) : error;
}
