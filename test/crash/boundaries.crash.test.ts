/**
 * Law 3, law 9: every capability's play is stopped at every message that crosses a service's connection, and comes to
 * the same end. `npm test` tries a sample, another one each time; CRASH_ALL=1 (`npm run crash`) tries all. A failure
 * prints what to set to see it again.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { CAPABILITIES } from "./capabilities.ts";
import type { Capability } from "./capability.ts";
import { ALL, keep, kept, random, seed, shuffled } from "./choose.ts";
import { type Disturbance, type Undisturbed, capabilityOf, disturb, nameOf, storyOf, undisturbed } from "./disturb.ts";
import type { Victim } from "./plane-child.ts";
import { openWorld } from "./open-world.ts";
import { APART, type World, type WorldOptions } from "./world.ts";

const SEED = seed();
/** For the sample; CRASH_SECONDS takes another. */
const SECONDS = process.env["CRASH_SECONDS"];
const ONLY = process.env["CRASH_AT"];
/** Of one capability alone. */
const OF = process.env["CRASH_OF"];
const WORLDS = Number(process.env["CRASH_WORLDS"] ?? 2);
/** After so many failures no other boundary is tried: a look at all of them tells more than the first. */
const ENOUGH = ALL ? 12 : 1;
/** One of so many deaths is followed by one of the next process, while it takes over. */
const AGAIN_ONE_IN = 4;

interface Trial {
  readonly victim: Victim;
  /** Of the sample, with what goes before. */
  readonly seconds: number;
  /** Of the sample: so many capabilities, others each time. */
  readonly capabilities?: number;
  /** Of each world; absent: one that runs everything. */
  readonly processes?: WorldOptions["processes"];
}

async function tryAll(t: TestContext, { victim, seconds, capabilities, processes }: Trial): Promise<void> {
  const endless = ALL || ONLY !== undefined;
  const opened = await Promise.allSettled(Array.from({ length: WORLDS }, () => openWorld(processes === undefined ? {} : { processes })));
  const worlds = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  try {
    for (const one of opened) if (one.status === "rejected") throw one.reason;
    const parts = [...(worlds[0] as World).parts.keys()];
    const before = kept().filter((one) => one.victim === victim && parts.includes(one.part));
    const chosen = endless ? CAPABILITIES : sample(before, capabilities ?? CAPABILITIES.length);
    const wanted = chosen.filter(({ name }) => (OF === undefined || name === OF) && (ONLY === undefined || ONLY.startsWith(`${name}: `)));
    const until = performance.now() + (endless && SECONDS === undefined ? Number.POSITIVE_INFINITY : (SECONDS === undefined ? seconds : Number(SECONDS)) * 1000);
    const seen: Record<"tried" | "of" | "missed" | "detours", number> = { tried: 0, of: 0, missed: 0, detours: 0 };
    const failures: string[] = [];
    const work = async (world: World, index: number) => {
      const mine = wanted.filter((_, place) => place % WORLDS === index);
      // the first play has everything to load that later ones find in memory, and journals to begin that others go on with
      const first = (one: Capability) => one === mine[0] || Object.values(one.journals("")).some(({ part }) => part !== undefined);
      for (const one of mine.filter(first)) await one.play(world, `warm-${index}`);
      const bases = new Map<string, Undisturbed>();
      for (const one of mine) bases.set(one.name, await undisturbed(world, one));
      const all = [...bases.values()].flatMap((base) => disturbances(base, victim, index));
      seen.of += all.length;
      const must = ONLY === undefined ? before.filter(({ capability }) => bases.has(capability)) : [];
      const queue = [...must, ...shuffled(all, SEED + index).filter((one) => ONLY === undefined || nameOf(one) === ONLY)];
      for (const [place, one] of queue.entries()) {
        if ((place >= must.length && performance.now() > until && seen.tried > 0) || failures.length >= ENOUGH) return;
        seen.tried += 1;
        const outcome = await disturb(world, bases.get(one.capability) as Undisturbed, one);
        if (!outcome.reached) seen.missed += 1;
        seen.detours += outcome.detours;
        if (outcome.faults.length === 0) continue;
        const told = `CRASH_SEED=${SEED} CRASH_AT="${nameOf(one)}": ${storyOf(one)}\n${outcome.faults.join("\n")}`;
        if (ALL) console.error(told);
        failures.push(told);
        keep(one);
      }
    };
    await Promise.all(worlds.map(work));
    t.diagnostic(`seed ${SEED}: ${wanted.length} capabilities, ${seen.tried} of ${seen.of} boundaries, ${seen.missed} not reached, ${seen.detours} attempts lost`);
    assert.deepEqual(failures, []);
    assert.ok(seen.tried > 0 && seen.missed < Math.max(2, seen.tried / 3), `${seen.missed} of ${seen.tried} boundaries were not reached`);
  } finally {
    await Promise.all(worlds.map((world) => world.stop()));
  }
}

/** Those of which something failed once, and others by the seed. */
function sample(before: readonly Disturbance[], count: number): Capability[] {
  const must = new Set(before.map(({ capability }) => capabilityOf(capability)));
  const next = random(SEED);
  const others = CAPABILITIES.filter((one) => !must.has(one)).map((one) => [next(), one] as const);
  others.sort(([a], [b]) => a - b);
  return [...must, ...others.map(([, one]) => one)].slice(0, Math.max(count, must.size));
}

function disturbances({ capability, boundaries }: Undisturbed, victim: Victim, index: number): Disturbance[] {
  const next = random(SEED + 7 * index);
  return boundaries
    .filter(({ at: { side } }) => victim === "child" || side === "before")
    .map(({ part, at }) => ({
      capability: capability.name, victim, part, at, ...(victim === "child" && next() < 1 / AGAIN_ONE_IN && { again: 1 + Math.floor(next() * 40) }),
    }));
}

const SAME = "same journals, no effect twice, none missing";
test(`OPS-2 EXEC-7 CORE-6 laws 3, 9: one process of all services killed at a boundary: ${SAME}`, (t) => tryAll(t, { victim: "child", seconds: 12, capabilities: 3 }));
test(`OPS-2 EXEC-7 CORE-6 laws 3, 9: the coordinator killed while the gateway lives, and the gateway while the coordinator does: ${SAME}`, (t) =>
  tryAll(t, { victim: "child", seconds: 35, capabilities: 6, processes: APART }));
test(`OPS-2 EXEC-7 CORE-6 law 3: nats-server killed at a boundary of either: ${SAME}`, (t) => tryAll(t, { victim: "server", seconds: 12, capabilities: 3, processes: APART }));
