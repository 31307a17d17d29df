/** The consumer of an intake: made anew by whoever takes the inputs over, and known again by when it was made. */
import type { NatsConnection } from "nats";
import { ApiError, apiRequest, isNotFound } from "./replies.ts";
import { createConsumer, type WorkConsumer } from "./work-consumer.ts";

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
export async function takeConsumer(nc: NatsConnection, wanted: WorkConsumer, timeoutMs: number): Promise<string> {
  try {
    await apiRequest(nc, `CONSUMER.DELETE.${wanted.stream}.${wanted.consumer}`, undefined, timeoutMs);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  return String((await createConsumer(nc, wanted, timeoutMs))["created"]);
}

/**
 * Whether the consumer of this name is still the one that was made then. Asked behind a pull on the same connection: a
 * pull that came behind another owner's taking would take inputs from that owner, who is not told of it. @throws ApiError
 */
export async function isStillTaken(nc: NatsConnection, stream: string, consumer: string, made: string, timeoutMs: number): Promise<boolean> {
  try {
    return (await apiRequest(nc, `CONSUMER.INFO.${stream}.${consumer}`, undefined, timeoutMs))["created"] === made;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
