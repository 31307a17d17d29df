/**
 * Random programs under random kills, against an oracle that knows only what must never happen. What fails is made
 * smaller and kept in `kept-programs.json`: from then on it is played first.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { Service } from "../../services/main.ts";
import { ALL, keepProgram, keptPrograms, seed } from "./choose.ts";
import { judge } from "./oracle.ts";
import { type Program, playProgram, program } from "./programs.ts";
import { openWorld } from "./open-world.ts";
import type { World } from "./world.ts";

const SEED = seed();
const SECONDS = process.env["CRASH_SECONDS"];
const WITHIN_MS = SECONDS !== undefined ? Number(SECONDS) * 1000 : ALL ? 20 * 60_000 : 30_000;
/** For a smaller program, once one has failed. */
const SHRINK_MS = ALL ? 10 * 60_000 : 45_000;
const MAX_PROGRAMS = 1_000;
/** What runs in which process: in one world everything in one, in another everything twice and apart. */
const LAYOUTS: readonly (readonly (readonly Service[])[])[] = [[["coordinator", "gateway"]], [["coordinator"], ["coordinator"], ["gateway"], ["gateway"]]];

async function inWorlds(does: (world: World, index: number) => Promise<void>): Promise<void> {
  await Promise.all(
    LAYOUTS.map(async (processes, index) => {
      const one = await openWorld({ timeoutMs: 700, retries: 2, ackWaitMs: 1_000, processes });
      try {
        await does(one, index);
      } finally {
        await one.stop();
      }
    }),
  );
}

test("EXEC-7 CORE-4 GUARD-6 OPS-2: random programs under random kills keep to what was approved, once, and lose nothing", async (t: TestContext) => {
  let runs = 0;
  let questions = 0;
  const kept = keptPrograms();
  const queue = [...kept];
  await inWorlds(async (one, index) => {
    const played = async (what: Program) => {
      runs += what.runs.length;
      try {
        return await judge(one, await playProgram(one, what));
      } catch (error) {
        // what does not come to its end is a fault as well
        return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
      }
    };
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) assert.deepEqual(await played(next.program), [], `kept: ${next.why}`);
    let until = performance.now() + WITHIN_MS;
    let failed = false;
    const property = fc.asyncProperty(program, async (what) => {
      // fast-check would leave a program that it interrupts playing in a world that is gone
      if (performance.now() > until) return;
      const wrong = await played(what);
      if (wrong.length === 0) return;
      if (!failed) {
        until = performance.now() + SHRINK_MS;
        // whatever becomes of making it smaller
        console.error(`seed ${SEED + index}: ${wrong.join("\n")}\n${JSON.stringify(what)}`);
      }
      failed = true;
      throw new Error(wrong.join("\n"));
    });
    // a seed and a path play the same again as long as the generator stays as it is
    const path = process.env["CRASH_PATH"];
    const found = await fc.check(property, { seed: SEED + index, numRuns: MAX_PROGRAMS, ...(path !== undefined && { path }) });
    questions += one.ledger.questions.length;
    if (!found.failed) return;
    const why = `seed ${found.seed}, path ${found.counterexamplePath}: ${String(found.errorInstance)}`;
    if (found.counterexample !== null) keepProgram({ why: why.slice(0, 1_000), program: found.counterexample[0] });
    assert.fail(`${why}\n${JSON.stringify(found.counterexample)}`);
  });
  t.diagnostic(`seed ${SEED}: ${kept.length} kept, ${runs} runs, ${questions} questions to tools`);
});
