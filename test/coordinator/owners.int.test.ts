/** Several coordinators of one namespace share its inputs: each share has one owner, and moves within seconds (EXEC-8). */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import { SHARES, shareOf, streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { withPatience } from "../harness/plane.ts";
import { type ChildCoordinator, childCoordinator } from "./children.ts";
import { type Leaseholders, leaseholders, runsInShares } from "./owners.ts";
import { type Office, dispatchesOf, requestOf, startOffice, types } from "./office.ts";

let office: Office;
let leases: Leaseholders;
let queue: Awaited<ReturnType<typeof dispatchesOf>>;
const running: Coordinator[] = [];
const children: ChildCoordinator[] = [];
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  await coordinator.stop();
  leases = await leaseholders(office);
  queue = await dispatchesOf(office, "t.same");
});
after(() => office?.stop());
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await Promise.all(running.splice(0).map((one) => one.stop()));
});

async function owner(more: Parameters<Office["coordinator"]>[0] = {}): Promise<Coordinator> {
  const coordinator = await office.coordinator(more);
  running.push(coordinator);
  return coordinator;
}
async function child(options: Parameters<typeof childCoordinator>[1] = {}): Promise<ChildCoordinator> {
  const one = await childCoordinator(office, options);
  children.push(one);
  return one;
}
const shared = (...counts: number[]) =>
  leases.until(() => JSON.stringify(leases.counts()) === JSON.stringify(counts), `shares are not owned as ${counts.join()}`);
const note = (id: string) => ({ kind: "note", id, text: `thought ${id}` });
const notes = async (run: string) => (await office.events(run)).flatMap(({ body }) => (body.type === "note.recorded" ? [body.cause.id] : []));
const count = async (run: string, type: string) => types(await office.events(run)).filter((found) => found === type).length;

async function everythingReplays(): Promise<void> {
  const reader = new StreamReader(await office.server.connect("coordinator", `check-${Math.random().toString(36).slice(2, 8)}`), streamName("JOURNAL", office.ns));
  for (const { replay, verify } of await checkAll(reader, office.ns)) {
    assert.equal(replay.difference, undefined, replay.name);
    assert.equal(verify.fault, undefined, verify.name);
  }
}

test("EXEC-8 shares are owned by one coordinator at a time, as many by each, and handed over when one joins or leaves", async () => {
  const one = await owner();
  assert.equal(one.owned.size, SHARES);
  const two = await owner();
  await shared(4, 4);
  await owner();
  await shared(3, 3, 2);
  await two.stop();
  // what is let go of needs nobody's silence
  const took = await shared(4, 4);
  assert.ok(took < 2000, `${took} ms`);
  await one.stop();
  await shared(SHARES);
});

test("EXEC-8 with more coordinators than shares the youngest watches, and takes over what is free", async () => {
  const many: Coordinator[] = [];
  for (let n = 0; n <= SHARES; n++) many.push(await owner());
  await shared(...Array<number>(SHARES).fill(1));
  assert.equal(many.at(-1)?.owned.size, 0);
  const before = new Set(leases.owners());
  await many[3]?.stop();
  await leases.until(() => leases.owners().some((name) => name !== undefined && !before.has(name)), "nobody takes it over");
  await shared(...Array<number>(SHARES).fill(1));
});

for (const coordinators of [2, 3]) {
  test(`EXEC-8 CORE-5 with ${coordinators} coordinators each input is decided once, and has its effects once, while shares are handed over`, async () => {
    for (let n = 1; n < coordinators; n++) await owner();
    const agent = await office.agent("clerk");
    const gateway = await office.gateway(`gw-${coordinators}`);
    const runs = runsInShares("clerk", `share-${coordinators}`, 3);
    await Promise.all(runs.map((run) => office.begin(agent, run)));
    const ids = Array.from({ length: 12 }, (_, n) => `n${n}`);
    const work = Promise.all(
      runs.map(async (run) => {
        for (const id of ids) await agent.propose(run, note(id));
        const { action } = await office.ask(agent, run, "w", "t.same", "approved");
        await gateway.claim(run, action as string);
        await gateway.report(run, { action: action as string, status: "succeeded", output: {} });
        assert.equal((await agent.propose(run, { kind: "finish", id: "f" })).status, "completed");
      }),
    );
    // the last one joins, and the first one leaves, in the middle of it
    await owner();
    await running.shift()?.stop();
    await owner();
    await withPatience(work, "the work does not end", 60_000);
    for (const run of runs) {
      assert.deepEqual((await notes(run)).sort(), ids.toSorted());
      assert.deepEqual([await count(run, "action.dispatched"), await count(run, "action.started"), await count(run, "action.succeeded")], [1, 1, 1]);
      assert.ok(queue.found.some((dispatch) => dispatch.run === run));
    }
    // nothing was turned away: every coordinator knew what the one before it had stored
    assert.deepEqual(agent.rejections.filter(({ run }) => runs.includes(run)), []);
    await everythingReplays();
  });
}

test("EXEC-8 APP-4 approvals and timers are the owner's of their run, whoever that is by then", async () => {
  await owner();
  const [asker, hasty, ann] = [await office.agent("asker"), await office.agent("hasty"), await office.approver("ann")];
  const waiting = runsInShares("asker", "waits", 1);
  const ending = runsInShares("hasty", "ends", 1);
  await Promise.all(waiting.map(async (run) => (await office.begin(asker, run), await office.ask(asker, run, "w", "t.write", "pending"))));
  await Promise.all(ending.map(async (run) => (await office.begin(hasty, run), await office.ask(hasty, run, "w", "t.write", "pending"))));
  await owner();
  await shared(4, 4);
  await Promise.all(
    waiting.map(async (run) => {
      const asked = requestOf(await office.event(run, "approval.requested"));
      await ann.send("decide", run, { id: "d", decision: "approve", ...asked });
      await office.event(run, "action.dispatched");
    }),
  );
  await Promise.all(ending.map((run) => office.event(run, "approval.expired")));
  for (const run of waiting) assert.deepEqual([await count(run, "approval.granted"), await count(run, "approval.expired")], [1, 0]);
  for (const run of ending) assert.equal(await count(run, "approval.expired"), 1);
});

for (const [where, elsewhere, bound] of [
  ["on this machine, where it is seen that its process is gone", false, 5_000],
  ["as on another machine, where its silence is all there is", true, 10_000],
] as const) {
  test(`EXEC-8 a coordinator is killed ${where}: its shares move within ${bound / 1000} s, and nothing is lost or doubled`, async (t) => {
    await owner();
    const dying = await child({ elsewhere });
    await shared(4, 4);
    const survivor = running[0] as Coordinator;
    const agent = await office.agent("clerk");
    const runs = runsInShares("clerk", `killed-${bound}`, 2);
    await Promise.all(runs.map((run) => office.begin(agent, run)));
    const theirs = runs.filter((run) => !survivor.owned.has(shareOf(run)));
    assert.ok(theirs.length >= 4);
    const sent = Promise.all(runs.flatMap((run) => ["a", "b", "c"].map((id) => agent.propose(run, note(id)))));
    await agent.answer(theirs[0] as string, ({ id }) => id === "a");
    const killed = performance.now();
    await dying.kill();
    const probes = Promise.all(theirs.map((run) => agent.propose(run, note("after"))));
    await shared(SHARES);
    const moved = performance.now() - killed;
    await probes;
    const answered = performance.now() - killed;
    await sent;
    t.diagnostic(`shares moved after ${Math.round(moved)} ms, all of their runs were answered after ${Math.round(answered)} ms`);
    assert.ok(answered < bound, `${answered} ms`);
    for (const run of runs) assert.deepEqual((await notes(run)).sort(), ["a", "after", "b", "c"].filter((id) => id !== "after" || theirs.includes(run)));
    await everythingReplays();
  });
}

test("EXEC-8 EXEC-9 a coordinator that was frozen beyond its lease decides, says and acknowledges nothing when it wakes, and comes back as another", async () => {
  const frozen = await child();
  const agent = await office.agent("clerk");
  const runs = runsInShares("clerk", "frozen", 1);
  await Promise.all(runs.map((run) => office.begin(agent, run)));
  const before = leases.owners();
  // inputs are in its hands, decided and not answered, when it stops where it stands
  const mend = await office.cutOff("OUT");
  await Promise.all(runs.map((run) => agent.send("propose", run, note("held"))));
  await Promise.all(runs.map((run) => office.event(run, "note.recorded")));
  frozen.signal("SIGSTOP");
  await Promise.all(runs.map((run) => agent.send("propose", run, note("waiting"))));
  await owner();
  await leases.until(() => leases.owners().every((name) => name !== undefined && !before.includes(name)), "its shares are nobody's");
  await mend();
  await Promise.all(runs.flatMap((run) => ["held", "waiting"].map((id) => agent.answer(run, (answer) => answer.id === id))));
  await Promise.all(runs.map((run) => agent.propose(run, { kind: "finish", id: "f" })));
  frozen.signal("SIGCONT");
  // it owns its part again under another name, and knows that these runs have ended
  await shared(4, 4);
  assert.equal(leases.owners().some((name) => before.includes(name)), false);
  const late = await Promise.all(runs.map((run) => agent.hear("propose", run, note("late"))));
  for (const { codes } of late) assert.deepEqual(codes, ["run.ended"]);
  for (const run of runs) assert.deepEqual((await notes(run)).sort(), ["held", "waiting"]);
  assert.equal(agent.rejections.filter(({ run, id }) => runs.includes(run) && id !== "late").length, 0);
  await everythingReplays();
});
