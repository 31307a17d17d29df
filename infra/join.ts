/**
 * Plays roles of a plane that somebody else has set up, with the credentials that they handed out: what each container
 * of a deployment does. It waits as long as it takes for servers and streams; whoever makes them may come later.
 */
import { setTimeout as wait } from "node:timers/promises";
import { streamName } from "../schemas/subjects.ts";
import { CredentialRefused, ServerTooOld, connectBus } from "../services/bus/connection.ts";
import { Link } from "../services/bus/link.ts";
import { handedLogin } from "../services/identity/handed.ts";
import { STREAMS_OF, type Service } from "../services/main.ts";
import { ownVersion, writable } from "./folder.ts";
import type { RunningHealth } from "./health.ts";
import type { Settings } from "./settings.ts";
import { startThreads } from "./threads.ts";

export interface JoinedPlane {
  readonly url: string;
  readonly keys?: undefined;
  /** Settles, with what it was, when something ended that nobody asked to end. */
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

export type JoinSettings = Settings & { readonly credsFolder: string; readonly url: string };

export function joins(settings: Settings): settings is JoinSettings {
  return settings.credsFolder !== undefined && settings.url !== undefined;
}

const LOOK_MS = 2_000;
const RETRY_MS = 250;

/** @throws SettingsError, NotHandedOut, CredentialRefused, ServerTooOld */
export async function joinPlane(settings: JoinSettings, say: (line: string) => void, health?: RunningHealth): Promise<JoinedPlane> {
  const { url, dataDir, namespaces, credsFolder, roles, tracesUrl, segmentRuns } = settings;
  await writable(dataDir);
  // a credential that is missing is a mistake in the set-up, and nothing to wait for
  for (const role of roles) handedLogin(credsFolder, role);
  for (const role of roles) await untilThere(settings, role, say, health);
  const services = await startThreads({ url, dataDir, keyNamespaces: [], credsFolder, namespaces, roles, version: await ownVersion(), tracesUrl, segmentRuns, watch: health?.watch });
  return {
    url,
    lost: services.lost.then(() => "a thread of the plane"),
    stop: async () => {
      health?.stopping();
      await services.stop();
    },
  };
}

/** The servers, and the streams that the role needs. */
async function untilThere({ url, namespaces, credsFolder, roles }: JoinSettings, role: Service, say: (line: string) => void, health: RunningHealth | undefined): Promise<void> {
  const { current, inboxPrefix, name } = handedLogin(credsFolder, role);
  let why = "starting";
  health?.watch({ stuck: async () => [], roles: async () => roles.map((one) => ({ role: one, ready: false, why: one === role ? why : "starting" })) });
  const streams = namespaces.flatMap((ns) => STREAMS_OF[role].map((kind) => streamName(kind, ns)));
  for (let said: string | undefined; ; ) {
    try {
      const nc = await connectBus({ url, name: `signalbox-${name}-looks`, creds: current, inboxPrefix, reconnect: false });
      try {
        const trouble = await new Link(nc).trouble(streams, LOOK_MS);
        if (trouble === undefined) return;
        why = trouble;
      } finally {
        await nc.close();
      }
    } catch (error) {
      if (error instanceof CredentialRefused || error instanceof ServerTooOld) throw error;
      why = (error as Error).message;
    }
    if (said !== why) say(`${role} waits: ${why}`);
    said = why;
    await wait(RETRY_MS);
  }
}
