/**
 * `npm run bench`: what the plane does on this machine, beside what the bus could do.
 *
 *   npm run bench -- [--quick] [--sync default|always] [--json <file>] [--profile <folder>] [--split] [--sums]
 *
 * `--split` gives the coordinator a process of its own; `npm start` has all services in one, and so has the benchmark.
 *
 * `--sums` lets contracts limit what amounts add up to in a day, so that each write asks two ledgers before it is judged.
 *
 * Exits 1 when anything that was measured is missing, was done twice, or is not replayed byte for byte.
 */
import { writeFileSync } from "node:fs";
import { cpus, totalmem, type, release } from "node:os";
import { parseArgs } from "node:util";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { SERVICES } from "../../services/main.ts";
import { measureJudging } from "./judging.ts";
import { json, table } from "./report.ts";
import { type Measured, type Plan, measure } from "./setting.ts";
import type { Sync } from "./world.ts";

const { values } = parseArgs({
  options: { quick: { type: "boolean" }, sync: { type: "string" }, json: { type: "string" }, profile: { type: "string" }, split: { type: "boolean" }, sums: { type: "boolean" } },
});
const quick = values.quick === true;
const say = (line: string) => console.error(line);

const plan: Plan = {
  inFlight: quick ? [256] : [256, 512],
  seconds: quick ? 6 : 12,
  runs: quick ? 0 : 1200,
  quarterSeconds: quick ? 3 : 8,
  ceilingSeconds: quick ? 1 : 3,
  replayEvents: quick ? 20_000 : 200_000,
  policies: 20,
  sums: values.sums === true,
  processes: values.split === true ? [["coordinator"], ["gateway", "ask", "reader"]] : [SERVICES],
  profile: values.profile,
};
const syncs: Sync[] = values.sync === "default" || values.sync === "always" ? [values.sync] : quick ? ["default"] : ["default", "always"];

const { path, version } = await obtainNatsServer({ log: say });
const policies = 50;
const judging = await measureJudging(policies, quick ? 1000 : 8000, quick ? { agents: 5_000, tools: 500 } : undefined);
const settings: Measured[] = [];
for (const sync of syncs) settings.push(await measure(sync, plan, path, say));

const surroundings = {
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
  memory_gib: Math.round(totalmem() / 2 ** 30),
  system: `${type()} ${release()}`,
  node: process.versions.node,
  nats_server: version,
};
console.log(table(settings, surroundings, judging));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(json(settings, surroundings, judging), undefined, 2)}\n`);

const faults = settings.flatMap(({ sync, faults }) => faults.map((fault) => `${sync}: ${fault}`));
for (const fault of faults.slice(0, 20)) console.error(fault);
if (faults.length > 0) {
  console.error(`${faults.length} fault(s): these figures count for nothing`);
  process.exitCode = 1;
}
