/** Traces to a collector, by OTLP over HTTP with JSON. Runs only where a collector is named. */
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, type SpanExporter } from "@opentelemetry/sdk-trace-node";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { JournalIds } from "./ids.ts";
import { RESOURCE } from "./names.ts";
import { Outbox } from "./outbox.ts";
import { RunSpans } from "./spans.ts";

export interface TracesOptions {
  /** Where traces are posted, path and all; see `tracesUrl`. */
  readonly url: string;
  /** Of this release. */
  readonly version: string;
  readonly onAlarm?: (message: string, cause?: unknown) => void;
  /** Default: OTLP to `url`, with headers, compression and time-out as the SDK's `OTEL_EXPORTER_OTLP_…` say. */
  readonly exporter?: SpanExporter;
  /** Patience with the collector when all ends, ms. */
  readonly flushMs?: number;
}

export interface Traces {
  /** A listener for the journal of a namespace, from a stream sequence on. The connection reads runs that began before it. */
  follow(nc: NatsConnection, ns: Namespace, from: number): RunSpans;
  /** Sends what has ended and waits; gives up after a while. */
  stop(): Promise<void>;
}

const FLUSH_MS = 3_000;

export function startTraces({ url, version, onAlarm, exporter, flushMs }: TracesOptions): Traces {
  const alarm = onAlarm && { onAlarm };
  const ids = new JournalIds();
  const resource = defaultResource()
    .merge(resourceFromAttributes({ [RESOURCE.name]: "signalbox", [RESOURCE.version]: version }))
    .merge(detectResources({ detectors: [envDetector] }));
  const outbox = new Outbox({ exporter: exporter ?? new OTLPTraceExporter({ url }), ...alarm });
  const provider = new BasicTracerProvider({ idGenerator: ids, resource, spanProcessors: [outbox] });
  const tracer = provider.getTracer("signalbox", version);
  return {
    follow: (nc, ns, from) => {
      const reader = new SegmentedReader(nc, ns);
      const stored = new StreamReader(nc, streamName("DOCUMENTS", ns));
      const document = async (digest: Digest) => (await stored.lastDirect(subjects.document(ns, digest.slice("sha256:".length))))?.data;
      return new RunSpans({ ns, from, tracer, ids, history: (subject, untilSeq) => reader.read({ subject, untilSeq }), document, ...alarm });
    },
    stop: async () => {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, flushMs ?? FLUSH_MS);
      });
      // what could not be sent was said already
      await Promise.race([provider.shutdown().catch(() => undefined), patience]);
      clearTimeout(timer);
    },
  };
}
