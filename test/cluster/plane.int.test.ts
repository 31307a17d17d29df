/** The whole plane on three servers, with two processes of services: any one of the five may die, and nothing is lost or doubled. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Answer } from "../../schemas/answer.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { Supervisor } from "../crash/children.ts";
import { Ledger, outputOf, serveTools, toolDocuments } from "../crash/tools.ts";
import { stubborn, until } from "../crash/patience.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";
import { startTestPlane, type TestActor, type TestPlane } from "../harness/plane.ts";

const RUNS = 12;
const STEPS = 5;
const CONTRACT = {
  agent: { name: "clerk", owner: "owner", team: "team", purpose: "to go on" },
  tools: { allowlist: [{ name: "c.read" }, { name: "c.write" }, { name: "c.same" }] },
};

describe("OPS-2: a plane on a replicated cluster", () => {
  let cluster: TestCluster;
  let plane: TestPlane;
  let clerk: TestActor;
  let operator: TestActor;
  const ledger = new Ledger();
  const services: Supervisor[] = [];
  const heard = new Map<string, Answer[]>();

  before(async () => {
    cluster = await startTestCluster();
    plane = await startTestPlane({ server: cluster.server });
    await serveTools(cluster.server, plane.ns, ledger);
    const order = { do: "start", url: cluster.url, dataDir: cluster.dataDir, ns: plane.ns, serverPid: 0, ackWaitMs: 2_000, repeatMs: 500 } as const;
    for (const roles of [["coordinator", "gateway"], ["coordinator", "gateway"]] as const) services.push(new Supervisor({ order: () => ({ ...order, roles }), standby: false }));
    await Promise.all(services.map((one) => one.start()));
    await plane.applyValues([...toolDocuments(2_000, 4), CONTRACT], '@id("all") permit (principal, action, resource);');
    clerk = await plane.agent("clerk");
    operator = await plane.operator();
    clerk.nc.subscribe(`${subjects.out(plane.ns, clerk.name, "*").slice(0, -1)}>`, {
      callback: (error, message) => {
        if (error !== null) return;
        const answer = message.json<Answer>();
        const key = `${answer.run} ${answer.id}`;
        heard.set(key, [...(heard.get(key) ?? []), answer]);
      },
    });
  });
  after(async () => {
    await Promise.all(services.map((one) => one.stop()));
    await plane.stop();
  });

  /** Sends until the answer is final; what is in doubt is resolved by the tool's own ledger. */
  async function say(run: string, body: { id: string; [key: string]: unknown }): Promise<Answer> {
    let doubted = false;
    return until(
      () => clerk.send("propose", run, body),
      async () => {
        const mine = heard.get(`${run} ${body.id}`) ?? [];
        const doubt = mine.find(({ status }) => status === "in_doubt");
        if (doubt !== undefined && !doubted) {
          doubted = true;
          const done = ledger.effects(run, body.id) > 0;
          const resolve = { verb: "resolve", id: `resolve-${body.id}`, action: doubt.action, outcome: done ? "succeeded" : "failed", ...(done && { output: outputOf(body.id) }) };
          await stubborn(() => operator.send("control", run, resolve));
        }
        return mine.find(({ final }) => final);
      },
      `${body.id} of ${run}`,
    );
  }

  async function play(run: string, between: (step: number) => void): Promise<string[]> {
    const statuses: string[] = [];
    await say(run, { kind: "start", id: "start", agent: { name: "clerk" }, goal: "to go on" });
    for (let n = 0; n < STEPS; n++) {
      const tool = ["c.write", "c.same", "c.read"][n % 3];
      statuses.push((await say(run, { kind: "tool", id: `step-${n}`, tool, input: { step: `step-${n}`, slow: 20 } })).status);
      between(n);
    }
    await say(run, { kind: "finish", id: "finish" });
    return statuses;
  }

  it("goes on when the journal's leader, another server, and each process of services die in turn; every effect took place once", async () => {
    let steps = 0;
    const marks = new Map<number, () => void>();
    const reached = (count: number) => new Promise<void>((resolve) => marks.set(count, resolve));
    const counted = () => marks.get((steps += 1))?.();
    const deaths = (async () => {
      const all = RUNS * STEPS;
      const waits = [0.15, 0.35, 0.55, 0.75].map((share) => reached(Math.floor(all * share)));
      await waits[0];
      const leader = await stubborn(() => cluster.leaderOf(streamName("JOURNAL", plane.ns)));
      await cluster.kill(leader);
      await waits[1];
      services[0]?.signal("SIGKILL");
      await cluster.restart(leader);
      await waits[2];
      services[1]?.signal("SIGKILL");
      await waits[3];
      const next = await stubborn(() => cluster.leaderOf(streamName("CONTROL", plane.ns)));
      await cluster.kill(next);
      await cluster.restart(next);
    })();
    const runs = Array.from({ length: RUNS }, (_, i) => `clerk_c${i}`);
    const played = await Promise.all(runs.map((run) => play(run, counted)));
    await deaths;

    for (const [i, run] of runs.entries()) {
      for (let n = 0; n < STEPS; n++) {
        if (n % 3 === 2) continue;
        const status = played[i]?.[n];
        assert.ok(status === "succeeded" || status === "failed", `${run} step ${n}: ${status}`);
        assert.equal(ledger.effects(run, `step-${n}`), status === "succeeded" ? 1 : 0, `${run} step ${n} is ${status}`);
      }
    }
    const reader = new StreamReader(await cluster.connect("coordinator", "check"), streamName("JOURNAL", plane.ns));
    for (const { replay, verify } of await checkAll(reader, plane.ns)) {
      assert.equal(replay.difference, undefined, `${replay.name}: ${JSON.stringify(replay.difference)}`);
      assert.equal(verify.fault, undefined, verify.name);
    }
  });
});
