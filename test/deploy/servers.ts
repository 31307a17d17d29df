/** The three servers of a handout, with the arguments of the manifests, on loopback instead of a pod's network. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { CLIENT_PORT, ROUTE_PORT, SERVERS, STORE } from "../../infra/handout.ts";
import { withPatience } from "../harness/plane.ts";
import { freePort } from "../harness/ports.ts";

export interface DeployedServer {
  readonly client: number;
  readonly monitor: number;
  child: ChildProcess;
  readonly config: string;
  log: string;
}

export interface DeployedServers {
  readonly servers: readonly DeployedServer[];
  /** An address of the manifests as it is here. */
  here(text: string): string;
  start(server: number): Promise<void>;
  stop(): Promise<void>;
  /** Status of a server's own probe. */
  health(server: number, path: string): Promise<number>;
}

/** @param args of one server in the manifests, with `$(POD_NAME)` where its name goes */
export async function startServers(handout: string, folder: string, args: readonly string[]): Promise<DeployedServers> {
  const conf = await readFile(join(handout, "nats.conf"), "utf8");
  const ports = await Promise.all(SERVERS.map(async () => ({ client: await freePort(), route: await freePort(), monitor: await freePort() })));
  const here = (text: string) =>
    SERVERS.reduce((so, server, i) => so.replaceAll(`${server}:${CLIENT_PORT}`, `127.0.0.1:${ports[i]!.client}`).replaceAll(`${server}:${ROUTE_PORT}`, `127.0.0.1:${ports[i]!.route}`), text);
  const launch = async (i: number): Promise<DeployedServer> => {
    const { client, route, monitor } = ports[i]!;
    const config = join(folder, `nats-${i}.conf`);
    await writeFile(
      config,
      here(conf).replaceAll(`0.0.0.0:${CLIENT_PORT}`, `127.0.0.1:${client}`).replaceAll(`0.0.0.0:${ROUTE_PORT}`, `127.0.0.1:${route}`).replaceAll(STORE, join(folder, `store-${i}`)),
    );
    const own = args.map((arg) => (arg === "/etc/nats/nats.conf" ? config : arg === "8222" ? String(monitor) : arg === "/run/nats/nats.pid" ? join(folder, `nats-${i}.pid`) : arg.replace("$(POD_NAME)", `nats-${i}`)));
    const server: DeployedServer = { client, monitor, config, log: "", child: spawn(process.env["SIGNALBOX_NATS_SERVER"] ?? "nats-server", own, { stdio: ["ignore", "ignore", "pipe"] }) };
    server.child.stderr?.setEncoding("utf8").on("data", (text: string) => (server.log = (server.log + text).slice(-50_000)));
    return server;
  };
  const servers = await Promise.all(SERVERS.map((_, i) => launch(i)));
  const health = async (i: number, path: string) => (await fetch(`http://127.0.0.1:${servers[i]!.monitor}${path}`, { headers: { connection: "close" } }).catch(() => undefined))?.status ?? 0;
  return {
    servers,
    here,
    health,
    start: async (i) => void (servers[i] = await launch(i)),
    stop: async () => {
      for (const { child } of servers) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await gone;
      }
    },
  };
}

/** Until a probe says so: a server tells nobody when it is healthy. */
export async function untilHealth(servers: DeployedServers, server: number, path: string, status: number): Promise<void> {
  const asked = async () => {
    while ((await servers.health(server, path)) !== status) await wait(50);
  };
  await withPatience(asked(), () => `server ${server} does not answer \`${path}\` with ${status}:\n${servers.servers[server]?.log.slice(-2_000)}`, 40_000);
}
