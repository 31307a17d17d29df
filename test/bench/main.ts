/**
 * `npm run bench`: what the plane does on this machine, beside what the bus could do, beside what was aimed at, and
 * beside what neighbours do.
 *
 *   npm run bench -- [--quick] [--scale <n>] [--only <part,part>] [--no-peers] [--actions <n>] [--sync default|always]
 *                    [--json <file>] [--profile <folder>] [--split] [--sums]
 *
 * `--quick` measures a little of everything in a minute or two, without neighbours; `--scale 0.1` measures large journals
 * at a tenth of the size that the goals speak of. Parts are settings, floor, conflicts, idle, startup, many, memory and peers.
 * `--actions` is how long memory is watched: 100,000 unless it says 1000000.
 *
 * `--profile` leaves a processor profile of each process in a folder, and prints whose the time was.
 *
 * `--split` gives the coordinator a process of its own; `npm start` has all services in one, and so has the benchmark.
 * `--sums` lets contracts limit what amounts add up to in a day, so that each write asks two ledgers before it is judged.
 *
 * Exits 1 when anything that was measured is missing, was done twice, or is not replayed byte for byte; never for a time.
 */
import { writeFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { parseArgs } from "node:util";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { MAX_RUNS } from "../../services/coordinator/segment-keeper.ts";
import { SERVICES } from "../../services/main.ts";
import { type Beside, measureBeside } from "../peers/beside.ts";
import { type Floor, measureFloor } from "./floor.ts";
import { measureJudging } from "./judging.ts";
import { type LargePlan, type LargeWhat, measureLarge } from "./large.ts";
import { type Parts, faultsOfParts } from "./parts.ts";
import { json, table } from "./report.ts";
import { type SettingFigures, figures } from "./setting-figures.ts";
import { type Plan, measure } from "./setting.ts";
import { shareLines, sharesOf } from "./shares.ts";
import type { Sync } from "./world.ts";

const PARTS = ["settings", "floor", "conflicts", "idle", "startup", "many", "memory", "peers"] as const;
type Part = (typeof PARTS)[number];

const { values } = parseArgs({
  allowNegative: true,
  options: {
    quick: { type: "boolean" },
    scale: { type: "string" },
    only: { type: "string" },
    peers: { type: "boolean" },
    actions: { type: "string" },
    sync: { type: "string" },
    json: { type: "string" },
    profile: { type: "string" },
    split: { type: "boolean" },
    sums: { type: "boolean" },
  },
});
const quick = values.quick === true;
const scale = Number(values.scale ?? (quick ? 0.01 : 1));
const say = (line: string) => console.error(line);
const chosen = new Set<Part>((values.only?.split(",") ?? PARTS).map(partOf));
if (values.peers === false || (quick && values.peers !== true)) chosen.delete("peers");

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
const large: LargePlan = {
  runs: Math.max(1000, Math.round(100_000 * scale)),
  live: Math.max(50, Math.round(1000 * scale)),
  few: 1000,
  many: Math.max(5000, Math.round(1_000_000 * scale)),
  // a segment is opened two minutes ahead: nothing for a quick look
  segmentRuns: scale < 0.1 ? Number.POSITIVE_INFINITY : Math.round(MAX_RUNS * scale),
  perSecond: 60,
  seconds: quick ? 3 : 15,
  rounds: quick ? 1 : 4,
  conflictSeconds: quick ? 3 : 18,
  idleRuns: quick ? 1500 : 6000,
  actions: Number(values.actions ?? Math.max(4000, Math.round(100_000 * Math.min(1, scale)))),
  policies: plan.policies,
};
const syncs: Sync[] = values.sync === "default" || values.sync === "always" ? [values.sync] : quick ? ["default"] : ["default", "always"];

const { path, version } = await obtainNatsServer({ log: say });
// the neighbours' part starts servers as tests do
process.env["SIGNALBOX_NATS_SERVER"] ??= path;
const judging = await measureJudging(50, quick ? 1000 : 8000, quick ? { agents: 5_000, tools: 500 } : undefined);
const settings: SettingFigures[] = [];
if (chosen.has("settings")) for (const sync of syncs) settings.push(figures(await measure(sync, plan, path, say)));
const floors: Floor[] = [];
if (chosen.has("floor")) for (const sync of syncs) floors.push(await measureFloor(sync, { inFlight: plan.inFlight.at(-1) ?? 1, seconds: plan.seconds, policies: plan.policies }, path, say));
const what = (["conflicts", "idle", "startup", "many", "memory"] as const).filter((part) => chosen.has(part));
const measured = await measureLarge(new Set<LargeWhat>(what), large, path, values.profile, say);
let beside: Beside | undefined;
if (chosen.has("peers")) beside = await measureBeside(quick ? 2 : Math.max(2, Math.round(6 * Math.min(1, scale))), path, say);

const parts: Parts = {
  scale,
  surroundings: {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    nats_server: version,
  },
  judging,
  settings,
  floors,
  ...measured,
  beside,
};
console.log(table(parts));
if (values.profile !== undefined) console.log(["", ...shareLines(sharesOf(values.profile))].join("\n"));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(json(parts), undefined, 2)}\n`);

const faults = faultsOfParts(parts);
for (const fault of faults.slice(0, 20)) console.error(fault);
if (faults.length > 0) {
  console.error(`${faults.length} fault(s): these figures count for nothing`);
  process.exitCode = 1;
}

function partOf(text: string): Part {
  const part = PARTS.find((one) => one === text);
  if (part === undefined) throw new Error(`there is no part \`${text}\`: ${PARTS.join(", ")}`);
  return part;
}
