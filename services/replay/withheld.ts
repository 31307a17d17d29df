/**
 * Events of which an export shows a part (AUD-3). The chain is over whole stored bytes, so that nobody who lacks them can
 * compute an event's hash; it is carried as it was recorded. What of the event may be seen is beside it, and no more of
 * that is proved than its end: `data` comes before `from`, `machine`, `ns`, `part`, `prev`, `run`, `seq`, `to`, `type`
 * and `v` in the stored bytes, so that the hash is gone on with from its state behind `data`, over what is shown of these.
 * That binds place, order, type and states of the event to its recorded hash, but for up to 63 bytes behind `data`, which
 * are hidden with it. Time, cause, and what is shown of `data` no hash holds.
 */
import type { EventBody } from "../../schemas/event.ts";
import { encode } from "../bus/codec.ts";
import { chainLink, decodeEvent, EventMalformed, type JournalEvent } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { BLOCK, hashFrom, stateBehind } from "./sha-state.ts";

/** What stands in the place of the bytes that are not there. */
export interface Withheld {
  /** The event's link, over its stored bytes. */
  readonly link: Uint8Array;
  /** Length of what was hashed: subject, line feed and body. */
  readonly size: number;
  /** Of the hash, behind the last block that holds anything of `data`. */
  readonly state: Uint8Array;
}

/** Its `data` are not what was stored, but what of it is shown, in the same form. */
export interface WithheldMessage extends StoredMessage {
  readonly withheld: Withheld;
}

/** Undefined for a message whose bytes are those that were stored. */
export function withheldOf(message: StoredMessage): Withheld | undefined {
  return (message as Partial<WithheldMessage>).withheld;
}

/** The link of a message as it was stored; of a withheld one, as it was recorded. */
export function linkOf(message: Pick<StoredMessage, "subject" | "data">): Uint8Array {
  return withheldOf(message as StoredMessage)?.link ?? chainLink(message.subject, message.data);
}

/** A message with so much of its event as is shown. @throws EventMalformed when the stored bytes do not end as those of an event do */
export function withhold(message: StoredMessage, shown: EventBody): WithheldMessage {
  const whole = Buffer.concat([Buffer.from(`${message.subject}\n`), message.data]);
  const end = endOf(shown);
  if (whole.length < end.length || Buffer.compare(whole.subarray(whole.length - end.length), end) !== 0) {
    throw new EventMalformed(`message ${message.seq} on \`${message.subject}\` does not end as an event does`);
  }
  const withheld = { link: chainLink(message.subject, message.data), size: whole.length, state: stateBehind(whole.subarray(0, boundary(whole.length, end))) };
  return { subject: message.subject, seq: message.seq, time: message.time, headers: message.headers, data: encode(shown), withheld };
}

/** Why what is shown of an event cannot be the end of what was recorded; undefined when it is. */
export function boundFault(message: WithheldMessage): string | undefined {
  const { link, size, state } = message.withheld;
  let event: JournalEvent;
  try {
    event = decodeEvent(message);
  } catch (error) {
    if (error instanceof EventMalformed) return error.message;
    throw error;
  }
  const end = endOf(event.body);
  const rest = size - boundary(size, end);
  if (size <= end.length || rest > end.length) return "it is shorter than what is shown of it";
  const same = Buffer.compare(hashFrom(state, end.subarray(end.length - rest), size), link) === 0;
  return same ? undefined : "its place, type or states are not those that its recorded hash is over: they were edited, or the hash was";
}

/** Where the first block begins that holds nothing of what comes before the end. */
function boundary(size: number, end: Uint8Array): number {
  return Math.ceil((size - end.length) / BLOCK) * BLOCK;
}

/** The last bytes of an event, from `from` on: its keys are stored in their order. */
function endOf({ from, machine, ns, part, prev, run, seq, to, type, v }: EventBody): Uint8Array {
  // without the byte that says how many members a map has
  return encode({ from, machine, ns, part, prev, run, seq, to, type, v }).subarray(1);
}
