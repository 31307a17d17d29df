/**
 * Runs as traces (OBS-1): one span for a run, from its start to its end, and one below it for each action, from
 * proposal to end. Times are those of the events, ids come from the journal, and what may leave is in `attributes.ts`.
 * A span is given out when it has ended; what is open is kept here, and read from the journal again when it is not.
 */
import { type Context, ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type { EventBody, EventType } from "../../schemas/event.ts";
import type { Namespace } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decodeEvent, EventMalformed } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { actionAttributes, eventAttributes, judgedAttributes, outcomeOf, runAttributes, spanAttributes } from "./attributes.ts";
import { type JournalIds, parentOf } from "./ids.ts";
import { ATTRIBUTE, OPERATION } from "./names.ts";

export interface RunSpansOptions {
  readonly ns: Namespace;
  /** First stream sequence whose ends become spans; what ended before it was given out by an earlier life. */
  readonly from: number;
  readonly tracer: Tracer;
  /** The generator of the tracer's provider. */
  readonly ids: JournalIds;
  /** Messages of a journal subject up to a stream sequence. */
  readonly history: (subject: string, untilSeq: number) => AsyncIterable<StoredMessage>;
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
  /** Of the commit that is being read. */
  facts: unknown;
  ended: boolean;
  readonly actions: Map<string, Span>;
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
  #open = 0;
  #next: number;

  constructor(options: RunSpansOptions) {
    this.#options = options;
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
    this.#fold(run, body, true);
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
      this.#fold(run, body, false);
    }
    return run;
  }

  #fold(run: OpenRun, body: EventBody, live: boolean): void {
    if (body.part[0] === 1) run.facts = body.data["facts"];
    if (body.type === "run.started" || body.type === "run.refused") this.#startRun(run, body);
    if (body.type === "action.proposed") this.#startAction(run, body);
    const { action } = body.data;
    // marks are the run's, whichever output left them
    const span = typeof action === "string" && !body.type.startsWith("taint.") ? run.actions.get(action) : run.span;
    if (span === undefined) return;
    span.setAttributes(spanAttributes(body));
    if (body.type === "action.validated") span.setAttributes(judgedAttributes(run.facts));
    if (EVENTS.has(body.type)) span.addEvent(body.type, eventAttributes(body), new Date(body.at));
    const failed = RUN_ENDS.get(body.type) ?? ACTION_ENDS.get(body.type);
    if (failed === undefined) return;
    if (typeof action === "string") run.actions.delete(action);
    else run.ended = true;
    if (!live) return;
    span.setAttribute(ATTRIBUTE.outcome, outcomeOf(body));
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(new Date(body.at));
  }

  #startRun(run: OpenRun, body: EventBody): void {
    const parent = parentOf(body);
    run.shared = runAttributes(body);
    run.agent = String(run.shared[ATTRIBUTE.agentName] ?? "");
    const attributes = { [ATTRIBUTE.operation]: OPERATION.run, ...run.shared };
    const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    run.span = this.#start(run, body, `${OPERATION.run} ${run.agent}`.trim(), attributes, context);
    run.context = trace.setSpan(ROOT_CONTEXT, run.span);
  }

  #startAction(run: OpenRun, body: EventBody): void {
    if (run.span === undefined) return;
    const own = actionAttributes(body, run.facts);
    const name = `${OPERATION.action} ${String(own[ATTRIBUTE.toolName] ?? "")}`.trim();
    run.actions.set(String(body.data["action"]), this.#start(run, body, name, { ...run.shared, ...own }, run.context));
  }

  #start(run: OpenRun, body: EventBody, name: string, attributes: OpenRun["shared"], context: Context): Span {
    const { tracer, ids } = this.#options;
    ids.at({ ns: body.ns, run: body.run, born: run.born, seq: body.seq });
    return tracer.startSpan(name, { startTime: new Date(body.at), attributes }, context);
  }
}

function newRun(first: EventBody): OpenRun {
  return { born: first.at, span: undefined, context: ROOT_CONTEXT, agent: "", shared: {}, facts: undefined, ended: false, actions: new Map() };
}

function weight(run: OpenRun): number {
  return 1 + run.actions.size;
}
