/** A real nats-server for a test: a folder and a port of its own, the plane's accounts, provisioned streams. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespace, type Namespace } from "../../schemas/ids.ts";
import { connectBus, type ConnectOptions, type NatsConnection } from "../../services/bus/connection.ts";
import { provision, type ProvisionOptions } from "../../services/bus/streams.ts";
import { type ServerIdentity, signAccounts } from "../../services/identity/accounts.ts";
import { type CredsRequest, type IssuedCreds, issueCreds } from "../../services/identity/creds.ts";
import { openKeys, type PlaneKeys } from "../../services/identity/keys.ts";
import { renderServerConfig } from "../../services/identity/natsConfig.ts";
import { isPlaneRole, type Role } from "../../services/identity/roles.ts";
import { endServer, launchServer } from "./nats-process.ts";
import { freePort } from "./ports.ts";

export interface TestServerOptions {
  /** Default: `default`. */
  readonly namespaces?: readonly string[];
  /** JetStream's `sync_interval`; default `2m`, because tests do not cut power. */
  readonly sync?: string;
  readonly provision?: ProvisionOptions | false;
  /** Where the streams lie; default: a folder of the test's own. */
  readonly storeDir?: string;
  /** Adds to what the server is told of accounts: somebody else's, on the same server. */
  readonly identity?: (identity: ServerIdentity, keys: PlaneKeys) => Promise<ServerIdentity>;
}

/** What a test may say of a credential or connection beyond role, name and namespace. */
export type IssueOptions = Pick<CredsRequest, "tool" | "team" | "ttlSeconds">;

export interface TestServer {
  readonly url: string;
  /** Of the server that runs now. */
  readonly pid: number;
  readonly dataDir: string;
  readonly keys: PlaneKeys;
  readonly namespaces: readonly Namespace[];
  /** Logs in as one principal; the connection is closed by `stop`. Default namespace: the first. */
  connect(role: Role, name: string, ns?: string, options?: IssueOptions & Partial<ConnectOptions>): Promise<NatsConnection>;
  issue(role: Role, name: string, ns?: string, options?: IssueOptions): Promise<IssuedCreds>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP makes it silent without closing a connection, SIGCONT lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Starts again on the same folder and port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const namespaces = (options.namespaces ?? ["default"]).map(namespace);
  const dataDir = await mkdtemp(join(tmpdir(), "signalbox-"));
  const keys = await openKeys(dataDir, namespaces);
  const port = await freePort();
  const url = `nats://127.0.0.1:${port}`;
  const configFile = join(dataDir, "nats.conf");
  const identity = await signAccounts(keys);
  await writeFile(
    configFile,
    renderServerConfig((await options.identity?.(identity, keys)) ?? identity, {
      listen: `127.0.0.1:${port}`,
      serverName: `test-${port}`,
      storeDir: options.storeDir ?? join(dataDir, "jetstream"),
      sync: options.sync ?? "2m",
    }),
  );
  let child = await launchServer(configFile);
  const connections: NatsConnection[] = [];

  const issue: TestServer["issue"] = (role, name, ns, issueOptions = {}) =>
    issueCreds(keys, {
      role,
      name,
      ...issueOptions,
      ...(ns !== undefined ? { ns: namespace(ns) } : isPlaneRole(role) || role === "system" ? {} : { ns: namespaces[0]! }),
    });
  const connect: TestServer["connect"] = async (role, name, ns, connectOptions = {}) => {
    const { tool, team, ttlSeconds, ...bus } = connectOptions;
    const issued = await issue(role, name, ns, {
      ...(tool !== undefined && { tool }),
      ...(team !== undefined && { team }),
      ...(ttlSeconds !== undefined && { ttlSeconds }),
    });
    const nc = await connectBus({
      url,
      name: `${role}-${name}`,
      creds: issued.creds,
      inboxPrefix: issued.inboxPrefix,
      ...bus,
    });
    connections.push(nc);
    return nc;
  };
  const kill = async () => endServer(child, "SIGKILL");

  if (options.provision !== false) {
    const nc = await connect("provision", "test");
    for (const ns of namespaces) await provision(nc, ns, options.provision ?? {});
    await nc.close();
  }
  return {
    url,
    get pid() {
      return child.pid ?? 0;
    },
    dataDir,
    keys,
    namespaces,
    connect,
    issue,
    kill,
    signal: (signal) => void child.kill(signal),
    restart: async () => {
      await endServer(child, "SIGTERM");
      child = await launchServer(configFile);
    },
    stop: async () => {
      await Promise.allSettled(connections.map((nc) => nc.close()));
      await endServer(child, "SIGTERM");
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
