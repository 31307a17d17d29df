/**
 * Asking a tool what became of an attempt in doubt (EXEC-7). A question changes nothing and needs no claim: the plane
 * takes one answer to each, whoever asked.
 */
import type { ReportInput, ToolError } from "../../schemas/inputs.ts";
import type { ProbeResult } from "./adapters/adapter.ts";
import { type Call, inTime, requestOf } from "./execute.ts";
import { type Ending, endingOf, failed, type OutputTools } from "./output.ts";

/** The part of a report that says what was found. */
export type Found = Omit<Ending, "status"> & Pick<ReportInput, "probe"> & { readonly status: "probed" };

type Told = Pick<ToolError, "code" | "message">;

/** Never throws: what cannot be asked, and what does not answer in time, leaves it unknown. */
export async function probe(call: Call): Promise<ProbeResult> {
  const { adapter, definition } = call;
  if (definition.probe === undefined || adapter.probe === undefined) {
    return { found: "unknown", error: { code: "probe.missing", message: `this gateway cannot ask \`${definition.name}\`` } };
  }
  const ask = adapter.probe.bind(adapter);
  return inTime<ProbeResult>(call, (signal) => ask(requestOf(call, "probe"), signal), (code, message) => ({ found: "unknown", error: { code, message } }));
}

/** What was found, sanitised and checked as the output of a call is. @throws as {@link endingOf} */
export async function foundOf(number: number, result: ProbeResult, { document, definition }: Pick<Call, "document" | "definition">, tools: OutputTools): Promise<Found> {
  if (result.found !== "done") return notDone(number, result.found, result.error);
  const given = "error" in result ? { ok: false as const, error: { ...result.error, effect: "done" as const } } : { ok: true as const, output: result.output, ...(result.usage && { usage: result.usage }) };
  const { status: _, ...ending } = await endingOf(given, document.tool_hash, definition, tools);
  return { status: "probed", probe: { number, found: "done" }, ...ending };
}

export function notDone(number: number, found: "none" | "unknown", error?: Told): Found {
  const said = error === undefined ? {} : { error: failed({ ...error, effect: found }).error };
  return { status: "probed", probe: { number, found }, ...said };
}
