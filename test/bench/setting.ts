/** One sync setting, from an empty data folder to verified figures: raw ceiling, full load, quarter load, replay. */
import { join } from "node:path";
import { namespace } from "../../schemas/ids.ts";
import { streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { Service } from "../../services/main.ts";
import { ceiling, record } from "./ceiling.ts";
import { type JournalWays, type Way, faultsOf, readWays } from "./journal.ts";
import { type Percentiles, percentiles } from "./figures.ts";
import type { Closed, Loaded, Open, Seen } from "./load.ts";
import { type Child, cpuSeconds } from "./processes.ts";
import { type Replayed, replay } from "./replaying.ts";
import { NS, type Sync, World } from "./world.ts";

export interface Plan {
  readonly inFlight: readonly number[];
  readonly seconds: number;
  /** In all of the full load. */
  readonly runs: number;
  readonly quarterSeconds: number;
  readonly ceilingSeconds: number;
  /** At most so many events are replayed without verification, to time it; all are replayed and verified. */
  readonly replayEvents: number;
  readonly policies: number;
  /** Whether contracts limit what amounts add up to in a day. */
  readonly sums: boolean;
  /** Roles of each process of the plane; `npm start` has all in one. */
  readonly processes: readonly (readonly Service[])[];
  readonly profile: string | undefined;
}

export interface FullLoad {
  readonly in_flight: number;
  readonly governed_actions_per_s: number;
  readonly events_per_s: number;
  readonly proposal_to_dispatch_ms: Percentiles;
  readonly dispatch_to_claim_ms: Percentiles;
  readonly report_to_answer_ms: Percentiles;
  /** As the agent sees it: proposal sent, outcome heard. */
  readonly proposal_to_outcome_ms: Percentiles;
  /** Processor milliseconds for each action, its share of runs' beginnings and ends included. */
  readonly cpu_ms_per_action: Shares;
}

export interface Measured {
  readonly sync: Sync;
  readonly full: readonly FullLoad[];
  readonly quarter: { readonly actions_per_s: number; readonly dispatch: Percentiles; readonly verdict: Percentiles; readonly outcome: Percentiles };
  readonly ceiling: Readonly<Record<string, number>>;
  readonly replay: Replayed;
  readonly runs: number;
  readonly actions: number;
  /** What was not as it must be; the figures count for nothing unless this is empty. */
  readonly faults: readonly string[];
}

/** Events that are held in memory to time replay alone. */
const IN_MEMORY = 60_000;

/** The ceiling has a journal of its own, in a namespace where no service runs. */
const CEILING = namespace("ceiling");

export async function measure(sync: Sync, plan: Plan, binary: string, say: (line: string) => void): Promise<Measured> {
  const world = await World.begin({ sync, binary, namespaces: [CEILING], profile: plan.profile });
  const { dataDir, server } = world;
  try {
    const planes: Child[] = [];
    for (const roles of plan.processes) planes.push(await world.plane(roles));
    await world.applyDocuments(plan.policies, plan.sums);
    const load = await world.load();

    const reading = await world.connect("reader", "bench");
    const journal = new StreamReader(reading, streamName("JOURNAL", NS));
    const lastSeq = async () => (await journal.info()).lastSeq;
    const seen: Seen[] = [];
    let runs = 0;
    const closed = async (options: Closed): Promise<Loaded> => {
      const loaded = await load.ask<Loaded>({ do: "closed", options });
      seen.push(...loaded.seen);
      runs += loaded.runs;
      return loaded;
    };

    // a small load first: it warms the processes, and its events are what the ceiling appends
    const first = (await lastSeq()) + 1;
    await closed({ inFlight: 64, seconds: Math.min(2, plan.seconds / 2), runs: 0 });
    const events = await record(reading, NS, first, 6000);
    const writer = await world.connect("coordinator", "bench-ceiling");
    const ceilings: Record<string, number> = {};
    for (const size of [256, 512]) ceilings[String(size)] = Math.round(await ceiling(writer, CEILING, events, size, plan.ceilingSeconds));
    say(`${sync}: ceiling ${Object.entries(ceilings).map(([size, rate]) => `${rate}/s in batches of ${size}`).join(", ")}`);

    const full: FullLoad[] = [];
    const pids = { plane: planes.map(({ pid }) => pid), server: [server.pid], load: [load.pid] };
    for (const inFlight of plan.inFlight) {
      const fromSeq = (await lastSeq()) + 1;
      const before = used(pids);
      const loaded = await closed({ inFlight, seconds: plan.seconds, runs: Math.ceil(plan.runs / plan.inFlight.length) });
      const cpu = shares(before, used(pids), loaded.seen.length);
      full.push(fullLoad(inFlight, loaded, await readWays(reading, NS, fromSeq), cpu));
      const { governed_actions_per_s: rate, events_per_s } = full.at(-1) as FullLoad;
      say(`${sync}: ${inFlight} in flight: ${rate} governed actions/s, ${events_per_s} events/s; processor ms an action: plane ${cpu.plane}, server ${cpu.server}, load ${cpu.load}`);
    }

    const perSecond = Math.max(...full.map((one) => one.governed_actions_per_s)) / 4;
    const fromSeq = (await lastSeq()) + 1;
    const options: Open = { perSecond, seconds: plan.quarterSeconds };
    const loaded = await load.ask<Loaded>({ do: "open", options });
    seen.push(...loaded.seen);
    runs += loaded.runs;
    const quarter = quarterLoad(loaded, await readWays(reading, NS, fromSeq));
    say(`${sync}: a quarter of that: proposal to dispatch p50 ${quarter.dispatch.p50} ms, p99 ${quarter.dispatch.p99} ms`);

    await world.stopChildren();
    const { ways } = await readWays(reading, NS, 1);
    const faults = await faultsOf(ways, seen, join(dataDir, "demo", `${NS}-effects.jsonl`));
    const replayed = await replay(journal, NS, plan.replayEvents, () => world.replayed(Math.min(plan.replayEvents, IN_MEMORY)));
    faults.push(...replayed.faults);
    say(`${sync}: ${replayed.events} events of ${runs} runs replayed and verified: ${faults.length === 0 ? "identical" : `${faults.length} fault(s)`}`);
    return { sync, full, quarter, ceiling: ceilings, replay: replayed, runs, actions: seen.length, faults };
  } finally {
    await world.end();
  }
}

type Shares = Readonly<Record<"plane" | "server" | "load", number>>;

/** Processor seconds so far. */
function used(pids: Readonly<Record<keyof Shares, readonly number[]>>): Shares {
  const of = (who: keyof Shares) => pids[who].reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  return { plane: of("plane"), server: of("server"), load: of("load") };
}

function shares(before: Shares, after: Shares, actions: number): Shares {
  const of = (who: keyof Shares) => Math.round(((after[who] - before[who]) / actions) * 1e5) / 100;
  return { plane: of("plane"), server: of("server"), load: of("load") };
}

/** What fell into the time of full load. */
function fullLoad(inFlight: number, { seen, from, until }: Loaded, { ways, stored }: JournalWays, cpu: Shares): FullLoad {
  const done = seen.filter(({ status, ended }) => status === "succeeded" && ended >= from && ended < until);
  const perSecond = (count: number) => Math.round((count * 1000) / (until - from));
  const pairs = done.flatMap((one): [Seen, Way][] => {
    const way = ways.get(`${one.run}/${one.id}`);
    return way === undefined ? [] : [[one, way]];
  });
  return {
    in_flight: inFlight,
    governed_actions_per_s: perSecond(done.length),
    events_per_s: perSecond(stored.filter((time) => time >= from && time < until).length),
    proposal_to_dispatch_ms: percentiles(pairs.map(([, way]) => way.dispatched - way.proposed)),
    // a read is claimed by its report
    dispatch_to_claim_ms: percentiles(pairs.flatMap(([{ kind }, way]) => (kind === "write" ? [way.started - way.dispatched] : []))),
    report_to_answer_ms: percentiles(pairs.map(([{ ended }, way]) => ended - way.reported)),
    proposal_to_outcome_ms: percentiles(done.map(({ sent, ended }) => ended - sent)),
    cpu_ms_per_action: cpu,
  };
}

function quarterLoad({ seen, from, until }: Loaded, { ways }: JournalWays): Measured["quarter"] {
  const done = seen.filter(({ status, sent }) => status === "succeeded" && sent >= from && sent < until);
  const dispatch = done.flatMap(({ run, id }) => {
    const way = ways.get(`${run}/${id}`);
    return way === undefined ? [] : [way.dispatched - way.proposed];
  });
  return {
    actions_per_s: Math.round((done.length * 1000) / (until - from)),
    dispatch: percentiles(dispatch),
    verdict: percentiles(done.map(({ sent, verdict }) => verdict - sent)),
    outcome: percentiles(done.map(({ sent, ended }) => ended - sent)),
  };
}
