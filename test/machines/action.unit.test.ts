/** The action's own chart, asked directly: what it takes for granted, what it lets go of, and what it does not believe. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { actionMachine } from "../../machines/action.ts";
import type { ActionContext, ActionInput } from "../../machines/action-rules.ts";
import { begin, type Snapshot, step } from "../../machines/step.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { timestamp } from "../../schemas/time.ts";
import { approve, claim, control, due, factsOf, given, HIT, INVALID, judgement, OTHER_DOCUMENTS, report, resolve, start, T0, tool, type ToolOptions, turnDown, after } from "./given.ts";
import { PROBE } from "./probes.ts";

const AT = timestamp(T0);
const CLAIM = { gateway: "g1", nonce: "nonce-0001" };
const DOCUMENT = { text: "{}", digest: sha256Digest("{}") };
const UNKNOWN = { status: "failed", error: { code: "e", message: "m", effect: "unknown" } };
const common = { at: AT, seq: 5, held: false, over: false };
const judge = (o: ToolOptions = {}, more: object = {}) =>
  ({ type: "JUDGE", ...common, facts: factsOf(o), document: DOCUMENT, exhausted: undefined, missing: [], standing: undefined, ...more }) as const;
const input = { id: "a2", proposal: "t1", agent: "agent-1", tool: "crm.update", asked: { kind: "tool" }, amount: undefined, edited: undefined } as unknown as ActionInput;
const proposed = () => begin<ActionContext>(actionMachine, input).next;

/** The action after these events, each of which must be taken. */
const gone = (...events: object[]): Snapshot<ActionContext> =>
  events.reduce<Snapshot<ActionContext>>((now, event) => step<ActionContext>(actionMachine, now, { ...common, ...event } as never)?.next ?? assert.fail(`not taken: ${JSON.stringify(event)}`), proposed());
const taken = (from: Snapshot<ActionContext>, event: object) => {
  const one = step<ActionContext>(actionMachine, from, { ...common, ...event } as never);
  return one && [one.next.value, ...one.effects.map(({ type, params }) => (type === "took" ? (params as { type: string }).type : params))];
};
const claimed = (o: ToolOptions = {}) => gone(judge(o), { type: "CLAIM", claim: CLAIM, attempt: 1 });

test("law 6: what nobody judged yet is taken for irreversible, was never tried, and rests on nobody's yes", () => {
  const { value, context } = proposed();
  assert.equal(value, "proposed");
  assert.deepEqual(context, {
    id: "a2", proposal: "t1", agent: "agent-1", tool: "crm.update", rests: undefined, documents: {}, effect: "irreversible", timeoutMs: 1, digest: undefined, document: undefined,
    attempt: 0, claim: undefined, timer: undefined, output: undefined, error: undefined, doubt: false, reasons: undefined,
    basis: { asked: input.asked, facts: undefined, amount: undefined, edited: undefined, unbegun: 0, probes: 0 },
  });
});

test("an ended action keeps its result, and lets go of its document, its timer and what it was judged by", () => {
  const ask = { decision: "ask" } as const;
  const run = [start(), tool("t1"), claim("t1")];
  const ends = [
    given(...run, report("t1", "succeeded")), given(...run, report("t1", "failed")), given(...run, report("t1", "in_doubt"), resolve("t1", "failed")),
    given(start(), tool("t1", { faults: INVALID })), given(start(), tool("t1", { decision: "deny" })), given(start(), tool("t1", ask), turnDown("t1")),
    given(start(), tool("t1"), control("cancel")), given(start(), tool("t1"), claim("t1", { guard: HIT })), given(start(), tool("t1", { guard: HIT })),
  ].map(({ state }) => [...state.actions.values()][0]?.context ?? assert.fail());
  for (const { id, document, timer, basis } of ends) {
    assert.deepEqual([document, timer, basis.asked, basis.facts], [undefined, undefined, undefined, undefined]);
    assert.deepEqual([id, basis.unbegun, basis.probes], ["a2", 0, 0]);
  }
});

test("CORE-2: one fault is enough to reject", () => {
  given(start()).when(tool("t1", { faults: INVALID.slice(0, 1) })).then("action.proposed", "action.rejected");
});

test("law 9: whoever does not hold the claim puts nothing in doubt, and neither does a timer that was replaced", () => {
  const started = claimed();
  const said = { type: "REPORT", attempt: 1, claim: CLAIM, outcome: UNKNOWN };
  assert.equal(taken(started, said)?.[0], "in_doubt");
  assert.equal(taken(started, { ...said, claim: { ...CLAIM, nonce: "nonce-0002" } }), undefined);
  assert.equal(taken(started, { ...said, attempt: 2 }), undefined);
  assert.equal(taken(started, { type: "DUE", armed: 5 })?.[0], "in_doubt");
  assert.equal(taken(started, { type: "DUE", armed: 4 }), undefined);
});

test("law 6 APP-3: an approval that stands lets go what people would be asked about, and nothing that policy denies", () => {
  const standing = { request: "q1", approvers: ["ann"] };
  assert.equal(taken(proposed(), judge({ decision: "ask" }, { standing }))?.[0], "dispatched");
  assert.equal(taken(proposed(), judge({ decision: "deny" }, { standing }))?.[0], "denied");
  assert.equal(taken(proposed(), judge({ judgement: null }, { standing }))?.[0], "denied");
});

test("APP-3: the role, the number and the time of a request are those that policy and contract say; one approver where policy says none", () => {
  const asked = (ask: object | undefined) => {
    const { ask: _, ...judged } = judgement("ask");
    return taken(proposed(), judge({ judgement: { ...judged, ...(ask && { ask }) } as never, ttlMs: 7000 }));
  };
  assert.deepEqual(asked({ role: "finance", count: 3 }), ["awaiting_approval", "action.validated", { role: "finance", count: 3, ttlMs: 7000 }]);
  assert.deepEqual(asked(undefined), ["awaiting_approval", "action.validated", { role: "approver", count: 1, ttlMs: 7000 }]);
});

test("EXEC-6: retries count from what was begun: being judged again gives none, and being sent back takes none", () => {
  const other = { documents: OTHER_DOCUMENTS } as const;
  const asks = { decision: "ask", retries: 1 } as const;
  const ends = (id: string) => [claim("t1", { ...other, id: `${id}.claim` }), report("t1", "failed", { id: `${id}.failed` })] as const;
  const judgedAgain = [start(), tool("t1", asks), approve("t1", "ann", { ...other, again: asks, id: "d1" }), approve("t1", "ann", { ...other, id: "d2" })];
  const sentBack = [start(), tool("t1", { retries: 1 }), claim("t1", { ...other, again: { retries: 1 } })];
  for (const before of [judgedAgain, sentBack]) {
    const [first, end] = [ends("1"), ends("2")];
    given(...before, first[0]).when(first[1]).then("action.retrying");
    given(...before, ...first, after(60_000, due("action:t1")), end[0]).when(end[1]).then("action.failed");
  }
});

test("EXEC-6: a retry is let go by a resume from its very moment on", () => {
  const waiting = gone(judge({ retries: 1 }), { type: "CLAIM", claim: CLAIM, attempt: 1 }, { type: "REPORT", attempt: 1, claim: CLAIM, outcome: { status: "failed", error: { code: "e", message: "m", effect: "none" } } });
  const due = waiting.context.timer?.at ?? assert.fail();
  assert.equal(waiting.value, "retrying");
  assert.equal(taken(waiting, { type: "RELEASE", at: due })?.[0], "dispatched");
  assert.equal(taken(waiting, { type: "RELEASE", at: timestamp(Date.parse(due) - 1) }), undefined);
});

test("EXEC-7: an answer that says nothing counts only to the question that is open, as any other", () => {
  const probing = gone(judge({ probe: PROBE }), { type: "CLAIM", claim: CLAIM, attempt: 1 }, { type: "REPORT", attempt: 1, claim: CLAIM, outcome: UNKNOWN }, { type: "DUE", armed: 5 });
  assert.equal(probing.value, "probing");
  for (const found of ["unknown", "none", "done"]) {
    const answers = (more: object) => taken(probing, { type: "PROBED", attempt: 1, number: 1, found, by: "g1", outcome: UNKNOWN, ...more });
    assert.notEqual(answers({}), undefined);
    assert.deepEqual([answers({ attempt: 2 }), answers({ number: 2 })], [undefined, undefined]);
  }
});
