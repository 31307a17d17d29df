/** How a coordinator is put together: what it hears of others, what it reads again, and what it does while it starts and stops (EXEC-8, law 3). On a real server. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { DOCUMENT_KINDS } from "../../machines/registry.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { runId } from "../../schemas/ids.ts";
import { shareOf } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Documents } from "../../services/bus/documents.ts";
import { LeaseView } from "../../services/bus/lease-view.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { Applied } from "../../services/coordinator/applied.ts";
import { GroupCommitter } from "../../services/coordinator/committer.ts";
import type { CoordinatorOptions } from "../../services/coordinator/coordinator.ts";
import { Desk } from "../../services/coordinator/desk.ts";
import { GuardView } from "../../services/coordinator/guard-view.ts";
import { Lane } from "../../services/coordinator/lanes.ts";
import { LiveRunIndex } from "../../services/coordinator/live-runs.ts";
import { Loader } from "../../services/coordinator/loader.ts";
import { Outbox } from "../../services/coordinator/outbox.ts";
import { People } from "../../services/coordinator/people.ts";
import { Personal } from "../../services/coordinator/personal.ts";
import { Placement } from "../../services/coordinator/placement.ts";
import { SegmentKeeper, TABLE_TOKEN } from "../../services/coordinator/segment-keeper.ts";
import { Shares } from "../../services/coordinator/shares.ts";
import { Sweeper } from "../../services/coordinator/sweep.ts";
import { Turns } from "../../services/coordinator/turns.ts";
import { openPersonalMaster } from "../../services/identity/sealing.ts";
import { BUILT_IN_DOCUMENTS } from "../../services/registry/built-in.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { MachineMissing } from "../../services/replay/fold.ts";
import { type TestPlane, startTestPlane } from "../harness/plane.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { JournalWriter, NS } from "../projection/journal.ts";
import { type Alone, alone, encoded, live, replaced, restored, settled, spy } from "./alone.ts";
import { CONTRACTS, TOOLS } from "./office.ts";
import { message, quickly } from "./quickly.ts";

let server: TestServer;
let nc: NatsConnection;
before(async () => {
  server = await startTestServer();
  nc = await server.connect("coordinator", "one");
});
after(() => server?.stop());

const INPUT = { kind: "note", id: "n", text: "x" };
const FAULT = new Error("no answer");
/** One that has started; it is stopped at the end. */
async function started(options: Partial<CoordinatorOptions> = {}): Promise<Alone> {
  const one = alone(nc, options);
  stops.push(() => one.coordinator.stop());
  await one.coordinator.start();
  return one;
}
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  restored();
  for (const stop of stops.splice(0)) await stop();
});

const STOP = live("guard", "stops", { stop: "s1", kind: "stop", scope: "all", by: "op", reason: "it went wild" });

describe("EXEC-8 what a coordinator hears of others", () => {
  it("a document that was put in force, of every kind: by its digest, as the event of this number", async () => {
    const { hear, told } = await started();
    const put = spy(Applied.prototype, "put", () => Promise.resolve());
    const document = sha256Digest("a document");
    for (const kind of DOCUMENT_KINDS) hear(kind, null, live(kind, "one", { document }));
    assert.deepEqual(put.calls(), DOCUMENT_KINDS.map((kind) => [kind, "one", document, 1]));
    assert.deepEqual(told, []);
  });

  it("one that cannot be read, or fetched, is told of; what is no event is passed by", async () => {
    const { hear, told } = await started();
    const put = spy(Applied.prototype, "put", () => Promise.reject(FAULT));
    const event = live("tool", "one", { document: sha256Digest("a document") });
    hear("tool", null, { ...event, subject: "elsewhere" });
    await settled();
    assert.deepEqual([put.count(), told], [0, []]);
    hear("tool", null, event);
    await settled();
    assert.deepEqual(told.splice(0), [{ level: "warn", fields: { subject: event.subject, error: "Error: no answer" } }]);
    hear("tool", null, { ...event, data: Buffer.from("no event") });
    assert.deepEqual([put.count(), told.map(({ level, fields }) => [level, fields["subject"], typeof fields["error"]])], [1, [["warn", event.subject, "string"]]]);
  });

  it("GUARD-9: a stop, at the place that the server stored it at; what was missed before it is read", async () => {
    const { hear, told } = await started();
    let known = true;
    const put = spy(GuardView.prototype, "put", () => known);
    const load = spy(GuardView.prototype, "load", () => Promise.reject(FAULT));
    const places = () => put.calls().map(([event]) => (event as { streamSeq: number; body: { type: string } })).map(({ streamSeq, body }) => [streamSeq, body.type]);
    hear("guard", null, { ...STOP, ...encoded("Nats-Sequence", "7") });
    hear("guard", null, STOP);
    await settled();
    assert.deepEqual([places(), load.count(), told], [[[7, "guard.stopped"], [0, "guard.stopped"]], 0, []]);
    known = false;
    hear("guard", null, STOP);
    await settled();
    assert.equal(load.count(), 1);
    assert.deepEqual(told, [{ level: "warn", fields: { subject: STOP.subject, error: "Error: no answer" } }]);
    hear("guard", null, { ...STOP, data: Buffer.from("no event") });
    assert.deepEqual([put.count(), told.length, told[1]?.level, told[1]?.fields["subject"]], [3, 2, "warn", STOP.subject]);
  });

  it("CORE-5: a change of the table of segments, which is read again", async () => {
    const { hear, told } = await started();
    const fail = spy(Placement.prototype, "refresh", () => Promise.reject(FAULT));
    hear("segments", null);
    await settled();
    assert.deepEqual([fail.count(), told], [1, [{ level: "warn", fields: { error: "Error: no answer" } }]]);
  });

  it("GUARD-9: is an alarm where it may not hear it, but not once it stops", async () => {
    const { hear, told, coordinator, subscriptions } = await started();
    const put = spy(GuardView.prototype, "put");
    hear("guard", FAULT, STOP);
    assert.deepEqual([put.count(), told], [0, [{ level: "error", fields: { alarm: "deaf", kind: "guard", error: "no answer" } }]]);
    assert.deepEqual(subscriptions.map((one) => one.isClosed()), [...DOCUMENT_KINDS, "guard", "segments"].map(() => false));
    await coordinator.stop();
    hear("guard", FAULT, STOP);
    assert.equal(told.length, 1);
    assert.deepEqual(subscriptions.map((one) => one.isClosed()), [...DOCUMENT_KINDS, "guard", "segments"].map(() => true));
  });
});

describe("EXEC-8 a coordinator whose connection was away", () => {
  it("decides nothing until what is in force was read again, and then sweeps", async () => {
    const sweep = spy(Shares.prototype, "sweep", () => undefined);
    const loads = [spy(Applied.prototype, "load"), spy(GuardView.prototype, "load"), spy(Placement.prototype, "refresh"), spy(Personal.prototype, "load")];
    const resume = spy(Turns.prototype, "resume");
    const { coordinator, status } = await started();
    const before = loads.map((one) => one.count());
    assert.equal(coordinator.unready, undefined);
    await status("ping");
    assert.equal(coordinator.unready, undefined);
    await status("disconnect");
    assert.equal(coordinator.unready, "what is in force is being read again");
    assert.deepEqual([loads.map((one) => one.count()), sweep.count()], [before, 0]);
    await status("reconnect");
    await sweep.reached(1);
    assert.deepEqual([loads.map((one, index) => one.count() - (before[index] ?? 0)), resume.count(), coordinator.unready], [[1, 1, 1, 1], 1, undefined]);
  });

  it("tries to read it as long as it cannot, less and less often", async () => {
    const quick = quickly();
    stops.push(() => Promise.resolve(quick.stop()));
    const sweep = spy(Shares.prototype, "sweep", () => undefined);
    const { status, told, coordinator } = await started();
    let left = 22;
    spy(Personal.prototype, "load", () => (left-- > 0 ? Promise.reject(FAULT) : Promise.resolve()));
    await status("disconnect");
    await status("reconnect");
    await sweep.reached(1);
    assert.deepEqual(quick.pauses, [...Array.from({ length: 20 }, (_, n) => 250 * (n + 1)), 5000, 5000]);
    assert.deepEqual([told.length, told[0]], [22, { level: "warn", fields: { error: "Error: no answer" } }]);
    assert.equal(coordinator.unready, undefined);
  });

  it("tries no more once it is stopped, and hears of no connection", async () => {
    const quick = quickly();
    stops.push(() => Promise.resolve(quick.stop()));
    const load = spy(Applied.prototype, "load");
    const { status, coordinator } = await started();
    const hold = spy(Turns.prototype, "hold");
    await coordinator.stop();
    await status("disconnect");
    await status("reconnect");
    assert.deepEqual([load.count(), hold.count()], [1, 0]);
    const other = await started();
    const failing = spy(GuardView.prototype, "load", () => other.coordinator.stop().then(() => Promise.reject(FAULT)));
    await other.status("reconnect");
    await failing.reached(1);
    for (let n = 0; n < 5; n++) await settled();
    assert.deepEqual([failing.count(), other.told.length], [1, 1]);
  });
});

describe("EXEC-8 a coordinator that starts", () => {
  it("says why inputs wait: while it takes over, while it is not certain of its shares, and when it stops", async () => {
    const one = alone(nc);
    const { coordinator, shares } = one;
    assert.equal(coordinator.unready, "it is taking over");
    await coordinator.start();
    assert.equal(coordinator.unready, undefined);
    shares.certain = false;
    assert.match(coordinator.unready ?? "", /^nobody has heard its signs of life/);
    assert.equal(coordinator.owned, shares.owned);
    await coordinator.stop();
    assert.equal(coordinator.unready, "stopping");
  });

  it("stores the documents that it was built with, and reads what it looks after from then on", async () => {
    const put = spy(Documents.prototype, "put");
    const changed = spy(People.prototype, "changed");
    const begun = [spy(LiveRunIndex.prototype, "keep"), spy(SegmentKeeper.prototype, "start")];
    const rest = spy(Desk.prototype, "recordRest");
    const every: { readonly tick: () => void; readonly ms: number; readonly timer: NodeJS.Timeout }[] = [];
    const cleared: unknown[] = [];
    const real = globalThis.setInterval;
    replaced(globalThis, "setInterval", (tick: () => void, ms: number) => {
      const timer = real(() => undefined, ms);
      every.push({ tick, ms, timer });
      return timer;
    });
    const clear = globalThis.clearInterval;
    replaced(globalThis, "clearInterval", (timer: NodeJS.Timeout) => {
      cleared.push(timer);
      clear(timer);
    });
    const { coordinator } = await started();
    assert.deepEqual(put.calls(), BUILT_IN_DOCUMENTS.map(({ bytes }) => [bytes, "application/json"]));
    assert.equal(changed.count(), 1, "once for all persons");
    assert.deepEqual(begun.map((one) => one.count()), [1, 1]);
    const second = every.find(({ ms }) => ms === 1000);
    assert.ok(second !== undefined);
    assert.equal(rest.count(), 0);
    second.tick();
    assert.equal(rest.count(), 1);
    await coordinator.stop();
    assert.ok(cleared.includes(second.timer));
  });

  it("begins nothing when it was stopped while it took over", async () => {
    const one = alone(nc);
    const begun = [spy(LiveRunIndex.prototype, "keep"), spy(SegmentKeeper.prototype, "start")];
    one.shares.begin = () => one.coordinator.stop();
    await one.coordinator.start();
    assert.deepEqual(begun.map((part) => part.count()), [0, 0]);
  });
});

describe("law 3 a coordinator that stops", () => {
  it("stops all that it is made of, and records what was counted, for a second at most", async () => {
    const parts = [Turns, Applied, Sweeper, Personal, LiveRunIndex, SegmentKeeper, GroupCommitter, Shares, Outbox].map(({ prototype }) => spy(prototype, "stop"));
    const closed = spy(Publisher.prototype, "close");
    const { coordinator } = await started();
    replaced(Shares.prototype, "stop", () => Promise.resolve());
    const rest = spy(Desk.prototype, "recordRest", () => new Promise(() => undefined));
    const quick = quickly();
    try {
      await coordinator.stop();
    } finally {
      quick.stop();
    }
    assert.deepEqual([quick.pauses, rest.count()], [[1000], 1]);
    assert.deepEqual(parts.map((one) => one.count()), [1, 1, 1, 1, 1, 1, 1, 0, 1]);
    assert.equal(closed.count(), 1);
  });
});

describe("EXEC-8 what a coordinator is made of", () => {
  const SHARE = shareOf("clerk_1");
  const note = (more: { readonly done?: string[] } = {}) => message(`signalbox.${NS}.part.${SHARE}.propose.clerk.clerk_1`, INPUT, more);
  /** Its desk, by which inputs come in. */
  async function desk(options: Partial<CoordinatorOptions> = {}) {
    const one = await started(options);
    const rest = spy(Desk.prototype, "recordRest");
    await one.coordinator.stop();
    return { ...one, desk: rest.self<Desk>() };
  }

  it("law 6: a refusal is said when the shares are certain, and not before", async () => {
    const reject = spy(Outbox.prototype, "reject", () => Promise.resolve());
    const { desk: own, shares } = await desk();
    const refuse = async () => {
      const done: string[] = [];
      await own.refuse({ message: note({ done }), kind: "propose", actor: "clerk", token: "clerk_1" }, [], undefined);
      return done;
    };
    assert.deepEqual([await refuse(), reject.count()], [["ack"], 1]);
    shares.sure = false;
    assert.deepEqual([await refuse(), reject.count()], [[], 1]);
  });

  it("AUD-3: what comes in is acknowledged as what is personal in it wants it", async () => {
    const careful = spy(Personal.prototype, "careful");
    const { desk: own } = await desk();
    const input = note();
    own.take([input]);
    assert.deepEqual(careful.calls(), [[input]]);
  });

  it("CORE-5: segments are opened when every coordinator knows of them, with the margin that it was told, and looked after by the owner of their table", async () => {
    const refresh = spy(Placement.prototype, "refresh");
    const one = await started({ segments: { marginMs: 7, maxRuns: 1_000_000 } });
    const placement = refresh.self<Placement>();
    assert.deepEqual([placement.leadMs, placement.streams], [14, 2]);
    one.shares.common = "2";
    assert.equal(placement.streams, 1);
    one.shares.common = "4";
    assert.equal(placement.streams, 2);
    await one.coordinator.lookAfterSegments();
    assert.equal(refresh.count(), 1);
    one.shares.owned = new Set([shareOf(TABLE_TOKEN)]);
    await one.coordinator.lookAfterSegments();
    assert.deepEqual([refresh.count(), one.told], [2, []]);
  });

  it("AUD-3: it has the keys of what is personal when it is given what opens them", async () => {
    const start = spy(Personal.prototype, "start");
    await started({ personal: await openPersonalMaster(server.dataDir) });
    assert.notEqual(start.self<Personal>().keys, undefined);
  });

  it("law 3: what is owed is looked for in the run index, or where it is said", async () => {
    const stop = spy(Sweeper.prototype, "stop");
    const index = spy(LiveRunIndex.prototype, "runs");
    const sweeper = async (options: Partial<CoordinatorOptions>) => {
      const { coordinator, told } = alone(nc, options);
      const sweeping = spy(Sweeper.prototype, "sweep");
      replaced(Shares.prototype, "start", function (this: Shares) {
        return Promise.resolve(this.sweep());
      });
      await coordinator.start();
      await sweeping.self<Sweeper>().sweep([SHARE]);
      await coordinator.stop();
      return told;
    };
    assert.deepEqual(await sweeper({}), []);
    const found = index.count();
    assert.ok(found > 0 && stop.count() === 1);
    let asked = 0;
    assert.deepEqual(await sweeper({ liveRuns: () => Promise.resolve((asked += 1) > 0 ? [] : []) }), []);
    assert.deepEqual([asked > 0, index.count()], [true, found]);
  });

  it("EXEC-8: it plays the machines that it was given; a run begins with the newest that all have", async () => {
    const first = spy(LiveRunIndex.prototype, "first");
    const load = spy(Loader.prototype, "load");
    const lacks = spy(Shares.prototype, "lacks", () => undefined);
    const rest = spy(Desk.prototype, "recordRest");
    // its desk shows itself when it records what was counted: a second is long
    const real = globalThis.setInterval;
    replaced(globalThis, "setInterval", (tick: () => void, ms: number) => real(tick, ms === 1000 ? 1 : ms));
    const one = await started({ machines: ["1", "2"] });
    one.shares.common = "2";
    await rest.reached(1);
    const own = rest.self<Desk>();
    own.take([note()]);
    const turns = await turnsOf(one);
    turns.wake();
    await load.reached(1);
    await settled();
    const loader = load.self<Loader>();
    const loaded = await loader.load(new Lane("clerk_2"));
    assert.ok(!(loaded instanceof Error));
    assert.equal(loaded.kind === "run" && loaded.state.machine, "2");
    assert.ok(first.count() > 0);
    const writer = new JournalWriter(nc);
    const run = runId(`clerk_${Date.now()}`);
    await writer.commit("run", run, [{ type: "run.started" }]);
    writer.close();
    const known = await loader.load(new Lane(run));
    assert.ok(!(known instanceof MachineMissing), String(known));
    replaced(Loader.prototype, "load", () => Promise.resolve(new MachineMissing("9")));
    own.take([message(`signalbox.${NS}.part.${shareOf("clerk_3")}.propose.clerk.clerk_3`, INPUT)]);
    turns.wake();
    await lacks.reached(1);
    assert.deepEqual(lacks.calls(), [[shareOf("clerk_3"), "9"]]);
  });

  async function turnsOf({ status }: Alone): Promise<Turns> {
    const resume = spy(Turns.prototype, "resume");
    replaced(Shares.prototype, "sweep", () => undefined);
    await status("reconnect");
    await resume.reached(1);
    return resume.self<Turns>();
  }
});

describe("EXEC-8 a coordinator among others", () => {
  let plane: TestPlane;
  before(async () => {
    plane = await startTestPlane({ server });
    const first = await plane.coordinator();
    await plane.applyValues([TOOLS["t.read"], CONTRACTS.clerk], '@id("all") permit (principal, action, resource);');
    await first.stop();
  });

  it("takes its shares, says which process it is, decides by the judge that it was given, and leaves", async () => {
    const judge = new PolicyJudge();
    const judged = spy(judge, "judge");
    const coordinator = await plane.coordinator({ process: null, judge });
    stops.push(() => coordinator.stop());
    const view = new LeaseView(nc, NS, () => undefined, () => 0);
    await view.load();
    assert.deepEqual([...view.members.values()].filter(({ record }) => record.life === "up").map(({ record }) => record.process), [null]);
    const run = `clerk_${Date.now()}`;
    const clerk = await plane.agent("clerk");
    const begun = await clerk.hear("propose", run, { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" });
    assert.deepEqual(begun.codes, []);
    await clerk.propose(run, { kind: "tool", id: "t", tool: "t.read", input: { text: "x" } }, ({ status }) => status === "approved");
    assert.equal(judged.count(), 1);
    await clerk.nc.close();
  });
});
