import type { Namespace, RunId } from "../../schemas/ids.ts";
import { parseLog, patterns } from "../../schemas/subjects.ts";
import type { StreamReader } from "../bus/journal.ts";

const ENDS = new Set(["run.completed", "run.failed", "run.cancelled", "run.refused"]);
const CLOSES = new Set(["action.succeeded", "action.failed", "action.retrying", "action.in_doubt"]);

/**
 * Runs that may owe something: those that have not ended, and those that ended with an action still in flight.
 * Reads the headers of the whole journal, in order; a run index saves that.
 */
export async function liveRunsOf(journal: StreamReader, ns: Namespace): Promise<RunId[]> {
  const runs = new Map<string, { ended: boolean; inFlight: number }>();
  for await (const { subject, headers } of journal.read({ subject: patterns.logOfKind(ns, "run") })) {
    const type = headers.get("ce-type")?.slice("signalbox.".length) ?? "";
    const run = runs.get(subject) ?? { ended: false, inFlight: 0 };
    if (ENDS.has(type)) run.ended = true;
    else if (type === "action.started") run.inFlight += 1;
    else if (CLOSES.has(type)) run.inFlight = Math.max(0, run.inFlight - 1);
    if (run.ended && run.inFlight === 0) runs.delete(subject);
    else runs.set(subject, run);
  }
  return [...runs.keys()].flatMap((subject) => (parseLog(subject)?.name as RunId | undefined) ?? []);
}
