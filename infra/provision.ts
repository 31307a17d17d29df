/** Sets the streams up, by whoever has the keys, or the credential for it. */
import { setTimeout as wait } from "node:timers/promises";
import { CredentialRefused, type NatsConnection, ServerTooOld, connectBus } from "../services/bus/connection.ts";
import { SegmentedReader } from "../services/bus/segmented.ts";
import { closeSegments, provision, provisionSegments } from "../services/bus/streams.ts";
import { issueCreds } from "../services/identity/creds.ts";
import { handedLogin } from "../services/identity/handed.ts";
import { type PlaneKeys, openKeys } from "../services/identity/keys.ts";
import { type Settings, SettingsError } from "./settings.ts";

/** Servers that were just started find each other first. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 500;

/** Tries for a minute. @throws SettingsError, NotHandedOut, CredentialRefused, ServerTooOld, PlaneUnreachable, ProvisioningFailed */
export async function provisionOnly(settings: Settings, say: (line: string) => void): Promise<void> {
  const { url, credsFolder, dataDir, namespaces, replicas } = settings;
  if (url === undefined) throw new SettingsError("there is no server to set streams up on", "set NATS_URL; an embedded server is set up by every start");
  const handed = credsFolder === undefined ? undefined : handedLogin(credsFolder, "provision");
  const keys = handed === undefined ? await openKeys(dataDir, namespaces) : undefined;
  for (const began = performance.now(); ; ) {
    try {
      if (handed !== undefined) await provisionAs(url, { creds: handed.current(), inboxPrefix: handed.inboxPrefix }, settings);
      else if (keys !== undefined) await provisionWithKeys(url, keys, settings);
      break;
    } catch (error) {
      if (error instanceof CredentialRefused || error instanceof ServerTooOld || performance.now() - began > PATIENCE_MS) throw error;
      await wait(RETRY_MS);
    }
  }
  say(`streams of ${namespaces.join(", ")} are set up, ${replicas === 1 ? "one server holds" : `${replicas} servers hold`} each`);
}

/** @throws PlaneUnreachable, ProvisioningFailed */
export async function provisionWithKeys(url: string, keys: PlaneKeys, settings: Settings): Promise<void> {
  await provisionAs(url, await issueCreds(keys, { role: "provision", name: "provision", ttlSeconds: 300 }), settings);
}

/**
 * What a plane that runs for months does now and then: streams for segments that will be opened, and an end to those that
 * are over. @throws PlaneUnreachable, ProvisioningFailed, ReadError
 */
export async function keepSegments(url: string, keys: PlaneKeys, { namespaces, replicas }: Settings): Promise<void> {
  for (const ns of namespaces) {
    const sealed = await as(url, await issueCreds(keys, { role: "auditor", name: "segments", ns, ttlSeconds: 60 }), async (nc) => {
      const { segments } = await new SegmentedReader(nc, ns).refresh();
      return segments.filter((one) => one.sealed !== undefined).map(({ segment }) => segment);
    });
    await as(url, await issueCreds(keys, { role: "provision", name: "provision", ttlSeconds: 300 }), async (nc) => {
      await provisionSegments(nc, ns, { replicas });
      await closeSegments(nc, ns, sealed);
    });
  }
}

interface Credential {
  readonly creds: string;
  readonly inboxPrefix: string;
}

function provisionAs(url: string, credential: Credential, { namespaces, replicas }: Settings): Promise<void> {
  return as(url, credential, async (nc) => {
    for (const ns of namespaces) await provision(nc, ns, { replicas });
  });
}

async function as<T>(url: string, { creds, inboxPrefix }: Credential, work: (nc: NatsConnection) => Promise<T>): Promise<T> {
  const nc = await connectBus({ url, name: "signalbox-provision", creds, inboxPrefix, reconnect: false });
  try {
    return await work(nc);
  } finally {
    await nc.close();
  }
}
