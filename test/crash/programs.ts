/** Random programs: what many agents, approvers and operators do at once while processes are killed. */
import fc from "fast-check";
import { setTimeout as pause } from "node:timers/promises";
import type { InputKind } from "../../schemas/subjects.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import type { TestActor } from "../harness/plane.ts";
import { CAPABILITIES } from "./capabilities.ts";
import type { Supervisor } from "./children.ts";
import type { Behaviour, ProbeBehaviour } from "./tools.ts";
import { outputOf } from "./tools.ts";
import { stubborn, until } from "./patience.ts";
import { RUN_ENDS } from "./script.ts";
import type { World } from "./world.ts";

export type Step =
  | {
      readonly do: "call";
      readonly tool: string;
      readonly does: readonly Behaviour[];
      /** What the tool does when it is asked what became of it. */
      readonly asked: readonly ProbeBehaviour[];
      readonly people: "approve" | "refuse" | "collide" | "nobody";
      /** The same proposal again, at once. */
      readonly twice: boolean;
      /** Until something is known of it. */
      readonly wait: boolean;
      /** From the tool's effect to its answer, ms: within its time-out, or long after it. */
      readonly slow: number;
    }
  | { readonly do: "note" | "pause" | "resume" | "cancel" | "finish" }
  /** One of the inputs before, once more; or its id with other content. */
  | { readonly do: "again" | "reuse"; readonly which: number };

export interface RunOf {
  readonly agent: string;
  /** `late`: behind the first steps, which come to a run that there is not yet. */
  readonly start: "first" | "late" | "never";
  readonly steps: readonly Step[];
  /** Places in the steps that come in the other order, each with the one behind it. */
  readonly swaps: readonly number[];
}

export interface Program {
  readonly runs: readonly RunOf[];
  /** One after the other: at so many crossings of the life of then. */
  readonly kills: readonly Kill[];
}

/** Where one process runs everything, both words mean that one. */
export interface Kill {
  readonly victim: "coordinator" | "gateway" | "server";
  /** Which of them, where there are several; whose crossing it is, for the server. */
  readonly which: number;
  readonly at: number;
}

const behaviour = fc.constantFrom<Behaviour>("ok", "ok", "ok", "twice", "never", "fail", "lose", "break");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      tool: fc.constantFrom("c.read", "c.write", "c.write", "c.same", "c.asked", "c.asked", "c.nothing"),
      does: fc.array(behaviour, { minLength: 1, maxLength: 2 }),
      asked: fc.array(fc.constantFrom<ProbeBehaviour>("tell", "tell", "unknown", "silent"), { minLength: 1, maxLength: 3 }),
      people: fc.constantFrom("approve" as const, "approve" as const, "refuse" as const, "collide" as const, "nobody" as const),
      twice: fc.boolean(),
      wait: fc.boolean(),
      slow: fc.constantFrom(0, 0, 0, 0, 300, 1_200),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("note" as const, "pause" as const, "resume" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("again" as const, "reuse" as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("cancel" as const, "finish" as const) }) },
);
export const program: fc.Arbitrary<Program> = fc.record({
  runs: fc.array(
    fc.record({
      agent: fc.constantFrom(...CAPABILITIES.flatMap(({ agents = [] }) => agents)),
      start: fc.constantFrom<RunOf["start"]>("first", "first", "first", "first", "first", "first", "first", "late", "late", "never"),
      steps: fc.array(step, { minLength: 1, maxLength: 12 }),
      swaps: fc.array(fc.nat(11), { maxLength: 3 }),
    }),
    { minLength: 3, maxLength: 10 },
  ),
  kills: fc.array(
    fc.record({ victim: fc.constantFrom<Kill["victim"]>("coordinator", "coordinator", "gateway", "gateway", "server"), which: fc.nat(3), at: fc.integer({ min: 1, max: 250 }) }),
    { minLength: 1, maxLength: 4 },
  ),
});

/** An input that the server said it has. */
export interface Sent {
  readonly actor: TestActor;
  readonly kind: InputKind;
  readonly run: string;
  readonly body: { readonly id: string; readonly [key: string]: unknown };
}

/** What a program did, for the oracle. */
export interface Played {
  readonly runs: readonly { readonly run: string; readonly agent: TestActor; readonly tools: ReadonlyMap<string, Sent["body"]> }[];
  readonly sent: readonly Sent[];
}

let serials = 0;

export async function playProgram(world: World, { runs, kills }: Program): Promise<Played> {
  const serial = `${process.pid.toString(36)}-${(++serials).toString(36)}`;
  const sent: Sent[] = [];
  const send = async (actor: TestActor, kind: InputKind, run: string, body: Sent["body"]): Promise<void> => {
    await stubborn(() => actor.send(kind, run, body));
    sent.push({ actor, kind, run, body });
  };
  const over = { yes: false };
  const killer = kill(world, kills, over);
  const played = await Promise.all(
    runs.map(async ({ agent: name, ...what }, index) => {
      const agent = world.people.agents.get(name) as TestActor;
      const run = `${name}_${serial}-${index}`;
      const tools = new Map<string, Sent["body"]>();
      await new Agent(world, agent, run, send, tools).play(what);
      return { run, agent, tools };
    }),
  );
  over.yes = true;
  await killer;
  for (const { run, agent, tools } of played) await settle(world, run, agent, tools, send);
  await until(
    () => Promise.resolve(),
    async () => ((await world.undecided()) === 0 ? true : undefined),
    "inputs that nobody decides",
  );
  return { runs: played, sent };
}

/** A start that is late comes behind so many inputs of its run. */
const LATE = 2;

function swapped<T>(items: readonly T[], swaps: readonly number[]): T[] {
  const order = [...items];
  for (const place of swaps) {
    const pair = order.slice(place, place + 2);
    order.splice(place, pair.length, ...pair.reverse());
  }
  return order;
}

type Send = (actor: TestActor, kind: InputKind, run: string, body: Sent["body"]) => Promise<void>;

class Agent {
  readonly #world: World;
  readonly #agent: TestActor;
  readonly #run: string;
  readonly #send: Send;
  readonly #tools: Map<string, Sent["body"]>;
  readonly #said: Sent["body"][] = [];

  constructor(world: World, agent: TestActor, run: string, send: Send, tools: Map<string, Sent["body"]>) {
    this.#world = world;
    this.#agent = agent;
    this.#run = run;
    this.#send = send;
    this.#tools = tools;
  }

  async play({ steps, start, swaps }: Omit<RunOf, "agent">): Promise<void> {
    const name = this.#agent.name;
    const started = start !== "never";
    const begin = () => this.#say({ kind: "start", id: "start", agent: { name }, goal: "to survive" });
    if (start === "first") await begin();
    const people: Promise<void>[] = [];
    const order = swapped([...steps.entries()], swaps);
    for (const [place, [index, step]] of order.entries()) {
      const id = `${step.do}-${index}`;
      if (start === "late" && place === Math.min(LATE, order.length - 1)) await begin();
      if (step.do === "call") {
        const body = { kind: "tool", id, tool: step.tool, input: { step: id, does: step.does, ...(step.slow > 0 && { slow: step.slow }), ...(step.tool === "c.asked" && { asked: step.asked }) } };
        this.#tools.set(id, body);
        await Promise.all([this.#say(body), ...(step.twice ? [this.#say(body)] : [])]);
        if (name === "hasty" && started && step.tool !== "c.nothing") people.push(this.#decide(id, step.people));
        if (step.wait && started) await this.#heard(body);
      } else if (step.do === "note") await this.#say({ kind: "note", id, text: "a note" });
      else if (step.do === "finish") await this.#say({ kind: "finish", id });
      else if (step.do === "again" || step.do === "reuse") {
        const before = this.#said[step.which % Math.max(1, this.#said.length)];
        if (before === undefined) continue;
        await this.#send(this.#agent, "propose", this.#run, step.do === "again" ? before : { kind: "note", id: before.id, text: "something else" });
      } else await this.#send(this.#world.people.operator, "control", this.#run, { verb: step.do, id });
    }
    await Promise.all(people);
  }

  async #say(body: Sent["body"]): Promise<void> {
    this.#said.push(body);
    await this.#send(this.#agent, "propose", this.#run, body);
  }

  async #heard(body: Sent["body"]): Promise<void> {
    const { rejections, answers } = this.#agent;
    await until(
      () => this.#agent.send("propose", this.#run, body),
      () => answers.find(({ run, id }) => run === this.#run && id === body.id) ?? rejections.find(({ run, id }) => run === this.#run && id === body.id),
      `proposal ${body.id} of ${this.#run}`,
    );
  }

  /** What people do of a request, if it comes to one. */
  async #decide(id: string, what: "approve" | "refuse" | "collide" | "nobody"): Promise<void> {
    if (what === "nobody") return;
    const { approver, second } = this.#world.people;
    await this.#heard(this.#tools.get(id) as Sent["body"]);
    const { request } = this.#agent.answers.find((answer) => answer.run === this.#run && answer.id === id && answer.request !== undefined) ?? {};
    if (request === undefined) return;
    const asked = (await this.#world.events(this.#run)).find(({ body }) => body.type === "approval.requested" && body.data["request"] === request);
    const digest = asked?.body.data["digest"];
    const say = (who: TestActor, decision: string) => this.#send(who, "decide", this.#run, { id: `${decision}-${request}`, request, decision, digest });
    if (what === "collide") await Promise.all([say(approver, "approve"), say(second, "refuse")]);
    else await say(approver, what);
  }
}

async function kill(world: World, kills: readonly Kill[], over: { readonly yes: boolean }): Promise<void> {
  for (const { victim, which, at } of kills) {
    if (over.yes) break;
    const deaths = world.deaths + world.serverDeaths;
    const among = victim === "server" ? world.processes : (world.parts.get(victim) ?? world.processes);
    const process = among[which % among.length] as Supervisor;
    await process.up();
    await process.arm({ name: "*", nth: at, side: at % 2 === 0 ? "before" : "after" }, victim === "server" ? "server" : "child");
    while (!over.yes && world.deaths + world.serverDeaths === deaths) await pause(10);
  }
  for (const process of world.processes) await process.arm(undefined, "child");
}

const ENDED: ReadonlySet<string> = new Set(["verified", "failed", "rejected", "denied"]);

/** Where each action stands, by the journal. */
export function standing(events: readonly JournalEvent[]): Map<string, { state: string; proposal: string }> {
  const actions = new Map<string, { state: string; proposal: string }>();
  for (const { body } of events) {
    const id = body.data["action"] as string | undefined;
    if (id === undefined || !(body.type.startsWith("action.") || body.type === "approval.requested")) continue;
    const known = actions.get(id) ?? { state: "", proposal: body.data["proposal"] as string };
    known.state = body.to;
    actions.set(id, known);
  }
  return actions;
}

/** Whether the tool is being asked what became of it, or will be. */
function isAsked(events: readonly JournalEvent[], action: string): boolean {
  const last = events.findLast(({ body }) => body.type.startsWith("action.") && body.data["action"] === action)?.body;
  return last?.to === "probing" || last?.data["probe_at"] !== undefined;
}

/** People bring to an end whatever has not come to one: what is in doubt is resolved by what the tool's ledger says. */
async function settle(world: World, run: string, agent: TestActor, tools: Map<string, Sent["body"]>, send: Send): Promise<void> {
  const { operator, second } = world.people;
  const words = new Set<string>();
  const once = async (actor: TestActor, kind: InputKind, body: Sent["body"]) => {
    if (words.has(body.id)) return;
    words.add(body.id);
    await send(actor, kind, run, body);
  };
  await until(
    () => Promise.resolve(),
    async () => {
      const events = await world.events(run);
      if (events.length === 0) return true;
      const life = events.findLast(({ body }) => body.type.startsWith("run."))?.body;
      if (life?.to === "paused") await once(operator, "control", { verb: "resume", id: `unpause-${life.seq}` });
      let open = 0;
      for (const [action, { state, proposal }] of standing(events)) {
        if (ENDED.has(state)) continue;
        open += 1;
        if (state === "in_doubt" || state === "probing") {
          // of some a person says it while the tool is still to be asked; of the others when the tool could not tell
          if (isAsked(events, action) && Number(action.slice(1)) % 4 !== 0) continue;
          const done = world.ledger.effects(run, proposal) > 0;
          await once(operator, "control", { verb: "resolve", id: `resolve-${action}`, action, outcome: done ? "succeeded" : "failed", ...(done && { output: outputOf(proposal) }) });
        } else if (state === "awaiting_approval") {
          const { request, digest } = events.find(({ body }) => body.type === "approval.requested" && body.data["action"] === action)?.body.data ?? {};
          await once(second, "decide", { id: `refuse-at-last-${action}`, request, decision: "refuse", digest });
        }
      }
      if (open > 0) return undefined;
      if (life !== undefined && RUN_ENDS.has(life.type)) return true;
      await once(agent, "propose", { kind: "finish", id: `end-${events.length}` });
      return undefined;
    },
    `the end of \`${run}\``,
  );
  // the newest answers
  const { length } = await world.events(run);
  if (length === 0) return;
  for (const [id, body] of tools) {
    if (!(await known(world, run, id))) continue;
    const from = agent.answers.length;
    await until(() => agent.send("propose", run, body), () => agent.answers.slice(from).find((answer) => answer.run === run && answer.id === id), `the last answer to ${id}`);
  }
}

const known = async (world: World, run: string, id: string) =>
  (await world.events(run)).some(({ body }) => body.type === "action.proposed" && body.data["proposal"] === id);
