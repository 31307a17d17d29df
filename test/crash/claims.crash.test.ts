/** Law 9 under fire: who may execute when a gateway dies, sleeps, or is given what another was given. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { Answer } from "../../schemas/answer.ts";
import { actor, type RunId } from "../../schemas/ids.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { Gateway } from "../../services/gateway/gateway.ts";
import { type TestActor } from "../harness/plane.ts";
import type { Boundary } from "./boundaries.ts";
import type { Supervisor } from "./children.ts";
import type { Behaviour } from "./tools.ts";
import { openWorld } from "./open-world.ts";
import { propose, until } from "./patience.ts";
import type { World } from "./world.ts";

/** A claim is given up this much later than the tool's time-out. */
const SHORT_MS = 800;

const BEFORE_THE_CALL: Boundary = { name: "out call", nth: 1, side: "before" };
const AFTER_THE_CALL: Boundary = { name: "in answer call", nth: 1, side: "before" };

describe("law 9 under fire", { timeout: 280_000 }, () => {
  let world: World;
  afterEach(() => world.stop());

  const clerk = () => world.people.agents.get("clerk") as TestActor;
  const begin = (run: string) => propose(clerk(), run, { kind: "start", id: "start", agent: { name: "clerk" }, goal: "to be alone" }, ({ final }) => final);
  const body = (tool: string, step: string, does: readonly Behaviour[] = ["ok"]) => ({ kind: "tool", id: step, tool, input: { step, does } });
  const ended = ({ final, status }: Answer) => final || status === "in_doubt";
  const typesOf = async (run: string) => (await world.events(run)).map(({ body: { type } }) => type);
  const event = (run: string, type: string) =>
    until(() => Promise.resolve(), async () => (await world.events(run)).find((one) => one.body.type === type), `\`${type}\` of \`${run}\``);
  const holderOf = ({ body: { data } }: JournalEvent) => (data["claim"] as { gateway: string }).gateway;

  test("EXEC-7: several gateways are given every dispatch three times over, and each attempt is called once", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"], ["gateway"]] });
    const { server, ns } = world.plane;
    const nc = await server.connect("coordinator", "copyist");
    const publisher = new Publisher(nc);
    const dispatches = subjects.dispatch(ns, "c.write");
    // one more gateway that is slow to begin: copies of what others hold lie about for it
    const third = new Gateway({ nc: await server.connect("gateway", "third"), ns, name: actor("third"), concurrency: 4, ackWaitMs: 2_000 });
    await third.start();
    // every dispatch is copied as soon as it is stored
    const copied = new Map<string, number>();
    const reader = new StreamReader(nc, streamName("DISPATCH", ns));
    const copier = async (run: string) => {
      for await (const { data } of reader.read({ subject: dispatches })) {
        const dispatch = JSON.parse(Buffer.from(data).toString()) as { run: string };
        if (dispatch.run !== run || copied.has(run)) continue;
        copied.set(run, 2);
        await Promise.all([publisher.publish(dispatches, data), publisher.publish(dispatches, data)]);
      }
    };
    const runs = Array.from({ length: 40 }, (_, index) => `clerk_race-${index}`);
    try {
      await Promise.all(
        runs.map(async (run) => {
          await begin(run);
          const answered = propose(clerk(), run, body("c.write", "once"), ({ final }) => final);
          await event(run, "action.dispatched");
          await copier(run);
          assert.equal((await answered).status, "succeeded", run);
        }),
      );
      assert.ok(copied.size > 0, "no dispatch was there to be copied");
      for (const run of runs) {
        assert.deepEqual(world.ledger.callsOf(run).map(({ attempt, step }) => [attempt, step]), [[1, "once"]], run);
        assert.equal((await typesOf(run)).filter((type) => type === "action.started").length, 1, run);
      }
    } finally {
      await third.stop(0);
    }
  });

  /** Proposes in a run of its own, and lets whoever claims it die there. @returns the answer, when there is one */
  async function claimAndDie(tool: string, run: string, boundary: Boundary): Promise<{ answer: Promise<Answer> }> {
    const gateway = world.processes[1] as Supervisor;
    const { deaths } = gateway;
    await begin(run);
    await gateway.arm(boundary, "child");
    const answer = propose(clerk(), run, body(tool, "once"), ended);
    await until(() => Promise.resolve(), () => (gateway.deaths > deaths ? true : undefined), "the death of a gateway");
    assert.ok(gateway.dead.has(holderOf(await event(run, "action.started"))));
    await gateway.up();
    return { answer };
  }

  test("EXEC-7: a gateway dies with a claim on what is not idempotent: it is in doubt, and never repeated", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"]], timeoutMs: SHORT_MS });
    const uncalled = await claimAndDie("c.write", "clerk_uncalled", BEFORE_THE_CALL);
    const called = await claimAndDie("c.write", "clerk_called", AFTER_THE_CALL);
    for (const [run, { answer }, calls] of [["clerk_uncalled", uncalled, 0], ["clerk_called", called, 1]] as const) {
      assert.equal((await answer).status, "in_doubt", run);
      // a gateway is there again, and takes work: of this it takes nothing
      await propose(clerk(), run, body("c.write", "another"), ({ status }) => status === "succeeded");
      assert.equal((await propose(clerk(), run, body("c.write", "once"), ended)).status, "in_doubt", run);
      assert.equal(world.ledger.callsOf(run).filter(({ step }) => step === "once").length, calls, run);
      assert.ok(!(await typesOf(run)).includes("action.retrying"), run);
    }
  });

  test("EXEC-7: a gateway dies with a claim on what is idempotent: it is retried under the same key, and done once", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"]], timeoutMs: SHORT_MS });
    const uncalled = await claimAndDie("c.same", "clerk_uncalled", BEFORE_THE_CALL);
    const called = await claimAndDie("c.same", "clerk_called", AFTER_THE_CALL);
    for (const [run, { answer }, attempts] of [["clerk_uncalled", uncalled, [2]], ["clerk_called", called, [1, 2]]] as const) {
      assert.equal((await answer).status, "succeeded", run);
      const calls = world.ledger.callsOf(run);
      assert.deepEqual(calls.map(({ attempt }) => attempt), attempts, run);
      assert.equal(new Set(calls.map(({ key }) => key)).size, 1, run);
      assert.equal(world.ledger.effects(run, "once"), 1, run);
    }
  });

  test("EXEC-7: a gateway that slept through its claim's deadline reports to nobody: another has the action by then", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"], ["gateway"]], timeoutMs: SHORT_MS });
    await begin("clerk_1");
    const answered = propose(clerk(), "clerk_1", body("c.same", "once", ["never", "ok"]), ({ final }) => final);
    await until(() => Promise.resolve(), () => (world.ledger.calls.length > 0 ? true : undefined), "the first call");
    const holder = holderOf(await event("clerk_1", "action.started"));
    const sleeper = world.processes.find(({ gateway }) => gateway === holder);
    assert.ok(sleeper);
    sleeper.signal("SIGSTOP");
    assert.equal((await answered).status, "succeeded");
    const before = await world.events("clerk_1");
    const holders = before.filter(({ body: { type } }) => type === "action.started").map(holderOf);
    assert.equal(holders.length, 2);
    assert.notEqual(holders[1], holder);

    sleeper.signal("SIGCONT");
    const refused = await until(() => Promise.resolve(), async () => (await world.rejections(holder)).find(({ kind }) => kind === "report"), "the refusal of its report");
    assert.deepEqual(refused.reasons.map(({ code }) => code), ["report.not_holder"]);
    assert.equal((await world.events("clerk_1")).length, before.length);
    assert.equal(world.ledger.effects("clerk_1", "once"), 1);
    assert.deepEqual(world.ledger.callsOf("clerk_1" as RunId).map(({ attempt }) => attempt), [1, 2]);
  });
});
