/** Random programs under random kills, against an oracle that knows only what must never happen. */
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { ALL, seed } from "./choose.ts";
import { judge } from "./oracle.ts";
import { playProgram, program } from "./programs.ts";
import { openWorld } from "./world.ts";

const SEED = seed();
const WITHIN_MS = ALL ? 20 * 60_000 : 30_000;
const WORLDS = 2;
const MAX_PROGRAMS = 1_000;

test("EXEC-7 CORE-4 GUARD-6 OPS-2: random programs under random kills keep to what was approved, once, and lose nothing", async (t: TestContext) => {
  let runs = 0;
  let questions = 0;
  const world = async (index: number) => {
    const one = await openWorld({ timeoutMs: 700, retries: 2, ackWaitMs: 1_000 });
    try {
      const until = performance.now() + WITHIN_MS;
      const property = fc.asyncProperty(program, async (what) => {
        // fast-check would leave a program that it interrupts playing in a world that is gone
        if (performance.now() > until) return;
        const wrong = await judge(one, await playProgram(one, what));
        runs += what.runs.length;
        if (wrong.length > 0) throw new Error(wrong.join("\n"));
      });
      // a failing seed is printed with the path to the smallest program that was found
      await fc.assert(property, {
        seed: SEED + index,
        numRuns: MAX_PROGRAMS,
        endOnFailure: !ALL,
        ...(process.env["CRASH_PATH"] !== undefined && { path: process.env["CRASH_PATH"] }),
      });
    } finally {
      questions += one.ledger.questions.length;
      await one.stop();
    }
  };
  await Promise.all(Array.from({ length: WORLDS }, (_, index) => world(index)));
  t.diagnostic(`seed ${SEED}: ${runs} runs, ${questions} questions to tools`);
});
