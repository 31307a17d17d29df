/**
 * Message headers as bytes. The client's own header class costs several microseconds a message, and at
 * a thousand messages a batch that is the largest part of a commit; these two functions are all we need.
 */
import type { Msg, MsgHdrs } from "nats";
import { StoredHeaders } from "./stored-headers.ts";

/** Headers to send: the client's class, or a plain record (several times faster). */
export type HeaderInput = MsgHdrs | Readonly<Record<string, string>>;

/** Headers as received, by name as it stands on the wire. A name that came twice has its values joined by `, `. */
export type HeaderMap = ReadonlyMap<string, string>;

/** What the client's `publish` asks of headers. */
export interface EncodedHeaders {
  encode(): Uint8Array;
}

const VERSION = "NATS/1.0\r\n";

/**
 * The header block of a message: those of the caller and then ours.
 * @throws TypeError for a name that is no token and a value with a line break (header injection).
 */
export function headerBlock(given: HeaderInput | undefined, ours: string): string {
  let text = VERSION;
  if (given !== undefined) {
    if (isMsgHdrs(given)) {
      for (const [name, values] of given) for (const value of values) text += headerLine(name, value);
    } else {
      for (const name in given) text += headerLine(name, given[name] ?? "");
    }
  }
  return `${text}${ours}\r\n`;
}

/** {@link headerBlock} for the client's own `publish`. */
export function encodeHeaders(given: HeaderInput | undefined, ours: string): MsgHdrs {
  const bytes = Buffer.from(headerBlock(given, ours), "utf8");
  const encoded: EncodedHeaders = { encode: () => bytes };
  return encoded as unknown as MsgHdrs;
}

/** One line of a header block. */
export function headerLine(name: string, value: string): string {
  if (!TOKENS.has(name)) checkToken(name);
  if (value.includes("\n") || value.includes("\r")) throw new TypeError(`header \`${name}\` holds a line break`);
  return `${name}: ${value}\r\n`;
}

/** Names that were looked at: we send few, and each many thousand times a second. */
const TOKENS = new Set<string>();
const MAX_TOKENS = 256;

function checkToken(name: string): void {
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name)) throw new TypeError(`header name \`${name}\` is not a token`);
  if (TOKENS.size < MAX_TOKENS) TOKENS.add(name);
}

function isMsgHdrs(given: HeaderInput): given is MsgHdrs {
  return typeof (given as Partial<MsgHdrs>)[Symbol.iterator] === "function";
}

/** The parts of the client's message (2.29.3) that hold the undecoded header block. */
interface RawMsg {
  readonly _msg: { readonly hdr: number };
  readonly _rdata: Uint8Array;
}

export interface ReceivedHeaders {
  /** Status of the server's own messages (404, 408 …); 0 on a stored message. */
  readonly status: number;
  /** Text behind the status. */
  readonly description: string;
  readonly headers: HeaderMap;
}

const NO_HEADERS: ReceivedHeaders = { status: 0, description: "", headers: new Map() };

/** Reads the headers of a received message. Never throws: what is no header line is left out. */
export function readHeaders(message: Msg): ReceivedHeaders {
  const text = headerText(message);
  return text === "" ? NO_HEADERS : parse(text, text.length);
}

/** Reads a header block as it stands on the wire. */
export function parseHeaderBlock(block: Uint8Array): ReceivedHeaders {
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString("utf8");
  return parse(text, text.length);
}

/** What a direct get says of a stored message. */
export interface DirectHeaders {
  readonly stream: string;
  readonly subject: string;
  readonly seq: number;
  /** As the server writes it, RFC 3339 with nanoseconds. */
  readonly time: string;
  /** As they were published. */
  readonly headers: HeaderMap;
}

/**
 * Reads the headers of an answer to a direct get; undefined when it is a status and not a stored message.
 * The server writes its own headers *behind* the stored ones and does not remove those of the same name, so that
 * a sender can plant a `Nats-Sequence` or a status line of its own (measured). Only what stands behind the last
 * `Nats-Stream: ` is the server's: no later value can hold a space and a colon in that place.
 */
export function readDirectHeaders(message: Msg): DirectHeaders | undefined {
  const text = headerText(message);
  const ours = text.lastIndexOf("Nats-Stream: ");
  if (ours < 0) return undefined;
  const value = (name: string): string => {
    const start = text.indexOf(`\r\n${name}: `, ours);
    if (start < 0) return "";
    return text.slice(start + name.length + 4, text.indexOf("\r\n", start + 2));
  };
  return {
    stream: text.slice(ours + "Nats-Stream: ".length, text.indexOf("\r\n", ours)),
    subject: value("Nats-Subject"),
    seq: Number(value("Nats-Sequence")),
    time: value("Nats-Time-Stamp"),
    headers: new StoredHeaders(text, ours, parsedHeaders),
  };
}

function parsedHeaders(text: string, stop: number): HeaderMap {
  return parse(text, stop).headers;
}

function headerText(message: Msg): string {
  const raw = message as unknown as RawMsg;
  const size = raw._msg.hdr;
  if (size <= 0) return "";
  const bytes = raw._rdata;
  return Buffer.from(bytes.buffer, bytes.byteOffset, size).toString("utf8");
}

function parse(text: string, stop: number): ReceivedHeaders {
  let end = lineEnd(text, 0, stop);
  const statusLine = text.slice(8, end).trim();
  const headers = new Map<string, string>();
  for (let start = end + 2; start < stop; start = end + 2) {
    end = lineEnd(text, start, stop);
    const colon = text.indexOf(":", start);
    if (colon <= start || colon >= end) continue;
    const name = text.slice(start, colon);
    const value = text.slice(colon + 1, end).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  if (statusLine === "") return { status: 0, description: "", headers };
  const status = Number.parseInt(statusLine, 10);
  return { status: Number.isNaN(status) ? 0 : status, description: statusLine.replace(/^\d+\s*/, ""), headers };
}

function lineEnd(text: string, start: number, stop: number): number {
  const end = text.indexOf("\r\n", start);
  return end < 0 || end > stop ? stop : end;
}
