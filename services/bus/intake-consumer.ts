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

/** A work queue gives each message to one consumer: another one has a filter that takes some of the same, or has none. */
const IN_THE_WAY: ReadonlySet<number> = new Set([10099, 10100]);

export function isInTheWay(error: unknown): error is ApiError {
  return error instanceof ApiError && IN_THE_WAY.has(error.code);
}

/**
 * Takes it from whoever has it, with everything that they did not acknowledge.
 * @param supersedes which other consumers of the stream go, when they are in its way
 * @returns when it was made, as the server says it
 * @throws ApiError; {@link isInTheWay} when it may not take the place of what stands there
 */
export async function takeConsumer(nc: NatsConnection, wanted: WorkConsumer, timeoutMs: number, supersedes?: (consumer: string) => boolean): Promise<string> {
  await deleteConsumer(nc, wanted.stream, wanted.consumer, timeoutMs);
  const create = async () => String((await createConsumer(nc, wanted, timeoutMs))["created"]);
  try {
    return await create();
  } catch (error) {
    if (supersedes === undefined || !isInTheWay(error)) throw error;
    const older = (await consumersOf(nc, wanted.stream, timeoutMs)).filter((name) => name !== wanted.consumer && supersedes(name));
    // none: another of the same owner's may have deleted them meanwhile; what else is in the way is so still
    await Promise.all(older.map((name) => deleteConsumer(nc, wanted.stream, name, timeoutMs)));
    return create();
  }
}

/** One that is not there is none to delete. @throws ApiError */
export async function deleteConsumer(nc: NatsConnection, stream: string, consumer: string, timeoutMs: number): Promise<void> {
  try {
    await apiRequest(nc, `CONSUMER.DELETE.${stream}.${consumer}`, undefined, timeoutMs);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Names of all consumers of a stream. @throws ApiError */
export async function consumersOf(nc: NatsConnection, stream: string, timeoutMs: number): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const page = await apiRequest(nc, `CONSUMER.NAMES.${stream}`, { offset: names.length }, timeoutMs);
    const found = (page["consumers"] as string[] | null | undefined) ?? [];
    names.push(...found);
    if (found.length === 0 || names.length >= Number(page["total"] ?? 0)) return names;
  }
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
