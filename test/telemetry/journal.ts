/** Journal events by hand, and the spans that a reader makes of them. */
import { BasicTracerProvider, type ReadableSpan, SimpleSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-node";
import type { EventDraft, Premise } from "../../schemas/event.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { JournalIds } from "../../services/telemetry/ids.ts";
import { RunSpans, type RunSpansOptions } from "../../services/telemetry/spans.ts";
import { JournalWriter, NS, started } from "../projection/journal.ts";

export type Draft = { type: EventDraft["type"]; data?: Record<string, unknown> };
export type Commit = readonly [drafts: readonly Draft[], premise?: object];

/** The journal of some runs, stored one after the other. */
export class Journal {
  readonly #writer = new JournalWriter();
  readonly messages: StoredMessage[] = [];

  commit(run: string, drafts: readonly Draft[], premise: object = {}): this {
    for (const { subject, headers, data } of this.#writer.seal("run", run, drafts, premise as Partial<Premise>)) {
      this.messages.push({ subject, data, headers: new Map(Object.entries(headers)), seq: this.messages.length + 1, time: 0 });
    }
    return this;
  }

  async *history(subject: string, untilSeq: number): AsyncGenerator<StoredMessage> {
    for (const message of this.messages) if (message.subject === subject && message.seq <= untilSeq) yield await Promise.resolve(message);
  }
}

/** Keeps what it is given, also when it is shut down. */
export class Kept implements SpanExporter {
  readonly spans: ReadableSpan[] = [];

  export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    this.spans.push(...spans);
    done({ code: 0 });
  }

  async shutdown(): Promise<void> {}
}

export function reading(journal: Journal, more: Partial<RunSpansOptions> = {}): { spans: readonly ReadableSpan[]; listener: RunSpans } {
  const exporter = new Kept();
  const ids = new JournalIds();
  const provider = new BasicTracerProvider({ idGenerator: ids, spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const history = (subject: string, untilSeq: number) => journal.history(subject, untilSeq);
  const listener = new RunSpans({ ns: NS, from: 1, tracer: provider.getTracer("test"), ids, history, document: async () => undefined, ...more });
  return { spans: exporter.spans, listener };
}

export async function spansOf(journal: Journal, more: Partial<RunSpansOptions> = {}): Promise<readonly ReadableSpan[]> {
  const { spans, listener } = reading(journal, more);
  await listener.take(journal.messages.filter(({ seq }) => seq >= listener.from));
  return spans;
}

/** A start whose caller was traced. */
export function startedBy(traceparent: string): Draft {
  const { type, data } = started();
  return { type, data: { ...data, envelope: { ...(data?.["envelope"] as object), traceparent } } };
}

export const judged = (decision: string, ...policies: string[]) => ({
  facts: { kind: "tool", tool: { effect: "write" }, judgement: { decision, policies: policies.map((id) => ({ id, effect: "permit" })), reasons: [], errors: [], engine: "cedar" } },
});

/** What of a span tells it from others, as plain data. */
export const plain = (span: ReadableSpan) => ({
  name: span.name,
  context: span.spanContext(),
  parent: span.parentSpanContext?.spanId,
  from: span.startTime,
  until: span.endTime,
  status: span.status,
  attributes: span.attributes,
  events: span.events,
  links: span.links,
});
