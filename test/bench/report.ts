/** The figures as a table for people and as an object for programs. */
import { besideTable } from "../peers/beside.ts";
import { hundredth, tenth } from "./figures.ts";
import type { Floor } from "./floor.ts";
import { type Goal, goalLines, goalsOf } from "./goals.ts";
import { type Parts, faultsOfParts } from "./parts.ts";
import type { SettingFigures } from "./setting-figures.ts";

/** Every goal under its key, then what it was taken from; the first setting's figures stand at the top. */
export function json(parts: Parts) {
  const { settings, floors, judging, surroundings, startup, many, conflicts, idle, flat, beside, scale } = parts;
  const goals: Readonly<Record<string, Goal>> = goalsOf(parts);
  const keys = Object.fromEntries(Object.entries(goals).map(([key, { measured }]) => [key, measured]));
  return {
    ...settings[0],
    ...keys,
    cold_rebuild_s_1m_events: startup?.cold.up_s ?? null,
    commit_cost_ratio_1pct_conflicts: conflicts?.cost_ratio ?? null,
    goals,
    scale,
    surroundings,
    faults: faultsOfParts(parts),
    judging,
    floors,
    startup,
    many_runs: many,
    conflicts,
    idle_runs: idle,
    memory: flat,
    peers: beside,
    settings,
  };
}

const ms = ({ p50, p99 }: { readonly p50: number; readonly p99: number }) => `${p50} / ${p99}`;
const count = (n: number) => n.toLocaleString("en");

export function table(parts: Parts): string {
  const { settings, surroundings, judging } = parts;
  const { cpu, cores, memory_gib, system, node, nats_server } = surroundings;
  return [
    `${cores} × ${cpu}, ${memory_gib} GiB, ${system}; Node ${node}, nats-server ${nats_server}`,
    "load, plane and server share this machine; admission quota as by default",
    "",
    ...(settings.length > 0 ? [...settingLines(settings), ""] : []),
    `policy: ${judging.us_per_decision} µs a decision (p50/p99 ${ms(judging.decision_us)}), ${ms(judging.new_decision_us)} of one that was never made before, in process, with ${judging.policies} policies`,
    `judgement: ${ms(judging.judgement_us)} µs p50/p99, and ${judging.registry_ratio} of that with ${count(judging.registry.agents)} agents and ${count(judging.registry.tools)} tools in the registry`,
    ...parts.floors.map(floorLine),
    ...scaleLines(parts),
    ...(parts.beside === undefined ? [] : ["", besideTable(parts.beside)]),
    "",
    ...goalLines(goalsOf(parts)),
  ].join("\n");
}

function floorLine({ sync, actions_per_s, in_flight, cpu_ms_per_action: cpu, messages_per_action: { plane, floor } }: Floor): string {
  const all = hundredth(cpu.deciding + cpu.carrying_out + cpu.server + cpu.load);
  return `the messages alone, sync ${sync}: ${count(actions_per_s)} actions/s (${in_flight} in flight); processor ms an action ${all}: deciding nothing ${cpu.deciding}, carrying nothing out ${cpu.carrying_out}, server ${cpu.server}, load ${cpu.load}; ${floor.in} messages in and ${floor.out} out, of the plane's ${plane.in} and ${plane.out}`;
}

function settingLines(all: readonly SettingFigures[]): string[] {
  const rows: [string, (one: SettingFigures) => string][] = [
    ["governed actions/s", (one) => `${count(one.governed_actions_per_s)} (${one.in_flight} in flight)`],
    ["events/s", (one) => count(one.events_per_s)],
    ["raw ceiling, events/s", (one) => count(one.ceiling_events_per_s)],
    ["ratio to the ceiling", (one) => `${tenth(one.ceiling_ratio * 100)} %`],
    ["full load, p50 / p99 ms:", () => ""],
    ["  proposal to dispatch", (one) => ms(one.proposal_to_dispatch_ms)],
    ["  dispatch to claim granted", (one) => ms(one.dispatch_to_claim_ms)],
    ["  report to answer", (one) => ms(one.report_to_answer_ms)],
    ["  proposal to outcome", (one) => ms(one.proposal_to_outcome_ms)],
    ["quarter load, p50 / p99 ms:", (one) => `${count(one.quarter_load.actions_per_s)} actions/s`],
    ["  proposal to dispatch", (one) => ms(one.quarter_load.dispatch)],
    ["  agent: proposal to verdict", (one) => ms(one.quarter_load.verdict)],
    ["  agent: proposal to outcome", (one) => ms(one.quarter_load.outcome)],
    ["replay, events a second of one core", (one) => count(one.replay_events_per_s)],
    ["replay and verify, events a second of one core", (one) => count(one.replay_verified_events_per_s)],
    ["the same from the server, events/s", (one) => `${count(one.replay_from_server_events_per_s)}, ${count(one.replay_verified_from_server_events_per_s)}`],
    ["processor ms an action: plane + server + load", ({ cpu_ms_per_action: cpu }) => `${cpu.plane} + ${cpu.server} + ${cpu.load}`],
    ["runs, actions, events checked", (one) => `${count(one.runs)}, ${count(one.actions)}, ${count(one.replayed_events)}`],
  ];
  const cells = [["", ...all.map(({ sync }) => `sync ${sync}`)], ...rows.map(([name, of]) => [name, ...all.map(of)])];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
}

function scaleLines({ startup, many, conflicts, idle, flat }: Parts): string[] {
  const lines: string[] = [];
  if (startup !== undefined) {
    const { events, runs, live, indexed, cold } = startup;
    const parts = (one: typeof indexed) => `${one.up_s} s (server ${one.server_s}, services ${one.services_s}, first answer ${one.first_answer_s}, all swept ${one.swept_s})`;
    lines.push(`start-up after everything was killed, ${count(events)} events of ${count(runs)} runs, ${count(live)} live: ${parts(indexed)}; without an index ${parts(cold)}`);
  }
  if (many !== undefined) {
    const { runs, streams, few_ms, many_ms, ratio, cpu_ms, stored_run_ms, server_mib } = many;
    lines.push(
      `an action with ${count(runs.few)} and with ${count(runs.many)} runs stored, over ${streams} stream(s): ${ms(few_ms)} and ${ms(many_ms)} ms p50/p99, ${ms(ratio)} times; processor ${cpu_ms.few} and ${cpu_ms.many} ms; a question to a run that ended long ago ${ms(stored_run_ms.few)} and ${ms(stored_run_ms.many)} ms; server ${server_mib.few} and ${server_mib.many} MiB`,
    );
  }
  if (conflicts !== undefined) {
    const { group, none, one_percent, cost_ratio } = conflicts;
    lines.push(`commits in groups of ${group}: ${count(none.commits_per_s)}/s, ${ms(none.ms)} ms a group; with 1 % conflicts ${count(one_percent.commits_per_s)}/s, ${ms(one_percent.ms)} ms: ${cost_ratio} times the cost`);
  }
  if (idle !== undefined) lines.push(`an idle run in cache: ${idle.map(({ actions, bytes, awake_bytes }) => `${count(bytes)} bytes after ${actions} action(s) (${count(awake_bytes)} before it was put to rest)`).join(", ")}`);
  if (flat !== undefined) {
    const last = flat.samples.at(-1);
    lines.push(`memory over ${count(flat.actions)} actions at ${count(flat.actions_per_s)}/s: ${flat.heap_bytes_per_action} bytes of heap and ${flat.rss_bytes_per_action} of the process for each of the second half; at the end ${last?.heap_mib ?? 0} and ${last?.rss_mib ?? 0} MiB, server ${last?.server_mib ?? 0} MiB`);
  }
  return lines;
}
