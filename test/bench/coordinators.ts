/**
 * `npm run coordinators`: what more coordinators do for one namespace, each in a process of its own.
 *
 *   npm run coordinators -- [--most 4] [--seconds 6] [--core 0.1] [--json <file>]
 *
 * Two curves. In the first each coordinator is held to a part of a core (`--core`), so that coordinators and not this
 * machine are the limit: it shows how the work is shared out. In the second they have what the machine gives, which
 * server, gateway and load use as well: it shows where the server and the machine are the limit.
 *
 * Exits 1 when anything that was measured is missing, was done twice, or is not replayed byte for byte; never for a time.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { SHARES } from "../../schemas/subjects.ts";
import { leaseholders } from "../coordinator/owners.ts";
import { type Limited, limitProcessor } from "./cpu-limit.ts";
import { hundredth } from "./figures.ts";
import { faultsOf, readWays } from "./journal.ts";
import type { Closed, Loaded, Seen } from "./load.ts";
import { type Child, cpuSeconds } from "./processes.ts";
import { replay } from "./replaying.ts";
import { NS, World } from "./world.ts";

const { values } = parseArgs({
  options: { most: { type: "string" }, seconds: { type: "string" }, core: { type: "string" }, json: { type: "string" } },
});
const most = Math.min(SHARES, Number(values.most ?? 4));
const seconds = Number(values.seconds ?? 6);
const core = Number(values.core ?? 0.1);
/** For each that is held: as many together in one commit, however many coordinators there are. */
const HELD_IN_FLIGHT = 64;
const IN_FLIGHT = 256;
const say = (line: string) => console.error(line);
const PATIENCE_MS = 60_000;
/** Enough to see that it is right; all of it is verified. */
const REPLAYED = 20_000;

interface Point {
  readonly coordinators: number;
  readonly governed_actions_per_s: number;
  /** Cores that each kind of process had, on average. */
  readonly cores: Readonly<Record<Who, number>>;
  /** Processor milliseconds for an action, which other work on the machine does not change much. */
  readonly ms: Readonly<Record<Who | "busiest", number>>;
}

/** `others` are gateway, ask and reader in one process. */
type Who = "coordinators" | "server" | "others" | "load";

// a gateway says aloud that it waits, which is what it is made to do here
process.env["SIGNALBOX_LOG"] ??= "error";
const { path: binary, version } = await obtainNatsServer({ log: say });
const world = await World.begin({ sync: "default", binary });
try {
  const others = await world.plane(["gateway", "ask", "reader"]);
  const coordinators = [await world.plane(["coordinator"])];
  await world.applyDocuments(20, false);
  const load = await world.load();
  const leases = await leaseholders({ server: world, ns: NS });
  const seen: Seen[] = [];
  const run = async (options: Closed): Promise<Loaded> => {
    const loaded = await load.ask<Loaded>({ do: "closed", options });
    seen.push(...loaded.seen);
    return loaded;
  };
  const used = () => ({
    each: coordinators.map(({ pid }) => cpuSeconds(pid)),
    coordinators: coordinators.reduce((total, { pid }) => total + cpuSeconds(pid), 0),
    server: cpuSeconds(world.server.pid),
    others: cpuSeconds(others.pid),
    load: cpuSeconds(load.pid),
  });

  const point = async (inFlight: number): Promise<Point> => {
    const [before, began] = [used(), performance.now()];
    const loaded = await run({ inFlight, seconds, runs: 0 });
    const [after, took] = [used(), (performance.now() - began) / 1000];
    const done = loaded.seen.filter(({ status, ended }) => status === "succeeded" && ended >= loaded.from && ended < loaded.until);
    const spent = (who: Who) => after[who] - before[who];
    const busiest = Math.max(...after.each.map((now, i) => now - (before.each[i] as number)));
    const cores = (who: Who) => hundredth(spent(who) / took);
    const ms = (seconds: number) => hundredth((seconds * 1000) / loaded.seen.length);
    return {
      coordinators: coordinators.length,
      governed_actions_per_s: Math.round((done.length * 1000) / (loaded.until - loaded.from)),
      cores: { coordinators: cores("coordinators"), server: cores("server"), others: cores("others"), load: cores("load") },
      ms: { coordinators: ms(spent("coordinators")), busiest: ms(busiest), server: ms(spent("server")), others: ms(spent("others")), load: ms(spent("load")) },
    };
  };

  const shared = async (): Promise<void> => {
    const each = coordinators.map((_, i) => Math.floor(SHARES / coordinators.length) + (i < SHARES % coordinators.length ? 1 : 0));
    await leases.until(() => leases.counts().join() === each.join(), "shares are not shared", PATIENCE_MS);
  };

  /** A process that has just begun pays for its compiler, and for the documents in force. */
  const warm = () => run({ inFlight: 64, seconds: Math.min(3, seconds), runs: 0 });
  await warm();
  const free = [await point(IN_FLIGHT)];
  while (coordinators.length < most) {
    coordinators.push(await world.plane(["coordinator"]));
    await shared();
    await warm();
    free.push(await point(IN_FLIGHT));
    say(line(free.at(-1) as Point, free[0] as Point));
  }
  const held: Point[] = [];
  let by = "";
  for (let n = most; n >= 1; n--) {
    const limits: Limited[] = coordinators.map(({ pid }) => limitProcessor(pid, core));
    by = limits[0]?.by ?? "";
    held.unshift(await point(HELD_IN_FLIGHT * n));
    say(`held: ${line(held[0] as Point, held[0] as Point)}`);
    for (const limit of limits) limit.release();
    // the next point has one less, whose shares the others take over
    if (n > 1) {
      await coordinators.pop()?.stop();
      await shared();
    }
  }
  leases.stop();
  await world.stopChildren();
  const reading = await world.connect("reader", "bench");
  const { ways } = await readWays(reading, NS, 1);
  const faults = await faultsOf(ways, seen, join(world.dataDir, "demo", `${NS}-effects.jsonl`));
  const replayed = await replay(await world.journal(), NS, REPLAYED, () => world.replayed(REPLAYED));
  faults.push(...replayed.faults);

  const columns = "coordinators  actions/s  of one  cores: coordinators  server  gateway, ask, reader  load  ms an action: coordinators  busiest  server";
  console.log(`nats-server ${version}, ${cpus().length} cores that everything shares; ${SHARES} shares of the inputs\n`);
  console.log(`each coordinator held to ${core} of a core (${by}): coordinators are the limit, not the machine; ${HELD_IN_FLIGHT} actions in flight for each`);
  console.log([columns, ...held.map((one) => line(one, held[0] as Point))].join("\n"));
  console.log(`\nnothing held: the machine's ${cpus().length} cores are the limit; ${IN_FLIGHT} actions in flight`);
  console.log([columns, ...free.map((one) => line(one, free[0] as Point))].join("\n"));
  console.log(`\n${replayed.events} events replayed and verified: ${faults.length === 0 ? "identical" : `${faults.length} fault(s)`}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ cores: cpus().length, core, by, held, free, faults: faults.length }, undefined, 2)}\n`);
  for (const fault of faults.slice(0, 20)) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
} finally {
  await world.end();
}

function line({ coordinators, governed_actions_per_s: rate, cores, ms }: Point, one: Point): string {
  const of = rate / one.governed_actions_per_s;
  const cells: [string | number, number][] = [[coordinators, 12], [rate, 11], [of.toFixed(2), 8], [cores.coordinators.toFixed(2), 21], [cores.server.toFixed(2), 8], [cores.others.toFixed(2), 23], [cores.load.toFixed(2), 6], [ms.coordinators.toFixed(2), 28], [ms.busiest.toFixed(2), 9], [ms.server.toFixed(2), 8]];
  return cells.map(([text, width]) => String(text).padStart(width)).join("");
}
