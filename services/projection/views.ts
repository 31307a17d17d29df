/** What the read model answers. Plain JSON: the same for CLI, console and any NATS client. */
import type { Difference, Envelope, EventType } from "../../schemas/event.ts";
import type { GuardHit, Principal, ToolFacts } from "../../schemas/facts.ts";
import type { Standing, ToolError } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import type { Reason } from "../../schemas/reason.ts";
import { positionOf } from "../../schemas/segments.ts";
import type { FlightRow } from "./index-flight.ts";
import type { HolderRow, LedgerRow } from "./index-ledgers.ts";
import type { RunRow } from "./index-store.ts";

export interface TimelineEntry {
  readonly seq: number;
  readonly stream_seq: number;
  readonly at: string;
  readonly type: EventType;
  readonly from: string;
  readonly to: string;
  /** `<kind>/<actor>/<id>` of the input that caused it. */
  readonly cause: string;
  readonly action?: string;
  readonly request?: string;
  /** What distinguishes it, in a few words; may hold words of an agent or a tool. */
  readonly note?: string;
}

export interface ActionView {
  readonly action: string;
  readonly proposal: string;
  readonly tool: string;
  readonly agent: string;
  state: string;
  readonly at: string;
  readonly input?: JsonValue;
  readonly why?: string;
  attempt: number;
  digest?: string;
  output?: JsonValue;
  error?: ToolError;
  reasons?: readonly Reason[];
  /** Of the tool: read, write, irreversible. */
  effect?: string;
  /** What it is about in money, as `480 USD`. */
  amount?: string;
  /** 0 to 1, as the plane computed it. */
  risk?: number;
  /** Actions whose untrusted output its input rests on. */
  sources?: readonly string[];
  /** How it came to be approved. */
  approved?: { readonly by: string; readonly approvers: readonly string[]; readonly standing?: string };
  /** It stands in the place of another one, whose input somebody changed. */
  edited?: { readonly from: string; readonly by: string; diff: readonly Difference[] };
  /** The action that stands in its place. */
  replaced_by?: string;
}

/** One person's answer to a request. */
export interface DecisionView {
  readonly by: string;
  /** Who that is, by the document of kind `person`; absent in records before there were any. */
  readonly person?: { readonly issuer: string; readonly subject: string };
  /** `approve`, `refuse` or `edit`. */
  readonly decision: string;
  readonly reason?: string;
  readonly at: string;
  /** SHA-256 of what this person was shown. */
  readonly digest: string;
  /** With `approve`: also for later actions of the same shape. */
  readonly standing?: Standing;
  /** With `edit`: what was changed, and the action that came of it. */
  readonly diff?: readonly Difference[];
  readonly replacement?: string;
}

export interface ApprovalView {
  readonly request: string;
  readonly action: string;
  state: string;
  readonly role: string;
  readonly count: number;
  readonly requested_at: string;
  readonly expires_at: string;
  readonly decisions: DecisionView[];
}

/** What the run's agent was given: it stays until it is lowered (GUARD-3, GUARD-10). */
export interface MarksView {
  tainted: boolean;
  labels: readonly string[];
  /** The outputs that left these marks, oldest first. */
  sources: readonly { readonly action: string; readonly tool: string; readonly at: string; readonly tainted: boolean; readonly labels: readonly string[] }[];
}

/** What a run holds of an account of the ledger in one window, in the account's unit. */
export interface HoldingView {
  readonly ledger: string;
  readonly unit: string;
  readonly window: string;
  granted: number;
  unused: number;
  /** The account has confirmed the last return. */
  done: boolean;
  /** Of an amount: what it adds up per. */
  dimension?: "principal" | "target" | "agent";
  /** Over all runs, when the account last answered; and its cap. */
  total: number;
  cap?: number;
}

/** An approval that stands for later actions of the run (APP-3). */
export interface StandingView {
  readonly request: string;
  readonly action: string;
  readonly by: string;
  readonly at: string;
  /** SHA-256 of what this person was shown. */
  readonly digest: string;
  readonly standing: Standing;
  /** Actions that were approved by it so far. */
  readonly uses: string[];
}

export interface RunView {
  readonly run: string;
  readonly ns: string;
  state: string;
  seq: number;
  readonly machine: string;
  readonly started_at: string;
  updated_at: string;
  goal: string;
  envelope?: Envelope;
  output?: JsonValue;
  error?: JsonValue;
  reasons?: readonly Reason[];
  readonly actions: ActionView[];
  readonly approvals: ApprovalView[];
  /** Tokens are those that tools reported. */
  readonly spend: { steps: number; settled_micro_usd: number; reserved_micro_usd: number; input_tokens: number; output_tokens: number };
  /** Budgets of which half is used. */
  readonly warned: string[];
  /** From the principal to the agent that acts. */
  chain: readonly string[];
  readonly marks: MarksView;
  readonly holdings: HoldingView[];
  readonly standings: StandingView[];
  readonly timeline: TimelineEntry[];
}

/** Which principal authorised it. */
export interface Authority {
  /** With issuer, key id, token id and the token's hash when a token was verified. */
  readonly principal: Principal | null;
  /** From the principal to the agent: `principal:<issuer>|<subject>`, `agent:<name>`. Empty in records of version 1. */
  readonly chain: readonly string[];
  /** `verified`, `claimed, not verified`, or `nobody was named`. */
  readonly standing: string;
  readonly agent: string;
  readonly agent_version?: string;
  readonly owner?: string;
  readonly team?: string;
}

/** Which policy permitted it, or forbade it. */
export interface Permission {
  /** What policy and contract answered; absent when validation failed first. */
  readonly decision?: Judgement["decision"];
  readonly policies: Judgement["policies"];
  readonly reasons: readonly Reason[];
  readonly errors: readonly string[];
  readonly engine?: string;
  /** Who or what decided in the end: policy, person, standing, expiry, budget, change, edit, stop; absent while nobody has. */
  readonly decided_by?: string;
  /** How often it was judged: more than once when a document changed meanwhile. The last one counts. */
  readonly judged: number;
  readonly approvals: readonly ApprovalView[];
  /** The standing approval that it was approved by. */
  readonly standing?: StandingView;
  /** The stop or revocation that covered it. */
  readonly stop?: GuardHit;
}

/** What proves what happened. */
export interface Evidence {
  readonly events: readonly (TimelineEntry & {
    /** SHA-256 over subject, line feed and stored body, hex: the next event's `prev`. */
    readonly hash: string;
    /** Digest that the event names, if any. */
    readonly digest?: string;
  })[];
  /** By what they are: contract, tool, policy, and the action document. */
  readonly documents: Readonly<Record<string, string>>;
}

export interface WhyView {
  readonly run: string;
  readonly action: string;
  readonly tool: string;
  readonly state: string;
  readonly effect?: string;
  readonly amount?: string;
  readonly risk?: number;
  readonly sources?: readonly string[];
  readonly edited?: NonNullable<ActionView["edited"]>;
  readonly replaced_by?: string;
  readonly authority: Authority;
  readonly permission: Permission;
  readonly evidence: Evidence;
}

/** One request, as an approver needs it. It holds no digest: whoever decides hashes `view` as he was shown it. */
export interface ApprovalAnswer {
  readonly run: string;
  readonly request: string;
  readonly action: string;
  readonly state: string;
  readonly role: string;
  readonly count: number;
  readonly grants: readonly string[];
  readonly expires_at: string;
  /** How far the contract lets an approval stand; absent when it does not. Amounts in ten-thousandths of a unit. */
  readonly standing?: NonNullable<ToolFacts["standing"]>;
  /** The exact text; its UTF-8 bytes are what a decision's digest is over. */
  readonly view: string;
}

/** An action on its way, with whom it concerns. */
export interface FlightView extends FlightRow {
  readonly agent: string;
  readonly version: string;
  readonly team: string;
  readonly principal: string;
  /** The run's state. */
  readonly life: string;
}

/** Actions that are approved and not reported: oldest first. */
export interface FlightAnswer {
  readonly scope?: string;
  /** Claimed: they may be happening outside at this moment, or nobody knows. */
  readonly in_flight: readonly FlightView[];
  /** Approved, and claimed by nobody yet: a stop keeps them from starting. */
  readonly queued: readonly FlightView[];
}

export interface LedgerAnswer {
  readonly ledger: string;
  readonly windows: readonly LedgerRow[];
  /** Of windows of a day. */
  readonly holders: readonly HolderRow[];
}

export interface OwingAnswer {
  readonly runs: readonly RunRow[];
}

/** One stream of the journal; sequences are the stream's own. */
export interface SegmentView {
  readonly segment: number;
  readonly messages: number;
  readonly bytes: number;
  readonly last_seq: number;
  /** Last sequence that the index holds. */
  readonly indexed: number;
  /** Runs in it when it was sealed; null while something may still happen in it. */
  readonly sealed: number | null;
}

export interface StatusAnswer {
  readonly ns: string;
  readonly runs: Readonly<Record<string, number>>;
  readonly approvals_waiting: number;
  /** Stops and revocations that stand. */
  readonly stops_standing: number;
  /** Actions that were claimed and are not reported. */
  readonly in_flight: number;
  /** Runs that have not given back what they leased. */
  readonly runs_owing: number;
  /** `last_seq` is of the first segment; `segments` stands where there are more, the first among them. */
  readonly journal: { readonly messages: number; readonly bytes: number; readonly last_seq: number; readonly segments?: readonly SegmentView[] };
  /** Fields of stream configurations that are not as the plane needs them, as `JOURNAL.deny_delete`. */
  readonly configuration_faults: readonly string[];
  /** Last stream sequence that the index holds. */
  readonly indexed: number;
  readonly alarms: readonly { readonly stream_seq: number; readonly subject: string; readonly why: string }[];
  readonly documents: Readonly<Record<string, number>>;
  /** The answering process's clock, RFC 3339. */
  readonly now: string;
}

/** Last position of each segment of the journal. */
export function endsOf({ last_seq, segments }: StatusAnswer["journal"]): number[] {
  return segments === undefined ? [last_seq] : segments.map(({ segment, last_seq: seq }) => positionOf(segment, seq));
}

/** Events that the index has not taken yet. */
export function behind({ journal, indexed }: Pick<StatusAnswer, "journal" | "indexed">): number {
  if (journal.segments === undefined) return journal.last_seq - indexed;
  return journal.segments.reduce((sum, one) => sum + one.last_seq - one.indexed, 0);
}
