/**
 * Between the journal's reader and a collector that may be slow, wrong or away: spans wait here in bounded number,
 * nobody waits for them, and how many were lost is said once when it begins and once when it is over.
 */
import type { Context } from "@opentelemetry/api";
import { BatchSpanProcessor, type ReadableSpan, type Span, type SpanExporter, type SpanProcessor } from "@opentelemetry/sdk-trace-node";

export interface OutboxOptions {
  readonly exporter: SpanExporter;
  readonly onAlarm?: (message: string, cause?: unknown) => void;
  /** Ended spans that may wait or be under way; any more are lost. */
  readonly maxWaiting?: number;
}

const MAX_WAITING = 8_192;

export class Outbox implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #alarm: (message: string, cause?: unknown) => void;
  readonly #maxWaiting: number;
  #waiting = 0;
  #lost = 0;
  #failing = false;

  constructor({ exporter, onAlarm, maxWaiting }: OutboxOptions) {
    this.#alarm = onAlarm ?? (() => undefined);
    this.#maxWaiting = maxWaiting ?? MAX_WAITING;
    const batchSize = Math.min(512, this.#maxWaiting);
    // its queue is never the narrower one: what it drops, it drops in silence
    this.#batches = new BatchSpanProcessor(this.#counted(exporter), { maxQueueSize: this.#maxWaiting, maxExportBatchSize: batchSize });
  }

  onStart(span: Span, context: Context): void {
    this.#batches.onStart(span, context);
  }

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#maxWaiting) return this.#lose(1, "too many wait to be sent");
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#batches.shutdown();
  }

  #counted(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          this.#waiting -= spans.length;
          if (result.error !== undefined || result.code !== 0) this.#lose(spans.length, result.error?.message ?? "the collector refused them", result.error);
          else this.#works();
          done(result);
        }),
      forceFlush: async () => exporter.forceFlush?.(),
      shutdown: () => exporter.shutdown(),
    };
  }

  #lose(count: number, why: string, cause?: unknown): void {
    this.#lost += count;
    if (this.#failing) return;
    this.#failing = true;
    this.#alarm(`spans are not reaching the collector: ${why}`, cause);
  }

  #works(): void {
    if (!this.#failing) return;
    this.#alarm(`the collector takes spans again; ${this.#lost} were lost`);
    this.#failing = false;
    this.#lost = 0;
  }
}
