/**
 * The lock on a data folder. nats-server takes none: two servers on one folder both start, and ruin it.
 *
 * Where the machine has `flock`, the kernel holds the lock on our open file for as long as anybody has that file
 * open: this process, and the nats-server that inherits it. So a killed plane whose server still writes is still
 * locked, and neither kill -9 nor a reboot leaves anything to clean up. Elsewhere a file names plane and server by
 * pid and start time, so that a pid used again is not mistaken for them.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

export interface FolderLock {
  /** Handed to a child that must be gone before the lock is; undefined where the kernel holds no lock. */
  readonly fd: number | undefined;
  /** To be told of that child where there is no `fd` to hand to it. */
  heldBy(pid: number): void;
  release(): void;
}

/** Another process has the folder. */
export class DataFolderHeld extends Error {
  override readonly name = "DataFolderHeld";
  readonly help: string;
  constructor(folder: string, holder: number | undefined) {
    super(`the data folder \`${folder}\` is held by ${holder === undefined ? "another process" : `process \`${holder}\``}`);
    this.help = "end that process, or choose another folder with SIGNALBOX_DATA";
  }
}

/** How long a server that outlived its plane may take to write its state down. */
const LEFTOVER_SECONDS = 15;

/** Takes the lock at once or not at all; waits only for the server of a plane that was killed.
 *  @throws DataFolderHeld */
export async function lockFolder(folder: string): Promise<FolderLock> {
  mkdirSync(folder, { recursive: true });
  return hasFlock() ? lockByKernel(folder) : lockByName(folder);
}

interface Holder {
  readonly pid: number;
  /** When that process was started, in the words of the system; empty where it tells nothing. */
  readonly started: string;
  /** The server of this plane, where only the file tells of it. */
  readonly server?: Holder;
}

let flockThere: boolean | undefined;

function hasFlock(): boolean {
  flockThere ??= spawnSync("flock", ["--version"], { stdio: "ignore" }).error === undefined;
  return flockThere;
}

async function lockByKernel(folder: string): Promise<FolderLock> {
  const path = join(folder, "lock");
  const fd = openSync(path, "a+", 0o600);
  try {
    if (!(await flock(fd, ["-n"]))) {
      const holder = readHolder(path);
      if (holder === undefined || isAlive(holder) || !(await flock(fd, ["-w", String(LEFTOVER_SECONDS)]))) {
        throw new DataFolderHeld(folder, holder?.pid);
      }
    }
    writeHolder(fd, holderOf(process.pid));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, heldBy: () => {}, release: onlyOnce(() => closeSync(fd)) };
}

/** `flock` locks the open file that it inherits: the lock is the file's, not the command's, and stays when it ends. */
async function flock(fd: number, options: readonly string[]): Promise<boolean> {
  const child = spawn("flock", [...options, "3"], { stdio: ["ignore", "ignore", "ignore", fd] });
  const [code] = (await once(child, "exit")) as [number | null];
  return code === 0;
}

async function lockByName(folder: string): Promise<FolderLock> {
  const path = join(folder, "lock.pid");
  const deadline = performance.now() + LEFTOVER_SECONDS * 1000;
  while (performance.now() < deadline) {
    const fd = openNew(path);
    if (fd !== undefined) {
      writeHolder(fd, holderOf(process.pid));
      const release = onlyOnce(() => {
        closeSync(fd);
        rmSync(path, { force: true });
      });
      return { fd: undefined, heldBy: (pid) => writeHolder(fd, { ...holderOf(process.pid), server: holderOf(pid) }), release };
    }
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder)) throw new DataFolderHeld(folder, holder.pid);
    if (holder?.server !== undefined && isAlive(holder.server)) await wait(50);
    else takeAway(path, holder);
  }
  throw new DataFolderHeld(folder, readHolder(path)?.server?.pid);
}

/** Undefined when the file is there. */
function openNew(path: string): number | undefined {
  try {
    return openSync(path, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
}

/** Moves a dead holder's file away. Of two that do so at once, the slower one may move the faster one's new file. */
function takeAway(path: string, dead: Holder | undefined): void {
  const away = `${path}.${process.pid}`;
  try {
    renameSync(path, away);
  } catch {
    return;
  }
  const moved = readHolder(away);
  if (moved !== undefined && moved.pid !== dead?.pid) renameSync(away, path);
  else rmSync(away, { force: true });
}

function holderOf(pid: number): Holder {
  return { pid, started: startOf(pid) };
}

/** In one write from the start of the file; a longer text before it leaves nothing behind. */
function writeHolder(fd: number, holder: Holder): void {
  ftruncateSync(fd);
  writeSync(fd, JSON.stringify(holder), 0);
}

function readHolder(path: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8")) as Partial<Holder>;
    return typeof holder.pid === "number" ? { started: "", ...holder, pid: holder.pid } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return started === "" || startOf(pid) === started;
}

/** No start time, and not the empty word for "unknown" either. */
const ENDED = "ended";

/** Linux counts in clock ticks since boot (with the boot's id beside it); elsewhere `ps` knows the date. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name of the command stands in brackets and may hold anything: what counts comes after the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z") return ENDED; // its parent has not asked for its end yet, which may take for ever
    const ticks = fields[19] ?? "";
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${ticks}`;
  } catch {
    const ps = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
    return typeof ps.stdout === "string" ? ps.stdout.trim() : "";
  }
}

function onlyOnce(work: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
  };
}
