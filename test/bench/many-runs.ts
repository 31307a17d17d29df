/**
 * What an action costs with a million runs stored, in parts of what it costs with a thousand: two planes, each on a
 * server and a journal of its own, given the same load in turns, so that both meet the same weather.
 */
import { setTimeout } from "node:timers/promises";
import type { Service } from "../../services/main.ts";
import { SERVICES } from "../../services/main.ts";
import { type Percentiles, hundredth, percentiles } from "./figures.ts";
import { type RunMaker, generate } from "./generate.ts";
import type { Loaded, Open, Took } from "./load.ts";
import { type Child, cpuSeconds } from "./processes.ts";
import { openSegment } from "./segments.ts";
import { endedNames, scriptOf } from "./startup.ts";
import type { World } from "./world.ts";

export interface ManyRuns {
  readonly runs: { readonly few: number; readonly many: number };
  /** Streams that the larger journal is spread over, as a plane would have spread it. */
  readonly streams: number;
  readonly actions_per_s: number;
  /** Proposal to outcome as the agent sees it, ms. */
  readonly few_ms: Percentiles;
  readonly many_ms: Percentiles;
  readonly ratio: Percentiles;
  /** Processor milliseconds of plane and server for an action, and their ratio. */
  readonly cpu_ms: { readonly few: number; readonly many: number; readonly ratio: number };
  /** A question to a run that ended long ago, ms: its events are read and folded before it is answered. */
  readonly stored_run_ms: { readonly few: Percentiles; readonly many: Percentiles };
  /** Of each server, MiB. */
  readonly server_mib: { readonly few: number; readonly many: number };
  readonly faults: readonly string[];
}

export interface ManyRunsPlan {
  readonly few: number;
  /** In all, those that are stored already included. */
  readonly many: number;
  /** Runs in one stream before the next is opened. */
  readonly segmentRuns: number;
  readonly stored: number;
  readonly live: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly rounds: number;
}

interface Side {
  readonly world: World;
  readonly load: Child;
  readonly plane: Child;
  readonly took: number[];
  cpu: number;
}

const ROLES: readonly Service[] = SERVICES;
const RECALLED = 400;

/** @param large with a journal of `stored` runs; @param small with an empty one; nothing runs on either but the server */
export async function measureManyRuns(large: World, small: World, maker: RunMaker, plan: ManyRunsPlan, say: (line: string) => void): Promise<ManyRuns> {
  const { few, many, segmentRuns, stored, live, perSecond, seconds, rounds } = plan;
  await generate(await small.connect("coordinator", "bench-generate"), maker, "g", few, scriptOf(few, Math.ceil(few / 100)));
  const began = performance.now();
  const writer = await large.connect("coordinator", "bench-generate");
  // begun and ended: a subject, and hardly a byte more
  const script = () => ({ actions: 0, end: "finish" }) as const;
  await generate(writer, maker, "f", Math.max(0, Math.min(many, segmentRuns) - stored), script);
  let streams = 1;
  let from = 0;
  for (let left = many - Math.max(stored, segmentRuns); left > 0; left -= segmentRuns) {
    from = await openSegment(large);
    await generate(writer, maker, `f${++streams}`, Math.min(left, segmentRuns), script, { segment: streams, began: from });
    // runs that start from now on belong into the newest one
    await setTimeout(Math.max(0, from - Date.now()));
  }
  say(`many runs: ${many} stored in ${streams} stream(s), ${Math.round((performance.now() - began) / 1000)} s for those that were missing`);
  const sides: [Side, Side] = [await side(small), await side(large)];
  const faults: string[] = [];
  const names = [endedNames(few, Math.ceil(few / 100), RECALLED), endedNames(stored, live, RECALLED)];
  const recalled: Percentiles[] = [];
  for (const [index, { load }] of sides.entries()) {
    const took = await load.ask<Took>({ do: "recall", options: { names: names[index] } });
    recalled.push(percentiles(took.ms));
    faults.push(...took.faults);
  }
  // the first round warms both
  for (let round = 0; round <= rounds; round++) {
    for (const one of round % 2 === 0 ? sides : sides.toReversed()) {
      const options: Open = { perSecond, seconds: round === 0 ? Math.min(2, seconds) : seconds };
      const before = cpu(one);
      const { seen } = await one.load.ask<Loaded>({ do: "open", options });
      for (const { run, id, kind, status } of seen) if (status !== (kind === "denied" ? "denied" : "succeeded")) faults.push(`${run}/${id} was told \`${status}\``);
      if (round === 0) continue;
      one.cpu += cpu(one) - before;
      for (const { kind, sent, ended } of seen) if (kind !== "denied") one.took.push(ended - sent);
    }
  }
  const [a, b] = sides;
  const [few_ms, many_ms] = [percentiles(a.took), percentiles(b.took)];
  const cpuOf = (one: Side) => hundredth((one.cpu * 1000) / one.took.length);
  const server_mib = { few: await rss(small), many: await rss(large) };
  for (const { world } of sides) await world.stopChildren();
  const result: ManyRuns = {
    runs: { few, many },
    streams,
    actions_per_s: perSecond,
    few_ms,
    many_ms,
    ratio: { p50: hundredth(many_ms.p50 / few_ms.p50), p99: hundredth(many_ms.p99 / few_ms.p99) },
    cpu_ms: { few: cpuOf(a), many: cpuOf(b), ratio: hundredth(b.cpu / b.took.length / (a.cpu / a.took.length)) },
    stored_run_ms: { few: recalled[0] as Percentiles, many: recalled[1] as Percentiles },
    server_mib,
    faults,
  };
  say(`many runs: ${JSON.stringify(result)}`);
  return result;
}

async function side(world: World): Promise<Side> {
  const plane = await world.plane(ROLES);
  return { world, plane, load: await world.load(), took: [], cpu: 0 };
}

function cpu({ world, plane }: Side): number {
  return cpuSeconds(plane.pid) + cpuSeconds(world.server.pid);
}

async function rss(world: World): Promise<number> {
  const { mem } = (await (await fetch(`${world.server.monitorUrl}/varz`)).json()) as { mem: number };
  return Math.round(mem / 2 ** 20);
}
