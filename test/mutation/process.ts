/** One process that tries mutants, with all that it started: a server of its tests is never left behind. */
import { type ChildProcess, fork } from "node:child_process";
import type { FromWorker, ToWorker } from "./worker.ts";

const WORKER = new URL("./worker.ts", import.meta.url).pathname;
/** Those that run: their groups are their own, and would outlive this process. */
const running = new Set<Worker>();
const endAll = () => {
  for (const worker of running) worker.end();
};
process.once("exit", endAll);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

export class Worker {
  // the head of a group of processes
  readonly #process: ChildProcess = fork(WORKER, [], { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: ["--disable-warning=ExperimentalWarning"], detached: true });

  constructor() {
    running.add(this);
  }

  /** Ends it, however busy it is, and its children. */
  end(): void {
    running.delete(this);
    try {
      process.kill(-(this.#process.pid as number), "SIGKILL");
    } catch {
      // nobody of them is left
    }
  }

  /** Undefined when it does not answer in time, or dies of the question. */
  ask<S extends FromWorker["said"]>(message: ToWorker, said: S, withinMs: number): Promise<Extract<FromWorker, { said: S }> | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Extract<FromWorker, { said: S }> | undefined>();
    const timer = setTimeout(() => resolve(undefined), withinMs);
    const heard = (answer: FromWorker) => (answer.said === "broken" ? reject(new Error(answer.why)) : resolve(answer as Extract<FromWorker, { said: S }>));
    const died = () => resolve(undefined);
    this.#process.once("message", heard).once("exit", died);
    // whoever died since the last question does not hear this one
    this.#process.send(message, (error) => {
      if (error !== null) died();
    });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#process.off("message", heard).off("exit", died);
    });
  }
}
