/**
 * What was aimed at, beside what was measured. A goal that is missed is no fault: the benchmark ends with 0 all the same,
 * and says which it was.
 */
import type { Percentiles } from "./figures.ts";
import type { Parts } from "./parts.ts";

export interface Goal {
  readonly goal: string;
  /** Null where this part was not measured. */
  readonly measured: number | Percentiles | null;
  readonly met: boolean | null;
  /** Of a smaller run than the goal speaks of. */
  readonly scaled?: true;
}

/** Bytes of the heap an action may leave behind: what a counter or two would, and no cache that never ends. */
const FLAT_BYTES_PER_ACTION = 64;

/** By the keys under which the figures stand in the JSON. */
export function goalsOf(parts: Parts): Readonly<Record<string, Goal>> {
  const setting = (sync: string) => parts.settings.find((one) => one.sync === sync);
  const [first] = parts.settings;
  const eight = parts.idle?.find(({ actions }) => actions === 8);
  const scaled = parts.scale < 1;
  const goals: Record<string, Goal> = {};
  const add = (key: string, goal: string, measured: number | Percentiles | undefined, met: (value: never) => boolean, small = false) => {
    goals[key] = { goal, measured: measured ?? null, met: measured === undefined ? null : met(measured as never), ...(small && { scaled: true }) };
  };
  const least = (bound: number) => (value: number) => value >= bound;
  const below = (bound: number) => (value: number) => value < bound;
  const both = (p50: number, p99: number) => (value: Percentiles) => value.p50 < p50 && value.p99 < p99;
  add("governed_actions_per_s", "2,500 or more, default sync", setting("default")?.governed_actions_per_s, least(2500));
  add("governed_actions_per_s_always", "1,500 or more, synced before each acknowledgement", setting("always")?.governed_actions_per_s, least(1500));
  add("ceiling_ratio", "0.25 or more of the raw batched ceiling; 0.40 is aimed at", first?.ceiling_ratio, least(0.25));
  add("quarter_load_ms", "proposal to dispatch: p50 under 6 ms, p99 under 25 ms", first?.quarter_load_ms, both(6, 25));
  add("replay_events_per_s", "150,000 or more a second of one core", first?.replay_events_per_s, least(150_000));
  add("replay_verified_events_per_s", "90,000 or more a second of one core, with chain and state hash", first?.replay_verified_events_per_s, least(90_000));
  add("startup_s_1m_events", "under 5 s: 1,000,000 events, 100,000 runs, 1,000 of them live", parts.startup?.indexed.up_s, below(5), scaled);
  const ratio = parts.many?.ratio;
  add("cost_ratio_1m_runs", "at most 1.3 at p50 and 3 at p99: 1,000,000 runs stored instead of 1,000", ratio, (value: Percentiles) => value.p50 <= 1.3 && value.p99 <= 3, scaled);
  add("bytes_per_idle_run", "under 2,048 in cache, after eight actions", eight?.bytes, below(2048));
  add("heap_bytes_per_action", `flat: under ${FLAT_BYTES_PER_ACTION} bytes an action over 1,000,000 actions`, parts.flat?.heap_bytes_per_action, below(FLAT_BYTES_PER_ACTION), (parts.flat?.actions ?? 0) < 1_000_000);
  add("new_decision_us", "p99 under 600 µs with 50 policies, in process; 300 is aimed at", parts.judging.new_decision_us, ({ p99 }: Percentiles) => p99 < 600);
  return goals;
}

export function goalLines(goals: Readonly<Record<string, Goal>>): string[] {
  const text = (value: Goal["measured"]) => (value === null ? "not measured" : typeof value === "number" ? value.toLocaleString("en") : `${value.p50} / ${value.p99}`);
  const rows = Object.entries(goals).map(([key, { goal, measured, met, scaled }]) => [key, text(measured), met === null ? "" : met ? "met" : "missed", `${goal}${scaled === true && measured !== null ? " (measured on less)" : ""}`]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
}
