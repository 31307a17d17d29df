/** The same input more than once: by its sender, by the stream, and across deaths (CORE-5, law 3). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { runId } from "../../schemas/ids.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { faultyLine, isInputAck } from "./line.ts";
import { type Office, startOffice, types } from "./office.ts";

let office: Office;
before(async () => {
  office = await startOffice({ coordinator: false });
});
after(() => office?.stop());

const note = (id: string, text = "a thought") => ({ kind: "note", id, text });
const count = async (run: string, type: string) => types(await office.events(run)).filter((found) => found === type).length;

async function reconnected(nc: NatsConnection): Promise<void> {
  for await (const status of nc.status()) if (status.type === "reconnect") return;
}

/** Waits until the agent has been answered so often. */
async function answered(agent: Awaited<ReturnType<Office["agent"]>>, run: string, id: string, times: number) {
  const of = () => agent.answers.filter((answer) => answer.run === run && answer.id === id);
  await agent.answer(run, () => of().length >= times);
  return of();
}

test("CORE-5 an input that is sent twice is applied once, and its sender is told both times", async () => {
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  const agent = await office.agent("clerk");
  const run = "clerk_twice";
  await office.begin(agent, run);
  await agent.propose(run, note("n"));
  await agent.send("propose", run, note("n"));
  const answers = await answered(agent, run, "n", 2);
  assert.deepEqual(answers[0], answers[1]);
  // two that arrive together may be answered together
  await Promise.all([agent.send("propose", run, note("m")), agent.send("propose", run, note("m"))]);
  await agent.propose(run, note("last"));
  assert.equal((await answered(agent, run, "m", 1))[0]?.status, "recorded");
  assert.equal(await count(run, "note.recorded"), 3);
  await coordinator.stop();
});

test("CORE-5 the same id with other content is refused and recorded; the first stays as it was", async () => {
  const coordinator = await office.coordinator();
  const agent = await office.agent("clerk");
  const run = "clerk_reused";
  await office.begin(agent, run);
  await agent.propose(run, note("n", "one"));
  await agent.send("propose", run, note("n", "two"));
  const rejection = await agent.rejection(({ run: on, id }) => on === run && id === "n");
  assert.equal(rejection.reasons[0]?.code, "id.reused");
  assert.equal(rejection.reasons[0]?.path, "/id");
  assert.equal(await count(run, "note.recorded"), 1);
  // key order and white space are no other content
  await agent.send("propose", run, `{ "text": "one",\n "id": "n", "kind": "note" }`);
  await answered(agent, run, "n", 2);
  await coordinator.stop();
});

test("CORE-5 an id is remembered for the whole life of its run: after its end, and by the next coordinator", async () => {
  const first = await office.coordinator();
  const agent = await office.agent("clerk");
  const run = "clerk_later";
  await office.begin(agent, run);
  await agent.propose(run, note("n"));
  await agent.propose(run, { kind: "finish", id: "f" });
  const before = await office.events(run);
  await agent.send("propose", run, note("n"));
  await answered(agent, run, "n", 2);
  await first.stop();

  const second = await office.coordinator();
  await agent.send("propose", run, note("n"));
  const answers = await answered(agent, run, "n", 3);
  assert.deepEqual(answers[2], answers[0]);
  await agent.send("propose", run, note("n", "other"));
  await agent.rejection(({ run: on, reasons }) => on === run && reasons[0]?.code === "id.reused");
  // the start is remembered like everything else
  await agent.send("propose", run, { kind: "start", id: "start", agent: { name: "clerk" }, goal: "test" });
  await answered(agent, run, "start", 2);
  assert.equal((await office.events(run)).length, before.length);
  await second.stop();
});

test("CORE-5 an input whose acknowledgement was lost comes again to the next owner, and changes nothing", async () => {
  const nc = await office.server.connect("coordinator", "loses-acks");
  const deaf = await office.coordinator({ nc: faultyLine(nc, { carries: (subject) => !isInputAck(subject) }) });
  const agent = await office.agent("clerk");
  const run = "clerk_lost-ack";
  await office.begin(agent, run);
  await office.ask(agent, run, "a", "t.read", "approved");
  await deaf.stop();

  const next = await office.coordinator();
  // both were still in the stream: applied before, so answered again
  await answered(agent, run, "start", 2);
  await answered(agent, run, "a", 2);
  assert.equal(await count(run, "run.started"), 1);
  assert.equal(await count(run, "action.dispatched"), 1);
  await next.stop();
});

test("CORE-5 OPS-4 the server is killed between commit and acknowledgement: nothing is lost or doubled", async () => {
  const nc = await office.server.connect("coordinator", "killer");
  let dying: Promise<void> | undefined;
  let armed = false;
  const coordinator = await office.coordinator({
    nc: faultyLine(nc, {
      carries: (subject, data) => {
        // its answer goes out after the commit: the next acknowledgement is the note's own
        if (subject.includes(".out.") && Buffer.from(data ?? "").includes(`"id":"n"`)) armed = true;
        if (dying !== undefined || !armed || !isInputAck(subject)) return true;
        dying = office.server.kill();
        return false;
      },
    }),
  });
  const agent = await office.agent("clerk");
  const run = "clerk_killed";
  await office.begin(agent, run);
  const back = reconnected(agent.nc);
  await agent.send("propose", run, note("n"));
  await answered(agent, run, "n", 1);
  await dying;
  await office.server.restart();
  await back;
  const after = await agent.propose(run, note("after"));
  assert.equal(after.status, "recorded");
  // OUT is written asynchronously: the first answer may have died with the server, so it is given again
  const told: string[] = [];
  const out = new StreamReader(nc, streamName("OUT", office.ns));
  for await (const { data } of out.read({ subject: subjects.out(office.ns, agent.name, runId(run)) })) {
    told.push(String((JSON.parse(Buffer.from(data).toString()) as { id: string }).id));
  }
  assert.ok(told.includes("n"), told.join());
  assert.deepEqual(types(await office.events(run)), ["run.started", "note.recorded", "note.recorded"]);
  await coordinator.stop();
});
