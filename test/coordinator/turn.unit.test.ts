/** One lane's turn: inputs in order, each decided once and whole, and what cannot be decided holds up nobody (laws 1, 3, 6 and 9). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunState } from "../../machines/state.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { GRANT_WITHHELD, type Grant } from "../../schemas/dispatch.ts";
import { actor } from "../../schemas/ids.ts";
import { reason } from "../../schemas/reason.ts";
import type { Loaded } from "../../services/coordinator/aggregates.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import { type FactSources } from "../../services/coordinator/facts.ts";
import type { Personal } from "../../services/coordinator/personal.ts";
import type { Placing } from "../../services/coordinator/placing.ts";
import type { Told } from "../../services/coordinator/recent.ts";
import { type Turn, answersOf, guarded } from "../../services/coordinator/turn.ts";
import { documents, person } from "../registry/in-force.ts";
import { NONCE, TOKEN, type Scene, T0, arrives, asks, became, begins, bodyOf, checked, fires, notes, reports, scene, signals, types } from "./scene.ts";

const DIGEST = sha256Digest("something");
const left = ({ lane }: Turn) => (lane.queue() ?? []).map(({ input }) => input.id);
const stateOf = ({ loaded }: { readonly loaded: Loaded }): RunState => (loaded.kind === "run" ? loaded.state : assert.fail(loaded.kind));
/** A run of `clerk` with one action, dispatched: `a2`. */
async function dispatched(of: Scene, run = "clerk_1", tool = "t.write", machine?: string) {
  const lane = await of.lane(run, machine);
  const turn = of.turn(lane, [begins("clerk", run), asks("clerk", run, "t", tool)]);
  assert.equal(types(turn).at(-1), "action.dispatched");
  return lane;
}
const grantOf = (turn: Turn): Grant => turn.done[0]?.grant?.grant ?? assert.fail("no grant");
const control = (run: string, verb: string, id: string = verb, by = "op") => arrives("control", by, run, { verb, id }, 5);

test("law 3: waiting inputs are decided in order into one commit each, behind what is stored; whoever proposed is answered", async () => {
  const of = await scene();
  const lane = await of.lane("clerk_1");
  lane.loaded.streamSeq = 77;
  const turn = of.turn(lane, [begins("clerk", "clerk_1"), notes("clerk_1", "n"), asks("clerk", "clerk_1", "t", "t.read")]);
  assert.deepEqual(types(turn), ["run.started", "note.recorded", "action.proposed", "action.validated", "action.approved", "action.dispatched"]);
  assert.deepEqual([turn.lane, turn.expected, turn.needs, turn.reload, turn.news, left(turn)], [lane, 77, undefined, false, false, []]);
  assert.deepEqual([...turn.answers], ["clerk/s", "clerk/n", "clerk/t"]);
  assert.deepEqual(turn.done.map(({ arrival, refused, grant, reply }) => [arrival.input.id, refused, grant, reply]), [["s", undefined, undefined, undefined], ["n", undefined, undefined, undefined], ["t", undefined, undefined, undefined]]);
  assert.deepEqual([turn.applied, turn.strays], [[], []]);
  const [first, second, third] = turn.events.map(bodyOf);
  assert.deepEqual([first?.seq, second?.seq, third?.seq, third?.part, lane.loaded.head.seq], [1, 2, 3, [1, 4], 6]);
  const { chain, ...cause } = second?.cause ?? assert.fail("no cause");
  assert.deepEqual(cause, { id: "n", kind: "propose", actor: "clerk", time: "2026-01-31T09:30:01.000Z" });
  assert.deepEqual(second?.data["input"], { kind: "note", id: "n", text: "x" });
  assert.deepEqual([second?.data["input_hash"], second?.data["facts"], second?.at], [turn.done[1]?.arrival.input.hash, { kind: "none" }, "2026-01-31T09:30:01.000Z"]);
  assert.deepEqual(chain, ["principal:corp|kim", "agent:clerk"]);
});

test("OPS-1: what traced an input stands in the cause of its events", async () => {
  const of = await scene();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const turn = of.turn(await of.lane("clerk_1"), [begins("clerk", "clerk_1", {}, { headers: new Map([["traceparent", traceparent]]) })]);
  assert.equal(bodyOf(turn.events[0] as never).cause.traceparent, traceparent);
  const first = of.turn(await of.lane("clerk_2", "1"), [begins("clerk", "clerk_2")]);
  assert.ok(!("chain" in bodyOf(first.events[0] as never).cause), "version 1 knew of no chain");
});

test("CORE-5: a turn takes 32 inputs, one where the journal did not take them together, and none beyond the room of its batch", async () => {
  const of = await scene();
  const many = await of.lane("clerk_1");
  const inputs = [begins("clerk", "clerk_1"), ...Array.from({ length: 40 }, (_, n) => notes("clerk_1", `n${n}`))];
  const turn = of.turn(many, inputs);
  assert.deepEqual([turn.done.length, left(turn).length], [32, 9]);
  for (const careful of [2, 1]) {
    many.careful = careful;
    assert.equal(of.turn(many).done.length, 1);
  }
  many.careful = 0;
  assert.equal(of.turn(many, [], { room: 3 }).done.length, 3);
  assert.equal(of.turn(many, [], { room: 0 }).done.length, 0);
  assert.deepEqual(of.turn(await of.lane("clerk_2")).done, []);
});

test("law 2: what has to be fetched first ends the turn before its input, which stays where it is; what was decided goes out", async () => {
  const of = await scene();
  const [tool] = of.store(...documents(JSON.stringify({ ...JSON.parse(Buffer.from(of.bytes(of.sources.registry.tool("t.read")?.digest as never) ?? "").toString()), description: "another" })));
  assert.ok(tool);
  const lane = await of.lane("tool:t%2Eread");
  const apply = (id: string, document: string) => arrives("apply", "op", "tool:t%2Eread", { id, document });
  const turn = of.turn(lane, [apply("a", tool.document), apply("b", tool.document)]);
  assert.deepEqual([turn.needs, turn.done, turn.reload, left(turn)], [{ document: tool.document }, [], false, ["a", "b"]]);
  assert.equal(turn.lane.queue()?.[0]?.tries, 0);
  lane.documents.set(tool.document, of.bytes(tool.document));
  const again = of.turn(lane, [apply("a", tool.document)]);
  // the same input twice puts nothing in force twice
  assert.deepEqual([types(again), became(again), again.applied], [["tool.applied"], ["taken", "taken", "taken"], [tool.document]]);
  const { facts, input } = bodyOf(again.events[0] as never).data;
  assert.deepEqual([facts, input], [{ kind: "applied", faults: [] }, { id: "a", document: tool.document }]);
  lane.documents.set(DIGEST, null);
  const missing = of.turn(lane, [apply("c", DIGEST)]);
  assert.deepEqual([became(missing), missing.applied, missing.events], [["document.missing"], [], []]);
});

test("ID-3: a token that does not hold has its proposal refused, and the next goes on", async () => {
  const of = await scene();
  const lane = await of.lane("clerk_1");
  const bad = checked(asks("clerk", "clerk_1", "t", "t.read"), "eyJ.other.token", { refusals: [reason("principal.expired", "it has ended")] });
  const turn = of.turn(lane, [begins("clerk", "clerk_1"), bad, notes("clerk_1", "n")]);
  assert.deepEqual([became(turn), types(turn), turn.reload, left(turn)], [["taken", "principal.expired", "taken"], ["run.started", "note.recorded"], false, []]);
  const unchecked = of.turn(lane, [checked(asks("clerk", "clerk_1", "u", "t.read"), "eyJ.other.token")]);
  assert.ok(unchecked.needs !== undefined && "token" in unchecked.needs);
  assert.equal(unchecked.needs.token, "eyJ.other.token");
});

test("CORE-5: an input at which the plane fails is tried three times, refused then, and what is behind it waits for a state that is folded again", async () => {
  const of = await scene();
  const judge = { judge: () => assert.fail("the engine broke") };
  const lane = await of.lane("clerk_1");
  of.turn(lane, [begins("clerk", "clerk_1")]);
  const first = of.turn(lane, [notes("clerk_1", "n"), asks("clerk", "clerk_1", "t", "t.read"), notes("clerk_1", "m")], { sources: { judge } });
  assert.deepEqual([became(first), first.reload, left(first), lane.queue()?.[0]?.tries], [["taken"], true, ["t", "m"], 1]);
  const second = of.turn(lane, [], { sources: { judge } });
  assert.deepEqual([second.done, second.reload, left(second), lane.queue()?.[0]?.tries], [[], true, ["t", "m"], 2]);
  const third = of.turn(lane, [], { sources: { judge } });
  assert.deepEqual([became(third), third.reload, left(third), third.events], [["plane.failed"], true, ["m"], []]);
  assert.match(third.done[0]?.refused?.[0]?.message ?? "", /^the plane failed at this input: the engine broke$/);
  const odd = await of.lane("clerk_2");
  of.turn(odd, [begins("clerk", "clerk_2")]);
  const validators = { outputFaults: () => assert.fail("broken") } as unknown as FactSources["validators"];
  const reported = await dispatched(of, "clerk_3", "t.read");
  const unread = of.turn(reported, [Object.assign(reports("gw", "clerk_3", "r", "succeeded", { output: {} }), { tries: 2 })], { sources: { validators } });
  assert.deepEqual([became(unread), grantOf(unread).seq], [["plane.failed refused(plane.failed)"], 0]);
  const thrower = { judge: () => { throw "no error" as unknown as Error; } };
  const again = () => of.turn(odd, odd.waiting ? [] : [asks("clerk", "clerk_2", "t", "t.read")], { sources: { judge: thrower } });
  assert.match([again(), again(), again()][2]?.done[0]?.refused?.[0]?.message ?? "", /: no error$/);
});

test("law 5: what no machine at hand drives, and what came to another kind of aggregate, is decided by none", async () => {
  const of = await scene();
  const failed = async (token: string, arrival: Arrival, machine?: string) => {
    const lane = await of.lane(token);
    if (machine !== undefined) Object.assign(lane.loaded.state, { machine });
    arrival.tries = 2;
    const { done } = of.turn(lane, [arrival]);
    return done[0]?.refused?.map(({ code, message }) => `${code} ${message}`).join();
  };
  assert.match((await failed("clerk_1", notes("clerk_1", "n"), "99")) ?? "", /^plane.failed .*machine version `99` is missing/);
  const seal = { name: "open", id: "x", segment: 2 };
  const asked = { name: "lease", id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", need: 1, want: 2 };
  const inputs: [string, string, Arrival][] = [
    ["run", "guard:stops", notes("clerk_1", "n")],
    ["ledger", "guard:stops", signals("clerk_1", "ledger:team%2Ex%2E2026-01-31", asked)],
    ["guard", "clerk_1", arrives("control", "op", "guard:stops", { verb: "stop", id: "s", scope: "all", reason: "r" })],
    ["segments", "clerk_1", signals("segments:journal", "segments:journal", seal)],
    ["erasure", "clerk_1", arrives("control", "op", "erasure:subjects", { verb: "erase", id: "e", subject: "kim", reason: "r" })],
    ...["clerk_1", "ledger:team%2Ex%2E2026-01-31", "guard:stops", "erasure:subjects", "segments:journal"].map((token): [string, string, Arrival] => ["document", token, arrives("apply", "op", "tool:t%2Eread", { id: "a", document: DIGEST })]),
  ];
  for (const [what, token, arrival] of inputs) assert.match((await failed(token, arrival)) ?? "", new RegExp(`an input for a ${what} came to a `), `${what} ${token}`);
});

test("GUARD-9 law 9: whoever is revoked or disabled says nothing more; what services and gateways say is theirs", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  of.stop("person:ann", "revocation");
  of.stop("agent:clerk", "revocation");
  await of.apply(person("bob", ["approver"], { disabled: true }));
  of.sources.people.changed();
  const why = (turn: Turn) => turn.done.map(({ refused, grant }) => [refused?.[0]?.code, refused?.[0]?.message, refused?.[0]?.help, grant]);
  assert.deepEqual(why(of.turn(lane, [notes("clerk_1", "n")])), [["actor.revoked", "`clerk` is revoked: it went wild", "`agent:clerk`", undefined]]);
  const decision = { id: "d", request: "q9", decision: "approve", digest: DIGEST };
  const revoked = ["actor.revoked", "`ann` is revoked: it went wild", "`person:ann`", undefined];
  assert.deepEqual(why(of.turn(lane, [arrives("decide", "ann", "clerk_1", decision)])), [revoked]);
  assert.deepEqual(why(of.turn(lane, [control("clerk_1", "pause", "p", "ann")])), [revoked]);
  assert.deepEqual(why(of.turn(lane, [control("clerk_1", "pause", "p", "bob")])), [["actor.revoked", "`bob` is disabled: the person's document says so", "`person:bob`", undefined]]);
  const documentLane = await of.lane("tool:t%2Eread");
  assert.deepEqual(why(of.turn(documentLane, [arrives("apply", "ann", "tool:t%2Eread", { id: "a", document: DIGEST })])), [revoked]);
  assert.deepEqual(became(of.turn(lane, [control("clerk_1", "pause", "p")])), ["taken"]);
  of.stop("person:gw", "revocation");
  assert.notDeepEqual(became(of.turn(lane, [reports("gw", "clerk_1", "r", "started")])), ["actor.revoked"]);
});

test("EXEC-8: a ledger answers whoever asks, again when it is asked again, and refuses what it cannot count", async () => {
  const of = await scene();
  const lane = await of.lane("ledger:team%2Ex%2E2026-01-31");
  const asked = { name: "lease", id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", need: 1, want: 2 };
  const turn = of.turn(lane, [signals("clerk_1", "ledger:team%2Ex%2E2026-01-31", asked), signals("clerk_1", "ledger:team%2Ex%2E2026-01-31", asked)]);
  const reply = { name: "leased", id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", granted: 2, total: 2 };
  assert.equal(turn.events.length, 1);
  assert.deepEqual(turn.done.map(({ refused, grant, reply: said }) => [refused, grant, said]), [[undefined, undefined, reply], [undefined, undefined, reply]]);
  assert.equal(lane.loaded.head.seq, 1);
  const other = of.turn(lane, [signals("clerk_1", "ledger:team%2Ex%2E2026-01-31", { ...asked, want: 3 })]);
  assert.equal(other.done.length, 1);
  assert.ok(other.done[0]?.refused !== undefined && other.done[0].reply === undefined);
});

test("GUARD-9: a stop is recorded with who is known to have said it; the same twice is one", async () => {
  const of = await scene();
  const lane = await of.lane("guard:stops");
  const stop = arrives("control", "op", "guard:stops", { verb: "stop", id: "s", scope: "all", reason: "r" });
  const turn = of.turn(lane, [stop, stop, arrives("control", "op", "guard:stops", { verb: "lift", id: "l", stop: "s9", reason: "r" })]);
  assert.deepEqual([types(turn), became(turn).slice(0, 2), turn.done.length], [["guard.stopped"], ["taken", "taken"], 3]);
  assert.ok(turn.done[2]?.refused !== undefined);
  assert.deepEqual(bodyOf(turn.events[0] as never).data["facts"], { kind: "guard", person: of.sources.people.facts("op") });
});

test("CORE-6: the table of segments is decided by what is placed; without one there is a single stream", async () => {
  const of = await scene();
  const facts: unknown[] = [];
  const placement = { facts: (arrival: Arrival) => (facts.push(arrival), { kind: "segments", streams: 3, lead_ms: 70_000 }) } as unknown as Placing;
  const open = arrives("control", "op", "segments:journal", { verb: "open", id: "o" });
  const placed = of.turn(await of.lane("segments:journal"), [open, open], { sources: { placement } });
  assert.deepEqual([became(placed), types(placed), facts], [["taken", "taken"], ["segments.opened"], [open, open]]);
  assert.deepEqual(bodyOf(placed.events[0] as never).data["facts"], { kind: "segments", streams: 3, lead_ms: 70_000 });
  const single = of.turn(await of.lane("segments:journal"), [arrives("control", "op", "segments:journal", { verb: "open", id: "o" })]);
  assert.equal(single.done.length, 1);
  assert.ok(single.done[0]?.refused !== undefined, "there is no stream for it");
});

test("law 10: an erasure is recorded under a pseudonym and names the key that the store has; without the plane's key it is refused", async () => {
  const of = await scene();
  const erase = () => arrives("control", "op", "erasure:subjects", { verb: "erase", id: "e", subject: "kim", reason: "r" });
  assert.deepEqual(became(of.turn(await of.lane("erasure:subjects"), [erase()])), ["erasure.no_keys"]);
  const pseudonym = "0".repeat(32);
  const personal = { keys: {}, erasure: (input: { body: object }) => ({ ...input, hash: DIGEST, body: { ...input.body, subject: pseudonym } }) } as unknown as Personal;
  const lane = await of.lane("erasure:subjects");
  const asked = of.turn(lane, [erase()], { sources: { personal } });
  assert.deepEqual([asked.needs, asked.done], [{ stored: pseudonym }, []]);
  Object.assign(lane.queue()?.[0] as Arrival, { stored: "1".repeat(16) });
  const turn = of.turn(lane, [], { sources: { personal } });
  assert.deepEqual(became(turn), ["taken"]);
  const { data } = bodyOf(turn.events[0] as never);
  assert.deepEqual([data["facts"], data["input_hash"], (data["input"] as { subject: string }).subject], [{ kind: "erasure", key: "1".repeat(16) }, DIGEST, pseudonym]);
  const none = await of.lane("erasure:subjects");
  const found = of.turn(none, [Object.assign(erase(), { stored: null })], { sources: { personal } });
  assert.deepEqual([found.needs, became(found), found.events], [undefined, ["erasure.nothing"], []]);
  // what is destroyed needs no look at the store
  const destroyed = of.turn(lane, [arrives("control", "signalbox-eraser", "erasure:subjects", { verb: "destroyed", id: "x", subject: pseudonym, key: "1".repeat(16) })], { sources: { personal } });
  assert.deepEqual([destroyed.needs, became(destroyed)], [undefined, ["taken"]]);
  const unknown = of.turn(lane, [arrives("control", "signalbox-eraser", "erasure:subjects", { verb: "destroyed", id: "y", subject: "f".repeat(32), key: "2".repeat(16) })], { sources: { personal } });
  assert.equal(unknown.done.length, 1);
});

test("CORE-6: a run is placed with its first event, by the time of its input, and never again", async () => {
  const of = await scene();
  const placed: unknown[] = [];
  const placement = { place: ({ name }: { name: string }, time: string) => void placed.push([name, time]) } as unknown as Placing;
  of.turn(await of.lane("clerk_1"), [begins("clerk", "clerk_1"), notes("clerk_1", "n")], { sources: { placement } });
  assert.deepEqual(placed, [["clerk_1", new Date(T0).toISOString()]]);
});

test("GUARD-9: a run of version 1, whose machine knows of no stops, is stopped before it is asked; what it did before is answered", async () => {
  const of = await scene();
  const lane = await dispatched(of, "clerk_1", "t.write", "1");
  const claim = () => reports("gw", "clerk_1", "r", "started");
  const [claimed, other] = [await dispatched(of, "clerk_2", "t.write", "1"), await dispatched(of, "clerk_3", "t.read", "1")];
  assert.deepEqual(became(of.turn(claimed, [reports("gw", "clerk_2", "r", "started")])), ["taken granted"]);
  of.stop("tool:t.write");
  const seq = lane.loaded.head.seq;
  const refused = of.turn(lane, [claim(), asks("clerk", "clerk_1", "u", "t.write"), asks("clerk", "clerk_1", "t", "t.write"), asks("clerk", "clerk_1", "v", "t.read"), notes("clerk_1", "n")]);
  assert.deepEqual(became(refused), ["guard.stopped refused(guard.stopped)", "guard.stopped", "taken", "taken", "taken"]);
  assert.deepEqual([refused.done[0]?.refused?.[0]?.message, refused.done[0]?.grant?.grant.seq], ["`tool:t.write` is stopped: it went wild", seq]);
  assert.deepEqual(became(of.turn(claimed, [reports("gw", "clerk_2", "r", "started"), reports("gw", "clerk_2", "r2", "succeeded", { output: {} })])), ["taken granted", "taken recorded"]);
  assert.deepEqual(became(of.turn(other, [reports("gw", "clerk_3", "r", "started")])), ["taken granted"]);
  // a later machine records it
  const later = await of.lane("clerk_4");
  const recorded = of.turn(later, [begins("clerk", "clerk_4"), asks("clerk", "clerk_4", "t", "t.write")]);
  assert.deepEqual([became(recorded), types(recorded).at(-1)], [["taken", "taken"], "action.denied"]);
  of.stop("agent:clerk");
  assert.deepEqual(became(of.turn(other, [notes("clerk_3", "n"), asks("clerk", "clerk_3", "w", "t.read")])), ["taken", "guard.stopped"]);
});

test("law 9: a claim is granted to who holds it, exactly; everybody else is refused with the reason, and a report is recorded", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  const claimed = of.turn(lane, [reports("gw", "clerk_1", "r", "started")]);
  const { seq } = lane.loaded.head;
  assert.deepEqual(claimed.done[0]?.grant, {
    gateway: "gw",
    grant: { v: 1, run: "clerk_1", report: "r", action: "a2", attempt: 1, claim: { gateway: "gw", nonce: NONCE }, verdict: "granted", seq },
  });
  // an agent that was told of the approval hears of the beginning with the end
  assert.deepEqual([[...claimed.answers], types(claimed), claimed.news], [[], ["action.started"], false]);
  const again = of.turn(lane, [reports("gw", "clerk_1", "r", "started"), reports("gw", "clerk_1", "r2", "started", { claim: { gateway: "gw", nonce: "87654321" } }), reports("gx", "clerk_1", "r3", "started"), reports("gw", "clerk_1", "r4", "started", { attempt: 2 })]);
  assert.deepEqual(became(again), ["taken granted", "report.not_holder refused(report.not_holder)", "report.not_holder refused(report.not_holder)", "report.not_holder refused(report.not_holder)"]);
  assert.deepEqual([...again.answers], ["clerk/t"]);
  assert.deepEqual([again.done[0]?.grant?.grant.seq, again.done[1]?.grant?.grant.seq], [seq, seq]);
  // a claim that is not word for word the one that stands is not granted, whatever was recorded of it once
  const { context } = stateOf(lane).actions.get("a2" as never) ?? assert.fail("no action");
  for (const other of [{ attempt: 2 }, { claim: { gateway: "gx", nonce: NONCE } }, { claim: { gateway: "gw", nonce: "87654321" } }]) {
    const before = { attempt: context.attempt, claim: context.claim };
    Object.assign(context, other);
    assert.deepEqual(became(of.turn(lane, [reports("gw", "clerk_1", "r", "started")])), ["taken refused(report.not_holder)"]);
    Object.assign(context, before);
  }
  const ended = of.turn(lane, [reports("gw", "clerk_1", "s", "succeeded", { output: {} })]);
  assert.deepEqual([became(ended), [...ended.answers]], [["taken recorded"], ["clerk/t"]]);
  // the claim that it was is no claim any more
  assert.deepEqual(became(of.turn(lane, [reports("gw", "clerk_1", "r", "started"), reports("gw", "clerk_1", "s", "succeeded", { output: {} })])), ["taken refused(report.not_holder)", "taken recorded"]);
});

test("law 9: of an action that failed its claim is refused with what it failed of", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  of.turn(lane, [reports("gw", "clerk_1", "r", "started"), reports("gw", "clerk_1", "f", "failed", { error: { code: "card.declined", message: "no", effect: "done" } })]);
  assert.deepEqual(became(of.turn(lane, [reports("gw", "clerk_1", "r", "started")])), ["taken refused(card.declined)"]);
});

test("law 9: a read that was never claimed is told of when it has ended; a person's word that is repeated tells nobody anything new", async () => {
  const of = await scene();
  const read = await dispatched(of, "clerk_1", "t.read");
  const ended = of.turn(read, [reports("gw", "clerk_1", "r", "succeeded", { output: {} })]);
  assert.deepEqual([types(ended), [...ended.answers], became(ended)], [["action.started", "action.succeeded", "action.verified"], ["clerk/t"], ["taken recorded"]]);
  const lane = await dispatched(of, "clerk_2");
  of.turn(lane, [reports("gw", "clerk_2", "r", "started"), reports("gw", "clerk_2", "s", "in_doubt")]);
  const resolve = () => arrives("control", "op", "clerk_2", { verb: "resolve", id: "v", action: "a2", outcome: "succeeded", output: {} }, 9);
  const resolved = of.turn(lane, [resolve()]);
  assert.deepEqual([resolved.events.length > 0, [...resolved.answers]], [true, ["clerk/t"]]);
  assert.deepEqual([...of.turn(lane, [resolve()]).answers], []);
});


test("law 3: a timer that is not the one waited for is a stray; one that is, is decided", async () => {
  const of = await scene();
  const lane = await of.lane("sprinter_1");
  of.turn(lane, [begins("sprinter", "sprinter_1")]);
  const stray = of.turn(lane, [fires("sprinter_1", "wall", 99, 1)]);
  assert.deepEqual([stray.strays, became(stray), stray.events, stray.news], [[{ timer: "wall", armed: 99 }], ["taken"], [], false]);
  const { armed } = stateOf(lane).wall;
  const due = of.turn(lane, [fires("sprinter_1", "wall", armed, 5)]);
  assert.deepEqual([due.strays, types(due).at(-1), due.news], [[], "run.failed", true]);
});

test("law 3: whoever repeats an input hears what was said to it; what was said before a restart is said again", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  const repeated = of.turn(lane, [begins("clerk", "clerk_1"), asks("clerk", "clerk_1", "t", "t.write")]);
  assert.deepEqual([repeated.events, became(repeated), [...repeated.answers], repeated.news], [[], ["taken", "taken"], ["clerk/s", "clerk/t"], false]);
  const told = new Map<string, Told>([["control/op/pause", { keys: ["clerk/t", "clerk/s"], news: true }], ["due/timer/x/5", { keys: ["clerk/t"], news: false }]]);
  const recent = { of: ({ kind, actor: by, id, body }: { kind: string; actor: string; id: string; body: object }) => told.get(`${kind}/${by}/${id}${"armed" in body ? `/${String(body.armed)}` : ""}`) };
  const paused = of.turn(lane, [control("clerk_1", "pause")]);
  assert.deepEqual([types(paused), paused.news], [["run.paused"], true]);
  const silent = of.turn(lane, [control("clerk_1", "pause")]);
  assert.deepEqual([silent.events, silent.news, [...silent.answers]], [[], false, []]);
  Object.assign(lane.loaded, { recent });
  const again = of.turn(lane, [control("clerk_1", "pause")]);
  assert.deepEqual([again.events, again.news, [...again.answers]], [[], true, ["clerk/t", "clerk/s"]]);
  const due = of.turn(lane, [fires("clerk_1", "x", 5, 9)]);
  assert.deepEqual([due.news, [...due.answers], due.strays], [false, ["clerk/t"], [{ timer: "x", armed: 5 }]]);
});

test("law 3: the agent is told of what another did to its run; its own end it is told as an answer", async () => {
  const of = await scene();
  const lane = await of.lane("clerk_1");
  of.turn(lane, [begins("clerk", "clerk_1")]);
  const noted = of.turn(lane, [notes("clerk_1", "n")]);
  assert.equal(noted.news, false);
  const both = of.turn(lane, [control("clerk_1", "pause"), control("clerk_1", "resume"), notes("clerk_1", "m")]);
  assert.equal(both.news, true, "also when something else follows");
  const finished = of.turn(lane, [arrives("propose", "clerk", "clerk_1", { kind: "finish", id: "f" }, 9)]);
  assert.deepEqual([types(finished), finished.news, [...finished.answers]], [["run.completed"], false, ["clerk/f"]]);
  const refused = of.turn(lane, [control("clerk_1", "pause", "late")]);
  assert.deepEqual([refused.done.length, refused.done[0]?.grant], [1, undefined]);
  assert.ok(refused.done[0]?.refused !== undefined);
});

test("GUARD-9: what was stopped behind a claim withholds its grant; nobody else's word changes", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  const turn = of.turn(lane, [reports("gw", "clerk_1", "r", "started")]);
  const grant = turn.done[0]?.grant ?? assert.fail("no grant");
  const { sources } = of;
  assert.equal(guarded(sources, lane.loaded, grant), grant);
  of.stop("tool:t.write");
  assert.deepEqual(guarded(sources, lane.loaded, grant), { ...grant, grant: { ...grant.grant, verdict: "refused", code: GRANT_WITHHELD } });
  const recorded = { ...grant, grant: { ...grant.grant, verdict: "recorded" as const } };
  assert.equal(guarded(sources, lane.loaded, recorded), recorded);
  assert.equal(guarded(sources, (await of.lane("guard:stops")).loaded, grant), grant);
  const other = await dispatched(of, "clerk_2", "t.read");
  const read = of.turn(other, [reports("gw", "clerk_2", "r", "started")]).done[0]?.grant ?? assert.fail("no grant");
  assert.equal(guarded(sources, other.loaded, read), read);
  of.stop("agent:clerk");
  assert.equal(guarded(sources, other.loaded, { ...read, grant: { ...read.grant, action: "a99" as never } }).grant.verdict, "refused", "the run itself is stopped");
});

test("law 3: answers go to the agent that proposed, one for each proposal that there is", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  const answers = answersOf(stateOf(lane), ["clerk/s", "clerk/none", "clerk/t"]);
  assert.deepEqual(answers.map(({ agent, answer }) => [agent, answer.id, answer.run, answer.status]), [[actor("clerk"), "s", "clerk_1", "started"], [actor("clerk"), "t", "clerk_1", "approved"]]);
});

test("ID-3: a token with what a run has already says nothing new", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  const turn = of.turn(lane, [checked(asks("clerk", "clerk_1", "u", "t.read"), TOKEN)]);
  assert.deepEqual([turn.needs, became(turn)], [undefined, ["taken"]]);
  const judged: unknown[] = [];
  const sources: Partial<FactSources> = { judge: { judge: (asked) => (judged.push(asked), of.sources.judge.judge(asked)) } };
  of.turn(lane, [asks("clerk", "clerk_1", "u", "t.read")], { sources });
  assert.deepEqual(judged, [], "what was decided is not judged again");
});
