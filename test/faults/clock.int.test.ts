/**
 * A server's clock that jumps, through the coordinator's own path into a real journal. nats-server cannot be given
 * another clock, so inputs are handed in as its consumers would deliver them, stored at the times that such a clock
 * would have told; the coordinator that takes the run over afterwards lives by the real one.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { owed } from "../../machines/owed.ts";
import { runId } from "../../schemas/ids.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { type Arrival, readDue } from "../../services/coordinator/arrival.ts";
import { checkAggregate } from "../../services/replay/journal.ts";
import { type Office, requestOf, startOffice, types } from "../coordinator/office.ts";
import { type Rival, arrival, rival } from "../coordinator/rival.ts";

const DAY = 24 * 3_600_000;

describe("a clock that jumps", { timeout: 60_000 }, () => {
  let office: Office;
  let hand: Rival;
  let journal: StreamReader;
  before(async () => {
    office = await startOffice({ coordinator: false });
    const coordinator = await office.coordinator();
    await office.applyDefaults();
    await coordinator.stop();
    const nc = await office.server.connect("coordinator", "hand");
    hand = await rival(office, nc);
    journal = new StreamReader(nc, streamName("JOURNAL", office.ns));
  });
  after(() => office?.stop());

  /** Decides one input on the run as the journal has it, and stores the commit. @returns what the sender is told is wrong */
  const take = async (run: string, input: Arrival): Promise<readonly string[]> => {
    const lane = await hand.lane(run, input);
    const turn = hand.turn(lane);
    if (turn.events.length > 0) assert.equal((await hand.committer.append([hand.part(turn)]))[0]?.kind, "stored");
    return turn.done.flatMap(({ refused }) => refused ?? []).map(({ code }) => code);
  };
  const from = (kind: "propose" | "decide" | "report" | "control", who: string, run: string, body: object, time: number) =>
    take(run, arrival(office, kind, who, run, body, time));
  /** The run's timers fire at this time, all of them and twice. */
  const fire = async (run: string, time: number): Promise<void> => {
    const { loaded } = await hand.load(run);
    assert.ok(loaded.kind === "run");
    for (const debt of owed(loaded.state)) {
      if (debt.kind !== "timer") continue;
      const message = {
        subject: subjects.due(office.ns, runId(run)), data: Buffer.from(JSON.stringify({ timer: debt.name, armed: debt.armed })), headers: new Map<string, string>(),
        seq: 1, time, redelivered: false, deliveries: 1, generation: 1, inHand: true, reply: "", ack: () => undefined, setAside: () => undefined,
      };
      for (let times = 2; times > 0; times--) {
        const due = readDue(message);
        assert.ok(due !== undefined);
        await take(run, due);
      }
    }
  };
  const asked = async (run: string) => {
    const event = (await office.events(run)).findLast(({ body }) => body.type === "approval.requested");
    assert.ok(event !== undefined);
    return requestOf(event);
  };
  /** Starts with a real token, which is judged by the time of the start, and asks a person for a write. */
  const ask = async (run: string, time: number) => {
    const agent = await office.agent("asker");
    const coordinator = await office.coordinator();
    await office.begin(agent, run);
    await coordinator.stop();
    assert.deepEqual(await from("propose", "asker", run, { kind: "tool", id: "w", tool: "t.write", input: {} }, time), []);
    return agent;
  };
  const assertSound = async (run: string): Promise<void> => {
    const events = await office.events(run);
    const at = events.map(({ body }) => body.at);
    assert.deepEqual(at, at.toSorted());
    const checked = await checkAggregate(journal, office.ns, "run", run);
    assert.equal(checked?.replay.difference, undefined);
    assert.equal(checked?.replay.identical, events.length);
    assert.equal(checked?.verify.fault, undefined);
  };

  test("law 1 CORE-5 EXEC-6: the server's clock goes far ahead and back in the middle of a run: its time never goes back, its timers count once, it replays byte for byte, and goes on", async () => {
    const run = "asker_leaps";
    const now = Date.now();
    const agent = await ask(run, now);
    const { request, digest } = await asked(run);
    await from("propose", "asker", run, { kind: "note", id: "n1", text: "a second later" }, now + 1_000);
    await from("propose", "asker", run, { kind: "note", id: "n2", text: "the clock is a quarter of a day ahead" }, now + DAY / 4);
    await from("propose", "asker", run, { kind: "note", id: "n3", text: "and a month behind" }, now - 30 * DAY);
    // given in time by the clock of its own moment
    assert.deepEqual(await from("decide", "ann", run, { id: "d", request, decision: "approve", digest }, now + 60_000), []);
    await fire(run, now - DAY);
    await assertSound(run);
    assert.deepEqual(types(await office.events(run)).filter((type) => type === "approval.granted" || type === "action.dispatched"), ["approval.granted", "action.dispatched"]);

    // whoever takes over has the right time again
    const coordinator = await office.coordinator();
    const gateway = await office.gateway("g1");
    const action = (await office.event(run, "action.dispatched")).body.data["action"] as string;
    assert.equal((await gateway.claim(run, action)).verdict, "granted");
    assert.equal((await gateway.report(run, { action, status: "succeeded", output: {} })).verdict, "recorded");
    assert.equal((await agent.propose(run, { kind: "finish", id: "f" })).status, "completed");
    await coordinator.stop();
    await assertSound(run);
    assert.ok((await office.events(run)).at(-1)?.body.at === new Date(now + DAY / 4).toISOString());
  });

  test("APP-1: the clock leaps over an approval's end: a word stored by the new time is refused, its timer ends the action once, and nothing is dispatched", async () => {
    const run = "asker_over";
    const now = Date.now();
    await ask(run, now);
    const { request, digest } = await asked(run);
    const late = now + 400 * DAY;
    assert.deepEqual(await from("decide", "ann", run, { id: "d", request, decision: "approve", digest }, late), ["approval.expired"]);
    await fire(run, late + 1);
    // and back: it is over
    assert.notDeepEqual(await from("decide", "ann", run, { id: "d2", request, decision: "approve", digest }, now), []);
    const found = types(await office.events(run));
    assert.equal(found.filter((type) => type === "approval.expired").length, 1);
    assert.equal(found.includes("action.dispatched"), false);
    await assertSound(run);
  });

  test("ID-3: by a clock that is ahead a principal's token has ended: a write is denied, and stays denied in a run that has seen that time; a run that has not goes on", async () => {
    const [run, other] = ["clerk_ended", "clerk_unaware"];
    const now = Date.now();
    const coordinator = await office.coordinator();
    const agent = await office.agent("clerk");
    for (const each of [run, other]) await office.begin(agent, each);
    await coordinator.stop();
    for (const [name, id, time, verdict] of [
      [run, "w1", now + DAY, "action.denied"],
      [run, "w2", now + 1_000, "action.denied"],
      [other, "w", now + 1_000, "action.dispatched"],
    ] as const) {
      await from("propose", "clerk", name, { kind: "tool", id, tool: "t.write", input: {} }, time);
      assert.equal(types(await office.events(name)).at(-1), verdict, `${name} ${id}`);
    }
    await assertSound(run);
  });
});
