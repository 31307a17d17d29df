/** Runs nats-server as a child on a data folder of its own: loopback only, JetStream on disk, operator mode. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Account, type Layout, layout, renderConfig } from "./config.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import { ServerNotStarted, refusal } from "./refusal.ts";
import { inspectServer } from "./version.ts";

export { DataFolderHeld } from "./lock.ts";
export { ServerNotStarted };

export interface EmbeddedOptions {
  /** Path of nats-server, as {@link obtainNatsServer} found it. */
  readonly binary: string;
  /** Created when missing, readable by this user only. Locked while the server runs. */
  readonly dataDir: string;
  /** Default -1: a free one. */
  readonly port?: number;
  readonly operatorJwt: string;
  /** Public key; its JWT is among `accounts`. */
  readonly systemAccount: string;
  readonly accounts: readonly Account[];
  /** Default `always`: what is acknowledged survives a power cut. */
  readonly sync?: "always" | "default";
  /** Default `signalbox`. */
  readonly serverName?: string;
}

export interface EmbeddedServer {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  /** `http://127.0.0.1:<port>`: `/healthz`, `/varz`, … */
  readonly monitorUrl: string;
  readonly pid: number;
  /** Asks the server to end, ends it after 10 seconds, and lets go of the folder. May be called again. */
  stop(): Promise<void>;
  /** The exit code, null when a signal ended it; settles also when nobody asked it to end. */
  readonly exited: Promise<number | null>;
}

/** A store of a million subjects takes 8 seconds to come back. */
const READY_WITHIN_MS = 120_000;
const ASK_AGAIN_MS = 15;
const STOP_WITHIN_MS = 10_000;

/**
 * Starts the server and resolves when it is healthy, which is later than when its port answers.
 * @throws ServerNotStarted with one line and how to mend it: port in use, server too old, folder not writable,
 *   configuration refused; DataFolderHeld when another plane has the folder
 */
export async function startEmbeddedServer(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const inspected = await inspectServer(options.binary);
  if ("fault" in inspected) {
    throw new ServerNotStarted(
      `nats-server: \`${options.binary}\` ${inspected.fault}`,
      "set SIGNALBOX_NATS_SERVER to a newer one, or unset it and one is brought",
    );
  }
  const paths = layout(options.dataDir);
  prepareFolder(options.dataDir, paths);
  const lock = await lockFolder(options.dataDir);
  try {
    return await launch(options, paths, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function prepareFolder(dataDir: string, paths: Layout): void {
  try {
    for (const folder of [dataDir, paths.base]) mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const folder of [dataDir, paths.base]) accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new ServerNotStarted(
      `the data folder \`${dataDir}\` cannot be written: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
      "give this user the right to write there, or choose another folder with SIGNALBOX_DATA",
    );
  }
}

async function launch(options: EmbeddedOptions, paths: Layout, lock: FolderLock): Promise<EmbeddedServer> {
  const { binary, dataDir, port = -1 } = options;
  for (const folder of [paths.ports, paths.accounts, paths.store]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(paths.ports)) rmSync(join(paths.ports, name));
  const { operatorJwt, systemAccount, accounts, sync = "always", serverName = "signalbox" } = options;
  const config = { folder: dataDir, port, serverName, operatorJwt, systemAccount, accounts, sync };
  writeFileSync(paths.config, renderConfig(config), { mode: 0o600 });

  // To a file, not a pipe: a pipe breaks when this process is killed, and takes the server down in mid-write.
  const log = openSync(paths.log, "w", 0o600);
  const child = spawnOnLeash(binary, ["-c", paths.config], log, lock.fd);
  closeSync(log);
  if (child.pid !== undefined) lock.heldBy(child.pid);
  const exited = new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null));
    child.once("exit", (code) => resolve(code));
  });
  const running = { gone: false };
  void exited.then(() => {
    running.gone = true;
    lock.release();
  });

  try {
    const { url, monitorUrl } = await untilHealthy(join(paths.ports, `${basename(binary)}_${String(child.pid)}.ports`), running);
    return { url, monitorUrl, pid: child.pid ?? 0, exited, stop: () => stop(child, exited, running) };
  } catch (error) {
    await stop(child, exited, running);
    if (!(error instanceof GaveUp)) throw error;
    throw refusal(readFileSync(paths.log, "utf8"), port, error.message);
  }
}

/**
 * In a process group of its own, so that a Ctrl-C reaches the plane first and the server is stopped last. On a
 * leash, so that it does not outlive a plane that is killed: by the kernel where `setpriv` can ask for that, by a
 * shell that waits for our end of a pipe to close elsewhere.
 */
function spawnOnLeash(binary: string, args: readonly string[], log: number, lock: number | undefined): ChildProcess {
  const env = { GOMEMLIMIT: "1GiB", ...process.env };
  const stdio = ["ignore", log, log, lock ?? "ignore"] as const;
  if (hasSetpriv()) {
    return spawn("setpriv", ["--pdeathsig", "SIGTERM", binary, ...args], { stdio: [...stdio], env, detached: true });
  }
  const child = spawn(binary, args, { stdio: [...stdio], env, detached: true });
  if (child.pid !== undefined && process.platform !== "win32") {
    const script = 'cat >/dev/null; kill -TERM "$0"; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; kill -0 "$0" || exit 0; done; kill -KILL "$0"';
    const leash = spawn("sh", ["-c", script, String(child.pid)], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    leash.unref();
    child.once("exit", () => leash.kill("SIGKILL"));
  }
  return child;
}

function hasSetpriv(): boolean {
  return spawnSync("setpriv", ["--pdeathsig", "SIGTERM", "true"], { stdio: "ignore" }).status === 0;
}

/** The server ended, or was not healthy in time. */
class GaveUp extends Error {}

/** The ports file tells the addresses; `/healthz` answers 503 until the store is recovered and the port is open. */
async function untilHealthy(portsFile: string, running: { gone: boolean }): Promise<{ url: string; monitorUrl: string }> {
  const deadline = performance.now() + READY_WITHIN_MS;
  let found: { url: string; monitorUrl: string } | undefined;
  while (performance.now() < deadline) {
    if (running.gone) throw new GaveUp("it ended at once");
    found ??= readPorts(portsFile);
    if (found !== undefined && (await isHealthy(found.monitorUrl))) return found;
    await wait(ASK_AGAIN_MS);
  }
  throw new GaveUp(`it was not ready after ${READY_WITHIN_MS / 1000} seconds`);
}

function readPorts(file: string): { url: string; monitorUrl: string } | undefined {
  try {
    const { nats, monitoring } = JSON.parse(readFileSync(file, "utf8")) as { nats?: string[]; monitoring?: string[] };
    const [url, monitorUrl] = [nats?.[0], monitoring?.[0]];
    return url !== undefined && monitorUrl !== undefined ? { url, monitorUrl } : undefined;
  } catch {
    return undefined; // not there yet, or half written
  }
}

async function isHealthy(monitorUrl: string): Promise<boolean> {
  try {
    const answer = await fetch(`${monitorUrl}/healthz`, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}

async function stop(child: ChildProcess, exited: Promise<number | null>, running: { gone: boolean }): Promise<void> {
  if (running.gone) return;
  child.kill("SIGTERM");
  const limit = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  await exited;
  clearTimeout(limit);
}
