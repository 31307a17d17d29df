/** Three nats-servers that hold the streams together, on loopback: as a {@link TestServer}, with each server to be killed alone. */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespace, type Namespace } from "../../schemas/ids.ts";
import { connectBus, type ConnectOptions, type NatsConnection } from "../../services/bus/connection.ts";
import { provision, ProvisioningFailed } from "../../services/bus/streams.ts";
import { signAccounts } from "../../services/identity/accounts.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { openKeys, type PlaneKeys } from "../../services/identity/keys.ts";
import { renderServerConfig } from "../../services/identity/natsConfig.ts";
import { isPlaneRole, type Role } from "../../services/identity/roles.ts";
import { endServer, isUp, launchServer } from "./nats-process.ts";
import { freePort } from "./ports.ts";
import type { IssueOptions, TestServer } from "./server.ts";

export const SERVERS = 3;

export interface TestCluster {
  /** Of all servers, joined by commas. */
  readonly url: string;
  readonly dataDir: string;
  readonly keys: PlaneKeys;
  readonly ns: Namespace;
  /** Process ids by server; undefined while it is down. */
  readonly pids: readonly (number | undefined)[];
  connect(role: Role, name: string, options?: IssueOptions & Partial<ConnectOptions>): Promise<NatsConnection>;
  /** The server that leads a stream, by its number. */
  leaderOf(stream: string): Promise<number>;
  /** SIGKILL, and waits until it is gone. */
  kill(server: number): Promise<void>;
  /** SIGSTOP makes it silent without closing a connection, SIGCONT lets it go on. */
  signal(server: number, signal: "SIGSTOP" | "SIGCONT"): void;
  restart(server: number): Promise<void>;
  /** The cluster as harnesses of one server take it; `kill` and `restart` mean all three. */
  readonly server: TestServer;
  stop(): Promise<void>;
}

const READY_MS = 30_000;

/** @param stores where each server's streams lie, by its number; folders of the cluster's own when left out */
export async function startTestCluster(sync = "2m", stores: readonly string[] = []): Promise<TestCluster> {
  const ns = namespace("default");
  const dataDir = await mkdtemp(join(tmpdir(), "signalbox-cluster-"));
  const keys = await openKeys(dataDir, [ns]);
  const identity = await signAccounts(keys);
  const ports = await Promise.all(Array.from({ length: SERVERS * 2 }, freePort));
  const client = ports.slice(0, SERVERS);
  const routes = ports.slice(SERVERS);
  const configs = await Promise.all(
    client.map(async (port, i) => {
      const path = join(dataDir, `nats-${i}.conf`);
      const config = renderServerConfig(identity, {
        listen: `127.0.0.1:${port}`,
        serverName: serverName(i),
        storeDir: stores[i] ?? join(dataDir, `jetstream-${i}`),
        sync,
        cluster: { name: "test", listen: `127.0.0.1:${routes[i]}`, routes: routes.map((route) => `nats://127.0.0.1:${route}`) },
      });
      await writeFile(path, config);
      return path;
    }),
  );
  const children: ChildProcess[] = await Promise.all(configs.map((config) => launchServer(config)));
  const url = client.map((port) => `nats://127.0.0.1:${port}`).join(",");
  const connections: NatsConnection[] = [];
  const issue: TestServer["issue"] = (role, name, _, options = {}) =>
    issueCreds(keys, { role, name, ...options, ...(!isPlaneRole(role) && role !== "system" && { ns }) });
  const connect: TestCluster["connect"] = async (role, name, { tool, team, ttlSeconds, ...options } = {}) => {
    const { creds, inboxPrefix } = await issue(role, name, undefined, {
      ...(tool !== undefined && { tool }),
      ...(team !== undefined && { team }),
      ...(ttlSeconds !== undefined && { ttlSeconds }),
    });
    const nc = await connectBus({ url, name: `${role}-${name}`, creds, inboxPrefix, ...options });
    connections.push(nc);
    return nc;
  };
  const every = (what: (server: number) => Promise<void>) => Promise.all(children.map((_, i) => what(i))).then(() => undefined);
  const provisioner = await connect("provision", "test");
  await provisioned(provisioner, ns);

  const kill = (server: number) => endServer(children[server], "SIGKILL");
  const restart = async (server: number) => {
    await endServer(children[server], "SIGTERM");
    children[server] = await launchServer(configs[server] as string);
  };
  const stop = async () => {
    await Promise.allSettled(connections.map((nc) => nc.close()));
    for (const child of children) child.kill("SIGCONT");
    await every((server) => endServer(children[server], "SIGKILL"));
    await rm(dataDir, { recursive: true, force: true });
  };
  return {
    url,
    dataDir,
    keys,
    ns,
    get pids() {
      return children.map((child) => (isUp(child) ? child.pid : undefined));
    },
    connect,
    leaderOf: async (stream) => {
      const answer = await provisioner.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeout: 5_000 });
      const leader = answer.json<{ cluster?: { leader?: string } }>().cluster?.leader ?? "";
      return Number(leader.slice(serverName("").length));
    },
    kill,
    signal: (server, signal) => void children[server]?.kill(signal),
    restart,
    server: {
      url,
      pid: 0,
      dataDir,
      keys,
      namespaces: [ns],
      connect: (role, name, _, options) => connect(role, name, options),
      issue,
      kill: () => every(kill),
      signal: (signal) => children.forEach((child) => child.kill(signal)),
      restart: () => every(restart),
      stop,
    },
    stop,
  };
}

const serverName = (i: number | "") => `server-${i}`;

/** Until the servers have found each other and chosen a leader nothing can be created. */
async function provisioned(nc: NatsConnection, ns: Namespace): Promise<void> {
  for (const began = performance.now(); ; ) {
    try {
      return await provision(nc, ns, { replicas: SERVERS });
    } catch (error) {
      if (performance.now() - began > READY_MS || (error instanceof ProvisioningFailed && /too old/.test(error.help))) throw error;
      // nobody says when the servers have a leader: asking again is the only way to know
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
