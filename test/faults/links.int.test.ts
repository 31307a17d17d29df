/** One role at a time on a bad network: slow, silent, broken. What was acknowledged stands, and nothing is done twice. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { runId } from "../../schemas/ids.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { Timers } from "../../services/bus/timers.ts";
import type { Outcome, Run, WaitOptions } from "../../services/client/index.ts";
import { withPatience } from "../harness/plane.ts";
import { type Link, type LinkOptions, openLink } from "./link.ts";
import { type LogEntry, type Office, TOOL_TIMEOUT_MS, holds, openOffice, write } from "./office.ts";

/** One way: a question and its answer take twice this. */
const SLOW: LinkOptions = { latencyMs: 100, bytesPerSecond: 256 * 1024 };
/** Wider than anything here should take on a busy machine. */
const LONG_MS = 30_000;
/** Within seconds: a takeover that waits for a dead link to be noticed takes more than ten. */
const TAKEOVER_MS = 10_000;

describe("links between a role and the server", { timeout: 120_000 }, () => {
  let office: Office;
  const links: Link[] = [];
  const stops: (() => Promise<void>)[] = [];
  before(async () => (office = await openOffice()));
  afterEach(async () => {
    for (const link of links.splice(0)) link.reset();
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(() => office.stop());

  const link = async (options: LinkOptions = {}) => {
    const opened = await openLink(office.plane.server.url, options);
    links.push(opened);
    stops.push(() => opened.close());
    return opened;
  };
  const coordinator = async (url?: string, onLog?: (entry: LogEntry) => void) => {
    const stop = await office.coordinator({ ...(url !== undefined && { url }), ...(onLog !== undefined && { onLog }) });
    stops.push(stop);
    return stop;
  };
  const gateway = async (name: string, url?: string) => {
    const stop = await office.gateway(name, url);
    stops.push(stop);
    return stop;
  };
  const begin = async (id: string, url?: string): Promise<Run> => {
    const box = await office.clerk(url);
    stops.push(() => box.close());
    return box.agent().start({ goal: "to get through", id, principal: office.token(`clerk_${id}`) }, { timeoutMs: LONG_MS });
  };
  const propose = (run: Run, tool: string, input: ReturnType<typeof write>, wait: WaitOptions = {}): Promise<Outcome> =>
    run.propose({ tool, input: { ...input }, id: input.step }, { timeoutMs: LONG_MS, ...wait });
  const typesOf = async (run: string) => (await office.plane.events(run)).map(({ body }) => body.type);
  const count = (types: readonly string[], type: string) => types.filter((one) => one === type).length;
  const called = (run: string, step: string) =>
    holds(() => office.ledger.callsOf(run).some((call) => call.step === step), `\`${step}\` of \`${run}\` was never called`);
  const calls = (run: string, step: string) => office.ledger.callsOf(run).filter((call) => call.step === step).length;
  const event = (run: string, type: string, fits?: (event: JournalEvent) => boolean) => office.plane.event(run, type, fits);

  for (const role of ["coordinator", "gateway", "agent"] as const) {
    test(`CORE-5 CORE-6: 200 ms there and back, and a narrow line, between the server and ${role === "agent" ? "an" : "a"} ${role}: slower, and all the same`, async () => {
      const slow = await link(SLOW);
      await coordinator(role === "coordinator" ? slow.url : undefined);
      await gateway(`g-${role}`, role === "gateway" ? slow.url : undefined);
      const run = await begin(`slow-${role}`, role === "agent" ? slow.url : undefined);
      const outcomes = await Promise.all([
        propose(run, "c.read", write("read")),
        propose(run, "c.write", write("write")),
        propose(run, "c.same", write("same")),
      ]);
      assert.deepEqual(outcomes.map(({ status }) => status), ["succeeded", "succeeded", "succeeded"]);
      assert.equal((await run.finish({ done: true })).status, "completed");
      for (const step of ["write", "same"]) assert.equal(office.ledger.effects(run.id, step), 1, step);
      assert.equal(calls(run.id, "write"), 1);
      await office.assertSound(run.id);
    });
  }

  test("OPS-2 CORE-5 law 1: a coordinator is cut off silently with a commit on the way: the other takes over within seconds, and the late commit finds its place taken", async (t) => {
    const line = await link();
    const heard: LogEntry[] = [];
    await coordinator(line.url, (entry) => heard.push(entry));
    await gateway("g-taken");
    const runs = await Promise.all([1, 2, 3, 4].map((n) => begin(`cut-${n}`)));
    // it still hears what comes in, and decides it; what it says is not heard any more
    line.silence("up");
    const outcomes = runs.map((run) => propose(run, "c.write", write("once")));
    await withPatience(line.keeps("up", 1_000), "the first coordinator decided nothing");
    // the other one, which has been waiting or is started now
    const began = performance.now();
    await coordinator();
    await Promise.all(runs.map((run) => event(run.id, "action.proposed")));
    const tookOver = performance.now() - began;
    t.diagnostic(`the other had stored every waiting input ${Math.round(tookOver)} ms after it was started`);
    assert.ok(tookOver < TAKEOVER_MS);
    assert.deepEqual((await Promise.all(outcomes)).map(({ status }) => status), ["succeeded", "succeeded", "succeeded", "succeeded"]);

    const before = await Promise.all(runs.map((run) => office.plane.events(run.id)));
    const refused = line.passed("down", (text) => text.includes("wrong last sequence"));
    line.heal();
    await withPatience(refused, "the server did not refuse the late commit", LONG_MS);
    // both are there now, and work goes on
    for (const run of runs) assert.equal((await propose(run, "c.same", write("after"))).status, "succeeded");
    for (const [index, run] of runs.entries()) {
      const events = await office.plane.events(run.id);
      const stored = before[index] ?? [];
      assert.deepEqual(events.slice(0, stored.length).map(({ data }) => Buffer.from(data)), stored.map(({ data }) => Buffer.from(data)));
      assert.equal(calls(run.id, "once"), 1);
      assert.equal(office.ledger.effects(run.id, "after"), 1);
      assert.equal(count(events.map(({ body }) => body.type), "action.proposed"), 2);
      await office.assertSound(run.id);
    }
  });

  test("OPS-2 CORE-5: of two coordinators at work one falls silent, again and again: the other goes on, and the first finds its way back", async (t) => {
    const line = await link();
    await coordinator(line.url);
    await coordinator();
    await gateway("g-both");
    const runs = await Promise.all([1, 2, 3].map((n) => begin(`two-${n}`)));
    const rounds = ["heal", "reset", "heal", "reset"] as const;
    const took: number[] = [];
    for (const [round, back] of rounds.entries()) {
      line.silence();
      const began = performance.now();
      const during = await Promise.all(runs.map((run) => propose(run, "c.write", write(`during-${round}`))));
      took.push(Math.round(performance.now() - began));
      assert.deepEqual(during.map(({ status }) => status), ["succeeded", "succeeded", "succeeded"]);
      line[back]();
      const later = await Promise.all(runs.map((run) => propose(run, "c.write", write(`after-${round}`))));
      assert.deepEqual(later.map(({ status }) => status), ["succeeded", "succeeded", "succeeded"]);
    }
    t.diagnostic(`three actions were done within ${took.join(", ")} ms of a cut`);
    assert.ok(Math.max(...took) < TAKEOVER_MS + TOOL_TIMEOUT_MS);
    for (const run of runs) {
      const types = await typesOf(run.id);
      assert.equal(count(types, "action.succeeded"), 2 * rounds.length);
      for (const round of rounds.keys()) for (const step of [`during-${round}`, `after-${round}`]) assert.equal(calls(run.id, step), 1, step);
      await office.assertSound(run.id);
    }
  });

  test("EXEC-6 law 3: a timer that an owner of yesterday arms late takes the place of the newer one only until it fires", async () => {
    await coordinator();
    const { plane } = office;
    const agent = await plane.agent("asker");
    await agent.propose("asker_1", { kind: "start", id: "start", agent: { name: "asker" }, goal: "to be answered" });
    await agent.send("propose", "asker_1", { kind: "tool", id: "w", tool: "c.write", input: write("never") });
    const asked = await event("asker_1", "approval.requested");
    const timer = `approval:${String(asked.body.data["request"])}`;
    const late = new Publisher(await plane.server.connect("coordinator", "late"));
    // what a coordinator sends that was cut off with it, for a commit before this one
    await new Timers(late, plane.ns).arm(runId("asker_1"), timer, 0, { timer, armed: 1 });
    await event("asker_1", "approval.expired");
    await office.assertSound("asker_1");
  });

  test("EXEC-7 law 9: a gateway is cut off while its tool works, for a while: what the tool said is reported when the link is back", async () => {
    const line = await link();
    await coordinator();
    await gateway("g-short", line.url);
    const run = await begin("short");
    const outcome = propose(run, "c.write", write("once", ["ok"], 200));
    await called(run.id, "once");
    line.silence();
    // the tool's word is on the way
    await withPatience(line.keeps("down", 1), "the tool said nothing");
    line.heal();
    assert.equal((await outcome).status, "succeeded");
    assert.equal(calls(run.id, "once"), 1);
    await office.assertSound(run.id);
  });

  test("EXEC-7 law 9: a gateway is cut off for good after its claim was granted: the write is in doubt, another gateway does not repeat it, and the link's return changes nothing", async () => {
    const line = await link();
    await coordinator();
    await gateway("g-long", line.url);
    const run = await begin("long");
    void propose(run, "c.write", write("once", ["ok"], 400), { wait: "verdict" });
    await called(run.id, "once");
    line.silence();
    // its dispatch comes to this one, when nobody acknowledges it
    const other = await gateway("g-other");
    await event(run.id, "action.in_doubt");
    assert.equal((await propose(run, "c.write", write("another"))).status, "succeeded");
    await other();
    line.reset();
    // now the first is the only one: that it takes work shows that it is back
    assert.equal((await propose(run, "c.write", write("after"))).status, "succeeded");
    assert.equal((await propose(run, "c.write", write("once", ["ok"], 400), { wait: "verdict" })).status, "in_doubt");
    assert.equal(count(await typesOf(run.id), "action.retrying"), 0);
    for (const step of ["once", "another", "after"]) assert.equal(calls(run.id, step), 1, step);
    await office.assertSound(run.id);
  });

  test("EXEC-7 law 9: a grant that comes after its time is not acted on, and its holder says so", async () => {
    const line = await link();
    await coordinator();
    await gateway("g-late", line.url);
    const run = await begin("late");
    // it hears its dispatch and asks; it does not hear the answer
    const claimed = line.passed("up", (text) => text.includes("started"));
    void propose(run, "c.write", write("once"), { wait: "verdict" });
    await withPatience(claimed, "nobody claimed");
    line.silence("down");
    await event(run.id, "action.in_doubt");
    assert.equal(calls(run.id, "once"), 0);
    line.heal();
    // who holds the claim says that nothing was begun: the doubt is over, and a new attempt may be made
    const { body } = await event(run.id, "action.retrying");
    assert.equal((body.data["error"] as { code: string }).code, "claim.late");
    await event(run.id, "action.succeeded");
    assert.deepEqual(office.ledger.callsOf(run.id).map(({ attempt }) => attempt), [2]);
    await office.assertSound(run.id);
  });

  test("CORE-2: an agent that was cut off hears how it stands by asking the same again, whether its question or the answer was lost", async () => {
    const line = await link();
    await coordinator();
    await gateway("g-agent");
    const run = await begin("agent", line.url);
    // the answer is lost
    const answered = propose(run, "c.write", write("answer", ["ok"], 100));
    await called(run.id, "answer");
    line.silence();
    await event(run.id, "action.succeeded");
    line.reset();
    assert.equal((await answered).status, "succeeded");
    // the question is lost
    line.silence("up");
    const asked = propose(run, "c.write", write("question"));
    await withPatience(line.keeps("up", 100), "nothing was asked");
    line.reset();
    assert.equal((await asked).status, "succeeded");
    // the question is late, and asked a second time meanwhile
    line.silence("up");
    const first = propose(run, "c.write", write("late"));
    const second = propose(run, "c.write", write("late"));
    await withPatience(line.keeps("up", 200), "nothing was asked");
    line.heal();
    assert.deepEqual([(await first).status, (await second).status], ["succeeded", "succeeded"]);
    for (const step of ["answer", "question", "late"]) assert.equal(calls(run.id, step), 1, step);
    await office.assertSound(run.id);
  });
});
