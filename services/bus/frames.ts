/**
 * Publishing without the client's own `publish`, which makes four pieces of memory for a message and copies them once
 * more before it writes. Here all messages that belong together are one piece, as they stand on the wire. Of the
 * thirty messages that a governed action is, twenty go out in batches: the journal's events, and their fan-out.
 */
import type { MsgHdrs, NatsConnection } from "nats";

export interface Frame {
  readonly subject: string;
  /** The whole header block, with its version line and its empty line; empty for a message without headers. */
  readonly head: string;
  readonly data: Uint8Array;
  readonly reply?: string;
}

/** The part of the client (2.29.3) that takes what is to be written. */
interface Client {
  _check(subject: string, sub: boolean, pub: boolean): void;
  readonly protocol: { sendCommand(bytes: Uint8Array): void; outBytes: number; outMsgs: number };
}

/**
 * Hands messages to the connection in one go. Subjects and sizes are the caller's to check.
 * @throws the client's error when the connection is closed or draining
 */
export function publishFrames(nc: NatsConnection, frames: readonly Frame[]): void {
  const [first] = frames;
  if (first === undefined) return;
  const { publish } = nc;
  if (publish !== (Object.getPrototypeOf(nc) as NatsConnection).publish) return oneByOne(nc, frames);
  const client = nc as unknown as Client;
  client._check(first.subject, false, true);
  const lines: string[] = [];
  let size = 0;
  let payload = 0;
  for (const { subject, head, data, reply } of frames) {
    const headSize = Buffer.byteLength(head);
    const to = reply === undefined ? subject : `${subject} ${reply}`;
    const line = head === "" ? `PUB ${to} ${data.length}\r\n` : `HPUB ${to} ${headSize} ${headSize + data.length}\r\n`;
    lines.push(line);
    payload += headSize + data.length;
    size += Buffer.byteLength(line) + headSize + data.length + 2;
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (let i = 0; i < frames.length; i++) {
    const { head, data } = frames[i] as Frame;
    at += bytes.write(lines[i] as string, at);
    if (head !== "") at += bytes.write(head, at);
    bytes.set(data, at);
    at += data.length;
    bytes[at++] = 0x0d;
    bytes[at++] = 0x0a;
  }
  const { protocol } = client;
  protocol.outBytes += payload;
  protocol.outMsgs += frames.length;
  protocol.sendCommand(bytes);
}

/** Somebody stands between us and the client, as a harness does that loses messages, and wants to see each. */
function oneByOne(nc: NatsConnection, frames: readonly Frame[]): void {
  for (const { subject, head, data, reply } of frames) {
    const bytes = Buffer.from(head);
    const headers = { encode: () => bytes } as unknown as MsgHdrs;
    nc.publish(subject, data, { ...(head !== "" && { headers }), ...(reply !== undefined && { reply }) });
  }
}
