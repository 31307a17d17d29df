/** Who sends what, and who hears what. A test compares this with the permissions that credentials carry. */
import { channels } from "./channels.ts";
import { APPLICABLE, DOCUMENTS, EVENTS, OF_DOCUMENTS, OF_RUNS, PROPOSALS, SEGMENT_SIGNALS, SIGNALS } from "./messages.ts";

/** Roles that log in; the plane's own among them. */
export const ROLES = ["coordinator", "gateway", "ask", "reader", "reveal", "agent", "approver", "operator", "auditor", "developer", "subscriber", "tool"] as const;
export type Role = (typeof ROLES)[number];

export interface Operation {
  readonly role: Role;
  readonly action: "send" | "receive";
  readonly channel: string;
  readonly summary: string;
  /** Default: all of the channel's that are not an answer. */
  readonly messages?: readonly string[];
  /** Messages that come back, or are given back. */
  readonly reply?: readonly string[];
  /** A consumer of the channel's stream, and not a subscription. */
  readonly consumes?: true;
  /** Instances share the messages. */
  readonly queue?: string;
}

const ASKS = { messages: ["question"], reply: ["queryAnswer"] } as const;
const READS = { messages: ["page"], reply: EVENTS } as const;
const READS_RUNS = { messages: ["page"], reply: OF_RUNS } as const;
const FETCHES = { messages: ["lookup"], reply: DOCUMENTS } as const;
const STORED = ["stored"] as const;
const send = (role: Role, channel: string, summary: string, more: Partial<Operation> = {}): Operation => ({ role, action: "send", channel, summary, ...more });
const receive = (role: Role, channel: string, summary: string, more: Partial<Operation> = {}): Operation => ({ role, action: "receive", channel, summary, ...more });

const OPERATIONS: readonly Operation[] = [
  send("agent", "propose", "Proposes, as itself.", { messages: PROPOSALS, reply: STORED }),
  send("agent", "ask", "Proposes, and waits for the answer.", { messages: PROPOSALS, reply: ["answer"] }),
  receive("agent", "out", "Hears what became of its proposals."),
  receive("agent", "rejected", "Hears what was refused outright."),
  send("agent", "readOut", "Fetches the last answer of a run.", { messages: ["lookup"], reply: ["answer"] }),
  send("agent", "readRejected", "Fetches the last refusal.", { messages: ["lookup"], reply: ["rejection"] }),

  receive("tool", "call", "Serves its tool.", { messages: ["toolCall"], reply: ["toolOutput", "toolError"], queue: "q" }),
  receive("tool", "probe", "Answers what became of a call.", { messages: ["toolProbe"], reply: ["toolProbed"], queue: "q" }),

  send("approver", "decide", "Approves, refuses or edits.", { messages: ["decision"], reply: STORED }),
  send("approver", "query", "Lists what waits for a person (`approvals`).", ASKS),
  send("approver", "queryApproval", "Reads what exactly is asked.", ASKS),
  send("approver", "reveal", "Reads what is personal in a request.", { messages: ["revealQuestion"], reply: ["revealAnswer"] }),
  receive("approver", "event", "Hears of requests and their ends.", { messages: EVENTS.filter((name) => name.startsWith("eventApproval")) }),
  receive("approver", "rejected", "Hears what was refused outright."),

  send("operator", "control", "Pauses, resumes, cancels, resolves, cleanses.", { messages: ["control"], reply: STORED }),
  send("operator", "controlGuard", "Stops, revokes, lifts.", { messages: ["guardControl"], reply: STORED }),
  send("operator", "controlSegments", "Has the journal's next segment opened.", { messages: ["segmentsControl"], reply: STORED }),
  send("operator", "controlErasure", "Has a data subject erased.", { messages: ["erasureControl"], reply: STORED }),
  send("operator", "document", "Stores documents.", { messages: APPLICABLE, reply: STORED }),
  send("operator", "apply", "Brings stored documents into force.", { messages: ["apply", "change"], reply: STORED }),
  send("operator", "query", "Asks the read model.", ASKS),
  send("operator", "queryLedger", "Reads an account of the ledger.", ASKS),
  send("operator", "queryApproval", "Reads what an approver is asked.", ASKS),
  send("operator", "readJournal", "Reads the journal.", READS),
  send("operator", "readSegment", "Reads a later segment of the journal.", READS_RUNS),
  send("operator", "readDocument", "Fetches a document.", FETCHES),
  receive("operator", "live", "Follows the journal."),
  receive("operator", "event", "Hears events by type."),
  receive("operator", "rejected", "Hears what was refused outright."),

  send("auditor", "query", "Asks the read model.", ASKS),
  send("auditor", "queryLedger", "Reads an account of the ledger.", ASKS),
  send("auditor", "queryApproval", "Reads what an approver is asked.", ASKS),
  send("auditor", "readJournal", "Reads the journal: replay and verification need nothing else.", READS),
  send("auditor", "readSegment", "Reads a later segment of the journal.", READS_RUNS),
  send("auditor", "readDocument", "Fetches a document.", FETCHES),
  receive("auditor", "live", "Follows the journal."),
  receive("auditor", "event", "Hears events by type."),

  receive("developer", "team", "Hears the events of the team's runs."),
  receive("subscriber", "event", "Hears events by type."),

  receive("coordinator", "storedInput", "Takes inputs in the order in which they were stored.", { consumes: true }),
  receive("coordinator", "signal", "Takes what aggregates say to each other.", { messages: [...SIGNALS, ...SEGMENT_SIGNALS], consumes: true }),
  receive("coordinator", "due", "Takes timers that fell due.", { consumes: true }),
  send("coordinator", "member", "Says that it is up, and who is not.", { reply: STORED }),
  send("coordinator", "lease", "Takes a share, or hands it over.", { reply: STORED }),
  receive("coordinator", "leased", "Hears who owns what."),
  send("coordinator", "log", "Commits all events of an input at once."),
  send("coordinator", "signal", "Carries what one aggregate owes another.", { messages: [...SIGNALS, ...SEGMENT_SIGNALS], reply: STORED }),
  send("coordinator", "out", "Answers agents."),
  send("coordinator", "rejected", "Leaves a trace of what was refused."),
  send("coordinator", "timer", "Arms a timer."),
  send("coordinator", "dispatch", "Sends an approved action on its way."),
  send("coordinator", "grant", "Answers a gateway."),
  send("coordinator", "readJournal", "Folds a run.", READS),
  send("coordinator", "readDocument", "Fetches the documents in force.", FETCHES),

  send("coordinator", "key", "Makes a subject's key, and overwrites it."),
  send("coordinator", "controlErasure", "Says that a key was destroyed, as `signalbox-eraser`.", { messages: ["erasureControl"], reply: STORED }),

  receive("gateway", "dispatch", "Takes approved actions.", { consumes: true }),
  send("gateway", "report", "Claims an attempt, and reports it.", { messages: ["report"], reply: STORED }),
  receive("gateway", "grant", "Hears whether its claim was granted."),
  send("gateway", "call", "Calls a tool.", { messages: ["toolCall"], reply: ["toolOutput", "toolError"] }),
  send("gateway", "probe", "Asks a tool what became of a call.", { messages: ["toolProbe"], reply: ["toolProbed"] }),
  receive("gateway", "live", "Learns which documents there are.", { messages: OF_DOCUMENTS }),
  send("gateway", "apply", "Puts the documents of an approved change in force, as `signalbox-gateway`.", { messages: ["apply"], reply: STORED }),
  send("gateway", "readInForce", "Sees whether they are in force.", { messages: ["lookup"], reply: OF_DOCUMENTS }),
  receive("gateway", "storedRejected", "Hears what was refused of them."),
  send("gateway", "document", "Stores large outputs.", { messages: ["documentValue"], reply: STORED }),
  send("gateway", "readDocument", "Fetches tool definitions.", FETCHES),

  send("gateway", "key", "Makes the key of a subject that a tool speaks of."),

  receive("ask", "ask", "Takes proposals from those who wait.", { messages: PROPOSALS, reply: ["answer"], queue: "q" }),
  send("ask", "propose", "Forwards them as they are.", { messages: PROPOSALS, reply: STORED }),
  receive("ask", "storedOut", "Hears the plane's answers."),
  receive("ask", "storedRejected", "Hears the plane's refusals."),

  receive("reader", "live", "Follows the journal."),
  send("reader", "readJournal", "Reads what it missed.", READS),
  send("reader", "readDocument", "Fetches a document.", FETCHES),
  send("reader", "event", "Fans events out by type."),
  send("reader", "team", "Fans events out by team."),
  receive("reveal", "reveal", "Answers approvers.", { messages: ["revealQuestion"], reply: ["revealAnswer"], queue: "q" }),
  receive("reveal", "live", "Hears of erasures.", { messages: EVENTS.filter((name) => name.startsWith("eventErasure")) }),
  receive("reader", "query", "Answers questions.", { ...ASKS, queue: "query" }),
  receive("reader", "queryLedger", "Answers questions about accounts.", { ...ASKS, queue: "query" }),
  receive("reader", "queryApproval", "Answers approvers.", { ...ASKS, queue: "query" }),
];

/** By id: `<role>.<send|receive>.<channel>`. */
export const operations: Readonly<Record<string, Operation>> = Object.fromEntries(
  OPERATIONS.map((operation) => [`${operation.role}.${operation.action}.${operation.channel}`, operation]),
);

/** What an operation sends or hears. */
export function messagesOf({ channel, messages, reply }: Operation): readonly string[] {
  return messages ?? channels[channel]?.messages.filter((name) => !(reply ?? []).includes(name)) ?? [];
}
