/**
 * Reading the messages of one subject pattern with the right to these and no others: JetStream's direct gets of many
 * messages know streams and not subjects, but the request that makes a consumer names its filter in its own subject,
 * and the server holds it to that.
 */
import { randomBytes } from "node:crypto";
import type { Msg, NatsConnection } from "nats";
import { readHeaders } from "./headers.ts";
import { newInbox } from "./replies.ts";
import { ReadError, type StoredMessage } from "./journal.ts";

const TIMEOUT_MS = 5_000;
const IDLE_NS = 30_000_000_000;

/**
 * Everything from a sequence on, in order, as the stream's leader has it.
 * @throws ReadError
 */
export async function* readFiltered(nc: NatsConnection, stream: string, filter: string, fromSeq: number): AsyncGenerator<StoredMessage, void, undefined> {
  // of its own for each read: two on one consumer would share out the messages
  const consumer = `read-${randomBytes(8).toString("hex")}`;
  const config = {
    name: consumer,
    ack_policy: "none",
    deliver_policy: "by_start_sequence",
    opt_start_seq: Math.max(1, fromSeq),
    filter_subject: filter,
    inactive_threshold: IDLE_NS,
    mem_storage: true,
    num_replicas: 1,
  };
  const made = await api(nc, `CONSUMER.CREATE.${stream}.${consumer}.${filter}`, JSON.stringify({ stream_name: stream, config }));
  if (made.error !== undefined) throw new ReadError(`stream \`${stream}\` can not be read: ${made.error.description ?? "no reason given"}`);
  try {
    for (;;) {
      const message = await next(nc, stream, consumer);
      if (message === undefined) return;
      yield message;
    }
  } finally {
    await api(nc, `CONSUMER.DELETE.${stream}.${consumer}`, "").catch(() => undefined);
  }
}

async function next(nc: NatsConnection, stream: string, consumer: string): Promise<StoredMessage | undefined> {
  const message = await asked(nc, `CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify({ batch: 1, no_wait: true }));
  const { headers, code } = { headers: readHeaders(message).headers, code: message.headers?.code };
  if (code === 404 || code === 408) return undefined;
  if (code !== undefined && code !== 0 && message.data.length === 0) throw new ReadError(`stream \`${stream}\` can not be read: status ${code}`);
  // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>
  const [seq = 0, , time = 0] = (message.reply ?? "").split(".").slice(-4).map(Number);
  return { subject: message.subject, seq, time: Math.floor(time / 1e6), headers, data: message.data };
}

async function api(nc: NatsConnection, verb: string, body: string): Promise<{ error?: { description?: string } }> {
  return (await asked(nc, verb, body)).json<{ error?: { description?: string } }>();
}

async function asked(nc: NatsConnection, verb: string, body: string): Promise<Msg> {
  try {
    return await nc.request(`$JS.API.${verb}`, body, { timeout: TIMEOUT_MS, noMux: true, reply: newInbox(nc) });
  } catch (error) {
    throw new ReadError(`\`${verb}\` was not answered`, { cause: error });
  }
}
