/** One call of a tool, under its deadline. */
import { CLAIM_GRACE_MS } from "../../machines/action-rules.ts";
import { canonicalBytes } from "../../schemas/canonical.ts";
import type { ActionDocument, Dispatch } from "../../schemas/dispatch.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { Tool } from "../../schemas/tool.ts";
import { timestamp } from "../../schemas/time.ts";
import type { TokenUse } from "../identity/token-check.ts";
import type { ToolTokens } from "../identity/tool-token.ts";
import { type Adapter, type AdapterRequest, type AdapterResult, failure } from "./adapters/adapter.ts";

export interface Call {
  readonly ns: Namespace;
  readonly dispatch: Dispatch;
  readonly document: ActionDocument;
  readonly definition: Tool;
  readonly adapter: Adapter;
  /** Mints what the tool knows the call by. */
  readonly tokens: ToolTokens | undefined;
  /** Counted from now. */
  readonly timeoutMs: number;
  /** Aborted when the gateway is stopped for good. */
  readonly stopped: AbortSignal;
}

/** Never throws: what an adapter throws, and what does not come in time, did nobody knows what (EXEC-7). */
export function execute(call: Call): Promise<AdapterResult> {
  return inTime(call, (signal) => call.adapter.call(requestOf(call), signal), (code, message) => failure(code, message, "unknown"));
}

/** The adapter's answer; in its place what `lost` makes of one that threw, or did not come before the deadline. */
export function inTime<T>(call: Call, ask: (signal: AbortSignal) => Promise<T>, lost: (code: string, message: string) => T): Promise<T> {
  const { dispatch, timeoutMs, stopped } = call;
  const { promise, resolve } = Promise.withResolvers<T>();
  const controller = new AbortController();
  const giveUp = (result: T) => {
    resolve(result);
    controller.abort();
  };
  const timer = setTimeout(() => giveUp(lost("tool.timeout", `the tool did not answer within ${timeoutMs} ms`)), timeoutMs);
  const onStop = () => giveUp(lost("gateway.stopped", "the gateway was stopped during the call"));
  stopped.addEventListener("abort", onStop, { once: true });
  const broken = (error: unknown) => resolve(lost("adapter.failed", error instanceof Error ? error.message : `the adapter failed on \`${dispatch.action}\``));
  try {
    ask(controller.signal).then(resolve, broken);
  } catch (error) {
    broken(error);
  }
  return promise.finally(() => {
    clearTimeout(timer);
    stopped.removeEventListener("abort", onStop);
  });
}

/**
 * The plane gives a claim up {@link CLAIM_GRACE_MS} after the tool's time-out, counted from when it stored the claim,
 * which is not before it was sent. What is executed must have ended by then: otherwise the attempt would be in doubt,
 * or repeated, while it still runs. A claim that was granted with less than half of the time left is not used.
 *
 * @param waitedMs from sending the claim until it was granted
 * @returns ms for the call; 0 when it must not be made
 */
export function timeLeft(timeoutMs: number, waitedMs: number): number {
  const left = Math.floor(timeoutMs + CLAIM_GRACE_MS - waitedMs);
  return left < timeoutMs / 2 ? 0 : Math.min(timeoutMs, left);
}

/** @param use what its token is for */
export function requestOf({ ns, dispatch, document, definition, tokens, timeoutMs }: Call, use?: TokenUse): AdapterRequest {
  const { input, tool, principal } = document;
  const { run, action, attempt, digest, traceparent } = dispatch;
  let body: Uint8Array | undefined;
  let token: string | undefined;
  return {
    ns,
    run,
    action,
    attempt,
    tool,
    input,
    get inputBytes() {
      return (body ??= canonicalBytes(input));
    },
    // signing costs more than the rest of a call together, and tools within the gateway do not need it
    get token() {
      return (token ??= tokens?.mint({ run, action, attempt, tool, body: this.inputBytes, digest, principal, ttlMs: timeoutMs, ...(use && { use }) }));
    },
    digest,
    deadline: timestamp(Date.now() + timeoutMs),
    timeoutMs,
    idempotencyKey: `${run}.${action}`,
    traceparent,
    definition,
  };
}
