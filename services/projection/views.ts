/** What the read model answers. Plain JSON: the same for CLI, console and any NATS client. */
import type { Envelope, EventType } from "../../schemas/event.ts";
import type { Principal } from "../../schemas/facts.ts";
import type { ToolError } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import type { Reason } from "../../schemas/reason.ts";

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
}

export interface ApprovalView {
  readonly request: string;
  readonly action: string;
  state: string;
  readonly role: string;
  readonly count: number;
  readonly requested_at: string;
  readonly expires_at: string;
  readonly decisions: { readonly by: string; readonly decision: string; readonly reason?: string; readonly at: string; readonly digest: string }[];
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
  readonly spend: { steps: number; settled_micro_usd: number; reserved_micro_usd: number };
  readonly timeline: TimelineEntry[];
}

/** Which principal authorised it. */
export interface Authority {
  readonly principal: Principal | null;
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
  /** Who or what decided in the end: policy, person, expiry, budget, change; absent while nobody has. */
  readonly decided_by?: string;
  readonly approvals: readonly ApprovalView[];
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
  /** The exact text; its UTF-8 bytes are what a decision's digest is over. */
  readonly view: string;
}

export interface StatusAnswer {
  readonly ns: string;
  readonly runs: Readonly<Record<string, number>>;
  readonly approvals_waiting: number;
  readonly journal: { readonly messages: number; readonly bytes: number; readonly last_seq: number };
  /** Fields of stream configurations that are not as the plane needs them, as `JOURNAL.deny_delete`. */
  readonly configuration_faults: readonly string[];
  /** Last stream sequence that the index holds. */
  readonly indexed: number;
  readonly alarms: readonly { readonly stream_seq: number; readonly subject: string; readonly why: string }[];
  readonly documents: Readonly<Record<string, number>>;
  /** The answering process's clock, RFC 3339. */
  readonly now: string;
}
