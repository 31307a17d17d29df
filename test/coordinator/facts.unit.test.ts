/** What is looked up for an input before a machine sees it: recorded before it is used, and never looked up twice (laws 2, 9 and 10). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunState } from "../../machines/state.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { actor } from "../../schemas/ids.ts";
import { reason } from "../../schemas/reason.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import { type FactSources, type Lookups, Needs, Unbelieved, fetching, guardHit } from "../../services/coordinator/facts.ts";
import { documents, person, policySet } from "../registry/in-force.ts";
import { KIM, type Scene, TOKEN, arrives, asks, became, begins, checked, fires, notes, reports, scene, signals } from "./scene.ts";
import { stateOf, gather, gathered, needed, running, dispatched, pending, inForce, changePolicy, NONE, OTHER_TOKEN, type Own } from "./facts-alone.ts";

test("law 2: a start rests on the contract and the policies in force, on what the contract says of its agent, and on its limits", async () => {
  const of = await scene();
  const full = {
    agent: { name: "full", version: "2.1", owner: "o", team: "x", project: "p", purpose: "everything" },
    budgets: { max_steps: 1, max_cost_usd_per_run: 2.5, max_wall_seconds: 3, max_input_tokens: 4, max_output_tokens: 5, max_depth: 6, pause_at_half: true },
    tools: { allowlist: [{ name: "t.read" }] },
  };
  await of.apply(...documents(JSON.stringify(full)));
  assert.deepEqual(gather(of, await of.lane("full_1"), begins("full", "full_1")), {
    kind: "start",
    documents: inForce(of, "full"),
    agent: { name: "full", version: "2.1", owner: "o", team: "x", project: "p", purpose: "everything" },
    budgets: { max_steps: 1, max_cost_micro_usd: 2_500_000, max_wall_ms: 3000, max_input_tokens: 4, max_output_tokens: 5, max_depth: 6, pause_at_half: true },
    principal: KIM,
  });
  const plain = gathered("start", of, await of.lane("clerk_1"), begins("clerk", "clerk_1"));
  assert.deepEqual(plain, { kind: "start", documents: inForce(of, "clerk"), agent: { name: "clerk", owner: "owner", team: "team", purpose: "to be tested" }, budgets: {}, principal: KIM });
  assert.deepEqual(Object.keys(plain.agent ?? {}).toSorted(), ["name", "owner", "purpose", "team"]);
  // who starts for another is refused by the machine, and looked up by its own name
  const forAnother = arrives("propose", "clerk", "clerk_1", { kind: "start", id: "s", agent: { name: "full" }, goal: "g" });
  assert.equal(gathered("start", of, await of.lane("clerk_1"), forAnother).agent?.name, "clerk");
  assert.deepEqual(gather(of, await of.lane("nobody_1"), begins("nobody", "nobody_1")), { kind: "start", documents: { policy: of.sources.registry.policy()?.digest }, budgets: {}, principal: null });
});

test("law 2: what is not in force is not named, neither for a start nor for a claim", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  Object.defineProperty(of.sources.registry, "policy", { value: () => undefined });
  assert.deepEqual(gathered("start", of, await of.lane("clerk_2"), begins("clerk", "clerk_2")).documents, { contract: of.sources.registry.contract("clerk")?.digest });
  Object.defineProperty(of.sources.registry, "contract", { value: () => undefined });
  const now = (found: object) => Object.keys(found);
  const { documents: found } = gathered("current", of, lane, reports("gw", "clerk_1", "r", "started"));
  assert.deepEqual([now(found), found.tool], [["tool"], of.sources.registry.tool("t.write")?.digest]);
});

test("ID-3: a start's token is verified once, and only where the start may be admitted at all", async () => {
  const of = await scene();
  const lane = await of.lane("clerk_1");
  const start = (agent = "clerk", run = "clerk_1") => arrives("propose", agent, run, { kind: "start", id: "again", agent: { name: agent }, goal: "g" });
  const principal = (arrival: Arrival, own = lane) => gathered("start", of, own, arrival).principal;
  assert.deepEqual(needed(() => gather(of, lane, checked(start(), OTHER_TOKEN))), { token: OTHER_TOKEN, agent: "clerk", same: null });
  assert.deepEqual([principal(start()), principal(checked(start(), "")), principal(checked(start(), "kim"))], [null, null, { subject: "kim", verified: false }]);
  const refusals = [reason("principal.expired", "it has ended")];
  const refused = gathered("start", of, lane, checked(start(), OTHER_TOKEN, { refusals }));
  assert.deepEqual([refused.principal, refused.refusals], [null, refusals]);
  // nobody looks at it where there is no contract, the run is another's, or there is the run already
  assert.equal(principal(checked(start("nobody", "nobody_1"), OTHER_TOKEN), await of.lane("nobody_1")), null);
  assert.equal(principal(checked(start("stranger", "clerk_1"), OTHER_TOKEN)), null);
  assert.equal(principal(checked(start(), OTHER_TOKEN), await running(of)), null);
});

test("GUARD-9: what covers a start is recorded with it: its agent, version, team and principal, or the person behind it", async () => {
  const hit = async (prepare: (of: Scene) => unknown) => {
    const of = await scene();
    await of.apply(...documents(JSON.stringify({ agent: { name: "clerk", version: "2", owner: "o", team: "x", purpose: "p" }, budgets: {}, tools: { allowlist: [] } })));
    await prepare(of);
    return gathered("start", of, await of.lane("clerk_1"), begins("clerk", "clerk_1")).guard?.scope;
  };
  for (const scope of ["all", "agent:clerk", "version:clerk@2", "team:x", "principal:corp|kim"]) assert.equal(await hit((of) => of.stop(scope)), scope);
  assert.equal(await hit((of) => of.stop("tool:t.read")), undefined);
  assert.equal(await hit((of) => of.apply(person("kim", [], { disabled: true }))), "principal:corp|kim");
  assert.equal(await hit(() => undefined), undefined);
});

test("law 2: what a machine answers without facts costs no look at them: a repetition, a stranger's word, and what comes behind the end", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  const judge = { judge: () => assert.fail("it was judged") };
  const none = (arrival: Arrival) => assert.deepEqual(gather(of, lane, arrival, { sources: { judge } }), NONE);
  none(asks("clerk", "clerk_1", "t", "t.write"));
  none(begins("clerk", "clerk_1"));
  none(asks("stranger", "clerk_1", "x", "t.write"));
  none(notes("clerk_1", "n"));
  none(fires("clerk_1", "wall", 1, 5));
  none(arrives("control", "op", "clerk_1", { verb: "pause", id: "p" }));
  for (const verb of ["resume", "cancel"]) none(arrives("control", "op", "clerk_1", { verb, id: "p" }));
  const strangers = arrives("propose", "stranger", "clerk_1", { kind: "start", id: "z", agent: { name: "stranger" }, goal: "g" });
  assert.equal(gather(of, lane, checked(strangers, "")).kind, "start", "a start is the machine's to refuse");
  assert.equal(gather(of, lane, asks("clerk", "clerk_1", "u", "t.read")).kind, "tool");
  of.turn(lane, [arrives("control", "op", "clerk_1", { verb: "cancel", id: "stop" }, 5)]);
  none(asks("clerk", "clerk_1", "late", "t.read"));
  const again = reports("gw", "clerk_1", "r", "started");
  assert.equal(gather(of, lane, again).kind, "current", "what others say of an ended run is looked up");
});

test("law 2: a proposal is judged by what is in force, as the run stands", async () => {
  const of = await scene();
  const lane = await running(of);
  const found = gathered("tool", of, lane, asks("clerk", "clerk_1", "t", "t.write"));
  assert.deepEqual([found.documents, found.judgement?.decision, found.guard, found.principal, found.faults], [inForce(of, "clerk", "t.write"), "allow", undefined, undefined, []]);
  const asked: string[] = [];
  Object.defineProperty(of.sources.registry, "budget", { value: (account: string) => void asked.push(account) });
  gather(of, lane, asks("clerk", "clerk_1", "t", "t.dear"));
  assert.ok(asked.includes("team.team"));
  assert.equal(gathered("tool", of, lane, asks("clerk", "clerk_1", "t", "t.none")).documents.tool, undefined);
  for (const scope of ["tool:t.read", "agent:clerk"]) {
    of.stop(scope);
    assert.equal(gathered("tool", of, lane, asks("clerk", "clerk_1", "t", "t.read")).guard?.scope, "tool:t.read");
  }
  assert.equal(gathered("tool", of, lane, asks("clerk", "clerk_1", "t", "t.write")).guard?.scope, "agent:clerk");
  const first = await running(await scene(), "clerk", "1");
  assert.equal(gathered("tool", of, first, asks("clerk", "clerk_1", "t", "t.write")).guard, undefined, "version 1 knows of no stops");
});

test("ID-3: a fresh token is of the run's own principal, and says something new, or it is refused", async () => {
  const of = await scene();
  const lane = await running(of);
  const fresh = (own: Own, arrival: Arrival) => gathered("tool", of, own, arrival).principal;
  const ask = () => asks("clerk", "clerk_1", "t", "t.read");
  const other = { ...KIM, token_hash: sha256Digest(OTHER_TOKEN) };
  assert.deepEqual(needed(() => fresh(lane, checked(ask(), OTHER_TOKEN))), { token: OTHER_TOKEN, agent: "clerk", same: KIM });
  assert.deepEqual([fresh(lane, ask()), fresh(lane, checked(ask(), "")), fresh(lane, checked(ask(), TOKEN)), fresh(lane, checked(ask(), "kim"))], [undefined, undefined, undefined, undefined]);
  assert.deepEqual([fresh(lane, checked(ask(), OTHER_TOKEN, { principal: other })), fresh(lane, checked(ask(), OTHER_TOKEN, { principal: null }))], [other, undefined]);
  const unbelieved = (own: Own, arrival: Arrival) => {
    try {
      fresh(own, arrival);
    } catch (error) {
      if (error instanceof Unbelieved) return [error.name, ...error.reasons.map(({ code, help }) => [code, help])];
      throw error;
    }
    return assert.fail("it was believed");
  };
  assert.deepEqual(unbelieved(lane, checked(ask(), OTHER_TOKEN, { refusals: [reason("principal.expired", "it has ended")] })), ["Unbelieved", ["principal.expired", undefined]]);
  const nobody = await of.lane("clerk_2");
  of.turn(nobody, [arrives("propose", "clerk", "clerk_2", { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" })]);
  const later = () => asks("clerk", "clerk_2", "t", "t.read");
  assert.deepEqual(unbelieved(nobody, checked(later(), OTHER_TOKEN, { principal: other })), ["Unbelieved", ["principal.other", "bring the token with `start`"]]);
  assert.equal(fresh(nobody, checked(later(), "kim")), undefined);
  assert.deepEqual(needed(() => fresh(nobody, checked(later(), OTHER_TOKEN))), { token: OTHER_TOKEN, agent: "clerk", same: null });
  const first = await running(of, "clerk", "1");
  assert.equal(fresh(first, checked(ask(), OTHER_TOKEN)), undefined, "version 1 takes none");
  // the stop of who it is by is looked up by the fresh one
  of.stop("principal:corp|lee");
  assert.equal(gathered("tool", of, lane, checked(ask(), OTHER_TOKEN, { principal: { ...other, subject: "lee" } })).guard?.scope, "principal:corp|lee");
});

test("law 10: what is marked personal is opened for the schema alone, and judged sealed", async () => {
  const of = await scene();
  await of.apply(...documents(JSON.stringify({ name: "t.mail", description: "d", effect: "read", adapter: "nats", trusted: true, timeout_ms: 5000, input: { type: "object", required: ["to"], properties: { to: { type: "string" } } }, output: { type: "object" }, personal: [{ path: "to", subject: "to" }] })), ...documents(JSON.stringify({ agent: { name: "clerk", owner: "o", team: "team", purpose: "p" }, budgets: {}, tools: { allowlist: [{ name: "t.mail" }] } })));
  const opened: unknown[] = [];
  const open = (state: RunState, value: object, marks: readonly object[]) => (opened.push([state.run, value, marks.length]), { plain: { to: "kim@x" }, faults: [], sealed: [], digests: [] });
  const personal = { open, any: true, seal: (_: unknown, input: object) => input } as unknown as FactSources["personal"];
  const lane = await running(of);
  const judged = gathered("tool", of, lane, asks("clerk", "clerk_1", "t", "t.mail", { to: { $sealed: "x" } }), { sources: { personal } });
  assert.deepEqual([judged.faults, judged.judgement?.decision], [[], "allow"]);
  assert.deepEqual(opened, [["clerk_1", { to: { $sealed: "x" } }, 1]]);
  gather(of, lane, asks("clerk", "clerk_1", "t", "t.read"), { sources: { personal } });
  assert.equal(opened.length, 1, "what is not marked is not opened");
});

test("law 2: what must be there first is said by throwing, and what cannot be had is null", () => {
  const digest = sha256Digest("x");
  const of = (found: Uint8Array | null | undefined) => fetching({ fetched: () => found } as unknown as Lookups);
  assert.deepEqual(needed(() => of(undefined).document(digest)), { document: digest });
  assert.deepEqual([of(null).document(digest), of(Buffer.from("a")).document(digest)], [null, Buffer.from("a")]);
  assert.deepEqual(needed(() => of(null).keys({ keys: [] })), { keys: [] });
  const words = [{ document: digest }, { token: "t", agent: actor("a"), same: null }, { table: "" }, { keys: [] }].map((what) => new Needs(what).message);
  assert.deepEqual(words, [`document ${digest} is needed first`, "a token is to be verified first", "the table of segments is to be read first", "keys are needed first"]);
  assert.equal(new Needs({ keys: [] }).name, "Needs");
});

test("APP-2 law 9: a decision rests on who decides, on what is in force, and on a new judgement where that is not what was judged", async () => {
  const of = await scene();
  const { lane, decides } = await pending(of);
  const ann = of.sources.people.facts("ann");
  assert.deepEqual(gather(of, lane, decides("approve")), { kind: "current", documents: inForce(of, "asker", "t.write"), person: ann });
  assert.deepEqual(gathered("current", of, lane, decides("approve", {}, "nobody")).person, null);
  const edited = gathered("current", of, lane, decides("edit", { input: { text: "y" } }));
  assert.deepEqual([edited.again?.judgement?.decision, edited.person], ["ask", ann]);
  const unknown = gathered("current", of, lane, arrives("decide", "ann", "asker_1", { id: "d", request: "q999", decision: "edit", digest: sha256Digest("x"), input: {} }));
  assert.deepEqual([unknown.again, unknown.documents, unknown.person], [undefined, inForce(of, "asker"), ann]);
  of.stop("tool:t.write");
  assert.equal(gathered("current", of, lane, decides("approve")).guard?.scope, "tool:t.write");
  assert.equal(gathered("current", of, lane, decides("edit", { input: {} })).again?.guard?.scope, "tool:t.write");
  assert.equal(unknown.guard, undefined);
  await changePolicy(of);
  const again = gathered("current", of, lane, decides("approve"));
  assert.deepEqual([again.documents, again.again?.documents], [inForce(of, "asker", "t.write"), inForce(of, "asker", "t.write")]);

  const decided = await scene();
  const asked = await pending(decided);
  assert.deepEqual(became(decided.turn(asked.lane, [asked.decides("approve", { reason: "ok" })])), ["taken"]);
  await changePolicy(decided);
  for (const decision of ["approve", "edit"]) {
    const late = gathered("current", decided, asked.lane, asked.decides(decision, { ...(decision === "edit" && { input: {} }) }, "bob"));
    assert.deepEqual([late.again, late.person], [undefined, decided.sources.people.facts("bob")], decision);
  }

  const first = await scene();
  const old = await pending(first, "1");
  first.stop("tool:t.write");
  await changePolicy(first);
  assert.deepEqual(gather(first, old.lane, old.decides("approve")), { kind: "current", documents: inForce(first, "asker", "t.write") });
});

test("APP-2: an edited input takes the place of another, and has allowances of its own to wait for", async () => {
  const of = await scene();
  await of.apply(...documents("budget: { scope: team, name: team, max_cost_usd_per_day: 1 }"), ...documents(JSON.stringify({ agent: { name: "asker", owner: "o", team: "team", purpose: "p" }, budgets: {}, tools: { allowlist: [{ name: "t.dear", requires_approval: true }] } })));
  const lane = await running(of, "asker");
  of.turn(lane, [asks("asker", "asker_1", "t", "t.dear")]);
  const [id, { body }] = [...stateOf(lane).signals][0] ?? assert.fail("nothing is asked for");
  const { need: _, want: __, ...about } = body as typeof body & { need: number; want: number };
  of.turn(lane, [signals(`ledger:${body.ledger.replaceAll(".", "%2E")}`, "asker_1", { ...about, name: "leased", id, granted: 600_000, total: 600_000, cap: 1_000_000 }, 4)]);
  const [request, approval] = [...stateOf(lane).approvals][0] ?? assert.fail("nobody is asked");
  const edit = arrives("decide", "ann", "asker_1", { id: "d", request, decision: "edit", digest: approval.context.digest, input: { text: "y" } }, 5);
  const { again } = gathered("current", of, lane, edit);
  assert.deepEqual([again?.judgement, (again?.needs?.length ?? 0) > 0], [undefined, true]);
});

test("law 9: a claim rests on what is in force, on everybody who agreed, and on a new judgement where that is not what was judged", async () => {
  const of = await scene();
  const lane = await dispatched(of);
  const claim = (run = "clerk_1", gateway = "gw") => reports(gateway, run, "r", "started");
  assert.deepEqual(gather(of, lane, claim()), { kind: "current", documents: inForce(of, "clerk", "t.write") });
  assert.deepEqual(gather(of, lane, arrives("report", "gw", "clerk_1", { id: "r", action: "a99", attempt: 1, claim: { gateway: "gw", nonce: "12345678" }, status: "started" })), { kind: "current", documents: inForce(of, "clerk") });
  await of.apply(...documents(JSON.stringify({ agent: { name: "clerk", owner: "o", team: "team", purpose: "p" }, budgets: {}, tools: { allowlist: [{ name: "t.write" }] } })));
  assert.ok(gathered("current", of, lane, claim()).again !== undefined, "another contract");
  const other = await scene();
  const tooled = await dispatched(other);
  await other.apply(...documents(JSON.stringify({ name: "t.write", description: "another", effect: "write", adapter: "nats", trusted: true, timeout_ms: 5000, input: { type: "object" }, output: { type: "object" }, retries: 2 })));
  assert.ok(gathered("current", other, tooled, claim()).again !== undefined, "another tool");
  await changePolicy(of);
  assert.ok(gathered("current", of, lane, claim()).again !== undefined, "another policy");
  of.stop("agent:clerk");
  assert.equal(gathered("current", of, lane, claim()).guard?.scope, "agent:clerk");
  of.turn(lane, [claim()]);
  assert.equal(gathered("current", of, lane, reports("gx", "clerk_1", "x", "started")).again, gathered("current", of, lane, reports("gx", "clerk_1", "x", "started")).again);

  const asked = await scene();
  const { lane: approved, decides } = await pending(asked);
  asked.turn(approved, [decides("approve")]);
  const claimed = () => gathered("current", asked, approved, claim("asker_1"));
  assert.deepEqual(claimed().approvers, { ann: asked.sources.people.facts("ann") });
  asked.stop("person:ann", "revocation");
  assert.deepEqual(claimed().approvers, { ann: null });
  asked.turn(approved, [claim("asker_1")]);

  const started = await scene();
  const busy = await dispatched(started);
  assert.deepEqual(became(started.turn(busy, [claim()])), ["taken granted"]);
  await changePolicy(started);
  assert.equal(gathered("current", started, busy, reports("gx", "clerk_1", "x", "started")).again, undefined, "what is not dispatched is not judged");
  const old = await dispatched(started, "t.write", "1");
  await started.apply(policySet(`@id("third") permit (principal, action, resource);\n`));
  assert.deepEqual(gather(started, old, claim()), { kind: "current", documents: inForce(started, "clerk", "t.write") });
});

test("law 2: who waits for an allowance is judged when the last one has come", async () => {
  const of = await scene();
  await of.apply(...documents("budget: { scope: team, name: team, max_cost_usd_per_day: 1 }"));
  const lane = await running(of);
  of.turn(lane, [asks("clerk", "clerk_1", "t", "t.dear")]);
  const [id, { body }] = [...stateOf(lane).signals][0] ?? assert.fail("nothing is asked for");
  const ledger = `ledger:${body.ledger.replaceAll(".", "%2E")}`;
  const { need: _, want: __, ...about } = body as typeof body & { need: number; want: number };
  const answered = (granted: number) => signals(ledger, "clerk_1", { ...about, name: "leased", id, granted, total: granted, cap: 1_000_000 }, 4);
  const found = gathered("tool", of, lane, answered(600_000));
  assert.deepEqual([found.judgement?.decision, found.documents], ["allow", inForce(of, "clerk", "t.dear")]);
  assert.deepEqual(gather(of, lane, answered(0)), NONE);
  of.stop("tool:t.dear");
  assert.equal(gathered("tool", of, lane, answered(600_000)).guard?.scope, "tool:t.dear");
  assert.deepEqual(gather(of, lane, signals(ledger, "clerk_1", { name: "returned", id, ledger: body.ledger, unit: "cost", window: about.window, unused: 1, last: true }, 4)), NONE);
});

test("GUARD-9: what covers an action is looked up by everything that is involved in it; a person's own document by the principal", async () => {
  const of = await scene();
  const lane = await running(of);
  const state = stateOf(lane);
  assert.equal(guardHit(of.sources, state, "t.read"), undefined);
  await of.apply(person("kim", [], { disabled: true }), person("lee", []));
  of.sources.people.changed();
  const lee = { ...KIM, subject: "lee" };
  assert.deepEqual([guardHit(of.sources, state)?.kind, guardHit(of.sources, state, "t.read", lee)], ["disabled", undefined]);
  of.stop("tool:t.read");
  assert.deepEqual([guardHit(of.sources, state, "t.read", lee)?.scope, guardHit(of.sources, state, "t.write", lee), guardHit(of.sources, state)?.kind], ["tool:t.read", undefined, "disabled"]);
  for (const scope of ["team:team", "principal:corp|lee"]) {
    const other = await scene();
    other.stop(scope);
    assert.equal(guardHit(other.sources, state, undefined, lee)?.scope, scope);
  }
});
