/** Deaths between a commit and its effects, and what the next owner makes of them (EXEC-9, APP-4, law 3). */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { liveRunsOf } from "../../services/coordinator/live-runs.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { streamName } from "../../schemas/subjects.ts";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { faultyLine } from "./line.ts";
import { childCoordinator } from "./children.ts";
import { type Office, dispatchesOf, requestOf, startOffice, types } from "./office.ts";

let office: Office;
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  await coordinator.stop();
});
after(() => office?.stop());

let owner: Coordinator | undefined;
beforeEach(async () => {
  await owner?.stop();
  owner = undefined;
});
const takeOver = async () => (owner = await office.coordinator());

const note = (id: string) => ({ kind: "note", id, text: "x" });
const write = (id: string) => ({ kind: "tool", id, tool: "t.write", input: { text: "x" } });
const at = (type: string, events: string[]) => events.filter((found) => found === type).length;

test("EXEC-9 killed after the commit and before the dispatch: the next owner dispatches", async () => {
  const queue = await dispatchesOf(office, "t.write");
  const { kill } = await childCoordinator(office);
  const agent = await office.agent("clerk");
  const run = "clerk_undispatched";
  await office.begin(agent, run);
  const mend = await office.cutOff("DISPATCH");
  await agent.send("propose", run, write("w"));
  await office.event(run, "action.dispatched");
  await kill();
  await mend();
  assert.equal(queue.found.length, 0);
  await takeOver();
  const dispatch = await queue.next((found) => found.run === run);
  assert.equal(dispatch.attempt, 1);
  // its input had not been acknowledged: the agent is told after all
  assert.equal((await agent.answer(run, ({ id }) => id === "w")).status, "approved");
  assert.equal(at("action.dispatched", types(await office.events(run))), 1);
});

test("EXEC-9 killed after a person's refusal was stored and before the agent was told: the next owner tells it", async () => {
  const { kill } = await childCoordinator(office);
  const agent = await office.agent("asker");
  const approver = await office.approver("ann");
  const run = "asker_untold";
  await office.begin(agent, run);
  await office.ask(agent, run, "w", "t.write", "pending");
  const { request, digest } = requestOf(await office.event(run, "approval.requested"));
  const mend = await office.cutOff("OUT");
  await approver.send("decide", run, { id: "no", request, decision: "refuse", digest, reason: "not today" });
  await office.event(run, "action.denied");
  await kill();
  await mend();
  await takeOver();
  const told = await agent.answer(run, ({ id, status }) => id === "w" && status === "denied");
  assert.deepEqual(told.reasons?.map(({ code }) => code), ["approval.refused"]);
  assert.equal(at("action.denied", types(await office.events(run))), 1);
});

test("EXEC-9 dispatches that the server lost after all was acknowledged are made again by the sweep", async () => {
  const first = await takeOver();
  const agent = await office.agent("clerk");
  const run = "clerk_swept";
  await office.begin(agent, run);
  await office.ask(agent, run, "w", "t.same", "approved");
  // its answer follows the acknowledgement of what came before
  await agent.propose(run, note("n"));
  await first.stop();
  // as after a power cut: DISPATCH is written asynchronously
  const restore = await office.reconfigure("DISPATCH", { max_bytes: 1 });
  await restore();
  const nc = await office.server.connect("coordinator", "look-dispatch");
  assert.equal((await new StreamReader(nc, streamName("DISPATCH", office.ns)).info()).messages, 0);
  const queue = await dispatchesOf(office, "t.same");
  await takeOver();
  assert.equal((await queue.next((found) => found.run === run)).attempt, 1);
});

test("EXEC-9 APP-4 killed after the commit and before the timer was armed: the next owner arms it, and it fires", async () => {
  const { kill } = await childCoordinator(office);
  const agent = await office.agent("hasty");
  const run = "hasty_untimed";
  await office.begin(agent, run);
  const mend = await office.cutOff("TIMERS");
  await agent.send("propose", run, write("w"));
  await office.event(run, "approval.requested");
  await kill();
  await mend();
  await takeOver();
  await office.event(run, "approval.expired");
  assert.equal((await agent.answer(run, ({ id, status }) => id === "w" && status === "denied")).final, true);
});

test("EXEC-9 killed after the commit and before the answer: the agent is told by the next owner", async () => {
  const { kill } = await childCoordinator(office);
  const agent = await office.agent("clerk");
  const run = "clerk_unanswered";
  await office.begin(agent, run);
  const mend = await office.cutOff("OUT");
  await agent.send("propose", run, note("n"));
  await office.event(run, "note.recorded");
  await kill();
  await mend();
  await takeOver();
  assert.equal((await agent.answer(run, ({ id }) => id === "n")).status, "recorded");
  assert.equal(at("note.recorded", types(await office.events(run))), 1);
});

test("EXEC-9 killed in the middle of much: every run of every agent comes out whole", async () => {
  const agent = await office.agent("clerk");
  const runs = Array.from({ length: 10 }, (_, n) => `clerk_much-${n}`);
  const { kill } = await childCoordinator(office);
  for (const run of runs) await agent.send("propose", run, { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" });
  const sent = (async () => {
    for (let n = 0; n < 10; n++) for (const run of runs) await agent.send("propose", run, n % 2 === 0 ? note(`${n}`) : write(`${n}`));
  })();
  await office.event(runs[0] as string, "note.recorded");
  await kill();
  await sent;
  await takeOver();
  for (const run of runs) {
    for (let n = 0; n < 10; n++) await agent.answer(run, ({ id }) => id === `${n}`);
    const events = types(await office.events(run));
    assert.deepEqual([at("note.recorded", events), at("action.dispatched", events)], [5, 5]);
  }
});

test("APP-4 EXEC-9 timers fire after server and coordinator were killed: approval, retry, wall time", async () => {
  const { kill } = await childCoordinator(office);
  const [hasty, clerk, sprinter] = [await office.agent("hasty"), await office.agent("clerk"), await office.agent("sprinter")];
  const gateway = await office.gateway("gw-restart");
  await office.begin(clerk, "clerk_retry");
  const { action } = await office.ask(clerk, "clerk_retry", "r", "t.read", "approved");
  await office.begin(hasty, "hasty_expiry");
  await office.ask(hasty, "hasty_expiry", "w", "t.write", "pending");
  await office.begin(sprinter, "sprinter_wall");
  const error = { code: "tool.timeout", message: "no answer", effect: "unknown" };
  await gateway.report("clerk_retry", { action: action as string, status: "failed", error });
  await office.server.kill();
  await kill();
  await office.server.restart();
  await takeOver();
  await office.event("clerk_retry", "action.dispatched", ({ body }) => body.data["attempt"] === 2);
  await office.event("hasty_expiry", "approval.expired");
  const failed = await office.event("sprinter_wall", "run.failed");
  assert.equal((failed.body.data["error"] as { code: string }).code, "budget.wall");
});

/** CONTROL inputs are held back until `release`; `due` resolves when a timer of this run has been read. */
function timersFirst(nc: NatsConnection, run: string) {
  let read: () => void = () => undefined;
  let release: () => void = () => undefined;
  const due = new Promise<void>((resolve) => (read = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  const line = faultyLine(nc, {
    hears: ({ subject, reply, data }) => {
      if (subject.includes(".due.") && subject.endsWith(run)) read();
      return reply?.startsWith("$JS.ACK.CONTROL_") === true && data.length > 0 ? released : true;
    },
  });
  return { line, due, release };
}

test("APP-4 an approval that was stored in time wins, although its timer is read first", async () => {
  const run = "hasty_in-time";
  const { line, due, release } = timersFirst(await office.server.connect("coordinator", "timers-first"), run);
  owner = await office.coordinator({ nc: line });
  const [agent, clerk, ann] = [await office.agent("hasty"), await office.agent("clerk"), await office.approver("ann")];
  await office.begin(agent, run);
  await office.begin(clerk, "clerk_meanwhile");
  await office.ask(agent, run, "w", "t.write", "pending");
  const asked = requestOf(await office.event(run, "approval.requested"));
  await ann.send("decide", run, { id: "d", decision: "approve", ...asked });
  await due;
  // whatever would be done with the timer alone has been done when two others have been answered
  for (const id of ["one", "two"]) await clerk.propose("clerk_meanwhile", note(id));
  release();
  await office.event(run, "action.dispatched");
  assert.equal((await agent.propose(run, note("after"))).status, "recorded");
  const events = types(await office.events(run));
  assert.equal(at("approval.expired", events), 0);
  assert.equal(at("approval.granted", events), 1);
});

test("EXEC-9 a run that was ended with an action in flight is swept; one that owes nothing is not", async () => {
  await takeOver();
  const agent = await office.agent("clerk");
  const operator = await office.operator();
  const gateway = await office.gateway("gw-live");
  const live = async () => {
    const nc = await office.server.connect("coordinator", `look-${Math.random().toString(36).slice(2, 8)}`);
    return liveRunsOf(new StreamReader(nc, streamName("JOURNAL", office.ns)), office.ns);
  };
  for (const run of ["clerk_flying", "clerk_landed"]) {
    await office.begin(agent, run);
    const { action } = await office.ask(agent, run, "one", "t.write", "approved");
    await office.ask(agent, run, "two", "t.write", "approved");
    if (run === "clerk_flying") await gateway.claim(run, action as string);
    await operator.send("control", run, { verb: "cancel", id: "c" });
    await office.event(run, "action.failed");
  }
  const runs = (await live()) as string[];
  assert.ok(runs.includes("clerk_flying"));
  assert.ok(!runs.includes("clerk_landed"));
});

test("OPS-4 the coordinator is stopped in the middle of a batch: what was undecided stays, and nothing is doubled", async () => {
  const agent = await office.agent("clerk");
  const run = "clerk_stopped";
  const first = await takeOver();
  await office.begin(agent, run);
  const sent = Array.from({ length: 50 }, (_, n) => agent.send("propose", run, note(`n${n}`)));
  await office.event(run, "note.recorded");
  await first.stop();
  await Promise.all(sent);
  await takeOver();
  for (let n = 0; n < 50; n++) await agent.answer(run, ({ id }) => id === `n${n}`);
  assert.equal(at("note.recorded", types(await office.events(run))), 50);
});
