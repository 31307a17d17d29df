/**
 * Starts the services named by `roles` in one process, each with a connection and credential of its own (law 8):
 * one process with all roles has no right that one of its roles lacks.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { type Actor, type Namespace, actor } from "../schemas/ids.ts";
import { startAsk } from "./ask/ask.ts";
import { type NatsConnection, connectBus } from "./bus/connection.ts";
import { patiently } from "./bus/patience.ts";
import { Coordinator } from "./coordinator/coordinator.ts";
import type { Quota } from "./coordinator/admission.ts";
import { BuiltinAdapter } from "./gateway/adapters/builtin.ts";
import { demoTools } from "./gateway/adapters/demo.ts";
import { FileLedger } from "./gateway/adapters/ledger.ts";
import { Gateway, type GatewayOptions } from "./gateway/gateway.ts";
import type { PlaneKeys } from "./identity/keys.ts";
import { renewingCreds } from "./identity/renewing.ts";
import { openToolKey } from "./identity/tool-keys.ts";
import { ToolTokens } from "./identity/tool-token.ts";
import { type Reader, startReader } from "./projection/reader.ts";
import type { Traces } from "./telemetry/traces.ts";

/** What `--roles` takes. */
export const SERVICES = ["coordinator", "gateway", "ask", "reader"] as const;
export type Service = (typeof SERVICES)[number];

export interface ServicesOptions {
  readonly url: string;
  readonly keys: PlaneKeys;
  readonly namespaces: readonly Namespace[];
  readonly roles: readonly Service[];
  /** For the run index and the demo tools' ledger; both may be deleted. */
  readonly dataDir: string;
  readonly version: string;
  readonly log: Logger;
  readonly quota?: Quota;
  /** The collector that the role `reader` posts traces to; none are made without it. */
  readonly tracesUrl?: string | undefined;
  /** How a role logs in; a harness looks over the services' shoulders here. Default: {@link connectBus}. */
  readonly connect?: typeof connectBus;
  /** How patient gateways are. */
  readonly gateway?: Pick<GatewayOptions, "ackWaitMs" | "repeatMs">;
}

export interface RunningServices {
  /** By namespace, where the role `reader` runs. */
  readonly readers: ReadonlyMap<Namespace, Reader>;
  /** Lets what is under way end, and leaves the rest in the streams. */
  stop(): Promise<void>;
}

/** Resolves when every service has taken over what it finds. @throws PlaneUnreachable, ServerTooOld, CredentialRefused */
export async function startServices(options: ServicesOptions): Promise<RunningServices> {
  const { url, keys, namespaces, roles, log } = options;
  const stops: (() => Promise<unknown>)[] = [];
  const readers = new Map<Namespace, Reader>();
  const stop = async () => {
    for (const end of stops.reverse()) await end().catch((error: unknown) => log.warn({ error: String(error) }, "a service did not stop cleanly"));
  };
  const login = async (role: Service, name: string): Promise<NatsConnection> => {
    const creds = await renewingCreds(keys, { role, name });
    stops.push(() => Promise.resolve(creds.stop()));
    const nc = await (options.connect ?? connectBus)({ url, name: `signalbox-${name}`, creds: creds.current, inboxPrefix: creds.inboxPrefix });
    stops.push(() => nc.close());
    return nc;
  };
  try {
    // a name of its own for each life: reports of an earlier life are somebody else's
    const instance = randomBytes(4).toString("hex");
    if (roles.includes("reader")) {
      const traces = await tracesOf(options, stops);
      const nc = await login("reader", `reader-${instance}`);
      for (const ns of namespaces) {
        const alarm = (message: string) => log.error({ alarm: "journal", ns }, message);
        const onward = traces === undefined ? [] : [(from: number) => traces.follow(nc, ns, from)];
        const reader = await patiently(`the reader of ${ns}`, log, () => startReader({ nc, ns, dataDir: options.dataDir, version: options.version, onAlarm: alarm, onward }));
        readers.set(ns, reader);
        stops.push(() => reader.stop());
      }
    }
    if (roles.includes("coordinator")) {
      const nc = await login("coordinator", `coordinator-${instance}`);
      for (const ns of namespaces) {
        await started(`the coordinator of ${ns}`, log, stops, () => new Coordinator({ nc, ns, log, ...(options.quota && { quota: options.quota }) }));
      }
    }
    if (roles.includes("gateway")) await startGateways(options, actor(`gateway-${instance}`), login, stops);
    if (roles.includes("ask")) {
      const nc = await login("ask", `ask-${instance}`);
      const ask = await startAsk({ nc, namespaces, log });
      stops.push(() => ask.stop());
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { readers, stop };
}

/** One that does not get up is stopped, and another one is tried: nothing of the first is left. */
async function started(what: string, log: Logger, stops: (() => Promise<unknown>)[], make: () => { start(): Promise<void>; stop(): Promise<void> }): Promise<void> {
  const service = await patiently(what, log, async () => {
    const one = make();
    try {
      await one.start();
      return one;
    } catch (error) {
      await one.stop().catch(() => undefined);
      throw error;
    }
  });
  stops.push(() => service.stop());
}

/** Stopped after the readers, so that what they saw last is sent too. */
async function tracesOf({ tracesUrl: url, version, log }: ServicesOptions, stops: (() => Promise<unknown>)[]): Promise<Traces | undefined> {
  if (url === undefined) return undefined;
  // a tenth of a second to load, which only those pay who want it
  const { startTraces } = await import("./telemetry/traces.ts");
  const traces = startTraces({ url, version, onAlarm: (message) => log.warn({ alarm: "traces" }, message) });
  stops.push(() => traces.stop());
  return traces;
}

async function startGateways(
  { namespaces, dataDir, log, gateway: patience }: ServicesOptions,
  name: Actor,
  login: (role: Service, name: string) => Promise<NatsConnection>,
  stops: (() => Promise<unknown>)[],
): Promise<void> {
  const nc = await login("gateway", name);
  const key = await openToolKey(dataDir);
  for (const ns of namespaces) {
    const ledger = await FileLedger.open(join(dataDir, "demo", `${ns}-effects.jsonl`));
    const adapters = { builtin: new BuiltinAdapter(demoTools(ledger)) };
    await started(`the gateway of ${ns}`, log, stops, () => new Gateway({ nc, ns, name, adapters, tokens: new ToolTokens(key, ns), logger: log, ...patience }));
  }
}
