/** Tries the mutants of some files in processes of their own, and finds out which no test catches. */
import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Mutation, mutantsOf } from "./mutants.ts";
import type { FromWorker, Measured, Order, ToWorker } from "./worker.ts";

const WORKER = new URL("./worker.ts", import.meta.url).pathname;
/** A mutant that keeps its tests busy so much longer than they were is caught: they would never end. */
const PATIENCE_MS = 10_000;
const PATIENCE_FACTOR = 4;

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

type Ready = Extract<FromWorker, { said: "ready" }>;
type Verdict = { readonly kind: "survived" } | { readonly kind: "caught" } | { readonly kind: "hung" };

class Worker {
  readonly #process: ChildProcess = fork(WORKER, [], { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: ["--disable-warning=ExperimentalWarning"] });

  end(): void {
    this.#process.kill("SIGKILL");
  }

  /** Undefined when it does not answer in time, or dies of the question. */
  ask<S extends FromWorker["said"]>(message: ToWorker, said: S, withinMs: number): Promise<Extract<FromWorker, { said: S }> | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Extract<FromWorker, { said: S }> | undefined>();
    const timer = setTimeout(() => resolve(undefined), withinMs);
    const heard = (answer: FromWorker) => (answer.said === "broken" ? reject(new Error(answer.why)) : resolve(answer as Extract<FromWorker, { said: S }>));
    const died = () => resolve(undefined);
    this.#process.once("message", heard).once("exit", died);
    this.#process.send(message);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#process.off("message", heard).off("exit", died);
    });
  }
}

/** @param log one line now and then @throws Error when the tests do not pass without a mutant */
export async function tryMutants(root: string, files: readonly string[], tests: readonly string[], log: (line: string) => void): Promise<Tried> {
  const began = performance.now();
  const order: Order = { root, files, tests };
  const all = files.flatMap((file) => mutantsOf(readFileSync(join(root, file), "utf8"), file).mutations.map((one) => ({ ...one, file })));
  let worker = new Worker();
  const start = async (): Promise<Ready> => {
    const ready = await worker.ask({ do: "begin", order }, "ready", 300_000);
    if (ready === undefined) throw new Error("the tests do not come to an end without a mutant");
    return ready;
  };
  try {
    const first = await start();
    const failed = first.tests.find((one) => one.failed !== undefined);
    if (failed !== undefined) throw new Error(`fails without a mutant: ${failed.name}: ${failed.failed}`);
    const loaded = new Set(first.loaded);
    const byMutant = coverage(first.tests);
    log(`${all.length} mutants of ${files.length} file(s), ${first.tests.length} tests of ${Math.round(first.tests.reduce((sum, { ms }) => sum + ms, 0))} ms`);
    const survivors: Survivor[] = [];
    let hung = 0;
    let tried = 0;
    for (const one of all) {
      const mutant = `${one.file} ${one.id}`;
      const chosen = byMutant.get(mutant) ?? [];
      let verdict: Verdict;
      if (loaded.has(mutant)) verdict = await fromTheBeginning({ ...order, from: mutant });
      else if (chosen.length === 0) verdict = { kind: "survived" };
      else {
        const allowed = PATIENCE_MS + PATIENCE_FACTOR * chosen.reduce((sum, index) => sum + (first.tests[index]?.ms ?? 0), 0);
        const answer = await worker.ask({ do: "try", mutant, tests: chosen }, "tried", allowed);
        verdict = answer === undefined ? { kind: "hung" } : { kind: answer.killedBy === undefined ? "survived" : "caught" };
        if (answer === undefined || !answer.sound) {
          worker.end();
          worker = new Worker();
          await start();
        }
      }
      if (verdict.kind === "hung") hung += 1;
      if (verdict.kind === "survived") survivors.push({ ...one, uncovered: chosen.length === 0 && !loaded.has(mutant) });
      tried += 1;
      if (tried % 250 === 0) log(`${tried} tried, ${survivors.length} survive`);
    }
    return { mutants: all.length, caught: all.length - survivors.length - hung, hung, survivors, seconds: (performance.now() - began) / 1000 };
  } finally {
    worker.end();
  }
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
    if (ready === undefined) return { kind: "hung" };
    return { kind: ready.tests.some(({ failed }) => failed !== undefined) ? "caught" : "survived" };
  } catch {
    // it cannot even be loaded
    return { kind: "caught" };
  } finally {
    worker.end();
  }
}
