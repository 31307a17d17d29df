/** Tools that live in the gateway itself: for the demo, for tests, for benchmarks. */
import { type Adapter, type AdapterRequest, type AdapterResult, failure } from "./adapter.ts";

export type BuiltinTool = (request: AdapterRequest, signal: AbortSignal) => AdapterResult | Promise<AdapterResult>;

export class BuiltinAdapter implements Adapter {
  readonly #tools: ReadonlyMap<string, BuiltinTool>;

  /** @param tools by name */
  constructor(tools: ReadonlyMap<string, BuiltinTool>) {
    this.#tools = tools;
  }

  async call(request: AdapterRequest, signal: AbortSignal): Promise<AdapterResult> {
    const tool = this.#tools.get(request.tool);
    if (tool === undefined) return failure("tool.not_built_in", `this gateway has no built-in tool \`${request.tool}\``, "none");
    return tool(request, signal);
  }
}
