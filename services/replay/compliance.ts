/**
 * Who approved what, on whose behalf, under which policy, and what proves it (AUD-2, AUD-4): one record for each action,
 * each version of a document, and each emergency stop with its lifting.
 */
import type { EventData, Premise } from "../../schemas/event.ts";
import type { AggregateKind, RunId } from "../../schemas/ids.ts";
import type { ApplyChangeInput } from "../../schemas/inputs.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { chainLink, decodeEvent, EventMalformed, type JournalEvent } from "../bus/commit.ts";
import { foldRun } from "../projection/fold-view.ts";
import { ownEvents, whyOf } from "../projection/why-view.ts";
import type { DecisionView, StandingView, WhyView } from "../projection/views.ts";
import { changeOf, isChange } from "../registry/built-in.ts";
import type { Messages } from "./journal.ts";
import { withheldOf } from "./withheld.ts";

/** Somebody's answer to a request for approval; of documents and stops, whoever made or lifted them. */
export interface Review {
  readonly by: string;
  /** `<issuer>|<subject>` of the person behind the name, where a document of kind `person` said so. */
  readonly person?: string;
  /** approve, refuse, edit; apply of documents; stop, revocation, lift of stops. */
  readonly decision: string;
  readonly at: string;
  readonly reason?: string;
  /** SHA-256 of what this person was shown. */
  readonly shown: string;
  /** Of an edit: what was changed, as `/amount: 480 -> 400`. */
  readonly changes?: readonly string[];
  /** Of an approval that stands for later actions: how far. */
  readonly standing?: string;
}

export interface ComplianceRecord {
  readonly kind: "action" | "stop" | "erasure" | Exclude<AggregateKind, "run" | "ledger" | "guard">;
  /** The run; of an applied document its name; of a stop its scope; of an erasure the subject's pseudonym. */
  readonly run: string;
  /** The action; of an applied document its version; of a stop its id; of an erasure the key. */
  readonly action: string;
  readonly at: string;
  readonly tool?: string;
  readonly state: string;
  readonly agent?: string;
  readonly owner?: string;
  readonly team?: string;
  /** On whose behalf, and whether anybody checked. */
  readonly principal?: string;
  readonly issuer?: string;
  readonly verified?: boolean;
  readonly standing?: string;
  /** From the principal to the agent that acted. */
  readonly chain: readonly string[];
  /** What it was about in money, as `480 USD`. */
  readonly amount?: string;
  /** Of a document: the change that brought it about, and its action, as `signalbox-registry_x a2`: a record of its own. */
  readonly change?: string;
  /** The action that it stands in the place of, or that stands in its place, after an approver's edit. */
  readonly edited_from?: string;
  readonly replaced_by?: string;
  /** The request whose approval stood for it. */
  readonly standing_approval?: string;
  /** The stop or revocation that covered it. */
  readonly stop?: string;
  /** What policy and contract answered, and who settled it: policy, person, standing, expiry, budget, change, edit, stop, validation. */
  readonly decision?: string;
  readonly decided_by?: string;
  /** Of a document whose change is not among the messages: none. */
  readonly reviews: readonly Review[];
  /** `permit refunds default/refunds.cedar:3`. */
  readonly policies: readonly string[];
  readonly reasons: readonly string[];
  readonly engine?: string;
  /** Digests by what they name: contract, tool, policy, action, document. */
  readonly documents: Readonly<Record<string, string>>;
  /** Each event by its sequence, type and hash, which the next event of its aggregate holds as `prev`. */
  readonly events: readonly { readonly seq: number; readonly stream_seq: number; readonly type: string; readonly hash: string }[];
}

/** Records of all runs and applied documents among the messages, by aggregate in the order of its first event. */
export async function complianceOf(messages: Messages): Promise<ComplianceRecord[]> {
  const aggregates = new Map<string, JournalEvent[]>();
  /** Of withheld events, by their place in the journal: the hash of what is shown of them is nobody's. */
  const links = new Map<number, string>();
  for await (const message of messages) {
    const withheld = withheldOf(message);
    if (withheld !== undefined) links.set(message.seq, Buffer.from(withheld.link).toString("hex"));
    try {
      const event = decodeEvent(message);
      const known = aggregates.get(message.subject);
      if (known === undefined) aggregates.set(message.subject, [event]);
      else known.push(event);
    } catch (error) {
      // `verify` names it; it says nothing of who approved what
      if (!(error instanceof EventMalformed)) throw error;
    }
  }
  const changes = changesIn(aggregates.values());
  const records = [...aggregates].flatMap(([subject, events]) => {
    const kind = parseLog(subject)?.kind ?? "policy";
    if (kind === "run") return ofRun(events);
    if (kind === "guard") return stops(events);
    if (kind === "erasure") return erasures(events);
    // an account counts, and approves nothing; what it refused stands in the run
    return kind === "ledger" ? [] : events.map((event) => applied(event, kind, changes));
  });
  return records.map((one) => ({ ...one, events: one.events.map((event) => ({ ...event, hash: links.get(event.stream_seq) ?? event.hash })) }));
}

function ofRun(events: readonly JournalEvent[]): ComplianceRecord[] {
  const run = foldRun(events);
  if (run === undefined) return [];
  return [...ownEvents(events)].flatMap(([action, own]) => {
    const why = whyOf(run, action, own);
    return why === undefined ? [] : [record(why, own[0]?.event.body.at ?? "")];
  });
}

function record({ run, action, tool, state, amount, edited, replaced_by, authority, permission, evidence }: WhyView, at: string): ComplianceRecord {
  const { principal, standing, agent, agent_version, owner, team, chain } = authority;
  const { decision, decided_by, engine, stop } = permission;
  const instead: Pick<ComplianceRecord, "edited_from" | "replaced_by" | "standing_approval" | "stop"> = {
    ...(edited !== undefined && { edited_from: edited.from }),
    ...(replaced_by !== undefined && { replaced_by }),
    ...(permission.standing !== undefined && { standing_approval: permission.standing.request }),
    ...(stop !== undefined && { stop: String(stop.stop) }),
  };
  return {
    kind: "action",
    run,
    action,
    at,
    tool,
    state,
    agent: agent_version === undefined ? agent : `${agent} ${agent_version}`,
    ...(owner !== undefined && { owner }),
    ...(team !== undefined && { team }),
    ...(principal !== null && { principal: principal.subject, verified: principal.verified }),
    ...(principal?.issuer !== undefined && { issuer: principal.issuer }),
    standing,
    chain,
    ...(amount !== undefined && { amount }),
    ...instead,
    ...(decision !== undefined && { decision }),
    ...(decided_by !== undefined && { decided_by }),
    reviews: [...permission.approvals.flatMap(({ decisions }) => decisions.map(review)), ...standingReview(permission.standing)],
    policies: permission.policies.map(({ effect, id, file, line }) => [effect, id, ...(file === undefined ? [] : [line === undefined ? file : `${file}:${line}`])].join(" ")),
    reasons: permission.reasons.map(({ code }) => code),
    ...(engine !== undefined && { engine }),
    documents: evidence.documents,
    events: evidence.events.map(({ seq, stream_seq, type, hash }) => ({ seq, stream_seq, type, hash })),
  };
}

function review({ by, person, decision, at, reason, digest, diff, standing }: DecisionView): Review {
  return {
    by,
    ...(person !== undefined && { person: `${person.issuer}|${person.subject}` }),
    decision,
    at,
    ...(reason !== undefined && { reason }),
    shown: digest,
    ...(diff !== undefined && { changes: diff.map(({ path, before, after }) => `${path}: ${JSON.stringify(before) ?? "absent"} -> ${JSON.stringify(after) ?? "absent"}`) }),
    ...(standing !== undefined && { standing: JSON.stringify(standing) }),
  };
}

/** Nobody was asked about this action: the person who let an earlier approval stand answers for it. */
function standingReview(stands: StandingView | undefined): Review[] {
  return stands === undefined ? [] : [{ by: stands.by, decision: "approve", at: stands.at, shown: stands.digest, standing: JSON.stringify(stands.standing) }];
}

/** A change of documents: who agreed to it, and what it puts in force. */
interface Change {
  readonly record: ComplianceRecord;
  readonly by: string;
  readonly at: string;
  readonly reason?: string;
  /** `<kind> <name> <digest>`. */
  readonly documents: ReadonlySet<string>;
}

/** By run and action, as {@link ComplianceRecord.change} names them. */
function changesIn(aggregates: Iterable<readonly JournalEvent[]>): Map<string, Change> {
  const changes = new Map<string, Change>();
  for (const events of aggregates) {
    const first = events[0]?.body;
    if (first === undefined || first.cause.kind !== "apply" || !isChange(first.run as RunId)) continue;
    const { documents, reason } = ((first.data as Partial<Premise>).input ?? {}) as Partial<ApplyChangeInput>;
    const named = new Set((documents ?? []).map(({ kind, name, document }) => `${kind} ${name} ${document}`));
    for (const record of ofRun(events)) {
      changes.set(`${record.run} ${record.action}`, { record, by: first.cause.actor, at: first.at, ...(reason !== undefined && { reason }), documents: named });
    }
  }
  return changes;
}

/**
 * Whoever puts a contract, tool or policy in force approves everything that is later judged by it. Of one that came with a
 * change a gateway only carried out what others agreed to: they stand in the change's run, as far as that is there and
 * names this very document.
 */
function applied(event: JournalEvent, kind: Exclude<AggregateKind, "run" | "ledger" | "guard" | "erasure">, changes: ReadonlyMap<string, Change>): ComplianceRecord {
  const { body } = event;
  const { document, version, input } = body.data as { document: string; version: number } & Partial<Premise>;
  const one = { kind, run: body.run, action: String(version), at: body.at, state: "applied", policies: [], reasons: [], documents: { document }, events: [proof(event)] };
  const from = changeOf(body.cause);
  if (from === undefined) {
    const reason = (input as { reason?: string } | undefined)?.reason;
    const review: Review = { by: body.cause.actor, decision: "apply", at: body.at, ...(reason !== undefined && { reason }), shown: document };
    return { ...one, chain: body.cause.chain ?? [], decided_by: "person", reviews: [review] };
  }
  const name = `${from.run} ${from.action}`;
  const change = changes.get(name);
  if (change === undefined) return { ...one, change: name, chain: [], reviews: [] };
  if (!change.documents.has(`${kind} ${body.run} ${document}`)) return { ...one, change: name, chain: [], reviews: [], reasons: ["change.other"] };
  const { principal, issuer, verified, standing, chain, decision, decided_by, reviews, reasons, engine, documents } = change.record;
  const person = verified === true && principal !== undefined && issuer !== undefined ? { person: `${issuer}|${principal}` } : {};
  return {
    ...one,
    change: name,
    ...(principal !== undefined && { principal }),
    ...(issuer !== undefined && { issuer }),
    ...(verified !== undefined && { verified }),
    ...(standing !== undefined && { standing }),
    chain,
    ...(decision !== undefined && { decision }),
    ...(decided_by !== undefined && { decided_by }),
    reviews: [{ by: change.by, ...person, decision: "apply", at: change.at, ...(change.reason !== undefined && { reason: change.reason }), shown: document }, ...reviews],
    reasons,
    ...(engine !== undefined && { engine }),
    documents: { ...documents, document },
  };
}

/** Who stopped what, and who lifted it: one record for both. */
function stops(events: readonly JournalEvent[]): ComplianceRecord[] {
  const records = new Map<string, ComplianceRecord>();
  for (const event of events) {
    const { type, at, data } = event.body;
    const { stop, kind, scope, by, reason } = data as EventData<"guard.stopped">;
    const before = records.get(stop);
    const { facts, input_hash } = (event.body.part[0] === 1 ? data : {}) as Partial<Premise>;
    const person = facts?.kind === "guard" && facts.person ? { person: `${facts.person.issuer}|${facts.person.subject}` } : {};
    const decision = type === "guard.lifted" ? "lift" : kind;
    records.set(stop, {
      kind: "stop",
      run: scope,
      action: stop,
      at: before?.at ?? at,
      state: type === "guard.lifted" ? "lifted" : "standing",
      chain: [],
      decided_by: "person",
      reviews: [...(before?.reviews ?? []), { by, ...person, decision, at, reason, shown: input_hash ?? "" }],
      policies: [],
      reasons: [],
      documents: {},
      events: [...(before?.events ?? []), proof(event)],
    });
  }
  return [...records.values()];
}

/** Whose data was erased, by whom, and when its key was gone: one record for each key. */
function erasures(events: readonly JournalEvent[]): ComplianceRecord[] {
  const records = new Map<string, ComplianceRecord>();
  for (const event of events) {
    const { type, at, data } = event.body;
    const { subject, key, by, reason } = data as EventData<"erasure.requested">;
    const before = records.get(key);
    const { input_hash } = (event.body.part[0] === 1 ? data : {}) as Partial<Premise>;
    records.set(key, {
      kind: "erasure",
      run: subject,
      action: key,
      at: before?.at ?? at,
      state: type === "erasure.completed" ? "completed" : "requested",
      chain: [],
      decided_by: "person",
      reviews: before?.reviews ?? [{ by, decision: "erase", at, reason, shown: input_hash ?? "" }],
      policies: [],
      reasons: [],
      documents: {},
      events: [...(before?.events ?? []), proof(event)],
    });
  }
  return [...records.values()];
}

function proof({ body, subject, data, streamSeq }: JournalEvent): ComplianceRecord["events"][number] {
  return { seq: body.seq, stream_seq: streamSeq, type: body.type, hash: Buffer.from(chainLink(subject, data)).toString("hex") };
}
