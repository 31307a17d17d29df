/**
 * All services in one process, on two threads: the coordinator on this one, everybody else on another, so that
 * indexing, fanning out and calling tools take no time from deciding. Each has its own connections either way.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Namespace } from "../schemas/ids.ts";
import { openKeys } from "../services/identity/keys.ts";
import { type Service, expectServices, startServices } from "../services/main.ts";
import { Readiness, type RoleReadiness } from "../services/telemetry/readiness.ts";
import type { Watched } from "./health.ts";
import { logger } from "./log.ts";

export interface ThreadsOptions {
  readonly url: string;
  readonly dataDir: string;
  /** Namespaces whose keys the data folder holds; a credential is for all of them. */
  readonly keyNamespaces: readonly Namespace[];
  /** The folder of credentials that were handed out; then the data folder's keys are not looked at. */
  readonly credsFolder?: string | undefined;
  readonly namespaces: readonly Namespace[];
  readonly roles: readonly Service[];
  readonly version: string;
  readonly tracesUrl?: string | undefined;
  /** Runs in one stream of the journal before the next is opened. */
  readonly segmentRuns?: number | undefined;
  /** See `ServicesOptions`. */
  readonly onlyGateway?: boolean | undefined;
  /** Told, before anything is started, whom to ask how the threads are. */
  readonly watch?: ((watched: Watched) => void) | undefined;
}

export interface RunningThreads {
  /** Settles when the other thread ended by itself. */
  readonly lost: Promise<void>;
  stop(): Promise<void>;
}

/** What the other thread says of itself. */
export type Word =
  | { readonly started: true }
  | { readonly failed: { name: string; message: string; help?: string } }
  /** The answer to a question of this number. */
  | { readonly asked: number; readonly roles: readonly RoleReadiness[] };

/** What it is told. */
export type Order = "stop" | { readonly ask: number; readonly timeoutMs: number };

/** What of the options crosses to the other thread. */
export type OtherOptions = Omit<ThreadsOptions, "watch">;

/** Resolves when every service has taken over what it finds. @throws what the services throw, by name, message and help */
export async function startThreads({ watch, ...options }: ThreadsOptions): Promise<RunningThreads> {
  const own = options.roles.filter((role) => role === "coordinator");
  const others = options.roles.filter((role) => role !== "coordinator");
  // one thread is enough for one kind of work
  const [here, there] = own.length > 0 && others.length > 0 ? [own, others] : [options.roles, []];
  const other = there.length > 0 ? new OtherThread({ ...options, roles: there }) : undefined;
  const readiness = expectServices(new Readiness(), here, options.namespaces);
  watch?.({
    stuck: async (timeoutMs) => (await other?.stuck(timeoutMs)) ?? [],
    roles: async (timeoutMs) => (await Promise.all([readiness.look(timeoutMs), other?.roles(timeoutMs) ?? []])).flat(),
  });
  try {
    await other?.started;
    const services = await startHere({ ...options, roles: here }, readiness);
    return {
      lost: other?.lost ?? new Promise<void>(() => undefined),
      stop: async () => {
        readiness.stopping();
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
export async function startHere({ url, dataDir, keyNamespaces, credsFolder, namespaces, roles, version, tracesUrl, segmentRuns, onlyGateway }: OtherOptions, readiness: Readiness) {
  const keys = credsFolder === undefined ? await openKeys(dataDir, keyNamespaces) : { credsFolder };
  return startServices({ url, keys, namespaces, roles, dataDir, version, log: logger(), tracesUrl, readiness, onlyGateway, ...(segmentRuns !== undefined && { segments: { maxRuns: segmentRuns } }) });
}

class OtherThread {
  /** Settles when it ended by itself. */
  readonly lost: Promise<void>;
  readonly #options: OtherOptions;
  readonly #worker: Worker;
  readonly #gone: Promise<unknown>;
  readonly #asked = new Map<number, (roles: readonly RoleReadiness[]) => void>();
  readonly #started = Promise.withResolvers<void>();
  #questions = 0;
  #stopping = false;

  constructor(options: OtherOptions) {
    this.#options = options;
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: options });
    this.#gone = once(this.#worker, "exit");
    this.#started.promise.catch(() => undefined);
    this.#worker.on("message", (word: Word) => this.#hear(word));
    this.lost = new Promise<void>((resolve) => {
      this.#worker.once("error", (error) => logger().fatal({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, "a thread ended"));
      this.#worker.once("exit", () => {
        this.#started.reject(Object.assign(new Error(ENDED.message), ENDED));
        if (!this.#stopping) resolve();
      });
    });
  }

  /** @throws what its services throw */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Its name, when its event loop has not come round in this time. */
  async stuck(timeoutMs: number): Promise<readonly string[]> {
    return (await this.#ask(timeoutMs, 0)) === undefined ? [this.#options.roles.join("+")] : [];
  }

  async roles(timeoutMs: number): Promise<readonly RoleReadiness[]> {
    const heard = await this.#ask(timeoutMs + GRACE_MS, timeoutMs);
    if (heard !== undefined) return heard;
    return this.#options.roles.map((role) => ({ role, ready: false, why: "its thread does not answer" }));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#tell("stop");
    await this.#gone;
  }

  /** @param lookMs how long it may look at its roles; 0: it answers at once */
  async #ask(timeoutMs: number, lookMs: number): Promise<readonly RoleReadiness[] | undefined> {
    const question = (this.#questions += 1);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), timeoutMs)));
    const heard = new Promise<readonly RoleReadiness[]>((resolve) => this.#asked.set(question, resolve));
    this.#tell({ ask: question, timeoutMs: lookMs });
    try {
      return await Promise.race([heard, late]);
    } finally {
      clearTimeout(timer);
      this.#asked.delete(question);
    }
  }

  #hear(word: Word): void {
    if ("asked" in word) this.#asked.get(word.asked)?.(word.roles);
    else if ("started" in word) this.#started.resolve();
    else {
      this.#stopping = true;
      this.#started.reject(Object.assign(new Error(word.failed.message), word.failed));
      void this.#worker.terminate();
    }
  }

  #tell(order: Order): void {
    this.#worker.postMessage(order);
  }
}

const ENDED = { name: "ThreadEnded", message: "the thread of gateway, ask and reader ended before they were started" };

/** For the way between the threads. */
const GRACE_MS = 500;
