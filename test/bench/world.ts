/** A server, a plane and a load for one measurement, in a data folder of their own; each can be killed and started again. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedServer, startEmbeddedServer } from "../../infra/nats/embedded.ts";
import { type Namespace, namespace } from "../../schemas/ids.ts";
import { streamName } from "../../schemas/subjects.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { provision } from "../../services/bus/streams.ts";
import { signAccounts } from "../../services/identity/accounts.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { demoIssuer, openIssuerKey } from "../../services/identity/demo-issuer.ts";
import { type PlaneKeys, openKeys } from "../../services/identity/keys.ts";
import type { Role } from "../../services/identity/roles.ts";
import type { Service } from "../../services/main.ts";
import { applyFolder } from "./apply.ts";
import { writeDocuments } from "./documents.ts";
import type { Throughput } from "../replay/throughput.ts";
import type { FloorOrder, Templates } from "./floor-plane.ts";
import { type Child, startChild } from "./processes.ts";

export type Sync = "default" | "always";

/** The namespace that is measured. */
export const NS = namespace("default");

export interface WorldOptions {
  readonly sync: Sync;
  readonly binary: string;
  /** Besides {@link NS}. */
  readonly namespaces?: readonly Namespace[];
  readonly profile?: string | undefined;
}

export class World {
  readonly dataDir: string;
  readonly keys: PlaneKeys;
  readonly #options: WorldOptions;
  readonly #namespaces: readonly Namespace[];
  #server: EmbeddedServer | undefined;
  readonly #connections: NatsConnection[] = [];
  readonly #children = new Set<Child>();
  #loads = 0;

  private constructor(options: WorldOptions, dataDir: string, keys: PlaneKeys) {
    this.#options = options;
    this.dataDir = dataDir;
    this.keys = keys;
    this.#namespaces = [NS, ...(options.namespaces ?? [])];
  }

  /** With a server and provisioned streams. */
  static async begin(options: WorldOptions): Promise<World> {
    const dataDir = await mkdtemp(join(tmpdir(), "signalbox-bench-"));
    const keys = await openKeys(dataDir, [NS, ...(options.namespaces ?? [])]);
    const world = new World(options, dataDir, keys);
    try {
      await world.startServer();
      const nc = await world.connect("provision", "bench-provision");
      for (const ns of world.#namespaces) await provision(nc, ns);
      return world;
    } catch (error) {
      await world.end();
      throw error;
    }
  }

  get server(): EmbeddedServer {
    if (this.#server === undefined) throw new Error("there is no server");
    return this.#server;
  }

  /** Where the documents lie that {@link applyDocuments} applied. */
  get folder(): string {
    return join(this.dataDir, "documents");
  }

  async startServer(): Promise<void> {
    const { binary, sync } = this.#options;
    this.#server = await startEmbeddedServer({ binary, dataDir: this.dataDir, sync, ...(await signAccounts(this.keys)) });
  }

  async connect(role: Role, name: string): Promise<NatsConnection> {
    const plane = role === "provision" || role === "coordinator" || role === "reader";
    const issued = await issueCreds(this.keys, { role, name, ...(!plane && { ns: NS }) });
    const nc = await connectBus({ url: this.server.url, name, creds: issued.creds, inboxPrefix: issued.inboxPrefix });
    this.#connections.push(nc);
    return nc;
  }

  async journal(): Promise<StreamReader> {
    return new StreamReader(await this.connect("reader", `bench-${Math.random().toString(36).slice(2, 8)}`), streamName("JOURNAL", NS));
  }

  /** A process of the plane with these roles; resolves when its services are up. @param execArgv of its Node */
  async plane(roles: readonly Service[], execArgv: readonly string[] = []): Promise<Child> {
    const plane = startChild(new URL("plane.ts", import.meta.url), this.#options.profile, execArgv);
    this.#children.add(plane);
    await plane.ask({ do: "start", ...this.#own(), namespaces: [NS], roles });
    return plane;
  }

  async load(): Promise<Child> {
    const load = startChild(new URL("load.ts", import.meta.url), this.#options.profile);
    this.#children.add(load);
    await load.ask({ do: "start", ...this.#own(), ns: NS, life: this.#loads++ });
    return load;
  }

  /** What stands in for a part of the plane and decides nothing. */
  async floor(part: FloorOrder["part"], templates: Templates): Promise<Child> {
    const child = startChild(new URL("floor-plane.ts", import.meta.url), this.#options.profile);
    this.#children.add(child);
    await child.ask({ do: "start", ...this.#own(), ns: NS, part, templates });
    return child;
  }

  /** How fast so many events at the journal's beginning are replayed, in a process of its own. */
  async replayed(most: number): Promise<Throughput> {
    const replayer = startChild(new URL("replayer.ts", import.meta.url), this.#options.profile);
    this.#children.add(replayer);
    await replayer.ask({ do: "start", ...this.#own() });
    return replayer.ask<Throughput>({ do: "replay", ns: NS, most });
  }

  /** Needs a plane. */
  async applyDocuments(policies: number, sums: boolean): Promise<void> {
    await writeDocuments(this.folder, policies, sums);
    await writeFile(join(this.folder, "issuer.yaml"), JSON.stringify(demoIssuer(await openIssuerKey(this.dataDir))));
    await applyFolder(await this.connect("operator", "bench"), NS, this.folder);
  }

  /** Everything at once, as a power cut would, but for the disk. */
  async kill(): Promise<void> {
    for (const child of this.#children) await child.kill();
    this.#children.clear();
    await Promise.allSettled(this.#connections.splice(0).map((nc) => nc.close()));
    const { server } = this;
    process.kill(server.pid, "SIGKILL");
    await server.exited;
  }

  /** Lets the processes end by themselves. */
  async stopChildren(): Promise<void> {
    for (const child of this.#children) await child.stop();
    this.#children.clear();
  }

  async end(): Promise<void> {
    await this.stopChildren();
    await Promise.allSettled(this.#connections.map((nc) => nc.close()));
    await this.#server?.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  #own() {
    return { url: this.server.url, dataDir: this.dataDir, keyNamespaces: this.#namespaces };
  }
}
