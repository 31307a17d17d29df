/** A server, services in a process that may be killed, tools with a ledger of their own, and stubborn people. */
import { setTimeout as pause } from "node:timers/promises";
import type { Answer, Rejection } from "../../schemas/answer.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { Service } from "../../services/main.ts";
import { type Checked, checkAggregate } from "../../services/replay/journal.ts";
import { type TestActor, type TestPlane, startTestPlane } from "../harness/plane.ts";
import { Supervisor } from "./children.ts";
import type { StartChild } from "./plane-child.ts";
import { Ledger, serveTools, toolDocuments } from "./tools.ts";

const POLICY = `@id("all") permit (principal, action, resource);
@id("never-this") forbid (principal, action == Action::"read", resource) when { resource.tags.contains("forbidden") };
`;
const contract = (name: string, tools: object[], budgets: object = {}) => ({
  agent: { name, owner: "owner", team: "team", purpose: "to be crashed" },
  budgets,
  tools: { allowlist: tools },
});
const freely = [{ name: "c.read" }, { name: "c.write" }, { name: "c.same" }, { name: "c.asked" }];
export const MAX_STEPS = 8;
export const MAX_COST_MICRO_USD = 60_000;
const CONTRACTS = [
  contract("clerk", [...freely, { name: "c.secret" }]),
  contract("asker", [{ name: "c.read" }, { name: "c.write", requires_approval: true }, { name: "c.same", requires_approval: true, approval_expires_seconds: 1 }]),
  contract("hasty", freely.map((tool) => ({ ...tool, ...(tool.name !== "c.read" && { requires_approval: true, approval_expires_seconds: 1 }) }))),
  contract("miser", freely, { max_steps: MAX_STEPS, max_cost_usd_per_run: MAX_COST_MICRO_USD / 1e6 }),
];
const SECRET = {
  name: "c.secret", description: "forbidden", effect: "read", adapter: "nats", tags: ["forbidden"], input: { type: "object" }, output: {},
};

/** What a process runs: everything, or this alone. */
export type Part = "services" | "coordinator" | "gateway";

/** Coordinator and gateway in processes of their own: either dies while the other lives. */
export const APART: readonly (readonly Service[])[] = [["coordinator"], ["gateway"]];

export interface World {
  readonly plane: TestPlane;
  readonly ledger: Ledger;
  readonly processes: readonly Supervisor[];
  /** The processes of each part that there is: at least one. */
  readonly parts: ReadonlyMap<Part, readonly [Supervisor, ...Supervisor[]]>;
  /** Of all processes. */
  readonly deaths: number;
  isDead(gateway: string): boolean;
  serverDeaths: number;
  readonly people: { readonly agents: ReadonlyMap<string, TestActor>; readonly approver: TestActor; readonly second: TestActor; readonly operator: TestActor };
  events(run: string): Promise<JournalEvent[]>;
  rejections(actor: string): Promise<Rejection[]>;
  /** Inputs that nobody has decided. */
  undecided(): Promise<number>;
  /** Replayed and verified. */
  check(run: string): Promise<Checked | undefined>;
  killServer(): Promise<void>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  /** Of one attempt of a tool. */
  readonly timeoutMs?: number;
  readonly retries?: number;
  /** What runs in which process; default: everything in one. */
  readonly processes?: readonly (readonly Service[])[];
  /** Whether the next process waits, loaded, before it is needed; default true. */
  readonly standby?: boolean;
  readonly ackWaitMs?: number;
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const plane = await startTestPlane();
  const { server, ns } = plane;
  const ledger = new Ledger();
  await serveTools(server, ns, ledger);
  const order = (roles: readonly Service[]): StartChild => ({
    do: "start",
    url: server.url,
    dataDir: server.dataDir,
    ns,
    roles,
    serverPid: server.pid,
    ackWaitMs: options.ackWaitMs ?? 2_000,
    repeatMs: 500,
  });
  const world = { serverDeaths: 0 };
  const restarted = async () => {
    world.serverDeaths += 1;
    await server.restart();
  };
  const layout = options.processes ?? [["coordinator", "gateway"]];
  const processes = layout.map(
    (roles) => new Supervisor({ order: () => order(roles), onServerKilled: restarted, ...(options.standby !== undefined && { standby: options.standby }) }),
  );
  await Promise.all(processes.map((one) => one.start()));
  await plane.applyValues([...toolDocuments(options.timeoutMs ?? 2_500, options.retries ?? 4), SECRET, ...CONTRACTS], POLICY);
  const agents = new Map<string, TestActor>();
  for (const { agent } of CONTRACTS) agents.set(agent.name, await plane.agent(agent.name));
  const people = { agents, approver: await plane.approver("ann"), second: await plane.approver("bob"), operator: await plane.operator("op") };
  const reading = await server.connect("coordinator", "harness");
  const journal = new StreamReader(reading, streamName("JOURNAL", ns));
  const rejected = new StreamReader(reading, streamName("REJECTED", ns));
  const inputs = await server.connect("provision", "harness");

  const parts = new Map<Part, [Supervisor, ...Supervisor[]]>();
  for (const [index, roles] of layout.entries()) {
    const part = roles.length > 1 ? "services" : (roles[0] as "coordinator" | "gateway");
    const process = processes[index] as Supervisor;
    const others = parts.get(part);
    if (others === undefined) parts.set(part, [process]);
    else others.push(process);
  }
  const counted = Object.defineProperty(world, "deaths", { get: () => processes.reduce((sum, { deaths }) => sum + deaths, 0) }) as typeof world & { readonly deaths: number };
  return Object.assign(counted, {
    plane,
    ledger,
    processes,
    parts,
    isDead: (gateway: string) => processes.some(({ dead }) => dead.has(gateway)),
    people,
    events: (run: string) => stubborn(() => plane.events(run)),
    rejections: (actor: string) =>
      stubborn(async () => {
        const found: Rejection[] = [];
        for await (const { data } of rejected.read({ subject: subjects.rejected(ns, actor as never) })) found.push(JSON.parse(Buffer.from(data).toString()) as Rejection);
        return found;
      }),
    check: (run: string) => stubborn(() => checkAggregate(journal, ns, "run", run)),
    undecided: () =>
      stubborn(async () => {
        let count = 0;
        for (const kind of ["INBOX", "CONTROL"] as const) {
          const answer = await inputs.request(`$JS.API.STREAM.INFO.${streamName(kind, ns)}`, "", { timeout: 2_000 });
          count += answer.json<{ state: { messages: number } }>().state.messages;
        }
        return count;
      }),
    killServer: async () => {
      await server.kill();
      await restarted();
    },
    stop: async () => {
      await Promise.all(processes.map((one) => one.stop()));
      await plane.stop();
    },
  });
}

const PATIENCE_MS = 90_000;
const AGAIN_MS = 700;

/** Tries until it succeeds: the server may be away. */
export async function stubborn<T>(what: () => Promise<T>): Promise<T> {
  for (const began = performance.now(); ; ) {
    try {
      return await what();
    } catch (error) {
      if (performance.now() - began > PATIENCE_MS) throw error;
      // no answer is to be had before the connection is back, and nothing says when it is
      await pause(50);
    }
  }
}

/** Sends the same again and again until something is heard. What is heard is looked for whenever anything comes. */
export async function until<T>(send: () => Promise<unknown>, heard: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
  const began = performance.now();
  let sentAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const found = await heard();
    if (found !== undefined) return found;
    const now = performance.now();
    if (now - began > PATIENCE_MS) throw new Error(`nothing came of ${what}`);
    if (now - sentAt > AGAIN_MS) {
      sentAt = now;
      await stubborn(send);
    }
    await pause(10);
  }
}

/** Proposes until an answer fits. @returns the newest that does */
export function propose(actor: TestActor, run: string, body: { id: string; [key: string]: unknown }, fits: (answer: Answer) => boolean): Promise<Answer> {
  return until(
    () => actor.send("propose", run, body),
    () => actor.answers.findLast((answer) => answer.run === run && answer.id === body.id && fits(answer)),
    `proposal \`${body.id}\` of \`${run}\`; the last answers: ${JSON.stringify(actor.answers.filter((answer) => answer.run === run).slice(-3))}`,
  );
}
