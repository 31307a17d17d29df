/** The most tokens that one call may use, in and out: as its tool declares, or estimated from the size of its input. */
import { fieldAt, fieldSegments } from "../../schemas/field.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { pointer, type Reason, reason } from "../../schemas/reason.ts";
import type { Tool } from "../../schemas/tool.ts";

/** Bytes of UTF-8 in one token, as published for English text; other text has fewer tokens than this says, or more. */
const BYTES_PER_TOKEN = 4;

export interface Tokens {
  readonly input: number;
  readonly output: number;
  /** The tool says so, and its calls are counted; an estimate is for policies alone. */
  readonly declared: boolean;
  readonly faults: readonly Reason[];
}

export function tokensOfCall(tool: Tool, input: JsonValue): Tokens {
  const { tokens } = tool;
  const estimate = Math.ceil(Buffer.byteLength(JSON.stringify(input) ?? "") / BYTES_PER_TOKEN);
  const faults: Reason[] = [];
  const bound = (limit: number | { readonly field: string } | undefined): number | undefined => {
    if (limit === undefined || typeof limit === "number") return limit;
    const value = fieldAt(input, limit.field);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    const message = `\`${limit.field}\` says how many tokens the call may use, and is no whole number`;
    faults.push(reason("tool.tokens", message, { path: pointer(["input", ...fieldSegments(limit.field)]) }));
    return 0;
  };
  const said = bound(tokens?.max_input);
  // what the agent itself writes down cannot be less than what it sends
  const input_ = typeof tokens?.max_input === "object" ? Math.max(said ?? 0, estimate) : (said ?? estimate);
  return { input: input_, output: bound(tokens?.max_output) ?? 0, declared: tokens !== undefined, faults };
}
