/**
 * The run index: which runs, approvals and documents there are. It may be deleted at any time and is then rebuilt
 * from the journal (law 4). Most events are placed by subject and headers alone; bodies are decoded only where the
 * index needs something out of them.
 */
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Envelope, EventBody, EventData } from "../../schemas/event.ts";
import { startingAgent, type RunId } from "../../schemas/ids.ts";
import { segmentOf } from "../../schemas/segments.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { chainLink, decodeEvent, EventMalformed } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { glance } from "./glance.ts";
import { Checkpoints } from "./index-checkpoints.ts";
import { FlightIndex } from "./index-flight.ts";
import { LedgerIndex } from "./index-ledgers.ts";
import { type ApprovalAbout, shown } from "./approval-about.ts";
import { CLEAR, SCHEMA, SCHEMA_VERSION } from "./index-schema.ts";
import { StopIndex } from "./index-stops.ts";

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
  /** Of the contract; empty where it has none. */
  version: string;
  project: string;
  /** `<issuer>|<subject>`; empty when nobody was named. */
  principal: string;
  /** 1 while its agent has been given output that is not trusted. */
  tainted: number;
  /** Allowances of the ledger, by account and day, that it has not given back for good. */
  owes: number;
}

export interface ApprovalRow {
  readonly run: string;
  readonly request: string;
  readonly action: string;
  readonly tool: string;
  readonly state: string;
  readonly role: string;
  /** Persons that must approve, and that have. */
  readonly count: number;
  readonly grants: number;
  readonly expires_at: string;
  /** Stream sequence of its `approval.requested`. */
  readonly requested: number;
  readonly requested_at: string;
  readonly about: ApprovalAbout;
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
  readonly #put: Readonly<Record<"run" | "approval" | "decide" | "grant" | "document" | "meta" | "alarm", StatementSync>>;
  readonly #get: StatementSync;
  readonly flight: FlightIndex;
  readonly ledgers: LedgerIndex;
  readonly stops: StopIndex;
  readonly #cache = new Map<string, RunRow>();
  readonly #dirty = new Set<RunRow>();
  readonly #checkpoints: Checkpoints;

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.#put = {
      run: db.prepare(
        `INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (run) DO UPDATE SET agent=excluded.agent, team=excluded.team,
         state=excluded.state, seq=excluded.seq, last_stream_seq=excluded.last_stream_seq, updated_at=excluded.updated_at, waiting=excluded.waiting,
         version=excluded.version, project=excluded.project, principal=excluded.principal, tainted=excluded.tainted, owes=excluded.owes`,
      ),
      approval: db.prepare("INSERT OR REPLACE INTO approvals VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"),
      decide: db.prepare("UPDATE approvals SET state=? WHERE run=? AND request=? AND state='requested'"),
      grant: db.prepare("UPDATE approvals SET grants=? WHERE run=? AND request=?"),
      document: db.prepare("INSERT OR REPLACE INTO documents VALUES (?,?,?,?,?)"),
      meta: db.prepare("INSERT OR REPLACE INTO meta VALUES (?,?)"),
      alarm: db.prepare("INSERT OR REPLACE INTO alarms VALUES (?,?,?)"),
    };
    this.#get = db.prepare("SELECT * FROM runs WHERE run=?");
    this.flight = new FlightIndex(db);
    this.ledgers = new LedgerIndex(db);
    this.stops = new StopIndex(db);
    this.#checkpoints = new Checkpoints((key) => this.meta(key));
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

  /** Position of the last message of the journal's first segment that is in the index. */
  get checkpoint(): number {
    return this.checkpointOf(1);
  }

  /** The same of any segment; its stream's sequence is 0 where there is nothing yet. */
  checkpointOf(segment: number): number {
    return this.#checkpoints.of(segment);
  }

  /** The segments that something is known of. */
  get segments(): number[] {
    return this.#checkpoints.segments;
  }

  meta(key: string): string | undefined {
    return (this.#db.prepare("SELECT value FROM meta WHERE key=?").get(key) as { value: string } | undefined)?.value;
  }

  /** Forgets everything. */
  clear(): void {
    this.#db.exec(CLEAR);
    this.flight.reload();
    this.#cache.clear();
    this.#dirty.clear();
    this.#checkpoints.clear();
  }

  /** Takes the next messages of one segment of the journal, all or none. What lies before the checkpoint is left out. */
  apply(batch: readonly StoredMessage[]): void {
    const last = batch.at(-1)?.seq ?? 0;
    const checkpoint = this.checkpointOf(segmentOf(last));
    if (last <= checkpoint) return;
    this.#db.exec("BEGIN");
    try {
      for (const message of batch) if (message.seq > checkpoint) this.#one(message);
      for (const row of this.#dirty) {
        this.#put.run.run(
          row.run, row.agent, row.team, row.state, row.seq,
          row.first_stream_seq, row.last_stream_seq, row.started_at, row.updated_at, row.waiting,
          row.version, row.project, row.principal, row.tainted, row.owes,
        );
      }
      this.flight.flush();
      this.#checkpoints.write(this.#put.meta, last);
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#cache.clear();
      this.#db.exec("ROLLBACK");
      this.flight.reload();
      throw error;
    } finally {
      this.#dirty.clear();
    }
    this.#checkpoints.reached(last);
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
      else if (address.kind === "ledger") this.ledgers.take(bodyOf(message), message.seq);
      else if (address.kind === "guard") this.stops.take(bodyOf(message));
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
        version: "", project: "", principal: "", tainted: 0, owes: 0,
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
      row.version = envelope?.agent.version ?? "";
      row.project = envelope?.project ?? "";
      row.principal = envelope?.principal ? `${envelope.principal.issuer ?? ""}|${envelope.principal.subject}` : "";
    } else if (type.startsWith("approval.")) {
      this.#approvalEvent(message, row, type.slice("approval.".length));
    } else if (type === "budget.leased" || type === "budget.returned") {
      row.owes += this.ledgers.owed(run, bodyOf(message));
    } else if (type === "taint.raised") {
      if (bodyOf(message).data["tainted"] === true) row.tainted = 1;
    } else if (type === "taint.lowered") {
      row.tainted = 0;
    }
    if (this.flight.concerns(run, type)) this.flight.take(run, glance(message));
  }

  #approvalEvent(message: StoredMessage, row: RunRow, what: string): void {
    const { data, at } = bodyOf(message);
    const request = String(data["request"]);
    if (what === "requested") {
      const { action, role, count, expires_at, view } = data as EventData<"approval.requested">;
      const { tool, about } = shown(view);
      this.#put.approval.run(row.run, request, action, tool, "requested", role, count, 0, expires_at, message.seq, at, JSON.stringify(about));
      row.waiting += 1;
      return;
    }
    if (what === "granted") this.#put.grant.run(Number(data["grants"]), row.run, request);
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
    return this.#all<StoredApproval>("SELECT * FROM approvals WHERE state='requested' ORDER BY requested LIMIT ?", limit).map(approvalRow);
  }

  approvalsOf(run: string): ApprovalRow[] {
    return this.#all<StoredApproval>("SELECT * FROM approvals WHERE run=? ORDER BY requested", run).map(approvalRow);
  }

  /** Runs that have not given back what they leased, also those that have ended; oldest first. */
  owing(limit = 1000): RunRow[] {
    return this.#all<RunRow>("SELECT * FROM runs WHERE owes>0 ORDER BY first_stream_seq LIMIT ?", limit);
  }

  document(kind: string, name: string): DocumentRow | undefined {
    return this.#all<DocumentRow>("SELECT * FROM documents WHERE kind=? AND name=?", kind, name)[0];
  }

  documents(): DocumentRow[] {
    return this.#all<DocumentRow>("SELECT * FROM documents ORDER BY kind, name");
  }

  alarms(limit = 100): { readonly stream_seq: number; readonly subject: string; readonly why: string }[] {
    return this.#all("SELECT * FROM alarms ORDER BY stream_seq LIMIT ?", limit);
  }

  /** Runs by state, and how many requests are open. */
  counts(): { readonly runs: Record<string, number>; readonly approvals: number; readonly alarms: number; readonly owing: number } {
    const states = this.#all<{ state: string; n: number }>("SELECT state, count(*) AS n FROM runs GROUP BY state ORDER BY state");
    const one = (sql: string) => Number((this.#db.prepare(sql).get() as { n: number }).n);
    return {
      runs: Object.fromEntries(states.map(({ state, n }) => [state, n])),
      approvals: one("SELECT count(*) AS n FROM approvals WHERE state='requested'"),
      alarms: one("SELECT count(*) AS n FROM alarms"),
      owing: one("SELECT count(*) AS n FROM runs WHERE owes>0"),
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

type StoredApproval = Omit<ApprovalRow, "about"> & { readonly about: string };

function approvalRow(stored: StoredApproval): ApprovalRow {
  return { ...stored, about: JSON.parse(stored.about) as ApprovalAbout };
}
