import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { pino } from "pino";
import type { Answer } from "../../schemas/answer.ts";
import { type Actor, type RunId, namespace } from "../../schemas/ids.ts";
import { MAX_BODY_BYTES } from "../../schemas/limits.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type AskService, startAsk } from "../../services/ask/ask.ts";
import { type NatsConnection, headers } from "../../services/bus/connection.ts";
import { decode, encode } from "../../services/bus/codec.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { PlayedCoordinator } from "./played-coordinator.ts";

const ns = namespace("default");
const log = pino({ level: "silent" });
let server: TestServer;
let service: NatsConnection;
let agent: NatsConnection;
let plane: PlayedCoordinator;
let ask: AskService;
let runs = 0;

before(async () => {
  server = await startTestServer();
  service = await server.connect("ask", "ask-1");
  agent = await server.connect("agent", "clerk");
  plane = await PlayedCoordinator.start(await server.connect("coordinator", "c1"), ns);
  ask = await startAsk({ nc: service, namespaces: [ns], log });
});
after(async () => {
  await ask.stop();
  await plane.stop();
  await server.stop();
});
afterEach(() => {
  plane.onProposal = () => undefined;
});

interface Reply {
  readonly answer: Answer;
  readonly header: (name: string) => string | undefined;
}

const newRun = (): RunId => `clerk_r${++runs}` as RunId;

async function request(run: string, body: unknown, sent: Record<string, string> = {}, by = agent, as = "clerk"): Promise<Reply> {
  const hdrs = headers();
  for (const [name, value] of Object.entries(sent)) hdrs.set(name, value);
  const data = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  const message = await by.request(subjects.ask(ns, as as Actor, run as RunId), data, { headers: hdrs, timeout: 10_000 });
  const msgpack = message.headers?.get("content-type") === "application/msgpack";
  return { answer: (msgpack ? decode(message.data) : message.json()) as Answer, header: (name) => message.headers?.get(name) || undefined };
}

test("OPS-4: the reply to an ask is the plane's final answer", async () => {
  plane.onProposal = (proposed) => {
    void plane.answer(proposed, { status: "approved", final: false, seq: 4, action: "a2" as never });
    void plane.answer(proposed, { status: "succeeded", final: true, seq: 8, action: "a2" as never, output: { ok: true } });
  };
  const run = newRun();
  const { answer, header } = await request(run, { kind: "tool", id: "one", tool: "crm.lookup", input: {} });
  assert.equal(answer.status, "succeeded");
  assert.deepEqual(answer.output, { ok: true });
  assert.equal(answer.run, run);
  assert.equal(answer.id, "one");
  assert.equal(header("content-type"), "application/json");
});

test("a verdict is answered by the first answer, which says how the plane judged", async () => {
  plane.onProposal = (proposed) => void plane.answer(proposed, { status: "approved", final: false, seq: 4 });
  const { answer } = await request(newRun(), { kind: "tool", id: "one" }, { "signalbox-wait": "verdict" });
  assert.equal(answer.status, "approved");
  assert.equal(answer.final, false);
});

test("GUARD-7: an action that waits for its allowances is not judged, and no verdict", async () => {
  plane.onProposal = (proposed) => {
    void plane.answer(proposed, { status: "pending", final: false, seq: 3, action: "a2" as never });
    void plane.answer(proposed, { status: "pending", final: false, seq: 7, action: "a2" as never, request: "q7" as never, expires_at: "2026-01-02T00:00:00.000Z" });
  };
  const { answer } = await request(newRun(), { kind: "tool", id: "one" }, { "signalbox-wait": "verdict" });
  assert.equal(answer.request, "q7");
});

test("ID-3: a start whose token does not hold is answered at once with every reason, and the token is in no log and no answer", async () => {
  const token = "eyJhbGciOiJFZERTQSJ9.cGxhbnRlZA.c2VjcmV0";
  const lines: string[] = [];
  const logging = pino({ level: "trace" }, { write: (text) => void lines.push(text) });
  const other = namespace("other");
  const own = await startTestServer({ namespaces: [other] });
  const played = await PlayedCoordinator.start(await own.connect("coordinator", "c1"), other);
  const logged = await startAsk({ nc: await own.connect("ask", "ask-2"), namespaces: [other], log: logging });
  try {
    played.onProposal = (proposed) =>
      void played.answer(proposed, { status: "refused", final: true, seq: 1, reasons: [{ code: "principal.expired", message: "the token ended" }, { code: "principal.run", message: "for another run" }] });
    const hdrs = headers();
    hdrs.set("signalbox-principal", token);
    hdrs.set("signalbox-wait", "verdict");
    const by = await own.connect("agent", "clerk", other);
    const body = Buffer.from(JSON.stringify({ kind: "start", id: "start", agent: { name: "clerk" }, goal: "x" }));
    const message = await by.request(subjects.ask(other, "clerk" as Actor, "clerk_t" as RunId), body, { headers: hdrs, timeout: 10_000 });
    const answer = message.json<Answer>();
    assert.deepEqual([answer.status, answer.reasons?.map(({ code }) => code)], ["refused", ["principal.expired", "principal.run"]]);
    const stored = await played.input((input) => input.run === "clerk_t");
    assert.equal(stored.headers.get("signalbox-principal"), token, "the plane gets it as it was sent");
    assert.ok(![message.string(), ...lines].some((text) => text.includes(token)));
  } finally {
    await logged.stop();
    await played.stop();
    await own.stop();
  }
});

test("CORE-1: actor and run of the forwarded proposal are those that the broker enforced", async () => {
  plane.onProposal = (proposed) => void plane.answer(proposed, { status: "recorded", final: true, seq: 1 });
  const run = newRun();
  await request(run, { kind: "note", id: "n", text: "hello" });
  const stored = await plane.input((input) => input.run === run);
  assert.equal(stored.agent, "clerk");
  await assert.rejects(request("other_r1", { kind: "note", id: "n", text: "as another" }, {}, agent, "other"), /permission/i);
});

test("CORE-1: headers that JetStream would obey are not forwarded", async () => {
  plane.onProposal = (proposed) => void plane.answer(proposed, { status: "recorded", final: true, seq: 1 });
  const run = newRun();
  const { answer } = await request(
    run,
    { kind: "note", id: "n", text: "x" },
    {
      "content-type": "application/json",
      "signalbox-principal": "token",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "Nats-Msg-Id": "stolen",
      "Nats-Rollup": "all",
      "Nats-Expected-Last-Sequence": "99999",
    },
  );
  assert.equal(answer.status, "recorded");
  const stored = await plane.input((input) => input.run === run);
  assert.deepEqual([...stored.headers.keys()].sort(), ["content-type", "signalbox-principal", "traceparent"]);
});

test("an answer to another proposal of the run is not taken for one's own", async () => {
  plane.onProposal = (proposed) => {
    void plane.answer(proposed, { id: "older", status: "succeeded", final: true, seq: 9 });
    void plane.answer(proposed, { id: null, kind: "run", status: "paused", final: false, seq: 10 });
    void plane.answer(proposed, { status: "denied", final: true, seq: 12 });
  };
  const { answer } = await request(newRun(), { kind: "tool", id: "mine" });
  assert.equal(answer.id, "mine");
  assert.equal(answer.status, "denied");
});

test("what is refused without entering a journal is answered with every reason", async () => {
  plane.onProposal = (proposed) => void plane.reject(proposed, "run.unknown", { id: "x" });
  const { answer } = await request(newRun(), { kind: "tool", id: "x" });
  assert.equal(answer.status, "refused");
  assert.equal(answer.final, true);
  assert.deepEqual(answer.reasons?.map(({ code }) => code), ["run.unknown"]);
});

test("a rejection of the same id with other content does not end the wait of the proposal that had it first", async () => {
  const run = newRun();
  const first = request(run, { kind: "tool", id: "same", input: 1 });
  const original = await plane.input((input) => input.run === run);
  plane.onProposal = (proposed) => void plane.reject(proposed, "id.reused", { id: "same" });
  const second = await request(run, { kind: "tool", id: "same", input: 2 });
  assert.deepEqual(second.answer.reasons?.map(({ code }) => code), ["id.reused"]);
  await plane.answer(original, { status: "succeeded", final: true, seq: 3 });
  assert.equal((await first).answer.status, "succeeded");
});

for (const [what, body] of [
  ["not JSON", Buffer.from("{")],
  ["larger than the wire admits", Buffer.alloc(MAX_BODY_BYTES + 1, 32)],
] as const) {
  test(`a body that is ${what} still reaches the plane, which records and refuses it`, async () => {
    plane.onProposal = (proposed) => void plane.reject(proposed, "body.bad");
    const { answer } = await request(newRun(), body);
    assert.equal(answer.status, "refused");
    assert.equal(answer.id, null);
    assert.deepEqual(answer.reasons?.map(({ code }) => code), ["body.bad"]);
  });
}

test("OPS-4: who asks in MessagePack is answered in MessagePack", async () => {
  plane.onProposal = (proposed) => void plane.answer(proposed, { status: "started", final: true, seq: 1 });
  const body = encode({ kind: "start", id: "start", agent: { name: "clerk" }, goal: "x" });
  const { answer, header } = await request(newRun(), body, { "content-type": "application/msgpack" });
  assert.equal(header("content-type"), "application/msgpack");
  assert.equal(answer.status, "started");
});

test("a wait that ends says what is known and cancels nothing", async () => {
  const run = newRun();
  const waited = request(run, { kind: "tool", id: "slow" }, { "signalbox-timeout-ms": "50" });
  const { answer } = await waited;
  assert.equal(answer.status, "pending");
  assert.equal(answer.final, false);
  assert.equal(answer.id, "slow");
  await plane.input((input) => input.run === run);
});

test("APP-1: a wait for a result ends with the request and its expiry when a person has not answered", async () => {
  plane.onProposal = (proposed) =>
    void plane.answer(proposed, { status: "pending", final: false, seq: 5, request: "q5" as never, expires_at: "2026-01-02T00:00:00.000Z" });
  const { answer } = await request(newRun(), { kind: "tool", id: "big" }, { "signalbox-timeout-ms": "300" });
  assert.equal(answer.status, "pending");
  assert.equal(answer.request, "q5");
  assert.equal(answer.expires_at, "2026-01-02T00:00:00.000Z");
});

test("asking again with the same id hears how the proposal stands", async () => {
  const run = newRun();
  const body = { kind: "tool", id: "again" };
  await request(run, body, { "signalbox-timeout-ms": "20" });
  plane.onProposal = (proposed) => void plane.answer(proposed, { status: "succeeded", final: true, seq: 7 });
  assert.equal((await request(run, body)).answer.status, "succeeded");
});

test("two asks of the same proposal are both answered", async () => {
  plane.onProposal = (proposed) => void plane.answer(proposed, { status: "succeeded", final: true, seq: 7 });
  const run = newRun();
  const body = { kind: "tool", id: "twice" };
  const replies = await Promise.all([request(run, body), request(run, body)]);
  assert.deepEqual(replies.map(({ answer }) => answer.status), ["succeeded", "succeeded"]);
});

test("a wish that cannot be read is refused, and nothing is forwarded", async () => {
  const run = newRun();
  const { answer } = await request(run, { kind: "note", id: "n", text: "" }, { "signalbox-wait": "forever", "signalbox-timeout-ms": "soon" });
  assert.equal(answer.status, "refused");
  assert.deepEqual(answer.reasons?.map(({ code }) => code), ["ask.wait", "ask.timeout"]);
  assert.equal(plane.inputs.some((input) => input.run === run), false);
});

test("beyond the bound on waiting asks the reply is `busy`, and nothing is forwarded", async () => {
  await ask.stop();
  const small = await startAsk({ nc: service, namespaces: [ns], log, limits: { asks: 1, bytes: 1000 } });
  const first = newRun();
  const waiting = request(first, { kind: "tool", id: "one" });
  const original = await plane.input((input) => input.run === first);
  const second = newRun();
  const { answer, header } = await request(second, { kind: "tool", id: "two" });
  assert.deepEqual(answer.reasons?.map(({ code }) => code), ["ask.busy"]);
  assert.equal(header("Nats-Service-Error-Code"), "503");
  assert.equal(plane.inputs.some((input) => input.run === second), false);
  await plane.answer(original, { status: "succeeded", final: true, seq: 1 });
  await waiting;
  assert.equal(small.waiting, 0);
  await small.stop();
  ask = await startAsk({ nc: service, namespaces: [ns], log });
});

test("a service that stops tells those who wait what is known so far", async () => {
  const run = newRun();
  const waiting = request(run, { kind: "tool", id: "one" });
  await plane.input((input) => input.run === run);
  await ask.stop();
  assert.equal((await waiting).answer.status, "pending");
  ask = await startAsk({ nc: service, namespaces: [ns], log });
});

test("when the inbox takes no more for a run, the reply says so at once", async () => {
  await plane.stop();
  const run = newRun();
  // Nobody judges now, so the run's part of the inbox fills up.
  const fill = Array.from({ length: 1000 }, (_, i) => request(run, { kind: "note", id: `n${i}`, text: "" }, { "signalbox-timeout-ms": "3000" }));
  const replies = await Promise.all([...fill, request(run, { kind: "note", id: "last", text: "" }, { "signalbox-timeout-ms": "3000" })]);
  const full = replies.filter(({ answer }) => answer.status === "refused");
  assert.deepEqual(full.map(({ answer }) => answer.reasons?.[0]?.code), ["inbox.full"]);
  assert.equal(full[0]?.header("Nats-Service-Error-Code"), "429");
  plane = await PlayedCoordinator.start(await server.connect("coordinator", "c1"), ns);
});

test("after a lost connection nobody who waited can be answered: who asks again with the same id is", async () => {
  const run = newRun();
  const body = { kind: "tool", id: "long" };
  void request(run, body).catch(() => undefined);
  await plane.input((input) => input.run === run);
  const connected = reconnected(service);
  await service.reconnect();
  await connected;
  // Its subscriptions are with the server again when this is answered.
  await service.flush();
  assert.equal(ask.waiting, 0);
  plane.onProposal = (proposed) => void plane.answer(proposed, { status: "succeeded", final: true, seq: 6 });
  assert.equal((await request(run, body)).answer.status, "succeeded");
});

async function reconnected(nc: NatsConnection): Promise<void> {
  for await (const status of nc.status()) if (status.type === "reconnect") return;
}
