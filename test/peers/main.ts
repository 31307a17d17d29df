/**
 * `npm run peers [-- --seconds <n>] [--json <file>]`: neighbours on this machine, one after the other, beside the plane.
 *
 * What is compared is not the same, and the table says so: a governed action is validated, judged by policy, claimed,
 * called over the bus, checked and recorded as seven events; a step of a durable handler is a function called in the
 * handler's own process, and its result recorded.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { SERVICES } from "../../services/main.ts";
import { measure } from "../bench/setting.ts";
import { measureCommits } from "./commits.ts";
import { measureEmmett } from "./emmett.ts";
import { installPeers } from "./install.ts";
import { AT_A_TIME, type Rate } from "./load.ts";
import { measureRestate } from "./restate.ts";

const { values } = parseArgs({ options: { seconds: { type: "string" }, json: { type: "string" } } });
const seconds = Number(values.seconds ?? "6");
const say = (line: string) => console.error(line);
const { path } = await obtainNatsServer({ log: say });
process.env["SIGNALBOX_NATS_SERVER"] ??= path;

const results: Record<string, unknown> = {};
const rows: string[] = ["| | at a time | a second | p50 ms | p99 ms |", "|---|---|---|---|---|"];
const row = (what: string, { at_a_time, per_s, ms }: Rate, each = 1) => rows.push(`| ${what} | ${at_a_time} | ${per_s * each} | ${ms.p50} | ${ms.p99} |`);

const { full, faults } = await measure(
  "always",
  { inFlight: AT_A_TIME, seconds, runs: 0, quarterSeconds: 1, ceilingSeconds: 1, replayEvents: 1000, policies: 20, sums: false, processes: [SERVICES], profile: undefined },
  path,
  say,
);
if (faults.length > 0) throw new Error(faults.join("\n"));
results["signalbox_actions"] = full;
for (const one of full) row("Signalbox: governed actions in sequence", { at_a_time: one.in_flight, per_s: one.governed_actions_per_s, ms: one.proposal_to_outcome_ms });
await attempted("restate", async () => {
  installPeers();
  const restate = await measureRestate(seconds);
  for (const rate of restate.handlers) row("Restate: steps of an 8-step handler (times are of the handler)", rate, 8);
  for (const rate of restate.transitions) row("Restate with XState: transitions", rate);
  return restate;
});
const commits = await measureCommits(seconds);
results["signalbox_commits"] = commits;
for (const rate of commits) row("Signalbox: commits of 4 events, synced", rate);
await attempted("emmett", async () => {
  installPeers();
  const emmett = await measureEmmett(seconds);
  for (const rate of emmett) row("Emmett on PostgreSQL: commits of 4 events, synced", rate);
  return emmett;
});

console.log(rows.join("\n"));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);

/** A neighbour that cannot be had here is left out, and it is said why. */
async function attempted(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    results[name] = await work();
  } catch (error) {
    say(`${name} was not measured: ${(error as Error).message}`);
  }
}
