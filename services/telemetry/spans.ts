/**
 * Runs as traces (OBS-1): one span for a run, from its start to its end, and one below it for each action, from
 * proposal to end. Times are those of the events, ids come from the journal, and what may leave is in `attributes.ts`
 * and `payload.ts`, as far as the contract that judged it lets it (`terms.ts`).
 * A span is given out when it has ended; what is open is kept here, and read from the journal again when it is not.
 */
import { type Context, ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type { EventBody, EventType } from "../../schemas/event.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, EventMalformed } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { actionAttributes, eventAttributes, judgedAttributes, outcomeOf, runAttributes, spanAttributes } from "./attributes.ts";
import { type JournalIds, parentOf } from "./ids.ts";
import { ATTRIBUTE, OPERATION } from "./names.ts";
import { inputText, outputText, SENSITIVE } from "./payload.ts";
import { stricter, type Terms, TermsReader, type TermsOptions } from "./terms.ts";

export interface RunSpansOptions {
  readonly ns: Namespace;
  /** First stream sequence whose ends become spans; what ended before it was given out by an earlier life. */
  readonly from: number;
  readonly tracer: Tracer;
  /** The generator of the tracer's provider. */
  readonly ids: JournalIds;
  /** Messages of a journal subject up to a stream sequence. */
  readonly history: (subject: string, untilSeq: number) => AsyncIterable<StoredMessage>;
  /** The contracts and tools that runs were judged by. */
  readonly document: TermsOptions["document"];
  readonly onAlarm?: (message: string, cause?: unknown) => void;
  /** Open spans that are kept; the runs longest silent are let go beyond it. */
  readonly maxOpen?: number;
}

interface OpenRun {
  readonly born: string;
  span: Span | undefined;
  context: Context;
  agent: string;
  shared: ReturnType<typeof runAttributes>;
  /** Of the commit that is being read: what it came with, and what of it may be told. */
  facts: unknown;
  input: JsonValue | undefined;
  terms: Terms | undefined;
  ended: boolean;
  readonly actions: Map<string, OpenAction>;
  /** Actions of which nothing is told. */
  readonly hidden: Set<string>;
  /** What the run is marked with, as far as it is nobody's business. */
  readonly labels: Set<string>;
}

interface OpenAction {
  readonly span: Span;
  terms: Terms;
  /** Put on the span when it ends: until then stricter terms may come. */
  input?: string;
  output?: string;
}

const MAX_OPEN = 10_000;

/** How spans end, and whether that is an error. */
const RUN_ENDS = new Map<EventType, boolean>([
  ["run.completed", false],
  ["run.failed", true],
  ["run.cancelled", false],
  ["run.refused", true],
]);
const ACTION_ENDS = new Map<EventType, boolean>([
  ["action.verified", false],
  ["action.failed", true],
  ["action.denied", true],
  ["action.rejected", true],
]);
/** What is told within a span. */
const EVENTS: ReadonlySet<EventType> = new Set<EventType>([
  "run.paused",
  "run.resumed",
  "budget.warned",
  "budget.exhausted",
  "taint.raised",
  "taint.lowered",
  "approval.requested",
  "approval.granted",
  "approval.edited",
  "approval.refused",
  "approval.expired",
  "approval.stale",
  "action.dispatched",
  "action.started",
  "action.retrying",
  "action.in_doubt",
  "action.probing",
  "action.probed",
]);

/** A listener of the journal's follower. */
export class RunSpans {
  readonly name = "telemetry";
  readonly from: number;
  readonly #options: RunSpansOptions;
  /** By journal subject, least recently used first. */
  readonly #runs = new Map<string, OpenRun>();
  readonly #terms: TermsReader;
  #open = 0;
  #next: number;

  constructor(options: RunSpansOptions) {
    this.#options = options;
    this.#terms = new TermsReader(options);
    this.from = options.from;
    this.#next = options.from;
  }

  /** Spans that have begun and not ended. */
  get open(): number {
    return this.#open;
  }

  /** Never throws and never waits for whoever is sent the spans: nobody else's reading may depend on them. */
  async take(batch: readonly StoredMessage[]): Promise<void> {
    for (const message of batch) {
      if (message.seq < this.#next) continue;
      this.#next = message.seq + 1;
      if (parseLog(message.subject)?.kind !== "run") continue;
      try {
        await this.#take(message);
      } catch (cause) {
        // the index says what is wrong with an event; here only its span is missing
        if (!(cause instanceof EventMalformed)) this.#options.onAlarm?.(`a run cannot be traced at ${message.seq} of the journal`, cause);
      }
    }
  }

  async #take(message: StoredMessage): Promise<void> {
    const { subject, seq } = message;
    const { body } = decodeEvent(message);
    const run = this.#forget(subject) ?? (body.seq === 1 ? newRun(body) : await this.#read(subject, seq - 1));
    if (run === undefined) return;
    await this.#fold(run, body, true);
    if (run.ended && run.actions.size === 0) return;
    this.#runs.set(subject, run);
    this.#open += weight(run);
    while (this.#open > (this.#options.maxOpen ?? MAX_OPEN) && this.#runs.size > 1) this.#forget(this.#runs.keys().next().value as string);
  }

  #forget(subject: string): OpenRun | undefined {
    const run = this.#runs.get(subject);
    if (run === undefined) return undefined;
    this.#runs.delete(subject);
    this.#open -= weight(run);
    return run;
  }

  /** A run that began before we did, or was let go: what is open is opened again, what has ended is not given out. */
  async #read(subject: string, untilSeq: number): Promise<OpenRun | undefined> {
    let run: OpenRun | undefined;
    for await (const message of this.#options.history(subject, untilSeq)) {
      const { body } = decodeEvent(message);
      run ??= newRun(body);
      await this.#fold(run, body, false);
    }
    return run;
  }

  async #fold(run: OpenRun, body: EventBody, live: boolean): Promise<void> {
    const [part, parts] = body.part;
    if (part === 1) {
      run.facts = body.data["facts"];
      run.input = body.data["input"] as JsonValue | undefined;
      run.terms = run.facts === undefined ? undefined : await this.#terms.of(body);
    }
    this.#told(run, body, live);
    // it may be large, and none of it is needed any more
    if (part === parts) run.facts = run.input = run.terms = undefined;
  }

  #told(run: OpenRun, body: EventBody, live: boolean): void {
    if (body.type === "run.started" || body.type === "run.refused") this.#startRun(run, body);
    if (body.type === "action.proposed") this.#startAction(run, body);
    const { action: named } = body.data;
    const id = typeof named === "string" ? named : undefined;
    marked(run, body);
    const action = id === undefined ? undefined : run.actions.get(id);
    if (action !== undefined) this.#payload(run, action, body);
    // marks are the run's, whichever output left them
    const marks = body.type.startsWith("taint.") && !(id !== undefined && run.hidden.has(id));
    const span = id === undefined || marks ? run.span : action?.span;
    const failed = RUN_ENDS.get(body.type) ?? ACTION_ENDS.get(body.type);
    if (failed !== undefined && id === undefined) run.ended = true;
    else if (failed !== undefined) run.actions.delete(id as string);
    if (span === undefined) return;
    span.setAttributes(spanAttributes(body));
    if (body.type === "action.validated") span.setAttributes(judgedAttributes(run.facts));
    if (EVENTS.has(body.type)) span.addEvent(body.type, eventAttributes(body), new Date(body.at));
    if (failed === undefined || !live) return;
    if (action?.terms.level === "none") {
      // it was judged anew, by a contract that tells nothing: what is begun is never given out
      run.hidden.add(id as string);
      return;
    }
    if (action?.terms.level === "full") {
      if (action.input !== undefined) span.setAttribute(ATTRIBUTE.input, action.input);
      if (action.output !== undefined) span.setAttribute(ATTRIBUTE.output, action.output);
    }
    span.setAttribute(ATTRIBUTE.outcome, outcomeOf(body));
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(new Date(body.at));
  }

  /** What an open action took and gave, where that may be told; and terms that it was judged anew under. */
  #payload(run: OpenRun, action: OpenAction, { type, data }: EventBody): void {
    if (run.terms !== undefined) action.terms = stricter(action.terms, run.terms);
    const { terms } = action;
    if (terms.level !== "full") return;
    if (type === "action.proposed") action.input = inputText(proposedInput(run.input), terms, run.labels);
    if (type === "action.succeeded") action.output = outputText((data["output"] ?? null) as JsonValue, terms);
  }

  #startRun(run: OpenRun, body: EventBody): void {
    if (run.terms?.level === "none") return;
    const parent = parentOf(body);
    run.shared = runAttributes(body);
    run.agent = String(run.shared[ATTRIBUTE.agentName] ?? "");
    const attributes = { [ATTRIBUTE.operation]: OPERATION.run, ...run.shared };
    const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    run.span = this.#start(run, body, `${OPERATION.run} ${run.agent}`.trim(), attributes, context);
    run.context = trace.setSpan(ROOT_CONTEXT, run.span);
  }

  #startAction(run: OpenRun, body: EventBody): void {
    const id = String(body.data["action"]);
    const terms: Terms = run.terms ?? { level: "metadata" };
    if (terms.level === "none") run.hidden.add(id);
    if (run.span === undefined || terms.level === "none") return;
    const own = actionAttributes(body, run.facts);
    const name = `${OPERATION.action} ${String(own[ATTRIBUTE.toolName] ?? "")}`.trim();
    run.actions.set(id, { span: this.#start(run, body, name, { ...run.shared, ...own }, run.context), terms });
  }

  #start(run: OpenRun, body: EventBody, name: string, attributes: OpenRun["shared"], context: Context): Span {
    const { tracer, ids } = this.#options;
    ids.at({ ns: body.ns, run: body.run, born: run.born, seq: body.seq });
    return tracer.startSpan(name, { startTime: new Date(body.at), attributes }, context);
  }
}

function newRun(first: EventBody): OpenRun {
  const commit = { facts: undefined, input: undefined, terms: undefined };
  return { born: first.at, span: undefined, context: ROOT_CONTEXT, agent: "", shared: {}, ...commit, ended: false, actions: new Map(), hidden: new Set(), labels: new Set() };
}

/** Of a proposal, or of an approver's edit: what the tool is to be given. */
function proposedInput(input: JsonValue | undefined): JsonValue {
  return typeof input === "object" && input !== null && !Array.isArray(input) ? (input["input"] ?? null) : null;
}

/** Keeps what the run is marked with, since what an agent was given it may repeat. */
function marked({ labels }: OpenRun, { type, data }: EventBody): void {
  if (type !== "taint.raised" && type !== "taint.lowered") return;
  for (const label of Array.isArray(data["labels"]) ? data["labels"] : []) {
    if (type === "taint.lowered") labels.delete(label);
    else if (SENSITIVE.has(label)) labels.add(label);
  }
}

/** What it costs to keep: one for the run and each action, and one for each KiB that is held back until they end. */
function weight(run: OpenRun): number {
  let all = 1 + run.hidden.size;
  for (const { input = "", output = "" } of run.actions.values()) all += 1 + Math.ceil((input.length + output.length) / 1024);
  return all;
}
