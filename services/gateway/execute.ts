/** One call of a tool, under its deadline. */
import { canonicalBytes } from "../../schemas/canonical.ts";
import type { ActionDocument, Dispatch } from "../../schemas/dispatch.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { Tool } from "../../schemas/tool.ts";
import { timestamp } from "../../schemas/time.ts";
import { type Adapter, type AdapterRequest, type AdapterResult, failure } from "./adapters/adapter.ts";

export interface Call {
  readonly ns: Namespace;
  readonly dispatch: Dispatch;
  readonly document: ActionDocument;
  readonly definition: Tool;
  readonly adapter: Adapter;
  /** Counted from now. */
  readonly timeoutMs: number;
  /** Aborted when the gateway is stopped for good. */
  readonly stopped: AbortSignal;
}

/** Never throws: what an adapter throws, and what does not come in time, did nobody knows what (EXEC-7). */
export function execute(call: Call): Promise<AdapterResult> {
  const { dispatch, adapter, timeoutMs, stopped } = call;
  const { promise, resolve } = Promise.withResolvers<AdapterResult>();
  const controller = new AbortController();
  const giveUp = (result: AdapterResult) => {
    resolve(result);
    controller.abort();
  };
  const timer = setTimeout(
    () => giveUp(failure("tool.timeout", `the tool did not answer within ${timeoutMs} ms`, "unknown")),
    timeoutMs,
  );
  const onStop = () => giveUp(failure("gateway.stopped", "the gateway was stopped during the call", "unknown"));
  stopped.addEventListener("abort", onStop, { once: true });
  const broken = (error: unknown) =>
    resolve(failure("adapter.failed", error instanceof Error ? error.message : `the adapter failed on \`${dispatch.action}\``, "unknown"));
  try {
    adapter.call(requestOf(call), controller.signal).then(resolve, broken);
  } catch (error) {
    broken(error);
  }
  return promise.finally(() => {
    clearTimeout(timer);
    stopped.removeEventListener("abort", onStop);
  });
}

function requestOf({ ns, dispatch, document, definition, timeoutMs }: Call): AdapterRequest {
  const { input, tool } = document;
  const { run, action, attempt, digest, traceparent } = dispatch;
  return {
    ns,
    run,
    action,
    attempt,
    tool,
    input,
    get inputBytes() {
      return canonicalBytes(input);
    },
    digest,
    deadline: timestamp(Date.now() + timeoutMs),
    timeoutMs,
    idempotencyKey: `${run}.${action}`,
    traceparent,
    definition,
  };
}
