/** The figures as a table for people and as an object for programs. */
import { tenth } from "./figures.ts";
import type { Judging } from "./judging.ts";
import type { FullLoad, Measured } from "./setting.ts";

export interface Surroundings {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly system: string;
  readonly node: string;
  readonly nats_server: string;
}

/** Of several full loads the one with the most actions. */
const best = ({ full }: Measured): FullLoad => full.reduce((a, b) => (b.governed_actions_per_s > a.governed_actions_per_s ? b : a));
const ceilingOf = ({ ceiling }: Measured): number => Math.max(...Object.values(ceiling));

/** One setting under the names that the README and comparisons use. */
export function figures(measured: Measured) {
  const { sync, full, quarter, ceiling, replay, runs, actions } = measured;
  const top = best(measured);
  return {
    sync,
    governed_actions_per_s: top.governed_actions_per_s,
    events_per_s: top.events_per_s,
    ceiling_events_per_s: ceilingOf(measured),
    ceiling_ratio: Math.round((top.events_per_s / ceilingOf(measured)) * 1000) / 1000,
    in_flight: top.in_flight,
    proposal_to_dispatch_ms: top.proposal_to_dispatch_ms,
    dispatch_to_claim_ms: top.dispatch_to_claim_ms,
    report_to_answer_ms: top.report_to_answer_ms,
    proposal_to_outcome_ms: top.proposal_to_outcome_ms,
    quarter_load_ms: quarter.dispatch,
    quarter_load: quarter,
    replay_events_per_s: replay.replay_events_per_s,
    replay_verified_events_per_s: replay.replay_verified_events_per_s,
    cpu_ms_per_action: top.cpu_ms_per_action,
    ceiling_by_batch: ceiling,
    full_load: full,
    runs,
    actions,
    replayed_events: replay.events,
    faults: measured.faults,
  };
}

/** The first setting's figures stand at the top, those of all under `settings`. */
export function json(settings: readonly Measured[], surroundings: Surroundings, judging: Judging) {
  const all = settings.map(figures);
  return { ...all[0], judging, surroundings, settings: all };
}

export function table(settings: readonly Measured[], surroundings: Surroundings, judging: Judging): string {
  const all = settings.map(figures);
  const ms = ({ p50, p99 }: { p50: number; p99: number }) => `${p50} / ${p99}`;
  const count = (n: number) => n.toLocaleString("en");
  type Figures = (typeof all)[number];
  const rows: [string, (one: Figures) => string][] = [
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
    ["replay, events/s", (one) => count(one.replay_events_per_s)],
    ["replay and verify, events/s", (one) => count(one.replay_verified_events_per_s)],
    ["processor ms an action: plane + server + load", ({ cpu_ms_per_action: cpu }) => `${cpu.plane} + ${cpu.server} + ${cpu.load}`],
    ["runs, actions, events checked", (one) => `${count(one.runs)}, ${count(one.actions)}, ${count(one.replayed_events)}`],
  ];
  const cells = [["", ...all.map(({ sync }) => `sync ${sync}`)], ...rows.map(([name, of]) => [name, ...all.map(of)])];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
  const { cpu, cores, memory_gib, system, node, nats_server } = surroundings;
  return [
    `${cores} × ${cpu}, ${memory_gib} GiB, ${system}; Node ${node}, nats-server ${nats_server}`,
    "load, plane and server share this machine; admission quota as by default",
    "",
    ...lines,
    "",
    `policy: ${judging.us_per_decision} µs a decision (p50/p99 ${ms(judging.decision_us)}), ${ms(judging.new_decision_us)} of one that was never made before, in process, with ${judging.policies} policies`,
    `judgement: ${ms(judging.judgement_us)} µs p50/p99, and ${judging.registry_ratio} of that with ${count(judging.registry.agents)} agents and ${count(judging.registry.tools)} tools in the registry`,
  ].join("\n");
}
