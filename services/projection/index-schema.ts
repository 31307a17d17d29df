/** Tables of the run index. A changed table needs a new version: the file is then dropped and rebuilt. */
export const SCHEMA_VERSION = "2";

export const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
  run TEXT PRIMARY KEY, agent TEXT NOT NULL, team TEXT NOT NULL, state TEXT NOT NULL, seq INTEGER NOT NULL,
  first_stream_seq INTEGER NOT NULL, last_stream_seq INTEGER NOT NULL,
  started_at TEXT NOT NULL, updated_at TEXT NOT NULL, waiting INTEGER NOT NULL,
  version TEXT NOT NULL, project TEXT NOT NULL, principal TEXT NOT NULL, tainted INTEGER NOT NULL, owes INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (first_stream_seq);
CREATE INDEX IF NOT EXISTS runs_by_agent ON runs (agent, first_stream_seq);
CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state, first_stream_seq);
CREATE INDEX IF NOT EXISTS runs_owing ON runs (first_stream_seq) WHERE owes>0;
CREATE TABLE IF NOT EXISTS approvals (
  run TEXT NOT NULL, request TEXT NOT NULL, action TEXT NOT NULL, tool TEXT NOT NULL, state TEXT NOT NULL,
  role TEXT NOT NULL, count INTEGER NOT NULL, grants INTEGER NOT NULL, expires_at TEXT NOT NULL,
  requested INTEGER NOT NULL, requested_at TEXT NOT NULL, about TEXT NOT NULL,
  PRIMARY KEY (run, request)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS approvals_open ON approvals (requested) WHERE state='requested';
CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, version INTEGER NOT NULL, applied_at TEXT NOT NULL,
  PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS flight (
  run TEXT NOT NULL, action TEXT NOT NULL, tool TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
  approvers TEXT NOT NULL, gateway TEXT NOT NULL, since TEXT NOT NULL, deadline TEXT NOT NULL,
  PRIMARY KEY (run, action)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holdings (
  run TEXT NOT NULL, ledger TEXT NOT NULL, unit TEXT NOT NULL, window TEXT NOT NULL,
  PRIMARY KEY (run, ledger, unit, window)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledgers (
  ledger TEXT NOT NULL, unit TEXT NOT NULL, window TEXT NOT NULL, total INTEGER NOT NULL, cap INTEGER,
  refusals INTEGER NOT NULL, updated_at TEXT NOT NULL, changed INTEGER NOT NULL,
  PRIMARY KEY (ledger, unit, window)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledgers_by_change ON ledgers (changed);
CREATE TABLE IF NOT EXISTS holders (
  ledger TEXT NOT NULL, unit TEXT NOT NULL, window TEXT NOT NULL, run TEXT NOT NULL,
  granted INTEGER NOT NULL, unused INTEGER NOT NULL, done INTEGER NOT NULL,
  PRIMARY KEY (ledger, unit, window, run)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stops (
  seq INTEGER PRIMARY KEY, stop TEXT NOT NULL, kind TEXT NOT NULL, scope TEXT NOT NULL, by TEXT NOT NULL,
  reason TEXT NOT NULL, at TEXT NOT NULL, lifted_by TEXT, lifted_reason TEXT, lifted_at TEXT);
CREATE TABLE IF NOT EXISTS alarms (stream_seq INTEGER PRIMARY KEY, subject TEXT NOT NULL, why TEXT NOT NULL);
`;

/** What a cleared index loses: everything but its schema's version. */
export const CLEAR = `
DELETE FROM runs; DELETE FROM approvals; DELETE FROM documents; DELETE FROM flight; DELETE FROM holdings;
DELETE FROM ledgers; DELETE FROM holders; DELETE FROM stops; DELETE FROM alarms; DELETE FROM meta WHERE key<>'schema'`;
