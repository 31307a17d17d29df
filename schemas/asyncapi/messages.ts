/** Every message of the wire: headers, body, an example. */
import { EVENT_TYPES, type EventType } from "../event.ts";
import { INPUT_HEADERS, TOOL_HEADERS } from "../dispatch.ts";
import { MAX_BODY_BYTES, MAX_BODY_DEPTH } from "../limits.ts";
import { EVENT_TEXTS } from "./events.ts";
import { EXAMPLES, eventExample } from "./examples.ts";
import { model, modelOfEvent, type Schema } from "./models.ts";

export interface Message {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly contentType: string;
  readonly headers?: Schema;
  readonly payload?: Schema;
  readonly description?: string;
  readonly examples?: readonly { readonly name?: string; readonly headers?: Schema; readonly payload?: unknown }[];
}

const JSON_TYPE = "application/json";
const MSGPACK = "application/msgpack";
const string = (description: string): Schema => ({ type: "string", description });
const headers = (properties: Record<string, Schema>, required: readonly string[] = []): Schema => ({
  type: "object",
  properties,
  ...(required.length > 0 && { required }),
});

const TRACE = string("W3C trace context. Carried through the run to its tools.");
const ENCODING = {
  enum: [JSON_TYPE, MSGPACK],
  default: JSON_TYPE,
  description: "How the body is written. JSON when absent.",
} as const;

const OF_INPUTS = headers({ [INPUT_HEADERS.contentType]: ENCODING, [INPUT_HEADERS.traceparent]: TRACE });
const OF_PROPOSALS = headers({
  [INPUT_HEADERS.contentType]: ENCODING,
  [INPUT_HEADERS.traceparent]: TRACE,
  [INPUT_HEADERS.principal]: string(
    "On whose behalf: a JWT of an issuer whose document is in force, for this plane (`aud`), this agent (claim `agent`) and this run (claim `run`, or a `jti` that the run is named by). Verified when the run starts; a proposal may bring a fresh one of the same subject. Never in a body, never stored: what remains is issuer, subject, key id, token id, expiry and hash. Without one, or with a plain name, which counts as claimed and not verified, only reads are possible.",
  ),
  [INPUT_HEADERS.wait]: {
    enum: ["verdict", "result"],
    default: "result",
    description: "With `ask` only: wait until the plane has judged, or until nothing more will be said.",
  },
  [INPUT_HEADERS.timeout]: string("With `ask` only: milliseconds to wait, 1 to 300,000; 30,000 when absent. The end of a wait cancels nothing."),
});
const OF_ANSWERS = headers({ [INPUT_HEADERS.contentType]: ENCODING });
const OF_EVENTS = (type: EventType): Schema =>
  headers(
    {
      "ce-specversion": { const: "1.0" },
      "ce-id": string("`<name of the aggregate>:<seq>`"),
      "ce-type": { const: `signalbox.${type}` },
      "ce-source": string("`/signalbox/<namespace>`"),
      "ce-time": string("`at` of the body."),
      "content-type": { const: MSGPACK },
    },
    ["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time", "content-type"],
  );
const OF_CALLS = headers(
  {
    [TOOL_HEADERS.run]: string("The run."),
    [TOOL_HEADERS.action]: string("The action within the run."),
    [TOOL_HEADERS.attempt]: string("From 1."),
    [TOOL_HEADERS.digest]: string("SHA-256 of the action document that was approved. For the tool's own records."),
    [TOOL_HEADERS.deadline]: string("RFC 3339: when nobody waits for the answer any more."),
    [TOOL_HEADERS.idempotencyKey]: string("The same for every attempt of one action: what was done under it once is not done again."),
    [TOOL_HEADERS.token]: string("A JWT (EdDSA over Ed25519) for exactly this attempt: its claims are the model `ToolToken`. A tool checks it offline with the plane's published key, and refuses its second use."),
    [TOOL_HEADERS.traceparent]: TRACE,
    "content-type": { const: JSON_TYPE },
  },
  [TOOL_HEADERS.run, TOOL_HEADERS.action, TOOL_HEADERS.attempt, TOOL_HEADERS.digest, TOOL_HEADERS.deadline, TOOL_HEADERS.idempotencyKey],
);
const OF_TOOL_ERRORS = headers(
  {
    [TOOL_HEADERS.errorCode]: string("A code of the tool's own; the plane records it as `tool.<code>`."),
    [TOOL_HEADERS.error]: string("What went wrong, in one line."),
    [TOOL_HEADERS.effect]: { enum: ["none", "done", "unknown"], default: "unknown", description: "What the call did before it failed." },
  },
  [TOOL_HEADERS.error],
);
const OF_PROBE_ANSWERS = headers(
  {
    [TOOL_HEADERS.effect]: {
      enum: ["none", "done", "unknown"],
      default: "unknown",
      description: "What was done under the idempotency key. `done`: the body is the output. `none`: it was not done, and will not be any more, however late the call comes.",
    },
    [TOOL_HEADERS.errorCode]: string("A code of the tool's own; the plane records it as `tool.<code>`."),
    [TOOL_HEADERS.error]: string("Why, in one line."),
  },
  [TOOL_HEADERS.effect],
);
const OF_TIMERS = headers({
  "Nats-Schedule": string("`@at <RFC 3339>`"),
  "Nats-Schedule-Target": string("The run's `due` subject."),
});
const OF_SERVICE_ERRORS = headers({
  "Nats-Service-Error-Code": string("As the same case in HTTP: 400, 404, 413, 500."),
  "Nats-Service-Error": string("What went wrong, in one line."),
});

const LIMITS = `At most ${MAX_BODY_BYTES} bytes and ${MAX_BODY_DEPTH} levels. Refused: unknown and duplicate keys, prototype keys, numbers that are not finite or whole numbers beyond 2^53, MessagePack extensions, lone surrogates.`;

function input(name: string, title: string, summary: string, schema: string, own: Schema = OF_INPUTS): Message {
  return { name, title, summary, contentType: JSON_TYPE, headers: own, payload: model(schema), description: LIMITS, examples: examplesOf(name) };
}

function plain(name: string, title: string, summary: string, payload: Schema, more: Partial<Message> = {}): Message {
  const examples = examplesOf(name);
  return { name, title, summary, contentType: JSON_TYPE, payload, ...(examples.length > 0 && { examples }), ...more };
}

function examplesOf(name: string) {
  return (EXAMPLES[name] ?? []).map((payload, i) => ({ name: i === 0 ? name : `${name}${i + 1}`, payload }));
}

/** `action.in_doubt` as `eventActionInDoubt`. */
export const messageOfEvent = (type: EventType): string => `event${modelOfEvent(type)}`;

function event(type: EventType): Message {
  return {
    name: messageOfEvent(type),
    title: `signalbox.${type}`,
    summary: EVENT_TEXTS[type],
    contentType: MSGPACK,
    headers: OF_EVENTS(type),
    payload: { allOf: [model("Event"), { properties: { type: { const: type }, data: model(modelOfEvent(type)) } }] },
    examples: [eventExample(type)],
  };
}

const ANY: Schema = { description: "any JSON value" };
const OBJECT: Schema = { type: "object" };
const PAGE: Schema = {
  type: "object",
  required: ["batch"],
  properties: {
    batch: { type: "integer", minimum: 1, description: "At most so many messages." },
    seq: { type: "integer", minimum: 1, description: "From this sequence of the stream." },
    next_by_subj: string("Only messages of this subject; wildcards are allowed."),
  },
};
const STORED: Schema = {
  type: "object",
  required: ["stream", "seq"],
  properties: { stream: string("The stream that has it."), seq: { type: "integer" }, duplicate: { type: "boolean" } },
};

/** One message for each signal: a lease is answered by what is leased, a return by what is returned. */
export const SIGNALS = ["signalLease", "signalLeased", "signalReturn", "signalReturned"] as const;
const SIGNAL_TEXTS: Readonly<Record<(typeof SIGNALS)[number], { readonly title: string; readonly summary: string }>> = {
  signalLease: { title: "lease", summary: "A run asks an account for an allowance: at least `need`, at best `want`." },
  signalLeased: { title: "leased", summary: "The account's answer. `granted` is 0 when `need` would exceed the cap." },
  signalReturn: { title: "return", summary: "A run gives back what it did not use. `last`: it is done with the account in this window." },
  signalReturned: { title: "returned", summary: "The account has it back." },
};

/** The same from the table of the journal's segments to itself. */
export const SEGMENT_SIGNALS = ["signalOpen", "signalSeal"] as const;

const MESSAGES: readonly Message[] = [
  input("proposeStart", "start", "Begins a run: for what, under which version, with which narrower budget.", "StartProposal", OF_PROPOSALS),
  input("proposeTool", "tool", "Proposes one call of a tool.", "ToolProposal", OF_PROPOSALS),
  input("proposeNote", "note", "Records the agent's reasoning.", "NoteProposal", OF_PROPOSALS),
  input("proposeFinish", "finish", "Ends the run with an output.", "FinishProposal", OF_PROPOSALS),
  input("proposeFail", "fail", "Gives the run up.", "FailProposal", OF_PROPOSALS),
  input("decision", "decide", "A person's answer to a request for approval.", "Decision"),
  input("report", "report", "A gateway claims an attempt, says what became of it, or what the tool answered to a probe.", "Report"),
  input("control", "control", "An operator pauses, resumes, cancels, resolves or cleanses.", "Control"),
  input("guardControl", "stop, revoke, lift", "An operator stops a scope, revokes whoever is in it, or lifts another's stop.", "GuardControl"),
  input("segmentsControl", "open a segment", "An operator has the journal's next segment opened.", "SegmentsControl"),
  input("erasureControl", "erase", "An operator has a data subject's key destroyed. `destroyed` is the plane's own word, when it was.", "ErasureControl"),
  input("apply", "apply", "An operator brings a stored document into force.", "Apply"),
  input("change", "change", "An operator brings several stored documents into force together.", "Change"),
  ...SIGNALS.map((name) => plain(name, SIGNAL_TEXTS[name].title, SIGNAL_TEXTS[name].summary, model("Signal"), { headers: OF_ANSWERS })),
  plain("signalOpen", "open", "The newest segment of the journal holds as many runs as it should.", model("SegmentsSignal"), { headers: OF_ANSWERS }),
  plain("signalSeal", "seal", "No run of a segment is live, and none can start in it; `index` is the list of its runs.", model("SegmentsSignal"), { headers: OF_ANSWERS }),
  plain("answer", "answer", "What became of a proposal. Several may follow one proposal; `final` says when no more will.", model("Answer"), { headers: OF_ANSWERS }),
  plain("rejection", "rejection", "What was refused without entering a journal.", model("Rejection"), { headers: OF_ANSWERS }),
  plain("stored", "stored", "JetStream's acknowledgement of an input. `duplicate: true` means that it was not stored.", STORED),
  plain("dispatch", "dispatch", "An approved action, for whichever gateway takes it first.", model("Dispatch"), { headers: OF_ANSWERS }),
  plain("grant", "grant", "A claim is granted or refused, or a report was recorded.", model("Grant")),
  plain("toolCall", "call", "The input, byte for byte as it was approved (RFC 8785).", ANY, { headers: OF_CALLS }),
  plain("toolProbe", "probe", "The input of the call that is in doubt, under its headers; deadline and token are of the question.", ANY, { headers: OF_CALLS }),
  plain("toolProbed", "probe answer", "What was done of everything that was attempted under the idempotency key.", ANY, { headers: OF_PROBE_ANSWERS }),
  plain("toolOutput", "output", "What the tool gives, as its output schema says.", ANY, { headers: OF_ANSWERS }),
  plain("toolError", "tool error", "The call failed. `signalbox-effect` decides whether it may be tried again.", ANY, { headers: OF_TOOL_ERRORS }),
  plain("timer", "timer", "A durable timer, scheduled by JetStream.", model("Due"), { headers: OF_TIMERS }),
  plain("member", "sign of life", "A coordinator is up, or gone. Written behind its last one (`Nats-Expected-Last-Subject-Sequence`).", model("Member")),
  plain("lease", "lease", "A share is owned, or handed over. Written behind the last one.", model("Lease")),
  plain("due", "due", "A timer fell due.", model("Due")),
  plain("documentContract", "contract", "A contract in its canonical form (RFC 8785); its SHA-256 is its address.", model("Contract")),
  plain("documentTool", "tool definition", "A tool definition in its canonical form.", model("Tool")),
  plain("documentPolicySet", "policy set", "A policy set in its canonical form.", model("PolicySet")),
  plain("documentPerson", "person", "Who is behind a NATS name, and what they may decide, in its canonical form.", model("Person")),
  plain("documentIssuer", "issuer", "An issuer of principals' tokens, with its public keys, in its canonical form.", model("Issuer")),
  plain("documentBudget", "budget", "Limits over all runs of a team, a project or an agent, in its canonical form.", model("Budget")),
  plain("documentValue", "large value", "An output too large for a body, as canonical JSON. A message refers to it as `{ \"$doc\": \"sha256:…\", \"bytes\": … }`.", ANY),
  plain("question", "question", "Filters or names; an empty object where nothing is asked for.", OBJECT),
  plain("queryAnswer", "query answer", "The read model's answer.", OBJECT, { headers: OF_SERVICE_ERRORS }),
  plain("revealQuestion", "reveal question", "The request that is to be answered.", { type: "object", required: ["run", "request"], properties: { run: string("The run."), request: string("The request, as `q7`.") } }),
  plain("revealAnswer", "reveal answer", "The personal fields of the request's view, by JSON pointer; without a value where the subject was erased.", OBJECT, { headers: OF_SERVICE_ERRORS }),
  plain("subjectKey", "subject's key", "A key, wrapped; or the name of one that was destroyed.", OBJECT),
  plain("page", "page request", "A page of a stream, answered with one message per stored message and an empty one at the end.", PAGE),
  plain("lookup", "last message request", "The last message of the subject behind the stream's name; the body is empty.", OBJECT),
  ...EVENT_TYPES.map(event),
];

export const messages: Readonly<Record<string, Message>> = Object.fromEntries(MESSAGES.map((message) => [message.name, message]));
export const PROPOSALS = ["proposeStart", "proposeTool", "proposeNote", "proposeFinish", "proposeFail"] as const;
/** Documents that are brought into force. */
export const APPLICABLE = ["documentContract", "documentTool", "documentPolicySet", "documentPerson", "documentIssuer", "documentBudget"] as const;
export const DOCUMENTS = [...APPLICABLE, "documentValue"] as const;
export const EVENTS: readonly string[] = EVENT_TYPES.map(messageOfEvent);
const kindOf = (type: EventType): "document" | "ledger" | "guard" | "erasure" | "segments" | "run" =>
  type.endsWith(".applied") ? "document" : type.startsWith("ledger.") ? "ledger" : type.startsWith("guard.") ? "guard" : type.startsWith("erasure.") ? "erasure" : type.startsWith("segments.") ? "segments" : "run";
/** Events by the aggregates that they happen to. */
export const OF_RUNS: readonly string[] = EVENT_TYPES.filter((type) => kindOf(type) === "run").map(messageOfEvent);
export const OF_DOCUMENTS: readonly string[] = EVENT_TYPES.filter((type) => kindOf(type) === "document").map(messageOfEvent);
