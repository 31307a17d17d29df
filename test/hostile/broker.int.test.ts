/**
 * One agent's credential, and everything but its own proposals: the broker takes none of it, whatever reply subject is
 * named (CORE-1, CORE-9, law 8). Nobody else hears of it, and nothing is stored.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type Actor, type RunId, partitionOf } from "../../schemas/ids.ts";
import { STREAMS, type StreamKind, streamName, subjects } from "../../schemas/subjects.ts";
import { type NatsConnection, headers } from "../../services/bus/connection.ts";
import { connect } from "../../services/client/index.ts";
import { withPatience } from "../harness/plane.ts";
import { ALICE, MALLORY, type Town, asked, said, start, startTown } from "./town.ts";

let town: Town;
let nc: NatsConnection;
let looking: NatsConnection;
/** A run with a request that waits: what one would like to answer oneself. */
let run: string;
let request: { request: string; digest: string };
/** Of another agent. */
const hers = `${ALICE}_hers`;
before(async () => {
  town = await startTown();
  nc = town.mallory.nc;
  looking = await town.server.connect("provision", "looking");
  run = await town.run();
  const waiting = await town.call(run, "pay.send", { to: "me", amount: 5000, currency: "USD" });
  request = await asked(town, run, waiting.answer);
  await (await town.agent(ALICE)).propose(hers, start(ALICE) as never);
});
after(() => town?.stop());

const NOTE = () => JSON.stringify({ kind: "note", id: randomUUID(), text: "x" });
const APPROVE = () => JSON.stringify({ id: randomUUID(), ...request, decision: "approve" });

/** What every stream holds: its last sequence. */
async function stored(): Promise<Record<string, number>> {
  const last: Record<string, number> = {};
  for (const kind of STREAMS) {
    // the coordinators' signs of life, one a second, whatever anybody tries
    if (kind === "LEASES") continue;
    const answer = await looking.request(`$JS.API.STREAM.INFO.${streamName(kind, town.ns)}`, "", { timeout: 5000 });
    last[kind] = answer.json<{ state: { last_seq: number } }>().state.last_seq;
  }
  return last;
}

/** What feeds an account is mapped into the void when somebody in it says it. */
const named = (refused: string) => refused.replace(`signalbox.${town.ns}.void.`, `signalbox.${town.ns}.`);

/** The subject that the broker refuses next, of what this connection says or asks to hear. */
async function refusal(from: NatsConnection, doing: () => void): Promise<string> {
  const found = (async () => {
    for await (const status of from.status()) {
      if (status.type === "error" && status.permissionContext !== undefined) return status.permissionContext.subject;
    }
    return "";
  })();
  doing();
  return withPatience(found, "the broker refused nothing");
}

const ns = "default" as Town["ns"];
const me = MALLORY as Actor;
const other = ALICE as Actor;
const SAID: readonly (readonly [what: string, subject: () => string, body: () => string])[] = [
  ["an event of its own run", () => subjects.log(ns, "run", run), () => "an event"],
  ["an event as the live tail shows it", () => subjects.live(ns, "run", run), () => "an event"],
  ["an event by type", () => subjects.event(ns, "action.approved", run), () => "{}"],
  ["an event to a team", () => subjects.team(ns, "town", "action.approved", run), () => "{}"],
  ["a dispatch", () => subjects.dispatch(ns, "pay.send"), () => JSON.stringify({ v: 1, run, action: "a2", attempt: 1 })],
  ["an approval, as an approver", () => subjects.input(ns, "decide", "ann" as Actor, run), APPROVE],
  ["an approval, as itself", () => subjects.input(ns, "decide", me, run), APPROVE],
  ["a report, as a gateway", () => subjects.input(ns, "report", "g1" as Actor, run), () => JSON.stringify({ id: "r", action: "a2", attempt: 1, status: "succeeded", output: {} })],
  ["a report, as itself", () => subjects.input(ns, "report", me, run), () => "{}"],
  ["a control, as an operator", () => subjects.input(ns, "control", "op" as Actor, run), () => JSON.stringify({ verb: "resume", id: "c" })],
  ["the lifting of a stop", () => subjects.input(ns, "control", me, "guard:stops"), () => JSON.stringify({ verb: "lift", id: "l", stop: "s1", reason: "because" })],
  ["a contract for itself", () => subjects.input(ns, "apply", me, `agent:${MALLORY}`), () => JSON.stringify({ id: "a", document: sha256Digest("mine") })],
  ["a policy set, as the plane's own gateway", () => subjects.input(ns, "apply", "signalbox-gateway" as Actor, "policy:default"), () => JSON.stringify({ id: "a", document: sha256Digest("mine") })],
  ["an allowance from a ledger", () => subjects.signal(ns, "ledger:agent%2Emallory%2E2026-01-01", run, "leased"), () => JSON.stringify({ name: "leased", id: "l", granted: 1e9 })],
  ["a due timer", () => subjects.due(ns, run as RunId), () => JSON.stringify({ timer: "approval", armed: 4 })],
  ["a share of the inputs", () => subjects.lease(ns, 0), () => JSON.stringify({ owner: me, epoch: 99 })],
  ["a sign of life of a coordinator", () => subjects.member(ns, "x"), () => "{}"],
  ["a timer", () => subjects.timer(ns, run as RunId, "x"), () => "{}"],
  ["the grant of a claim", () => subjects.grant(ns, "g1" as Actor), () => JSON.stringify({ v: 1, run, verdict: "granted" })],
  ["an answer of the plane to another agent", () => subjects.out(ns, other, hers as RunId), () => "{}"],
  ["a refusal to another agent", () => subjects.rejected(ns, other), () => "{}"],
  ["a document", () => subjects.document(ns, "a".repeat(64)), () => "{}"],
  ["a proposal, as another agent", () => subjects.input(ns, "propose", other, hers), NOTE],
  ["a question for another agent's proposal", () => subjects.ask(ns, other, hers as RunId), NOTE],
  ["a call of a tool", () => subjects.call(ns, "pay.send"), () => JSON.stringify({ to: "me", amount: 5000, currency: "USD" })],
  ["a question to the read model", () => subjects.query(ns, "runs"), () => "{}"],
  ["a question about what approvers are shown", () => subjects.query(ns, `approval.${run}`), () => JSON.stringify({ request: request.request })],
  ["an input where it is stored", () => `signalbox.${ns}.part.${partitionOf(run)}.decide.ann.${run}`, APPROVE],
  ["a proposal in another namespace", () => `signalbox.finance.in.propose.${MALLORY}.${run}`, NOTE],
  ["a purge of the journal", () => `$JS.API.STREAM.PURGE.${streamName("JOURNAL", ns)}`, () => ""],
  ["the deletion of a message", () => `$JS.API.STREAM.MSG.DELETE.${streamName("JOURNAL", ns)}`, () => JSON.stringify({ seq: 1 })],
  ["the deletion of a stream", () => `$JS.API.STREAM.DELETE.${streamName("JOURNAL", ns)}`, () => ""],
  ["another configuration of a stream", () => `$JS.API.STREAM.UPDATE.${streamName("JOURNAL", ns)}`, () => "{}"],
  ["a read of the journal", () => `$JS.API.DIRECT.GET.${streamName("JOURNAL", ns)}`, () => JSON.stringify({ seq: 1 })],
  ["a read of another agent's answers", () => `$JS.API.DIRECT.GET.${streamName("OUT", ns)}.${subjects.out(ns, other, hers as RunId)}`, () => ""],
  ["a consumer of the journal", () => `$JS.API.CONSUMER.CREATE.${streamName("JOURNAL", ns)}.mine`, () => "{}"],
  ["the next dispatch of a tool", () => `$JS.API.CONSUMER.MSG.NEXT.${streamName("DISPATCH", ns)}.pay`, () => ""],
  ["a new account", () => "$SYS.REQ.CLAIMS.UPDATE", () => "jwt"],
];
for (const [what, subject, body] of SAID) {
  test(`CORE-1 an agent cannot publish: ${what}`, async () => {
    const before = await stored();
    assert.equal(named(await refusal(nc, () => nc.publish(subject(), body()))), subject());
    assert.deepEqual(await stored(), before);
  });
}

const HEARD: readonly (readonly [what: string, subject: string])[] = [
  ["the live tail", `signalbox.${ns}.live.>`],
  ["the journal itself", `signalbox.${ns}.log.>`],
  ["events by type", `signalbox.${ns}.event.>`],
  ["another agent's answers", `signalbox.${ns}.out.${ALICE}.>`],
  ["another agent's refusals", `signalbox.${ns}.rejected.${ALICE}`],
  ["inputs of others", `signalbox.${ns}.in.>`],
  ["dispatches", `signalbox.${ns}.dispatch.>`],
  ["grants of claims", `signalbox.${ns}.grant.>`],
  ["calls of a tool, to serve it itself", `signalbox.${ns}.call.pay.send`],
  ["questions to the plane, to answer them itself", `signalbox.${ns}.ask.>`],
  ["somebody else's inbox", "_INBOX_approver_ann.>"],
  ["everything", ">"],
];
for (const [what, subject] of HEARD) {
  test(`CORE-9 an agent cannot hear: ${what}`, async () => {
    assert.equal(await refusal(nc, () => nc.subscribe(subject, { callback: () => undefined })), subject);
  });
}

test("CORE-1 reply-subject injection: an acknowledgement that the server sends with its own rights reaches no subject of the plane", async () => {
  const before = await stored();
  const targets = [
    subjects.log(ns, "run", run),
    subjects.dispatch(ns, "pay.send"),
    subjects.input(ns, "decide", "ann" as Actor, run),
    subjects.input(ns, "control", "op" as Actor, run),
    subjects.signal(ns, "ledger:x", run, "leased"),
    subjects.due(ns, run as RunId),
    subjects.document(ns, "b".repeat(64)),
    `signalbox.${ns}.part.${partitionOf(run)}.decide.ann.${run}`,
    `$JS.API.STREAM.PURGE.${streamName("JOURNAL", ns)}`,
  ];
  for (const reply of targets) {
    // a proposal is stored, and the server acknowledges it to whatever it names
    nc.publish(subjects.input(ns, "propose", me, run), NOTE(), { reply });
    nc.publish(subjects.ask(ns, me, run as RunId), NOTE(), { reply });
    nc.publish(`$JS.API.DIRECT.GET.${streamName("OUT", ns)}.${subjects.out(ns, me, run as RunId)}`, "", { reply });
  }
  // the connection is in order: what is proposed after all of it is answered after all of it
  await nc.flush();
  await town.mallory.propose(run, JSON.parse(NOTE()) as { id: string });
  const after = await stored();
  for (const kind of ["DISPATCH", "CONTROL", "TIMERS", "DOCUMENTS"] as const satisfies readonly StreamKind[]) assert.equal(after[kind], before[kind], kind);
  for (const { body } of await town.events(run)) assert.ok(["run.started", "note.recorded"].includes(body.type) || body.seq <= 12, body.type);
  assert.deepEqual(town.effects, []);
});

test("CORE-1 headers that JetStream would obey change nothing but the agent's own message", async () => {
  const before = await stored();
  for (const [name, value] of [["Nats-Rollup", "all"], ["Nats-Rollup", "sub"], ["Nats-Schedule", "@every 1s"], ["Nats-Schedule-Target", subjects.dispatch(ns, "pay.send")], ["Nats-TTL", "1s"]] as const) {
    const hdrs = headers();
    hdrs.set(name, value);
    nc.publish(subjects.input(ns, "propose", me, run), NOTE(), { headers: hdrs });
    nc.publish(subjects.ask(ns, me, run as RunId), NOTE(), { headers: hdrs });
  }
  await nc.flush();
  await town.mallory.propose(run, JSON.parse(NOTE()) as { id: string });
  const after = await stored();
  for (const kind of ["DISPATCH", "CONTROL", "DOCUMENTS"] as const) assert.equal(after[kind], before[kind], kind);
});

test("CORE-2 ten megabytes are not taken by the server, ten thousand brackets and a body over the limit not by the plane", async () => {
  const before = (await town.events(run)).length;
  await assert.rejects(town.mallory.send("propose", run, JSON.stringify({ kind: "note", id: "big", text: "x".repeat(10 * 1024 * 1024) })), /more than the server takes/);
  const over = await town.mallory.hear("propose", run, { kind: "note", id: "over", text: "x".repeat(600 * 1024) });
  assert.equal(said(over), "turned away too_large");
  const from = town.mallory.rejections.length;
  await town.mallory.send("propose", run, `{"kind":"fail","id":"deep","error":${"[".repeat(10_000)}${"]".repeat(10_000)}}`);
  await town.mallory.rejection((found) => town.mallory.rejections.indexOf(found) >= from);
  assert.equal((await town.events(run)).length, before);
});

test("ID-4 a tool is called by gateways alone: neither an agent nor another tool's credential reaches it", async () => {
  const thief = await town.server.connect("tool", "thief", ns, { tool: "echo.say" });
  const subject = subjects.call(ns, "pay.send");
  assert.equal(await refusal(thief, () => thief.publish(subject, "{}")), subject);
  const taking = await town.server.connect("tool", "thief", ns, { tool: "echo.say" });
  assert.equal(await refusal(taking, () => taking.subscribe(subject, { queue: "q", callback: () => undefined })), subject);
  const box = await connect({ url: town.server.url, creds: (await town.server.issue("agent", MALLORY)).creds, env: {} });
  await assert.rejects(box.tool("pay.send", () => ({ paid: true })));
  await box.close();
  assert.deepEqual(town.effects, []);
});
