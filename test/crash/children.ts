/** Processes that run services, killed and started again. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Boundary } from "./boundaries.ts";
import { withPatience } from "../harness/plane.ts";
import type { FromChild, StartChild, ToChild, Victim } from "./plane-child.ts";

/** A life that is not up by then will not be: the server is back within seconds. */
const UP_WITHIN_MS = 60_000;
const CHILD = new URL("./plane-child.ts", import.meta.url).pathname;

class Life {
  readonly process: ChildProcess;
  /** What it complained of. */
  errors = "";
  gateway = "";

  constructor() {
    this.process = fork(CHILD, [], { stdio: ["ignore", "ignore", "pipe", "ipc"], execArgv: ["--disable-warning=ExperimentalWarning"] });
    this.process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.errors = (this.errors + text).slice(-20_000)));
  }

  send(message: ToChild): void {
    // one that dies meanwhile needs no message any more
    this.process.send(message, () => undefined);
  }

  /** Rejects when it dies first. */
  async hears<S extends FromChild["said"]>(said: S): Promise<Extract<FromChild, { said: S }>> {
    const ended = new AbortController();
    const gone = once(this.process, "exit", { signal: ended.signal }).then(() => {
      throw new Died(`the services' process died before it said \`${said}\`: ${this.errors}`);
    });
    const heard = (async () => {
      for (;;) {
        const [message] = (await once(this.process, "message", { signal: ended.signal })) as [FromChild];
        if (message.said === said) return message as Extract<FromChild, { said: S }>;
      }
    })();
    heard.catch(() => undefined);
    gone.catch(() => undefined);
    try {
      return await Promise.race([gone, heard]);
    } finally {
      ended.abort();
    }
  }
}

export class Died extends Error {
  override readonly name = "Died";
}

export interface SupervisorOptions {
  readonly order: () => StartChild;
  readonly onServerKilled?: () => Promise<void>;
  /** Whether the server was away at any time since then (`performance.now()`): services that start meanwhile leave with 1, and are started again. */
  readonly wasAway?: (since: number) => boolean;
  /** Whether the next process waits, loaded, before it is needed; default true. */
  readonly standby?: boolean;
}

/** Keeps one process of services alive: one that dies is followed by the next, which waits already. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  #life: Life | undefined;
  #next: Life | undefined;
  #up: Promise<void> = Promise.resolve();
  #stopping = false;
  #nextBoundary: Boundary | undefined;
  /** Gateways of lives that ended. */
  readonly dead = new Set<string>();
  deaths = 0;
  /** Why it cannot go on: a process ended otherwise than by a kill. */
  failure: Error | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Of the present life; empty before it is up. */
  get gateway(): string {
    return this.#life?.gateway ?? "";
  }

  /** Resolves when the services are up. */
  async start(): Promise<void> {
    this.#follow();
    await this.up();
  }

  /** Resolves when a life is up that nobody has killed yet. */
  async up(): Promise<void> {
    for (let seen; seen !== this.#up; ) {
      seen = this.#up;
      await withPatience(seen, () => `${this.#options.order().roles.join(" and ")} did not come up, and said: ${this.#life?.errors}`, UP_WITHIN_MS);
    }
    if (this.failure !== undefined) throw this.failure;
  }

  /** The life that follows the present one dies there, counted from its start. */
  armNext(boundary: Boundary | undefined): void {
    this.#nextBoundary = boundary;
  }

  /** Arms the present life; where that is dying already, the one after it. */
  async arm(boundary: Boundary | undefined, victim: Victim): Promise<void> {
    for (;;) {
      await this.up();
      const life = this.#life as Life;
      const armed = life.hears("armed");
      life.send({ do: "arm", boundary, victim, serverPid: this.#options.order().serverPid });
      try {
        await armed;
        return;
      } catch (error) {
        if (!(error instanceof Died)) throw error;
        await this.#gone(life);
      }
    }
  }

  async trace(): Promise<readonly string[]> {
    const life = this.#life as Life;
    const heard = life.hears("trace");
    life.send({ do: "trace" });
    return (await heard).trace;
  }

  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#life?.process.kill(signal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const lives = [this.#life, this.#next].filter((life) => life !== undefined);
    await Promise.all(
      lives.map(async ({ process }) => {
        if (process.exitCode !== null || process.signalCode !== null) return;
        const gone = once(process, "exit");
        process.kill("SIGKILL");
        await gone;
      }),
    );
  }

  /** Until the next life has taken its place. */
  async #gone(life: Life): Promise<void> {
    while (this.#life === life && this.failure === undefined) await new Promise((resolve) => setImmediate(resolve));
  }

  #follow(): void {
    const life = this.#next ?? new Life();
    this.#next = undefined;
    this.#life = life;
    const boundary = this.#nextBoundary;
    this.#nextBoundary = undefined;
    const ordered = performance.now();
    let cameUp = false;
    life.process.on("message", (message: FromChild) => {
      if (message.said === "server killed") this.#options.onServerKilled?.().catch((error: unknown) => (this.failure = error as Error));
    });
    const isUp = life.hears("up");
    isUp.catch(() => undefined);
    this.#up = isUp.then(
      ({ gateway }) => {
        cameUp = true;
        life.gateway = gateway;
        // said by a life that died since: its successor has one of its own, or will have
        if (this.#options.standby !== false && !this.#stopping && this.#life === life) this.#next = new Life();
      },
      () => undefined, // the next life is awaited then
    );
    life.process.once("exit", (code, signal) => {
      if (this.#stopping) return;
      this.deaths += 1;
      if (life.gateway !== "") this.dead.add(life.gateway);
      const neededServer = !cameUp && (this.#options.wasAway?.(ordered) ?? false);
      if (signal !== "SIGKILL" && !neededServer) {
        this.failure = new Error(`the services' process ended by itself (${code ?? signal}): ${life.errors}`);
        return;
      }
      this.#follow();
    });
    life.send({ ...this.#options.order(), ...(boundary !== undefined && { boundary }) });
  }
}
