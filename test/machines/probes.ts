/** What tools answer when they are asked what became of an attempt in doubt. */
import type { Actor } from "../../schemas/ids.ts";
import { actionOf, type Line, line, type ReportOptions } from "./given.ts";

export interface ProbedOptions extends Pick<ReportOptions, "id" | "attempt" | "by" | "gateway" | "nonce" | "output" | "faults" | "costUsd" | "marks"> {
  /** Which asking it answers; the one that is open now, unless said otherwise. */
  readonly number?: number;
  /** What the tool said of it. */
  readonly error?: string;
}
/** A gateway asked the tool what became of an attempt in doubt. */
export const probed = (named: string, found: "done" | "none" | "unknown", o: ProbedOptions = {}): Line =>
  line((state) => {
    const action = actionOf(state, named);
    const { attempt = 1, basis } = state.actions.get(action as never)?.context ?? {};
    const { gateway = "g2", nonce = "nonce-0002" } = o;
    const number = Math.max(1, o.number ?? basis?.probes ?? 1);
    const id = o.id ?? `${action}.${o.attempt ?? attempt}.probe-${number}.${gateway}`;
    const gives = found === "done" && o.error === undefined;
    return {
      kind: "report",
      actor: o.by ?? gateway,
      id,
      body: {
        id, action: action as never, attempt: Math.max(1, o.attempt ?? attempt), claim: { gateway: gateway as Actor, nonce }, status: "probed", probe: { number, found },
        ...(gives && { output: o.output ?? { ok: true } }),
        ...(o.error !== undefined && { error: { code: "tool.said", message: o.error, effect: found } }),
        ...(o.costUsd !== undefined && { usage: { cost_usd: o.costUsd } }),
      },
      ...(gives && { facts: { kind: "output", faults: o.faults ?? [], engine: "test 1", ...(o.marks && { marks: o.marks }) } as const }),
    };
  });

/** As a tool's definition declares it: asked twice. */
export const PROBE = { timeout_ms: 1_000, tries: 2 };
