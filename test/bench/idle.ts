/**
 * What an idle run takes in the coordinator's memory: runs made by the machines, put into its lanes as it does, looked at
 * once garbage is collected. In a process of its own, with nothing else in its heap: `node --expose-gc idle.ts <folder>`.
 */
import type { Loaded } from "../../services/coordinator/aggregates.ts";
import { Lanes } from "../../services/coordinator/lanes.ts";
import { Recent } from "../../services/coordinator/recent.ts";
import { subjects } from "../../schemas/subjects.ts";
import { RunMaker, nameOf } from "./generate.ts";
import { NS } from "./world.ts";

export interface IdleRun {
  readonly actions: number;
  /** In cache, at rest: heap and what it holds outside, its place in the cache included. */
  readonly bytes: number;
  /** As a graph of objects, as the runs are that were used last. */
  readonly awake_bytes: number;
}

/** All but the last go to rest. */
const AWAKE = 1;

function used(): number {
  const gc = (globalThis as { gc?: () => void }).gc;
  if (gc === undefined) throw new Error("start it with --expose-gc");
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function loadedOf(maker: RunMaker, n: number, actions: number, part: string): Loaded & { kind: "run" } {
  const { agent, run } = nameOf(part, n);
  const { state, head } = maker.make(run, agent, { actions, end: "open" }, Date.UTC(2026, 0, 31, 9, 30));
  return { ns: NS, name: run, kind: "run", subject: subjects.log(NS, "run", run), head, streamSeq: n + 1, recent: new Recent(), state };
}

export async function measureIdle(folder: string, most: number, lengths: readonly number[]): Promise<IdleRun[]> {
  const maker = await RunMaker.of(NS, folder);
  return lengths.map((actions) => {
    // long runs take long to make
    const runs = Math.ceil(most / Math.max(1, actions / 8));
    let lanes: Lanes | undefined = new Lanes(AWAKE);
    const rest = (n: number) => {
      const loaded = loadedOf(maker, n, actions, `i${actions}x`);
      const lane = lanes?.lane(loaded.name);
      if (lane === undefined) return;
      lane.loaded = loaded;
      lane.issued = new Set(["timer/wall/1", "timer/half/1"]);
      lanes?.release(lane);
    };
    for (let n = 0; n < runs; n++) rest(n);
    // by what is free again without them: making them has left other things in memory
    const held = used();
    lanes = undefined;
    const bytes = Math.round((held - used()) / runs);
    const few = Math.ceil(runs / 20);
    let awake: unknown[] = Array.from({ length: few }, (_, n) => loadedOf(maker, n, actions, `w${actions}x`));
    const together = used();
    awake = [];
    const awake_bytes = Math.round((together - used()) / few);
    return { actions, bytes, awake_bytes };
  });
}

if (import.meta.main) {
  const [folder = "", runs = "10000"] = process.argv.slice(2);
  console.log(JSON.stringify(await measureIdle(folder, Number(runs), [1, 8, 20])));
}
