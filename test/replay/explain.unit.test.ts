/** Why an action was decided as it was, out of its record alone (POL-1, CORE-8). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeEvent, type JournalEvent } from "../../services/bus/commit.ts";
import { Library } from "../../services/replay/documents.ts";
import { explainAction, NotJudged } from "../../services/replay/explain.ts";
import { NS, office, type Recorder, RUN } from "./recorded.ts";

async function* events(recorder: Recorder): AsyncGenerator<JournalEvent> {
  for (const message of recorder.of(RUN)) yield decodeEvent(message);
}
const explain = (recorder: Recorder, action: string) => explainAction(NS, RUN, events(recorder), new Library(recorder.documents), action);
const last = (recorder: Recorder) => [...recorder.state(RUN).actions.keys()].at(-1) ?? assert.fail();

function begun(): Recorder {
  const recorder = office();
  recorder.start(RUN);
  return recorder;
}

test("POL-1 CORE-8 an explanation has the request, the policies with text and place, and the sum at which it would turn", async () => {
  const recorder = begun();
  recorder.propose(RUN, "t1", "t.write", { amount: 60 });
  recorder.propose(RUN, "t2", "t.write", { amount: 60 });
  const { judgement, request, policies, turns, caveat } = await explain(recorder, last(recorder));
  assert.deepEqual([judgement.decision, judgement.reasons.map(({ code }) => code), caveat], ["ask", ["contract.per_run"], undefined]);
  assert.deepEqual([request?.amount, request?.amounts], ["60", { in_run: "120", principal_day: "120", agent_day: "120" }]);
  assert.deepEqual(policies, [{ id: "all", effect: "permit", place: "default/rules.cedar:1", text: '@id("all") permit (principal, action, resource);' }]);
  assert.ok(turns.some(({ path, to, decision }) => path === "amount" && to === "40" && decision === "allow"), JSON.stringify(turns));
});

test("POL-1 a denial is explained with what would have been allowed", async () => {
  const recorder = begun();
  recorder.propose(RUN, "t1", "t.wipe");
  const { judgement, policies, turns } = await explain(recorder, last(recorder));
  assert.deepEqual([judgement.decision, policies.map(({ id }) => id)], ["deny", ["no-wiping"]]);
  assert.ok(turns.some(({ path, to, decision }) => path === "tool.name" && to === "another" && decision === "ask"), JSON.stringify(turns));
});

test("APP-3 an edited action is explained by itself, and so is the one that it replaced", async () => {
  const recorder = begun();
  recorder.propose(RUN, "t1", "t.write", { amount: 500 });
  const first = last(recorder);
  const [request, approval] = [...recorder.state(RUN).approvals].at(-1) ?? assert.fail();
  recorder.tell(RUN, "decide", "ada", { id: "e1", request, decision: "edit", digest: approval.context.digest, input: { amount: 50 } });
  assert.equal((await explain(recorder, first)).request?.amount, "500");
  assert.equal((await explain(recorder, last(recorder))).request?.amounts?.in_run, "50");
});

test("POL-1 what was never judged is not explained, and a missing document is said", async () => {
  const recorder = begun();
  await assert.rejects(explain(recorder, "a99"), NotJudged);
  recorder.propose(RUN, "t1", "t.unknown");
  await assert.rejects(explain(recorder, last(recorder)), /rejected before it was judged/);
  recorder.propose(RUN, "t2", "t.read");
  recorder.stored.delete(recorder.policy.digest);
  const { caveat, turns, judgement } = await explain(recorder, last(recorder));
  assert.deepEqual([judgement.decision, turns], ["allow", []]);
  assert.match(caveat ?? "", /it is missing/);
});
