/** Two coordinators and one journal: the expected sequence is the only fence, and it is enough (laws 1 and 3). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { subjects } from "../../schemas/subjects.ts";
import { decode, encode } from "../../services/bus/codec.ts";
import { type Office, startOffice, types } from "./office.ts";
import { faultyLine } from "./line.ts";
import { type Rival, arrival, rival } from "./rival.ts";

let office: Office;
let one: Rival;
let other: Rival;
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  await coordinator.stop();
  one = await rival(office, await office.server.connect("coordinator", "one"));
  other = await rival(office, await office.server.connect("coordinator", "other"));
});
after(() => office?.stop());

const TIME = Date.UTC(2026, 0, 31, 9, 30);
const note = (run: string, id: string) => arrival(office, "propose", "clerk", run, { kind: "note", id, text: `thought ${id}` }, TIME);
const start = (run: string) => arrival(office, "propose", "clerk", run, { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" }, TIME);
const read = (run: string, id: string) =>
  arrival(office, "propose", "clerk", run, { kind: "tool", id, tool: "t.read", input: { text: "x" } }, TIME);
const notes = async (run: string) =>
  (await office.events(run)).flatMap(({ body }) => (body.type === "note.recorded" ? [body.cause.id] : []));

/** A run that has been started, by nobody in particular. */
async function begun(run: string): Promise<string> {
  const turn = one.turn(await one.lane(run, start(run)));
  assert.equal((await one.committer.append([one.part(turn)]))[0]?.kind, "stored");
  return run;
}

test("CORE-5 law 1: different inputs at the same sequence: one wins, the other is decided again behind it", async () => {
  const run = await begun("clerk_race");
  const [mine, theirs] = [await one.lane(run, note(run, "a")), await other.lane(run, note(run, "b"))];
  const [left, right] = [one.turn(mine), other.turn(theirs)];
  assert.equal(left.expected, right.expected);
  const [[landed], [also]] = await Promise.all([one.committer.append([one.part(left)]), other.committer.append([other.part(right)])]);
  assert.deepEqual([landed?.kind, also?.kind].sort(), ["moved", "stored"]);

  const [loser, lost] = landed?.kind === "moved" ? ([one, note(run, "a")] as const) : ([other, note(run, "b")] as const);
  const again = loser.turn(await loser.lane(run, lost));
  assert.equal((await loser.committer.append([loser.part(again)]))[0]?.kind, "stored");
  assert.deepEqual((await notes(run)).sort(), ["a", "b"]);
  assert.equal((await one.load(run)).loaded.head.seq, 3);
});

test("CORE-5 law 1: two coordinators given the same input write the same bytes, and both find them stored", async () => {
  const run = await begun("clerk_same");
  const left = one.turn(await one.lane(run, read(run, "r")));
  const right = other.turn(await other.lane(run, read(run, "r")));
  assert.deepEqual(
    left.events.map(({ data }) => Buffer.from(data)),
    right.events.map(({ data }) => Buffer.from(data)),
  );
  assert.deepEqual(left.events[0]?.headers, right.events[0]?.headers);
  const [[landed], [also]] = await Promise.all([one.committer.append([one.part(left)]), other.committer.append([other.part(right)])]);
  assert.equal(landed?.kind, "stored");
  assert.deepEqual(landed, also);
  assert.deepEqual(types(await office.events(run)), [
    "run.started",
    "action.proposed",
    "action.validated",
    "action.approved",
    "action.dispatched",
  ]);
});

test("CORE-5 group commit: one run of many was moved: the others land, and it is decided again", async () => {
  const runs = await Promise.all([1, 2, 3, 4, 5].map((n) => begun(`clerk_batch-${n}`)));
  const turns = await Promise.all(runs.map(async (run) => one.turn(await one.lane(run, note(run, "mine"), read(run, "r")))));
  const third = runs[2] as string;
  const moved = other.turn(await other.lane(third, note(third, "theirs")));
  await other.committer.append([other.part(moved)]);

  const landings = await one.committer.append(turns.map((turn) => one.part(turn)));
  assert.deepEqual(landings.map(({ kind }) => kind), ["stored", "stored", "moved", "stored", "stored"]);
  const again = one.turn(await one.lane(third, note(third, "mine"), read(third, "r")));
  assert.equal((await one.committer.append([one.part(again)]))[0]?.kind, "stored");
  for (const run of runs) {
    assert.deepEqual(await notes(run), run === third ? ["theirs", "mine"] : ["mine"]);
    const { loaded, rest } = await one.load(run);
    assert.equal(rest, undefined);
    assert.equal(loaded.kind === "run" && loaded.state.actions.size, 1);
  }
  // the landing names the stream sequence that fences the next commit
  const last = landings[4]?.kind === "stored" ? landings[4].last : 0;
  assert.equal(last, (await one.load(runs[4] as string)).loaded.streamSeq);
});

test("CORE-5 an answer that was lost: the journal is read back, and what landed is not written again", async () => {
  const runs = await Promise.all([1, 2, 3].map((n) => begun(`clerk_lost-${n}`)));
  let deaf = false;
  const nc = faultyLine(await office.server.connect("coordinator", "deaf"), { hears: () => !deaf });
  const hard = await rival(office, nc, 200, () => (deaf = false));
  deaf = true;
  const turns = await Promise.all(runs.map(async (run) => other.turn(await other.lane(run, read(run, "r")))));
  const landings = await hard.committer.append(turns.map((turn) => other.part(turn)));
  assert.deepEqual(landings.map(({ kind }) => kind), ["stored", "stored", "stored"]);
  for (const run of runs) assert.equal((await office.events(run)).length, 5);
});

test("CORE-5 OPS-4 a server that falls silent with a batch in its buffer: it lands once, whoever asks", async () => {
  const runs = await Promise.all([1, 2, 3].map((n) => begun(`clerk_silent-${n}`)));
  const turns = await Promise.all(runs.map(async (run) => one.turn(await one.lane(run, read(run, "r")))));
  const troubles: string[] = [];
  const nc = await office.server.connect("coordinator", "patient");
  const patient = await rival(office, nc, 200, (line) => {
    troubles.push(line);
    office.server.signal("SIGCONT");
  });
  office.server.signal("SIGSTOP");
  const landings = await patient.committer.append(turns.map((turn) => one.part(turn)));
  assert.ok(troubles.length > 0, "nothing was in doubt");
  assert.deepEqual(landings.map(({ kind }) => kind), ["stored", "stored", "stored"]);
  for (const run of runs) assert.equal((await office.events(run)).length, 5);
});

test("CORE-5 law 1: a torn commit is completed with the same bytes before anything else happens to its run", async () => {
  const run = await begun("clerk_torn");
  const turn = one.turn(await one.lane(run, read(run, "r")));
  const [first] = turn.events;
  assert.ok(first);
  // only the beginning reached the journal, as no atomic batch would leave it
  await one.publisher.batch([{ ...first, expectLastSubjectSequence: turn.expected }]);
  const coordinator = await office.coordinator();
  await office.event(run, "action.dispatched");
  const stored = (await office.events(run)).slice(1);
  assert.deepEqual(
    stored.map(({ data }) => Buffer.from(data)),
    turn.events.map(({ data }) => Buffer.from(data)),
  );
  const agent = await office.agent("clerk");
  assert.equal((await agent.propose(run, { kind: "note", id: "after", text: "on" })).status, "recorded");
  await coordinator.stop();
});

for (const [what, forge] of [
  ["is no event", () => Promise.resolve(Buffer.from("hello"))],
  [
    "does not continue the chain",
    async (run: string) => {
      const lane = await other.lane(run, note(run, "never-stored"));
      other.turn(lane);
      lane.push(note(run, "forged"));
      return Buffer.from(other.turn(lane).events[0]?.data ?? "");
    },
  ],
  [
    "bears the right number and not the right link",
    async (run: string) => {
      const [event] = other.turn(await other.lane(run, note(run, "forged"))).events;
      assert.ok(event);
      return Buffer.from(encode({ ...(decode(event.data) as object), prev: new Uint8Array(32) }));
    },
  ],
] as const) {
  test(`law 8: a journal message that ${what} freezes its run, and no other`, async () => {
    const coordinator = await office.coordinator();
    const agent = await office.agent("clerk");
    const run = `clerk_forged-${what.length}`;
    await office.begin(agent, run);
    await office.begin(agent, `${run}-neighbour`);
    const data = await forge(run);
    await other.publisher.publish(subjects.log(office.ns, "run", run), data, {});
    await agent.send("propose", run, { kind: "note", id: "n", text: "x" });
    const refused = await agent.rejection((rejection) => rejection.run === run);
    assert.equal(refused.reasons[0]?.code, "run.frozen");
    assert.equal((await agent.propose(`${run}-neighbour`, { kind: "note", id: "n", text: "x" })).status, "recorded");
    await coordinator.stop();
  });
}

test("CORE-5 two coordinators that share the inputs lose and double nothing", async () => {
  const coordinators = await Promise.all([office.coordinator(), office.coordinator()]);
  const agent = await office.agent("clerk");
  const runs = Array.from({ length: 8 }, (_, n) => `clerk_both-${n}`);
  await Promise.all(
    runs.map(async (run) => {
      await office.begin(agent, run);
      await Promise.all(["a", "b", "c"].map((id) => agent.propose(run, { kind: "note", id, text: id })));
      await office.ask(agent, run, "r", "t.read", "approved");
    }),
  );
  for (const run of runs) {
    assert.deepEqual((await notes(run)).sort(), ["a", "b", "c"]);
    assert.equal((await one.load(run)).loaded.head.seq, 8);
  }
  for (const coordinator of coordinators) await coordinator.stop();
});
