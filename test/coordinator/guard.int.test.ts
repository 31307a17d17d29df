/** GUARD-9, ID-2, law 9: what is stopped does not start, whoever heard of the stop first, and whatever was queued. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { Grant } from "../../schemas/dispatch.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import { personDocument } from "../harness/issuer.ts";
import type { TestActor } from "../harness/plane.ts";
import { faultyLine } from "./line.ts";
import { type Office, dispatchesOf, startOffice, types } from "./office.ts";
import { type Rival, arrival, rival } from "./rival.ts";

const GUARD = "guard:stops";
let office: Office;
let journal: StreamReader;
let stopper: TestActor;
let lifter: TestActor;
let other: Rival;
let controls = 0;
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyValues(["stella", "stella-too"].map((name) => personDocument(name, { subject: "stella" })));
  await office.applyDefaults();
  await coordinator.stop();
  journal = new StreamReader(await office.server.connect("auditor", "guard-auditor"), streamName("JOURNAL", office.ns));
  stopper = await office.operator("stella");
  lifter = await office.operator("ann");
  other = await rival(office, await office.server.connect("coordinator", "elsewhere"));
});
after(() => office?.stop());

let owner: Coordinator | undefined;
beforeEach(async () => {
  await owner?.stop();
  owner = undefined;
});
const takeOver = async (options?: Parameters<Office["coordinator"]>[0]) => (owner = await office.coordinator(options));

const guardEvents = async (): Promise<JournalEvent[]> => {
  const found: JournalEvent[] = [];
  for await (const message of journal.read({ subject: subjects.log(office.ns, "guard", "stops"), leader: false })) found.push(decodeEvent(message));
  return found;
};
const control = (body: object) => ({ id: `c${++controls}`, reason: "an exercise", ...body });

/** The stop as it stands in the journal: that it is there is its acknowledgement. */
async function guarded(operator: TestActor, body: object): Promise<JournalEvent> {
  const said = control(body);
  const live = operator.nc.subscribe(subjects.live(office.ns, "guard", "stops"));
  await operator.nc.flush();
  await operator.send("control", GUARD, said);
  for await (const _ of live) {
    const event = (await guardEvents()).find(({ body: { cause } }) => cause.id === said.id && cause.actor === operator.name);
    if (event === undefined) continue;
    live.unsubscribe();
    return event;
  }
  throw new Error("the live tail ended");
}
const stopOf = (event: JournalEvent) => String(event.body.data["stop"]);
const lift = (event: JournalEvent, by = lifter) => guarded(by, { verb: "lift", stop: stopOf(event) });

/** Decided and stored by another coordinator, which the one at work has no part in. */
async function storedElsewhere(body: object): Promise<void> {
  const turn = other.turn(await other.lane(GUARD, arrival(office, "control", "stella", GUARD, control(body), Date.now())));
  assert.equal((await other.committer.append([other.part(turn)]))[0]?.kind, "stored");
}

test("GUARD-9 while 200 dispatches are queued: every effect that starts was claimed in the journal before the stop", async () => {
  await takeOver();
  const queue = await dispatchesOf(office, "t.write");
  const agent = await office.agent("clerk");
  const gateway = await office.gateway("gw-queue");
  const run = "clerk_two-hundred";
  await office.begin(agent, run);
  const ids = Array.from({ length: 200 }, (_, n) => `w${n}`);
  await Promise.all(ids.map((id) => office.ask(agent, run, id, "t.write", "approved")));
  await queue.next(() => queue.found.filter((dispatch) => dispatch.run === run).length === 200);

  const effects: Grant[] = [];
  const refused: Grant[] = [];
  let stop: Promise<JournalEvent> | undefined;
  await Promise.all(
    queue.found
      .filter((dispatch) => dispatch.run === run)
      .map(async ({ action }, index) => {
        if (index === 100) stop = guarded(stopper, { verb: "stop", scope: "tool:t.write" });
        const grant = await gateway.claim(run, action);
        (grant.verdict === "granted" ? effects : refused).push(grant);
      }),
  );
  const stopped = await (stop as Promise<JournalEvent>);
  assert.equal(effects.length + refused.length, 200);
  assert.ok(refused.length > 0, "the stop came before the last claim");
  const events = await office.events(run);
  for (const { action } of effects) {
    const started = events.find(({ body }) => body.type === "action.started" && body.data["action"] === action);
    assert.ok(started !== undefined && started.streamSeq < stopped.streamSeq, `${action} started behind the stop`);
  }
  const failed = events.filter(({ body }) => body.type === "action.failed");
  for (const { body } of failed) assert.deepEqual([(body.data["error"] as { code: string }).code, (body.data["error"] as { effect: string }).effect], ["guard.stopped", "none"]);
  assert.ok(failed.length > 0);

  const denied = await office.ask(agent, run, "later", "t.write", "denied");
  assert.deepEqual(denied.reasons?.map(({ code }) => code), ["guard.stopped"]);
  assert.equal((await office.ask(agent, run, "else", "t.same", "approved")).status, "approved", "another tool is not stopped");
  await lift(stopped);
  assert.equal((await office.ask(agent, run, "again", "t.write", "approved")).status, "approved");
});

test("GUARD-9 a stop that another coordinator stored, and this one has not heard of, holds the grant back", async () => {
  const nc = await office.server.connect("coordinator", "deaf");
  const deaf = faultyLine(nc, { hears: ({ subject }) => !subject.includes(".live.guard.") });
  await takeOver({ nc: deaf });
  const agent = await office.agent("clerk");
  const gateway = await office.gateway("gw-deaf");
  const run = "clerk_deaf";
  await office.begin(agent, run);
  const [first, second] = [(await office.ask(agent, run, "1", "t.write", "approved")).action ?? "", (await office.ask(agent, run, "2", "t.write", "approved")).action ?? ""];
  const claim = { action: first, status: "started", id: "claim-1" };
  assert.equal((await gateway.report(run, claim)).verdict, "granted");
  await storedElsewhere({ verb: "stop", scope: "agent:clerk" });
  const grant = await gateway.claim(run, second);
  assert.deepEqual([grant.verdict, grant.code], ["refused", "guard.withheld"]);
  // a gateway that did not hear its grant asks again, and would begin now
  const again = await gateway.report(run, claim);
  assert.deepEqual([again.verdict, again.code], ["refused", "guard.withheld"]);
  // nothing was begun, and its holder says so
  const ended = await gateway.report(run, { action: second, status: "failed", error: { code: "guard.stopped", message: "withheld", effect: "none" } });
  assert.equal(ended.verdict, "recorded");
  const [stopped] = (await guardEvents()).slice(-1) as [JournalEvent];
  await lift(stopped);
});

test("GUARD-9 a stop survives the coordinator that made it; a start is refused, and recorded", async () => {
  await takeOver();
  const stopped = await guarded(stopper, { verb: "stop", scope: "team:team" });
  await owner?.stop();
  await takeOver();
  const agent = await office.agent("clerk");
  const heard = await agent.hear("propose", "clerk_while-stopped", { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" });
  assert.deepEqual([heard.status, heard.codes], ["refused", ["guard.stopped"]]);
  assert.deepEqual(types(await office.events("clerk_while-stopped")), ["run.refused"]);
  await lift(stopped);
  assert.equal((await office.begin(agent, "clerk_after-lift")).status, "started");
});

test("GUARD-9 who stopped does not lift it, under no name of theirs; another person does", async () => {
  await takeOver();
  const stopped = await guarded(stopper, { verb: "stop", scope: "principal:https://issuer.test|nobody" });
  const same = await office.operator("stella-too");
  for (const operator of [stopper, same]) {
    const said = control({ verb: "lift", stop: stopOf(stopped) });
    await operator.send("control", GUARD, said);
    assert.deepEqual((await operator.rejection(({ id }) => id === said.id)).reasons.map(({ code }) => code), ["guard.same_person"]);
  }
  assert.equal((await lift(stopped)).body.type, "guard.lifted");
});

test("ID-2 law 9: what a revoked agent had sent before is refused when it is read", async () => {
  await takeOver();
  const agent = await office.agent("stranger");
  await office.begin(agent, "stranger_queued");
  await owner?.stop();
  const ids = Array.from({ length: 20 }, (_, n) => `n${n}`);
  for (const id of ids) await agent.send("propose", "stranger_queued", { kind: "note", id, text: "x" });
  await storedElsewhere({ verb: "revoke", scope: "agent:stranger" });
  await takeOver();
  for (const id of ids) assert.deepEqual((await agent.rejection((one) => one.id === id)).reasons.map(({ code }) => code), ["actor.revoked"]);
  assert.deepEqual(types(await office.events("stranger_queued")), ["run.started"]);
  const [revoked] = (await guardEvents()).slice(-1) as [JournalEvent];
  await lift(revoked);
});

test("ID-2 a revoked person decides nothing under any name, and an approval of theirs no longer counts", async () => {
  await takeOver();
  const agent = await office.agent("asker");
  const approver = await office.approver("bob");
  const gateway = await office.gateway("gw-bob");
  const run = "asker_bob";
  await office.begin(agent, run);
  const asked = await office.ask(agent, run, "w", "t.write", "pending");
  const { data } = (await office.event(run, "approval.requested")).body;
  await approver.send("decide", run, { id: "yes", request: data["request"], decision: "approve", digest: data["digest"] });
  await office.event(run, "action.dispatched");
  const revoked = await guarded(stopper, { verb: "revoke", scope: "person:bob" });
  const grant = await gateway.claim(run, asked.action ?? "");
  assert.notEqual(grant.verdict, "granted");
  await office.event(run, "approval.requested", (event) => event.body.data["request"] !== data["request"]);
  await approver.send("decide", run, { id: "again", request: data["request"], decision: "approve", digest: data["digest"] });
  assert.deepEqual((await approver.rejection(({ id }) => id === "again")).reasons.map(({ code }) => code), ["actor.revoked"]);
  await lift(revoked);
});

test("CORE-1 the guard's name is written in one way, and operators alone speak to it", async () => {
  await takeOver();
  for (const token of ["guard:st%6Fps", "guard:others"]) {
    const said = control({ verb: "stop", scope: "all" });
    await stopper.send("control", token, said);
    const refused = await stopper.rejection(({ run }) => run === token);
    assert.deepEqual(refused.reasons.map(({ code }) => code), ["name.aggregate"]);
  }
  const bad = control({ verb: "stop", scope: "everything" });
  await stopper.send("control", GUARD, bad);
  assert.equal((await stopper.rejection(({ id }) => id === bad.id)).reasons[0]?.path, "/scope");
});
