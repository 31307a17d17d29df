/** Tools that live in the gateway itself: for the demo, for tests, for benchmarks. */
import { type Adapter, type AdapterRequest, type AdapterResult, failure, type ProbeResult } from "./adapter.ts";

export type BuiltinTool = (request: AdapterRequest, signal: AbortSignal) => AdapterResult | Promise<AdapterResult>;
export type BuiltinProbe = (request: AdapterRequest, signal: AbortSignal) => ProbeResult | Promise<ProbeResult>;

export class BuiltinAdapter implements Adapter {
  readonly #tools: ReadonlyMap<string, BuiltinTool>;
  readonly #probes: ReadonlyMap<string, BuiltinProbe>;

  /** @param tools by name @param probes of those that can say what became of a call */
  constructor(tools: ReadonlyMap<string, BuiltinTool>, probes: ReadonlyMap<string, BuiltinProbe> = new Map()) {
    this.#tools = tools;
    this.#probes = probes;
  }

  async call(request: AdapterRequest, signal: AbortSignal): Promise<AdapterResult> {
    const tool = this.#tools.get(request.tool);
    if (tool === undefined) return failure("tool.not_built_in", `this gateway has no built-in tool \`${request.tool}\``, "none");
    return tool(request, signal);
  }

  async probe(request: AdapterRequest, signal: AbortSignal): Promise<ProbeResult> {
    const probe = this.#probes.get(request.tool);
    if (probe === undefined) return { found: "unknown", error: { code: "tool.no_probe", message: `the built-in tool \`${request.tool}\` cannot be asked` } };
    return probe(request, signal);
  }
}
