/** Judging again finds what exact replay believes: verdicts that the recorded documents do not give (law 2, CORE-3, CORE-6). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Facts, ToolFacts } from "../../schemas/facts.ts";
import type { Digest } from "../../schemas/ids.ts";
import { Library } from "../../services/replay/documents.ts";
import { type Checked, checkMessages } from "../../services/replay/journal.ts";
import { Bench } from "../../services/replay/judge.ts";
import { NS, office, policies, type Recorder, RULES, RUN } from "./recorded.ts";

/** A run of one proposal, whose facts somebody changed before the machine saw them. */
function forged(tool: string, change: (facts: ToolFacts, recorder: Recorder) => ToolFacts, input = {}): Recorder {
  const recorder = office();
  recorder.start(RUN);
  // what waits for its sums is judged, and forged, when they have come
  recorder.forge = (facts: Facts) => (facts.kind === "tool" && (facts.judgement !== undefined || facts.faults.length > 0) ? change(facts, recorder) : facts);
  recorder.propose(RUN, "t1", tool, input);
  return recorder;
}

async function judged(recorder: Recorder): Promise<Checked> {
  const [checked] = await checkMessages(NS, recorder.of(RUN), new Bench(new Library(recorder.documents)));
  assert.ok(checked);
  // its own bytes are in order: the chain and the machine agree with the forger
  assert.deepEqual([checked.replay.difference, checked.verify.fault], [undefined, undefined]);
  return checked;
}

const withJudgement = (facts: ToolFacts, more: Partial<NonNullable<ToolFacts["judgement"]>>): ToolFacts => {
  assert.ok(facts.judgement);
  return { ...facts, judgement: { ...facts.judgement, ...more } };
};

test("CORE-6 verdicts that the recorded documents give are judged the same", async () => {
  for (const name of ["t.read", "t.write", "t.wipe", "t.unknown"]) {
    const { judge } = await judged(forged(name, (facts) => facts));
    assert.deepEqual(judge, { same: 1, sealed: 0, erased: [], differences: [], unknown: [] }, name);
  }
});

const FORGERIES: readonly [string, Recorder, string, unknown, unknown][] = [
  ["an allow where the policy forbids", forged("t.wipe", (facts) => withJudgement(facts, { decision: "allow" })), "facts.judgement.decision", "allow", "deny"],
  ["an allow where a person was to be asked", forged("t.write", (facts) => { const { ask: _, ...rest } = facts.judgement ?? assert.fail(); return { ...facts, judgement: { ...rest, decision: "allow" } }; }, { amount: 500 }), "facts.judgement.decision", "allow", "ask"],
  ["another role than the one to be asked", forged("t.write", (facts) => withJudgement(facts, { ask: { role: "friend", count: 1 } }), { amount: 500 }), "facts.judgement.ask", { role: "friend", count: 1 }, { role: "approver", count: 1 }],
  ["another policy than the one that permits", forged("t.read", (facts) => withJudgement(facts, { policies: [{ id: "mine", effect: "permit" }] })), "facts.judgement.policies", ["permit mine"], ["permit all"]],
  ["faults where the documents find none", forged("t.read", (facts) => ({ ...facts, faults: [{ code: "x.y", message: "no" }] })), "facts.faults", "invalid", "valid"],
  ["an irreversible tool that passes for a read", forged("t.wipe", (facts) => ({ ...facts, tool: { ...(facts.tool ?? assert.fail()), effect: "read" } })), "facts.tool.effect", "read", "irreversible"],
  ["more time for approvers than anybody gave", forged("t.write", (facts) => ({ ...facts, approval_ttl_ms: 1 }), { amount: 500 }), "facts.approval_ttl_ms", 1, 24 * 3600 * 1000],
];
for (const [title, recorder, field, recorded, computed] of FORGERIES) {
  test(`CORE-3 CORE-6 judging again finds ${title}`, async () => {
    const { judge } = await judged(recorder);
    const [difference] = judge?.differences ?? [];
    assert.deepEqual({ field, recorded, computed }, { field: difference?.field, recorded: difference?.recorded, computed: difference?.computed });
    assert.equal(difference?.action, "a2");
  });
}

test("CORE-6 a document of another kind or name is no excuse, a missing one is no proof", async () => {
  const swapped = await judged(forged("t.wipe", (facts, { tools }) => ({ ...facts, documents: { ...facts.documents, tool: tools.get("t.read")?.digest as Digest } })));
  assert.equal(swapped.judge?.differences[0]?.field, "facts.documents.tool");
  const recorder = forged("t.read", (facts) => facts);
  recorder.stored.delete(recorder.policy.digest);
  const { judge } = await judged(recorder);
  assert.deepEqual([judge?.same, judge?.differences.length, judge?.unknown[0]?.action], [0, 0, "a2"]);
  recorder.stored.set(recorder.policy.digest, Buffer.from("{}"));
  assert.match((await judged(recorder)).judge?.unknown[0]?.why ?? "", /its bytes have another digest/);
});

test("CORE-6 the words of an engine may change: they are not compared", async () => {
  const recorder = forged("t.read", (facts) => withJudgement(facts, { engine: "cedar 1.0", reasons: [{ code: "policy.words", message: "other words" }] }));
  assert.deepEqual((await judged(recorder)).judge, { same: 1, sealed: 0, erased: [], differences: [], unknown: [] });
});

test("CORE-6 GUARD-7 what waits for its sums is judged once, by what the ledger said, and a sum that nobody gave is found", async () => {
  const honest = office();
  honest.start(RUN);
  honest.propose(RUN, "t1", "t.write", { amount: 60 });
  honest.propose(RUN, "t2", "t.write", { amount: 60 });
  assert.deepEqual([...honest.state(RUN).actions.values()].map(({ value }) => value), ["dispatched", "awaiting_approval"]);
  assert.deepEqual((await judged(honest)).judge, { same: 2, sealed: 0, erased: [], differences: [], unknown: [] });
  const blind = office();
  blind.start(RUN);
  blind.propose(RUN, "t1", "t.write", { amount: 60 });
  blind.forge = (facts: Facts) => {
    if (facts.kind !== "tool" || facts.judgement === undefined) return facts;
    const { ask: _, ...rest } = facts.judgement;
    return { ...facts, judgement: { ...rest, decision: "allow", reasons: [] } };
  };
  blind.propose(RUN, "t2", "t.write", { amount: 60 });
  const { judge } = await judged(blind);
  assert.deepEqual(judge?.differences.map(({ field, computed }) => [field, computed]), [["facts.judgement.decision", "ask"]]);
});

test("CORE-6 APP-3 what an edit put in the place of an action, and what was judged anew under other rules, is judged again too", async () => {
  const recorder = office();
  recorder.start(RUN);
  recorder.propose(RUN, "t1", "t.write", { amount: 500 });
  const [request, approval] = [...recorder.state(RUN).approvals].at(-1) ?? assert.fail();
  recorder.tell(RUN, "decide", "ada", { id: "e1", request, decision: "edit", digest: approval.context.digest, input: { amount: 150 } });
  const edited = [...recorder.state(RUN).actions.keys()].at(-1);
  recorder.apply({ kind: "policy", name: "default", value: policies(`${RULES}// another version`) });
  recorder.approve(RUN, "ada");
  const { judge } = await judged(recorder);
  assert.deepEqual([judge?.differences, judge?.unknown], [[], []]);
  assert.ok((judge?.same ?? 0) >= 3, `${judge?.same} of the edited \`${edited}\` and the others`);
});
