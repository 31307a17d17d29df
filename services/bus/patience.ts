/**
 * Starting on servers that are still choosing their leaders: a time-out or a 503 is no reason to end a process that
 * would be started again at once. Anything else is.
 */
import type { Logger } from "pino";
import { ReadError } from "./journal.ts";
import { ApiError } from "./replies.ts";

const PATIENCE_MS = 60_000;
const RETRY_MS = 250;
const MAX_RETRY_MS = 4_000;

/** Begins again, with everything new, until it succeeds or a minute has passed. @throws what `begin` threw last */
export async function patiently<T>(what: string, log: Logger, begin: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (let attempt = 0; ; attempt++) {
    try {
      return await begin();
    } catch (error) {
      if (!isPassing(error) || performance.now() - began > PATIENCE_MS) throw error;
      log.warn({ what, error: String(error) }, "the server is not ready for it yet; trying again");
      await new Promise((resolve) => setTimeout(resolve, Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** attempt)));
    }
  }
}

/** Nobody answered, or nobody who answers leads the stream at the moment. */
function isPassing(error: unknown): boolean {
  if (error instanceof ReadError) return true;
  if (error instanceof ApiError) return error.status === 503;
  const { code } = error as { code?: unknown };
  return code === "TIMEOUT" || code === "503";
}
