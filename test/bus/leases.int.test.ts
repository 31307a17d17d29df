/** Leases: one owner of a share at a time, whatever is lost on the way, and nobody is taken for dead whom nobody could hear (EXEC-8). */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { NatsConnection } from "nats";
import { pino } from "pino";
import { type Namespace, namespace } from "../../schemas/ids.ts";
import { SHARES, STREAMS, streamName, subjects } from "../../schemas/subjects.ts";
import { apiRequest } from "../../services/bus/replies.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Leases } from "../../services/bus/leases.ts";
import { isProcessGone, ownProcess } from "../../services/bus/own-process.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { provision } from "../../services/bus/streams.ts";
import { Share } from "../../services/coordinator/share.ts";
import { faultyLine } from "../coordinator/line.ts";
import { withPatience } from "../harness/plane.ts";
import { PlainServer } from "./plain-server.ts";

let server: PlainServer;
let nc: NatsConnection;
let ns: Namespace;
let name = 0;
const ends: (() => Promise<unknown>)[] = [];
before(async () => {
  server = await PlainServer.start();
  nc = await server.connect();
});
after(() => server.stop());
beforeEach(async () => {
  ns = namespace(`n${++name}`);
  await provision(nc, ns);
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  // what they reserve is more than a disk has for all tests
  for (const kind of STREAMS) await apiRequest(nc, `STREAM.DELETE.${streamName(kind, ns)}`, undefined, 5000);
});

/** Everybody who takes part: each is asked, at the moment when another one takes a share, whether it is certain of it. */
class Party {
  readonly all: Member[] = [];
  #waiting = new Set<() => void>();
  faults: string[] = [];

  async join(line: NatsConnection = nc): Promise<Member> {
    const member = new Member(this, line);
    this.all.push(member);
    ends.push(() => member.leases.stop());
    await member.leases.start();
    return member;
  }

  taken(by: Member, share: number): void {
    for (const other of this.all) {
      if (other !== by && other.leases.owns(share) && other.leases.certain) this.faults.push(`share ${share} is taken, and another one is certain of it`);
    }
    this.changed();
  }

  changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  async until(fits: () => boolean, what: string): Promise<void> {
    let look: () => void = () => undefined;
    await withPatience(
      new Promise<void>((resolve) => {
        look = () => (fits() ? resolve() : undefined);
        this.#waiting.add(look);
        look();
      }),
      () => `${what}: ${this.all.map(({ shares }) => `[${[...shares].join()}]`).join(" ")}`,
    );
    this.#waiting.delete(look);
  }

  counts = () => this.all.map(({ shares }) => shares.size);
}

class Member {
  readonly leases: Leases;
  readonly shares = new Set<number>();
  readonly dropped: number[] = [];
  readonly troubles: string[] = [];

  constructor(party: Party, line: NatsConnection) {
    this.leases = new Leases({
      nc: line,
      ns,
      // all of them are in this process, which is not gone
      process: null,
      machines: ["1"],
      take: (share) => {
        this.shares.add(share);
        party.taken(this, share);
        return Promise.resolve();
      },
      drain: (share) => {
        this.shares.delete(share);
        party.changed();
        return Promise.resolve();
      },
      drop: (share) => {
        this.shares.delete(share);
        this.dropped.push(share);
        party.changed();
      },
      taken: () => party.changed(),
      certain: () => undefined,
      onTrouble: (what, error) => this.troubles.push(`${what}: ${error.message}`),
    });
  }
}

test("of several that come at once each share has one owner, and all have their due", async () => {
  const party = new Party();
  await Promise.all([party.join(), party.join(), party.join()]);
  await party.until(() => party.counts().toSorted().join() === "2,3,3", "not shared");
  assert.deepEqual(party.all.flatMap(({ shares }) => [...shares]).sort(), Array.from({ length: SHARES }, (_, share) => share));
  assert.deepEqual(party.faults, []);
});

test("one that is cut off is not certain any more before another one owns its shares, and learns it when it is back", async () => {
  const party = new Party();
  let cut = false;
  const first = await party.join(faultyLine(nc, { carries: () => !cut, hears: () => !cut }));
  const second = await party.join();
  await party.until(() => party.counts().join() === "4,4", "not shared");
  const lost = [...first.shares];
  cut = true;
  await party.until(() => second.shares.size === SHARES, "not taken over");
  assert.equal(first.leases.certain, false);
  assert.deepEqual([...first.shares], lost, "it cannot know yet");
  cut = false;
  await party.until(() => first.dropped.length === lost.length, "never told");
  assert.deepEqual(first.dropped.toSorted(), lost.toSorted());
  await party.until(() => party.counts().join() === "4,4", "not shared again");
  assert.deepEqual(party.faults, []);
});

test("OPS-4 while the server answers nobody, nobody is certain, nobody is taken for dead, and afterwards all own what they did", async () => {
  const party = new Party();
  const [first, second] = [await party.join(), await party.join()];
  await party.until(() => party.counts().join() === "4,4", "not shared");
  const before = party.all.map(({ shares }) => [...shares]);
  await server.freeze();
  while (first.leases.certain || second.leases.certain) await new Promise((resolve) => setImmediate(resolve));
  // longer than the silence after which one that alone is silent is taken for dead
  const silent = performance.now();
  await Promise.race([first.leases.sure(), new Promise((resolve) => setTimeout(resolve, 2500))]);
  assert.ok(performance.now() - silent > 2400 && !first.leases.certain);
  server.thaw();
  assert.equal(await first.leases.sure(), true);
  assert.equal(await second.leases.sure(), true);
  assert.deepEqual(party.all.map(({ shares }) => [...shares]), before);
  assert.deepEqual([...first.dropped, ...second.dropped], []);
});

test("one that leaves is waited for by nobody", async () => {
  const party = new Party();
  const [first, second] = [await party.join(), await party.join()];
  await party.until(() => party.counts().join() === "4,4", "not shared");
  first.shares.clear();
  const left = performance.now();
  await first.leases.stop();
  await party.until(() => second.shares.size === SHARES, "not taken over");
  assert.ok(performance.now() - left < 2000);
});

test("a process is known again by nobody but itself", () => {
  const own = ownProcess();
  assert.ok(own !== null);
  assert.equal(isProcessGone(own), false);
  const parts = own.split(" ");
  assert.equal(isProcessGone([...parts.slice(0, 2), "4194304", parts[3]].join(" ")), true, "there is no such process");
  assert.equal(isProcessGone([...parts.slice(0, 3), "1"].join(" ")), true, "another one has its number");
  assert.equal(isProcessGone(["another-boot", ...parts.slice(1)].join(" ")), false, "of another machine nothing is known");
  assert.equal(isProcessGone(null), false);
});

interface Taken {
  readonly share: Share;
  readonly messages: IntakeMessage[];
  readonly raised: number[];
}

function shareOf0(line: NatsConnection, raise: (beyond: number) => Promise<number> = () => Promise.reject(new Error("not owned"))): Taken {
  const messages: IntakeMessage[] = [];
  const raised: number[] = [];
  const share = new Share({
    nc: line,
    ns,
    number: 0,
    log: pino({ level: "silent" }),
    onInputs: (found) => void messages.push(...found),
    onDue: () => undefined,
    onDropped: () => undefined,
    onUnshared: () => Promise.resolve(),
    raise: (beyond) => {
      raised.push(beyond);
      return raise(beyond);
    },
  });
  ends.push(() => share.leave());
  return { share, messages, raised };
}

/** So many inputs in share 0; resolves when the stream has them. */
async function inputs(count: number): Promise<void> {
  const publisher = new Publisher(nc);
  for (let n = 0; n < count; n++) await publisher.publish(subjects.signal(ns, "ledger:x", RUN_IN_0, `s${n}`), Buffer.from("{}"));
  publisher.close();
}
const RUN_IN_0 = Array.from({ length: 64 }, (_, n) => `a_${n}`).find((run) => subjects.signal(namespace("x"), "y", run, "z").split(".")[3] === "0") as string;
const left = async () => (await new StreamReader(nc, streamName("CONTROL", ns)).info()).messages;
async function filled(taken: Taken, count: number): Promise<void> {
  await withPatience(
    (async () => {
      while (taken.messages.length < count) await new Promise((resolve) => setImmediate(resolve));
    })(),
    "no inputs",
  );
}

test("law 3: what an owner acknowledges after the next one has taken its share is acknowledged to nobody, though it has heard nothing of it", async () => {
  await inputs(3);
  let deaf = false;
  const old = shareOf0(faultyLine(await server.connect(), { hears: () => !deaf }));
  await old.share.start(1);
  await filled(old, 3);
  deaf = true;
  const heir = shareOf0(nc);
  await heir.share.start(2);
  await filled(heir, 3);
  for (const message of old.messages) {
    assert.equal(message.inHand, true, "it believes to own them");
    message.ack();
  }
  await nc.flush();
  heir.messages[0]?.ack();
  while ((await left()) === 3);
  assert.equal(await left(), 2, "only the heir's word counts");
  // and it takes nothing back: its consumers are of another time
  await assert.rejects(shareOf0(nc).share.start(1), /not owned/);
  assert.equal(await left(), 2);
});

test("where the leases were lost, an owner whose count began anew goes on beyond the consumers that it finds", async () => {
  await inputs(2);
  const old = shareOf0(nc);
  await old.share.start(7);
  await filled(old, 2);
  await old.share.stop();
  const heir = shareOf0(nc, (beyond) => Promise.resolve(beyond + 1));
  await heir.share.start(1);
  await filled(heir, 2);
  assert.deepEqual(heir.raised, [7]);
  const names = (await apiRequest(nc, `CONSUMER.NAMES.${streamName("CONTROL", ns)}`, {}, 5000))["consumers"] as string[];
  assert.deepEqual(names.toSorted(), ["share-0-8", "share-0-8-signals"]);
});
