/** Of the run index: entries of the guard, standing and lifted (GUARD-9). */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { EventBody, EventData } from "../../schemas/event.ts";

export interface StopRow {
  readonly stop: string;
  /** `stop`, or `revocation`: then the credentials are taken away too. */
  readonly kind: string;
  readonly scope: string;
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  /** Null while it stands. */
  readonly lifted_by: string | null;
  readonly lifted_reason: string | null;
  readonly lifted_at: string | null;
}

export class StopIndex {
  readonly #db: DatabaseSync;
  readonly #put: StatementSync;
  readonly #lift: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#put = db.prepare("INSERT OR REPLACE INTO stops VALUES (?,?,?,?,?,?,?,NULL,NULL,NULL)");
    this.#lift = db.prepare("UPDATE stops SET lifted_by=?, lifted_reason=?, lifted_at=? WHERE stop=?");
  }

  take({ type, data, seq, at }: EventBody): void {
    const { stop, kind, scope, by, reason } = data as EventData<"guard.stopped">;
    if (type === "guard.stopped") this.#put.run(seq, stop, kind, scope, by, reason, at);
    if (type === "guard.lifted") this.#lift.run(by, reason, at, stop);
  }

  /** Newest first. */
  list(limit = 1000): StopRow[] {
    const sql = "SELECT stop, kind, scope, by, reason, at, lifted_by, lifted_reason, lifted_at FROM stops ORDER BY seq DESC LIMIT ?";
    return this.#db.prepare(sql).all(limit).map((row) => ({ ...row })) as unknown as StopRow[];
  }

  standing(): number {
    return Number((this.#db.prepare("SELECT count(*) AS n FROM stops WHERE lifted_at IS NULL").get() as { n: number }).n);
  }
}
