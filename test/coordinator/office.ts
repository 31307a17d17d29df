/** What the coordinator's tests share: a plane with small documents of its own, and the people and gateways around it. */
import { randomUUID } from "node:crypto";
import type { Answer } from "../../schemas/answer.ts";
import type { Dispatch, Grant } from "../../schemas/dispatch.ts";
import { type Actor, runId } from "../../schemas/ids.ts";
import { type StreamKind, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { DispatchQueue } from "../../services/bus/dispatch.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { streamConfig } from "../../services/bus/streams.ts";
import { type TestActor, type TestPlane, startTestPlane, withPatience } from "../harness/plane.ts";
import type { TestServerOptions } from "../harness/server.ts";

const OBJECT = { type: "object" };
const TEXT = { type: "object", required: ["text"], properties: { text: { type: "string" } }, additionalProperties: false };
const tool = (name: string, effect: string, more: object = {}) => ({
  name,
  description: `a ${effect} of the tests`,
  effect,
  adapter: "nats",
  trusted: true,
  timeout_ms: 5000,
  input: OBJECT,
  output: OBJECT,
  ...more,
});

export const TOOLS = {
  "t.read": tool("t.read", "read", { retries: 2, input: TEXT }),
  "t.write": tool("t.write", "write", { retries: 2 }),
  "t.short": tool("t.short", "write", { timeout_ms: 1, retries: 2 }),
  "t.same": tool("t.same", "write", { retries: 1, idempotent: true }),
  "t.dear": tool("t.dear", "write", { cost_usd: 0.6 }),
  "t.strict": tool("t.strict", "read", { output: TEXT }),
} as const;

const allow = (name: string, more: object = {}) => ({ name, ...more });
const contract = (name: string, tools: object[], budgets: object = {}) => ({
  agent: { name, owner: "owner", team: "team", purpose: "to be tested" },
  budgets,
  tools: { allowlist: tools },
});
const ALL = Object.keys(TOOLS).map((name) => allow(name));
export const CONTRACTS = {
  clerk: contract("clerk", ALL),
  stranger: contract("stranger", ALL),
  /** Needs a person for every write. */
  asker: contract("asker", [allow("t.write", { requires_approval: true }), allow("t.read")]),
  /** Its requests expire at once. */
  hasty: contract("hasty", [allow("t.write", { requires_approval: true, approval_expires_seconds: 1 })]),
  miser: contract("miser", ALL, { max_steps: 2 }),
  spender: contract("spender", ALL, { max_cost_usd_per_run: 1 }),
  sprinter: contract("sprinter", [allow("t.read"), allow("t.write", { requires_approval: true })], { max_wall_seconds: 1 }),
} as const;
const POLICY = `@id("all") permit (principal, action, resource);\n`;

export interface Office extends TestPlane {
  gateway(name: string): Promise<TestGateway>;
  /** The documents above: done by {@link startOffice}, unless it was told to start no coordinator. */
  applyDefaults(): Promise<void>;
  /** A run of this agent, started. */
  begin(agent: TestActor, run: string, more?: object): Promise<Answer>;
  /** Proposes a tool and resolves with the first answer that says so much. */
  ask(agent: TestActor, run: string, id: string, tool: string, status: Answer["status"], input?: object): Promise<Answer>;
  /** Publishes to a stream of this kind find nobody until the returned function is called. */
  cutOff(kind: StreamKind): Promise<() => Promise<void>>;
  /** Changes a stream's configuration, and returns what puts it back. */
  reconfigure(kind: StreamKind, change: object): Promise<() => Promise<void>>;
}

export interface TestGateway {
  readonly name: Actor;
  readonly nonce: string;
  /** Reports and waits for the grant that answers it. */
  report(run: string, body: { action: string; attempt?: number; status: string; nonce?: string; [key: string]: unknown }): Promise<Grant>;
  claim(run: string, action: string, attempt?: number): Promise<Grant>;
}

export async function startOffice(options: TestServerOptions & { coordinator?: boolean } = {}): Promise<Office> {
  const plane = await startTestPlane(options);
  if (options.coordinator !== false) await plane.coordinator();
  const { ns, server } = plane;
  const reconfigure: Office["reconfigure"] = async (kind, change) => {
    const nc = await server.connect("provision", `p-${randomUUID().slice(0, 8)}`);
    const wanted = streamConfig(kind, ns, {});
    const update = async (config: object) => {
      const answer = await nc.request(`$JS.API.STREAM.UPDATE.${streamName(kind, ns)}`, JSON.stringify(config), { timeout: 5000 });
      const { error } = answer.json<{ error?: { description: string } }>();
      if (error !== undefined) throw new Error(error.description);
    };
    await update({ ...wanted, ...change });
    return () => update(wanted);
  };
  const applyDefaults = () => plane.applyValues([...Object.values(TOOLS), ...Object.values(CONTRACTS)], POLICY);
  if (options.coordinator !== false) await applyDefaults();
  return {
    ...plane,
    applyDefaults,
    gateway: async (name) => testGateway(await server.connect("gateway", name), name as Actor, plane),
    begin: (agent, run, more = {}) =>
      agent.propose(run, { kind: "start", id: "start", agent: { name: agent.name }, goal: "test", ...more }),
    ask: (agent, run, id, name, status, input = { text: "x" }) =>
      agent.propose(run, { kind: "tool", id, tool: name, input }, (answer) => answer.status === status),
    reconfigure,
    cutOff: (kind) => reconfigure(kind, { subjects: [`signalbox.${ns}.nobody.${kind.toLowerCase()}`] }),
  };
}

async function testGateway(nc: NatsConnection, name: Actor, { ns }: TestPlane): Promise<TestGateway> {
  const publisher = new Publisher(nc);
  const waiting = new Map<string, (grant: Grant) => void>();
  nc.subscribe(subjects.grant(ns, name), {
    callback: (_, message) => {
      const grant = JSON.parse(Buffer.from(message.data).toString()) as Grant;
      waiting.get(grant.report)?.(grant);
    },
  });
  await nc.flush();
  const nonce = randomUUID();
  const report: TestGateway["report"] = async (run, { nonce: other, ...body }) => {
    const id = typeof body["id"] === "string" ? body["id"] : randomUUID();
    const granted = new Promise<Grant>((resolve) => waiting.set(id, resolve));
    const input = { id, attempt: 1, claim: { gateway: name, nonce: other ?? nonce }, ...body };
    await publisher.publish(subjects.input(ns, "report", name, runId(run)), Buffer.from(JSON.stringify(input)));
    return withPatience(granted, `${name} heard nothing of its report on ${body.action}`);
  };
  return { name, nonce, report, claim: (run, action, attempt = 1) => report(run, { action, attempt, status: "started" }) };
}

/** Dispatches of one tool, as gateways get them. */
export async function dispatchesOf({ server, ns }: TestPlane, tool: string) {
  const nc = await server.connect("gateway", `queue-${randomUUID().slice(0, 8)}`);
  const found: Dispatch[] = [];
  let heard: () => void = () => undefined;
  const queue = new DispatchQueue(nc, {
    ns,
    tool,
    limit: 100,
    onMessage: (message) => {
      found.push(JSON.parse(Buffer.from(message.data).toString()) as Dispatch);
      message.ack();
      heard();
    },
  });
  await queue.start();
  return {
    found,
    next: (fits: (dispatch: Dispatch) => boolean): Promise<Dispatch> =>
      withPatience(
        new Promise((resolve) => {
          heard = () => {
            const wanted = found.find(fits);
            if (wanted !== undefined) resolve(wanted);
          };
          heard();
        }),
        `no dispatch of \`${tool}\` fits`,
      ),
  };
}

/** The approval that a run asked for: what an approver reads, and decides by. */
export function requestOf(event: JournalEvent): { request: string; digest: string } {
  const { request, digest } = event.body.data as { request: string; digest: string };
  return { request, digest };
}

export const types = (events: readonly JournalEvent[]) => events.map(({ body }) => body.type);
