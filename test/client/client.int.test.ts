import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { pino } from "pino";
import { CHAIN_START, type EventBody } from "../../schemas/event.ts";
import { namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type AskService, startAsk } from "../../services/ask/ask.ts";
import { type NatsConnection, headers } from "../../services/bus/connection.ts";
import { encode } from "../../services/bus/codec.ts";
import { type Box, NotConfigured, NotPermitted, Refused, type ServedTool, ToolFailure, Unanswered, connect } from "../../services/client/index.ts";
import { PlayedCoordinator } from "../ask/played-coordinator.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import type { Role } from "../../services/identity/roles.ts";

const ns = namespace("default");
const digest = `sha256:${"a".repeat(64)}`;
let server: TestServer;
let reader: NatsConnection;
let gateway: NatsConnection;
let inbox: PlayedCoordinator;
let control: PlayedCoordinator;
let ask: AskService;
let box: Box;
const boxes: Box[] = [];

/** A client as its users have it: by a credential, and nothing else of this process. */
async function as(role: Role, name: string, tool?: string): Promise<Box> {
  const { creds } = await server.issue(role, name, "default", tool === undefined ? {} : { tool });
  const opened = await connect({ url: server.url, creds, env: {} });
  boxes.push(opened);
  return opened;
}

before(async () => {
  server = await startTestServer();
  reader = await server.connect("reader", "r1");
  gateway = await server.connect("gateway", "g1");
  const coordinator = await server.connect("coordinator", "c1");
  inbox = await PlayedCoordinator.start(coordinator, ns);
  control = await PlayedCoordinator.start(coordinator, ns, "CONTROL");
  ask = await startAsk({ nc: await server.connect("ask", "a1"), namespaces: [ns], log: pino({ level: "silent" }) });
  box = await as("agent", "clerk");
});
after(async () => {
  await Promise.all(boxes.map((each) => each.close()));
  await ask.stop();
  await inbox.stop();
  await control.stop();
  await server.stop();
});
afterEach(() => {
  inbox.onProposal = control.onProposal = () => undefined;
});

/** Starts are admitted; everything else is the test's. */
function admitting(other: PlayedCoordinator["onProposal"] = () => undefined): void {
  inbox.onProposal = (proposed) => {
    if (proposed.body?.kind === "start") void inbox.answer(proposed, { status: "started", final: true, seq: 1 });
    else other(proposed);
  };
}

function event(part: Partial<EventBody> & Pick<EventBody, "type" | "run">): Uint8Array {
  const cause = { id: "x", kind: "propose", actor: "clerk", time: "2026-01-01T00:00:00.000Z" } as const;
  return encode({ v: 1, ns, seq: 1, part: [1, 1], at: "2026-01-01T00:00:00.000Z", from: "a", to: "b", cause, machine: "1", data: {}, prev: CHAIN_START, ...part });
}

test("CORE-1: an agent starts a run and proposes under the name of its credential", async () => {
  admitting((proposed) => void inbox.answer(proposed, { status: "succeeded", final: true, seq: 9, action: "a2" as never, output: { name: "Ada" } }));
  const run = await box.agent().start({ goal: "help Ada", id: "t1", budget: { max_steps: 3 }, principal: "token-of-ada" });
  assert.equal(run.id, "clerk_t1");
  const outcome = await run.propose({ tool: "crm.lookup", input: { customer: 7 }, why: "she asked", id: "look" });
  assert.equal(outcome.status, "succeeded");
  assert.deepEqual(outcome.status === "succeeded" && outcome.output, { name: "Ada" });
  const proposed = await inbox.input(({ body }) => body?.id === "look");
  assert.equal(proposed.agent, "clerk");
  assert.equal(proposed.headers.get("signalbox-principal"), "token-of-ada");
  assert.deepEqual(proposed.body, { kind: "tool", id: "look", tool: "crm.lookup", input: { customer: 7 }, why: "she asked" });
});

test("ID-3: a function gives the token for the start and a fresh one for each tool call; a call may bring its own", async () => {
  admitting((proposed) => void inbox.answer(proposed, { status: proposed.body?.kind === "note" ? "recorded" : "succeeded", final: true, seq: 9 }));
  const asked: string[] = [];
  const run = await box.agent().start({ goal: "x", id: "tokens", principal: async (name) => `token-${asked.push(name)}` });
  await run.propose({ tool: "a.b", input: {}, id: "first" });
  await run.propose({ tool: "a.b", input: {}, id: "own", principal: "token-of-its-own" });
  await run.note("thinking", "note");
  const of = async (id: string) => (await inbox.input((one) => one.run === run.id && one.body?.id === id)).headers.get("signalbox-principal");
  assert.deepEqual([await of("start"), await of("first"), await of("own"), await of("note")], ["token-1", "token-2", "token-of-its-own", undefined]);
  assert.deepEqual(asked, [run.id, run.id]);
});

test("APP-3: the outcome says who changed the input, and how", async () => {
  const edited = { from: "a2" as never, by: "ada", diff: [{ path: "/amount", before: 480, after: 400 }] };
  admitting((proposed) => void inbox.answer(proposed, { status: "succeeded", final: true, seq: 9, action: "a7" as never, output: {}, edited }));
  const run = await box.agent().start({ goal: "x", id: "edited" });
  const outcome = await run.propose({ tool: "a.b", input: { amount: 480 } });
  assert.deepEqual(outcome.edited, edited);
  assert.equal(outcome.action, "a7");
});

test("a start that is refused rejects with every reason", async () => {
  inbox.onProposal = (proposed) =>
    void inbox.answer(proposed, { status: "refused", final: true, seq: 1, reasons: [{ code: "deadline.passed", message: "too late" }, { code: "agent.version", message: "old" }] });
  await assert.rejects(box.agent().start({ goal: "x", id: "late" }), (error) => {
    assert.ok(error instanceof Refused);
    assert.deepEqual(error.reasons.map(({ code }) => code), ["deadline.passed", "agent.version"]);
    return true;
  });
});

test("each verdict is a status of its own, and none is thrown", async () => {
  const reasons = [{ code: "policy.forbid", message: "not this" }];
  const verdicts = {
    denied: { status: "denied", final: true, seq: 4, reasons },
    rejected: { status: "rejected", final: true, seq: 4, reasons },
    waits: { status: "pending", final: false, seq: 4, request: "q4" as never, expires_at: "2026-01-02T00:00:00.000Z" },
    allowed: { status: "approved", final: false, seq: 4 },
    doubt: { status: "in_doubt", final: false, seq: 4, error: { code: "x" } },
  } as const;
  admitting((proposed) => void inbox.answer(proposed, { ...verdicts[proposed.body?.id as keyof typeof verdicts], reasons: [...reasons] }));
  const run = await box.agent().start({ goal: "x", id: "verdicts" });
  const statuses = [];
  for (const id of Object.keys(verdicts)) statuses.push((await run.propose({ tool: "a.b", input: {}, id }, { wait: "verdict" })).status);
  assert.deepEqual(statuses, ["denied", "rejected", "pending", "approved", "in_doubt"]);
});

test("what the run does not take is refused: a proposal resolves with it, an ending rejects", async () => {
  admitting((proposed) => void inbox.reject(proposed, "run.ended"));
  const run = await box.agent().start({ goal: "x", id: "over" });
  const outcome = await run.propose({ tool: "a.b", input: {} });
  assert.equal(outcome.status, "refused");
  await assert.rejects(run.finish({ done: true }), (error) => error instanceof Refused && error.reasons[0]?.code === "run.ended");
});

test("a start without an answer is unanswered and not refused: it may stand", async () => {
  await assert.rejects(box.agent().start({ goal: "x", id: "silent" }, { timeoutMs: 50 }), (error) => error instanceof Unanswered && error.help.includes("same `id`"));
});

test("CORE-1: the broker refuses to propose as another agent, and the client says so", async () => {
  await assert.rejects(box.agent("other").start({ goal: "x", id: "t" }), NotPermitted);
});

test("a run tells its agent everything it may see, until it ends", async () => {
  admitting((proposed) => void inbox.answer(proposed, proposed.body?.kind === "finish" ? { status: "completed", final: true, seq: 5 } : { status: "recorded", final: true, seq: 3 }));
  const run = await box.agent().start({ goal: "x", id: "told" });
  const answers = run.answers();
  await run.note("thinking");
  await run.finish({ ok: true });
  const heard = [];
  for await (const { kind, status } of answers) heard.push(`${kind} ${status}`);
  assert.deepEqual(heard, ["note recorded", "finish completed"]);
});

async function call(tool: string, input: string, sent: Record<string, string> = {}): Promise<{ text: string; header: (name: string) => string }> {
  const hdrs = headers();
  for (const [name, value] of Object.entries(sent)) hdrs.set(name, value);
  const reply = await gateway.request(subjects.call(ns, tool), Buffer.from(input), { timeout: 5000, headers: hdrs });
  return { text: reply.string(), header: (name) => reply.headers?.get(name) ?? "" };
}

test("OPS-4: a tool gets the input and what the plane says of the call, and its output is the answer", async (t) => {
  const tools = await as("tool", "crm", "crm.lookup");
  let seen: unknown;
  const served = await tools.tool<{ id: number }>("crm.lookup", (input, { signal: _signal, ...about }) => {
    seen = about;
    return { id: input.id, name: "Ada" };
  });
  t.after(() => served.stop());
  const deadline = new Date(Date.now() + 60_000);
  const { text } = await call("crm.lookup", '{"id":7}', {
    "signalbox-run": "clerk_1",
    "signalbox-action": "a2",
    "signalbox-attempt": "2",
    "signalbox-digest": digest,
    "signalbox-deadline": deadline.toISOString(),
    "signalbox-idempotency-key": "clerk_1/a2",
  });
  assert.deepEqual(JSON.parse(text), { id: 7, name: "Ada" });
  assert.deepEqual(seen, { tool: "crm.lookup", run: "clerk_1", action: "a2", attempt: 2, digest, idempotencyKey: "clerk_1/a2", deadline });
});

test("a tool's failure says what it did; an exception that does not say counts as unknown", async (t) => {
  const tools = await as("tool", "pay", "pay.refund");
  const served: ServedTool = await tools.tool<{ how: string }>("pay.refund", ({ how }) => {
    if (how === "none") throw new ToolFailure({ code: "card.closed", message: "the card\r\nis closed", effect: "none" });
    throw new Error("boom");
  });
  t.after(() => served.stop());
  const none = await call("pay.refund", '{"how":"none"}');
  assert.equal(none.header("signalbox-effect"), "none");
  assert.equal(none.header("Nats-Service-Error-Code"), "card.closed");
  assert.equal(none.header("Nats-Service-Error"), "the card is closed");
  const crash = await call("pay.refund", '{"how":"crash"}');
  assert.equal(crash.header("signalbox-effect"), "unknown");
  const late = await call("pay.refund", "{}", { "signalbox-deadline": "2020-01-01T00:00:00.000Z" });
  assert.equal(late.header("Nats-Service-Error-Code"), "deadline.passed");
  assert.equal(late.header("signalbox-effect"), "none");
});

test("a call's signal aborts at its deadline", async (t) => {
  const tools = await as("tool", "slow", "slow.one");
  const served = await tools.tool("slow.one", async (_input, { signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return (signal.reason as Error).name;
  });
  t.after(() => served.stop());
  const { text } = await call("slow.one", "{}", { "signalbox-deadline": new Date(Date.now() + 100).toISOString() });
  assert.equal(JSON.parse(text), "TimeoutError");
});

test("two instances of a tool share the calls: each call reaches one of them", async (t) => {
  const calls: string[] = [];
  for (const name of ["one", "two"]) {
    const tools = await as("tool", name, "shared.tool");
    const served = await tools.tool("shared.tool", () => void calls.push(name));
    t.after(() => served.stop());
  }
  await Promise.all(Array.from({ length: 20 }, () => call("shared.tool", "{}")));
  assert.equal(calls.length, 20);
});

test("CORE-1: a tool can serve no name but its own", async () => {
  const tools = await as("tool", "narrow", "crm.lookup");
  await assert.rejects(tools.tool("pay.refund", () => null), NotPermitted);
});

test("OPS-3: a subscriber hears events typed by their name", async () => {
  const subscriber = await as("subscriber", "s1");
  const approved = subscriber.events({ type: "action.approved", run: "clerk_1" });
  const all = subscriber.events();
  await subscriber.flush();
  reader.publish(subjects.event(ns, "action.denied", "clerk_1"), event({ type: "action.denied", run: "clerk_1" }));
  reader.publish(subjects.event(ns, "some.novelty", "clerk_1"), event({ type: "some.novelty" as never, run: "clerk_1" }));
  reader.publish(subjects.event(ns, "action.approved", "clerk_1"), event({ type: "action.approved", run: "clerk_1", data: { action: "a2", by: "policy", policies: ["p1"], approvers: [] } }));
  reader.publish(subjects.event(ns, "tool.applied", "crm.lookup"), event({ type: "tool.applied", run: "crm.lookup" }));
  for await (const { type, data } of approved) {
    assert.equal(type, "action.approved");
    assert.deepEqual(data.policies, ["p1"]);
    break;
  }
  const types: string[] = [];
  for await (const { type } of all) if (types.push(type) === 3) break;
  assert.deepEqual(types, ["action.denied", "action.approved", "tool.applied"]);
});

test("CORE-1: an agent may not listen to everybody's events", async () => {
  await assert.rejects(async () => {
    for await (const _ of box.events()) assert.fail("heard");
  }, NotPermitted);
});

test("APP-4: an approver decides by the digest of what was shown, and hears that it counted", async () => {
  const approver = await as("approver", "alice");
  control.onProposal = ({ run, agent, body }) => {
    const cause = { id: body?.id ?? "", kind: "decide", actor: agent, time: "2026-01-01T00:00:00.000Z" } as const;
    reader.publish(subjects.event(ns, "approval.granted", run), event({ type: "approval.granted", run, cause, data: { action: "a2", request: "q4", by: "alice", digest, grants: 1, count: 1 } }));
  };
  const decided = await approver.approvals.decide({ run: "clerk_1", request: "q4", digest, decision: "approve", reason: "fine" });
  assert.equal(decided.status, "granted");
  assert.equal(decided.status === "granted" && decided.event.data.by, "alice");
});

test("APP-3: an edit carries the whole input and resolves with what stands in its place; an approval may stand for others", async () => {
  const approver = await as("approver", "grace");
  control.onProposal = ({ run, agent, body }) => {
    const cause = { id: body?.id ?? "", kind: "decide", actor: agent, time: "2026-01-01T00:00:00.000Z" } as const;
    const common = { action: "a2", request: "q4", by: "grace", digest };
    if (body?.["decision"] === "edit") {
      reader.publish(subjects.event(ns, "approval.edited", run), event({ type: "approval.edited", run, cause, data: { ...common, replacement: "a7", diff: [] } }));
      reader.publish(subjects.event(ns, "approval.requested", run), event({ type: "approval.requested", run, cause, data: {} }));
    } else reader.publish(subjects.event(ns, "approval.granted", run), event({ type: "approval.granted", run, cause, data: { ...common, grants: 1, count: 1 } }));
  };
  const wanted = { run: "clerk_1", request: "q4", digest };
  const edited = await approver.approvals.decide({ ...wanted, decision: "edit", input: { amount: 400 }, id: "e1" });
  assert.equal(edited.status === "edited" && edited.event.data.replacement, "a7");
  const standing = { vary: ["/amount"], uses: 3, expires_seconds: 60 };
  assert.equal((await approver.approvals.decide({ ...wanted, decision: "approve", standing, id: "e2" })).status, "granted");
  const [edit, approve] = [await control.input(({ body }) => body?.id === "e1"), await control.input(({ body }) => body?.id === "e2")];
  assert.deepEqual(edit.body, { id: "e1", request: "q4", digest, decision: "edit", input: { amount: 400 } });
  assert.deepEqual(approve.body?.["standing"], standing);
  await assert.rejects(approver.approvals.decide({ ...wanted, decision: "approve", standing: { ...standing, uses: 0 } }), Refused);
});

test("APP-4: a decision that the plane refuses rejects with its reasons", async () => {
  const approver = await as("approver", "bob");
  control.onProposal = (proposed) => void control.reject(proposed, "approval.digest", { kind: "decide" });
  await assert.rejects(
    approver.approvals.decide({ run: "clerk_1", request: "q4", digest, decision: "approve" }),
    (error) => error instanceof Refused && error.reasons[0]?.code === "approval.digest",
  );
});

test("CORE-1: an agent cannot decide", async () => {
  await assert.rejects(box.approvals.decide({ run: "clerk_1", request: "q4", digest, decision: "approve" }), NotPermitted);
});

test("where the plane is comes from the option, then the environment; else the error names both", async () => {
  const { creds } = await server.issue("agent", "clerk", "default");
  const folder = join(server.dataDir, "elsewhere");
  await mkdir(join(folder, "nats", "context"), { recursive: true });
  await writeFile(join(folder, "clerk.creds"), creds, { mode: 0o600 });
  await writeFile(join(folder, "nats", "context", "clerk.json"), JSON.stringify({ url: server.url, creds: join(folder, "clerk.creds") }));
  const found: string[] = [];
  for (const options of [
    { context: "clerk", env: { XDG_CONFIG_HOME: folder, NATS_URL: "nats://127.0.0.1:1" } },
    { env: { XDG_CONFIG_HOME: folder, NATS_CONTEXT: "clerk" } },
    { url: server.url, env: { NATS_URL: "nats://127.0.0.1:1", NATS_CREDS: join(folder, "clerk.creds") } },
  ]) {
    const opened = await connect(options);
    found.push(opened.agent().name);
    await opened.close();
  }
  assert.deepEqual(found, ["clerk", "clerk", "clerk"]);
  await assert.rejects(connect({ env: {} }), (error) => error instanceof NotConfigured && /`url`.*NATS_URL/.test(error.message));
});

// The last: the other connections of this file come back in their own time.
test("a client that lost its connection in the middle of a wait asks again and hears the answer", async () => {
  admitting();
  const run = await box.agent().start({ goal: "x", id: "broken" });
  const outcome = run.propose({ tool: "a.b", input: {}, id: "one" });
  await inbox.input(({ body, run: name }) => name === run.id && body?.id === "one");
  await server.kill();
  inbox.onProposal = (proposed) => void inbox.answer(proposed, { status: "succeeded", final: true, seq: 7, output: 1 });
  await server.restart();
  assert.equal((await outcome).status, "succeeded");
});
