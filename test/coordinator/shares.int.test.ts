/** The shares that a coordinator owns, taken, handed over and dropped as the leases say (EXEC-8): on a real server; what it hands inputs to is heard by the test. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Logger } from "pino";
import { type Namespace, type RunId, actor, namespace, runId } from "../../schemas/ids.ts";
import { SHARES, STREAMS, type StreamKind, inputTransform, patterns, shareOf, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { consumersOf, deleteConsumer } from "../../services/bus/intake-consumer.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { apiRequest } from "../../services/bus/replies.ts";
import { ProvisioningFailed, provision, streamConfig } from "../../services/bus/streams.ts";
import { createConsumer } from "../../services/bus/work-consumer.ts";
import { Shares } from "../../services/coordinator/shares.ts";
import { PlainServer } from "../bus/plain-server.ts";
import { withPatience } from "../harness/plane.ts";
import { quickly } from "./quickly.ts";

const ALL = Array.from({ length: SHARES }, (_, share) => share);
const RUN = runId("clerk_1");
const SHARE = shareOf(RUN);

let server: PlainServer;
let nc: NatsConnection;
let ns: Namespace;
let publisher: Publisher;
let names = 0;
const ends: (() => Promise<unknown>)[] = [];
before(async () => {
  server = await PlainServer.start();
  nc = await server.connect();
  publisher = new Publisher(nc);
});
after(() => server.stop());
beforeEach(async () => {
  ns = namespace(`n${++names}`);
  await provision(nc, ns);
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  for (const kind of STREAMS) await apiRequest(nc, `STREAM.DELETE.${streamName(kind, ns)}`, undefined, 5000);
});

/** One coordinator's, and what it was told, in order. */
class Owner {
  readonly heard: string[] = [];
  readonly messages: IntakeMessage[] = [];
  readonly forgotten: ((arrival: { message: { inHand: boolean } }) => boolean)[] = [];
  readonly shares: Shares;
  readonly #waiting = new Set<() => void>();

  constructor(options: { machines?: string[]; process?: string | null; nc?: NatsConnection } = {}) {
    const hear = (what: string) => {
      this.heard.push(what);
      for (const look of this.#waiting) look();
    };
    const log = (level: string) => (fields: Record<string, unknown>) => hear(`${level} ${JSON.stringify(fields)}`);
    const child = { info: () => undefined, warn: () => undefined, debug: () => undefined };
    this.shares = new Shares({
      nc,
      ns,
      machines: ["1", "2", "3"],
      lanes: {
        push: ({ input }: { input: { id: string } }) => hear(`due ${input.id}`),
        suspect: (share: number) => hear(`suspect ${share}`),
        forget: (fits: (arrival: { message: { inHand: boolean } }) => boolean) => (this.forgotten.push(fits), hear("forget")),
        drop: (share: number) => hear(`lanes drop ${share}`),
      } as never,
      desk: {
        take: (messages: IntakeMessage[]) => {
          this.messages.push(...messages);
          for (const { data } of messages) hear(`take ${Buffer.from(data).toString()}`);
        },
      } as never,
      outbox: { passOn: (message: IntakeMessage) => (hear(`pass ${Buffer.from(message.data).toString()}`), Promise.resolve()) } as never,
      sweeper: { sweep: (shares: Iterable<number>) => (hear(`sweep ${[...shares].sort().join()}`), Promise.resolve()), drop: (share: number) => hear(`sweeper drop ${share}`) } as never,
      wake: () => hear("wake"),
      log: { info: log("info"), warn: log("warn"), child: () => child } as unknown as Logger,
      ...options,
    });
    ends.push(() => this.shares.stop());
  }

  async started(): Promise<this> {
    await this.shares.start();
    return this;
  }

  until(fits: () => boolean, what: string): Promise<void> {
    return withPatience(
      new Promise((resolve) => {
        const look = () => {
          if (fits()) resolve();
        };
        this.#waiting.add(look);
        look();
      }),
      () => `${what}: ${this.heard.join(" | ")}`,
    );
  }

  count(what: string | RegExp): number {
    return this.heard.filter((one) => (typeof what === "string" ? one === what : what.test(one))).length;
  }
}
const propose = (text: string) => publisher.publish(subjects.input(ns, "propose", actor("clerk"), RUN), Buffer.from(text));
const consumers = async (kind: StreamKind) => (await consumersOf(nc, streamName(kind, ns), 5000)).sort();
/** What stands in the leases. */
const leased = async (subject: string) => {
  const found = await new StreamReader(nc, streamName("LEASES", ns)).lastOf(subject);
  return found === undefined ? undefined : (JSON.parse(Buffer.from(found.data).toString()) as { owner: string | null; process?: string | null; life?: string });
};
const memberOf = async (share: number) => {
  const owner = (await leased(subjects.lease(ns, share)))?.owner ?? "";
  return { owner, record: await leased(subjects.member(ns, owner)) };
};

test("EXEC-8: who is alone owns every share, and sweeps what it took", async () => {
  const { shares, heard } = await new Owner().started();
  assert.deepEqual([[...shares.owned].sort(), shares.certain, shares.commonMachine], [ALL, true, "3"]);
  assert.ok(heard.includes(`info ${JSON.stringify({ shares: ALL })}`) && heard.includes(`sweep ${ALL.join()}`));
  assert.deepEqual(await consumers("INBOX"), ALL.map((share) => `share-${share}-1`));
  assert.equal(await shares.sure(), true);
});

test("EXEC-8: an input goes to the desk and a timer to its lane, and then there may be something to decide", async () => {
  const one = await new Owner().started();
  one.heard.length = 0;
  await propose("a");
  await one.until(() => one.count("take a") === 1, "the input");
  one.messages[0]?.ack();
  assert.equal(one.heard[one.heard.indexOf("take a") + 1], "wake");
  one.heard.length = 0;
  await publisher.publish(subjects.due(ns, RUN), Buffer.from(JSON.stringify({ timer: "wall", armed: 1 })));
  await one.until(() => one.count("due wall") === 1, "the timer");
  assert.equal(one.heard[one.heard.indexOf("due wall") + 1], "wake");
});

test("EXEC-8: everything that is owed may have to be paid again: all shares that are owned are swept", async () => {
  const one = await new Owner().started();
  one.heard.length = 0;
  one.shares.sweep();
  assert.equal(one.count(`sweep ${ALL.join()}`), 1);
});

test("EXEC-8: what is no longer in hand makes its lanes suspect, and is forgotten where it waits", async () => {
  const one = await new Owner().started();
  await deleteConsumer(nc, streamName("CONTROL", ns), `share-${SHARE}-1`, 5000);
  await one.until(() => one.count("forget") === 1, "that inputs are no longer in hand");
  assert.equal(one.heard[one.heard.indexOf("forget") - 1], `suspect ${SHARE}`);
  assert.deepEqual([true, false].map((inHand) => one.forgotten[0]?.({ message: { inHand } })), [false, true]);
});

test("EXEC-8: a signal in no share is passed on", async () => {
  const one = await new Owner().started();
  await publisher.publish(`signalbox.${ns}.in.signal.${RUN}.clerk_2.leased`, Buffer.from("signal"));
  await one.until(() => one.count("pass signal") === 1, "the signal");
});

test("EXEC-8: a share that consumers of another time stand in the way of is owned on beyond them", async () => {
  await createConsumer(nc, { stream: streamName("TIMERS", ns), consumer: `share-${SHARE}-7`, filter: patterns.duesOf(ns, SHARE), ackWaitMs: 60_000, maxAckPending: 10 }, 5000);
  const one = await new Owner().started();
  assert.equal(one.shares.owned.size, SHARES);
  assert.ok((await consumers("TIMERS")).includes(`share-${SHARE}-8`));
});

test("EXEC-8: who has too many drains some and lets go of them; nothing of them is kept", async () => {
  const one = await new Owner().started();
  one.heard.length = 0;
  const two = await new Owner().started();
  await two.until(() => two.shares.owned.size === 4, "its due");
  const given = ALL.filter((share) => !one.shares.owned.has(share));
  assert.deepEqual([one.shares.owned.size, [...two.shares.owned].sort()], [4, given]);
  for (const share of given) assert.deepEqual([`info ${JSON.stringify({ share })}`, `sweeper drop ${share}`, `lanes drop ${share}`].map((what) => one.count(what)), [1, 1, 1]);
  assert.equal(one.count(/drop/), 8);
  // and is given back by one who leaves
  one.heard.length = 0;
  await two.shares.stop();
  await one.until(() => one.shares.owned.size === SHARES && one.count(`sweep ${given.join()}`) === 1, "what is free");
});

test("EXEC-8: who is taken for gone drops what it owned, also what it was handing over: once each, and owns it again as somebody else", async () => {
  const one = await new Owner().started();
  // of every share something is in hand, so that none is drained by itself
  const runs = ALL.map((share) => {
    for (let n = 0; ; n++) if (shareOf(`clerk_${n}`) === share) return `clerk_${n}` as RunId;
  });
  for (const run of runs) await publisher.publish(subjects.input(ns, "propose", actor("clerk"), run), Buffer.from("held"));
  await one.until(() => one.count("take held") === SHARES, "the inputs");
  const { owner, record } = await memberOf(SHARE);
  one.heard.length = 0;
  await publisher.publish(subjects.member(ns, owner), Buffer.from(JSON.stringify({ ...record, life: "gone" })));
  await one.until(() => one.count(`sweep ${ALL.join()}`) === 1 && one.count("take held") === SHARES, "what is free");
  assert.deepEqual(one.messages.map(({ inHand }) => inHand), [...ALL.map(() => false), ...ALL.map(() => true)]);
  assert.ok(one.count(/^warn \{"error":"the server refused/) > 0, "that a sign of life was not taken is told");
  // each ending of an ownership is told once, and what ended drops nothing of what was taken after it
  for (const share of ALL) {
    const ended = one.heard.filter((what) => what.startsWith("warn") && what.includes(`"share":${share},"why":"`)).length;
    assert.ok(ended > 0);
    assert.deepEqual([one.count(`sweeper drop ${share}`), one.count(`lanes drop ${share}`)], [ended, ended], one.heard.join(" | "));
  }
});

test("OPS-2: a stream that does not store inputs in these shares is found out before anything is owned", async () => {
  for (const kind of ["INBOX", "CONTROL"] as const) {
    const { src, dest } = inputTransform(ns);
    const config = streamConfig(kind, ns);
    await apiRequest(nc, `STREAM.UPDATE.${streamName(kind, ns)}`, { ...config, subject_transform: { src, dest: dest.replace(`partition(${SHARES},`, "partition(64,") } }, 5000);
    await assert.rejects(new Owner().started(), (error: Error) => error instanceof ProvisioningFailed && error.message.includes(`\`${streamName(kind, ns)}\``));
    assert.deepEqual([await leased(subjects.lease(ns, SHARE)), await consumers("INBOX")], [undefined, []]);
    await apiRequest(nc, `STREAM.UPDATE.${streamName(kind, ns)}`, config, 5000);
  }
  // what else is configured otherwise is no reason
  await apiRequest(nc, `STREAM.UPDATE.${streamName("INBOX", ns)}`, { ...streamConfig("INBOX", ns), max_msgs_per_subject: 900 }, 5000);
  assert.equal((await new Owner().started()).shares.owned.size, SHARES);
});

test("EXEC-8: who stops deletes its consumers, frees its shares and knows of nothing more", async () => {
  const one = await new Owner().started();
  await one.shares.stop();
  assert.deepEqual(await Promise.all((["INBOX", "CONTROL", "TIMERS"] as const).map(consumers)), [[], [], []]);
  assert.deepEqual([one.shares.owned.size, await one.shares.sure()], [0, false]);
  const two = await new Owner().started();
  assert.equal(two.shares.owned.size, SHARES);
});

test("EXEC-8: who stops waits a second for a server that is away, and no longer", async (t) => {
  const hurry = quickly();
  t.after(() => hurry.stop());
  ends.push(async () => server.thaw());
  const line = await server.connect();
  const one = await new Owner({ nc: line }).started();
  await server.freeze();
  await withPatience(one.shares.stop(), "it does not stop");
  assert.ok(hurry.pauses.includes(1000), String(hurry.pauses));
});

test("EXEC-8: it says which process it is, and which machines it has; what its machines lack is left to one that has them", async () => {
  const one = await new Owner({ process: "this/one" }).started();
  assert.equal((await memberOf(SHARE)).record?.process, "this/one");
  const old = await new Owner({ machines: ["1", "2"], process: null }).started();
  await one.until(() => one.shares.owned.size === 4, "its due");
  assert.equal(one.shares.commonMachine, "2");
  const [theirs = -1] = [...old.shares.owned];
  assert.equal((await memberOf(theirs)).record?.process, null);
  old.shares.lacks(theirs, "3");
  await one.until(() => one.shares.owned.has(theirs) && !old.shares.owned.has(theirs), "the share that needs it");
});
