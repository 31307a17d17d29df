/** A collector that is slow or dead holds nobody up. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BasicTracerProvider, type SpanExporter } from "@opentelemetry/sdk-trace-node";
import { Outbox } from "../../services/telemetry/outbox.ts";
import { startTraces } from "../../services/telemetry/traces.ts";
import { tracesUrl } from "../../services/telemetry/url.ts";

type Done = Parameters<SpanExporter["export"]>[1];

/** Answers when it is told to. */
function held(): SpanExporter & { answer(code: 0 | 1): void; readonly asked: readonly number[] } {
  const waiting: Done[] = [];
  const asked: number[] = [];
  return {
    asked,
    export: (spans, done) => {
      asked.push(spans.length);
      waiting.push(done);
    },
    answer: (code) => {
      for (const done of waiting.splice(0)) done(code === 0 ? { code } : { code, error: new Error("connection refused") });
    },
    shutdown: async () => {},
  };
}

describe("the way to the collector", () => {
  it("what a collector does not take is bounded, lost and said: once when it begins, once when it is over", async () => {
    const alarms: string[] = [];
    const exporter = held();
    const outbox = new Outbox({ exporter, maxWaiting: 3, onAlarm: (message) => alarms.push(message) });
    const tracer = new BasicTracerProvider({ spanProcessors: [outbox] }).getTracer("test");
    const spans = (count: number) => {
      for (let i = 0; i < count; i++) tracer.startSpan("s").end();
    };
    spans(5);
    assert.deepEqual(exporter.asked, [3]);
    assert.deepEqual(alarms, ["spans are not reaching the collector: too many wait to be sent"]);
    exporter.answer(1);
    spans(1);
    const sent = outbox.forceFlush();
    exporter.answer(0);
    await sent;
    assert.deepEqual(alarms.slice(1), ["the collector takes spans again; 5 were lost"]);
    await outbox.shutdown();
  });

  it("stopping waits for the collector no longer than it may", async () => {
    const exporter = held();
    const asked = Promise.withResolvers<void>();
    const traces = startTraces({ url: "http://127.0.0.1:9/v1/traces", version: "0", flushMs: 20, exporter: { ...exporter, shutdown: () => asked.promise } });
    await traces.stop();
    asked.resolve();
  });

  it("the environment names the collector, and nothing runs where it does not", () => {
    assert.equal(tracesUrl({}), undefined);
    assert.equal(tracesUrl({ OTEL_EXPORTER_OTLP_ENDPOINT: "" }), undefined);
    assert.equal(tracesUrl({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318/" }), "http://c:4318/v1/traces");
    assert.equal(tracesUrl({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://t/x" }), "https://t/x");
    for (const wrong of ["collector:4318", "nonsense"]) assert.throws(() => tracesUrl({ OTEL_EXPORTER_OTLP_ENDPOINT: wrong }), TypeError);
  });
});
