/**
 * `node infra/sizing.ts --actions-per-second 1000`: what a plane costs, by arithmetic over what was measured. Every figure
 * of {@link MEASURED} names the command that measures it; put in your own by `--<figure> <value>`.
 */
import { parseArgs } from "node:util";

/** On two shared virtual cores; yours are better, and the same commands say how much. Today's values stand here and nowhere else. */
export const MEASURED = {
  /** Processor milliseconds of an action, synced before each acknowledgement. `npm run bench`: `cpu_ms_per_action`. */
  plane_ms_per_action: 0.72,
  server_ms_per_action: 0.51,
  // the rest: `node test/deploy/measure.ts`
  /** Processor of three servers that hold a stream together, to that of one (41.2 to 25.4 ms for 1,000 events). */
  replica_factor: 1.6,
  /** Events a second that one journal took with three replicas, synced, three servers and the load on two busy cores: the low side. */
  journal_events_per_s: 7_000,
  events_per_action: 7.1,
  actions_per_run: 11.9,
  /** With inputs of 1 KB. */
  journal_bytes_per_action: 9_384,
  /** Written by one server for all streams together. */
  disk_bytes_per_action: 24_516,
  /** In and out of one server, everything together. */
  network_bytes_per_action: 45_650,
  /** Resident memory of a server that was started again, for each run that a journal holds. */
  bytes_per_subject: 194,
} as const;

export type Figures = { readonly [name in keyof typeof MEASURED]: number };

export interface Wanted {
  readonly actionsPerSecond: number;
  /** How long runs stay in the cluster before they are exported and their segment is taken away. */
  readonly keptDays: number;
  /** Processors of one server of a cluster, and its memory for subjects. */
  readonly serverCores: number;
  readonly serverMemoryGib: number;
  /** How much of a machine is planned for: the rest is for the death of another, and for peaks. */
  readonly utilisation: number;
}

export const DEFAULTS: Omit<Wanted, "actionsPerSecond"> = { keptDays: 7, serverCores: 16, serverMemoryGib: 64, utilisation: 0.5 };

export interface Size {
  /** Namespaces, or segments that are written at the same time: each has a journal, and each journal a leader. */
  readonly journals: number;
  /** Of coordinators, gateways, readers. */
  readonly planeCores: number;
  /** Of nats-servers, all replicas. */
  readonly serverCores: number;
  readonly clusters: number;
  /** What sets the number of clusters. */
  readonly limit: "processor" | "memory" | "one";
  readonly runsPerSecond: number;
  readonly eventsPerSecond: number;
  readonly journalTerabytesPerYear: number;
  readonly keptTerabytes: number;
  readonly diskMegabytesPerSecond: number;
  readonly networkMegabytesPerSecond: number;
  /** Of one server of three, for the runs that are kept, were there but one cluster. */
  readonly subjectGibPerServer: number;
}

const REPLICAS = 3;
const DAY = 86_400;
const YEAR = 365 * DAY;
const GIB = 1024 ** 3;

export function sizeOf(wanted: Wanted, figures: Figures = MEASURED): Size {
  const { actionsPerSecond: rate, keptDays, utilisation } = wanted;
  const events = rate * figures.events_per_action;
  const runs = rate / figures.actions_per_run;
  const planeCores = (rate * figures.plane_ms_per_action) / 1000 / utilisation;
  const serverCores = (rate * figures.server_ms_per_action * figures.replica_factor) / 1000 / utilisation;
  const subjectBytes = runs * keptDays * DAY * figures.bytes_per_subject;
  const byProcessor = Math.ceil(serverCores / (REPLICAS * wanted.serverCores));
  const byMemory = Math.ceil(subjectBytes / (wanted.serverMemoryGib * GIB * utilisation));
  return {
    journals: Math.ceil(events / (figures.journal_events_per_s * utilisation)),
    planeCores: Math.ceil(planeCores),
    serverCores: Math.ceil(serverCores),
    clusters: Math.max(1, byProcessor, byMemory),
    limit: Math.max(byProcessor, byMemory) <= 1 ? "one" : byMemory > byProcessor ? "memory" : "processor",
    runsPerSecond: runs,
    eventsPerSecond: events,
    journalTerabytesPerYear: (rate * figures.journal_bytes_per_action * YEAR) / 1e12,
    keptTerabytes: (rate * figures.journal_bytes_per_action * keptDays * DAY * REPLICAS) / 1e12,
    diskMegabytesPerSecond: (rate * figures.disk_bytes_per_action * REPLICAS) / 1e6,
    networkMegabytesPerSecond: (rate * (figures.network_bytes_per_action + figures.journal_bytes_per_action * (REPLICAS - 1))) / 1e6,
    subjectGibPerServer: subjectBytes / GIB,
  };
}

/** Lines of name, figure and formula. */
export function tableOf(wanted: Wanted, figures: Figures = MEASURED): [string, string, string][] {
  const size = sizeOf(wanted, figures);
  const number = (value: number) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
  const share = wanted.utilisation;
  return [
    ["governed actions/s", number(wanted.actionsPerSecond), "as wanted"],
    ["events/s", number(size.eventsPerSecond), `× ${figures.events_per_action} events an action`],
    ["runs/s", number(size.runsPerSecond), `÷ ${figures.actions_per_run} actions a run`],
    ["journals (namespaces)", number(size.journals), `events ÷ ${number(figures.journal_events_per_s)} a journal × ${share} in use`],
    ["cores for coordinators, gateways, readers", number(size.planeCores), `× ${figures.plane_ms_per_action} ms ÷ ${share}`],
    ["cores for nats-servers, all replicas", number(size.serverCores), `× ${figures.server_ms_per_action} ms × ${figures.replica_factor} ÷ ${share}`],
    ["memory for runs that are kept, GiB in each of three servers, over all clusters", number(size.subjectGibPerServer), `runs × ${wanted.keptDays} days × ${figures.bytes_per_subject} bytes`],
    ["clusters of three servers", number(size.clusters), `${size.limit === "one" ? "one is enough" : `set by ${size.limit}`}: ${wanted.serverCores} cores and ${wanted.serverMemoryGib} GiB a server, ${share} in use`],
    ["written to disks, MB/s, all replicas", number(size.diskMegabytesPerSecond), `× ${figures.disk_bytes_per_action} bytes × 3`],
    ["network, MB/s", number(size.networkMegabytesPerSecond), `× ${figures.network_bytes_per_action} bytes, and the journal to two others`],
    ["journal on disks, TB, all replicas", number(size.keptTerabytes), `× ${figures.journal_bytes_per_action} bytes × ${wanted.keptDays} days × 3`],
    ["journal of a year, TB, one copy", number(size.journalTerabytesPerYear), `× ${figures.journal_bytes_per_action} bytes × 365 days`],
  ];
}

const HELP = `node infra/sizing.ts --actions-per-second <n> [options]

  --kept-days n          how long runs stay in the cluster (default: ${DEFAULTS.keptDays})
  --server-cores n       of each nats-server (default: ${DEFAULTS.serverCores})
  --server-memory n      GiB of each nats-server for subjects (default: ${DEFAULTS.serverMemoryGib})
  --utilisation x        share of a machine that is planned for (default: ${DEFAULTS.utilisation})
  --json
  --<figure> <value>     your own measurement: ${Object.keys(MEASURED).map((name) => name.replaceAll("_", "-")).join(", ")}
`;

function main(argv: readonly string[]): void {
  const names = Object.keys(MEASURED) as (keyof Figures)[];
  const optionOf = (name: string) => name.replaceAll("_", "-");
  const texts = ["actions-per-second", "kept-days", "server-cores", "server-memory", "utilisation", ...names.map(optionOf)];
  const options = { json: { type: "boolean" as const }, help: { type: "boolean" as const, short: "h" }, ...Object.fromEntries(texts.map((name) => [name, { type: "string" as const }])) };
  const values = parseArgs({ args: [...argv], options }).values as Readonly<Record<string, string | boolean | undefined>>;
  if (values["help"] === true) return void console.log(HELP);
  const number = (name: string, otherwise?: number): number => {
    const value = values[name] === undefined ? (otherwise ?? Number.NaN) : Number(values[name]);
    if (!(value > 0)) throw new Error(`\`--${name}\` wants a number above 0`);
    return value;
  };
  const figures = Object.fromEntries(names.map((name) => [name, number(optionOf(name), MEASURED[name])])) as Figures;
  const wanted: Wanted = {
    actionsPerSecond: number("actions-per-second"),
    keptDays: number("kept-days", DEFAULTS.keptDays),
    serverCores: number("server-cores", DEFAULTS.serverCores),
    serverMemoryGib: number("server-memory", DEFAULTS.serverMemoryGib),
    utilisation: number("utilisation", DEFAULTS.utilisation),
  };
  if (values["json"] === true) return void console.log(JSON.stringify({ wanted, figures, size: sizeOf(wanted, figures) }, undefined, 2));
  const rows = tableOf(wanted, figures);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const [name, value, formula] of rows) console.log(`${name.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}  ${formula}`);
}

if (import.meta.main) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(`signalbox: ${(error as Error).message}\n  help: node infra/sizing.ts --help`);
    process.exit(2);
  }
}
