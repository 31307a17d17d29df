/**
 * What a hostile agent finds: a whole plane, a contract that lets it propose more than it should get, and tools that
 * keep a ledger of their own, in which everything stands that really happened.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../../schemas/answer.ts";
import { actor } from "../../schemas/ids.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import type { AdapterRequest } from "../../services/gateway/adapters/adapter.ts";
import { BuiltinAdapter, type BuiltinTool } from "../../services/gateway/adapters/builtin.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { type Heard, type TestActor, type TestPlane, startTestPlane } from "../harness/plane.ts";

/** The agent that tries everything, and one that it would like to be. */
export const MALLORY = "mallory";
export const ALICE = "alice";
/** The principal on whose behalf both act. */
export const PRINCIPAL = "kim";

const object = (properties: object, required = Object.keys(properties)) => ({ type: "object", required, additionalProperties: false, properties });
const text = { type: "string" };
const tool = (name: string, effect: string, input: object, output: object, more: object = {}) => ({
  name, description: `a ${effect} in town`, effect, adapter: "builtin", timeout_ms: 5000, region: "eu-west-1", trusted: true, input, output, ...more,
});
const ANYTHING = object({ text });

export const TOOLS = [
  // gives what anybody may have written
  tool("web.read", "read", object({ page: text }), ANYTHING, { trusted: false }),
  // gives data of persons
  tool("file.read", "read", object({ name: text }), ANYTHING, { labels: [{ label: "pii" }] }),
  // says again what it is told: one would like to wash data with it
  tool("echo.say", "read", object({ text }), ANYTHING, { clearance: ["pii"] }),
  // a read whose input goes to somebody else
  tool("search.web", "read", object({ query: text }), ANYTHING),
  tool("search.abroad", "read", object({ query: text }), ANYTHING, { region: "us-east-1", clearance: ["pii", "region:eu"] }),
  tool("pay.send", "write", object({ to: text, amount: {}, currency: text, memo: text }, []), object({ paid: { type: "boolean" } }), {
    clearance: ["pii"],
    amount: { field: "amount", currency: { field: "currency" }, target: "to" },
  }),
  tool("note.write", "write", object({ text }), object({ ok: { type: "boolean" } }), { clearance: ["pii"] }),
  tool("store.wipe", "irreversible", object({ name: text }), object({ ok: { type: "boolean" } }), { clearance: ["pii"] }),
  tool("card.charge", "write", object({ to: text, amount: { type: "number" } }), object({ ok: { type: "boolean" } }), { clearance: ["pii"], amount: { field: "amount", currency: "USD", target: "to" } }),
  tool("gate.open", "write", object({ name: text }), object({ ok: { type: "boolean" } })),
  tool("vault.open", "write", object({ name: text }), object({ ok: { type: "boolean" } }), { tags: ["vault"] }),
  tool("dear.call", "write", object({}, []), object({ ok: { type: "boolean" } }), { cost_usd: 0.6 }),
  // answers with more than its schema says
  tool("liar.read", "read", object({ say: {} }), ANYTHING),
];

const ALLOWED = [
  ...["web.read", "file.read", "echo.say", "search.web", "search.abroad", "note.write", "store.wipe", "vault.open", "dear.call", "liar.read"].map((name) => ({ name })),
  { name: "gate.open", requires_approval: true, approval_expires_seconds: 1 },
  { name: "card.charge", standing_approval: { max_uses: 2, max_seconds: 600, vary: ["/amount"], max_amount: 50, max_total: 80 }, requires_approval: true },
  { name: "pay.send", requires_approval_above: { field: "amount", value: 100, per_principal_day: 1_000_000, per_agent_day: 1_000_000 } },
];
const contract = (name: string, more: object = {}) => ({
  agent: { name, version: "1.0.0", owner: "owner", team: "town", purpose: "to be tried" },
  budgets: { max_steps: 200, max_cost_usd_per_run: 1 },
  tools: { allowlist: ALLOWED },
  ...more,
});
export const CONTRACTS = [contract(MALLORY), contract(ALICE), contract("eunice", { data: { labels: ["region:eu"] } })];

export const POLICIES = {
  "all.cedar": `@id("all") permit (principal, action, resource);
@id("tainted-asks") @ask("approver") forbid (principal, action in [Action::"write", Action::"irreversible"], resource)
when { context.tainted || context.sources > 0 };
@id("vault-asks-two") @ask("finance") @approvals("2") forbid (principal, action == Action::"write", resource)
when { resource.tags.contains("vault") };
@id("unsure-asks") @ask("approver") forbid (principal, action == Action::"write", resource)
when { context has confidence && context.confidence.lessThan(decimal("0.5")) };
`,
};

/** Something that a tool really did, or gave. */
export interface Happened {
  readonly tool: string;
  readonly run: string;
  readonly input: JsonValue;
}

export interface Town extends TestPlane {
  readonly mallory: TestActor;
  /** Writes that took place, in order. */
  readonly effects: readonly Happened[];
  /** Every call that reached a tool, reads too. */
  readonly calls: readonly Happened[];
  /** What `web.read` gives, by page. */
  readonly pages: Map<string, string>;
  /** The gateway that runs now. */
  readonly gateway: Gateway;
  /** Bodies of the events that a subscription to a live subject hears. */
  guard(live: AsyncIterable<{ readonly subject: string; readonly data: Uint8Array }>): AsyncIterable<JournalEvent["body"]>;
  /** Another one, after the first was stopped. */
  startGateway(): Promise<void>;
  /** A run of its own for this attempt, started with a good token. */
  run(name?: string): Promise<string>;
  /** Proposes a tool, and hears what is final or waits for a person. */
  call(run: string, tool: string, input: JsonValue, more?: { readonly id?: string; readonly [field: string]: JsonValue | undefined }, headers?: Record<string, string>): Promise<Heard>;
}

export async function startTown(): Promise<Town> {
  const plane = await startTestPlane();
  await plane.coordinator();
  await plane.applyValues([...TOOLS, ...CONTRACTS], POLICIES);
  const effects: Happened[] = [];
  const calls: Happened[] = [];
  const pages = new Map<string, string>();
  const seen = ({ tool, run, input }: AdapterRequest): Happened => {
    const happened = { tool, run, input };
    calls.push(happened);
    return happened;
  };
  const reads = (say: (input: Record<string, JsonValue>) => JsonValue): BuiltinTool => (request) => {
    seen(request);
    return { ok: true, output: say(request.input as Record<string, JsonValue>) };
  };
  const writes = (output: JsonValue): BuiltinTool => (request) => {
    effects.push(seen(request));
    return { ok: true, output };
  };
  const tools = new Map<string, BuiltinTool>([
    ["web.read", reads(({ page }) => ({ text: pages.get(String(page)) ?? "nothing of interest stands here" }))],
    ["file.read", reads(() => ({ text: "Jane Doe, born 1980-02-29, lives at 12 Orchard Lane" }))],
    ["echo.say", reads(({ text }) => ({ text: text ?? "" }))],
    ["search.web", reads(() => ({ text: "no results" }))],
    ["search.abroad", reads(() => ({ text: "no results" }))],
    ["liar.read", reads(({ say }) => say ?? null)],
    ["pay.send", writes({ paid: true })],
    ["note.write", writes({ ok: true })],
    ["store.wipe", writes({ ok: true })],
    ["card.charge", writes({ ok: true })],
    ["gate.open", writes({ ok: true })],
    ["vault.open", writes({ ok: true })],
    ["dear.call", writes({ ok: true })],
  ]);
  let gateways = 0;
  const startGateway = async (): Promise<Gateway> => {
    const name = `g${++gateways}`;
    const one = new Gateway({ nc: await plane.server.connect("gateway", name), ns: plane.ns, name: actor(name), adapters: { builtin: new BuiltinAdapter(tools) }, repeatMs: 500 });
    await one.start();
    return one;
  };
  let gateway = await startGateway();
  const mallory = await plane.agent(MALLORY);
  let runs = 0;
  const town: Town = {
    ...plane,
    mallory,
    effects,
    calls,
    pages,
    get gateway() {
      return gateway;
    },
    guard: async function* (live) {
      for await (const { subject, data } of live) yield decodeEvent({ subject, data, seq: 0, time: 0, headers: new Map() }).body;
    },
    startGateway: async () => {
      gateway = await startGateway();
    },
    run: async (name = `${MALLORY}_${++runs}`) => {
      const started = await mallory.hear("propose", name, start(MALLORY));
      assert.equal(started.status, "started", JSON.stringify(started));
      return name;
    },
    call: async (run, tool, input, { id = `t-${++runs}`, ...more } = {}, headers = {}) =>
      withReasons(plane, await mallory.hear("propose", run, { kind: "tool", id, tool, input, ...more }, { headers })),
    stop: async () => {
      await gateway.stop(0);
      await plane.stop();
    },
  };
  return town;
}

export const start = (agent: string, more: object = {}) => ({ kind: "start", id: "start", agent: { name: agent }, goal: "to get round the plane", ...more });

/** One way round the plane, and what comes of it: `<status> <code> …`, as {@link said} writes it. */
export interface Attempt {
  readonly title: string;
  readonly hears: string | RegExp;
  readonly attempt: (town: Town) => Promise<Heard | string>;
  /** What really happened meanwhile, by tool; nothing, if not said. */
  readonly happens?: readonly string[];
}

/** Each attempt is a test: what is answered, and that nothing else happened than what is said to. */
export function tried(town: () => Town, attempts: readonly Attempt[]): void {
  for (const { title, hears, attempt, happens = [] } of attempts) {
    test(title, async () => {
      const before = town().effects.length;
      const heard = await attempt(town());
      const what = typeof heard === "string" ? heard : said(heard);
      if (typeof hears === "string") assert.equal(what, hears, JSON.stringify(heard));
      else assert.match(what, hears, JSON.stringify(heard));
      assert.deepEqual(town().effects.slice(before).map(({ tool }) => tool), happens);
    });
  }
}

/** `denied principal.required`: the status and what it is for, each code once. */
export function said({ status, codes }: Pick<Heard, "status" | "codes">): string {
  return [status, ...new Set(codes)].join(" ");
}

/** An agent is not told why a person is asked: that stands in the journal, with the judgement. */
async function withReasons(plane: TestPlane, heard: Heard): Promise<Heard> {
  const { answer } = heard;
  if (answer?.request === undefined) return heard;
  const events = await plane.events(answer.run);
  const judged = events.slice(0, Number(answer.request.slice(1))).findLast(({ body: { data } }) => judgementIn(data) !== undefined);
  return { ...heard, codes: (judged && judgementIn(judged.body.data)?.reasons.map(({ code }) => code)) ?? [] };
}

function judgementIn({ facts }: { readonly facts?: unknown }): Judgement | undefined {
  const { judgement, again } = (facts ?? {}) as { judgement?: Judgement; again?: { judgement?: Judgement } };
  return judgement ?? again?.judgement;
}

/** The request that waits in a run, and what it asks to be decided by. */
export async function asked(town: Town, run: string, answer: Answer | undefined): Promise<{ request: string; digest: string }> {
  const event = await town.event(run, "approval.requested", ({ body }) => body.data["request"] === answer?.request);
  return { request: event.body.data["request"] as string, digest: event.body.data["digest"] as string };
}
