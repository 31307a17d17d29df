/** Sets the streams up, by whoever has the keys, or the credential for it. */
import { setTimeout as wait } from "node:timers/promises";
import { CredentialRefused, ServerTooOld, connectBus } from "../services/bus/connection.ts";
import { provision } from "../services/bus/streams.ts";
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

interface Credential {
  readonly creds: string;
  readonly inboxPrefix: string;
}

async function provisionAs(url: string, { creds, inboxPrefix }: Credential, { namespaces, replicas }: Settings): Promise<void> {
  const nc = await connectBus({ url, name: "signalbox-provision", creds, inboxPrefix, reconnect: false });
  try {
    for (const ns of namespaces) await provision(nc, ns, { replicas });
  } finally {
    await nc.close();
  }
}
