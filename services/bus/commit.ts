/**
 * From drafts to stored bytes and back. Coordinator and replay seal commits with the same function, so "the same
 * bytes" is one piece of code. The chain is over what is stored: subject, a line feed, and the body.
 */
import { sha256 } from "../../schemas/canonical.ts";
import { CHAIN_START, type Cause, EVENT_TYPES, type EventBody, type EventDraft, type Premise } from "../../schemas/event.ts";
import type { AggregateKind, Namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { decode, encodeBehind } from "./codec.ts";
import type { StoredMessage } from "./journal.ts";

/** Where an aggregate's chain stands. */
export interface ChainHead {
  readonly seq: number;
  /** Link for the next event; {@link CHAIN_START} before the first. */
  readonly prev: Uint8Array;
}
export const EMPTY_CHAIN: ChainHead = { seq: 0, prev: CHAIN_START };

export interface Aggregate {
  readonly ns: Namespace;
  readonly kind: AggregateKind;
  readonly name: string;
  /** Of the journal, where it is not the first; only a run has one. */
  readonly segment?: number;
}

export interface CommitContent {
  readonly drafts: readonly EventDraft[];
  readonly at: string;
  readonly machine: string;
  readonly cause: Cause;
  readonly premise: Premise;
}

export interface SealedEvent {
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: Uint8Array;
}

/** All events of one input, ready to be stored together, and the head that the chain will then have. */
export function seal(aggregate: Aggregate, head: ChainHead, content: CommitContent): { events: SealedEvent[]; head: ChainHead } {
  const subject = subjects.log(aggregate.ns, aggregate.kind, aggregate.name, aggregate.segment);
  let { seq, prev } = head;
  const events = content.drafts.map((_, index) => {
    const body = bodyOf(aggregate, { seq, prev }, content, index);
    const { data, whole } = encodeBehind(`${subject}\n`, body);
    seq += 1;
    prev = sha256(whole);
    return { subject, headers: headersOf(body), data };
  });
  return { events, head: { seq, prev } };
}

/** The body of one event of a commit. @param head where the chain stands before this event */
export function bodyOf(aggregate: Aggregate, head: ChainHead, { drafts, at, machine, cause, premise }: CommitContent, index: number): EventBody {
  const draft = drafts[index] as EventDraft;
  // keys in the order in which they are stored: what is sorted already need not be sorted again
  return {
    at,
    cause,
    data: index === 0 ? { ...draft.data, ...premise } : draft.data,
    from: draft.from,
    machine,
    ns: aggregate.ns,
    part: [index + 1, drafts.length],
    prev: head.prev,
    run: aggregate.name,
    seq: head.seq + 1,
    to: draft.to,
    type: draft.type,
    v: 1,
  };
}

/** What the next event's `prev` must be. */
export function chainLink(subject: string, data: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([Buffer.from(`${subject}\n`), data]));
}

/** CloudEvents 1.0, binary mode. Every one of these is derivable from the body, and checked against it (law 7). */
export function headersOf(body: EventBody): Record<string, string> {
  return {
    "ce-specversion": "1.0",
    "ce-id": `${body.run}:${body.seq}`,
    "ce-type": `signalbox.${body.type}`,
    "ce-source": `/signalbox/${body.ns}`,
    "ce-time": body.at,
    "content-type": "application/msgpack",
  };
}

/** A journal message that is no event of ours; whoever meets it raises an alarm and freezes the aggregate (law 8). */
export class EventMalformed extends Error {
  override readonly name = "EventMalformed";
}

export interface JournalEvent {
  readonly subject: string;
  /** As stored. */
  readonly data: Uint8Array;
  readonly headers: StoredMessage["headers"];
  /** Position in the journal, and when the server stored it (ms since the epoch). */
  readonly streamSeq: number;
  readonly storedAt: number;
  readonly body: EventBody;
}

/** @throws EventMalformed */
export function decodeEvent(message: StoredMessage): JournalEvent {
  let body: unknown;
  try {
    body = decode(message.data);
  } catch (cause) {
    throw new EventMalformed(`message ${message.seq} on \`${message.subject}\` is not MessagePack`, { cause });
  }
  if (!isEventBody(body)) throw new EventMalformed(`message ${message.seq} on \`${message.subject}\` ${whyNone(body)}`);
  return {
    subject: message.subject,
    data: message.data,
    headers: message.headers,
    streamSeq: message.seq,
    storedAt: message.time,
    body,
  };
}

const TYPES: ReadonlySet<string> = new Set(EVENT_TYPES);

/** A later release may record more than this one knows, while both run: to say so tells that from damage. */
function whyNone(body: unknown): string {
  const type: unknown = (body as { readonly type?: unknown } | null)?.type;
  return typeof type === "string" && !TYPES.has(type) ? `is of the type \`${type.slice(0, 64)}\`, which this release does not know` : "is not an event";
}

function isEventBody(value: unknown): value is EventBody {
  if (typeof value !== "object" || value === null) return false;
  const body = value as Record<string, unknown>;
  return (
    body["v"] === 1 &&
    typeof body["ns"] === "string" &&
    typeof body["run"] === "string" &&
    Number.isSafeInteger(body["seq"]) &&
    Array.isArray(body["part"]) &&
    body["part"].length === 2 &&
    typeof body["at"] === "string" &&
    TYPES.has(body["type"] as string) &&
    typeof body["cause"] === "object" &&
    typeof body["machine"] === "string" &&
    typeof body["data"] === "object" &&
    body["data"] !== null &&
    body["prev"] instanceof Uint8Array
  );
}

/** Header names whose stored value is not what the body says. */
export function headerFaults(event: JournalEvent): string[] {
  const expected = headersOf(event.body);
  return Object.keys(expected).filter((name) => event.headers.get(name) !== expected[name]);
}
