/**
 * Of the run index: actions that are approved and not reported yet. They are few, and are kept in memory; the table is
 * what a restart reads. An emergency stop lists them (GUARD-9): what has not been claimed will not start, what has been
 * claimed may be happening outside.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { EventData } from "../../schemas/event.ts";
import type { Glance } from "./glance.ts";

/** `approved` waits for the run, `dispatched` for a gateway; `started` was claimed, and `in_doubt` never reported. */
export type FlightState = "approved" | "dispatched" | "started" | "in_doubt";

export interface FlightRow {
  run: string;
  action: string;
  tool: string;
  attempt: number;
  state: FlightState;
  /** NATS names of those whose approval it rests on. */
  approvers: readonly string[];
  /** Empty until a gateway has claimed it. */
  gateway: string;
  /** When it came to this state. */
  since: string;
  /** Of a started one: when nobody waits for its report any more. */
  deadline: string;
}

const ENDS = new Set(["run.completed", "run.failed", "run.cancelled"]);
const OPENS = new Set(["action.approved", "action.dispatched", "action.started", "action.in_doubt"]);

export class FlightIndex {
  readonly #db: DatabaseSync;
  readonly #put: StatementSync;
  readonly #drop: StatementSync;
  readonly #runs = new Map<string, Map<string, FlightRow>>();
  readonly #dirty = new Map<string, FlightRow | undefined>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#put = db.prepare("INSERT OR REPLACE INTO flight VALUES (?,?,?,?,?,?,?,?,?)");
    this.#drop = db.prepare("DELETE FROM flight WHERE run=? AND action=?");
    this.reload();
  }

  /** What the table holds: at the start, and when a batch was not taken. */
  reload(): void {
    this.#runs.clear();
    this.#dirty.clear();
    for (const stored of this.#db.prepare("SELECT * FROM flight").all()) {
      const row = stored as unknown as Omit<FlightRow, "approvers"> & { approvers: string };
      this.#rowsOf(row.run).set(row.action, { ...row, approvers: row.approvers === "" ? [] : row.approvers.split(" ") });
    }
  }

  /** Whether an event has to be decoded for this: most have not. */
  concerns(run: string, type: string): boolean {
    return OPENS.has(type) || (type.startsWith("action.") && this.#runs.has(run)) || (ENDS.has(type) && this.#runs.has(run));
  }

  take(run: string, { type, data, at }: Glance): void {
    if (ENDS.has(type)) return this.#endOf(run);
    const action = String(data["action"]);
    const known = this.#runs.get(run)?.get(action);
    const row = known ?? { run, action, tool: "", attempt: 0, state: "approved", approvers: [], gateway: "", since: at, deadline: "" };
    switch (type) {
      case "action.approved":
        return this.#keep({ ...row, state: "approved", since: at, approvers: (data as EventData<"action.approved">).approvers ?? [] });
      case "action.dispatched": {
        const { tool, attempt } = data as EventData<"action.dispatched">;
        return this.#keep({ ...row, state: "dispatched", tool, attempt, since: at, gateway: "", deadline: "" });
      }
      case "action.started": {
        const { claim, deadline, attempt } = data as EventData<"action.started">;
        return this.#keep({ ...row, state: "started", attempt, since: at, gateway: claim.gateway, deadline });
      }
      case "action.in_doubt":
        return this.#keep({ ...row, state: "in_doubt", since: at });
      // asked about, and still in doubt until somebody finds out
      case "action.probing":
      case "action.probed":
        return known === undefined ? undefined : this.#keep(known);
      case "action.retrying":
        return this.#keep({ ...row, state: "approved", since: at, gateway: "", deadline: "" });
      default:
        if (known !== undefined) this.#forget(known);
    }
  }

  /** Writes what changed, within the batch's transaction. */
  flush(): void {
    for (const [key, row] of this.#dirty) {
      const [run = "", action = ""] = key.split(" ");
      if (row === undefined) this.#drop.run(run, action);
      else this.#put.run(run, action, row.tool, row.attempt, row.state, row.approvers.join(" "), row.gateway, row.since, row.deadline);
    }
    this.#dirty.clear();
  }

  /** Oldest first. */
  all(): FlightRow[] {
    return [...this.#runs.values()].flatMap((rows) => [...rows.values()]).sort((a, b) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0));
  }

  #rowsOf(run: string): Map<string, FlightRow> {
    let rows = this.#runs.get(run);
    if (rows === undefined) this.#runs.set(run, (rows = new Map()));
    return rows;
  }

  #keep(row: FlightRow): void {
    this.#rowsOf(row.run).set(row.action, row);
    this.#dirty.set(`${row.run} ${row.action}`, row);
  }

  #forget({ run, action }: FlightRow): void {
    const rows = this.#runs.get(run);
    rows?.delete(action);
    if (rows?.size === 0) this.#runs.delete(run);
    this.#dirty.set(`${run} ${action}`, undefined);
  }

  /** What nobody has claimed ends with its run; what was claimed is reported even then. */
  #endOf(run: string): void {
    for (const row of [...(this.#runs.get(run)?.values() ?? [])]) {
      if (row.state === "approved" || row.state === "dispatched") this.#forget(row);
    }
  }
}
