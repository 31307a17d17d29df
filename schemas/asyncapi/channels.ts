/** Every subject of the wire, built by the functions that the plane itself uses. */
import type { Actor, AggregateKind, Namespace, RunId } from "../ids.ts";
import { MAX_SEGMENTS, SEGMENT_TABLE } from "../segments.ts";
import { AGGREGATE_KINDS, PARTITIONS } from "../ids.ts";
import { aggregateToken, INPUT_KINDS, patterns, SHARES, type StreamKind, streamName, subjects } from "../subjects.ts";
import { DOCUMENTS, EVENTS, OF_DOCUMENTS, OF_RUNS, PROPOSALS, SEGMENT_SIGNALS, SIGNALS } from "./messages.ts";

export interface Channel {
  /** Null for the inbox of whoever asks. */
  readonly address: string | null;
  readonly title: string;
  readonly description: string;
  /** Names of messages. */
  readonly messages: readonly string[];
  /** The stream that stores what is published here. */
  readonly stream?: StreamKind;
}

const NS = "{namespace}" as Namespace;
const AGENT = "{agent}" as Actor;
const RUN = "{run}" as RunId;

/** Builders escape names and compute partitions: in a pattern both are placeholders again. */
const pattern = (subject: string, at?: number, placeholder = "partition"): string =>
  decodeURIComponent(subject)
    .split(".")
    .map((token, i) => (i === at ? `{${placeholder}}` : token))
    .join(".");
const directGet = (kind: StreamKind, subject?: string): string =>
  `$JS.API.DIRECT.GET.${streamName(kind, NS)}${subject === undefined ? "" : `.${subject}`}`;

export const channels: Readonly<Record<string, Channel>> = {
  propose: {
    address: subjects.input(NS, "propose", AGENT, RUN),
    title: "Proposals",
    description:
      "All that an agent may say. Publish it as a request: the reply is JetStream's acknowledgement, and the plane's answers come on `out`. Set no `Nats-Msg-Id`. Stored in INBOX under `stored input`.",
    messages: [...PROPOSALS, "stored"],
    stream: "INBOX",
  },
  ask: {
    address: subjects.ask(NS, AGENT, RUN),
    title: "Proposals as requests",
    description:
      "The request/reply form of `propose` (a NATS micro service): the reply is the plane's answer. When the wait ends first, it is the latest answer, or one with status `pending`; the proposal goes its way. To learn more, ask the same again.",
    messages: [...PROPOSALS, "answer"],
  },
  decide: {
    address: subjects.input(NS, "decide", "{approver}" as Actor, RUN),
    title: "Decisions",
    description:
      "Approvers answer requests for approval: approve (for this action, or as a standing approval), refuse, or edit the input. Whoever decides needs a document of kind `person` with the role that is asked. What came of it is heard on `event` (`approval.granted` and its kind) or `rejected`.",
    messages: ["decision", "stored"],
    stream: "CONTROL",
  },
  report: {
    address: subjects.input(NS, "report", "{gateway}" as Actor, RUN),
    title: "Reports",
    description: "Gateways claim attempts and say what became of them. Answered on `grant`; repeated until then.",
    messages: ["report", "stored"],
    stream: "CONTROL",
  },
  control: {
    address: subjects.input(NS, "control", "{operator}" as Actor, RUN),
    title: "Controls",
    description: "Operators pause, resume and cancel runs, resolve actions in doubt, and lower a run's marks.",
    messages: ["control", "stored"],
    stream: "CONTROL",
  },
  controlGuard: {
    address: subjects.input(NS, "control", "{operator}" as Actor, aggregateToken("guard", "stops")),
    title: "Emergency stops",
    description:
      "Operators stop a scope, revoke whoever is in it, and lift what another person stopped. From the event `guard.stopped` on nothing in the scope starts: no run, no proposal, no claim.",
    messages: ["guardControl", "stored"],
    stream: "CONTROL",
  },
  controlSegments: {
    address: subjects.input(NS, "control", "{operator}" as Actor, aggregateToken(SEGMENT_TABLE.kind, SEGMENT_TABLE.name)),
    title: "The journal's segments",
    description: "Operators have the next segment of the journal opened. Runs whose start is stored at the time that `segments.opened` says, or later, stand in it.",
    messages: ["segmentsControl", "stored"],
    stream: "CONTROL",
  },
  controlErasure: {
    address: subjects.input(NS, "control", "{operator}" as Actor, aggregateToken("erasure", "subjects")),
    title: "Erasures",
    description:
      "Operators have a data subject's key destroyed. A keyed hash stands in the subject's place in all that is recorded. From the event `erasure.requested` on nothing opens what was sealed under the key, and `erasure.completed` says that the store does not have it any more.",
    messages: ["erasureControl", "stored"],
    stream: "CONTROL",
  },
  signal: {
    address: patterns.signals(NS).replace(".part.*.", ".part.{share}.").replace("*.*.*", "{from}.{to}.{signal}"),
    title: "Signals between aggregates",
    description: "What a run asks of an account of the ledger, and what the account answers. Coordinators alone send them, into the share that the other one is in. Each is owed until it is answered. Those of before, on `in.signal.{from}.{to}.{signal}`, are passed on.",
    messages: [...SIGNALS, ...SEGMENT_SIGNALS, "stored"],
    stream: "CONTROL",
  },
  apply: {
    address: subjects.input(NS, "apply", "{operator}" as Actor, "{aggregate}"),
    title: "Documents into force",
    description:
      "Operators bring documents into force that were stored on `document` before: several together as `change`, to the aggregate `signalbox-registry_<id>`, which becomes a run that policy judges and people may have to approve; or one as `apply`, to the document's own aggregate.",
    messages: ["apply", "change", "stored"],
    stream: "CONTROL",
  },
  storedInput: {
    address: `${patterns.inputs(NS).replace(".in.>", ".part")}.{share}.{input}.{actor}.{aggregate}`,
    title: "Inputs as stored",
    description: "What `propose`, `decide`, `report`, `control` and `apply` become in INBOX and CONTROL: the share in front, the partition modulo 8, so that one coordinator at a time can own it.",
    messages: [...PROPOSALS, "decision", "report", "control", "guardControl", "erasureControl", "segmentsControl", "apply", "change"],
  },
  log: {
    address: pattern(subjects.log(NS, "{kind}" as AggregateKind, "{name}"), 4),
    title: "Journal",
    description: "Everything that happened, for ever: all events of an aggregate on one subject. Read with `readJournal`, never by a plain subscription.",
    messages: EVENTS,
    stream: "JOURNAL",
  },
  logSegment: {
    address: pattern(subjects.log(NS, "run", "{name}", 2), 5).replace(".segment.2.", ".segment.{segment}."),
    title: "Journal, later segments",
    description: "Runs that started after the segment was opened: one stream each, `JOURNAL_<ns>_<segment>`. A run stays in the segment of its first event. Republished to the same live tail.",
    messages: OF_RUNS,
  },
  live: {
    address: pattern(subjects.live(NS, "{kind}" as AggregateKind, "{name}"), 4),
    title: "Live tail",
    description: "Stored events, republished by JetStream. `Nats-Sequence` and `Nats-Last-Sequence` show gaps, which `readJournal` fills.",
    messages: EVENTS,
  },
  event: {
    address: subjects.event(NS, "{type}", "{name}"),
    title: "Events by type",
    description: "The same events by type, for subscribers without the right to read the journal. At most once. Subscribe to `signalbox.<namespace>.event.action.denied.*`, for instance.",
    messages: EVENTS,
  },
  team: {
    address: pattern(subjects.team(NS, "{team}", "{type}", "{name}")),
    title: "Events by team",
    description: "Events of a team's runs, for its developers. At most once.",
    messages: OF_RUNS,
  },
  out: {
    address: subjects.out(NS, AGENT, RUN),
    title: "Answers to an agent",
    description: "What the agent that holds the run may know: acceptance, refusal with every fault, state, sanitised output. What an agent hears was stored before.",
    messages: ["answer"],
    stream: "OUT",
  },
  rejected: {
    address: subjects.rejected(NS, "{actor}" as Actor),
    title: "Refusals",
    description: "To the sender: what was refused without entering a journal.",
    messages: ["rejection"],
    stream: "REJECTED",
  },
  storedOut: {
    address: patterns.outStored(NS).replace(">", "{agent}.{run}"),
    title: "Stored answers",
    description: "Inside the plane: OUT, republished after storage. The namespace's account imports it as `out`.",
    messages: ["answer"],
  },
  storedRejected: {
    address: patterns.rejectedStored(NS).replace("*", "{actor}"),
    title: "Stored refusals",
    description: "Inside the plane: REJECTED, republished after storage. The namespace's accounts import it as `rejected`.",
    messages: ["rejection"],
  },
  grant: {
    address: subjects.grant(NS, "{gateway}" as Actor),
    title: "Answers to a gateway",
    description: "Only after a grant for its own claim may a gateway execute anything but a read.",
    messages: ["grant"],
  },
  dispatch: {
    address: subjects.dispatch(NS, "{tool}"),
    title: "Dispatches",
    description: "Approved actions by tool: a work queue with one durable consumer per tool that any number of gateways share.",
    messages: ["dispatch"],
    stream: "DISPATCH",
  },
  call: {
    address: subjects.call(NS, "{tool}"),
    title: "Calls of a tool",
    description:
      "A tool with `adapter: nats` serves this as a NATS micro service. No responder means that nothing was done; no answer by the deadline means that nobody knows.",
    messages: ["toolCall", "toolOutput", "toolError"],
  },
  probe: {
    address: subjects.probe(NS, "{tool}"),
    title: "Questions to a tool",
    description:
      "A tool whose definition has `probe` serves this too: it is asked what became of a call whose end nobody knows. A question changes nothing, and no responder means that nobody knows.",
    messages: ["toolProbe", "toolProbed"],
  },
  timer: {
    address: pattern(subjects.timer(NS, RUN, "{timer}"), 3),
    title: "Timers",
    description: "Scheduled messages: deadlines, retries, ends of approvals. Derived from the journal, armed again by the coordinator's sweep.",
    messages: ["timer"],
    stream: "TIMERS",
  },
  due: {
    address: pattern(subjects.due(NS, RUN), 3, "share"),
    title: "Timers that fell due",
    description: "An input to the run, and as durable as the others.",
    messages: ["due"],
    stream: "TIMERS",
  },
  member: {
    address: subjects.member(NS, "{member}"),
    title: "Signs of life",
    description: "Each coordinator of the namespace, each second. Nobody compares the clocks of two machines: one that stays silent for three seconds of somebody else's, in which that one was heard, is written down as gone.",
    messages: ["member"],
    stream: "LEASES",
  },
  lease: {
    address: pattern(subjects.lease(NS, 0), 4, "share"),
    title: "Owners of shares",
    description: "Each share of the inputs is owned by one coordinator at a time: from nobody, or from one that is gone, it is taken by whoever writes the next record.",
    messages: ["lease"],
    stream: "LEASES",
  },
  leased: {
    address: `signalbox.${NS}.leased.{subject}`,
    title: "Leases once they are stored",
    description: "What `member` and `lease` hold, republished by JetStream.",
    messages: ["member", "lease"],
  },
  document: {
    address: subjects.document(NS, "{hash}"),
    title: "Documents",
    description: "Contracts, tools, policy sets, persons, issuers, budgets and large values by the SHA-256 of their bytes. The first with a hash stays.",
    messages: [...DOCUMENTS, "stored"],
    stream: "DOCUMENTS",
  },
  query: {
    address: subjects.query(NS, "{question}"),
    title: "Questions to the read model",
    description:
      "A NATS micro service. `status`, `documents`, `approvals`, `stops`, `ledgers` take nothing; `runs` takes `agent`, `state`, `limit`, `after`; `run` takes `run`; `why` takes `run` and `action`; `in-flight` takes `scope`; `owing` takes nothing.",
    messages: ["question", "queryAnswer"],
  },
  queryApproval: {
    address: subjects.query(NS, `approval.${RUN}`),
    title: "One request for approval",
    description: "Takes `request` or `action`. The answer holds the exact text to show, and no digest: whoever decides hashes what was shown.",
    messages: ["question", "queryAnswer"],
  },
  queryLedger: {
    address: subjects.query(NS, "ledger.{ledger}"),
    title: "One account of the ledger",
    description: "Takes nothing. The answer holds, for each window, total and cap, and which runs hold how much.",
    messages: ["question", "queryAnswer"],
  },
  readJournal: {
    address: directGet("JOURNAL"),
    title: "Pages of the journal",
    description: "JetStream's direct get. The reply is one message per event, with `Nats-Subject` and `Nats-Sequence`, then an empty one with status 204.",
    messages: ["page", ...EVENTS],
  },
  readSegment: {
    address: `${directGet("JOURNAL")}_{segment}`,
    title: "Pages of a later segment",
    description: "As `readJournal`. The table of segments, `log.segments.<p>.journal` in the first, says which there are.",
    messages: ["page", ...OF_RUNS],
  },
  readDocument: {
    address: directGet("DOCUMENTS", subjects.document(NS, "{hash}")),
    title: "One document",
    description: "JetStream's direct get. Check that what comes has the hash that was asked for.",
    messages: ["lookup", ...DOCUMENTS],
  },
  readInForce: {
    address: pattern(directGet("JOURNAL", subjects.log(NS, "{kind}" as AggregateKind, "{name}")), 9),
    title: "The last event of a document",
    description: "JetStream's direct get: which version is in force.",
    messages: ["lookup", ...OF_DOCUMENTS],
  },
  readOut: {
    address: directGet("OUT", subjects.out(NS, AGENT, RUN)),
    title: "The last answer of a run",
    description: "For an agent that was away.",
    messages: ["lookup", "answer"],
  },
  readRejected: {
    address: directGet("REJECTED", subjects.rejected(NS, "{actor}" as Actor)),
    title: "The last refusal",
    description: "For an agent that was away.",
    messages: ["lookup", "rejection"],
  },
  reveal: {
    address: subjects.reveal(NS, "{approver}" as Actor),
    title: "What is personal in a request",
    description: "For whoever answers a request for approval, and nobody else: the personal fields of what they are shown, opened. The digest to decide by is of the sealed form.",
    messages: ["revealQuestion", "revealAnswer"],
  },
  key: {
    address: subjects.key(NS, "{pseudonym}"),
    title: "Keys of data subjects",
    description: "One key after the other, wrapped with the plane's own; an erasure overwrites it and leaves a note in its place. Read and written by the plane's services alone, and worth nothing without the plane's key file.",
    messages: ["subjectKey"],
    stream: "KEYS",
  },
  inbox: {
    address: null,
    title: "Inbox of whoever asks",
    description: "Named by the reply subject of the request. Every credential has a prefix of its own, `_INBOX_<role>_<name>`, and may listen to no other: a client must be told to use it.",
    messages: ["answer", "stored", "queryAnswer", "revealAnswer", "toolOutput", "toolError", "toolProbed", "rejection", ...DOCUMENTS, ...EVENTS],
  },
};

interface Parameter {
  readonly description: string;
  readonly enum?: readonly string[];
  readonly default?: string;
  readonly examples?: readonly string[];
}

export const parameters: Readonly<Record<string, Parameter>> = {
  namespace: { description: "A team or tenant: `[a-z0-9][a-z0-9-]{0,62}`.", default: "default", examples: ["default", "finance"] },
  agent: { description: "The agent, as its credential names it.", examples: ["refund-assistant"] },
  approver: { description: "The person who decides, as the credential names them.", examples: ["ada"] },
  operator: { description: "The operator, as the credential names them.", examples: ["operator"] },
  gateway: { description: "The gateway, as its credential names it.", examples: ["gateway-1"] },
  actor: { description: "Whoever sent the input, as the credential names them.", examples: ["refund-assistant"] },
  run: { description: "`<starting agent>_<id>`, the id `[A-Za-z0-9][A-Za-z0-9-]{0,80}`.", examples: ["refund-assistant_hello"] },
  aggregate: { description: "A run, or `agent:<name>`, `tool:<name>`, `policy:<name>`, `person:<name>`, `issuer:<name>`, `budget:<name>` with everything but letters, digits, `_` and `-` in the name percent-escaped.", examples: ["refund-assistant_hello", "tool:stripe%2Ecreate_refund"] },
  input: { description: "Kind of the input.", enum: INPUT_KINDS },
  kind: { description: "Kind of aggregate.", enum: AGGREGATE_KINDS },
  share: { description: `Partition modulo ${SHARES}: one coordinator at a time owns it.`, examples: ["1"] },
  member: { description: "One life of a coordinator.", examples: ["3f9a0c1d2e4b"] },
  segment: { description: `Number of the segment, from 2 to ${MAX_SEGMENTS}.`, examples: ["2"] },
  partition: { description: `FNV-1a (32 bit) of the run, or of the aggregate's token, modulo ${PARTITIONS}.`, examples: ["17"] },
  subject: { description: "The rest of the subject: two tokens.", examples: ["share.1"] },
  name: { description: "Name of the aggregate: a run, a document, an account of the ledger, `stops` of the guard, `subjects` of erasures. Dots make several tokens.", examples: ["refund-assistant_hello", "stripe.create_refund", "team.support.2026-01-31"] },
  type: { description: "Event type without `signalbox.`: two tokens.", examples: ["action.denied"] },
  team: { description: "The team of the run's contract, percent-escaped.", examples: ["support"] },
  tool: { description: "The tool: one to six tokens.", examples: ["stripe.create_refund"] },
  timer: { description: "Name of the timer in its run, percent-escaped.", examples: ["action%3Aa2"] },
  hash: { description: "SHA-256 in 64 hex digits.", examples: ["3f".repeat(32)] },
  question: { description: "What is asked.", enum: ["status", "runs", "run", "why", "documents", "approvals", "in-flight", "stops", "ledgers", "owing"] },
  pseudonym: { description: "A keyed hash of what the tools call the data subject: 32 hex digits.", examples: ["5f0c6f1b1f3c4d5e8a9b0c1d2e3f4a5b"] },
  from: { description: "The aggregate that speaks, as a token: a run, or `ledger:<name>` with everything but letters, digits, `_` and `-` in the name percent-escaped.", examples: ["refund-assistant_hello"] },
  to: { description: "The aggregate that is spoken to, as a token.", examples: ["ledger:team%2Esupport%2E2026-01-31"] },
  signal: { description: "Name of the signal.", enum: ["lease", "leased", "return", "returned", "open", "seal"] },
  ledger: { description: "The account and its day: several tokens.", examples: ["team.support.2026-01-31"] },
};
