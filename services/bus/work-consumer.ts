/** The one form of consumer that the plane makes on its work queues: durable, pulled from, acknowledged one by one. */
import type { NatsConnection } from "nats";
import { apiRequest } from "./replies.ts";

export interface WorkConsumer {
  readonly stream: string;
  readonly consumer: string;
  readonly filter?: string;
  /** Silence after which the server gives a message out again. */
  readonly ackWaitMs: number;
  readonly maxAckPending: number;
  /** Its state is kept in memory alone: for one whose owner begins with the oldest message anyhow. */
  readonly memory?: boolean;
}

const NANOS = 1_000_000;

/** @returns the server's answer, with `created` @throws ApiError; the client's error when nobody answers */
export function createConsumer(
  nc: NatsConnection,
  { stream, consumer, filter, ackWaitMs, maxAckPending, memory }: WorkConsumer,
  timeoutMs: number,
): Promise<Record<string, unknown>> {
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
    ...(memory === true && { mem_storage: true }),
  };
  const subject = `CONSUMER.CREATE.${stream}.${consumer}${filter === undefined ? "" : `.${filter}`}`;
  return apiRequest(nc, subject, { stream_name: stream, config }, timeoutMs);
}
