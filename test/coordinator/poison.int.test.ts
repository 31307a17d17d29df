/** What would hold up everybody else: inputs at which the plane itself fails, and commits that nobody can store. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MAX_OPEN_ACTIONS } from "../../machines/decide.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { type Office, startOffice, types } from "./office.ts";

let office: Office;
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  await coordinator.stop();
});
after(() => office?.stop());

const note = (id: string, text = "x") => ({ kind: "note", id, text });
const tool = (id: string, name: string) => ({ kind: "tool", id, tool: name, input: { text: "x" } });
const causes = async (run: string) =>
  (await office.events(run)).flatMap(({ body }) => (body.part[0] === 1 ? [body.cause.id] : []));

/** Judges as the policies do, except where a test wants it to break. */
function breaking(breaks: (name: string, attempt: number) => boolean) {
  const policy = new PolicyJudge();
  const attempts = new Map<string, number>();
  const judge: PolicyJudge["judge"] = (asked) => {
    const attempt = (attempts.get(asked.proposal.id) ?? 0) + 1;
    attempts.set(asked.proposal.id, attempt);
    if (breaks(asked.proposal.id, attempt)) throw new Error("the engine broke");
    return policy.judge(asked);
  };
  return { judge, attempts };
}

test("CORE-5 an input at which the plane fails is refused and recorded after some tries; all others go on", async () => {
  const engine = breaking((id) => id === "poison");
  const agent = await office.agent("clerk");
  const setUp = await office.coordinator();
  for (const run of ["clerk_poisoned", "clerk_healthy"]) await office.begin(agent, run);
  await setUp.stop();
  // everything is there before anybody decides, so that it comes in one batch
  for (const body of [note("before"), tool("poison", "t.read"), note("after")]) await agent.send("propose", "clerk_poisoned", body);
  for (const body of [note("n"), tool("t", "t.read")]) await agent.send("propose", "clerk_healthy", body);
  const coordinator = await office.coordinator({ judge: engine });
  const rejection = await agent.rejection(({ id }) => id === "poison");
  assert.equal(rejection.reasons[0]?.code, "plane.failed");
  assert.match(rejection.reasons[0]?.message ?? "", /the engine broke/);
  assert.equal(engine.attempts.get("poison"), 3);
  await agent.answer("clerk_poisoned", ({ id }) => id === "after");
  await agent.answer("clerk_healthy", ({ id, status }) => id === "t" && status === "approved");
  assert.deepEqual(await causes("clerk_poisoned"), ["start", "before", "after"]);
  assert.deepEqual(await causes("clerk_healthy"), ["start", "n", "t"]);
  await coordinator.stop();
});

test("CORE-5 a failure that passes costs nothing: the input is tried again", async () => {
  const engine = breaking((id, attempt) => id === "shaky" && attempt < 3);
  const coordinator = await office.coordinator({ judge: engine });
  const agent = await office.agent("clerk");
  await office.begin(agent, "clerk_shaky");
  await office.ask(agent, "clerk_shaky", "shaky", "t.read", "approved");
  assert.equal(engine.attempts.get("shaky"), 3);
  await coordinator.stop();
});

test("CORE-5 a commit that the server refuses alone becomes a recorded refusal, and takes nobody with it", async () => {
  const agent = await office.agent("clerk");
  const setUp = await office.coordinator();
  for (const run of ["clerk_large", "clerk_small"]) await office.begin(agent, run);
  await setUp.stop();
  for (const body of [note("one"), note("huge", "x".repeat(15_000)), note("two"), note("three")]) {
    await agent.send("propose", "clerk_large", body);
  }
  await agent.send("propose", "clerk_small", note("n"));
  const restore = await office.reconfigure("JOURNAL", { max_msg_size: 8192 });
  const coordinator = await office.coordinator();
  const rejection = await agent.rejection(({ id }) => id === "huge");
  assert.equal(rejection.reasons[0]?.code, "journal.refused");
  assert.ok(rejection.bytes > 15_000);
  await agent.answer("clerk_large", ({ id }) => id === "three");
  await agent.answer("clerk_small", ({ id }) => id === "n");
  assert.deepEqual(await causes("clerk_large"), ["start", "one", "two", "three"]);
  assert.deepEqual(agent.rejections.filter(({ run }) => run === "clerk_large").map(({ id }) => id), ["huge"]);
  await restore();
  await coordinator.stop();
});

test("GUARD-6 a run with all the open actions that it may have can still be ended in one commit", async () => {
  const coordinator = await office.coordinator();
  const agent = await office.agent("asker");
  const operator = await office.operator();
  const run = "asker_many";
  await office.begin(agent, run);
  for (let n = 0; n <= MAX_OPEN_ACTIONS; n++) await agent.send("propose", run, tool(`w${n}`, "t.write"));
  const rejection = await agent.rejection((refused) => refused.run === run);
  assert.equal(rejection.id, `w${MAX_OPEN_ACTIONS}`);
  assert.equal(rejection.reasons[0]?.code, "run.too_many_open");
  await operator.send("control", run, { verb: "cancel", id: "stop" });
  const cancelled = await office.event(run, "run.cancelled");
  assert.equal(cancelled.body.part[1], 1 + 2 * MAX_OPEN_ACTIONS);
  const all = types(await office.events(run));
  assert.equal(all.filter((type) => type === "approval.stale").length, MAX_OPEN_ACTIONS);
  await coordinator.stop();
});

test("GUARD-6 wishes beyond every calendar and every purse start a run, and harm nobody", async () => {
  const coordinator = await office.coordinator();
  const agent = await office.agent("clerk");
  await office.begin(agent, "clerk_endless", {
    budget: { max_wall_seconds: Number.MAX_SAFE_INTEGER, max_cost_usd: Number.MAX_SAFE_INTEGER },
    deadline: "9999-12-31T23:59:59Z",
  });
  await office.ask(agent, "clerk_endless", "a", "t.read", "approved");
  await office.begin(agent, "clerk_modest");
  await agent.propose("clerk_modest", note("n"));
  // a timer so far off is none that has passed
  assert.ok(!types(await office.events("clerk_endless")).includes("run.failed"));
  await coordinator.stop();
});
