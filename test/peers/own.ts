/** The plane's own part of the comparison, synced before each acknowledgement: runs of eight actions, and single transitions. */
import { SERVICES } from "../../services/main.ts";
import { percentiles } from "../bench/figures.ts";
import type { Took } from "../bench/load.ts";
import { World } from "../bench/world.ts";
import { AT_A_TIME, type Rate } from "./load.ts";

export const STEPS = 8;
const POLICIES = 20;

export interface OwnFigures {
  /** Runs of eight governed actions in sequence, from start to finish. */
  readonly runs: readonly Rate[];
  /** Notes: an input that is stored, applied, recorded and answered, and that no policy looks at. */
  readonly transitions: readonly Rate[];
}

export async function measureOwn(seconds: number, binary: string): Promise<OwnFigures> {
  const world = await World.begin({ sync: "always", binary });
  try {
    await world.plane(SERVICES);
    await world.applyDocuments(POLICIES, false);
    const load = await world.load();
    const rates = async (what: "sequences" | "notes"): Promise<Rate[]> => {
      const found: Rate[] = [];
      for (const atATime of AT_A_TIME) {
        const took = await load.ask<Took>({ do: what, options: { atATime, seconds, length: STEPS } });
        if (took.faults.length > 0) throw new Error(took.faults.slice(0, 5).join("\n"));
        found.push({ at_a_time: atATime, per_s: Math.round((took.ms.length * 10) / took.seconds) / 10, ms: percentiles(took.ms) });
      }
      return found;
    };
    // the first actions of a process are slower than all others
    await load.ask({ do: "sequences", options: { atATime: 16, seconds: Math.min(1, seconds), length: STEPS } });
    return { runs: await rates("sequences"), transitions: await rates("notes") };
  } finally {
    await world.end();
  }
}
