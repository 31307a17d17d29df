/** Who approved what, on whose behalf, under which policy, and what proves it (AUD-2, AUD-4): one record an action or document. */
import type { Premise } from "../../schemas/event.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { chainLink, decodeEvent, EventMalformed, type JournalEvent } from "../bus/commit.ts";
import { whyView } from "../projection/fold-view.ts";
import type { WhyView } from "../projection/views.ts";
import type { Messages } from "./journal.ts";

/** Somebody's answer to a request for approval. */
export interface Review {
  readonly by: string;
  readonly decision: string;
  readonly at: string;
  readonly reason?: string;
  /** SHA-256 of what this person was shown. */
  readonly shown: string;
}

export interface ComplianceRecord {
  readonly kind: "action" | "agent" | "tool" | "policy";
  /** The run; of an applied document its name. */
  readonly run: string;
  /** The action; of an applied document its version. */
  readonly action: string;
  readonly at: string;
  readonly tool?: string;
  readonly state: string;
  readonly agent?: string;
  readonly owner?: string;
  readonly team?: string;
  /** On whose behalf, and whether anybody checked. */
  readonly principal?: string;
  readonly standing?: string;
  /** What policy and contract answered, and who settled it: policy, person, expiry, budget, change, validation. */
  readonly decision?: string;
  readonly decided_by?: string;
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
  for await (const message of messages) {
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
  return [...aggregates].flatMap(([subject, events]) => (parseLog(subject)?.kind === "run" ? ofRun(events) : events.map(applied)));
}

function ofRun(events: readonly JournalEvent[]): ComplianceRecord[] {
  const first = events[0];
  const byAction = new Map<string, JournalEvent[]>();
  for (const event of events) {
    const { action } = event.body.data;
    if (typeof action !== "string") continue;
    const known = byAction.get(action);
    if (known === undefined) byAction.set(action, [event]);
    else known.push(event);
  }
  return [...byAction].flatMap(([action, own]) => {
    // a view of the one action: of the rest of the run it needs the envelope, which stands in the first event
    const why = whyView(first === undefined || own[0] === first ? own : [first, ...own], action);
    return why === undefined ? [] : [record(why, own[0]?.body.at ?? "")];
  });
}

function record({ run, action, tool, state, authority, permission, evidence }: WhyView, at: string): ComplianceRecord {
  const { principal, standing, agent, agent_version, owner, team } = authority;
  const { decision, decided_by, engine } = permission;
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
    ...(principal !== null && { principal: principal.subject }),
    standing,
    ...(decision !== undefined && { decision }),
    ...(decided_by !== undefined && { decided_by }),
    reviews: permission.approvals.flatMap(({ decisions }) =>
      decisions.map(({ by, decision, at, reason, digest }) => ({ by, decision, at, ...(reason !== undefined && { reason }), shown: digest })),
    ),
    policies: permission.policies.map(({ effect, id, file, line }) => [effect, id, ...(file === undefined ? [] : [line === undefined ? file : `${file}:${line}`])].join(" ")),
    reasons: permission.reasons.map(({ code }) => code),
    ...(engine !== undefined && { engine }),
    documents: evidence.documents,
    events: evidence.events.map(({ seq, stream_seq, type, hash }) => ({ seq, stream_seq, type, hash })),
  };
}

/** Whoever puts a contract, tool or policy in force approves everything that is later judged by it. */
function applied(event: JournalEvent): ComplianceRecord {
  const { body, subject, data, streamSeq } = event;
  const { document, version, input } = body.data as { document: string; version: number } & Partial<Premise>;
  const reason = (input as { reason?: string } | undefined)?.reason;
  return {
    kind: (parseLog(subject)?.kind ?? "policy") as ComplianceRecord["kind"],
    run: body.run,
    action: String(version),
    at: body.at,
    state: "applied",
    decided_by: "person",
    reviews: [{ by: body.cause.actor, decision: "apply", at: body.at, ...(reason !== undefined && { reason }), shown: document }],
    policies: [],
    reasons: [],
    documents: { document },
    events: [{ seq: body.seq, stream_seq: streamSeq, type: body.type, hash: Buffer.from(chainLink(subject, data)).toString("hex") }],
  };
}
