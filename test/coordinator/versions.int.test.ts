/** During an upgrade coordinators of two releases work beside each other: a run stays with those that have its machines. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pino } from "pino";
import { streamName } from "../../schemas/subjects.ts";
import { decode, encode } from "../../services/bus/codec.ts";
import { EMPTY_CHAIN } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { withPatience } from "../harness/plane.ts";
import { type Office, startOffice, types } from "./office.ts";
import { arrival, rival } from "./rival.ts";

let office: Office;
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  await coordinator.stop();
});
after(() => office?.stop());

/** A run as a release with other machines would have begun it. */
async function begunBy(machine: string, run: string): Promise<void> {
  const { lane, turn, committer, part } = await rival(office, await office.server.connect("coordinator", "newer"));
  const start = { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" };
  const { events, ...rest } = turn(await lane(run, arrival(office, "propose", "clerk", run, start, Date.UTC(2026, 0, 31, 9, 30))));
  const [started, ...others] = events;
  assert.ok(started !== undefined && others.length === 0 && rest.expected === EMPTY_CHAIN.seq);
  const data = encode({ ...(decode(started.data) as object), machine });
  const [landing] = await committer.append([{ ...part({ events, ...rest }), events: [{ ...started, data }] }]);
  assert.equal(landing?.kind, "stored");
}

/** A coordinator, and what it says of an aggregate that it does not drive. */
async function takeOver() {
  const { promise: frozen, resolve } = Promise.withResolvers<Record<string, unknown>>();
  const write = (line: string) => {
    const said = JSON.parse(line) as Record<string, unknown>;
    if (said["alarm"] === "frozen") resolve(said);
  };
  return { coordinator: await office.coordinator({ log: pino({ level: "error" }, { write }) }), frozen };
}

test("law 5: a coordinator that lacks a run's machine version does not take its inputs; it neither refuses them nor decides anything", async () => {
  const run = "clerk_newer";
  await begunBy("99", run);
  const agent = await office.agent("clerk");
  await agent.send("propose", run, { kind: "note", id: "n", text: "x" });
  const inbox = new StreamReader(await office.server.connect("coordinator", "inbox"), streamName("INBOX", office.ns));

  // the next one finds it as this one did
  for (const neighbour of ["clerk_one", "clerk_other"]) {
    const { coordinator, frozen } = await takeOver();
    const said = await withPatience(frozen, "the run of another release was driven");
    assert.match(String(said["why"]), /no machine version `99`/);
    // others go on, and what would have been said of the first is on its way before what is said to them
    await office.begin(agent, neighbour);
    await agent.propose(neighbour, { kind: "note", id: "n", text: "x" });
    await coordinator.stop();
    assert.deepEqual(agent.rejections, []);
    assert.deepEqual(types(await office.events(run)), ["run.started"]);
    const left = await inbox.lastOf(`*.*.*.*.propose.clerk.${run}`);
    assert.equal((JSON.parse(Buffer.from(left?.data ?? "null").toString()) as { id?: string } | null)?.id, "n", "it stays for a release that has the version");
  }
});
