/** Actions on their way that a scope covers: what an emergency stop, or a revocation, is told of (GUARD-9, ID-2). */
import { personSchema } from "../../schemas/person.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { StreamReader } from "../bus/journal.ts";
import type { RunIndex } from "./index-store.ts";
import type { FlightAnswer, FlightView } from "./views.ts";

/** @param documents of DOCUMENTS: a scope `person:<name>` is about whoever the document in force says that this is */
export async function inFlight(index: RunIndex, documents: StreamReader, ns: Namespace, scope: string | undefined): Promise<FlightAnswer> {
  const person = scope?.startsWith("person:") === true ? await principalOf(index, documents, ns, scope.slice("person:".length)) : undefined;
  const rows: FlightView[] = [];
  for (const one of index.flight.all()) {
    const run = index.run(one.run);
    const { agent = "", version = "", team = "", principal = "", state: life = "" } = run ?? {};
    const row: FlightView = { ...one, agent, version, team, principal, life };
    if (scope === undefined || covers(scope, row, person)) rows.push(row);
  }
  const claimed = (state: string) => state === "started" || state === "in_doubt";
  return {
    ...(scope !== undefined && { scope }),
    in_flight: rows.filter(({ state }) => claimed(state)),
    // what has not been sent to a gateway yet waits for its run, and a stop meets it there
    queued: rows.filter(({ state, tool }) => !claimed(state) && tool !== ""),
  };
}

/** Whether a scope as the guard takes it covers an action. A person counts as principal and as approver. */
export function covers(scope: string, row: FlightView, person: string | undefined): boolean {
  const at = scope.indexOf(":");
  const [kind, name] = at < 0 ? [scope, ""] : [scope.slice(0, at), scope.slice(at + 1)];
  switch (kind) {
    case "all":
      return true;
    case "agent":
      return row.agent === name;
    case "version":
      return `${row.agent}@${row.version}` === name;
    case "tool":
      return row.tool === name;
    case "team":
      return row.team === name;
    case "principal":
      return row.principal === name;
    case "person":
      return row.approvers.includes(name) || (person !== undefined && row.principal === person);
    default:
      return false;
  }
}

/** `<issuer>|<subject>` of a NATS name; undefined where no document, or none that can be read, says who it is. */
async function principalOf(index: RunIndex, documents: StreamReader, ns: Namespace, name: string): Promise<string | undefined> {
  const row = index.document("person", name);
  if (row === undefined) return undefined;
  const stored = await documents.lastDirect(subjects.document(ns, row.digest.slice("sha256:".length)));
  if (stored === undefined) return undefined;
  const { data } = personSchema.safeParse(JSON.parse(Buffer.from(stored.data).toString("utf8")));
  return data && `${data.person.issuer}|${data.person.subject}`;
}
