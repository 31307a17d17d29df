/**
 * Whether the stored messages of one commit are, byte for byte, what the machine computes, found without decoding any
 * but the first of them. What the first one holds of input and facts was read in the only form that the encoder gives it
 * (`strict.ts`), so that it is not looked at again; what all of them repeat is compared as bytes; the rest is walked.
 * The hash chain holds by that, too: each event has to carry the link of the one before it as it is stored.
 *
 * It may say no to what is the same (the caller then looks at each event alone, and is slower); it never says yes to what
 * is not.
 */
import { hash } from "node:crypto";
import type { Premise } from "../../schemas/event.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { StoredHeaders } from "../bus/stored-headers.ts";
import type { Computed } from "./fold.ts";
import { beginAt, nextAre, nextAreCharacters, nextIs, nextIsCount, nextIsMap, nextIsText, passTo, position } from "./same-bytes.ts";
import type { OpenedEvent } from "./strict.ts";

/** What every event of an aggregate says, as bytes. */
export interface Place {
  readonly subject: string;
  readonly name: string;
  /** What is hashed before an event: the subject and a line feed. */
  readonly salt: Buffer;
  /** `ns`, as key and value. */
  readonly ns: Buffer;
  /** `run`, as key and value. */
  readonly run: Buffer;
  /** What headers say of it. */
  readonly source: string;
}

export function placeOf(ns: string, name: string, subject: string): Place {
  return { subject, name, salt: Buffer.from(`${subject}\n`), ns: member("ns", ns), run: member("run", name), source: `/signalbox/${ns}` };
}

/** A short text as a member of a map. Names are ASCII and at most 255 characters. */
function member(key: string, text: string): Buffer {
  const head = text.length < 32 ? [0xa0 | text.length] : [0xd9, text.length];
  return Buffer.concat([Buffer.of(0xa0 | key.length), Buffer.from(key), Buffer.from(head), Buffer.from(text)]);
}
const keyed = (key: string, ...more: number[]) => Buffer.from([0xa0 | key.length, ...Buffer.from(key), ...more]);
const AT = Buffer.concat([Buffer.of(0x8d), keyed("at")]);
const [CAUSE, DATA, FROM, MACHINE, SEQ, TO, TYPE] = [keyed("cause"), keyed("data"), keyed("from"), keyed("machine"), keyed("seq"), keyed("to"), keyed("type")];
const PART = keyed("part", 0x92);
const LINK_BYTES = 32;
const PREV = keyed("prev", 0xc4, LINK_BYTES);
const V = keyed("v", 1);

function passed(length: number): true {
  passTo(position() + length);
  return true;
}

let scratch = Buffer.alloc(64 * 1024);

/** SHA-256 over subject and body, as 32 characters of one byte: the cheapest form that it comes in. */
function linkOf({ salt }: Place, data: Uint8Array): string {
  const length = salt.length + data.length;
  if (scratch.length < length) scratch = Buffer.alloc(length * 2);
  scratch.set(salt);
  scratch.set(data, salt.length);
  return hash("sha256", scratch.subarray(0, length), "binary");
}

/**
 * @param link of the event before, as 32 characters of one byte each; undefined where links are believed as they stand
 * @returns the link of the last event, empty where links are believed; undefined when anything differs
 */
export function sameCommit(place: Place, seq: number, link: string | undefined, messages: readonly StoredMessage[], { body, ...spans }: OpenedEvent, { drafts, content }: Computed): string | undefined {
  if (drafts.length !== messages.length) return undefined;
  const { at, cause, machine, premise } = content;
  let first: Buffer | undefined;
  let repeated = 0;
  let prev = link ?? "";
  for (let i = 0; i < messages.length; i++) {
    const { subject, data, headers } = messages[i] as StoredMessage;
    const draft = drafts[i] as (typeof drafts)[number];
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    if (subject !== place.subject || !saysSo(headers, place, seq + i + 1, draft.type, at)) return undefined;
    if (first === undefined) {
      beginAt(bytes, 0);
      if (!(nextAre(AT) && nextIsText(at) && nextAre(CAUSE) && nextIs(cause) && nextAre(DATA))) return undefined;
      repeated = position();
      if (premise.input !== premiseOf(body).input || premise.facts !== premiseOf(body).facts || premise.input_hash !== premiseOf(body).input_hash) return undefined;
      if (!nextIsPremised(draft.data, spans)) return undefined;
      first = bytes;
    } else {
      // the same time and the same cause, key by key
      if (first.compare(bytes, 0, repeated, 0, repeated) !== 0) return undefined;
      beginAt(bytes, repeated);
      if (!nextIs(draft.data)) return undefined;
    }
    const same =
      nextAre(FROM) && nextIsText(draft.from) && nextAre(MACHINE) && nextIsText(machine) && nextAre(place.ns) &&
      nextAre(PART) && nextIsCount(i + 1) && nextIsCount(messages.length) && nextAre(PREV) && (link === undefined ? passed(LINK_BYTES) : nextAreCharacters(prev)) &&
      nextAre(place.run) && nextAre(SEQ) && nextIsCount(seq + i + 1) && nextAre(TO) && nextIsText(draft.to) && nextAre(TYPE) && nextIsText(draft.type) && nextAre(V);
    if (!same || position() !== bytes.length) return undefined;
    if (link !== undefined) prev = linkOf(place, bytes);
  }
  return prev;
}

/** By the keys of a draft's data, which are few: theirs and the premise's, sorted. */
const sorted = new Map<string, readonly string[]>();

function keysWithPremise(own: Readonly<Record<string, unknown>>): readonly string[] {
  let shape = "";
  for (const key in own) if (own[key] !== undefined) shape += `${key} `;
  let keys = sorted.get(shape);
  if (keys === undefined) {
    keys = [...new Set([...shape.split(" ").slice(0, -1), "facts", "input", "input_hash"])].sort();
    sorted.set(shape, keys);
  }
  return keys;
}

function premiseOf({ data }: OpenedEvent["body"]): Premise {
  return data as unknown as Premise;
}

/** The draft's own data with the premise among it, in the order of the keys. */
function nextIsPremised(data: object, spans: Omit<OpenedEvent, "body">): boolean {
  const own = data as Readonly<Record<string, unknown>>;
  const keys = keysWithPremise(own);
  if (!nextIsMap(keys.length)) return false;
  for (const key of keys) {
    if (!nextIsText(key)) return false;
    const span = key === "facts" ? spans.facts : key === "input" ? spans.input : key === "input_hash" ? spans.input_hash : undefined;
    if (span === undefined) {
      if (!nextIs(own[key])) return false;
    } else {
      if (position() !== span.from) return false;
      passTo(span.to);
    }
  }
  return true;
}

const types = new Map<string, string>();
/** As in the header, made once each. */
function typeHeader(type: string): string {
  let header = types.get(type);
  if (header === undefined) types.set(type, (header = `signalbox.${type}`));
  return header;
}

/** The headers that `headersOf` makes of the body (law 7). */
function saysSo(headers: StoredMessage["headers"], { name, source }: Place, seq: number, type: string, at: string): boolean {
  if (headers instanceof StoredHeaders) {
    // in the order in which they are published
    const lines = `ce-specversion: 1.0\r\nce-id: ${name}:${seq}\r\nce-type: ${typeHeader(type)}\r\nce-source: ${source}\r\nce-time: ${at}\r\ncontent-type: application/msgpack\r\n`;
    if (headers.say(lines, NAMES)) return true;
  }
  return (
    headers.get("ce-time") === at &&
    headers.get("ce-id") === `${name}:${seq}` &&
    headers.get("ce-type") === typeHeader(type) &&
    headers.get("ce-source") === source &&
    headers.get("ce-specversion") === "1.0" &&
    headers.get("content-type") === "application/msgpack"
  );
}
const NAMES = ["ce-", "content-type"];
