/**
 * Whether memory stays flat: actions of ever new runs, and what the plane's process and the coordinator's heap take while
 * they go on. What is in caches grows until they are full, so only the second half counts.
 */
import { fork } from "node:child_process";
import { SERVICES } from "../../services/main.ts";
import type { IdleRun } from "./idle.ts";
import type { Took } from "./load.ts";
import type { World } from "./world.ts";

export interface Flatness {
  readonly actions: number;
  readonly actions_per_s: number;
  /** Growth over the second half, bytes for each action: of the coordinator's heap once garbage is collected, and of the process. */
  readonly heap_bytes_per_action: number;
  readonly rss_bytes_per_action: number;
  readonly samples: readonly { readonly actions: number; readonly heap_mib: number; readonly rss_mib: number; readonly server_mib: number }[];
  readonly faults: readonly string[];
}

const SAMPLES = 20;
const MIB = 2 ** 20;

/** @param world with documents in force and nothing running but the server */
export async function measureFlatness(world: World, actions: number, say: (line: string) => void): Promise<Flatness> {
  const plane = await world.plane(SERVICES, ["--expose-gc"]);
  const load = await world.load();
  const samples: Flatness["samples"][number][] = [];
  const faults: string[] = [];
  const step = Math.max(1, Math.round(actions / SAMPLES));
  let seconds = 0;
  for (let done = 0; done < actions; ) {
    const took = await load.ask<Took>({ do: "many", options: { atATime: 256, actions: step } });
    done += step;
    seconds += took.seconds;
    faults.push(...took.faults);
    const { heap, rss } = await plane.ask<{ heap: number; rss: number }>({ do: "memory" });
    const { mem } = (await (await fetch(`${world.server.monitorUrl}/varz`)).json()) as { mem: number };
    samples.push({ actions: done, heap_mib: Math.round(heap / MIB), rss_mib: Math.round(rss / MIB), server_mib: Math.round(mem / MIB) });
    say(`memory: ${JSON.stringify(samples.at(-1))}`);
  }
  await world.stopChildren();
  const half = samples.slice(Math.floor(samples.length / 2));
  return {
    actions: samples.at(-1)?.actions ?? 0,
    actions_per_s: Math.round((samples.at(-1)?.actions ?? 0) / seconds),
    heap_bytes_per_action: slope(half.map(({ actions: x, heap_mib }) => [x, heap_mib * MIB])),
    rss_bytes_per_action: slope(half.map(({ actions: x, rss_mib }) => [x, rss_mib * MIB])),
    samples,
    faults,
  };
}

/** By least squares. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([x]) => x), mean(([, y]) => y)];
  const over = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0);
  const under = points.reduce((sum, [px]) => sum + (px - x) ** 2, 0);
  return under === 0 ? 0 : Math.round(over / under);
}

/** In a process of its own, whose heap holds nothing else. @param folder of documents */
export async function measureIdleRuns(folder: string, runs: number): Promise<readonly IdleRun[]> {
  const child = fork(new URL("idle.ts", import.meta.url), [folder, String(runs)], { execArgv: ["--expose-gc"], stdio: ["ignore", "pipe", "inherit", "ipc"] });
  let text = "";
  child.stdout?.on("data", (bytes: Buffer) => (text += bytes.toString()));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`the measurement of idle runs ended with ${String(code)}`);
  return JSON.parse(text) as IdleRun[];
}
