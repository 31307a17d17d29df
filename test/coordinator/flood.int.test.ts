/** One agent's flood is nobody else's delay (law 6): 100,000 junk starts and a flood of notes, and people get through. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import type { Rejection } from "../../schemas/answer.ts";
import { type Actor, actor } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { withPatience } from "../harness/plane.ts";
import type { Flood, FloodOrder } from "./flooder.ts";
import { type Office, requestOf, startOffice, types } from "./office.ts";

const JUNK = 100_000;
const NOTES = 20_000;
/** Head-room for a loaded machine; what was measured is printed. */
const PATIENCE_MS = 5000;

let office: Office;
before(async () => {
  office = await startOffice();
});
after(() => office?.stop());

/** Sends so many as fast as the server takes them, from a process of its own. */
async function flood(name: string, times: number, messages: FloodOrder["messages"]): Promise<Flood> {
  const { creds, inboxPrefix } = await office.server.issue("agent", name);
  const child = fork(new URL("flooder.ts", import.meta.url).pathname);
  process.once("exit", () => child.kill());
  const result = once(child, "message") as Promise<[Flood]>;
  child.send({ url: office.server.url, creds, inboxPrefix, ns: office.ns, agent: name, times, messages } satisfies FloodOrder);
  return (await result)[0];
}

/** Counts what an agent's rejections stand for. */
async function tally(name: Actor) {
  const nc = await office.server.connect("agent", name);
  const found = { total: 0, records: 0, counted: 0, countRecords: 0 };
  let wanted = Number.POSITIVE_INFINITY;
  let done: () => void = () => undefined;
  nc.subscribe(subjects.rejected(office.ns, name), {
    callback: (_, message) => {
      const { count, reasons } = JSON.parse(Buffer.from(message.data).toString()) as Rejection;
      found.total += count;
      if (reasons[0]?.code === "quota.exceeded") {
        found.counted += count;
        found.countRecords += 1;
      } else found.records += 1;
      if (found.total >= wanted) done();
    },
  });
  await nc.flush();
  return {
    found,
    reach: (total: number) => {
      wanted = total;
      const reached = new Promise<void>((resolve) => (done = resolve));
      return found.total >= total ? Promise.resolve() : withPatience(reached, `only ${found.total} of ${total} were recorded`, 60_000);
    },
  };
}

/** Milliseconds from sending an input until its event is on the live tail. */
async function timed(run: string, type: string, send: () => Promise<void>): Promise<number> {
  const began = performance.now();
  const seen = office.event(run, type);
  await send();
  await seen;
  return performance.now() - began;
}

test("law 6: during 100,000 junk starts and a flood of notes an approval and a cancel go through", { timeout: 180_000 }, async (t) => {
  const [asker, noter] = [await office.agent("asker"), await office.agent("clerk")];
  const [approver, operator] = [await office.approver("ann"), await office.operator()];
  const rounds = 5;
  for (let n = 0; n < rounds; n++) {
    await office.begin(asker, `asker_wait-${n}`);
    await office.ask(asker, `asker_wait-${n}`, "w", "t.write", "pending");
    await office.begin(asker, `asker_stop-${n}`);
  }
  const noted = "clerk_flood";
  await office.begin(noter, noted);
  const [junk, notes] = [await tally(actor("stranger")), await tally(actor("clerk"))];

  const started = (await office.events(noted)).length;
  const began = performance.now();
  let flooding = true;
  const floods = Promise.all([
    // half of them cannot be read, half would squat on somebody else's runs
    flood("stranger", JUNK, [
      { run: "clerk_junk-%", body: "junk" },
      { run: "clerk_junk-%", body: `{"kind":"start","id":"j%","agent":{"name":"stranger"},"goal":"junk"}` },
    ]),
    flood("clerk", NOTES, [{ run: noted, body: `{"kind":"note","id":"n%","text":"blah"}` }]),
  ]).finally(() => (flooding = false));

  // the people come when the flood is there
  await office.event(noted, "note.recorded", ({ body }) => body.seq > started);
  const approvals: number[] = [];
  const cancels: number[] = [];
  for (let n = 0; n < rounds; n++) {
    const waiting = `asker_wait-${n}`;
    const { request, digest } = requestOf(await office.event(waiting, "approval.requested"));
    const decision = { id: "d", request, decision: "approve", digest };
    approvals.push(await timed(waiting, "action.dispatched", () => approver.send("decide", waiting, decision)));
    const stopping = `asker_stop-${n}`;
    cancels.push(await timed(stopping, "run.cancelled", () => operator.send("control", stopping, { verb: "cancel", id: "c" })));
    assert.ok(flooding, "the flood was over before the people were");
  }
  const [junked, wrote] = await floods;
  await junk.reach(junked.stored);
  const drained = performance.now() - began;

  // nothing is lost silently: journalled, recorded, counted, or refused to the sender's face
  assert.equal(junked.stored + junked.turnedAway, JUNK);
  assert.equal(junk.found.total, junked.stored);
  await noter.propose(noted, { kind: "note", id: "last", text: "after the flood" });
  const journalled = types(await office.events(noted)).filter((type) => type === "note.recorded").length - 1;
  await notes.reach(wrote.stored - journalled);
  assert.equal(journalled + notes.found.total + wrote.turnedAway, NOTES);
  // beyond the quota about one counted record a second, by two clocks
  const seconds = Math.ceil(drained / 1000) + 1;
  assert.ok(junk.found.countRecords <= 1.5 * seconds, `${junk.found.countRecords} records in ${seconds} s`);
  assert.ok(junk.found.counted > JUNK / 2);
  const worst = (list: number[]) => Math.round(Math.max(...list));
  t.diagnostic(
    `approval at most ${worst(approvals)} ms, cancel at most ${worst(cancels)} ms; ${JUNK + NOTES} inputs sent in ${Math.round(Math.max(junked.ms, wrote.ms))} ms, ` +
      `judged or counted after ${Math.round(drained)} ms; junk: ${junk.found.records} recorded, ${junk.found.counted} counted in ${junk.found.countRecords} records; ` +
      `notes: ${journalled} journalled, ${notes.found.total} recorded or counted, ${wrote.turnedAway} turned away by the stream`,
  );
  assert.ok(worst(approvals) < PATIENCE_MS && worst(cancels) < PATIENCE_MS);
});
