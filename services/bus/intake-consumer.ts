/** The consumer of an intake: made anew by whoever takes the inputs over, and known again by when it was made. */
import type { NatsConnection } from "nats";
import { ApiError, apiRequest } from "./replies.ts";

export interface IntakeConsumer {
  readonly stream: string;
  readonly consumer: string;
  readonly filter?: string;
  readonly ackWaitMs: number;
  readonly maxAckPending: number;
}

const NANOS = 1_000_000;
const NOT_FOUND = 404;
const RETRY_MS = 250;
const TAKES = 4;

/** Two owners that take the consumer over at the same moment trip over each other in the server. @throws what `take` threw last */
export async function untripped(take: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await take();
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status < 500 || attempt === TAKES) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Takes it from whoever has it, with everything that they did not acknowledge. @returns when it was made, as the server says it @throws ApiError */
export async function takeConsumer(nc: NatsConnection, { stream, consumer, filter, ackWaitMs, maxAckPending }: IntakeConsumer, timeoutMs: number): Promise<string> {
  try {
    await apiRequest(nc, `CONSUMER.DELETE.${stream}.${consumer}`, undefined, timeoutMs);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === NOT_FOUND)) throw error;
  }
  const config = {
    durable_name: consumer,
    name: consumer,
    ack_policy: "explicit",
    deliver_policy: "all",
    replay_policy: "instant",
    ack_wait: ackWaitMs * NANOS,
    max_ack_pending: maxAckPending,
    max_deliver: -1,
    ...(filter === undefined ? {} : { filter_subject: filter }),
  };
  const subject = `CONSUMER.CREATE.${stream}.${consumer}${filter === undefined ? "" : `.${filter}`}`;
  return String((await apiRequest(nc, subject, { stream_name: stream, config }, timeoutMs))["created"]);
}

/**
 * Whether the consumer of this name is still the one that was made then. Asked behind a pull on the same connection: a
 * pull that came behind another owner's taking would take inputs from that owner, who is not told of it. @throws ApiError
 */
export async function isStillTaken(nc: NatsConnection, stream: string, consumer: string, made: string, timeoutMs: number): Promise<boolean> {
  try {
    return (await apiRequest(nc, `CONSUMER.INFO.${stream}.${consumer}`, undefined, timeoutMs))["created"] === made;
  } catch (error) {
    if (error instanceof ApiError && error.status === NOT_FOUND) return false;
    throw error;
  }
}
