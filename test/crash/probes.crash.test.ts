/** A tool is asked what became of an attempt, under fire: its own ledger counts every call, and shows no second effect. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { Answer } from "../../schemas/answer.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { JournalEvent } from "../../services/bus/commit.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import type { TestActor } from "../harness/plane.ts";
import type { Supervisor } from "./children.ts";
import type { Behaviour, ProbeBehaviour } from "./tools.ts";
import { outputOf } from "./tools.ts";
import { openWorld } from "./open-world.ts";
import { propose, until } from "./patience.ts";
import type { World } from "./world.ts";

/** A claim is given up this much later than the tool's time-out, and the tool is asked then. */
const SHORT_MS = 300;

describe("EXEC-7: what became of an attempt whose end nobody knows", { timeout: 200_000 }, () => {
  let world: World;
  afterEach(() => world.stop());

  const clerk = () => world.people.agents.get("clerk") as TestActor;
  const begin = (run: string) => propose(clerk(), run, { kind: "start", id: "start", agent: { name: "clerk" }, goal: "to know" }, ({ final }) => final);
  const ask = (run: string, does: readonly Behaviour[], asked: readonly ProbeBehaviour[], fits: (answer: Answer) => boolean = ({ final }) => final) =>
    propose(clerk(), run, { kind: "tool", id: "once", tool: "c.asked", input: { step: "once", does, asked } }, fits);
  const typesOf = async (run: string) => (await world.events(run)).map(({ body: { type } }) => type).filter((type) => /^action\.(started|in_doubt|prob|retrying|succeeded|failed)/.test(type));
  const event = (run: string, type: string) =>
    until(() => Promise.resolve(), async () => (await world.events(run)).findLast((one) => one.body.type === type), `\`${type}\` of \`${run}\``);
  const found = async (run: string) => (await world.events(run)).filter(({ body: { type } }) => type === "action.probed").map(({ body: { data } }) => data["found"]);
  const attempts = (run: string) => world.ledger.callsOf(run).map(({ attempt }) => attempt);

  test("the tool says that it was done, that it was not, or that it cannot tell; only for `none` the call is made again", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"], ["gateway"]], timeoutMs: SHORT_MS, retries: 1 });
    const done = "clerk_done", undone = "clerk_undone", twice = "clerk_twice", dark = "clerk_dark";
    await Promise.all([done, undone, twice, dark].map(begin));
    const [a, b, c, d] = await Promise.all([
      ask(done, ["never"], ["tell"]),
      ask(undone, ["lose", "ok"], ["tell"]),
      // the next attempt is lost as well, and no retries are left
      ask(twice, ["lose", "lose"], ["tell"]),
      ask(dark, ["never"], ["unknown", "silent", "unknown"], ({ final, status }) => final || status === "in_doubt"),
    ]);
    assert.deepEqual([a.status, a.output, attempts(done), world.ledger.effects(done, "once")], ["succeeded", outputOf("once"), [1], 1]);
    assert.deepEqual(await typesOf(done), ["action.started", "action.in_doubt", "action.probing", "action.probed", "action.succeeded"]);
    assert.deepEqual([b.status, attempts(undone), world.ledger.effects(undone, "once")], ["succeeded", [1, 2], 1]);
    assert.deepEqual(await found(undone), ["none"]);
    assert.deepEqual([c.status, (c.error as { effect?: string }).effect, attempts(twice), world.ledger.effects(twice, "once")], ["failed", "none", [1, 2], 0]);
    assert.equal(d.status, "in_doubt");
    await until(() => Promise.resolve(), async () => ((await found(dark)).length === 3 ? true : undefined), "the third answer");
    assert.deepEqual(await found(dark), ["unknown", "unknown", "unknown"]);
    assert.equal((await event(dark, "action.probed")).body.data["probe_at"], undefined);
    assert.deepEqual([attempts(dark), (await typesOf(dark)).includes("action.retrying")], [[1], false]);
    const [action] = world.ledger.callsOf(dark).map((call) => call.action);
    const { operator } = world.people;
    await until(
      () => operator.send("control", dark, { verb: "resolve", id: "found-out", action, outcome: "succeeded", output: outputOf("once") }),
      () => clerk().answers.find(({ run, id, final }) => run === dark && id === "once" && final),
      "what a person found out",
    );
    assert.equal(world.ledger.effects(dark, "once"), 1);
  });

  test("a gateway dies while it asks, and the question is put again; copies of the question bring one answer", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"]], timeoutMs: SHORT_MS, retries: 1 });
    const gateway = world.processes[1] as Supervisor;
    const { server, ns } = world.plane;
    await begin("clerk_1");
    const { deaths } = gateway;
    const answered = ask("clerk_1", ["never"], ["tell"]);
    await until(() => Promise.resolve(), () => (world.ledger.calls.length > 0 ? true : undefined), "the call");
    await gateway.arm({ name: "in answer probe", nth: 1, side: "before" }, "child");
    await until(() => Promise.resolve(), () => (gateway.deaths > deaths ? true : undefined), "the death of a gateway that asked");
    await gateway.up();
    const publisher = new Publisher(await server.connect("coordinator", "copyist"));
    // somebody asks once more, whatever the plane does
    const { body: { data } } = await event("clerk_1", "action.dispatched");
    const validated = (await world.events("clerk_1")).find(({ body: { type } }) => type === "action.validated") as JournalEvent;
    const copy = { v: 1, run: "clerk_1", action: data["action"], attempt: 1, document: validated.body.data["document"], digest: data["digest"], timeout_ms: 300, effect: "write", probe: 1 };
    await Promise.all([1, 2].map(() => publisher.publish(subjects.dispatch(ns, "c.asked"), Buffer.from(JSON.stringify(copy)))));
    assert.equal((await answered).status, "succeeded");
    assert.deepEqual([attempts("clerk_1"), world.ledger.effects("clerk_1", "once")], [[1], 1]);
    assert.equal((await found("clerk_1")).filter((one) => one === "done").length, 1);
    assert.ok(world.ledger.questionsUnder("clerk_1." + String(data["action"])) >= 2);
  });

  test("a gateway dies with a claim: what it had called was done, what it had not is called once more", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"]], timeoutMs: SHORT_MS, retries: 1 });
    const gateway = world.processes[1] as Supervisor;
    for (const [run, name, side] of [["clerk_uncalled", "out call", "before"], ["clerk_called", "in answer call", "before"]] as const) {
      const { deaths } = gateway;
      await begin(run);
      await gateway.arm({ name, nth: 1, side }, "child");
      const answered = ask(run, ["ok"], ["tell"]);
      await until(() => Promise.resolve(), () => (gateway.deaths > deaths ? true : undefined), "the death of a gateway");
      await gateway.up();
      assert.equal((await answered).status, "succeeded", run);
      assert.equal(world.ledger.effects(run, "once"), 1, run);
    }
    assert.deepEqual([await found("clerk_uncalled"), attempts("clerk_uncalled")], [["none"], [2]]);
    assert.deepEqual([await found("clerk_called"), attempts("clerk_called")], [["done"], [1]]);
  });

  test("a person's word while the tool is asked stands: an answer that comes later is refused", async () => {
    world = await openWorld({ processes: [["coordinator"], ["gateway"]], timeoutMs: SHORT_MS, retries: 1 });
    const gateway = world.processes[1] as Supervisor;
    await begin("clerk_1");
    const answered = ask("clerk_1", ["never"], ["tell"]);
    await until(() => Promise.resolve(), () => (world.ledger.calls.length > 0 ? true : undefined), "the call");
    const { deaths } = gateway;
    await event("clerk_1", "action.in_doubt");
    // the tool has answered, and the gateway's report never leaves it
    await gateway.arm({ name: "out report", nth: 1, side: "before" }, "child");
    const { action } = world.ledger.calls[0]!;
    await event("clerk_1", "action.probing");
    await until(() => Promise.resolve(), () => (gateway.deaths > deaths ? true : undefined), "the death of a gateway that asked");
    const { operator } = world.people;
    await until(
      () => operator.send("control", "clerk_1", { verb: "resolve", id: "found-out", action, outcome: "succeeded", output: { step: "once", by: "hand" } }),
      () => clerk().answers.find(({ run, id, final }) => run === "clerk_1" && id === "once" && final),
      "what a person found out",
    );
    await gateway.up();
    assert.deepEqual((await answered).output, { step: "once", by: "hand" });
    // the dispatch of the question is still there, and whoever takes it hears that nobody asks any more
    const name = gateway.gateway;
    const refused = await until(() => Promise.resolve(), async () => (await world.rejections(name)).find(({ kind }) => kind === "report"), "the refusal of the answer");
    assert.deepEqual(refused.reasons.map(({ code }) => code), ["probe.not_asked"]);
    assert.deepEqual(await found("clerk_1"), []);
    assert.equal(world.ledger.effects("clerk_1", "once"), 1);
  });
});
