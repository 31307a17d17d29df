/** Two coordinators on three servers: each owns half of the inputs, and when a server or one of them dies the other goes on within seconds. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { type ChildCoordinator, childCoordinator } from "../coordinator/children.ts";
import { type Leaseholders, leaseholders, runsInShares } from "../coordinator/owners.ts";
import { until } from "../crash/patience.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";
import { startTestPlane, type TestActor, type TestPlane } from "../harness/plane.ts";

const CONTRACT = { agent: { name: "clerk", owner: "owner", team: "team", purpose: "to think" }, tools: { allowlist: [] } };
const PATIENCE_MS = 60_000;

describe("OPS-2 EXEC-8: two coordinators on a replicated cluster", () => {
  let cluster: TestCluster;
  let plane: TestPlane;
  let clerk: TestActor;
  let leases: Leaseholders;
  let children: ChildCoordinator[];
  const said: string[] = [];
  before(async () => {
    cluster = await startTestCluster();
    plane = await startTestPlane({ server: cluster.server });
    leases = await leaseholders(plane);
    children = await Promise.all([childCoordinator(plane, { elsewhere: true }), childCoordinator(plane, { elsewhere: true })]);
    await leases.until(() => leases.counts().join() === "4,4", "shares are not shared", PATIENCE_MS);
    await plane.applyValues([CONTRACT], '@id("all") permit (principal, action, resource);');
    clerk = await plane.agent("clerk");
  });
  after(async () => {
    await Promise.all((children ?? []).map((child) => child.kill()));
    await plane?.stop();
  });

  const runs = runsInShares("clerk", "c", 1);
  const note = (id: string) => ({ kind: "note", id, text: id });
  const heard = (run: string, id: string) => clerk.answers.find((answer) => answer.run === run && answer.id === id && answer.final);
  /** Sends until it is answered: whoever is not acknowledged sends again. */
  const say = (run: string, body: { id: string; [key: string]: unknown }) =>
    until(
      () => clerk.send("propose", run, body),
      () => Promise.resolve(heard(run, body.id)),
      `${body.id} of ${run}`,
    );
  /** One thought in each share; resolves with how long that took. */
  async function round(name: string): Promise<number> {
    const began = performance.now();
    await Promise.all(runs.map((run) => say(run, note(name))));
    said.push(name);
    return performance.now() - began;
  }

  it("each owns half, and decides the inputs of its runs", async () => {
    await Promise.all(runs.map((run) => say(run, { kind: "start", id: "s", agent: { name: "clerk" }, goal: "to think" })));
    await round("first");
    assert.deepEqual(leases.counts(), [4, 4]);
  });

  it("a server dies, which leads the leases: both go on with what they own, because nobody is heard while nobody can be", async (t) => {
    const leader = await cluster.leaderOf(streamName("LEASES", plane.ns));
    await cluster.kill(leader);
    const took = await round("without-a-server");
    t.diagnostic(`every share answered ${Math.round(took)} ms after the server died`);
    await cluster.restart(leader);
    await leases.until(() => leases.counts().join() === "4,4", "shares are not shared", PATIENCE_MS);
    assert.ok(took < 30_000, `${took} ms`);
  });

  it("a coordinator dies: its shares move within seconds", async (t) => {
    const [dying] = children.splice(0, 1);
    await dying?.kill();
    const took = await round("without-a-coordinator");
    t.diagnostic(`every share answered ${Math.round(took)} ms after a coordinator died`);
    assert.deepEqual(leases.counts(), [8]);
    assert.ok(took < 15_000, `${took} ms`);
  });

  it("another one joins, the first is frozen and wakes up: everything was decided once", async (t) => {
    children.push(await childCoordinator(plane, { elsewhere: true }));
    await leases.until(() => leases.counts().join() === "4,4", "shares are not shared", PATIENCE_MS);
    children[0]?.signal("SIGSTOP");
    const took = await round("without-the-frozen");
    t.diagnostic(`every share answered ${Math.round(took)} ms after a coordinator was frozen`);
    children[0]?.signal("SIGCONT");
    await leases.until(() => leases.counts().join() === "4,4", "shares are not shared", PATIENCE_MS);
    await round("last");
    assert.ok(took < 15_000, `${took} ms`);
    for (const run of runs) {
      const notes = (await plane.events(run)).flatMap(({ body }) => (body.type === "note.recorded" ? [body.cause.id] : []));
      assert.deepEqual(notes, said);
    }
    const reader = new StreamReader(await cluster.connect("coordinator", "check"), streamName("JOURNAL", plane.ns));
    for (const { replay, verify } of await checkAll(reader, plane.ns)) {
      assert.equal(replay.difference, undefined, replay.name);
      assert.equal(verify.fault, undefined, verify.name);
    }
  });
});
