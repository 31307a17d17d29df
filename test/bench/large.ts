/** What is measured on journals made for it: start-up, many runs, conflicts, memory. */
import type { Service } from "../../services/main.ts";
import { SERVICES } from "../../services/main.ts";
import { measureConflicts } from "./conflicts.ts";
import { RunMaker } from "./generate.ts";
import { measureManyRuns } from "./many-runs.ts";
import { measureFlatness, measureIdleRuns } from "./memory.ts";
import type { Parts } from "./parts.ts";
import { measureStartup } from "./startup.ts";
import { NS, World } from "./world.ts";

export type LargeWhat = "conflicts" | "idle" | "startup" | "many" | "memory";

export interface LargePlan {
  /** In the journal that a plane starts on, ten events each; and how many of them are live. */
  readonly runs: number;
  readonly live: number;
  /** Stored, with which an action is compared. */
  readonly few: number;
  readonly many: number;
  /** Runs in one stream of the journal before the next is opened. */
  readonly segmentRuns: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly conflictSeconds: number;
  readonly idleRuns: number;
  /** Over which memory is watched. */
  readonly actions: number;
  readonly policies: number;
}

const ROLES: readonly Service[] = SERVICES;

export async function measureLarge(
  what: ReadonlySet<LargeWhat>,
  plan: LargePlan,
  binary: string,
  profile: string | undefined,
  say: (line: string) => void,
): Promise<Pick<Parts, "conflicts" | "idle" | "startup" | "many" | "flat">> {
  /** A server with the benchmark's documents in force, and nothing else running. */
  const world = async () => {
    const begun = await World.begin({ sync: "default", binary, profile });
    const plane = await begun.plane(ROLES);
    await begun.applyDocuments(plan.policies, false);
    await plane.stop();
    return begun;
  };
  const within = async <T>(use: (world: World) => Promise<T>): Promise<T> => {
    const own = await world();
    try {
      return await use(own);
    } finally {
      await own.end();
    }
  };
  const conflicts = what.has("conflicts") ? await within((own) => measureConflicts(own, plan.conflictSeconds)) : undefined;
  if (conflicts !== undefined) say(`conflicts: ${JSON.stringify(conflicts)}`);
  const idle = what.has("idle") ? await within((own) => measureIdleRuns(own.folder, plan.idleRuns)) : undefined;
  if (idle !== undefined) say(`idle runs: ${JSON.stringify(idle)}`);
  let startup: Parts["startup"];
  let many: Parts["many"];
  if (what.has("startup") || what.has("many")) {
    await within(async (large) => {
      const maker = await RunMaker.of(NS, large.folder);
      // the journal of the one is the beginning of the other's
      startup = await measureStartup(large, maker, plan.runs, plan.live, say);
      if (!what.has("many")) return;
      many = await within((small) => measureManyRuns(large, small, maker, { ...plan, stored: plan.runs }, say));
    });
  }
  const flat = what.has("memory") ? await within((own) => measureFlatness(own, plan.actions, say)) : undefined;
  return { conflicts, idle, startup, many, flat };
}
