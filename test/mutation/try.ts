/** Tries the mutants of some files in processes of their own, and finds out which no test catches. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Mutation, mutantsOf } from "./mutants.ts";
import { Worker } from "./process.ts";
import type { FromWorker, Measured, Order } from "./worker.ts";

/** A mutant that keeps its tests busy so much longer than they were is caught: they would never end. */
const PATIENCE_MS = 6_000;
const PATIENCE_FACTOR = 4;
const BEGIN_MS = 300_000;
/** Mutants for which one more process is worth its start. */
const WORTH = 150;

export interface Survivor extends Mutation {
  readonly file: string;
  /** No test comes by it. */
  readonly uncovered: boolean;
}
export interface Tried {
  readonly mutants: number;
  readonly caught: number;
  readonly hung: number;
  readonly survivors: readonly Survivor[];
  readonly seconds: number;
}
/** Room for so many processes at once, for all that are tried side by side: whoever takes some of it waits for its turn. */
export interface Room {
  readonly size: number;
  take(): Promise<() => void>;
}

export function room(size: number): Room {
  let free = size;
  const waiting: (() => void)[] = [];
  const give = () => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return {
    size,
    take: async () => {
      if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
      else free -= 1;
      return give;
    },
  };
}

type Ready = Extract<FromWorker, { said: "ready" }>;
type Verdict = "survived" | "caught" | "hung";
type Mutant = Mutation & { readonly file: string };

/** @param log one line now and then @throws Error when the tests do not pass without a mutant */
export async function tryMutants(root: string, files: readonly string[], tests: readonly string[], log: (line: string) => void, { size, take }: Room = room(1)): Promise<Tried> {
  const order: Order = { root, files, tests };
  const all: Mutant[] = files.flatMap((file) => mutantsOf(readFileSync(join(root, file), "utf8"), file).mutations.map((one) => ({ ...one, file })));
  const survivors: Survivor[] = [];
  let [hung, tried] = [0, 0];
  const give = await take();
  const began = performance.now();
  const first = new Worker();
  let ready: Ready;
  try {
    ready = await begun(first, order);
    const failed = ready.tests.find((one) => one.failed !== undefined);
    if (failed !== undefined) throw new Error(`fails without a mutant: ${failed.name}: ${failed.failed}`);
  } catch (error) {
    first.end();
    give();
    throw error;
  }
  const loaded = new Set(ready.loaded);
  const byMutant = coverage(ready.tests);
  log(`${files.join(", ")}: ${all.length} mutants, ${ready.tests.length} tests of ${Math.round(ready.tests.reduce((sum, { ms }) => sum + ms, 0))} ms`);

  const left = all.values();
  /** One after the other, in one process, and in the next when it has become useless. */
  const work = async (given?: Worker): Promise<void> => {
    let worker = given;
    try {
      for (const one of left) {
        const mutant = `${one.file} ${one.id}`;
        const chosen = byMutant.get(mutant) ?? [];
        let verdict: Verdict = "survived";
        if (loaded.has(mutant)) verdict = await fromTheBeginning({ ...order, from: mutant });
        else if (chosen.length > 0) {
          if (worker === undefined) await begun((worker = new Worker()), { ...order, known: true });
          const allowed = PATIENCE_MS + PATIENCE_FACTOR * chosen.reduce((sum, index) => sum + (ready.tests[index]?.ms ?? 0), 0);
          const answer = await worker.ask({ do: "try", mutant, tests: chosen }, "tried", allowed);
          verdict = answer === undefined ? "hung" : answer.killedBy === undefined ? "survived" : "caught";
          if (answer?.sound !== true) {
            worker.end();
            worker = undefined;
          }
        }
        if (verdict === "hung") hung += 1;
        if (verdict === "survived") survivors.push({ ...one, uncovered: chosen.length === 0 && !loaded.has(mutant) });
        tried += 1;
        if (tried % 250 === 0) log(`${files[0]}: ${tried} of ${all.length} tried, ${survivors.length} survive`);
      }
    } finally {
      worker?.end();
    }
  };
  const others = Array.from({ length: Math.min(size, Math.ceil(all.length / WORTH)) - 1 }, async () => {
    const gave = await take();
    await work().finally(gave);
  });
  await Promise.all([work(first).finally(give), ...others]);
  const at = (one: Survivor) => all.findIndex(({ file, id }) => file === one.file && id === one.id);
  survivors.sort((a, b) => at(a) - at(b));
  return { mutants: all.length, caught: all.length - survivors.length - hung, hung, survivors, seconds: (performance.now() - began) / 1000 };
}

async function begun(worker: Worker, order: Order): Promise<Ready> {
  const ready = await worker.ask({ do: "begin", order }, "ready", BEGIN_MS);
  if (ready === undefined) throw new Error("the tests do not come to an end without a mutant");
  return ready;
}

/** For each mutant the tests that come by it, quickest first. */
function coverage(tests: readonly Measured[]): Map<string, number[]> {
  const byMutant = new Map<string, number[]>();
  const quickest = tests.map((_, index) => index).sort((a, b) => (tests[a]?.ms ?? 0) - (tests[b]?.ms ?? 0));
  for (const index of quickest) {
    for (const mutant of tests[index]?.covered ?? []) {
      const known = byMutant.get(mutant);
      if (known === undefined) byMutant.set(mutant, [index]);
      else known.push(index);
    }
  }
  return byMutant;
}

/** What runs while a file is loaded is decided before: such a mutant has a process of its own. */
async function fromTheBeginning(order: Order): Promise<Verdict> {
  const worker = new Worker();
  try {
    const ready = await worker.ask({ do: "begin", order }, "ready", 120_000);
    if (ready === undefined) return "hung";
    return ready.tests.some(({ failed }) => failed !== undefined) ? "caught" : "survived";
  } catch {
    // it cannot even be loaded
    return "caught";
  } finally {
    worker.end();
  }
}
