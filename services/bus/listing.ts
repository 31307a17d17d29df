/** Which subjects a stream holds: names only, so that who may ask sees nobody's messages. */
import type { NatsConnection } from "nats";
import { apiRequest } from "./replies.ts";

const TIMEOUT_MS = 5_000;

/**
 * Subjects with messages that match the filter, in no order.
 * @throws ApiError; the client's error when nobody answers
 */
export async function listSubjects(nc: NatsConnection, stream: string, filter: string): Promise<string[]> {
  const found: string[] = [];
  for (;;) {
    const request = { subjects_filter: filter, offset: found.length };
    const answer = await apiRequest(nc, `STREAM.INFO.${stream}`, request, TIMEOUT_MS);
    const page = Object.keys((answer["state"] as { subjects?: Record<string, number> }).subjects ?? {});
    found.push(...page);
    if (page.length === 0 || found.length >= Number(answer["total"] ?? 0)) return found;
  }
}
