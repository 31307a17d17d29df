/**
 * How long a plane takes to come up on a large journal after everything was killed: server, services, the first answer
 * to an agent, and every run that was live swept, so that what it owed is owed to nobody any more. Once with the run
 * index of the data folder, once without any index at all.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { RunId } from "../../schemas/ids.ts";
import type { Service } from "../../services/main.ts";
import { type Script, generate, type RunMaker, nameOf } from "./generate.ts";
import { tenth } from "./figures.ts";
import type { Took } from "./load.ts";
import { NS, type World } from "./world.ts";

/** Seconds since everything was dead. */
export interface Started {
  readonly server_s: number;
  readonly services_s: number;
  /** The first proposal of a new run was decided. */
  readonly first_answer_s: number;
  /** Every live run's dispatch is in the queue again. */
  readonly swept_s: number;
  /** All of the above. */
  readonly up_s: number;
}

export interface Startup {
  readonly events: number;
  readonly runs: number;
  readonly live: number;
  readonly indexed: Started;
  /** Indexes deleted. */
  readonly cold: Started;
  /** A second time with the index, after the cold one made it again. */
  readonly again: Started;
  readonly generated_events_per_s: number;
}

/** No gateway: what the sweep pays stays where it can be counted. */
const ROLES: readonly Service[] = ["coordinator", "reader", "ask"];
const PART = "g";

/** Of runs that have ended after one action, from all over the journal. */
export function endedNames(runs: number, live: number, most: number) {
  const script = scriptOf(runs, live);
  const names: RunId[] = [];
  const fits = (n: number) => script(n).actions === 1 && script(n).end === "finish";
  for (let index = 0; index < most; index++) {
    let n = Math.floor((index * runs) / most);
    while (n < runs && !fits(n)) n += 1;
    if (n < runs) names.push(nameOf(PART, n).run);
  }
  return names;
}

/** Ten events a run on average, one run in a hundred live. */
export function scriptOf(runs: number, live: number): (n: number) => Script {
  const every = Math.floor(runs / live);
  return (n) => (n % every === 0 && n / every < live ? { actions: 1, end: "owed" } : { actions: n % 6 === 1 ? 2 : 1, end: "finish" });
}

/** @param world with documents in force and nothing running but the server */
export async function measureStartup(world: World, maker: RunMaker, runs: number, live: number, say: (line: string) => void): Promise<Startup> {
  const began = performance.now();
  const events = await generate(await world.connect("coordinator", "bench-generate"), maker, PART, runs, scriptOf(runs, live));
  const rate = Math.round((events * 1000) / (performance.now() - began));
  say(`start-up: ${events} events of ${runs} runs, ${live} of them live, made and stored at ${rate}/s`);
  // a plane that ran all the time would have indexed them as they came
  const planes = await world.plane(ROLES);
  await planes.stop();
  await world.kill();
  const indexed = await start(world, live);
  say(`start-up: ${JSON.stringify(indexed)}`);
  await rm(join(world.dataDir, "index"), { recursive: true, force: true });
  const cold = await start(world, live);
  say(`start-up without an index: ${JSON.stringify(cold)}`);
  const again = await start(world, live);
  await world.startServer();
  return { events, runs, live, indexed, cold, again, generated_events_per_s: rate };
}

/** From nothing to up, and then everything is killed. */
async function start(world: World, live: number): Promise<Started> {
  const began = performance.now();
  const since = () => tenth((performance.now() - began) / 1000);
  await world.startServer();
  const server_s = since();
  const queue = new StreamReader(await world.connect("coordinator", "bench-watch"), streamName("DISPATCH", NS));
  const before = (await queue.info()).messages;
  // agents do not wait for the plane before they log in
  const loading = world.load();
  await world.plane(ROLES);
  const services_s = since();
  const first = loading.then(async (load) => {
    const { faults } = await load.ask<Took>({ do: "verdict" });
    if (faults.length > 0) throw new Error(faults[0]);
    return since();
  });
  // one more is that of the first answer
  while ((await queue.info()).messages - before < live + 1) await new Promise((resolve) => setTimeout(resolve, 20));
  const swept_s = since();
  const first_answer_s = await first;
  await world.kill();
  return { server_s, services_s, first_answer_s, swept_s, up_s: Math.max(first_answer_s, swept_s) };
}
