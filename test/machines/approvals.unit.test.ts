/** APP-2, APP-3: who decides, what becomes of an approval when something changed, and inputs that approvers edit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "../../machines/answers.ts";
import { differences } from "../../machines/diff.ts";
import { owed } from "../../machines/owed.ts";
import { approversOf } from "../../machines/persons.ts";
import { proposalOf } from "../../machines/proposals.ts";
import type { EventDraft } from "../../schemas/event.ts";
import {
  AGENT, approve, claim, control, due, edit, given, HIT, INVALID, ISSUER, type Line, OTHER_DOCUMENTS, personOf, report, start, tool, turnDown, after, DOCUMENTS,
} from "./given.ts";

const ask = { decision: "ask" } as const;
const principal = { subject: "eve", issuer: ISSUER, verified: true };
const changed = { documents: OTHER_DOCUMENTS } as const;
const reasonOf = (event: EventDraft | undefined) => (event?.type === "approval.stale" ? event.data.reason : "");

test("APP-3: only a person decides, and one who holds the role that is asked", () => {
  const asked = given(start(), tool("t1", ask));
  asked.when(approve("t1", "ann", { person: null })).refused("person.unknown");
  asked.when(approve("t1", "ann", { person: personOf("ann", { roles: ["finance"] }) })).refused("approval.role");
  asked.when(turnDown("t1", "ann", { person: null })).refused("person.unknown");
  asked.when(edit("t1", { n: 2 }, {}, "ann", { person: null })).refused("person.unknown");
  const [granted] = asked.when(approve("t1", "ann", { reason: "fine" })).then("approval.granted", "action.approved", "action.dispatched");
  assert.deepEqual(granted?.type === "approval.granted" && [granted.data.by, granted.data.person, granted.data.reason, granted.data.count], ["ann", { issuer: ISSUER, subject: "ann" }, "fine", 1]);
});

test("APP-3: nobody decides what is their own: by name, as the person behind it, or anywhere in the chain of delegation", () => {
  const asked = given(start({ principal }), tool("t1", { ...ask, count: 2 }));
  asked.when(approve("t1", AGENT)).refused("approval.self");
  asked.when(approve("t1", "eve")).refused("approval.self");
  asked.when(approve("t1", "ann", { person: personOf("ann", { subject: "eve" }) })).refused("approval.self");
  asked.when(turnDown("t1", "ann", { person: personOf("ann", { subject: "eve" }) })).refused("approval.self");
  asked.when(approve("t1", "ann", { person: personOf("ann", { subject: "eve", issuer: "https://other.example" }) })).then("approval.granted");
  // a name that nobody verified may be anybody's
  const claimed = given(start({ principal: { subject: "eve", verified: false } }), tool("t1", ask));
  claimed.when(approve("t1", "ann", { person: personOf("ann", { subject: "eve" }) })).refused("approval.self");
});

test("APP-3: N approvers are N persons: two names of one person are one", () => {
  const asked = [start(), tool("t1", { ...ask, count: 2 }), approve("t1", "ann")];
  given(...asked).when(approve("t1", "ann-2")).refused("approval.twice");
  given(...asked).when(approve("t1", "ann", { id: "again" })).refused("approval.twice");
  given(...asked).when(approve("t1", "bob")).then("approval.granted", "action.approved", "action.dispatched");
  assert.deepEqual(approversOf(given(...asked, approve("t1", "bob")).state, "a2" as never), ["ann", "bob"]);
});

test("APP-3: persons are counted again when the claim is asked for: who is gone, changed or without the role does not count", () => {
  const run = [start(), tool("t1", { ...ask, count: 2 }), approve("t1", "ann"), approve("t1", "bob")];
  const [ann, bob] = [personOf("ann"), personOf("bob")];
  given(...run).when(claim("t1")).then("action.started");
  for (const approvers of [
    { ann, bob: null },
    { ann },
    { ann, bob: personOf("bob", { roles: [] }) },
    { ann, bob: personOf("bob", { subject: "somebody-else" }) },
    { ann, bob: personOf("bob", { issuer: "https://other.example" }) },
    null,
  ]) {
    const void_ = given(...run).when(claim("t1", { approvers }));
    const [stale, validated] = void_.then("approval.stale", "action.validated", "approval.requested");
    assert.match(reasonOf(stale), /not enough/);
    assert.ok(validated?.from === "dispatched");
    assert.deepEqual(owed(void_.state()).map(({ kind }) => kind), ["timer"], "nothing is dispatched until it is approved anew");
  }
  // the claim that was refused is no try, and a new approval leads to a new attempt
  const again = given(...run, claim("t1", { approvers: { ann } }), approve("t1", "ann", { id: "a2" }), approve("t1", "cy", { id: "c" }));
  assert.equal(again.state.actions.get("a2" as never)?.context.attempt, 2);
  again.when(claim("t1", { attempt: 1, id: "late" })).refused("report.not_holder");
  given(...run, claim("t1", { approvers: { ann } }), approve("t1", "ann", { id: "a2" }), approve("t1", "cy", { id: "c" })).when(claim("t1")).then("action.started");
});

test("APP-2: documents that changed before the answer make it stale, and the action is judged anew in the same commit", () => {
  const asked = given(start(), tool("t1", ask));
  const anew = asked.when(approve("t1", "ann", { ...changed, again: ask }));
  const [stale, validated, requested] = anew.then("approval.stale", "action.validated", "approval.requested");
  assert.ok(stale?.type === "approval.stale" && validated?.from === "awaiting_approval" && requested?.type === "approval.requested");
  assert.notEqual(requested.data.digest, asked.state.approvals.get("q4" as never)?.context.digest);
  assert.deepEqual(anew.state().actions.get("a2" as never)?.context.documents, OTHER_DOCUMENTS);
  asked.when(approve("t1", "ann", { ...changed, again: { decision: "allow" } })).then("approval.stale", "action.validated", "action.approved", "action.dispatched");
  asked.when(approve("t1", "ann", { ...changed, again: { decision: "deny" } })).then("approval.stale", "action.validated", "action.denied");
  asked.when(approve("t1", "ann", { ...changed, again: { faults: INVALID } })).then("approval.stale", "action.denied");
  asked.when(approve("t1", "ann", changed)).then("approval.stale", "action.denied");
  asked.when(approve("t1", "ann", { ...changed, again: { guard: HIT } })).then("approval.stale", "action.validated", "action.denied");
  // the old request is answered no more; the new one is
  const after_ = given(start(), tool("t1", ask), approve("t1", "ann", { ...changed, again: ask }));
  after_.when(approve("q4", "bob", changed)).refused("approval.closed");
  after_.when(approve("t1", "bob", changed)).then("approval.granted", "action.approved", "action.dispatched");
  // who says no says it whatever changed
  asked.when(turnDown("t1", "ann", changed)).then("approval.refused", "action.denied");
  // and who may not decide makes nothing stale
  asked.when(approve("t1", "ann", { ...changed, again: ask, person: null })).refused("person.unknown");
});

test("APP-2: what is judged again must fit into what it holds", () => {
  const asked = given(start(), tool("t1", { ...ask, costMicroUsd: 5, amount: { units: 7 } }));
  const judged = { ...ask, costMicroUsd: 5, amount: { units: 7 } };
  asked.when(approve("t1", "ann", { ...changed, again: judged })).then("approval.stale", "action.validated", "approval.requested");
  for (const again of [{ ...judged, costMicroUsd: 6 }, { ...judged, amount: { units: 8 } }, { ...judged, amount: { units: 7, currency: "EUR" } }, { ...judged, tokens: { input: 1 } }]) {
    asked.when(approve("t1", "ann", { ...changed, again })).then("approval.stale", "action.denied", "budget.settled");
  }
});

test("APP-2 law 9: documents that changed before the claim send the action back to judgement, and the claim is not granted", () => {
  const run = [start(), tool("t1")];
  const anew = given(...run).when(claim("t1", { ...changed, again: {} }));
  const [validated, , dispatched] = anew.then("action.validated", "action.approved", "action.dispatched");
  assert.equal(validated?.from, "dispatched");
  assert.ok(dispatched?.type === "action.dispatched" && dispatched.data.attempt === 2);
  given(...run, claim("t1", { ...changed, again: {} })).when(claim("t1", { ...changed, id: "next" })).then("action.started");
  given(...run).when(claim("t1", { ...changed, again: ask })).then("action.validated", "approval.requested");
  given(...run).when(claim("t1", { ...changed, again: { decision: "deny" } })).then("action.validated", "action.denied");
  given(...run).when(claim("t1", changed)).then("action.failed");
  given(...run).when(claim("t1", { ...changed, again: { faults: INVALID } })).then("action.failed");
  const approved = [start(), tool("t1", ask), approve("t1")];
  given(...approved).when(claim("t1", { ...changed, again: ask })).then("approval.stale", "action.validated", "approval.requested");
});

test("EXEC-7 APP-2: an action that may have taken effect is not judged anew: its doubt stays with it", () => {
  const run = [start(), tool("t1", { retries: 1, idempotent: true }), claim("t1"), report("t1", "in_doubt"), due("action:t1")];
  const [failed] = given(...run).when(claim("t1", { ...changed, again: {} })).then("action.failed");
  assert.ok(failed?.type === "action.failed" && failed.data.error.effect === "unknown");
});

test("EXEC-6: an attempt that was sent back to judgement takes no retry away", () => {
  const run = [start(), tool("t1", { retries: 1 }), claim("t1", { ...changed, again: { retries: 1 } }), claim("t1", { ...changed, id: "c2" })];
  given(...run).when(report("t1", "failed")).then("action.retrying");
});

test("APP-2: a decision is stored in time or not at all: after expiry, cancel, pause or another's answer", () => {
  const asked = [start(), tool("t1", ask)];
  given(...asked).when(after(60_000 - 1000, approve("t1"))).then("approval.granted", "action.approved", "action.dispatched");
  given(...asked).when(after(61_000, approve("t1"))).refused("approval.expired");
  given(...asked, control("pause")).when(approve("t1")).then("approval.granted", "action.approved");
  given(...asked, control("cancel")).when(approve("t1")).refused("approval.closed");
  given(...asked, approve("t1")).when(turnDown("q4", "bob")).refused("approval.closed");
  given(...asked, edit("t1", { n: 2 }, ask)).when(approve("q4", "bob")).refused("approval.closed");
});

test("GUARD-9 ID-2: while a stop stands nobody approves or edits, and saying no is open to all but those who are revoked", () => {
  const asked = given(start(), tool("t1", ask));
  asked.when(approve("t1", "ann", { guard: HIT })).refused("guard.stopped");
  asked.when(edit("t1", { n: 2 }, ask, "ann", { guard: HIT })).refused("guard.stopped");
  asked.when(turnDown("t1", "ann", { guard: HIT })).then("approval.refused", "action.denied");
  asked.when(turnDown("t1", "ann", { guard: { ...HIT, kind: "revocation", scope: "person:ann" } })).refused("guard.stopped");
});

test("APP-3: an edited input is a new action in the place of the old one, judged anew, and the agent is told", () => {
  const asked = given(start(), tool("t1", { ...ask, input: { to: "x", lines: [1, 2] }, why: "because", costMicroUsd: 5 }));
  const input = { to: "y", lines: [1], note: "n" };
  const edited = asked.when(edit("t1", input, { ...ask, costMicroUsd: 5 }, "ann", { reason: "less" }));
  const [said, denied, , proposed] = edited.then("approval.edited", "action.denied", "budget.settled", "action.proposed", "budget.reserved", "action.validated", "approval.requested");
  assert.ok(said?.type === "approval.edited" && denied?.type === "action.denied" && proposed?.type === "action.proposed");
  const diff = [
    { path: "/lines/1", before: 2 },
    { path: "/note", after: "n" },
    { path: "/to", before: "x", after: "y" },
  ];
  assert.deepEqual(said.data.diff, diff);
  assert.deepEqual([said.data.by, said.data.reason, said.data.replacement], ["ann", "less", proposed.data.action]);
  assert.equal(denied.data.by, "edit");
  assert.deepEqual(proposed.data, { action: "a9", proposal: "t1", tool: "crm.update", agent: AGENT, edited: { from: "a2", by: "ann" } });
  const state = edited.state();
  const answer = answerTo(state, `${AGENT}/t1`);
  assert.deepEqual([answer?.action, answer?.status, answer?.edited], ["a9", "pending", { from: "a2", by: "ann", diff }]);
  assert.deepEqual(proposalOf(state, "a9" as never), { ...proposalOf(asked.state, "a2" as never), input });
  assert.equal(state.spent.steps, 1, "the agent made one step");
  const view = JSON.parse(state.approvals.get("q12" as never)?.view ?? "{}") as { edited: unknown; action_document: { input: unknown } };
  assert.deepEqual(view.edited, { from: "a2", by: "ann", diff });
  assert.deepEqual(view.action_document.input, input);
});

test("APP-3: an editor does not thereby approve, and may not edit into what is invalid, unchanged or stopped", () => {
  const asked = given(start(), tool("t1", { ...ask, count: 2 }));
  asked.when(edit("t1", { n: 2 }, { ...ask, count: 2 })).then("approval.edited", "action.denied", "action.proposed", "action.validated", "approval.requested");
  asked.when(edit("t1", { n: 2 }, { decision: "allow" })).then("approval.edited", "action.denied", "action.proposed", "action.validated", "action.approved", "action.dispatched");
  asked.when(edit("t1", { n: 2 }, { decision: "deny" })).then("approval.edited", "action.denied", "action.proposed", "action.validated", "action.denied");
  asked.when(edit("t1", { n: 1 }, ask)).refused("edit.unchanged");
  asked.when(edit("t1", { n: 2 }, { guard: HIT })).refused("guard.stopped");
  const faulty = asked.when(edit("t1", { n: "x" }, { faults: INVALID })).decision;
  assert.deepEqual(faulty, { kind: "refuse", reasons: INVALID });
  asked.when(edit("t1", { n: 2 }, ask, "ann", { digest: DOCUMENTS.tool })).refused("approval.wrong_digest");
});

test("APP-3: an input may be edited again, and a budget that cannot bear it denies it", () => {
  const budget = start({ contract: { max_steps: 2, max_cost_micro_usd: 10 } });
  const twice = given(budget, tool("t1", ask), edit("t1", { n: 2 }, ask), edit("t1", { n: 3 }, ask, "bob"));
  assert.deepEqual(answerTo(twice.state, `${AGENT}/t1`)?.edited?.by, "bob");
  assert.equal(twice.state.spent.steps, 1);
  given(budget, tool("t1", ask)).when(edit("t1", { n: 2 }, { ...ask, costMicroUsd: 11 })).then(
    "approval.edited", "action.denied", "action.proposed", "budget.exhausted", "action.validated", "action.denied",
  );
  // with no step left an edit is still possible: it is none
  given(start({ contract: { max_steps: 1 } }), tool("t1", ask)).when(edit("t1", { n: 2 }, ask)).then("approval.edited", "action.denied", "action.proposed", "action.validated", "approval.requested");
});

test("APP-3: differences name every field that changed, and only those", () => {
  assert.deepEqual(differences({ a: [1, { b: 2 }], "c/d": 1 }, { a: [1, { b: 3 }], "c/d": null }), [
    { path: "/a/1/b", before: 2, after: 3 },
    { path: "/c~1d", before: 1, after: null },
  ]);
  assert.deepEqual(differences({ a: 1, b: [] }, { b: [], a: 1 }), []);
  assert.deepEqual(differences(1, { a: 1 }), [{ path: "", before: 1, after: { a: 1 } }]);
  assert.deepEqual(differences({ a: {} }, { a: [] }), [{ path: "/a", before: {}, after: [] }]);
});

test("law 9 ID-3: what policy alone approved on behalf of a principal is not begun when the token has ended", () => {
  const expires = { ...principal, expires_at: "2026-01-31T09:30:30.000Z" };
  const late = (...lines: Line[]) => given(start({ principal: expires }), ...lines);
  const [failed] = late(tool("t1")).when(after(30_000, claim("t1"))).then("action.failed");
  assert.ok(failed?.type === "action.failed" && failed.data.error.code === "principal.expired" && failed.data.error.effect === "none");
  late(tool("t1")).when(after(10_000, claim("t1"))).then("action.started");
  // a read is possible without any principal; what a person approved rests on the person
  late(tool("t1", { effect: "read" })).when(after(30_000, claim("t1"))).then("action.started");
  late(tool("t1", ask), approve("t1")).when(after(30_000, claim("t1"))).then("action.started");
  // a fresh token of the same principal stands in the place of the older one
  const fresh = { ...expires, expires_at: "2026-01-31T10:30:00.000Z" };
  late(tool("t1"), tool("t2", { principal: fresh })).when(after(30_000, claim("t1"))).then("action.started");
  late(tool("t1"), tool("t2", { principal: { ...fresh, subject: "mallory" } })).when(after(30_000, claim("t1"))).then("action.failed");
  late(tool("t1"), tool("t2", { principal: { ...fresh, verified: false } })).when(after(30_000, claim("t1"))).then("action.failed");
  assert.deepEqual(late(tool("t2", { principal: fresh })).state.envelope?.principal, fresh);
});
