/**
 * The run index: which runs, approvals and documents there are. It may be deleted at any time and is then rebuilt
 * from the journal (law 4). Most events are placed by subject and headers alone; bodies are decoded only where the
 * index needs something out of them.
 */
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Envelope, EventBody } from "../../schemas/event.ts";
import { startingAgent, type RunId } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { chainLink, decodeEvent, EventMalformed } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { SCHEMA, SCHEMA_VERSION } from "./index-schema.ts";

export interface RunRow {
  run: string;
  agent: string;
  team: string;
  state: string;
  /** Sequence of the run's last event. */
  seq: number;
  first_stream_seq: number;
  last_stream_seq: number;
  started_at: string;
  updated_at: string;
  /** Requests for approval that are open. */
  waiting: number;
}

export interface ApprovalRow {
  readonly run: string;
  readonly request: string;
  readonly action: string;
  readonly tool: string;
  readonly state: string;
  readonly role: string;
  readonly expires_at: string;
  /** Stream sequence of its `approval.requested`. */
  readonly requested: number;
  readonly requested_at: string;
}

export interface DocumentRow {
  readonly kind: string;
  readonly name: string;
  readonly digest: string;
  readonly version: number;
  readonly applied_at: string;
}

export interface RunFilter {
  readonly agent?: string;
  readonly state?: string;
  /** 1 to 1,000; 50 when left out. */
  readonly limit?: number;
  /** `first_stream_seq` of the last row of the page before. */
  readonly after?: number;
}

/** The state of a run's life after an event of this type; other types do not change it. */
const LIFE: Readonly<Record<string, string>> = {
  "run.started": "active",
  "run.refused": "refused",
  "run.paused": "paused",
  "run.resumed": "active",
  "run.completed": "completed",
  "run.failed": "failed",
  "run.cancelled": "cancelled",
};
const TYPE_PREFIX = "signalbox.";
/** Rows kept between batches, so that a run's next event needs no look-up. */
const CACHED_RUNS = 20_000;

export class RunIndex {
  readonly #db: DatabaseSync;
  readonly #put: Readonly<Record<"run" | "approval" | "decide" | "document" | "meta" | "alarm", StatementSync>>;
  readonly #get: StatementSync;
  readonly #cache = new Map<string, RunRow>();
  readonly #dirty = new Set<RunRow>();
  #checkpoint: number;

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.#put = {
      run: db.prepare(
        `INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (run) DO UPDATE SET agent=excluded.agent, team=excluded.team,
         state=excluded.state, seq=excluded.seq, last_stream_seq=excluded.last_stream_seq, updated_at=excluded.updated_at, waiting=excluded.waiting`,
      ),
      approval: db.prepare("INSERT OR REPLACE INTO approvals VALUES (?,?,?,?,?,?,?,?,?)"),
      decide: db.prepare("UPDATE approvals SET state=? WHERE run=? AND request=? AND state='requested'"),
      document: db.prepare("INSERT OR REPLACE INTO documents VALUES (?,?,?,?,?)"),
      meta: db.prepare("INSERT OR REPLACE INTO meta VALUES (?,?)"),
      alarm: db.prepare("INSERT OR REPLACE INTO alarms VALUES (?,?,?)"),
    };
    this.#get = db.prepare("SELECT * FROM runs WHERE run=?");
    this.#checkpoint = Number(this.meta("checkpoint") ?? 0);
  }

  /** Opens or creates an index; `:memory:` for one that nobody keeps. One of another schema is thrown away. */
  static open(path: string): RunIndex {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      return new RunIndex(opened(path));
    } catch (error) {
      if (path === ":memory:" || isBusy(error)) throw error;
      // damaged or of another version: it is rebuilt
      for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
      return new RunIndex(opened(path));
    }
  }

  /** Stream sequence of the last message that is in the index. */
  get checkpoint(): number {
    return this.#checkpoint;
  }

  meta(key: string): string | undefined {
    return (this.#db.prepare("SELECT value FROM meta WHERE key=?").get(key) as { value: string } | undefined)?.value;
  }

  /** Forgets everything. */
  clear(): void {
    this.#db.exec("DELETE FROM runs; DELETE FROM approvals; DELETE FROM documents; DELETE FROM alarms; DELETE FROM meta WHERE key<>'schema'");
    this.#cache.clear();
    this.#dirty.clear();
    this.#checkpoint = 0;
  }

  /** Takes the next messages of the journal, all or none. What lies before the checkpoint is left out. */
  apply(batch: readonly StoredMessage[]): void {
    const last = batch.at(-1)?.seq ?? 0;
    if (last <= this.#checkpoint) return;
    this.#db.exec("BEGIN");
    try {
      for (const message of batch) if (message.seq > this.#checkpoint) this.#one(message);
      for (const row of this.#dirty) {
        this.#put.run.run(
          row.run, row.agent, row.team, row.state, row.seq,
          row.first_stream_seq, row.last_stream_seq, row.started_at, row.updated_at, row.waiting,
        );
      }
      this.#put.meta.run("checkpoint", String(last));
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#cache.clear();
      this.#db.exec("ROLLBACK");
      throw error;
    } finally {
      this.#dirty.clear();
    }
    this.#checkpoint = last;
    if (this.#cache.size > CACHED_RUNS) this.#cache.clear();
  }

  #one(message: StoredMessage): void {
    if (message.seq === 1) this.#put.meta.run("origin", originOf(message));
    const address = parseLog(message.subject);
    const type = message.headers.get("ce-type") ?? "";
    const seq = sequenceOf(message.headers.get("ce-id"));
    if (address === undefined || !type.startsWith(TYPE_PREFIX) || seq === undefined) {
      return this.#alarm(message, "no event of this plane");
    }
    try {
      const name = type.slice(TYPE_PREFIX.length);
      if (address.kind === "run") this.#runEvent(message, address.name, name, seq);
      else if (name === `${address.kind}.applied`) this.#documentEvent(message, address.kind, address.name);
    } catch (error) {
      if (!(error instanceof EventMalformed)) throw error;
      this.#alarm(message, error.message);
    }
  }

  #runEvent(message: StoredMessage, run: string, type: string, seq: number): void {
    const at = message.headers.get("ce-time") ?? "";
    let row = this.#row(run, seq);
    if (row === undefined) {
      row = {
        run, agent: startingAgent(run as RunId), team: "", state: "admitting", seq: 0,
        first_stream_seq: message.seq, last_stream_seq: 0, started_at: at, updated_at: at, waiting: 0,
      };
      this.#cache.set(run, row);
    }
    if (seq !== row.seq + 1) this.#alarm(message, `event ${seq} follows event ${row.seq}`);
    row.seq = seq;
    row.last_stream_seq = message.seq;
    row.updated_at = at;
    row.state = LIFE[type] ?? row.state;
    this.#dirty.add(row);
    if (type === "run.started") {
      const { envelope } = bodyOf(message).data as { envelope?: Envelope };
      row.agent = envelope?.agent.name ?? row.agent;
      row.team = envelope?.team ?? "";
    } else if (type.startsWith("approval.")) {
      this.#approvalEvent(message, row, type.slice("approval.".length));
    }
  }

  #approvalEvent(message: StoredMessage, row: RunRow, what: string): void {
    const { data, at } = bodyOf(message);
    const request = String(data["request"]);
    if (what === "requested") {
      const { action, role, expires_at } = data as { action: string; role: string; expires_at: string };
      this.#put.approval.run(row.run, request, action, toolOf(data["view"]), "requested", role, expires_at, message.seq, at);
      row.waiting += 1;
      return;
    }
    if (what === "granted" && Number(data["grants"]) < Number(data["count"])) return;
    if (this.#put.decide.run(what, row.run, request).changes > 0) row.waiting -= 1;
  }

  #documentEvent(message: StoredMessage, kind: string, name: string): void {
    const { data, at } = bodyOf(message);
    this.#put.document.run(kind, name, String(data["document"]), Number(data["version"]), at);
  }

  #row(run: string, seq: number): RunRow | undefined {
    const cached = this.#cache.get(run);
    if (cached !== undefined || seq === 1) return cached;
    const found = this.#get.get(run) as unknown as RunRow | undefined;
    // SQLite's rows have no prototype: a plain copy is one like those that are made here
    const row = found && { ...found };
    if (row !== undefined) this.#cache.set(run, row);
    return row;
  }

  #alarm(message: StoredMessage, why: string): void {
    this.#put.alarm.run(message.seq, message.subject, why);
  }

  run(run: string): RunRow | undefined {
    const found = this.#get.get(run) as unknown as RunRow | undefined;
    return found && { ...found };
  }

  /** Newest first. */
  runs(filter: RunFilter = {}): RunRow[] {
    const where: string[] = [];
    const values: (string | number)[] = [];
    const add = (condition: string, value: string | number | undefined) => {
      if (value === undefined) return;
      where.push(condition);
      values.push(value);
    };
    add("agent=?", filter.agent);
    add("state=?", filter.state);
    add("first_stream_seq<?", filter.after);
    const limit = Math.max(1, Math.min(1000, filter.limit ?? 50));
    const sql = `SELECT * FROM runs ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""} ORDER BY first_stream_seq DESC LIMIT ?`;
    return this.#all<RunRow>(sql, ...values, limit);
  }

  /** Requests that nobody has answered, oldest first. */
  openApprovals(limit = 1000): ApprovalRow[] {
    return this.#all<ApprovalRow>("SELECT * FROM approvals WHERE state='requested' ORDER BY requested LIMIT ?", limit);
  }

  approvalsOf(run: string): ApprovalRow[] {
    return this.#all<ApprovalRow>("SELECT * FROM approvals WHERE run=? ORDER BY requested", run);
  }

  documents(): DocumentRow[] {
    return this.#all<DocumentRow>("SELECT * FROM documents ORDER BY kind, name");
  }

  alarms(limit = 100): { readonly stream_seq: number; readonly subject: string; readonly why: string }[] {
    return this.#all("SELECT * FROM alarms ORDER BY stream_seq LIMIT ?", limit);
  }

  /** Runs by state, and how many requests are open. */
  counts(): { readonly runs: Record<string, number>; readonly approvals: number; readonly alarms: number } {
    const states = this.#all<{ state: string; n: number }>("SELECT state, count(*) AS n FROM runs GROUP BY state ORDER BY state");
    const one = (sql: string) => Number((this.#db.prepare(sql).get() as { n: number }).n);
    return {
      runs: Object.fromEntries(states.map(({ state, n }) => [state, n])),
      approvals: one("SELECT count(*) AS n FROM approvals WHERE state='requested'"),
      alarms: one("SELECT count(*) AS n FROM alarms"),
    };
  }

  close(): void {
    this.#db.close();
  }

  #all<T>(sql: string, ...values: (string | number)[]): T[] {
    return this.#db.prepare(sql).all(...values).map((row) => ({ ...row })) as T[];
  }
}

function opened(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    // exclusive: two readers on one file would each count what the other has counted
    db.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    db.exec(SCHEMA);
    const known = db.prepare("SELECT value FROM meta WHERE key='schema'").get() as { value: string } | undefined;
    if (known === undefined) db.prepare("INSERT INTO meta VALUES ('schema',?)").run(SCHEMA_VERSION);
    else if (known.value !== SCHEMA_VERSION) throw new Error(`an index of schema \`${known.value}\``);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  return code === 5 || code === 6;
}

/** What tells one journal from another: the hash of its first message. */
export function originOf(first: StoredMessage): string {
  return Buffer.from(chainLink(first.subject, first.data)).toString("hex");
}

/** The sequence in a CloudEvents id, `<name>:<seq>`. */
function sequenceOf(id: string | undefined): number | undefined {
  const seq = Number(id?.slice(id.lastIndexOf(":") + 1));
  return id !== undefined && Number.isSafeInteger(seq) && seq > 0 ? seq : undefined;
}

function bodyOf(message: StoredMessage): EventBody {
  return decodeEvent(message).body;
}

function toolOf(view: unknown): string {
  try {
    const { action_document: document } = JSON.parse(String(view)) as { action_document?: { tool?: unknown } };
    return typeof document?.tool === "string" ? document.tool : "";
  } catch {
    return "";
  }
}
