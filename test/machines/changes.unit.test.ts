/** POL-6: a change of documents is a run of the plane's own agent: one action, and the run ends with it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "../../machines/answers.ts";
import { CHANGE_AGENT, CHANGE_TOOL, changeProposal } from "../../machines/change.ts";
import { chainOf } from "../../machines/chain.ts";
import { owed } from "../../machines/owed.ts";
import { reason } from "../../schemas/reason.ts";
import { apply, approve, claim, control, due, given, givenChange, HIT, INVALID, ISSUER, personOf, report, tool, turnDown, edit, after } from "./given.ts";

const ask = { decision: "ask" } as const;
const STARTED = ["run.started", "action.proposed", "action.validated"] as const;
const principal = { subject: "op-person", issuer: ISSUER, verified: true };

test("POL-6: a change is a run with one action, in one commit, and the operator stands in its chain", () => {
  const change = givenChange().when(apply("c1", { why: "tighter", principal }));
  const [started, proposed] = change.then(...STARTED, "action.approved", "action.dispatched");
  assert.ok(started?.type === "run.started" && proposed?.type === "action.proposed");
  assert.deepEqual(started.data.envelope.chain, [`principal:${ISSUER}|op-person`, "person:op", `agent:${CHANGE_AGENT}`]);
  assert.equal(started.data.goal, "tighter");
  assert.deepEqual([proposed.data.tool, proposed.data.agent, proposed.data.proposal], [CHANGE_TOOL, CHANGE_AGENT, "c1"]);
  const [debt] = owed(change.state());
  assert.ok(debt?.kind === "dispatch");
  const { input } = JSON.parse(debt.message.document) as { input: { reason: string; documents: unknown[] } };
  assert.deepEqual([input.reason, input.documents.length], ["tighter", 2]);
  assert.equal(answerTo(change.state(), `${CHANGE_AGENT}/c1`)?.status, "approved");
  assert.deepEqual(chainOf(change.state()), started.data.envelope.chain);
  assert.ok(change.decision.kind === "commit");
  assert.deepEqual(chainOf(change.given.state, change.decision.change), started.data.envelope.chain, "also before the first commit is applied");
});

test("POL-6: the run ends as its action does, in the same commit", () => {
  const run = [apply("c1"), claim("c1")];
  givenChange(...run).when(report("c1", "succeeded")).then("action.succeeded", "action.verified", "run.completed");
  givenChange(...run).when(report("c1", "failed", { effect: "done" })).then("action.failed", "run.failed");
  givenChange(...run).when(report("c1", "in_doubt")).then("action.in_doubt");
  givenChange().when(apply("c1", { decision: "deny" })).then(...STARTED, "action.denied", "run.failed");
  givenChange().when(apply("c1", { faults: INVALID })).then("run.started", "action.proposed", "action.rejected", "run.failed");
  givenChange().when(apply("c1", { guard: HIT })).then(...STARTED, "action.denied", "run.failed");
  const failed = givenChange().when(apply("c1", { faults: INVALID })).state();
  assert.deepEqual(failed.error, { code: "input.type", message: "must be a number" });
  // paused while in flight: it ends when it goes on
  const paused = [...run, control("pause"), report("c1", "succeeded")];
  givenChange(...run, control("pause")).when(report("c1", "succeeded")).then("action.succeeded", "action.verified");
  givenChange(...paused).when(control("resume")).then("run.resumed", "run.completed");
  givenChange(...run).when(control("cancel")).then("run.cancelled");
  givenChange(...run, control("cancel")).when(report("c1", "succeeded")).then("action.succeeded", "action.verified");
});

test("POL-6 APP-3: where the set asks for it others agree to the change, and neither the operator nor their person", () => {
  const asked = givenChange(apply("c1", { ...ask, principal }));
  asked.when(approve("c1", "op")).refused("approval.self");
  asked.when(approve("c1", "ann", { person: personOf("ann", { subject: "op-person" }) })).refused("approval.self");
  givenChange(apply("c1", ask)).when(approve("c1", "op")).refused("approval.self");
  asked.when(approve("c1")).then("approval.granted", "action.approved", "action.dispatched");
  asked.when(turnDown("c1")).then("approval.refused", "action.denied", "run.failed");
  // the edited change takes the place of the old one, and the run goes on with it
  asked.when(edit("c1", { documents: [] }, ask)).then("approval.edited", "action.denied", "action.proposed", "action.validated", "approval.requested");
  asked.when(after(60_000, due("approval:c1"))).then("approval.expired", "action.denied", "run.failed");
});

test("POL-6: the same change again is the same change; another one under its name, or under another agent's, is refused", () => {
  givenChange(apply("c1")).when(apply("c1")).is("duplicate");
  givenChange(apply("c1")).when(apply("c1", { why: "other" })).refused("id.reused");
  givenChange(apply("c1")).when(apply("c1", { by: "op-2" })).refused("run.exists");
  given().when(apply("c1")).refused("run.prefix");
  givenChange(apply("c1")).when(tool("t1")).refused("run.not_holder");
});

test("POL-6: a change that may not begin is refused in its own journal", () => {
  const [refused] = givenChange().when(apply("c1", { refusals: [reason("person.unknown", "nobody knows `op`")] })).then("run.refused");
  assert.ok(refused?.type === "run.refused" && refused.data.reasons[0]?.code === "person.unknown");
});

test("POL-6: what is judged of a change is its documents and its reason, and a reason that nobody gave is not there", () => {
  const documents: Parameters<typeof changeProposal>[0]["documents"] = [];
  assert.deepEqual(changeProposal({ id: "c1", documents, reason: "tighter" }), { kind: "tool", id: "c1", tool: CHANGE_TOOL, input: { documents, reason: "tighter" }, why: "tighter" });
  assert.deepEqual(changeProposal({ id: "c1", documents }), { kind: "tool", id: "c1", tool: CHANGE_TOOL, input: { documents } });
});

test("POL-6: a change is remembered by its first event, also one that was turned away at its start; the run's name is then used", () => {
  const begun = givenChange(apply("c1")).state;
  assert.deepEqual(begun.proposals.get(`${CHANGE_AGENT}/c1`), { kind: "tool", action: [...begun.actions.keys()][0], seq: 1, at: begun.at });
  const refused = givenChange(apply("c1", { refusals: [reason("policy.unknown", "there is none")] }));
  assert.deepEqual([refused.state.seq, refused.state.proposals.get(`${CHANGE_AGENT}/c1`)], [1, { kind: "start", seq: 1, at: refused.state.at }]);
  assert.equal(refused.when(apply("c2")).refused("run.exists")[0]?.help, "choose another id");
});
