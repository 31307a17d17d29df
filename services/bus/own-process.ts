/** Which process this is, and whether another one of the same machine is gone. */
import { readFileSync, readlinkSync } from "node:fs";

/**
 * This process, so that another one on the same machine sees at once that it is gone: boot, process namespace, process
 * id and when it was started, which no two processes share. Null where the system does not tell.
 */
export function ownProcess(): string | null {
  const own = ownSurroundings();
  const started = own && startedAt(process.pid);
  return own && started ? `${own} ${process.pid} ${started}` : null;
}

/** Whether that process is certainly gone: false also for one that cannot be seen from here. */
export function isProcessGone(identity: string | null): boolean {
  const [boot, namespace, pid, started] = (identity ?? "").split(" ");
  if (ownSurroundings() !== `${boot} ${namespace}` || !Number.isSafeInteger(Number(pid))) return false;
  return startedAt(Number(pid)) !== started;
}

let surroundings: string | null | undefined;

/** Process ids mean the same to processes of one boot and one namespace of process ids. */
function ownSurroundings(): string | null {
  if (surroundings !== undefined) return surroundings;
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    surroundings = `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    surroundings = null;
  }
  return surroundings;
}

/** In ticks since the boot; undefined for a process that does not run any more. */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // its name may hold anything
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
