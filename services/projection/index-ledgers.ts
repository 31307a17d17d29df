/**
 * Of the run index: accounts of the ledger as their own journals say, and which runs owe a return (GUARD-7). A day's
 * allowance is owed back until the account has confirmed it; a minute's is not: it ends with its minute.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { EventBody, EventData } from "../../schemas/event.ts";

export interface LedgerRow {
  readonly ledger: string;
  readonly unit: string;
  readonly window: string;
  /** Held and spent in the window: micro-USD, requests, or ten-thousandths of the currency's unit. */
  readonly total: number;
  /** Null when it only counts. */
  readonly cap: number | null;
  /** Leases that were refused for want of room. */
  readonly refusals: number;
  readonly updated_at: string;
  /** Stream sequence of its last event. */
  readonly changed: number;
}

export interface HolderRow {
  readonly run: string;
  readonly unit: string;
  readonly window: string;
  readonly granted: number;
  readonly unused: number;
  /** 1 when it gave back the rest: what is left of `granted` was spent. */
  readonly done: number;
}

export interface LedgerFilter {
  /** `YYYY-MM-DD`. */
  readonly day?: string;
  readonly unit?: string;
  /** 1 to 1,000; 200 when left out. */
  readonly limit?: number;
}

const isDay = (window: string) => !window.includes("T");

export class LedgerIndex {
  readonly #db: DatabaseSync;
  readonly #put: Readonly<Record<"ledger" | "refusal" | "lease" | "return" | "hold" | "free", StatementSync>>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    const kept = "ON CONFLICT (ledger, unit, window) DO UPDATE SET total=excluded.total, cap=excluded.cap, updated_at=excluded.updated_at, changed=excluded.changed";
    this.#put = {
      ledger: db.prepare(`INSERT INTO ledgers VALUES (?,?,?,?,?,0,?,?) ${kept.replace(" cap=excluded.cap,", " cap=coalesce(excluded.cap, cap),")}`),
      refusal: db.prepare(`INSERT INTO ledgers VALUES (?,?,?,?,?,1,?,?) ${kept}, refusals=refusals+1`),
      lease: db.prepare("INSERT INTO holders VALUES (?,?,?,?,?,0,0) ON CONFLICT DO UPDATE SET granted=granted+excluded.granted, done=0"),
      return: db.prepare("UPDATE holders SET unused=unused+?, done=max(done, ?) WHERE ledger=? AND unit=? AND window=? AND run=?"),
      hold: db.prepare("INSERT OR IGNORE INTO holdings VALUES (?,?,?,?)"),
      free: db.prepare("DELETE FROM holdings WHERE run=? AND ledger=? AND unit=? AND window=?"),
    };
  }

  /** An event of an account's own journal. */
  take({ type, data, at }: EventBody, streamSeq: number): void {
    if (type === "ledger.refused") {
      const { ledger, unit, window, total, cap } = data as EventData<"ledger.refused">;
      this.#put.refusal.run(ledger, unit, window, total, cap ?? null, at, streamSeq);
      return;
    }
    const { ledger, unit, window, total, run } = data as EventData<"ledger.leased" | "ledger.returned">;
    const cap = type === "ledger.leased" ? ((data as EventData<"ledger.leased">).cap ?? null) : null;
    this.#put.ledger.run(ledger, unit, window, total, cap, at, streamSeq);
    if (!isDay(window)) return;
    if (type === "ledger.leased") this.#put.lease.run(ledger, unit, window, run, (data as EventData<"ledger.leased">).granted);
    if (type === "ledger.returned") {
      const { unused, last } = data as EventData<"ledger.returned">;
      this.#put.return.run(unused, last ? 1 : 0, ledger, unit, window, run);
    }
  }

  /** An account's answer as the run recorded it; by how much the number of its debts changed. */
  owed(run: string, { type, data }: EventBody): number {
    const { ledger, unit, window } = data as EventData<"budget.leased" | "budget.returned">;
    if (!isDay(window)) return 0;
    if (type === "budget.leased") {
      return (data as EventData<"budget.leased">).granted > 0 ? Number(this.#put.hold.run(run, ledger, unit, window).changes) : 0;
    }
    return type === "budget.returned" && (data as EventData<"budget.returned">).last ? -Number(this.#put.free.run(run, ledger, unit, window).changes) : 0;
  }

  /** Last changed first. */
  list({ day, unit, limit = 200 }: LedgerFilter = {}): LedgerRow[] {
    const where: string[] = [];
    const values: (string | number)[] = [];
    if (day !== undefined) where.push("window>=? AND window<?") && values.push(day, `${day}U`);
    if (unit !== undefined) where.push("unit=?") && values.push(unit);
    const sql = `SELECT * FROM ledgers ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""} ORDER BY changed DESC LIMIT ?`;
    return this.#all<LedgerRow>(sql, ...values, Math.max(1, Math.min(1000, limit)));
  }

  /** Windows of one account, newest first. */
  of(ledger: string): LedgerRow[] {
    return this.#all<LedgerRow>("SELECT * FROM ledgers WHERE ledger=? ORDER BY unit, window DESC LIMIT 1000", ledger);
  }

  /** Who holds of a day's window, those who are not done first. */
  holders(ledger: string, limit = 1000): HolderRow[] {
    return this.#all<HolderRow>("SELECT run, unit, window, granted, unused, done FROM holders WHERE ledger=? ORDER BY done, granted-unused DESC, run LIMIT ?", ledger, limit);
  }

  #all<T>(sql: string, ...values: (string | number)[]): T[] {
    return this.#db.prepare(sql).all(...values).map((row) => ({ ...row })) as T[];
  }
}
