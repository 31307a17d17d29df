/** The load in a process of its own: agents on their own credentials, each action awaited before its run's next. */
import { type Namespace, type RunId, actor, runId } from "../../schemas/ids.ts";
import { openIssuerKey } from "../../services/identity/demo-issuer.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { Agent } from "./agent.ts";
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

/** So many things at a time, each begun when the one before it has ended. */
export interface Steady {
  readonly atATime: number;
  readonly seconds: number;
}
/** What of a steady load was done: how long each thing took, ms, and over which time, s. */
export interface Took {
  readonly ms: readonly number[];
  readonly seconds: number;
  /** What did not end as it must. */
  readonly faults: readonly string[];
}

const RAMP_MS = 1000;
const TEXT = "The customer was charged twice for one order and asks for the money back. ".repeat(12).slice(0, 830);

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
  async act(onVerdict: () => void = () => undefined): Promise<Seen> {
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
    const answer = await this.agent.propose(this.id, body, () => {
      if (Number.isNaN(verdict)) verdict = clock();
      onVerdict();
    });
    return { run: this.id, id, kind, sent, verdict, ended: answer === undefined ? Number.NaN : clock(), status: answer?.status ?? "missing" };
  }

  /** One input that changes nothing but the run's own record. */
  async note(): Promise<void> {
    const answer = await this.agent.propose(this.id, { kind: "note", id: `n-${++this.#count}`, text: "thinking" });
    if (answer?.status !== "recorded") throw new Error(`a note of ${this.id} was not recorded: ${JSON.stringify(answer)}`);
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

/** Does things of one kind, one after the other in each lane. @param once its lane and number */
async function steady({ atATime, seconds }: Steady, once: (lane: number) => Promise<string | undefined>): Promise<Took> {
  const ms: number[] = [];
  const faults: string[] = [];
  const begun = clock();
  const lane = async (index: number) => {
    while (clock() - begun < seconds * 1000) {
      const from = clock();
      const fault = await once(index);
      ms.push(clock() - from);
      if (fault !== undefined) faults.push(fault);
    }
  };
  await Promise.all(Array.from({ length: atATime }, (_, index) => lane(index)));
  return { ms, seconds: (clock() - begun) / 1000, faults };
}

const faultOf = ({ run, id, kind, status }: Seen) => (status === (kind === "denied" ? "denied" : "succeeded") ? undefined : `${run}/${id} was told \`${status}\``);

/** Runs of so many actions in sequence, each from its start to its end. */
function sequences({ length, ...options }: Steady & { readonly length: number }): Promise<Took> {
  return steady(options, async (lane) => {
    const run = new Run(agentAt(lane));
    await run.start();
    let fault: string | undefined;
    for (let i = 0; i < length; i++) fault ??= faultOf(await run.act());
    await run.finish();
    return fault;
  });
}

/** One run for each lane, which takes one note after the other. */
async function notes(options: Steady): Promise<Took> {
  const lanes = await Promise.all(
    Array.from({ length: options.atATime }, async (_, index) => {
      const run = new Run(agentAt(index));
      await run.start();
      return run;
    }),
  );
  const took = await steady(options, async (lane) => {
    await (lanes[lane] as Run).note();
    return undefined;
  });
  await Promise.all(lanes.map((run) => run.finish()));
  return took;
}

/** Actions of many runs, and nothing kept of them: for loads that last. */
async function many({ atATime, actions: most }: { atATime: number; actions: number }): Promise<Took> {
  let begun = 0;
  const faults: string[] = [];
  const from = clock();
  const lane = async (index: number): Promise<void> => {
    for (let length = 1 + (index % ACTIONS_PER_RUN); begun < most; length = ACTIONS_PER_RUN) {
      const run = new Run(agentAt(index));
      await run.start();
      for (let i = 0; i < length && begun < most; i++) {
        begun += 1;
        const fault = faultOf(await run.act());
        if (fault !== undefined && faults.length < 20) faults.push(fault);
      }
      await run.finish();
    }
  };
  await Promise.all(Array.from({ length: atATime }, (_, index) => lane(index)));
  return { ms: [], seconds: (clock() - from) / 1000, faults };
}

/** A run that begins and is told what it may do. */
async function verdict(): Promise<Took> {
  const run = new Run(agentAt(0));
  const begun = clock();
  await run.start();
  const heard = Promise.withResolvers<void>();
  void run.act(() => heard.resolve());
  await heard.promise;
  return { ms: [clock() - begun], seconds: 0, faults: [] };
}

/** Asks each of these runs, which have ended after one action, once more how it ended, one after the other. */
async function recall({ names }: { names: readonly RunId[] }): Promise<Took> {
  const ms: number[] = [];
  const faults: string[] = [];
  const begun = clock();
  for (const name of names) {
    const agent = agents.find(({ name: own }) => name.startsWith(`${own}_`)) as Agent;
    const from = clock();
    const answer = await agent.propose(name, { kind: "finish", id: "finish", output: { actions: 1 } });
    ms.push(clock() - from);
    if (answer?.status !== "completed") faults.push(`${name} says that it is \`${answer?.status ?? "missing"}\``);
  }
  return { ms, seconds: (clock() - begun) / 1000, faults };
}

serveParent({
  start: async ({ url, dataDir, keyNamespaces, ns, life }: { url: string; dataDir: string; keyNamespaces: Namespace[]; ns: Namespace; life?: number }) => {
    const keys = await openKeys(dataDir, keyNamespaces);
    const key = await openIssuerKey(dataDir);
    // another process begins runs of its own on the same plane
    runs = (life ?? 0) * 1e9;
    for (let index = 0; index < AGENTS; index++) agents.push(await Agent.login(url, keys, ns, actor(agentName(index)), key));
  },
  closed: ({ options }: { options: Closed }) => closed(options),
  open: ({ options }: { options: Open }) => open(options),
  sequences: ({ options }: { options: Steady & { readonly length: number } }) => sequences(options),
  notes: ({ options }: { options: Steady }) => notes(options),
  many: ({ options }: { options: { readonly atATime: number; readonly actions: number } }) => many(options),
  verdict: () => verdict(),
  recall: ({ options }: { options: { readonly names: readonly RunId[] } }) => recall(options),
  stop: async () => undefined,
});
