/** How the gateway reaches a tool. An adapter calls once and says what came of it; it decides nothing. */
import type { ActionId, Digest, Namespace, RunId, ToolName } from "../../../schemas/ids.ts";
import type { ToolError, Usage } from "../../../schemas/inputs.ts";
import type { JsonValue } from "../../../schemas/json.ts";
import type { Tool } from "../../../schemas/tool.ts";

export interface AdapterRequest {
  readonly ns: Namespace;
  readonly run: RunId;
  readonly action: ActionId;
  readonly attempt: number;
  readonly tool: ToolName;
  readonly input: JsonValue;
  /** Canonical JSON of the input: what was approved. */
  readonly inputBytes: Uint8Array;
  /** Of the action document. */
  readonly digest: Digest;
  /** When the attempt is given up, RFC 3339. */
  readonly deadline: string;
  readonly timeoutMs: number;
  /** The same for every attempt of one action. */
  readonly idempotencyKey: string;
  /**
   * A token for exactly this attempt (ID-4), made when it is first asked for; undefined for a gateway without a key.
   * It authenticates the call to the tool alone: no adapter records or logs it.
   */
  readonly token?: string | undefined;
  readonly traceparent: string | undefined;
  readonly definition: Tool;
}

export type AdapterResult =
  | {
      readonly ok: true;
      /** As it came: not yet sanitised, not yet checked. */
      readonly output: unknown;
      readonly usage?: Usage;
    }
  | { readonly ok: false; readonly error: ToolError };

/** What a tool answers when it is asked what became of a call; about all that was attempted under the idempotency key. */
export type ProbeResult =
  | {
      readonly found: "done";
      /** As it came: not yet sanitised, not yet checked. */
      readonly output: unknown;
      readonly usage?: Usage;
    }
  /** It took effect, and what it gave cannot be had. */
  | { readonly found: "done"; readonly error: Told }
  /** Nothing took effect, and nothing will. */
  | { readonly found: "none"; readonly error?: Told }
  | { readonly found: "unknown"; readonly error: Told };
type Told = Pick<ToolError, "code" | "message">;

export interface Adapter {
  /**
   * Calls the tool. What throws counts as a failure of which nobody knows what it did.
   * @param signal aborted at the deadline and when the gateway is stopped; an answer that comes later is not heard
   */
  call(request: AdapterRequest, signal: AbortSignal): Promise<AdapterResult>;
  /**
   * Asks the tool what became of this call, and changes nothing. What throws leaves it unknown. An adapter without it
   * cannot ask.
   */
  probe?(request: AdapterRequest, signal: AbortSignal): Promise<ProbeResult>;
}

/** By the `adapter.type` of a tool's definition. */
export type Adapters = Readonly<Partial<Record<Tool["adapter"]["type"], Adapter>>>;

export function failure(code: string, message: string, effect: ToolError["effect"]): { ok: false; error: ToolError } {
  return { ok: false, error: { code, message, effect } };
}
