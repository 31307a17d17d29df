/**
 * A real nats-server without accounts, for tests of what rides on one connection. It can be killed and started
 * again on the same port and folder, as after a crash.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NatsConnection, connect } from "nats";

const SETPRIV = "/usr/bin/setpriv";

export class PlainServer {
  readonly #folder: string;
  #port = -1;
  #process: ChildProcess | undefined;
  readonly #connections: NatsConnection[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<PlainServer> {
    const server = new PlainServer(mkdtempSync(join(tmpdir(), "signalbox-bus-")));
    await server.run();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts the process; after {@link kill}, on the same port and the same data. */
  async run(): Promise<void> {
    const binary = process.env["SIGNALBOX_NATS_SERVER"] ?? "nats-server";
    const config = join(this.#folder, "server.conf");
    writeFileSync(
      config,
      `listen: "127.0.0.1:${this.#port}"
max_payload: 8MB
jetstream { store_dir: "${this.#folder}/js" }
`,
    );
    // A test that is killed leaves no server behind, where the platform can see to it.
    const [command, ...prefix] = existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "SIGKILL", binary] : [binary];
    const child = spawn(command, [...prefix, "-c", config], { stdio: ["ignore", "ignore", "pipe"] });
    this.#process = child;
    process.once("exit", () => child.kill("SIGKILL"));
    let log = "";
    const ready = new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        log += chunk.toString();
        if (log.includes("Server is ready")) resolve();
      });
      child.on("exit", (code) => reject(new Error(`nats-server left with \`${code}\`: ${log}`)));
    });
    await ready;
    // The ports file is written later than this line.
    this.#port = Number(/client connections on 127\.0\.0\.1:(\d+)/.exec(log)?.[1]);
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  /** Stops the process where it stands. A signal alone is not enough: what is under way would still be answered. */
  async freeze(): Promise<void> {
    process.kill(this.pid, "SIGSTOP");
    const stopped = () => / \(.*\) T /.test(readFileSync(`/proc/${this.pid}/stat`, "utf8"));
    while (existsSync("/proc/self/stat") && !stopped()) await new Promise((resolve) => setImmediate(resolve));
  }

  thaw(): void {
    process.kill(this.pid, "SIGCONT");
  }

  async connect(): Promise<NatsConnection> {
    const nc = await connect({
      servers: this.url,
      // a dial that the dying server took and never answered is given up soon
      timeout: 1000,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      noAsyncTraces: true,
    });
    this.#connections.push(nc);
    return nc;
  }

  async stop(): Promise<void> {
    for (const nc of this.#connections) await nc.close();
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Creates a stream, configuration as the API spells it. */
export async function addStream(nc: NatsConnection, config: Record<string, unknown> & { name: string }): Promise<void> {
  const answer = await nc.request(
    `$JS.API.STREAM.CREATE.${config.name}`,
    JSON.stringify({ retention: "limits", storage: "file", num_replicas: 1, discard: "old", ...config }),
    { timeout: 5000 },
  );
  const { error } = answer.json<{ error?: { description: string } }>();
  if (error !== undefined) throw new Error(error.description);
}
