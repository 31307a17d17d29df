/** What goes out after a commit waits for the stream, is tried until the stream has it, and is the same whoever sends it (law 3). The server is real; a line in front of it loses what a test says. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, mock, test } from "node:test";
import { pino } from "pino";
import type { Owed } from "../../machines/owed.ts";
import type { Answer } from "../../schemas/answer.ts";
import type { Grant } from "../../schemas/dispatch.ts";
import { type Namespace, type RunId, actor, runId } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { reason } from "../../schemas/reason.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { PublishError, Publisher, type StoredAt } from "../../services/bus/publisher.ts";
import { Timers } from "../../services/bus/timers.ts";
import { Outbox } from "../../services/coordinator/outbox.ts";
import { withPatience } from "../harness/plane.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { message, quickly } from "./quickly.ts";

let server: TestServer;
let nc: NatsConnection;
let gateway: NatsConnection;
let ns: Namespace;
let publisher: Publisher;
before(async () => {
  server = await startTestServer();
  ns = server.namespaces[0] as Namespace;
  nc = await server.connect("coordinator", "one");
  gateway = await server.connect("gateway", "gw");
  publisher = new Publisher(nc);
});
after(() => server?.stop());

let hurry: ReturnType<typeof quickly>;
beforeEach(() => (hurry = quickly()));
afterEach(() => hurry.stop());

interface Sent {
  readonly subject: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
  stored?: StoredAt;
}
/** In the place of a publish; afterwards publishes are the real ones. */
type Fault = () => Promise<StoredAt>;
const fails = (error: Error = new PublishError("unavailable", "away")): Fault => () => Promise.reject(error);

function outbox(faults: readonly Fault[] = [], line: Pick<NatsConnection, "publish"> = nc) {
  const sent: Sent[] = [];
  const said: { level: number; [key: string]: unknown }[] = [];
  const plan = [...faults];
  const faulty = {
    publish: async (subject: string, data: Uint8Array, headers: Readonly<Record<string, string>>) => {
      const one: Sent = { subject, body: JSON.parse(Buffer.from(data).toString()), headers };
      sent.push(one);
      return (one.stored = await (plan.shift() ?? (() => publisher.publish(subject, data, headers)))());
    },
  } as unknown as Publisher;
  const log = pino({ level: "debug", base: null, timestamp: false }, { write: (text: string) => void said.push(JSON.parse(text) as { level: number }) });
  return { box: new Outbox(line as NatsConnection, ns, faulty, new Timers(faulty, ns), log), sent, said };
}
const flat = (sent: readonly Sent[]) => sent.map(({ subject, body, headers, stored }) => [subject, body, headers, stored?.stream]);
let names = 0;
const fresh = (): RunId => runId(`clerk_o${++names}`);
const JSON_TYPE = { "content-type": "application/json" };
const LATER = "2099-01-01T00:00:00.000Z";
const NOW = "2026-01-31T09:30:00.000Z";
const timer = (name: string, armed: number, at = LATER): Owed => ({ kind: "timer", key: `timer/${name}/${armed}`, name, at, armed });
const signal: SignalInput = { id: "s1", name: "return", ledger: "team.x", lease: "l" } as unknown as SignalInput;
const settled = async () => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
};

test("law 3: a dispatch is a message of its tool's queue, and the same one however often it is paid", async () => {
  const { box, sent } = outbox();
  const run = fresh();
  const debt = { kind: "dispatch", key: "dispatch/a/1/0", tool: "t.read", message: { v: 1, run, action: "a" } } as unknown as Owed;
  await box.pay(run, debt, NOW);
  const headers = { ...JSON_TYPE, "Nats-Msg-Id": `${run}/dispatch/a/1/0` };
  assert.deepEqual(flat(sent), [[subjects.dispatch(ns, "t.read"), { v: 1, run, action: "a" }, headers, `DISPATCH_${ns}`]]);
  await box.pay(run, debt);
  assert.deepEqual(sent.map(({ stored }) => stored?.duplicate), [false, true]);
});

test("law 3: a signal goes to the aggregate that it is for, as one of the run that owes it", async () => {
  const { box, sent } = outbox();
  const run = fresh();
  await box.pay(run, { kind: "signal", key: "k", to: "ledger:team%2Ex", name: "return", body: signal });
  await box.signal("ledger:team%2Ex", run, signal);
  assert.deepEqual(flat(sent), [
    [subjects.signal(ns, run, "ledger:team%2Ex", "return"), signal, JSON_TYPE, `CONTROL_${ns}`],
    [subjects.signal(ns, "ledger:team%2Ex", run, "return"), signal, JSON_TYPE, `CONTROL_${ns}`],
  ]);
});

test("law 3: an effect is tried until the stream has it, later and later, two seconds at most; what failed is said", async () => {
  const { box, sent, said } = outbox([...Array.from({ length: 21 }, () => fails()), fails(new TypeError("broken"))]);
  const run = fresh();
  await box.answer(actor("clerk"), { run, id: "i", status: "recorded" } as unknown as Answer);
  assert.deepEqual(flat(sent).at(-1), [subjects.out(ns, actor("clerk"), run), { run, id: "i", status: "recorded" }, JSON_TYPE, `OUT_${ns}`]);
  assert.deepEqual([sent.length, hurry.pauses.slice(0, 3), hurry.pauses.slice(18)], [23, [100, 200, 300], [1900, 2000, 2000, 2000]]);
  assert.deepEqual(said.map(({ level, kind, error }) => [level, kind, error]), [
    ...Array.from({ length: 21 }, () => [40, "unavailable", "PublishError: away"]),
    [40, undefined, "TypeError: broken"],
  ]);
});

test("law 3: whoever is stopped says of no effect that it was stored, so that its input stays where it is", async () => {
  const own: ReturnType<typeof outbox> = outbox([
    () => {
      own.box.stop();
      return fails()();
    },
  ]);
  const answer = { run: fresh(), id: "i" } as unknown as Answer;
  await assert.rejects(own.box.answer(actor("clerk"), answer), /stopped before the effect was stored/);
  await assert.rejects(own.box.answer(actor("clerk"), answer), /stopped/);
  assert.equal(own.sent.length, 1);
});

test("law 3: what is owed at once is armed at once, under its name and with what armed it; so is what is due soon", async () => {
  const { box, sent } = outbox();
  const run = fresh();
  await box.pay(run, timer("run", 7));
  await box.pay(run, timer("action:a", 8, "2026-01-31T09:30:01.000Z"), NOW);
  const target = subjects.due(ns, run);
  assert.deepEqual(flat(sent), [
    [subjects.timer(ns, run, "run"), { timer: "run", armed: 7 }, { "Nats-Schedule": `@at ${LATER}`, "Nats-Schedule-Target": target }, `TIMERS_${ns}`],
    [subjects.timer(ns, run, "action:a"), { timer: "action:a", armed: 8 }, { "Nats-Schedule": "@at 2026-01-31T09:30:01.000Z", "Nats-Schedule-Target": target }, `TIMERS_${ns}`],
  ]);
});

test("law 3: a timer that is far off is put off, armed when it is still owed a round later, and let go when it is not", async (t) => {
  hurry.stop();
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { box, sent, said } = outbox();
  const [run, paid, other] = [fresh(), fresh(), fresh()];
  await box.pay(run, timer("run", 7), NOW);
  await box.pay(paid, timer("run", 3), NOW);
  await box.pay(other, timer("run", 3), NOW);
  box.letGo(paid, new Set());
  box.letGo(other, new Set(["timer/run/3"]));
  assert.equal(sent.length, 0);
  mock.timers.tick(500);
  assert.equal(sent.length, 0);
  mock.timers.tick(500);
  await settled();
  assert.deepEqual(sent.map(({ subject }) => subject), [subjects.timer(ns, run, "run"), subjects.timer(ns, other, "run")]);

  // who is stopped arms nothing any more, whether it was put off or is being tried
  const stopped = outbox([fails()]);
  await stopped.box.pay(run, timer("run", 8), NOW);
  stopped.box.stop();
  mock.timers.tick(1000);
  await settled();
  assert.equal(stopped.sent.length, 0);
  const trying = outbox([fails()]);
  await trying.box.pay(run, timer("run", 8), NOW);
  mock.timers.tick(500);
  mock.timers.tick(500);
  await settled();
  trying.box.stop();
  mock.timers.tick(100);
  await settled();
  assert.equal(trying.sent.length, 1);
  assert.deepEqual(said, []);
});

test("law 3: an older timer that has to be tried again does not come behind a newer one of its name, nor does it take the newer one's place", async () => {
  const run = fresh();
  const { box, sent } = outbox([fails(), fails()]);
  const older = box.pay(run, timer("run", 1));
  const newer = box.pay(run, timer("run", 2));
  const another = box.pay(run, timer("other", 3));
  await Promise.all([older, newer, another]);
  assert.deepEqual(sent.map(({ body, stored }) => [(body as { armed: number }).armed, stored !== undefined]), [[1, false], [2, false], [3, true], [2, true]]);
  // and the next of that name is armed as ever
  await box.pay(run, timer("run", 4));
  assert.deepEqual(sent.at(-1)?.body, { timer: "run", armed: 4 });
});

test("law 3: a signal from before there were shares is passed on as it is; what is none is nobody's", async () => {
  const { box, sent } = outbox();
  const run = fresh();
  const more = { headers: new Map([["content-type", "application/json"], ["traceparent", "tp"]]) };
  await box.passOn(message(subjects.signal(ns, run, "ledger:team", "lease").replace(/part\.\d+\./, "part.77."), signal, more));
  assert.deepEqual(flat(sent), [[subjects.signal(ns, run, "ledger:team", "lease"), signal, { "content-type": "application/json", traceparent: "tp" }, `CONTROL_${ns}`]]);
  await box.passOn(message(`signalbox.${ns}.part.0.propose.clerk.${run}`, signal));
  await box.passOn(message("elsewhere", signal));
  assert.equal(sent.length, 1);
});

test("law 6: what entered no journal leaves reasons, size and hash under the name of who sent it", async () => {
  const { box, sent } = outbox();
  const run = fresh();
  const of = (who: string) => ({ message: message("any", "hello"), kind: "propose", actor: who, token: run }) as const;
  const why = [reason("test.refused", "no")];
  await box.reject(of("clerk"), why, "i");
  await box.reject(of("no name.of*anybody"), why, undefined, 7);
  const record = { v: 1, at: NOW, actor: "clerk", kind: "propose", run, id: "i", reasons: why, bytes: 5, sha256: "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", count: 1 };
  const { id: _, ...unnamed } = record;
  assert.deepEqual(flat(sent), [
    [subjects.rejected(ns, actor("clerk")), record, JSON_TYPE, `REJECTED_${ns}`],
    [sent[1]?.subject, { ...unnamed, actor: "no name.of*anybody", count: 7 }, JSON_TYPE, `REJECTED_${ns}`],
  ]);
  assert.match(sent[1]?.subject ?? "", /\.rejected\.[^ .*]+$/);
});

test("law 9: a grant goes to its gateway alone and is not waited for; one that cannot be sent is asked for again", async () => {
  const { box, sent } = outbox();
  const heard = Promise.withResolvers<string>();
  gateway.subscribe(subjects.grant(ns, actor("gw")), { max: 1, callback: (_, { data }) => heard.resolve(Buffer.from(data).toString()) });
  await gateway.flush();
  const grant = { v: 1, report: "r", verdict: "granted" } as unknown as Grant;
  box.grant(actor("gw"), grant);
  assert.deepEqual(JSON.parse(await withPatience(heard.promise, "no grant came")), grant);
  assert.equal(sent.length, 0);
  const broken = outbox([], {
    publish: () => {
      throw new Error("closed");
    },
  });
  broken.box.grant(actor("gw"), grant);
  assert.deepEqual(broken.said.map(({ level, error }) => [level, error]), [[20, "Error: closed"]]);
});
