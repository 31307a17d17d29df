/**
 * Every identifier of the wire: its form, its brand, and the function that admits it.
 * A branded string has been checked once, at the edge; inside, its type is the proof.
 */
import { z } from "zod";

/** A namespace: a team or tenant. */
export const namespaceSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "a namespace is [a-z0-9][a-z0-9-]{0,62}")
  .brand<"Namespace">();
export type Namespace = z.infer<typeof namespaceSchema>;

/** An agent, gateway, approver or operator: the name its credential carries. */
export const actorSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "an actor is [a-z0-9][a-z0-9-]{0,62}")
  .brand<"Actor">();
export type Actor = z.infer<typeof actorSchema>;

/** A run: `<starting agent>_<client's id>`. The prefix keeps agents from squatting on each other's runs. */
export const runIdSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}_[A-Za-z0-9][A-Za-z0-9-]{0,80}$/,
    "a run is <agent>_<id>, the id [A-Za-z0-9][A-Za-z0-9-]{0,80}",
  )
  .brand<"RunId">();
export type RunId = z.infer<typeof runIdSchema>;

/** A tool: one to six parts joined by dots, as `stripe.create_refund`. */
export const toolNameSchema = z
  .string()
  .max(200)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*){0,5}$/,
    "a tool is one to six parts [A-Za-z0-9][A-Za-z0-9_-]* joined by dots",
  )
  .brand<"ToolName">();
export type ToolName = z.infer<typeof toolNameSchema>;

/** The id that a sender gives to an input. Remembered, with the body's hash, for the whole life of the run. */
export const inputIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, "an id is [A-Za-z0-9][A-Za-z0-9._:-]{0,127}");

/** An action: `a<seq>`, the sequence of its `action.proposed` in the run. */
export const actionIdSchema = z
  .string()
  .regex(/^a[1-9][0-9]{0,9}$/, "an action is a<sequence>")
  .brand<"ActionId">();
export type ActionId = z.infer<typeof actionIdSchema>;

/** A request for approval: `q<seq>`, the sequence of its `approval.requested` in the run. */
export const requestIdSchema = z
  .string()
  .regex(/^q[1-9][0-9]{0,9}$/, "an approval request is q<sequence>")
  .brand<"RequestId">();
export type RequestId = z.infer<typeof requestIdSchema>;

/** A SHA-256 in the form that names a document or an action: `sha256:<64 hex>`. */
export const digestSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, "a digest is sha256:<64 hex digits>")
  .brand<"Digest">();
export type Digest = z.infer<typeof digestSchema>;

export const namespace = (text: string): Namespace => namespaceSchema.parse(text);
export const actor = (text: string): Actor => actorSchema.parse(text);
export const runId = (text: string): RunId => runIdSchema.parse(text);
export const toolName = (text: string): ToolName => toolNameSchema.parse(text);
export const actionId = (sequence: number): ActionId => actionIdSchema.parse(`a${sequence}`);
export const requestId = (sequence: number): RequestId => requestIdSchema.parse(`q${sequence}`);

/** The agent under whose prefix a run was started. */
export function startingAgent(run: RunId): Actor {
  return run.slice(0, run.indexOf("_")) as Actor;
}

/** The plane's own actors and agents begin with this; nobody else is given such a name. */
export const RESERVED_PREFIX = "signalbox-";

/** Whose spending is limited together: `agent.<name>`, `team.<name>` or `project.<name>`, the name escaped as a subject token. */
export const accountNameSchema = z
  .string()
  .regex(/^(agent|team|project)\.[A-Za-z0-9_%-]{1,400}$/, "an account is agent.<name>, team.<name> or project.<name>")
  .brand<"AccountName">();
export type AccountName = z.infer<typeof accountNameSchema>;

/**
 * A ledger: one account on one day (UTC), so that each is small and yesterday's is closed: `team.support.2026-11-21`,
 * or `amount.<32 hex>.2026-11-21` for what adds up per principal, target or agent.
 */
export const ledgerNameSchema = z
  .string()
  .regex(/^((agent|team|project)\.[A-Za-z0-9_%-]{1,400}|amount\.[0-9a-f]{32})\.\d{4}-\d{2}-\d{2}$/, "a ledger is <account>.<day>, the account agent.<name>, team.<name>, project.<name> or amount.<32 hex digits>")
  .brand<"LedgerName">();
export type LedgerName = z.infer<typeof ledgerNameSchema>;

/** An entry of the guard (a stop or a revocation): `s<seq>`, the sequence of its `guard.stopped`. */
export const stopIdSchema = z
  .string()
  .regex(/^s[1-9][0-9]{0,9}$/, "a stop is s<sequence>")
  .brand<"StopId">();
export type StopId = z.infer<typeof stopIdSchema>;

/** Kinds of aggregate that own a subject in the journal. Only `run` is driven by agents. */
export const AGGREGATE_KINDS = ["run", "ledger", "guard", "erasure", "segments", "tool", "agent", "policy", "person", "issuer", "budget"] as const;
export type AggregateKind = (typeof AGGREGATE_KINDS)[number];

/** Number of partitions: a constant of the wire, never a setting. */
export const PARTITIONS = 64;

/** The partition of a subject token: FNV-1a (32 bit) modulo 64, the server's own `partition(64, …)`. */
export function partitionOf(token: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < token.length; i++) {
    hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % PARTITIONS;
}
