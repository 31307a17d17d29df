/** A collector of one's own: keeps what is posted to it, byte for byte. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { withPatience } from "../harness/plane.ts";

export interface SentSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code: number };
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}

export interface Collector {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  readonly requests: readonly { readonly path: string; readonly type: string; readonly body: string }[];
  spans(): SentSpan[];
  /** Waits until spans have come that fit. */
  until(fits: (spans: readonly SentSpan[]) => boolean): Promise<SentSpan[]>;
  stop(): Promise<void>;
}

interface Payload {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[] }[];
}

export async function startCollector(): Promise<Collector> {
  const requests: { path: string; type: string; body: string }[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      requests.push({ path: request.url ?? "", type: request.headers["content-type"] ?? "", body: Buffer.concat(pieces).toString() });
      response.setHeader("content-type", "application/json").end("{}");
      for (const look of [...waiting]) look();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const spans = () =>
    requests.flatMap(({ body }) => (JSON.parse(body) as Payload).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spans,
    until: (fits) =>
      withPatience(
        new Promise((resolve) => {
          const look = () => {
            if (!fits(spans())) return;
            waiting.delete(look);
            resolve(spans());
          };
          waiting.add(look);
          look();
        }),
        "the collector was not sent what fits",
      ),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
