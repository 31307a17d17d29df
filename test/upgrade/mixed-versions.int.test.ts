/**
 * An upgrade, and its taking back, while runs are live: coordinators of two releases beside each other. The older one is
 * this program without the newest machines, which it must not touch and must not stand in the way of.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MACHINE_VERSIONS } from "../../machines/versions.ts";
import { SHARES, patterns, shareOf, streamName } from "../../schemas/subjects.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { type Office, startOffice } from "../coordinator/office.ts";
import { type TestActor, withPatience } from "../harness/plane.ts";

const NEW = MACHINE_VERSIONS;
const OLD = MACHINE_VERSIONS.slice(0, -1);
const [OLDEST_NEW, NEWEST] = [OLD.at(-1), NEW.at(-1)];
/** More than a coordinator takes in hand of one share. */
const FLOOD = 5_400;

describe("law 5, EXEC-8: coordinators of two releases", () => {
  let office: Office;
  const agents = new Map<string, TestActor>();
  const up = new Set<Coordinator>();

  before(async () => {
    office = await startOffice({ coordinator: false });
  });
  after(() => office?.stop());

  const begin = async (machines: readonly string[]): Promise<Coordinator> => {
    const coordinator = await office.coordinator({ machines });
    up.add(coordinator);
    return coordinator;
  };
  const end = async (coordinator: Coordinator): Promise<void> => {
    up.delete(coordinator);
    await coordinator.stop();
  };
  const agentOf = (run: string): TestActor => agents.get(run.slice(0, run.indexOf("_"))) as TestActor;
  const note = (run: string, id: string) => agentOf(run).propose(run, { kind: "note", id: id.replaceAll(" ", "-"), text: id });
  const machineOf = async (run: string): Promise<string[]> => [...new Set((await office.events(run)).map(({ body }) => body.machine))];
  const each = <T>(runs: readonly string[], does: (run: string) => Promise<T>): Promise<T[]> => Promise.all(runs.map(does));
  /** Runs of one agent, at least one in each share. */
  const runsOf = (prefix: string, agent = "clerk"): string[] => {
    const runs: string[] = [];
    for (let share = 0, n = 0; share < SHARES; n++) if (shareOf(`${agent}_${prefix}${n}`) === share) runs.push(`${agent}_${prefix}${(share += 1, n)}`);
    return runs;
  };
  /** Runs of one agent, all in the first share. */
  const crowdOf = (agent: string, count: number): string[] => Array.from({ length: SHARES * count * 10 }, (_, n) => `${agent}_newest${n}`).filter((run) => shareOf(run) === 0).slice(0, count);
  const started = async (runs: readonly string[]): Promise<void> => void (await each(runs, (run) => office.begin(agentOf(run), run)));
  /** Until every share is owned by somebody who is up, and by whom it should be. Ownership moves by itself, and tells no test. */
  const owned = async (fits: (coordinator: Coordinator) => boolean, what: string): Promise<void> => {
    const shared = async () => {
      for (;;) {
        const shares = [...up].flatMap((coordinator) => (fits(coordinator) ? [...coordinator.owned] : []));
        if (new Set(shares).size === SHARES) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await withPatience(shared(), () => `${what}: ${JSON.stringify([...up].map((one) => [...one.owned]))}`);
  };

  it("roll an upgrade out and back: runs begin with what all of them know, stay with who knows them, and nothing stalls", async () => {
    const first = await begin(OLD);
    const second = await begin(OLD);
    await office.applyDefaults();
    for (const name of ["clerk", "stranger"]) agents.set(name, await office.agent(name));
    const before = runsOf("before");
    await started(before);
    for (const run of before) assert.deepEqual(await machineOf(run), [OLDEST_NEW]);

    // out: while one of them lacks the newest version, no run begins with it
    const third = await begin(NEW);
    await owned(() => true, "three share the work");
    const during = runsOf("during");
    await started(during);
    for (const run of during) assert.deepEqual(await machineOf(run), [OLDEST_NEW]);
    await end(first);
    const fourth = await begin(NEW);
    await each(before, (run) => note(run, "between"));
    await end(second);
    await owned(() => true, "two of the new release share the work");
    const crowd = ["clerk", "stranger"].flatMap((agent) => crowdOf(agent, 3));
    const newest = [...new Set([...runsOf("newest"), ...crowd])];
    await started(newest);
    await office.applyValues([{ name: "u.later", description: "of the tests", effect: "read", adapter: "nats", timeout_ms: 1000, input: { type: "object" }, output: { type: "object" } }]);
    for (const run of newest) assert.deepEqual(await machineOf(run), [NEWEST]);
    await each([...before, ...during, ...newest], (run) => note(run, "after"));

    // back: whoever lacks the newest version begins no run with it, finds that it drives none, and takes no input of one
    const back = await begin(OLD);
    await each(newest, (run) => note(run, "while both are up"));
    await owned((coordinator) => coordinator !== back, "every share has a run that the older release lacks");
    assert.equal(back.unready, undefined, "one that watches is ready");
    const late = runsOf("late");
    await started(late);
    for (const run of late) assert.deepEqual(await machineOf(run), [OLDEST_NEW]);
    await each([...before, ...newest], (run) => note(run, "beside"));

    // none is left that knows them: they wait, and everybody else goes on
    await end(third);
    await end(fourth);
    await owned(() => true, "the older release has all shares");
    const flood = Array.from({ length: FLOOD }, (_, n) => ({ run: crowd[n % crowd.length] as string, id: `waits-${n}` }));
    for (let at = 0; at < flood.length; at += 500) {
      await Promise.all(flood.slice(at, at + 500).map(({ run, id }) => agentOf(run).send("propose", run, { kind: "note", id, text: id })));
    }
    const beside = [...before, ...during, ...late].filter((run) => shareOf(run) === 0);
    assert.ok(beside.length >= 3);
    await each(beside, (run) => note(run, "past those that wait"));
    const waiting = runsOf("waiting");
    await started(waiting);
    const seen = await office.events(crowd[0] as string);
    assert.ok(!seen.some(({ body }) => JSON.stringify(body.cause).includes("waits-")), "somebody who lacks the version decided");

    // and out again: what waited is decided, in order and once
    const last = await begin(NEW);
    await each(crowd, (run) => note(run, "last"));
    await end(back);
    await each([...newest, ...late, ...waiting], (run) => note(run, "end"));
    const decided = (await each(crowd, (run) => office.events(run))).flat().filter(({ body }) => body.cause.id.startsWith("waits-")).map(({ body }) => `${body.run} ${body.cause.id}`);
    assert.deepEqual(decided.toSorted(), flood.map(({ run, id }) => `${run} ${id}`).toSorted(), "each input was decided once");
    for (const agent of agents.values()) assert.deepEqual(agent.rejections, []);

    const reader = new StreamReader(await office.server.connect("coordinator", "check"), streamName("JOURNAL", office.ns));
    const checked = await checkAll(reader, office.ns);
    for (const { replay, verify } of checked) {
      assert.equal(replay.difference, undefined, `${replay.name}: ${JSON.stringify(replay.difference)}`);
      assert.equal(verify.fault, undefined, verify.name);
    }
    // applied while all were of the new release, and read by the one that was taken back to
    const documents: string[] = [];
    for await (const message of reader.read({ subject: patterns.logOfKind(office.ns, "tool") })) documents.push(decodeEvent(message).body.machine);
    assert.deepEqual([...new Set(documents)], ["2"]);
    for (const run of [...before, ...during, ...newest, ...late, ...waiting]) assert.equal((await machineOf(run)).length, 1, `${run} changed its machines`);
    await end(last);
  });
});
