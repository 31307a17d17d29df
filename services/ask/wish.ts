/** What an asker wishes for, and what of his headers is passed on. */
import { INPUT_HEADERS } from "../../schemas/dispatch.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { HeaderMap } from "../bus/headers.ts";
import type { Wait } from "./waiting.ts";

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 300_000;

/**
 * All that is passed on. The other headers of an asker mean something to JetStream when they come from us: a message
 * id, an expected sequence, a time to live.
 */
const FORWARDED = [INPUT_HEADERS.contentType, INPUT_HEADERS.principal, INPUT_HEADERS.traceparent] as const;

export function forwarded(headers: HeaderMap): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of FORWARDED) {
    const value = headers.get(name);
    if (value !== undefined) out[name] = value;
  }
  return out;
}

export type Wish = { readonly wait: Wait; readonly timeoutMs: number } | { readonly reasons: readonly Reason[] };

/** The wait that the headers ask for; a time-out beyond the bounds is moved to the nearest. */
export function readWish(headers: HeaderMap): Wish {
  const reasons: Reason[] = [];
  const wait = headers.get(INPUT_HEADERS.wait) ?? "result";
  if (wait !== "verdict" && wait !== "result") {
    reasons.push(reason("ask.wait", `header \`${INPUT_HEADERS.wait}\` is \`verdict\` or \`result\`, not \`${wait.slice(0, 64)}\``));
  }
  const text = headers.get(INPUT_HEADERS.timeout) ?? String(DEFAULT_TIMEOUT_MS);
  if (!/^\d{1,12}$/.test(text)) {
    reasons.push(reason("ask.timeout", `header \`${INPUT_HEADERS.timeout}\` is a whole number of milliseconds, not \`${text.slice(0, 64)}\``));
  }
  if (reasons.length > 0) return { reasons };
  return { wait: wait as Wait, timeoutMs: Math.min(MAX_TIMEOUT_MS, Math.max(1, Number(text))) };
}
