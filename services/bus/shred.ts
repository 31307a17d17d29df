/** Taking a message out of a stream so that nothing is left of it on the disk. */
import type { NatsConnection } from "nats";

/** The server did not do it: it may still be there. */
export class NotShredded extends Error {
  override readonly name = "NotShredded";
}

const NO_MESSAGE = 10_057;
const NOT_FOUND = 10_037;
const TIMEOUT_MS = 5_000;

/**
 * Removes one message and overwrites its bytes. An acknowledgement or a later message on the same subject removes one
 * too, but leaves its bytes in the store's block until the block is dropped or written anew (measured: until the stream
 * is empty, or some megabytes later).
 * @returns false when there was no such message (any more)
 * @throws NotShredded, or the client's error
 */
export async function shred(nc: NatsConnection, stream: string, seq: number): Promise<boolean> {
  const answer = await nc.request(`$JS.API.STREAM.MSG.DELETE.${stream}`, JSON.stringify({ seq }), { timeout: TIMEOUT_MS });
  const { success, error } = answer.json<{ success?: boolean; error?: { err_code?: number; description?: string } }>();
  if (success === true) return true;
  if (error?.err_code === NO_MESSAGE || error?.err_code === NOT_FOUND) return false;
  throw new NotShredded(`message ${seq} of \`${stream}\` was not removed: ${error?.description ?? "the server does not say why"}`);
}
