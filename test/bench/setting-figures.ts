/** One sync setting's figures, under the names that the README and comparisons use. */
import type { FullLoad, Measured } from "./setting.ts";

/** Of several full loads the one with the most actions. */
const best = ({ full }: Measured): FullLoad => full.reduce((a, b) => (b.governed_actions_per_s > a.governed_actions_per_s ? b : a));
const ceilingOf = ({ ceiling }: Measured): number => Math.max(...Object.values(ceiling));

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
    replay_from_server_events_per_s: replay.replay_from_server_events_per_s,
    replay_verified_from_server_events_per_s: replay.replay_verified_from_server_events_per_s,
    cpu_ms_per_action: top.cpu_ms_per_action,
    ceiling_by_batch: ceiling,
    full_load: full,
    runs,
    actions,
    replayed_events: replay.events,
    faults: measured.faults,
  };
}

export type SettingFigures = ReturnType<typeof figures>;
