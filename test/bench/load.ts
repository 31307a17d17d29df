/** The load in a process of its own: agents on their own credentials, each action awaited before its run's next. */
import type { Answer } from "../../schemas/answer.ts";
import { type Actor, type Namespace, type RunId, actor, runId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { DEMO_AUDIENCE, DEMO_ISS, issuePrincipalToken, openIssuerKey } from "../../services/identity/demo-issuer.ts";
import { openKeys } from "../../services/identity/keys.ts";
import type { SigningKey } from "../../services/identity/signing-key.ts";
import { ACTIONS_PER_RUN, AGENTS, FORBIDDEN_ABOVE, agentName } from "./documents.ts";
import { clock } from "./figures.ts";
import { serveParent } from "./processes.ts";

export type ActionKind = "read" | "write" | "denied";

/** One action as its agent saw it; times are {@link clock}'s. */
export interface Seen {
  readonly run: string;
  readonly id: string;
  readonly kind: ActionKind;
  readonly sent: number;
  /** When the verdict was heard. */
  readonly verdict: number;
  /** When the outcome was heard; NaN when none came. */
  readonly ended: number;
  readonly status: string;
}

export interface Closed {
  readonly inFlight: number;
  readonly seconds: number;
  /** Goes on until so many runs were started. */
  readonly runs: number;
}
export interface Open {
  readonly perSecond: number;
  readonly seconds: number;
}
export interface Loaded {
  readonly seen: Seen[];
  readonly runs: number;
  /** Full load lasted from `from` to `until`. */
  readonly from: number;
  readonly until: number;
}

/** Nobody waits longer for an answer: then it counts as missing. */
const PATIENCE_MS = 30_000;
const RAMP_MS = 1000;
const TEXT = "The customer was charged twice for one order and asks for the money back. ".repeat(12).slice(0, 830);

interface Waiting {
  readonly onVerdict: () => void;
  readonly resolve: (answer: Answer | undefined) => void;
}

class Agent {
  readonly name: Actor;
  readonly #ns: Namespace;
  readonly #publisher: Publisher;
  readonly #waiting = new Map<string, Waiting>();

  readonly #key: SigningKey;

  private constructor(nc: NatsConnection, ns: Namespace, name: Actor, key: SigningKey) {
    this.#key = key;
    this.name = name;
    this.#ns = ns;
    this.#publisher = new Publisher(nc, { timeoutMs: PATIENCE_MS });
    nc.subscribe(`${subjects.out(ns, name, "*").slice(0, -1)}>`, {
      callback: (error, message) => {
        if (error === null) this.#hear(JSON.parse(Buffer.from(message.data).toString()) as Answer);
      },
    });
    nc.subscribe(subjects.rejected(ns, name), {
      callback: (_, message) => console.error(`the plane refused ${Buffer.from(message.data).toString().slice(0, 600)}`),
    });
  }

  static async login(url: string, keys: Awaited<ReturnType<typeof openKeys>>, ns: Namespace, name: Actor, key: SigningKey): Promise<Agent> {
    const issued = await issueCreds(keys, { role: "agent", name, ns });
    const nc = await connectBus({ url, name, creds: issued.creds, inboxPrefix: issued.inboxPrefix });
    const agent = new Agent(nc, ns, name, key);
    await nc.flush();
    return agent;
  }

  #hear(answer: Answer): void {
    const key = `${answer.run}/${answer.id ?? ""}`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    waiting.onVerdict();
    if (!answer.final) return;
    this.#waiting.delete(key);
    waiting.resolve(answer);
  }

  /** A token of the principal for a run: what the plane verifies is made anew for each. */
  token(run: RunId): string {
    return issuePrincipalToken(this.#key, { iss: DEMO_ISS, aud: DEMO_AUDIENCE, sub: `user-${run.length}`, agent: this.name, run, ttlSeconds: 3600 });
  }

  /** Sends a proposal, sees it stored, and waits for its last answer; undefined when none comes. */
  async propose(run: RunId, body: { readonly id: string; readonly [field: string]: unknown }, onVerdict: () => void = () => undefined, token?: string): Promise<Answer | undefined> {
    const key = `${run}/${body.id}`;
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
    this.#waiting.set(key, { onVerdict, resolve });
    await this.#publisher.publish(subjects.input(this.#ns, "propose", this.name, run), Buffer.from(JSON.stringify(body)), token === undefined ? {} : { "signalbox-principal": token });
    const answer = await promise;
    clearTimeout(timer);
    return answer;
  }
}

const agents: Agent[] = [];
let runs = 0;
let actions = 0;

/** A run under way at one agent. */
class Run {
  readonly agent: Agent;
  readonly id: RunId;
  #count = 0;

  constructor(agent: Agent) {
    this.agent = agent;
    this.id = runId(`${agent.name}_r${++runs}`);
  }

  async start(): Promise<void> {
    const answer = await this.agent.propose(this.id, { kind: "start", id: "start", agent: { name: this.agent.name }, goal: "do nothing, quickly" }, undefined, this.agent.token(this.id));
    if (answer?.status !== "started") throw new Error(`run ${this.id} did not start: ${JSON.stringify(answer)}`);
  }

  /** The next action of the mix: reads and writes in turn, one in fifty denied. */
  async act(): Promise<Seen> {
    const number = ++actions;
    const kind: ActionKind = number % 50 === 0 ? "denied" : number % 2 === 0 ? "read" : "write";
    const id = `a-${++this.#count}`;
    const input = {
      ticket: `T-${number}`,
      amount_usd: kind === "denied" ? FORBIDDEN_ABOVE + 50 : number % 250,
      customer: { id: `cus_${number % 5000}`, country: "NL" },
      labels: ["refund", "double-charge"],
      text: TEXT,
    };
    const sent = clock();
    let verdict = Number.NaN;
    const body = { kind: "tool", id, tool: kind === "read" ? "noop.read" : "noop.write", input, why: "the ticket asks for it", confidence: 0.8 };
    const answer = await this.agent.propose(this.id, body, () => (verdict = Number.isNaN(verdict) ? clock() : verdict));
    return { run: this.id, id, kind, sent, verdict, ended: answer === undefined ? Number.NaN : clock(), status: answer?.status ?? "missing" };
  }

  async finish(): Promise<void> {
    await this.agent.propose(this.id, { kind: "finish", id: "finish", output: { actions: this.#count } });
  }
}

const agentAt = (index: number): Agent => agents[index % agents.length] as Agent;

/** So many runs at a time, each with one action in flight. */
async function closed({ inFlight, seconds, runs: least }: Closed): Promise<Loaded> {
  const seen: Seen[] = [];
  const before = runs;
  const begun = clock();
  let until = 0;
  const slot = async (index: number): Promise<void> => {
    // the first runs differ in length, so that runs do not start and end in step
    for (let length = 1 + (index % ACTIONS_PER_RUN); until === 0; length = ACTIONS_PER_RUN) {
      const run = new Run(agentAt(index));
      await run.start();
      for (let i = 0; i < length; i++) {
        seen.push(await run.act());
        if (until === 0 && clock() - begun > seconds * 1000 && runs - before >= least) until = clock();
      }
      await run.finish();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, index) => slot(index)));
  return { seen, runs: runs - before, from: begun + Math.min(RAMP_MS, seconds * 250), until };
}

/** Actions begin at their times, whether or not those before them have ended. */
async function open({ perSecond, seconds }: Open): Promise<Loaded> {
  const before = runs;
  const free = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const run = new Run(agentAt(index));
      await run.start();
      return run;
    }),
  );
  const all = [...free];
  const acting: Promise<Seen>[] = [];
  const begun = clock();
  const until = begun + seconds * 1000;
  for (let due = begun; due < until; ) {
    while (clock() >= due) {
      const run = free.shift() ?? new Run(agentAt(acting.length));
      if (!all.includes(run)) {
        await run.start();
        all.push(run);
      }
      acting.push(run.act().finally(() => free.push(run)));
      due += 1000 / perSecond;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const seen = await Promise.all(acting);
  await Promise.all(all.map((run) => run.finish()));
  return { seen, runs: runs - before, from: begun + Math.min(RAMP_MS, seconds * 250), until };
}

serveParent({
  start: async ({ url, dataDir, keyNamespaces, ns }: { url: string; dataDir: string; keyNamespaces: Namespace[]; ns: Namespace }) => {
    const keys = await openKeys(dataDir, keyNamespaces);
    const key = await openIssuerKey(dataDir);
    for (let index = 0; index < AGENTS; index++) agents.push(await Agent.login(url, keys, ns, actor(agentName(index)), key));
  },
  closed: ({ options }: { options: Closed }) => closed(options),
  open: ({ options }: { options: Open }) => open(options),
  stop: async () => undefined,
});
