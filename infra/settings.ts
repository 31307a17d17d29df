/** Settings of `npm start`: option, then environment, then default. Anything wrong is one line and how to mend it. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Namespace, namespaceSchema } from "../schemas/ids.ts";
import { SERVICES, type Service } from "../services/main.ts";
import { MAX_RUNS } from "../services/coordinator/segment-keeper.ts";
import { tracesUrl } from "../services/telemetry/url.ts";
import type { HealthAddress } from "./health.ts";

export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly help: string;
  constructor(message: string, help: string) {
    super(message);
    this.help = help;
  }
}

export interface Settings {
  readonly dataDir: string;
  /** A server of one's own; without it one is embedded. */
  readonly url: string | undefined;
  /** Of the embedded server; -1 for a free one. */
  readonly port: number;
  readonly sync: "always" | "default";
  readonly namespaces: readonly Namespace[];
  /** Servers that hold each stream. */
  readonly replicas: 1 | 3;
  readonly roles: readonly Service[];
  /** Where health is answered; without it nowhere. */
  readonly health: HealthAddress | undefined;
  /** The folder of credentials that were handed out: the process then joins a plane that was set up elsewhere, and needs no keys. */
  readonly credsFolder: string | undefined;
  /** Sets the streams up and ends. */
  readonly provisionOnly: boolean;
  /** Runs in one stream of the journal before the next is opened. */
  readonly segmentRuns: number;
  /** The collector that is sent traces; without it none are made. */
  readonly tracesUrl: string | undefined;
  readonly demo: boolean;
  readonly help: boolean;
}

export const USAGE = `npm start -- [options]

  --no-demo              start the plane without playing the demo
  --roles a,b            of ${SERVICES.join(", ")} (default: all)
  --namespaces a,b       default: default
  --replicas 1|3         servers that hold each stream; 3 on a cluster of your own (default: 1)
  --sync always|default  embedded server: sync every write before it is acknowledged (default: always)
  --health [address:]port  answer /livez and /readyz over HTTP (default: nowhere; the address: 127.0.0.1)
  --creds folder         join a plane with credentials that were handed out: no keys are needed, and nothing is set up
  --provision            set the streams up, and end
  --help

  NATS_URL               a server of your own instead of the embedded one; see \`npx signalbox nats-config\`
  SIGNALBOX_DATA         data folder (default: .signalbox in the checkout)
  SIGNALBOX_NATS_PORT    port of the embedded server (default: that of the last start, at first a free one)
  SIGNALBOX_NATS_SERVER  path of the nats-server to embed
  SIGNALBOX_HEALTH_PORT  as --health
  SIGNALBOX_CREDS        as --creds
  SIGNALBOX_SEGMENT_RUNS runs in one stream of the journal before the next is opened (default: 500000)
  SIGNALBOX_LOG          level of the services' log: silent, error, warn (default), info, debug

  OTEL_EXPORTER_OTLP_ENDPOINT         collector for traces, by OTLP over HTTP (default: none are made)
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT  the same with the path, where it is not \`v1/traces\`
`;

/** @throws SettingsError */
export function readSettings(argv: readonly string[], env: NodeJS.ProcessEnv): Settings {
  const options = {
    "no-demo": { type: "boolean" },
    roles: { type: "string" },
    namespaces: { type: "string" },
    replicas: { type: "string" },
    sync: { type: "string" },
    health: { type: "string" },
    creds: { type: "string" },
    provision: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values } = parseArgs({ args: [...argv], options, allowPositionals: false }));
  } catch (error) {
    throw new SettingsError((error as Error).message.split("\n")[0] ?? "", "`npm start -- --help` lists the options");
  }
  const roles = list(values.roles) ?? SERVICES;
  for (const role of roles) {
    if (!(SERVICES as readonly string[]).includes(role)) {
      throw new SettingsError(`\`${role}\` is no role`, `roles are ${SERVICES.join(", ")}`);
    }
  }
  const namespaces = (list(values.namespaces ?? env["SIGNALBOX_NAMESPACES"]) ?? ["default"]).map((name) => {
    const parsed = namespaceSchema.safeParse(name);
    if (!parsed.success) throw new SettingsError(`\`${name}\` is no namespace`, parsed.error.issues[0]?.message ?? "");
    return parsed.data;
  });
  const sync = values.sync ?? env["SIGNALBOX_SYNC"] ?? "always";
  if (sync !== "always" && sync !== "default") throw new SettingsError(`\`${sync}\` is no sync setting`, "use `always` or `default`");
  const url = env["NATS_URL"];
  const replicas = values.replicas ?? env["SIGNALBOX_REPLICAS"] ?? "1";
  if (replicas !== "1" && replicas !== "3") throw new SettingsError(`\`${replicas}\` is no number of replicas`, "1, or 3 on a cluster of three servers or more");
  const creds = values.creds ?? env["SIGNALBOX_CREDS"] ?? "";
  if (creds !== "" && (url === undefined || url === "")) {
    throw new SettingsError("credentials were handed out, and no server is named", "set NATS_URL to the servers of the plane that they are for");
  }
  return {
    dataDir: dataFolderOf(env),
    url: url === undefined || url === "" ? undefined : url,
    port: portOf(env["SIGNALBOX_NATS_PORT"]),
    sync,
    namespaces,
    replicas: replicas === "3" ? 3 : 1,
    roles: roles as readonly Service[],
    health: healthOf(values.health ?? env["SIGNALBOX_HEALTH_PORT"]),
    credsFolder: creds === "" ? undefined : resolve(creds),
    segmentRuns: segmentRunsOf(env["SIGNALBOX_SEGMENT_RUNS"]),
    provisionOnly: values.provision === true,
    tracesUrl: collectorOf(env),
    demo: values["no-demo"] !== true,
    help: values.help === true,
  };
}

/** SIGNALBOX_DATA, or `.signalbox` in the checkout. */
export function dataFolderOf(env: NodeJS.ProcessEnv): string {
  return resolve(env["SIGNALBOX_DATA"] || new URL("../.signalbox", import.meta.url).pathname);
}

function list(text: string | undefined): string[] | undefined {
  return text === undefined || text === "" ? undefined : text.split(",").map((part) => part.trim());
}

function collectorOf(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return tracesUrl(env);
  } catch (error) {
    throw new SettingsError(`the collector of traces is no address: ${(error as Error).message}`, "OTEL_EXPORTER_OTLP_ENDPOINT is a URL as `http://127.0.0.1:4318`");
  }
}

function healthOf(text: string | undefined): HealthAddress | undefined {
  if (text === undefined || text === "") return undefined;
  const [, host = "127.0.0.1", digits = ""] = /^(?:([^:]+|\[[^\]]+\]):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) {
    throw new SettingsError(`\`${text}\` is no address for health`, "a port as `8080`, or with an address as `0.0.0.0:8080`; 0 is a free one");
  }
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port };
}

function segmentRunsOf(text: string | undefined): number {
  if (text === undefined || text === "") return MAX_RUNS;
  const runs = Number(text);
  if (!Number.isSafeInteger(runs) || runs < 1000) throw new SettingsError(`\`${text}\` is no number of runs`, "SIGNALBOX_SEGMENT_RUNS is a whole number from 1000; around a million the server begins to need much memory");
  return runs;
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === "") return -1;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new SettingsError(`SIGNALBOX_NATS_PORT is \`${text}\`, which is no port`, "use a number from 1 to 65535, or unset it for a free one");
  }
  return port;
}
