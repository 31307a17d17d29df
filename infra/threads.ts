/**
 * All services in one process, on two threads: the coordinator on this one, everybody else on another, so that
 * indexing, fanning out and calling tools take no time from deciding. Each has its own connections either way.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Namespace } from "../schemas/ids.ts";
import { openKeys } from "../services/identity/keys.ts";
import { type Service, startServices } from "../services/main.ts";
import { logger } from "./log.ts";

export interface ThreadsOptions {
  readonly url: string;
  readonly dataDir: string;
  /** Namespaces whose keys the data folder holds; a credential is for all of them. */
  readonly keyNamespaces: readonly Namespace[];
  readonly namespaces: readonly Namespace[];
  readonly roles: readonly Service[];
  readonly version: string;
  readonly tracesUrl?: string | undefined;
}

export interface RunningThreads {
  /** Settles when the other thread ended by itself. */
  readonly lost: Promise<void>;
  stop(): Promise<void>;
}

/** What the other thread says of itself. */
export type Word = { readonly started: true } | { readonly stopped: true } | { readonly failed: { name: string; message: string; help?: string } };

/** Resolves when every service has taken over what it finds. @throws what the services throw, by name, message and help */
export async function startThreads(options: ThreadsOptions): Promise<RunningThreads> {
  const own = options.roles.filter((role) => role === "coordinator");
  const others = options.roles.filter((role) => role !== "coordinator");
  // one thread is enough for one kind of work
  const [here, there] = own.length > 0 && others.length > 0 ? [own, others] : [options.roles, []];
  const other = there.length > 0 ? await startOther({ ...options, roles: there }) : undefined;
  try {
    const services = await startHere({ ...options, roles: here });
    return {
      lost: other?.lost ?? new Promise<void>(() => undefined),
      stop: async () => {
        // gateways first: what they still report is still decided
        await other?.stop();
        await services.stop();
      },
    };
  } catch (error) {
    await other?.stop();
    throw error;
  }
}

/** The services of these roles on the thread that calls. */
export async function startHere({ url, dataDir, keyNamespaces, namespaces, roles, version, tracesUrl }: ThreadsOptions) {
  const keys = await openKeys(dataDir, keyNamespaces);
  return startServices({ url, keys, namespaces, roles, dataDir, version, log: logger(), tracesUrl });
}

async function startOther(options: ThreadsOptions): Promise<RunningThreads> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: options });
  let stopping = false;
  const lost = new Promise<void>((resolve) => {
    worker.once("error", (error) => logger().fatal({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, "a thread ended"));
    worker.once("exit", () => {
      if (!stopping) resolve();
    });
  });
  const gone = once(worker, "exit");
  const [word] = (await Promise.race([once(worker, "message"), gone.then(() => [{ failed: ENDED }])])) as [Word];
  if ("failed" in word) {
    stopping = true;
    await worker.terminate();
    throw Object.assign(new Error(word.failed.message), word.failed);
  }
  return {
    lost,
    stop: async () => {
      stopping = true;
      worker.postMessage("stop");
      await gone;
    },
  };
}

const ENDED = { name: "ThreadEnded", message: "the thread of gateway, ask and reader ended before they were started" };
