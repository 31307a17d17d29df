/** Children of the benchmark, and the processor time that each took. */
import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";

export interface Child {
  readonly pid: number;
  /** Sends a command and waits for its answer. Rejects when the child ends first. */
  ask<T>(command: Readonly<Record<string, unknown>>): Promise<T>;
  /** Lets it end by itself. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): Promise<void>;
}

/**
 * @param profile folder for a processor profile of the child
 * @param more arguments of its Node
 */
export function startChild(script: URL, profile: string | undefined, more: readonly string[] = []): Child {
  const execArgv = [...more, ...(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`, "--cpu-prof-interval=500"])];
  const child: ChildProcess = fork(script, [], { execArgv, serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  running.add(child);
  child.once("exit", () => running.delete(child));
  return {
    pid: child.pid ?? 0,
    ask: <T>(command: Readonly<Record<string, unknown>>) =>
      new Promise<T>((resolve, reject) => {
        const lost = () => reject(new Error(`a process of the benchmark ended at \`${String(command["do"])}\``));
        child.once("exit", lost);
        child.once("message", (answer: { readonly error?: string; readonly value?: T }) => {
          child.off("exit", lost);
          if (answer.error === undefined) resolve(answer.value as T);
          else reject(new Error(answer.error));
        });
        child.send(command);
      }),
    stop: async () => {
      if (child.connected) child.send({ do: "stop" });
      await ended;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** The child's side: one command at a time. `stop` ends the process once its handler is done. */
export function serveParent(handlers: Readonly<Record<string, (command: never) => Promise<unknown>>>): void {
  process.on("disconnect", () => process.exit(1));
  process.on("message", (command: { readonly do: string }) => {
    const handler = handlers[command.do];
    const done = handler === undefined ? Promise.reject(new Error(`no command \`${command.do}\``)) : handler(command as never);
    done.then(
      (value) => (command.do === "stop" ? process.exit(0) : process.send?.({ value })),
      (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
}

/** Processor seconds of a process so far; NaN where the system does not tell. */
export function cpuSeconds(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return Number.NaN;
  }
}
