/**
 * Every subject and stream name of the wire is built, and taken apart, here and nowhere else.
 * Source: DESIGN, "The wire". `<p>` is {@link partitionOf} of the aggregate's token.
 */
import { type Actor, type AggregateKind, type Namespace, PARTITIONS, type RunId, partitionOf } from "./ids.ts";

const ROOT = "signalbox";

/** Kinds of input, by the token that the broker's permissions speak of. */
export const INPUT_KINDS = ["propose", "decide", "report", "control", "apply", "signal"] as const;
export type InputKind = (typeof INPUT_KINDS)[number];

/** One of each for every namespace. */
export const STREAMS = ["INBOX", "CONTROL", "JOURNAL", "OUT", "TIMERS", "DISPATCH", "REJECTED", "DOCUMENTS", "KEYS", "LEASES"] as const;
export type StreamKind = (typeof STREAMS)[number];

export function streamName(kind: StreamKind, ns: Namespace): string {
  return `${kind}_${ns}`;
}

/**
 * The token that names an aggregate in subjects: a run by itself, any other as `<kind>:<name>` with the
 * name's dots escaped, because a token cannot hold a dot and a run can never hold a colon.
 */
export function aggregateToken(kind: AggregateKind, name: string): string {
  return kind === "run" ? name : `${kind}:${escapeToken(name)}`;
}

/**
 * Inputs are stored in so many shares, each of which one coordinator owns: more shares than coordinators that one
 * journal keeps busy, and each costs three consumers. Partition `<p>` is in share `<p>` modulo 8, and as 8 divides 64
 * the server's own `partition(8, …)` says the same of a token.
 */
export const SHARES = 8;

/** The share that an aggregate's inputs and timers are stored in, by its token. */
export function shareOf(token: string): number {
  return partitionOf(token) % SHARES;
}

/**
 * Partitions of a share whose inputs and timers bear their own number where the share's stands today: stored by a plane
 * of before, and still to be taken. The share's own number was one of them.
 */
export function formerPartitions(share: number): number[] {
  return Array.from({ length: PARTITIONS / SHARES - 1 }, (_, i) => share + SHARES * (i + 1));
}

/** Percent-escapes everything that cannot stand in a subject token. */
export function escapeToken(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/gu, (c) =>
    [...new TextEncoder().encode(c)].map((b) => `%${b.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** The reverse of {@link escapeToken}; a token that nobody escaped properly stays as it is, and is then no legal name. */
export function unescapeToken(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

/** Subjects of one namespace. */
export const subjects = {
  /** Where inputs are published: `signalbox.<ns>.in.<kind>.<actor>.<aggregate>`. */
  input: (ns: Namespace, kind: InputKind, actor: Actor | "*", aggregate: string) =>
    `${ROOT}.${ns}.in.${kind}.${actor}.${aggregate}`,
  /**
   * A message between two aggregates, both as tokens: `signalbox.<ns>.part.<share>.signal.<from>.<to>.<name>`. It has a
   * token more than the transform of other inputs takes, so coordinators, who alone send them, say where it is stored.
   */
  signal: (ns: Namespace, from: string, to: string, name: string) => `${ROOT}.${ns}.part.${shareOf(to)}.signal.${from}.${to}.${name}`,
  /** Where a journal event of an aggregate is stored: in segment 1, or a run in a later one. */
  log: (ns: Namespace, kind: AggregateKind, name: string, segment = 1) =>
    `${ROOT}.${ns}.${segment === 1 ? "log" : `segment.${segment}`}.${kind}.${partitionOf(aggregateToken(kind, name))}.${name}`,
  /** Where a stored event is republished. */
  live: (ns: Namespace, kind: AggregateKind, name: string) =>
    `${ROOT}.${ns}.live.${kind}.${partitionOf(aggregateToken(kind, name))}.${name}`,
  /** A journal reader's fan-out by event type, for services. */
  event: (ns: Namespace, type: string, name: string) => `${ROOT}.${ns}.event.${type}.${name}`,
  /** The same fan-out by team, for developers. */
  team: (ns: Namespace, team: string, type: string, name: string) =>
    `${ROOT}.${ns}.team.${escapeToken(team)}.${type}.${name}`,
  /** The agent's own, sanitised view of a run. */
  out: (ns: Namespace, agent: Actor | "*", run: RunId | "*") => `${ROOT}.${ns}.out.${agent}.${run}`,
  /** Request/reply form of a proposal. */
  ask: (ns: Namespace, agent: Actor | "*", run: RunId | "*") => `${ROOT}.${ns}.ask.${agent}.${run}`,
  /** Reason, size and hash of what was refused without entering a journal. */
  rejected: (ns: Namespace, actor: Actor | "*") => `${ROOT}.${ns}.rejected.${actor}`,
  /** The plane's answer to a gateway's report (core messages; a gateway repeats its report until answered). */
  grant: (ns: Namespace, gateway: Actor | "*") => `${ROOT}.${ns}.grant.${gateway}`,
  dispatch: (ns: Namespace, tool: string) => `${ROOT}.${ns}.dispatch.${tool}`,
  /** Where a tool serves calls. */
  call: (ns: Namespace, tool: string) => `${ROOT}.${ns}.call.${tool}`,
  /** Where it answers what became of a call: a subject of its own, so that nobody takes the question for a call. */
  probe: (ns: Namespace, tool: string) => `${ROOT}.${ns}.probe.${tool}`,
  timer: (ns: Namespace, run: RunId, name: string) =>
    `${ROOT}.${ns}.timer.${partitionOf(run)}.${run}.${escapeToken(name)}`,
  /** Where a timer of a run falls due: `signalbox.<ns>.due.<share>.<run>`. */
  due: (ns: Namespace, run: RunId) => `${ROOT}.${ns}.due.${shareOf(run)}.${run}`,
  /** A content-addressed document; `hash` is 64 hex digits. */
  document: (ns: Namespace, hash: string) => `${ROOT}.${ns}.doc.${hash}`,
  /** The keys of a data subject, one after the other; read by the plane's own services alone. */
  key: (ns: Namespace, pseudonym: string) => `${ROOT}.${ns}.key.${pseudonym}`,
  /** Where an approver asks for the personal fields of a request: who asks is in the subject, so that the broker checks it. */
  reveal: (ns: Namespace, approver: Actor | "*") => `${ROOT}.${ns}.reveal.${approver}`,
  /** Questions to the read model: `signalbox.<ns>.query.<what>`. */
  query: (ns: Namespace, what: string) => `${ROOT}.${ns}.query.${what}`,
  /** The last sign of life of a coordinator. */
  member: (ns: Namespace, id: string) => `${ROOT}.${ns}.lease.member.${id}`,
  /** Who owns a share of the inputs. */
  lease: (ns: Namespace, share: number) => `${ROOT}.${ns}.lease.share.${share}`,
} as const;

/** Patterns for streams, imports, permissions. */
export const patterns = {
  inboxSource: (ns: Namespace) => `${ROOT}.${ns}.in.propose.*.*`,
  /** The kinds whose inputs live in CONTROL, one filter each. */
  controlSources: (ns: Namespace) =>
    [...INPUT_KINDS.filter((kind) => kind !== "propose").map((kind) => `${ROOT}.${ns}.in.${kind}.*.*${kind === "signal" ? ".*" : ""}`), patterns.signals(ns)],
  signals: (ns: Namespace) => `${ROOT}.${ns}.part.*.signal.*.*.*`,
  /** Signals in no share, as coordinators of before sent them. */
  unsharedSignals: (ns: Namespace) => `${ROOT}.${ns}.in.signal.*.*.*`,
  /** What is stored in INBOX or CONTROL for one share, or for a partition of before. */
  inputsOf: (ns: Namespace, share: number) => `${ROOT}.${ns}.part.${share}.>`,
  /** Timers that fell due for one share, or for a partition of before. */
  duesOf: (ns: Namespace, share: number) => `${ROOT}.${ns}.due.${share}.>`,
  inputs: (ns: Namespace) => `${ROOT}.${ns}.in.>`,
  log: (ns: Namespace, segment = 1) => `${ROOT}.${ns}.${segment === 1 ? "log" : `segment.${segment}`}.>`,
  logOfKind: (ns: Namespace, kind: AggregateKind, segment = 1) => `${ROOT}.${ns}.${segment === 1 ? "log" : `segment.${segment}`}.${kind}.>`,
  /** The segments of the journal behind the first. */
  segments: (ns: Namespace) => `${ROOT}.${ns}.segment.>`,
  live: (ns: Namespace) => `${ROOT}.${ns}.live.>`,
  liveOfKind: (ns: Namespace, kind: AggregateKind) => `${ROOT}.${ns}.live.${kind}.>`,
  events: (ns: Namespace) => `${ROOT}.${ns}.event.>`,
  teams: (ns: Namespace) => `${ROOT}.${ns}.team.>`,
  team: (ns: Namespace, team: string) => `${ROOT}.${ns}.team.${escapeToken(team)}.>`,
  out: (ns: Namespace) => `${ROOT}.${ns}.out.>`,
  asks: (ns: Namespace) => `${ROOT}.${ns}.ask.*.*`,
  rejected: (ns: Namespace) => `${ROOT}.${ns}.rejected.*`,
  grants: (ns: Namespace) => `${ROOT}.${ns}.grant.*`,
  dispatches: (ns: Namespace) => `${ROOT}.${ns}.dispatch.>`,
  calls: (ns: Namespace) => `${ROOT}.${ns}.call.>`,
  probes: (ns: Namespace) => `${ROOT}.${ns}.probe.>`,
  timers: (ns: Namespace) => `${ROOT}.${ns}.timer.>`,
  dues: (ns: Namespace) => `${ROOT}.${ns}.due.>`,
  documents: (ns: Namespace) => `${ROOT}.${ns}.doc.*`,
  keys: (ns: Namespace) => `${ROOT}.${ns}.key.*`,
  reveals: (ns: Namespace) => `${ROOT}.${ns}.reveal.*`,
  queries: (ns: Namespace) => `${ROOT}.${ns}.query.>`,
  /** OUT and REJECTED are seen only after storage: republished here, imported by the namespace as `out` and `rejected`. */
  outStored: (ns: Namespace) => `${ROOT}.${ns}.stored.out.>`,
  rejectedStored: (ns: Namespace) => `${ROOT}.${ns}.stored.rejected.*`,
  leases: (ns: Namespace) => `${ROOT}.${ns}.lease.*.*`,
  /** Where what is in LEASES is republished once it is stored. */
  leased: (ns: Namespace) => `${ROOT}.${ns}.leased.*.*`,
} as const;

/**
 * How inputs are stored: a subject transform puts the share in front, so that one coordinator at a time can own it.
 * `signalbox.<ns>.in.<kind>.<actor>.<aggregate>` becomes `signalbox.<ns>.part.<share>.<kind>.<actor>.<aggregate>`.
 */
export const inputTransform = (ns: Namespace) => ({
  src: `${ROOT}.${ns}.in.*.*.*`,
  dest: `${ROOT}.${ns}.part.{{partition(${SHARES},3)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}`,
});

export interface StoredInputAddress {
  readonly share: number;
  readonly kind: InputKind;
  readonly actor: string;
  readonly aggregate: string;
  /** Name of a signal. */
  readonly signal?: string;
}

/**
 * Takes apart the stored subject of an input; undefined when it is none of ours. Names are not yet checked.
 * A signal has a token more, its name; its actor is an aggregate. Those of before are stored in no share (`in.signal`).
 */
export function parseStoredInput(subject: string): StoredInputAddress | undefined {
  const [root, , where, ...rest] = subject.split(".");
  // a number in front says where it is stored, which the aggregate's token says too
  const [kind, actor, aggregate, signal, ...more] = where === "part" ? rest.slice(1) : where === "in" && rest[0] === "signal" ? rest : [];
  if (root !== ROOT || actor === undefined || aggregate === undefined || more.length > 0) return undefined;
  if (!(INPUT_KINDS as readonly string[]).includes(kind ?? "") || (kind === "signal") !== (signal !== undefined)) return undefined;
  return { share: shareOf(aggregate), kind: kind as InputKind, actor, aggregate, ...(signal !== undefined && { signal }) };
}

export interface LogAddress {
  readonly ns: string;
  readonly kind: AggregateKind;
  readonly partition: number;
  readonly name: string;
  /** Of the journal; a republished event does not say it, and has 1. */
  readonly segment: number;
}

/** Takes apart a journal subject, stored (`log`, `segment.<n>`) or republished (`live`). */
export function parseLog(subject: string): LogAddress | undefined {
  // without taking the name apart: this runs several times for every event
  const ns = subject.indexOf(".") + 1;
  const log = subject.indexOf(".", ns) + 1;
  const behind = subject.indexOf(".", log) + 1;
  const what = subject.slice(log, behind - 1);
  const kind = what === "segment" ? subject.indexOf(".", behind) + 1 : behind;
  const p = subject.indexOf(".", kind) + 1;
  const name = subject.indexOf(".", p) + 1;
  if (ns === 0 || log === 0 || behind === 0 || kind === 0 || p === 0 || name === 0 || subject.slice(0, ns - 1) !== ROOT) return undefined;
  if (what !== "log" && what !== "live" && what !== "segment") return undefined;
  const segment = what === "segment" ? Number(subject.slice(behind, kind - 1)) : 1;
  return { ns: subject.slice(ns, log - 1), kind: subject.slice(kind, p - 1) as AggregateKind, partition: Number(subject.slice(p, name - 1)), name: subject.slice(name), segment };
}

/** Which segment of the journal a stored subject is in, without taking it apart. */
export function segmentOfSubject(subject: string): number {
  const at = subject.indexOf(".", ROOT.length + 1) + 1;
  return subject.startsWith("segment.", at) ? Number(subject.slice(at + 8, subject.indexOf(".", at + 8))) : 1;
}

/** The aggregate token of an input: a run, or `<kind>:<name>`. */
export function parseAggregateToken(token: string): { kind: AggregateKind; name: string } {
  const colon = token.indexOf(":");
  if (colon < 0) return { kind: "run", name: token };
  return { kind: token.slice(0, colon) as AggregateKind, name: unescapeToken(token.slice(colon + 1)) };
}
