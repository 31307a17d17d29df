/**
 * Starts the services named by `roles` in one process, each with a connection and credential of its own (law 8):
 * one process with all roles has no right that one of its roles lacks.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { type Namespace, actor } from "../schemas/ids.ts";
import { STREAMS, type StreamKind, streamName } from "../schemas/subjects.ts";
import { startAsk } from "./ask/ask.ts";
import { type NatsConnection, connectBus } from "./bus/connection.ts";
import { Link } from "./bus/link.ts";
import { patiently } from "./bus/patience.ts";
import { Coordinator, type CoordinatorOptions } from "./coordinator/coordinator.ts";
import type { Quota } from "./coordinator/admission.ts";
import { demoAdapter } from "./gateway/adapters/demo.ts";
import { FileLedger } from "./gateway/adapters/ledger.ts";
import { Gateway, type GatewayOptions } from "./gateway/gateway.ts";
import { type Login, handedLogin, NotHandedOut } from "./identity/handed.ts";
import type { PlaneKeys } from "./identity/keys.ts";
import { renewingCreds } from "./identity/renewing.ts";
import { findPersonalMaster, openPersonalMaster, type PersonalMaster } from "./identity/sealing.ts";
import { openToolKey } from "./identity/tool-keys.ts";
import { ToolTokens } from "./identity/tool-token.ts";
import { liveFile } from "./projection/live-file.ts";
import { type Reader, startReader } from "./projection/reader.ts";
import { type RevealParts, serveReveals } from "./projection/reveal.ts";
import { type Check, Readiness } from "./telemetry/readiness.ts";
import type { Traces } from "./telemetry/traces.ts";

/** What `--roles` takes. */
export const SERVICES = ["coordinator", "gateway", "ask", "reader"] as const;
export type Service = (typeof SERVICES)[number];

export interface ServicesOptions {
  readonly url: string;
  /** Of the plane, whose credentials are made of them; or the folder of those that were handed out. */
  readonly keys: PlaneKeys | { readonly credsFolder: string };
  readonly namespaces: readonly Namespace[];
  readonly roles: readonly Service[];
  /** For the run index and the demo tools' ledger; both may be deleted. */
  readonly dataDir: string;
  readonly version: string;
  readonly log: Logger;
  readonly quota?: Quota;
  /** When the journal's next segment is opened. */
  readonly segments?: CoordinatorOptions["segments"];
  /** The collector that the role `reader` posts traces to; none are made without it. */
  readonly tracesUrl?: string | undefined;
  /** How a role logs in; a harness looks over the services' shoulders here. Default: {@link connectBus}. */
  readonly connect?: typeof connectBus;
  /** Told how ready each role is, from before it is started until it stops. */
  readonly readiness?: Readiness;
  /** How patient gateways are. */
  readonly gateway?: Pick<GatewayOptions, "ackWaitMs" | "repeatMs">;
  /** No other gateway is there: what the demo's tools did stands in this data folder, or was not done. Default: no. */
  readonly onlyGateway?: boolean | undefined;
}

export interface RunningServices {
  /** By namespace, where the role `reader` runs. */
  readonly readers: ReadonlyMap<Namespace, Reader>;
  /** Lets what is under way end, and leaves the rest in the streams. */
  stop(): Promise<void>;
}

/** What `/readyz` waits for: each role in each namespace, and `ask` once, which serves all of them. */
export function expectServices(readiness: Readiness, roles: readonly Service[], namespaces: readonly Namespace[]): Readiness {
  for (const role of roles) {
    if (role === "ask") readiness.expect(role);
    else for (const ns of namespaces) readiness.expect(role, ns);
  }
  return readiness;
}

/** Streams without which a role can do nothing; those that its credential may ask after. */
export const STREAMS_OF: Readonly<Record<Service, readonly StreamKind[]>> = {
  coordinator: STREAMS,
  gateway: ["JOURNAL"],
  reader: ["JOURNAL", "DOCUMENTS"],
  ask: [],
};

/**
 * Resolves when every service has taken over what it finds.
 * @throws PlaneUnreachable, ServerTooOld, CredentialRefused, NotHandedOut
 */
export async function startServices(options: ServicesOptions): Promise<RunningServices> {
  const { url, keys, namespaces, roles, log } = options;
  const readiness = expectServices(options.readiness ?? new Readiness(), roles, namespaces);
  const stops: (() => Promise<unknown>)[] = [];
  const readers = new Map<Namespace, Reader>();
  const stop = async () => {
    readiness.stopping();
    for (const end of stops.reverse()) await end().catch((error: unknown) => log.warn({ error: String(error) }, "a service did not stop cleanly"));
  };
  // a name of its own for each life: reports of an earlier life are somebody else's
  const instance = randomBytes(4).toString("hex");
  const login = async (role: Service | "reveal") => {
    const creds = await loginOf(keys, role, `${role}-${instance}`);
    stops.push(() => Promise.resolve(creds.stop()));
    const nc = await (options.connect ?? connectBus)({ url, name: `signalbox-${creds.name}`, creds: creds.current, inboxPrefix: creds.inboxPrefix });
    stops.push(() => nc.close());
    const link = new Link(nc);
    const began = (ns: Namespace | undefined, check: Check) => {
      const streams = (ns === undefined || role === "reveal" ? [] : STREAMS_OF[role]).map((kind) => streamName(kind, ns as Namespace));
      if (role !== "reveal") readiness.began(role, ns, async (timeoutMs) => (await link.trouble(streams, timeoutMs)) ?? check(timeoutMs));
    };
    return { nc, name: creds.name, began };
  };
  try {
    if (roles.includes("reader")) {
      const traces = await tracesOf(options, stops);
      const { nc, began } = await login("reader");
      for (const ns of namespaces) {
        const alarm = (message: string) => log.error({ alarm: "journal", ns }, message);
        const onward = traces === undefined ? [] : [(from: number) => traces.follow(nc, ns, from)];
        const reader = await patiently(`the reader of ${ns}`, log, () => startReader({ nc, ns, dataDir: options.dataDir, version: options.version, onAlarm: alarm, onward }));
        readers.set(ns, reader);
        stops.push(() => reader.stop());
        await revealing(options, ns, { nc, index: reader.index, follower: reader.follower }, () => login("reveal"), stops);
        began(ns, async (timeoutMs) => ((await reader.follower.current(timeoutMs)) ? undefined : "it has not caught up with the journal"));
      }
    }
    if (roles.includes("coordinator")) {
      const { nc, began } = await login("coordinator");
      const personal = await masterOf(options);
      for (const ns of namespaces) {
        const coordinator = await started(`the coordinator of ${ns}`, log, stops, () => new Coordinator({ nc, ns, log, ...(personal && { personal }), liveFile: liveFile(options.dataDir, ns), ...(options.quota && { quota: options.quota }), ...(options.segments && { segments: options.segments }) }));
        began(ns, async () => coordinator.unready);
      }
    }
    if (roles.includes("gateway")) await startGateways(options, await login("gateway"), stops);
    if (roles.includes("ask")) {
      const { nc, began } = await login("ask");
      const ask = await startAsk({ nc, namespaces, log });
      stops.push(() => ask.stop());
      let lost: string | undefined;
      ask.stopped.catch((error: unknown) => (lost = String(error)));
      began(undefined, async () => lost);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { readers, stop };
}

/** Of a plane whose keys are here; or handed out to this process, like its credentials. */
function masterOf({ keys, dataDir }: ServicesOptions): Promise<PersonalMaster | undefined> {
  const folder = keyFolderOf(keys, dataDir);
  return "credsFolder" in keys ? findPersonalMaster(folder) : openPersonalMaster(folder);
}

/** What is personal in requests is shown to approvers on a connection of its own, because a reader has no keys. */
async function revealing(
  options: ServicesOptions,
  ns: Namespace,
  reading: RevealParts["reading"],
  login: () => Promise<{ readonly nc: NatsConnection }>,
  stops: (() => Promise<unknown>)[],
): Promise<void> {
  const { version, log } = options;
  const master = await masterOf(options);
  if (master === undefined) return;
  try {
    const { nc } = await login();
    const onTrouble = (error: unknown) => log.warn({ ns, error: String(error) }, "what is personal in a request cannot be shown");
    const reveals = await serveReveals({ nc, reading, ns, master, version, onTrouble });
    stops.push(() => reveals.stop());
  } catch (error) {
    // nobody's data is lost by it: approvers see the sealed form
    if (!(error instanceof NotHandedOut)) throw error;
    log.warn({ ns, error: error.message }, "approvers are not shown what is personal");
  }
}

async function loginOf(keys: ServicesOptions["keys"], role: Service | "reveal", name: string): Promise<Login> {
  return "credsFolder" in keys ? handedLogin(keys.credsFolder, role) : { name, ...(await renewingCreds(keys, { role, name })) };
}

/** Where `keys/` is that a role needs beside its credential. */
function keyFolderOf(keys: ServicesOptions["keys"], dataDir: string): string {
  return "credsFolder" in keys ? keys.credsFolder : dataDir;
}

/** One that does not get up is stopped, and another one is tried: nothing of the first is left. */
async function started<S extends { start(): Promise<void>; stop(): Promise<void> }>(what: string, log: Logger, stops: (() => Promise<unknown>)[], make: () => S): Promise<S> {
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
  return service;
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
  options: ServicesOptions,
  { nc, name, began }: { readonly nc: NatsConnection; readonly name: string; readonly began: (ns: Namespace, check: Check) => void },
  stops: (() => Promise<unknown>)[],
): Promise<void> {
  const { keys, namespaces, dataDir, log, gateway: patience } = options;
  const key = await openToolKey(keyFolderOf(keys, dataDir));
  const personal = await masterOf(options);
  for (const ns of namespaces) {
    const ledger = await FileLedger.open(join(dataDir, "demo", `${ns}-effects.jsonl`));
    const adapters = { builtin: demoAdapter(ledger, options.onlyGateway === true) };
    const gateway = await started(`the gateway of ${ns}`, log, stops, () => new Gateway({ nc, ns, name: actor(name), adapters, tokens: new ToolTokens(key, ns), ...(personal && { personal }), logger: log, ...patience }));
    began(ns, async () => gateway.unready);
  }
}
