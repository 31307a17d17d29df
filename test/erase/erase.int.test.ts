/** AUD-3: an erased subject's data is readable for nobody any more, wherever it stood, and the evidence still holds. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import type { Answer } from "../../schemas/answer.ts";
import type { Namespace } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { sealedIn, withheldIn } from "../../schemas/sealed.ts";
import { parseLog, patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { Documents } from "../../services/bus/documents.ts";
import { Personal } from "../../services/coordinator/personal.ts";
import { RegistryView } from "../../services/registry/view.ts";
import { openPersonalMaster } from "../../services/identity/sealing.ts";
import { SubjectKeys } from "../../services/identity/subject-keys.ts";
import { ChainVerifier, Replayer } from "../../services/replay/replay.ts";
import { arrival, type Rival, rival } from "../coordinator/rival.ts";
import { openLink } from "../faults/link.ts";
import { startWard, type Ward } from "./ward.ts";

let ward: Ward;
let coordinator: Coordinator;
let store: StreamReader;
let journal: StreamReader;
before(async () => {
  ward = await startWard({ coordinator: false });
  coordinator = await ward.coordinator({ personal: ward.master });
  await ward.documents();
  await ward.gateway();
  store = new StreamReader(await ward.server.connect("coordinator", "looker"), streamName("KEYS", ward.ns));
  journal = new StreamReader(await ward.server.connect("auditor", "erase-auditor"), streamName("JOURNAL", ward.ns));
});
after(() => ward?.stop());
const takeOver = async () => {
  await coordinator.stop();
  coordinator = await ward.coordinator({ personal: ward.master });
};

let runs = 0;
const begun = async (agent = ward.clerk) => {
  const run = `${agent.name}_e${++runs}`;
  await ward.begin(agent, run);
  return run;
};
const ask = (run: string, id: string, tool: string, input: JsonValue, fits?: (answer: Answer) => boolean, agent = ward.clerk) =>
  agent.propose(run, { kind: "tool", id, tool, input }, fits);
const send = async (run: string, customer: string, to = `${customer}-Zk4@example.com`) => ask(run, "p1", "mail.send", { customer, to });
/** What the store holds of a subject now: its messages, as texts. */
const kept = async (customer: string) => {
  const found: string[] = [];
  for await (const { data } of store.read({ subject: subjects.key(ward.ns, ward.master.pseudonym(ward.ns, customer)), leader: true })) found.push(Buffer.from(data).toString());
  return found;
};
const wrappedOf = (message: string) => String((JSON.parse(message) as { wrapped?: string }).wrapped);
const inputOf = (event: JournalEvent | undefined) => (event?.body.data as { input: { input: { to: JsonValue } } }).input.input;

/** Every chain of the journal, and every event computed again. */
async function proven(): Promise<{ events: number; identical: number }> {
  const seen = new Map<string, { chain: ChainVerifier; replayer: Replayer }>();
  for await (const message of journal.read({ subject: patterns.log(ward.ns) })) {
    const { kind, name } = parseLog(message.subject)!;
    const one = seen.get(message.subject) ?? { chain: new ChainVerifier(kind, name), replayer: new Replayer(ward.ns, kind, name) };
    seen.set(message.subject, one);
    const event = decodeEvent(message);
    one.chain.push(event);
    one.replayer.push(event);
  }
  let events = 0;
  let identical = 0;
  for (const { chain, replayer } of seen.values()) {
    assert.equal(chain.fault, undefined);
    assert.equal(replayer.report.difference, undefined, JSON.stringify(replayer.report.difference));
    events += replayer.report.events;
    identical += replayer.report.identical;
  }
  return { events, identical };
}

describe("AUD-3: erasure", () => {
  it("destroys the key in the store and in memory: nothing opens any more, chains verify, and every event replays identical", async () => {
    const run = await begun();
    await send(run, "alice");
    const found = (await ask(run, "p2", "crm.find", { customer: "alice" })).output as { email: JsonValue };
    const [message = ""] = await kept("alice");
    assert.ok((await ward.holding(wrappedOf(message))).length > 0, "the wrapped key stands in the store");
    await ward.erase("alice");
    assert.deepEqual(await ward.holding(wrappedOf(message)), [], "and nowhere after it was erased");
    assert.deepEqual(await ward.holding("alice-Zk4"), [], "and the value nowhere");
    assert.deepEqual((await kept("alice")).map((text) => Object.keys(JSON.parse(text) as object).sort()), [["gone", "v"]]);
    const passed = await ask(run, "p3", "mail.send", { customer: "alice", to: found.email });
    assert.deepEqual([passed.status, passed.reasons?.map(({ code, path }) => [code, path])], ["rejected", [["personal.erased", "/input/to"]]]);
    const { events, identical } = await proven();
    assert.equal(identical, events);
    const recorded = (await ward.erasures()).map(({ body }) => [body.type, body.cause.actor]);
    assert.deepEqual(recorded, [["erasure.requested", "eraser-op"], ["erasure.completed", "signalbox-eraser"]]);
    assert.ok(!JSON.stringify((await ward.erasures()).map(({ body }) => body)).includes("alice"), "who it was is not recorded");
  });

  it("what waits for a person or a gateway is not done any more", async () => {
    const run = await begun(ward.careful);
    await ask(run, "p1", "mail.send", { customer: "bert", to: "bert-Zk4@example.com" }, ({ status }) => status === "pending", ward.careful);
    const { request, digest } = (await ward.event(run, "approval.requested")).body.data as Record<string, string>;
    await ward.erase("bert");
    const calls = ward.calls.length;
    await (await ward.approver("ann")).send("decide", run, { id: "d1", request, decision: "approve", digest });
    const { error } = (await ward.event(run, "action.failed")).body.data as { error: { code: string; effect: string } };
    assert.deepEqual([error.code, error.effect], ["personal.erased", "none"]);
    assert.equal(ward.calls.length, calls, "the tool was not called");
  });

  it("data that comes afterwards is sealed under another key; what was said before the erasure is withheld, though it is read later", async () => {
    const run = await begun();
    await send(run, "cora");
    const first = sealedIn(inputOf(await ward.event(run, "action.proposed")).to);
    await ward.erase("cora");
    const again = await begun();
    assert.equal((await send(again, "cora")).status, "succeeded");
    const second = sealedIn(inputOf(await ward.event(again, "action.proposed")).to);
    assert.ok(first && second && first.key !== second.key && first.subject === second.subject);
    const late = await begun();
    await coordinator.stop();
    await ward.clerk.send("propose", late, { kind: "tool", id: "p1", tool: "mail.send", input: { customer: "cora", to: "cora-late-Zk4@example.com" } });
    assert.deepEqual((await ward.holding("cora-late-Zk4")).filter((file) => !/INBOX/.test(file)), [], "only the inbox holds it, until somebody reads it");
    assert.equal((await ward.holding("cora-late-Zk4")).length, 1, "the search finds what is there");
    await storedElsewhere("cora");
    coordinator = await ward.coordinator({ personal: ward.master });
    const answer = await ward.clerk.answer(late, ({ id }) => id === "p1");
    assert.deepEqual([answer.status, answer.reasons?.map(({ code }) => code)], ["rejected", ["personal.erased"]]);
    assert.equal(withheldIn(inputOf(await ward.event(late, "action.proposed")).to), "erased");
    await ward.drained();
    assert.deepEqual(await ward.holding("cora-late-Zk4"), []);
  });

  it("two who need a subject's first key at once use the same one, and seal the same bytes (law 1)", async () => {
    const rivals = await Promise.all(["one", "two", "three"].map(async (name) => {
      const nc = await ward.server.connect("coordinator", name);
      const keys = new SubjectKeys({ nc, ns: ward.ns, publisher: new Publisher(nc), master: ward.master });
      await keys.start();
      return keys;
    }));
    for (let round = 0; round < 20; round++) {
      const subject = ward.master.pseudonym(ward.ns, `together-${round}`);
      const keys = await Promise.all(rivals.map((one) => one.fetch(subject, "make")));
      assert.equal(new Set(keys.map((key) => Buffer.from(key!.bytes).toString("hex"))).size, 1);
      assert.equal((await kept(`together-${round}`)).length, 1);
    }
  });

  it("two coordinators that decide the same input write the same bytes, and one of them gives way (laws 1 and 10)", async () => {
    const run = await begun();
    const time = Date.now();
    const body = { kind: "tool", id: "p1", tool: "mail.send", input: { customer: "both", to: "both-Zk4@example.com" } };
    const sides = await Promise.all(["left", "right"].map(async (name) => {
      const nc = await ward.server.connect("coordinator", name);
      const other = await rival(ward, nc, 5000, undefined, ward.master);
      const personal = await personalOf(nc, other);
      const lane = await other.lane(run, arrival(ward, "propose", "clerk", run, body, time));
      const first = other.turn(lane, { personal });
      assert.ok(first.needs !== undefined && "keys" in first.needs, "the key is fetched first");
      return { other, personal, lane, needs: first.needs };
    }));
    await Promise.all(sides.map(({ personal, needs }) => personal.fetch(needs as never)));
    const turns = sides.map(({ other, personal, lane }) => other.turn(lane, { personal }));
    const bytes = turns.map(({ events }) => events.map(({ data }) => Buffer.from(data).toString("hex")));
    assert.ok(bytes[0]!.length > 0);
    assert.deepEqual(bytes[0], bytes[1]);
    const landings = await Promise.all(sides.map(({ other }, i) => other.committer.append([other.part(turns[i]!)])));
    assert.ok(landings.some(([landing]) => landing?.kind === "stored"));
    assert.equal((await ward.events(run)).filter(({ body: { type } }) => type === "action.proposed").length, 1);
    for (const { personal } of sides) personal.stop();
  });

  it("killed after any of its steps, an erasure is completed by whoever starts next", async () => {
    for (const step of ["recorded", "replaced", "overwritten", "said"] as const) {
      const customer = `dora-${step}`;
      const run = await begun();
      await send(run, customer);
      const [message = ""] = await kept(customer);
      await coordinator.stop();
      const subject = await storedElsewhere(customer);
      const nc = await ward.server.connect("coordinator", `killed-${step}`);
      const publisher = new Publisher(nc);
      const { key } = JSON.parse(message) as { key: never };
      const keys = new SubjectKeys({ nc, ns: ward.ns, publisher, master: ward.master });
      if (step === "replaced") await publisher.publish(subjects.key(ward.ns, subject), Buffer.from(JSON.stringify({ v: 1, gone: key })));
      else if (step !== "recorded") await keys.destroy({ subject, key });
      if (step === "said") {
        const body = { verb: "destroyed", id: `destroyed.${String(key)}`, subject, key };
        await publisher.publish(subjects.input(ward.ns, "control", "signalbox-eraser" as never, "erasure:subjects"), Buffer.from(JSON.stringify(body)));
      }
      coordinator = await ward.coordinator({ personal: ward.master });
      await completed(key);
      assert.deepEqual(await ward.holding(wrappedOf(message)), [], step);
      assert.equal((await ward.erasures()).filter(({ body }) => body.type === "erasure.completed" && body.data["key"] === key).length, 1, "said once");
    }
  });

  it("killed before or after every single word that it says to the server, it is completed by whoever starts next", async () => {
    let deaths = 0;
    for (let at = 0, done = false; !done; at++) {
      const customer = `hugo-${at}`;
      await send(await begun(), customer);
      const [message = ""] = await kept(customer);
      const { key } = JSON.parse(message) as { key: never };
      await coordinator.stop();
      const subject = await storedElsewhere(customer);
      const mortal = await dying(at);
      done = await Promise.race([mortal.personal.destroy(subject, key).then(() => true), mortal.dead.then(() => false)]);
      mortal.personal.stop();
      if (!done) deaths += 1;
      coordinator = await ward.coordinator({ personal: ward.master });
      await completed(key);
      assert.deepEqual(await ward.holding(wrappedOf(message)), [], `killed at ${at}`);
      assert.equal((await ward.erasures()).filter(({ body }) => body.type === "erasure.completed" && body.data["key"] === key).length, 1, `killed at ${at}`);
    }
    assert.ok(deaths >= 8, `it says at least four things, and died ${deaths} times`);
  });

  it("what came in is overwritten when it is done with, though its stream is never empty", async () => {
    const run = await begun();
    await coordinator.stop();
    for (const name of ["done", "waiting"]) {
      await ward.clerk.send("propose", run, { kind: "tool", id: name, tool: "mail.send", input: { customer: "gina", to: `gina-${name}-Zk4@example.com` } });
    }
    const nc = await ward.server.connect("coordinator", "taker");
    const personal = await personalOf(nc, await rival(ward, nc, 5000, undefined, ward.master));
    const subject = `signalbox.${ward.ns}.part.*.propose.clerk.${run}`;
    const first = await new StreamReader(nc, streamName("INBOX", ward.ns)).read({ subject, leader: true }).next();
    assert.ok(first.done !== true);
    const acknowledged = Promise.withResolvers<void>();
    const message = { ...first.value, redelivered: false, deliveries: 1, generation: 1, reply: "", inHand: true, setAside: () => undefined, ack: () => acknowledged.resolve() };
    personal.careful(message).ack();
    await acknowledged.promise;
    assert.deepEqual(await ward.holding("gina-done-Zk4"), []);
    assert.equal((await ward.holding("gina-waiting-Zk4")).length, 1, "what waits is still there");
    personal.stop();
    coordinator = await ward.coordinator({ personal: ward.master });
    await ward.drained();
    assert.deepEqual(await ward.holding("gina-waiting-Zk4"), []);
  });

  it("an input that was decided by somebody who died before it was taken off the disk is taken off by the next one", async () => {
    const run = await begun();
    const body = { kind: "tool", id: "p1", tool: "mail.send", input: { customer: "frida", to: "frida-Zk4@example.com" } };
    await send(await begun(), "frida", "frida-first@example.com");
    await coordinator.stop();
    await ward.clerk.send("propose", run, body);
    const nc = await ward.server.connect("coordinator", "died");
    const other = await rival(ward, nc, 5000, undefined, ward.master);
    const lane = await other.lane(run, arrival(ward, "propose", "clerk", run, body, Date.now()));
    const personal = await personalOf(nc, other);
    const { needs } = other.turn(lane, { personal });
    await personal.fetch(needs as never);
    const [landing] = await other.committer.append([other.part(other.turn(lane, { personal }))]);
    assert.equal(landing?.kind, "stored");
    assert.equal((await ward.holding("frida-Zk4")).length, 1, "the inbox still has it");
    coordinator = await ward.coordinator({ personal: ward.master });
    await ward.event(run, "action.verified");
    await ward.drained();
    assert.deepEqual(await ward.holding("frida-Zk4"), []);
    assert.equal((await ward.events(run)).filter(({ body: { type } }) => type === "action.proposed").length, 1, "it counts once");
  });

  it("whoever was cut off while a subject was erased holds nothing over it", async () => {
    await send(await begun(), "ida");
    const { url, dataDir } = ward.server;
    const { creds, inboxPrefix } = await ward.server.issue("gateway", "away");
    const link = await openLink(url);
    const nc = await connectBus({ url: link.url, name: "away", creds, inboxPrefix });
    const keys = new SubjectKeys({ nc, ns: ward.ns, apart: true, master: await openPersonalMaster(dataDir) });
    await keys.start();
    const subject = ward.master.pseudonym(ward.ns, "ida");
    const key = await keys.fetch(subject, "make");
    assert.ok(key && keys.current(subject) !== undefined);
    const cut = statusOf(nc, "disconnect");
    link.silence("up", "down");
    link.reset();
    await cut;
    assert.equal(keys.current(subject), undefined, "dropped as soon as it is noticed");
    await ward.erase("ida");
    const back = statusOf(nc, "reconnect");
    link.heal();
    await back;
    assert.equal(await keys.fetch(subject, key.id), undefined);
    assert.equal(keys.find(subject, key.id), "gone");
    keys.stop();
    await nc.close();
    await link.close();
  });

  it("a key that a restored store has back is refused, because the journal says that it is erased, and destroyed again", async () => {
    const run = await begun(ward.careful);
    await ask(run, "p1", "mail.send", { customer: "emil", to: "emil-Zk4@example.com" }, ({ status }) => status === "pending", ward.careful);
    const [message = ""] = await kept("emil");
    await ward.erase("emil");
    const nc = await ward.server.connect("coordinator", "restorer");
    await new Publisher(nc).publish(subjects.key(ward.ns, ward.master.pseudonym(ward.ns, "emil")), Buffer.from(message));
    const gateway = await ward.gateway();
    const { request, digest } = (await ward.event(run, "approval.requested")).body.data as Record<string, string>;
    await (await ward.approver("ann")).send("decide", run, { id: "d1", request, decision: "approve", digest });
    const { error } = (await ward.event(run, "action.failed")).body.data as { error: { code: string } };
    assert.equal(error.code, "personal.erased");
    await gateway.stop();
    await takeOver();
    for (let left = 500; (await ward.holding(wrappedOf(message))).length > 0 && left > 0; left--);
    assert.deepEqual(await ward.holding(wrappedOf(message)), []);
  });

  it("refuses an erasure of somebody of whom nothing is recorded, and one by anybody but an operator", async () => {
    const operator = await ward.operator("op-2");
    const said = { verb: "erase", id: "x1", subject: "nobody-Zk4", reason: "r" };
    await operator.send("control", "erasure:subjects", said);
    const { reasons } = await operator.rejection(({ id }) => id === "x1");
    assert.deepEqual(reasons.map(({ code }) => code), ["erasure.nothing"]);
    await operator.send("control", "erasure:subjects", { verb: "destroyed", id: "x2", subject: "0".repeat(32), key: "0".repeat(16) });
    assert.deepEqual((await operator.rejection(({ id }) => id === "x2")).reasons.map(({ code }) => code), ["erasure.not_yours"]);
    await ward.drained();
    assert.deepEqual(await ward.holding("nobody-Zk4"), [], "nor does anything of the question stay");
    await assert.rejects(ward.clerk.send("control", "erasure:subjects", { ...said, id: "x3" }));
  });
});

async function completed(key: string): Promise<void> {
  const nc = await ward.server.connect("auditor", `done-${randomUUID().slice(0, 8)}`);
  const live = nc.subscribe(patterns.liveOfKind(ward.ns as Namespace, "erasure"));
  await nc.flush();
  const isDone = ({ body }: JournalEvent) => body.type === "erasure.completed" && body.data["key"] === key;
  if ((await ward.erasures()).some(isDone)) return;
  for await (const message of live) {
    if (isDone(decodeEvent({ subject: message.subject, data: message.data, seq: 0, time: 0, headers: new Map() }))) return;
  }
}

/** A coordinator's dealings with persons, on a connection of its own. */
async function personalOf(nc: NatsConnection, { journal: reader, publisher }: Rival): Promise<Personal> {
  const registry = new RegistryView(ward.ns, reader, new Documents(nc, publisher, ward.ns));
  await registry.load();
  const personal = new Personal({ nc, ns: ward.ns, publisher, registry, master: ward.master, log: pino({ level: "silent" }) });
  await personal.start();
  return personal;
}

async function statusOf(nc: NatsConnection, wanted: string): Promise<void> {
  for await (const { type } of nc.status()) if (type === wanted) return;
}

/** Dealings with persons that end for ever at one moment: an even one is before a request, the odd one after its answer. */
async function dying(at: number): Promise<{ readonly personal: Personal; readonly dead: Promise<void> }> {
  const nc = await ward.server.connect("coordinator", `mortal-${at}`);
  const publisher = new Publisher(nc);
  const dead = Promise.withResolvers<void>();
  let said = 0;
  const gone = () => {
    dead.resolve();
    return new Promise<never>(() => undefined);
  };
  const spoken = async <T>(act: () => Promise<T>): Promise<T> => {
    const moment = 2 * said++;
    if (moment === at) return gone();
    const answer = await act();
    return moment + 1 === at ? gone() : answer;
  };
  const over = <T extends object>(target: T, ...names: (keyof T & string)[]): T =>
    Object.create(target, Object.fromEntries(names.map((name) => [name, { value: (...args: unknown[]) => spoken(() => (target[name] as (...all: unknown[]) => Promise<unknown>).apply(target, args)) }]))) as T;
  const registry = new RegistryView(ward.ns, journal, new Documents(nc, publisher, ward.ns));
  // what it says before it destroys anything does not count
  const keys = over(nc, "request");
  const personal = new Personal({ nc: keys, ns: ward.ns, publisher: over(publisher, "batch", "publish"), registry, master: ward.master, log: pino({ level: "silent" }) });
  return { personal, dead: dead.promise };
}

/** The request for an erasure recorded by a coordinator that died before it did anything else. */
async function storedElsewhere(customer: string) {
  const nc = await ward.server.connect("coordinator", `elsewhere-${randomUUID().slice(0, 8)}`);
  const other: Rival = await rival(ward, nc, 5000, undefined, ward.master);
  const subject = ward.master.pseudonym(ward.ns, customer);
  const body = { verb: "erase", id: `e-${randomUUID().slice(0, 8)}`, subject: customer, reason: "asked for" };
  const coming = arrival(ward, "control", "eraser-op", "erasure:subjects", body, Date.now()) as { stored?: unknown };
  const last = await store.lastOf(subjects.key(ward.ns, subject));
  coming.stored = (JSON.parse(Buffer.from(last!.data).toString()) as { key: unknown }).key;
  const turn = other.turn(await other.lane("erasure:subjects", coming as never));
  const [landing] = await other.committer.append([other.part(turn)]);
  assert.equal(landing?.kind, "stored", JSON.stringify(turn.done.map(({ refused }) => refused)));
  return subject;
}
