import type { EventData } from "../../schemas/event.ts";
import type { ActionId, Namespace, RunId } from "../../schemas/ids.ts";
import { parseLog, patterns } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { StreamReader } from "../bus/journal.ts";

const ENDS = new Set(["run.completed", "run.failed", "run.cancelled", "run.refused"]);
const CLOSES = new Set(["action.succeeded", "action.failed", "action.retrying", "action.in_doubt"]);

/**
 * Runs that may owe something: those that have not ended, and those that ended with an action still in flight or with
 * an allowance that no account has confirmed to be back.
 * Reads the whole journal, in order, and of most events only the headers; a run index saves that.
 */
export async function liveRunsOf(journal: StreamReader, ns: Namespace): Promise<RunId[]> {
  const runs = new Map<string, { ended: boolean; readonly inFlight: Set<ActionId>; readonly leased: Set<string> }>();
  for await (const message of journal.read({ subject: patterns.logOfKind(ns, "run") })) {
    const { subject, headers } = message;
    const type = headers.get("ce-type")?.slice("signalbox.".length) ?? "";
    let run = runs.get(subject);
    if (run === undefined) {
      // whatever follows the end of a run that had nothing in flight changes nothing
      if (type !== "run.started") continue;
      runs.set(subject, (run = { ended: false, inFlight: new Set(), leased: new Set() }));
    }
    if (ENDS.has(type)) run.ended = true;
    else if (type === "action.started") run.inFlight.add(actionOf(message));
    // of the actions that end with their run most were never started: which one it is tells them apart
    else if (CLOSES.has(type) && run.inFlight.size > 0) run.inFlight.delete(actionOf(message));
    else if (type === "budget.leased" || type === "budget.returned") account(run.leased, message);
    if (run.ended && run.inFlight.size === 0 && run.leased.size === 0) runs.delete(subject);
  }
  return [...runs.keys()].flatMap((subject) => (parseLog(subject)?.name as RunId | undefined) ?? []);
}

/** A day's allowance is owed back until its account has confirmed it; a minute's ends with its minute. */
function account(leased: Set<string>, message: Parameters<typeof decodeEvent>[0]): void {
  try {
    const { type, data } = decodeEvent(message).body;
    const { ledger, unit, window } = data as EventData<"budget.leased" | "budget.returned">;
    if (window.includes("T")) return;
    const key = `${ledger}/${unit}/${window}`;
    if (type === "budget.leased" && (data as EventData<"budget.leased">).granted > 0) leased.add(key);
    if (type === "budget.returned" && (data as EventData<"budget.returned">).last) leased.delete(key);
  } catch {
    // what is no event of ours is met again when its run is loaded
  }
}

function actionOf(message: Parameters<typeof decodeEvent>[0]): ActionId {
  try {
    return decodeEvent(message).body.data["action"] as ActionId;
  } catch {
    // what is no event of ours is met again, and frozen, when its run is loaded
    return "" as ActionId;
  }
}
