/** Holds a process to a part of a core: by a control group where one may be made, else by stopping it for the rest of each period. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Limited {
  /** `cgroup` or `signals`. */
  readonly by: string;
  /** Lets it run freely again. */
  release(): void;
}

const PERIOD_US = 20_000;
/** Stopping and waking cost, too: a longer period. */
const DUTY_MS = 100;
const ROOTS = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"] as const;

/** @param share of one core, above 0 and below 1 */
export function limitProcessor(pid: number, share: number): Limited {
  return byGroup(pid, share) ?? bySignals(pid, share);
}

function byGroup(pid: number, share: number): Limited | undefined {
  const quota = Math.round(PERIOD_US * share);
  for (const root of ROOTS) {
    const group = join(root, `signalbox-bench-${pid}`);
    try {
      mkdirSync(group);
      if (existsSync(join(group, "cpu.max"))) writeFileSync(join(group, "cpu.max"), `${quota} ${PERIOD_US}`);
      else {
        writeFileSync(join(group, "cpu.cfs_period_us"), String(PERIOD_US), { flag: "r+" });
        writeFileSync(join(group, "cpu.cfs_quota_us"), String(quota), { flag: "r+" });
      }
      writeFileSync(join(group, "cgroup.procs"), String(pid), { flag: "r+" });
      return {
        by: "cgroup",
        release: () => {
          try {
            writeFileSync(join(root, "cgroup.procs"), String(pid), { flag: "r+" });
          } catch {
            // it has ended: nothing is in the group
          }
          try {
            rmdirSync(group);
          } catch {
            // left to whoever cleans up the machine
          }
        },
      };
    } catch {
      try {
        rmdirSync(group);
      } catch {
        // it was never made
      }
    }
  }
  return undefined;
}

function bySignals(pid: number, share: number): Limited {
  let stopped = false;
  const signal = (name: "SIGSTOP" | "SIGCONT") => {
    try {
      process.kill(pid, name);
    } catch {
      // it has ended
    }
  };
  const turn = () => {
    stopped = !stopped;
    signal(stopped ? "SIGSTOP" : "SIGCONT");
    timer = setTimeout(turn, DUTY_MS * (stopped ? 1 - share : share));
  };
  let timer = setTimeout(turn, DUTY_MS * share);
  return {
    by: "signals",
    release: () => {
      clearTimeout(timer);
      signal("SIGCONT");
    },
  };
}
