/**
 * A witness with a key of its own, and somebody who owns everything else of the plane: its folder, its keys, its server.
 * The attacker leaves every hash chain whole. What the auditor kept still tells.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { createUser, encodeUser, fmtCreds } from "@nats-io/jwt";
import type { SignedCheckpoint } from "../../schemas/checkpoint.ts";
import type { EventDraft } from "../../schemas/event.ts";
import { NO_FACTS } from "../../schemas/facts.ts";
import { type Digest, namespace } from "../../schemas/ids.ts";
import { patterns, streamName } from "../../schemas/subjects.ts";
import { type ChainHead, decodeEvent, EMPTY_CHAIN, type SealedEvent, seal } from "../../services/bus/commit.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { provision } from "../../services/bus/streams.ts";
import { CheckpointAudit, readCheckpoints, sequenceFault, signatureFault } from "../../services/replay/checkpoint.ts";
import { ChainVerifier } from "../../services/replay/replay.ts";
import { fileSink, fileText, httpSink, natsSink } from "../../services/replay/sinks.ts";
import { Witness } from "../../services/replay/witness.ts";
import { WitnessService, type WitnessOptions } from "../../services/replay/witness-service.ts";
import { MIRROR_SUBJECT, startMirror } from "./mirror.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

const NS = namespace("default");
const AT = "2026-11-21T09:30:00.000Z";
const JOURNAL = streamName("JOURNAL", NS);
const witness = new Witness(new Uint8Array(32).fill(7));
const KEYS = [witness.published("2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z")];

/** One event of a run that says `text`, behind `head`. */
function event(run: string, head: ChainHead, text: string): { sealed: SealedEvent; head: ChainHead } {
  const draft: EventDraft = { type: "note.recorded", from: "active", to: "active", data: { text } };
  const cause = { id: `n${head.seq}`, kind: "propose" as const, actor: "clerk", time: AT };
  const premise = { input: text, input_hash: `sha256:${"0".repeat(64)}` as Digest, facts: NO_FACTS };
  const { events, head: next } = seal({ ns: NS, kind: "run", name: run }, head, { drafts: [draft], at: AT, machine: "2", cause, premise });
  return { sealed: events[0] as SealedEvent, head: next };
}

/** `[run, text]` in the order in which they are stored: whole chains, whoever makes them. */
function history(notes: readonly (readonly [string, string])[]): SealedEvent[] {
  const heads = new Map<string, ChainHead>();
  return notes.map(([run, text]) => {
    const made = event(run, heads.get(run) ?? EMPTY_CHAIN, text);
    heads.set(run, made.head);
    return made.sealed;
  });
}
const NOTES = [1, 2, 3, 4].flatMap((n) => ["clerk_a", "clerk_b", "clerk_c"].map((run) => [run, `note ${n}`] as const));

describe("AUD-1: a checkpoint kept outside, and somebody who owns the plane", () => {
  let server: TestServer;
  let owner: NatsConnection;
  let auditor: NatsConnection;
  let folder: string;
  const running: WitnessService[] = [];

  before(async () => {
    server = await startTestServer();
    owner = await connectAsOwner(server);
    auditor = await server.connect("auditor", "auditor");
    folder = await mkdtemp(join(tmpdir(), "signalbox-witness-"));
  });
  after(async () => {
    await owner.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => made(NOTES));
  afterEach(async () => {
    for (const one of running.splice(0)) await one.stop();
  });

  /** The owner throws the stream away and makes it again, with this in it. */
  async function made(notes: readonly (readonly [string, string])[]): Promise<void> {
    // the server answers before the folder is gone, and a stream that is made at once may find its messages again
    do {
      await owner.request(`$JS.API.STREAM.DELETE.${JOURNAL}`);
      await provision(owner, NS);
    } while ((await new StreamReader(owner, JOURNAL).info()).messages > 0);
    const publisher = new Publisher(owner);
    for (const { subject, headers, data } of history(notes)) await publisher.publish(subject, data, headers);
    publisher.close();
  }
  async function watching(more: Partial<WitnessOptions> = {}): Promise<{ service: WitnessService; alarms: string[] }> {
    const alarms: string[] = [];
    const ends = async () => [(await new StreamReader(owner, JOURNAL).info()).lastSeq];
    const service = new WitnessService({
      nc: auditor, ns: NS, witness, previous: undefined, sinks: [], ends, now: () => AT, onAlarm: (message) => void alarms.push(message), ...more,
    });
    running.push(service);
    await service.start();
    return { service, alarms };
  }
  /** What `verify --since` does: chains and checkpoints, in one reading. */
  async function audited(...kept: SignedCheckpoint[]): Promise<{ chains: number; why: string | undefined; held: number }> {
    const audit = new CheckpointAudit(kept);
    const chains = new Map<string, ChainVerifier>();
    for await (const message of new StreamReader(auditor, JOURNAL).read({ subject: patterns.log(NS) })) {
      audit.push(message);
      const name = message.subject.split(".").at(-1) as string;
      if (!chains.has(name)) chains.set(name, new ChainVerifier("run", name));
      chains.get(name)?.push(decodeEvent(message));
    }
    const { held, findings } = audit.conclude();
    return { chains: [...chains.values()].filter(({ fault }) => fault === undefined).length, why: findings[0]?.why, held };
  }

  it("holds as long as the journal only grows", async () => {
    const { service } = await watching();
    const kept = service.sign();
    assert.equal(kept.last_seq, NOTES.length);
    const publisher = new Publisher(owner);
    const { sealed } = event("clerk_d", EMPTY_CHAIN, "later");
    await publisher.publish(sealed.subject, sealed.data, sealed.headers);
    publisher.close();
    assert.deepEqual(await audited(kept), { chains: 4, why: undefined, held: 1 });
  });

  const attacks: readonly (readonly [string, readonly (readonly [string, string])[], RegExp])[] = [
    ["history is rewritten, every chain made anew", NOTES.map(([run, text]) => [run, text === "note 2" ? "never happened" : text]), /rewritten/],
    ["a whole run is dropped", NOTES.filter(([run]) => run !== "clerk_b"), /cut off/],
    ["a whole run is dropped and the journal filled up behind", [...NOTES.filter(([run]) => run !== "clerk_b"), ...NOTES.slice(0, 4).map(() => ["clerk_c", "filler"] as const)], /taken away/],
    ["a run is added in the past", [...NOTES.slice(0, 6), ["clerk_x", "was always here"], ...NOTES.slice(6)], /added in the past/],
    ["last week's backup comes back", NOTES.slice(0, 5), /older copy/],
    ["last week's backup comes back and life goes on", [...NOTES.slice(0, 5), ...NOTES.slice(5).map(([run]) => [run, "another life"] as const)], /rewritten/],
  ];
  for (const [what, notes, why] of attacks) {
    it(`shows when ${what}`, async () => {
      const { service } = await watching();
      const kept = service.sign();
      await service.stop();
      await made(notes);
      const found = await audited(kept);
      assert.equal(found.chains, new Set(notes.map(([run]) => run)).size, "the attacker left every chain whole");
      assert.match(found.why ?? "", why);
      const again = await watching({ previous: kept });
      assert.throws(() => again.service.sign(), /nothing is signed: checkpoint 1 does not hold/);
    });
  }

  it("goes on behind its last checkpoint after a restart, and signs nothing new while nothing happens", async () => {
    const path = join(folder, "own.jsonl");
    const first = await watching({ sinks: [fileSink(path)] });
    first.service.sign();
    first.service.sign();
    await first.service.delivered();
    await first.service.stop();
    const [kept, ...more] = readCheckpoints(await fileText(path));
    assert.ok(typeof kept === "object" && more.length === 0);
    const next = new Publisher(owner);
    const { sealed } = event("clerk_e", EMPTY_CHAIN, "more");
    await next.publish(sealed.subject, sealed.data, sealed.headers);
    next.close();
    const second = (await watching({ previous: kept, sinks: [fileSink(path)] })).service;
    const signed = second.sign();
    assert.equal(sequenceFault(kept, signed), undefined);
    assert.equal(await signatureFault(signed, KEYS), undefined);
    await second.delivered();
    assert.equal(readCheckpoints(await fileText(path)).length, 2);
  });

  it("sends each checkpoint to every place at once and in order, and again to one that did not take it", async () => {
    const heard: string[] = [];
    let refusals = 1;
    const http = await listening(
      createServer((request, response) => {
        let body = "";
        request.on("data", (chunk) => (body += String(chunk)));
        request.on("end", () => {
          if (refusals-- > 0) return void response.writeHead(503).end();
          heard.push(body);
          response.writeHead(204).end();
        });
      }),
    );
    const mirror = await startMirror();
    await mirror.makeStream();
    const path = join(folder, "sinks.jsonl");
    const { service, alarms } = await watching({
      sinks: [fileSink(path), httpSink(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`), natsSink("mirror", MIRROR_SUBJECT, mirror.connect)],
    });
    const first = service.sign();
    const publisher = new Publisher(owner);
    const { sealed } = event("clerk_f", EMPTY_CHAIN, "one more");
    const { seq } = await publisher.publish(sealed.subject, sealed.data, sealed.headers);
    publisher.close();
    while (service.sign().last_seq < seq) await new Promise((resolve) => setImmediate(resolve));
    await service.delivered();
    const lines = [first, service.sign()].map((one) => JSON.stringify(one));
    assert.deepEqual(heard, lines);
    assert.deepEqual(await mirror.lines(), lines);
    assert.deepEqual((await fileText(path)).trim().split("\n"), lines);
    assert.match(alarms.join("\n"), /answered 503/);
    await mirror.stop();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });

  it("counts a checkpoint as sent to an auditor's account only when a stream there holds it", async () => {
    const mirror = await startMirror();
    const sink = natsSink("mirror", MIRROR_SUBJECT, mirror.connect);
    const alarmed = Promise.withResolvers<string>();
    const { service } = await watching({ sinks: [sink], onAlarm: alarmed.resolve });
    const signed = service.sign();
    assert.match(await alarmed.promise, /^`mirror` did not take checkpoint 1: no stream takes `audit\.checkpoints`$/);
    await mirror.makeStream();
    assert.deepEqual(await service.delivered(), []);
    assert.deepEqual(await mirror.lines(), [JSON.stringify(signed)]);
    await sink.close();
    await mirror.stop();
  });

  it("is sent to an account whose server was away as soon as that is there", async () => {
    const mirror = await startMirror();
    await mirror.makeStream();
    await mirror.server.kill();
    const sink = natsSink("mirror", MIRROR_SUBJECT, mirror.connect);
    const alarmed = Promise.withResolvers<string>();
    const { service } = await watching({ sinks: [sink], onAlarm: alarmed.resolve });
    const signed = service.sign();
    assert.match(await alarmed.promise, /^`mirror` did not take checkpoint 1: .*cannot be reached/);
    await mirror.server.restart();
    assert.deepEqual(await service.delivered(), []);
    assert.deepEqual(await mirror.lines(), [JSON.stringify(signed)]);
    await sink.close();
    await mirror.stop();
  });

  it("goes to no other place before its own memory has it, and places are asked only so often where that is said", async () => {
    const heard: string[] = [];
    const place = { name: "place", put: async (line: string) => void heard.push(line) };
    const full = { name: "memory", put: () => Promise.reject(new Error("no space left")) };
    const first = await watching({ memory: full, sinks: [place], tries: 1 });
    first.service.sign();
    assert.equal(await first.service.kept(), false);
    assert.deepEqual([await first.service.delivered(), heard], [[place], []]);
    const gone = { name: "gone", put: () => Promise.reject(new Error("not there")) };
    const second = await watching({ sinks: [gone, place], tries: 2 });
    const signed = second.service.sign();
    assert.deepEqual([await second.service.delivered(), heard], [[gone], [JSON.stringify(signed)]]);
    assert.deepEqual(second.alarms, ["`gone` did not take checkpoint 1: not there", "`gone` did not take checkpoint 1: not there"]);
  });

  it("is read once where it was sent twice", async () => {
    const { service } = await watching();
    const line = JSON.stringify(service.sign());
    assert.deepEqual(readCheckpoints(`${line}\n${line}\nnothing\n${line}\n`), [JSON.parse(line), "it is not JSON"]);
  });
});

function listening(server: Server): Promise<Server> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Whoever has the folder has the keys, and whoever has the keys signs what he likes. */
async function connectAsOwner({ url, keys }: TestServer): Promise<NatsConnection> {
  const user = createUser();
  const jwt = await encodeUser("owner", user, keys.plane, {});
  return connectBus({ url, name: "owner", creds: new TextDecoder().decode(fmtCreds(jwt, user)) });
}
