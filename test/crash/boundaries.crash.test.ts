/**
 * Law 3, law 9: a scenario is stopped at every message that crosses a service's connection, and comes to the same end.
 * `npm test` tries a sample, another one each time; CRASH_ALL=1 (`npm run crash`) tries all. A failure prints what to set to see it again.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ALL, keep, kept, random, seed, shuffled } from "./choose.ts";
import { type Disturbance, type Undisturbed, disturb, nameOf, partOf, storyOf, undisturbed } from "./disturb.ts";
import type { Victim } from "./plane-child.ts";
import { APART, type World, type WorldOptions, openWorld } from "./world.ts";

const SEED = seed();
/** For the sample; CRASH_SECONDS takes another. */
const SECONDS = process.env["CRASH_SECONDS"];
const WORLDS = Number(process.env["CRASH_WORLDS"] ?? 4);
/** One of so many deaths is followed by one of the next process, while it takes over. */
const AGAIN_ONE_IN = 4;

/** @param processes of each world; absent: one that runs everything */
async function tryAll(t: TestContext, victim: Victim, seconds: number, processes?: WorldOptions["processes"]): Promise<void> {
  const opened = await Promise.allSettled(Array.from({ length: WORLDS }, () => openWorld(processes === undefined ? {} : { processes })));
  const worlds = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  try {
    for (const one of opened) if (one.status === "rejected") throw one.reason;
    const bases = await Promise.all(worlds.map(undisturbed));
    const [first] = bases as [Undisturbed];
    const next = random(SEED);
    const wanted = first.boundaries
      .filter(({ at: { side } }) => victim === "child" || side === "before")
      .map(({ part, at }): Disturbance => ({ victim, part, at, ...(victim === "child" && next() < 1 / AGAIN_ONE_IN && { again: 1 + Math.floor(next() * 40) }) }));
    const only = process.env["CRASH_AT"];
    const chosen = shuffled(wanted, SEED).filter((one) => only === undefined || nameOf(one) === only);
    const queue = [...kept().filter((one) => one.victim === victim && (worlds[0] as World).parts.has(partOf(one)) && only === undefined), ...chosen];
    const must = queue.length - chosen.length;
    const until = performance.now() + (ALL || only !== undefined ? Number.POSITIVE_INFINITY : (SECONDS === undefined ? seconds : Number(SECONDS)) * 1000);
    const failures: string[] = [];
    let [tried, missed, detours] = [0, 0, 0];
    const work = async (world: World, base: Undisturbed) => {
      while (queue.length > 0 && (tried < must || performance.now() < until) && failures.length < 5) {
        const one = queue.shift() as Disturbance;
        tried += 1;
        const outcome = await disturb(world, base, one);
        if (!outcome.reached) missed += 1;
        detours += outcome.detours;
        if (outcome.faults.length === 0) continue;
        failures.push(`CRASH_SEED=${SEED} CRASH_AT="${nameOf(one)}": ${storyOf(one)}\n${outcome.faults.join("\n")}`);
        keep(one);
        // a world in which something went wrong may hold it against the next
        return;
      }
    };
    await Promise.all(worlds.map((world, index) => work(world, bases[index] as Undisturbed)));
    t.diagnostic(`seed ${SEED}: ${tried} of ${wanted.length} boundaries, ${missed} not reached, ${detours} attempts lost`);
    assert.deepEqual(failures, []);
    assert.ok(tried > 0 && missed < tried / 3, `${missed} of ${tried} boundaries were not reached`);
  } finally {
    await Promise.all(worlds.map((world) => world.stop()));
  }
}

const SAME = "same journal, no effect twice, none missing";
test(`OPS-2 EXEC-7 CORE-6 laws 3, 9: one process of all services killed at a boundary: ${SAME}`, (t) => tryAll(t, "child", 15));
test(`OPS-2 EXEC-7 CORE-6 laws 3, 9: the coordinator killed while the gateway lives, and the gateway while the coordinator does: ${SAME}`, (t) => tryAll(t, "child", 35, APART));
test(`OPS-2 EXEC-7 CORE-6 law 3: nats-server killed at a boundary of either: ${SAME}`, (t) => tryAll(t, "server", 15, APART));
