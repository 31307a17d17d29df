/** Every goal is a key of the benchmark's JSON, with what was measured and whether it is met; what is missed fails nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { goalLines, goalsOf } from "./goals.ts";
import type { Parts } from "./parts.ts";
import { faultsOfParts } from "./parts.ts";
import { json, table } from "./report.ts";

const SURROUNDINGS = { cpu: "a processor", cores: 2, memory_gib: 24, system: "a system", node: "24", nats_server: "2.15" };
const JUDGING = { policies: 50, us_per_decision: 10, decision_us: { p50: 1, p99: 2 }, new_decision_us: { p50: 3, p99: 600 }, judgement_us: { p50: 5, p99: 6 }, registry: { agents: 1, tools: 1 }, registry_ratio: 1 };
const NOTHING: Parts = { scale: 1, surroundings: SURROUNDINGS, judging: JUDGING, settings: [], floors: [] };
const STARTED = { server_s: 1, services_s: 2, first_answer_s: 3, swept_s: 4.9, up_s: 4.9 };
const STARTUP = { events: 1_000_000, runs: 100_000, live: 1000, indexed: STARTED, cold: { ...STARTED, up_s: 40 }, again: STARTED, generated_events_per_s: 1 };
const MANY = { runs: { few: 1000, many: 1_000_000 }, streams: 2, actions_per_s: 60, few_ms: { p50: 1, p99: 2 }, many_ms: { p50: 1, p99: 2 }, ratio: { p50: 1.3, p99: 3.1 }, cpu_ms: { few: 1, many: 1, ratio: 1 }, stored_run_ms: { few: { p50: 1, p99: 1 }, many: { p50: 1, p99: 1 } }, server_mib: { few: 1, many: 2 }, faults: ["x_1/a was told `missing`"] };
const FLAT = { actions: 100_000, actions_per_s: 1000, heap_bytes_per_action: 63, rss_bytes_per_action: 1, samples: [], faults: [] };

const KEYS = [
  "governed_actions_per_s",
  "governed_actions_per_s_always",
  "ceiling_ratio",
  "quarter_load_ms",
  "replay_events_per_s",
  "replay_verified_events_per_s",
  "startup_s_1m_events",
  "cost_ratio_1m_runs",
  "bytes_per_idle_run",
  "heap_bytes_per_action",
  "new_decision_us",
];

test("every goal is a key of the JSON, also where nothing was measured, and is then neither met nor missed", () => {
  const found = json(NOTHING);
  assert.deepEqual(Object.keys(found.goals), KEYS);
  for (const key of KEYS) assert.ok(Object.hasOwn(found, key), key);
  for (const key of KEYS.filter((one) => one !== "new_decision_us")) {
    assert.deepEqual([found.goals[key]?.measured, found.goals[key]?.met], [null, null], key);
  }
  assert.equal(found.goals["new_decision_us"]?.met, false);
  assert.match(table(NOTHING), /startup_s_1m_events +not measured/);
});

test("what was measured stands beside its goal, and whether it is met; both of two percentiles count", () => {
  const parts: Parts = { ...NOTHING, startup: STARTUP, many: MANY, idle: [{ actions: 8, bytes: 2047, awake_bytes: 17_000 }], flat: FLAT };
  const { goals, cold_rebuild_s_1m_events: cold } = json(parts);
  assert.deepEqual(goals["startup_s_1m_events"], { goal: goals["startup_s_1m_events"]?.goal, measured: 4.9, met: true });
  assert.deepEqual([goals["cost_ratio_1m_runs"]?.measured, goals["cost_ratio_1m_runs"]?.met], [{ p50: 1.3, p99: 3.1 }, false]);
  assert.deepEqual([goals["bytes_per_idle_run"]?.measured, goals["bytes_per_idle_run"]?.met], [2047, true]);
  assert.equal(cold, 40);
});

test("a figure that was taken on less than its goal speaks of says so", () => {
  const goals = goalsOf({ ...NOTHING, scale: 0.1, startup: STARTUP, flat: FLAT });
  assert.equal(goals["startup_s_1m_events"]?.scaled, true);
  assert.equal(goals["heap_bytes_per_action"]?.scaled, true);
  assert.equal(goals["bytes_per_idle_run"]?.scaled, undefined);
  assert.ok(goalLines(goals).some((line) => /startup_s_1m_events +4\.9 .*measured on less/.test(line)));
});

test("what was not done as it must be is a fault of the whole", () => {
  assert.deepEqual(faultsOfParts({ ...NOTHING, many: MANY }), ["many runs: x_1/a was told `missing`"]);
});
