/** A plane whose services log everything that they can, and send traces: for what must stand in neither. */
import { pino } from "pino";
import { type RunningServices, startServices } from "../../services/main.ts";
import { tracesUrl } from "../../services/telemetry/url.ts";
import { startTestPlane, type TestPlane } from "../harness/plane.ts";
import { type Collector, startCollector } from "./collector.ts";

export interface LoudPlane {
  readonly plane: TestPlane;
  readonly services: RunningServices;
  readonly collector: Collector;
  /** Every line so far. */
  log(): string;
  stop(): Promise<void>;
}

export async function startLoudPlane(): Promise<LoudPlane> {
  const plane = await startTestPlane();
  const collector = await startCollector();
  const { server } = plane;
  let log = "";
  const services = await startServices({
    url: server.url,
    keys: server.keys,
    namespaces: server.namespaces,
    roles: ["coordinator", "gateway", "ask", "reader"],
    dataDir: server.dataDir,
    version: "1.2.3",
    log: pino({ level: "trace" }, { write: (line: string) => void (log += line) }),
    tracesUrl: tracesUrl({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint }),
  });
  return {
    plane,
    services,
    collector,
    log: () => log,
    stop: async () => {
      await services.stop();
      await collector.stop();
      await plane.stop();
    },
  };
}
