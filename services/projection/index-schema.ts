/** Tables of the run index. A changed table needs a new version: the file is then dropped and rebuilt. */
export const SCHEMA_VERSION = "1";

export const SCHEMA = `
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
  run TEXT PRIMARY KEY, agent TEXT NOT NULL, team TEXT NOT NULL, state TEXT NOT NULL, seq INTEGER NOT NULL,
  first_stream_seq INTEGER NOT NULL, last_stream_seq INTEGER NOT NULL,
  started_at TEXT NOT NULL, updated_at TEXT NOT NULL, waiting INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (first_stream_seq);
CREATE INDEX IF NOT EXISTS runs_by_agent ON runs (agent, first_stream_seq);
CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state, first_stream_seq);
CREATE TABLE IF NOT EXISTS approvals (
  run TEXT NOT NULL, request TEXT NOT NULL, action TEXT NOT NULL, tool TEXT NOT NULL, state TEXT NOT NULL,
  role TEXT NOT NULL, expires_at TEXT NOT NULL, requested INTEGER NOT NULL, requested_at TEXT NOT NULL,
  PRIMARY KEY (run, request)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS approvals_open ON approvals (requested) WHERE state='requested';
CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, version INTEGER NOT NULL, applied_at TEXT NOT NULL,
  PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarms (stream_seq INTEGER PRIMARY KEY, subject TEXT NOT NULL, why TEXT NOT NULL);
`;
