/** Where the processor went: the profiles of a folder, thread by thread, by the part of the plane or the library that was at work. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string; readonly url: string }; readonly children?: readonly number[] }[];
  readonly samples: readonly number[];
  /** Microseconds. */
  readonly timeDeltas: readonly number[];
}

export interface ThreadShares {
  readonly profile: string;
  readonly busy_s: number;
  /** By part, the largest first, in hundredths of the busy time. */
  readonly shares: readonly (readonly [string, number])[];
}

/** Threads that were busy for less than this are left out, s. */
const LEAST_S = 1;
const IDLE = "(idle)";

/** @param folder as `--cpu-prof-dir` left it */
export function sharesOf(folder: string): ThreadShares[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(".cpuprofile")).sort();
  return files.map((file) => sharesOfProfile(file, JSON.parse(readFileSync(join(folder, file), "utf8")) as Profile)).filter(({ busy_s }) => busy_s >= LEAST_S);
}

/** Node's own work counts for whoever asked for it. */
export function sharesOfProfile(profile: string, { nodes, samples, timeDeltas }: Profile): ThreadShares {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const parts = new Map<number, string>();
  const partOf = (id: number): string => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = byId.get(at)?.callFrame;
      if (frame === undefined) break;
      if (frame.functionName === IDLE) return IDLE;
      if (frame.functionName === "(garbage collector)") return "collecting garbage";
      const found = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(frame.url)?.[1] ?? /\/(services\/[a-z]+|machines|schemas|infra|test\/[a-z]+)\//.exec(frame.url)?.[1];
      if (found !== undefined) return found;
    }
    return "node";
  };
  const spent = new Map<string, number>();
  samples.forEach((id, index) => {
    let part = parts.get(id);
    if (part === undefined) parts.set(id, (part = partOf(id)));
    spent.set(part, (spent.get(part) ?? 0) + (timeDeltas[index] ?? 0));
  });
  spent.delete(IDLE);
  const busy = [...spent.values()].reduce((sum, us) => sum + us, 0);
  const shares = [...spent].map(([part, us]) => [part, Math.round((us * 1000) / busy) / 10] as const).sort((a, b) => b[1] - a[1]);
  return { profile, busy_s: Math.round(busy / 1e5) / 10, shares };
}

export function shareLines(threads: readonly ThreadShares[]): string[] {
  return threads.map(({ profile, busy_s, shares }) => `${profile}: ${busy_s} s: ${shares.filter(([, share]) => share >= 0.5).map(([part, share]) => `${part} ${share} %`).join(", ")}`);
}
