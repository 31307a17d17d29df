/** Everything that one run of the benchmark measured; what was left out is undefined. */
import type { Beside } from "../peers/beside.ts";
import type { Conflicts } from "./conflicts.ts";
import type { Floor } from "./floor.ts";
import type { IdleRun } from "./idle.ts";
import type { Judging } from "./judging.ts";
import type { ManyRuns } from "./many-runs.ts";
import type { Flatness } from "./memory.ts";
import type { SettingFigures } from "./setting-figures.ts";
import type { Startup } from "./startup.ts";

export interface Surroundings {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly system: string;
  readonly node: string;
  readonly nats_server: string;
}

export interface Parts {
  /** Of the sizes that the goals speak of; 1 is all. */
  readonly scale: number;
  readonly surroundings: Surroundings;
  readonly judging: Judging;
  readonly settings: readonly SettingFigures[];
  /** For each setting: what its messages cost with nothing decided. */
  readonly floors: readonly Floor[];
  readonly conflicts?: Conflicts | undefined;
  readonly idle?: readonly IdleRun[] | undefined;
  readonly startup?: Startup | undefined;
  readonly many?: ManyRuns | undefined;
  readonly flat?: Flatness | undefined;
  readonly beside?: Beside | undefined;
}

/** Nothing that is in here was as it must be; figures beside a fault count for nothing. */
export function faultsOfParts({ settings, floors, conflicts, many, flat }: Parts): string[] {
  return [
    ...settings.flatMap(({ sync, faults }) => faults.map((fault) => `${sync}: ${fault}`)),
    ...floors.flatMap(({ sync, faults }) => faults.map((fault) => `messages alone, ${sync}: ${fault}`)),
    ...(conflicts?.faults ?? []).map((fault) => `conflicts: ${fault}`),
    ...(many?.faults ?? []).map((fault) => `many runs: ${fault}`),
    ...(flat?.faults ?? []).map((fault) => `memory: ${fault}`),
  ];
}
