/** What becomes of journal events as spans, and what never does. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SpanStatusCode } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-node";
import { granted, proposed, requested, started } from "../projection/journal.ts";
import { Journal, judged, plain, reading, spansOf, startedBy } from "./journal.ts";

const RUN = "refunds_1";
const error = (code: string) => ({ code, message: "it broke", effect: "none" });
const attempt = (action: string, n = 1) => ({ action, attempt: n });

/** Proposed, asked about, granted, tried twice, done. */
function whole(run = RUN, first = started()): Journal {
  return new Journal()
    .commit(run, [first])
    .commit(run, [proposed("a2"), { type: "action.validated", data: { action: "a2" } }, requested(run, "a2", "q4")], judged("ask", "big-refunds"))
    .commit(run, [granted("a2", "q4"), { type: "action.approved", data: { action: "a2", by: "person", policies: [], approvers: ["sam"] } }, { type: "action.dispatched", data: attempt("a2") }])
    .commit(run, [{ type: "action.started", data: attempt("a2") }])
    .commit(run, [{ type: "action.retrying", data: { ...attempt("a2"), error: error("tool.timeout"), retry_at: "" } }])
    .commit(run, [{ type: "action.dispatched", data: attempt("a2", 2) }])
    .commit(run, [{ type: "action.started", data: attempt("a2", 2) }])
    .commit(run, [{ type: "action.in_doubt", data: { ...attempt("a2", 2), error: error("tool.deadline") } }])
    .commit(run, [{ type: "action.succeeded", data: { ...attempt("a2", 2), output: {}, removed: [], usage: { input_tokens: 12, output_tokens: 3, cost_usd: 0.5 } } }, { type: "action.verified", data: attempt("a2", 2) }])
    .commit(run, [{ type: "run.completed", data: { output: {} } }]);
}

const named = (spans: readonly ReadableSpan[], name: string): ReadableSpan => {
  const found = spans.find((span) => span.name === name);
  assert.ok(found, `${name} is not among ${spans.map((span) => span.name).join(", ")}`);
  return found;
};
const seconds = (n: number) => [Date.UTC(2026, 0, 1) / 1000 + n, 0];

describe("runs as traces", () => {
  it("OBS-1 traces: a run is a span and each action a span below it, at the times of their events", async () => {
    const spans = await spansOf(whole());
    assert.deepEqual(spans.map(({ name }) => name), ["execute_tool stripe.refund", "invoke_agent refunds"]);
    const [action, run] = spans as [ReadableSpan, ReadableSpan];
    assert.deepEqual([run.startTime, run.endTime, run.parentSpanContext], [seconds(1), seconds(10), undefined]);
    assert.deepEqual([action.startTime, action.endTime], [seconds(2), seconds(9)]);
    assert.equal(action.parentSpanContext?.spanId, run.spanContext().spanId);
    assert.equal(action.spanContext().traceId, run.spanContext().traceId);
    assert.deepEqual(action.events.map(({ name, time, attributes }) => [name, time, attributes?.["signalbox.action.attempt"] ?? attributes?.["signalbox.approval.id"]]), [
      ["approval.requested", seconds(2), "q4"],
      ["approval.granted", seconds(3), "q4"],
      ["action.dispatched", seconds(3), 1],
      ["action.started", seconds(4), 1],
      ["action.retrying", seconds(5), 1],
      ["action.dispatched", seconds(6), 2],
      ["action.started", seconds(7), 2],
      ["action.in_doubt", seconds(8), 2],
    ]);
    assert.deepEqual([run.status.code, action.status.code], [SpanStatusCode.UNSET, SpanStatusCode.UNSET]);
  });

  it("OBS-1 traces: marks are told of the run, an edit of its action, and a judgement when it comes", async () => {
    const facts = judged("ask", "big-refunds");
    const journal = new Journal()
      .commit(RUN, [started()])
      .commit(RUN, [proposed("a2"), { type: "budget.requested", data: { action: "a2", needs: [] } }])
      .commit(RUN, [{ type: "budget.leased", data: {} }, { type: "action.validated", data: { action: "a2" } }, requested(RUN, "a2", "q6")], facts)
      .commit(RUN, [{ type: "approval.edited", data: { action: "a2", request: "q6", by: "sam", reason: "PLANTED", replacement: "a9", diff: [{ path: "/amount", before: "PLANTED" }] } }, { type: "action.denied", data: { action: "a2", by: "edit", reasons: [{ code: "approval.edited", message: "PLANTED" }] } }])
      .commit(RUN, [{ type: "taint.raised", data: { action: "a2", tool: "zendesk.read", tainted: true, labels: ["pii"] } }])
      .commit(RUN, [{ type: "taint.lowered", data: { by: "sam", reason: "PLANTED", labels: ["pii"] } }])
      .commit(RUN, [{ type: "budget.warned", data: { budget: "steps", limit: 2, used: 1 } }, { type: "run.completed", data: {} }]);
    const [action, run] = (await spansOf(journal)) as [ReadableSpan, ReadableSpan];
    assert.equal(action.attributes["signalbox.decision"], "ask");
    assert.deepEqual(action.attributes["signalbox.policies"], ["big-refunds"]);
    assert.deepEqual(action.events.at(-1)?.attributes, { "signalbox.approval.id": "q6", "signalbox.action.replacement": "a9" });
    assert.deepEqual(run.events.map(({ name, attributes }) => [name, attributes]), [
      ["taint.raised", { "signalbox.tainted": true, "signalbox.labels": ["pii"] }],
      ["taint.lowered", { "signalbox.labels": ["pii"] }],
      ["budget.warned", { "signalbox.budget": "steps" }],
    ]);
    assert.ok(!JSON.stringify([action, run].map(({ attributes, events }) => [attributes, events])).includes("PLANTED"));
  });

  it("OBS-1 traces: spans carry the names of the GenAI conventions, and ours where these have none", async () => {
    const [action, run] = (await spansOf(whole())) as [ReadableSpan, ReadableSpan];
    const shared = {
      "signalbox.namespace": "default",
      "signalbox.run.id": RUN,
      "gen_ai.agent.name": "refunds",
      "gen_ai.agent.version": "1.0.0",
      "signalbox.team": "Customer Ops",
      "signalbox.principal.verified": false,
    };
    assert.deepEqual(run.attributes, { "gen_ai.operation.name": "invoke_agent", ...shared, "signalbox.outcome": "completed" });
    assert.deepEqual(action.attributes, {
      ...shared,
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "stripe.refund",
      "gen_ai.tool.call.id": "a2",
      "signalbox.action.id": "a2",
      "signalbox.action.effect": "write",
      "signalbox.decision": "ask",
      "signalbox.policies": ["big-refunds"],
      "signalbox.approved_by": "person",
      "signalbox.action.attempt": 2,
      "gen_ai.usage.input_tokens": 12,
      "gen_ai.usage.output_tokens": 3,
      "signalbox.usage.cost_usd": 0.5,
      "signalbox.outcome": "verified",
    });
  });

  it("OBS-1 traces: a run belongs to the trace of whoever started it", async () => {
    const [action, run] = (await spansOf(whole(RUN, startedBy(`00-${"a".repeat(32)}-${"b".repeat(16)}-01`)))) as [ReadableSpan, ReadableSpan];
    assert.equal(run.spanContext().traceId, "a".repeat(32));
    assert.equal(run.parentSpanContext?.spanId, "b".repeat(16));
    assert.equal(action.spanContext().traceId, "a".repeat(32));
    assert.equal(action.parentSpanContext?.spanId, run.spanContext().spanId);
  });

  it("a caller who does not sample is heeded, and a trace context that says nothing is none", async () => {
    assert.deepEqual(await spansOf(whole(RUN, startedBy(`00-${"a".repeat(32)}-${"b".repeat(16)}-00`))), []);
    for (const nothing of [`00-${"0".repeat(32)}-${"b".repeat(16)}-01`, `ff-${"a".repeat(32)}-${"b".repeat(16)}-01`, "nonsense"]) {
      const run = named(await spansOf(whole(RUN, startedBy(nothing))), "invoke_agent refunds");
      assert.equal(run.parentSpanContext, undefined);
      assert.match(run.spanContext().traceId, /^(?!0{32})[0-9a-f]{32}$/);
    }
  });

  it("reading the journal again makes the same spans, and another run makes others", async () => {
    const once = (await spansOf(whole())).map(plain);
    assert.deepEqual((await spansOf(whole())).map(plain), once);
    const other = await spansOf(whole("refunds_2"));
    const all = [...once.map(({ context }) => context), ...other.map((span) => span.spanContext())];
    assert.equal(new Set(all.map(({ spanId }) => spanId)).size, 4);
    assert.equal(new Set(all.map(({ traceId }) => traceId)).size, 2);
  });

  it("what is refused, denied, rejected or failed is an error with its kind", async () => {
    const reasons = (code: string) => ({ reasons: [{ code, message: "words", path: "/input/secret" }] });
    const journal = new Journal()
      .commit(RUN, [started()])
      .commit(RUN, [proposed("a2", "one"), { type: "action.denied", data: { action: "a2", by: "policy", ...reasons("policy.forbidden") } }], judged("deny", "never"))
      .commit(RUN, [proposed("a4", "two"), { type: "action.rejected", data: { action: "a4", ...reasons("schema.invalid") } }])
      .commit(RUN, [proposed("a6", "three")], judged("allow", "fine"))
      .commit(RUN, [{ type: "action.failed", data: { ...attempt("a6"), error: error("tool.timeout") } }])
      .commit(RUN, [proposed("a8", "four")], judged("allow", "fine"))
      .commit(RUN, [{ type: "action.failed", data: { ...attempt("a8"), error: error("kim_lost_4000") } }])
      .commit(RUN, [{ type: "run.failed", data: { error: { code: "my words" } } }])
      .commit("refunds_2", [{ type: "run.refused", data: reasons("agent.version") }], { facts: { kind: "start", agent: { name: "refunds", team: "ops" } } });
    const kinds = (await spansOf(journal)).map(({ name, status, attributes }) => [name, status, attributes["error.type"], attributes["signalbox.reasons"]]);
    const ERROR = { code: SpanStatusCode.ERROR };
    assert.deepEqual(kinds, [
      ["execute_tool one", ERROR, "denied.policy", ["policy.forbidden"]],
      ["execute_tool two", ERROR, "rejected", ["schema.invalid"]],
      ["execute_tool three", ERROR, "tool.timeout", undefined],
      ["execute_tool four", ERROR, "_OTHER", undefined],
      ["invoke_agent refunds", ERROR, "_OTHER", undefined],
      ["invoke_agent refunds", ERROR, "refused", ["agent.version"]],
    ]);
  });

  it("OBS-1 traces: nobody's words leave in a span, wherever they are written", async () => {
    const SECRET = "s3cret-4711";
    const said = { message: SECRET, code: SECRET, effect: SECRET, path: SECRET, help: SECRET };
    const start = started();
    const envelope = { ...(start.data?.["envelope"] as object), owner: SECRET, principal: { subject: SECRET, verified: false } };
    const premise = { input: { input: SECRET, why: SECRET, goal: SECRET }, facts: { kind: "tool", tool: { effect: "write" }, judgement: { decision: "ask", policies: [{ id: "p", effect: "forbid", file: SECRET }], reasons: [said], errors: [SECRET], engine: SECRET } } };
    const journal = new Journal()
      .commit(RUN, [{ ...start, data: { goal: SECRET, envelope } }], { input: premise.input })
      .commit(RUN, [{ type: "note.recorded", data: { text: SECRET } }, { type: "run.paused", data: { by: SECRET, reason: SECRET } }])
      .commit(RUN, [{ ...proposed("a4"), data: { ...proposed("a4").data, proposal: SECRET } }, { type: "action.validated", data: { action: "a4", document: SECRET } }, { type: "approval.requested", data: { action: "a4", request: "q6", view: SECRET, role: "approver", count: 1 } }], premise)
      .commit(RUN, [{ type: "approval.granted", data: { action: "a4", request: "q6", by: SECRET, reason: SECRET, grants: 1, count: 1 } }, { type: "action.approved", data: { action: "a4", by: "person", policies: [], approvers: [SECRET] } }])
      .commit(RUN, [{ type: "action.started", data: { ...attempt("a4"), claim: { gateway: SECRET, nonce: SECRET } } }])
      .commit(RUN, [{ type: "action.retrying", data: { ...attempt("a4"), error: said } }, { type: "action.in_doubt", data: { ...attempt("a4"), error: said } }])
      .commit(RUN, [{ type: "action.succeeded", data: { ...attempt("a4"), output: { [SECRET]: SECRET }, removed: [{ path: SECRET, reason: SECRET }], scan: { engine: SECRET, findings: [{ kind: "label", path: SECRET, rule: SECRET, label: SECRET }] } } }, { type: "action.verified", data: attempt("a4") }, { type: "taint.raised", data: { action: "a4", tool: SECRET, tainted: true, labels: ["pii"] } }])
      .commit(RUN, [{ type: "taint.lowered", data: { by: SECRET, reason: SECRET, labels: ["pii"] } }])
      .commit(RUN, [{ type: "budget.warned", data: { budget: "cost", limit: 2, used: 1, ledger: SECRET } }, { type: "budget.leased", data: { ledger: SECRET, unit: SECRET, window: SECRET, granted: 1, total: 1 } }, { type: "budget.returned", data: { ledger: SECRET, unit: SECRET, window: SECRET, unused: 1, last: true } }])
      .commit(RUN, [proposed("a15"), { type: "budget.requested", data: { action: "a15", needs: [{ ledger: SECRET, unit: SECRET, window: SECRET, need: 1, want: 1, dimension: SECRET }] } }], { facts: { kind: "tool", sources: [SECRET], needs: [{ ledger: SECRET }], guard: { stop: SECRET, scope: SECRET, reason: SECRET }, amount: { units: 1, currency: SECRET }, principal: { subject: SECRET } } })
      .commit(RUN, [{ type: "approval.edited", data: { action: "a15", request: "q9", by: SECRET, reason: SECRET, digest: SECRET, replacement: "a16", diff: [{ path: SECRET, before: SECRET, after: SECRET }] } }])
      .commit(RUN, [{ type: "approval.stale", data: { action: "a15", request: "q9", reason: SECRET } }, { type: "action.failed", data: { ...attempt("a15"), error: said } }])
      .commit(RUN, [{ type: "run.cancelled", data: { by: SECRET, reason: SECRET } }]);
    const spans = await spansOf(journal);
    assert.deepEqual(spans.map(({ name }) => name), ["execute_tool stripe.refund", "execute_tool stripe.refund", "invoke_agent refunds"]);
    assert.doesNotMatch(JSON.stringify(spans.map(plain)), new RegExp(SECRET));
  });
});

describe("the reader of traces", () => {
  it("a run that began before it is read from the journal, and gives the same spans but those that were given out", async () => {
    const journal = whole();
    const all = (await spansOf(journal)).map(plain);
    const end = journal.messages.length;
    for (let from = 1; from <= end; from++) {
      const expected = all.slice(from <= end - 1 ? 0 : 1);
      assert.deepEqual((await spansOf(journal, { from })).map(plain), expected, `from ${from}`);
    }
    assert.deepEqual(await spansOf(journal, { from: end + 1 }), []);
  });

  it("keeps a bounded number of spans open, and loses none by it", async () => {
    const journal = new Journal();
    const runs = Array.from({ length: 20 }, (_, index) => `refunds_${index}`);
    for (const run of runs) journal.commit(run, [started()]);
    for (const run of runs) journal.commit(run, [proposed("a2")]);
    const { spans, listener } = reading(journal, { maxOpen: 7 });
    await listener.take(journal.messages);
    assert.ok(listener.open <= 7, String(listener.open));
    const before = journal.messages.length;
    for (const run of runs) journal.commit(run, [{ type: "action.failed", data: { ...attempt("a2"), error: error("tool.failed") } }, { type: "run.completed" }]);
    await listener.take(journal.messages.slice(before));
    assert.equal(spans.length, 2 * runs.length);
    assert.equal(listener.open, 0);
  });

  it("an action that outlives its run has its span, and a batch that comes again changes nothing", async () => {
    const journal = new Journal()
      .commit(RUN, [started()])
      .commit(RUN, [proposed("a2")])
      .commit(RUN, [{ type: "run.cancelled", data: { by: "op" } }])
      .commit(RUN, [{ type: "action.failed", data: { ...attempt("a2"), error: error("run.ended") } }]);
    const { spans, listener } = reading(journal);
    await listener.take(journal.messages);
    await listener.take(journal.messages);
    assert.deepEqual(spans.map(({ name }) => name), ["invoke_agent refunds", "execute_tool stripe.refund"]);
    assert.equal(listener.open, 0);
  });

  it("what it cannot read costs a span and not the reader", async () => {
    const journal = whole();
    const alarms: string[] = [];
    const broken = journal.messages.map((message) => ({ ...message, data: message.seq === 3 ? new Uint8Array([0xc1]) : message.data }));
    const { spans, listener } = reading(journal, { onAlarm: (message) => alarms.push(message) });
    await listener.take(broken);
    assert.equal(spans.length, 2);
    const deaf = reading(journal, { from: 5, onAlarm: (message) => alarms.push(message), history: () => { throw new Error("gone"); } });
    await deaf.listener.take(journal.messages.slice(4));
    assert.deepEqual(deaf.spans, []);
    assert.match(alarms[0] ?? "", /cannot be traced at 5/);
  });
});
