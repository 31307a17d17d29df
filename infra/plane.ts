/** Brings a plane up: server, accounts, streams, services, and the files by which the CLI finds it. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "../schemas/ids.ts";
import { signAccounts } from "../services/identity/accounts.ts";
import { writeContext } from "../services/identity/contexts.ts";
import { Barred, issueCreds, writeCreds } from "../services/identity/creds.ts";
import { writeDemoIssuer } from "../services/identity/demo-issuer.ts";
import { writeSecret } from "../services/identity/files.ts";
import { CredsKeeper } from "../services/identity/keeper.ts";
import { type PlaneKeys, openKeys } from "../services/identity/keys.ts";
import { RevocationTeller } from "../services/identity/teller.ts";
import { credentialTerms } from "../services/identity/terms.ts";
import { openToolKey, publishToolKey } from "../services/identity/tool-keys.ts";
import type { Role } from "../services/identity/roles.ts";
import { type EmbeddedServer, startEmbeddedServer } from "./nats/embedded.ts";
import { obtainNatsServer } from "./nats/obtain.ts";
import { keepPort, lastPort } from "./nats/port.ts";
import { ownVersion, writable } from "./folder.ts";
import type { RunningHealth } from "./health.ts";
import { keepSegments, provisionWithKeys } from "./provision.ts";
import type { Settings } from "./settings.ts";
import { type RunningThreads, startThreads } from "./threads.ts";

/** A plane with its keys: whoever has those sets it up, and lets others log in. */
export interface RunningPlane {
  readonly url: string;
  readonly keys: PlaneKeys;
  readonly settings: Settings;
  /** Settles, with what it was, when something ended that nobody asked to end. */
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

/** Contexts that a plane writes: by each exactly one role, and none both proposes and decides. */
export const CONTEXTS: readonly { readonly context: string; readonly role: Role; readonly name: string; readonly does: string }[] = [
  { context: "demo-agent", role: "agent", name: "refund-assistant", does: "proposes, as the refund assistant" },
  { context: "demo-clerk", role: "agent", name: "ledger-clerk", does: "proposes, as the ledger clerk of finance" },
  { context: "demo-approver", role: "approver", name: "ada", does: "answers what waits for an approver" },
  { context: "demo-finance", role: "approver", name: "fay", does: "answers what waits for finance, or for an approver" },
  { context: "demo-finance-2", role: "approver", name: "finn", does: "the same: what asks for finance asks for two" },
  { context: "operator", role: "operator", name: "operator", does: "applies documents; pauses, resumes, cancels; stops" },
  { context: "second-operator", role: "operator", name: "second-operator", does: "lifts what the first one stopped" },
  { context: "auditor", role: "auditor", name: "auditor", does: "reads everything of its namespace, changes nothing" },
];

/** How long the credentials of contexts live; a running plane renews them. */
const CONTEXT_TTL_SECONDS = 3600;
/** A stream that the journal goes on in is there long before it is needed. */
const SEGMENTS_EVERY_MS = 600_000;

export async function startPlane(settings: Settings, say: (line: string) => void, health?: RunningHealth): Promise<RunningPlane> {
  const { dataDir, namespaces } = settings;
  await writable(dataDir);
  const keys = await openKeys(dataDir, namespaces);
  const embedded = settings.url === undefined ? await embed(settings, keys, say) : undefined;
  const url = embedded?.url ?? (settings.url as string);
  const planeFile = join(dataDir, "plane.json");
  let services: RunningThreads | undefined;
  let keeper: CredsKeeper | undefined;
  let segments: NodeJS.Timeout | undefined;
  // the embedded server is given the accounts at each start, and keeps what it is told
  const teller = embedded === undefined ? new RevocationTeller({ dataDir, url, onProblem: say }) : undefined;
  const stop = async () => {
    health?.stopping();
    clearInterval(segments);
    await keeper?.stop();
    await teller?.stop();
    await services?.stop();
    await rm(planeFile, { force: true });
    await embedded?.stop();
  };
  try {
    await teller?.start();
    await provisionWithKeys(url, keys, settings);
    segments = setInterval(() => void keepSegments(url, keys, settings).catch((error: unknown) => say(`the journal's segments: ${String(error)}`)), SEGMENTS_EVERY_MS);
    segments.unref();
    await publishToolKey(dataDir, await openToolKey(dataDir));
    await writeDemoIssuer(dataDir);
    const version = await ownVersion();
    const { roles, tracesUrl, segmentRuns } = settings;
    // the embedded server is for one plane, whose folder nobody else can have
    const onlyGateway = embedded !== undefined;
    services = await startThreads({ url, dataDir, keyNamespaces: namespaces, namespaces, roles, version, tracesUrl, segmentRuns, onlyGateway, watch: health?.watch });
    await writeContexts(dataDir, url, keys, namespaces[0] as Namespace, say);
    keeper = await keepCreds(url, keys, say);
    const plane = { url, pid: process.pid, namespaces, started_at: new Date().toISOString(), version, ...(health && { health: health.url }) };
    await writeSecret(planeFile, `${JSON.stringify(plane, undefined, 2)}\n`);
  } catch (error) {
    await stop();
    throw error;
  }
  const ends = [services.lost.then(() => "a thread of the plane"), ...(embedded ? [embedded.exited.then(() => "nats-server")] : [])];
  return { url, keys, settings, lost: Promise.race(ends), stop };
}

async function embed(settings: Settings, keys: PlaneKeys, say: (line: string) => void): Promise<EmbeddedServer> {
  const { path, version, source } = await obtainNatsServer({ log: say });
  const identity = await signAccounts(keys);
  const server = await startEmbeddedServer({
    binary: path,
    dataDir: settings.dataDir,
    port: settings.port === -1 ? await lastPort(settings.dataDir) : settings.port,
    sync: settings.sync,
    operatorJwt: identity.operatorJwt,
    systemAccount: identity.systemAccount,
    accounts: identity.accounts,
  });
  await keepPort(settings.dataDir, server.url);
  say(`nats-server ${version} (${source}) on ${server.url}, data in ${settings.dataDir}, sync ${settings.sync}`);
  return server;
}

async function writeContexts(dataDir: string, url: string, keys: PlaneKeys, ns: Namespace, say: (line: string) => void): Promise<void> {
  for (const { context, role, name, does } of CONTEXTS) {
    try {
      const issued = await issueCreds(keys, { role, name, ns, ttlSeconds: CONTEXT_TTL_SECONDS });
      const creds = await writeCreds(dataDir, context, issued);
      await writeContext(dataDir, context, { description: `${role} ${name} of ${ns}: ${does}`, url, creds, inboxPrefix: issued.inboxPrefix });
    } catch (error) {
      if (!(error instanceof Barred)) throw error;
      say(`the context ${context} gets no credential: ${error.message}`);
    }
  }
}

/** Contexts and whatever `creds issue` leaves in the data folder stay good while the plane runs. */
async function keepCreds(url: string, keys: PlaneKeys, say: (line: string) => void): Promise<CredsKeeper> {
  const keeper = new CredsKeeper({
    keys,
    // an agent without a contract, or a plane that is busy, is no reason to let a credential end
    contractOf: (agent, ns) => credentialTerms(keys, url, ns, agent).catch(() => undefined),
    onProblem: say,
  });
  await keeper.start();
  return keeper;
}
