/** What the action chart asks, question by question: each is about its own event and no other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as rules from "../../machines/action-rules.ts";
import type { ActionContext, ActionEvent, Args } from "../../machines/action-rules.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { timestamp } from "../../schemas/time.ts";
import { DOCUMENTS, factsOf, judgement, T0 } from "./given.ts";
import { PROBE } from "./probes.ts";

const AT = timestamp(T0);
const CLAIM = { gateway: "g1", nonce: "nonce-0001" };
const DIGEST = sha256Digest("an action");
const SUCCESS = { status: "succeeded", output: 1, removed: [], usage: undefined, scan: undefined, faults: [] };
const failing = (effect: "none" | "done" | "unknown") => ({ status: "failed", error: { code: "e", message: "m", effect } });
const context = (more: object = {}, basis: object = {}, tool: object = {}): ActionContext =>
  ({
    id: "a2", proposal: "t1", agent: "agent-1", tool: "crm.update", documents: DOCUMENTS, effect: "write", timeoutMs: 1000, digest: DIGEST, document: "{}",
    attempt: 1, claim: CLAIM, timer: undefined, output: undefined, error: undefined, doubt: false, reasons: undefined, rests: undefined,
    basis: { asked: undefined, facts: { ...factsOf({}), tool: { ...factsOf({}).tool, ...tool } }, amount: undefined, edited: undefined, unbegun: 0, probes: 0, ...basis },
    ...more,
  }) as unknown as ActionContext;
/** An event with everything that any event has, so that only its type tells what it is. */
const event = (type: string, more: object = {}): ActionEvent =>
  ({
    type, at: AT, seq: 5, held: false, over: false, facts: factsOf({ decision: "ask" }), missing: [{ need: 1 }], standing: { request: "q1", approvers: ["ann"] },
    claim: CLAIM, attempt: 1, armed: 3, number: 1, found: "done", by: "person", request: "q2", approvers: ["bob"], outcome: SUCCESS, reasons: [], ...more,
  }) as unknown as ActionEvent;
const args = (of: ActionContext, about: ActionEvent): Args => ({ context: of, event: about });

test("law 9: each question of the chart is about its own event", () => {
  const of = context({ timer: { at: AT, armed: 3 }, effect: "read" }, { probes: 1 });
  const questions: [keyof typeof rules, string][] = [
    ["byHolder", "REPORT"], ["unclaimedRead", "REPORT"], ["sameAttempt", "CLAIM"], ["currentTimer", "DUE"], ["answersProbe", "PROBED"],
  ];
  for (const [name, own] of questions) {
    const ask = rules[name] as (of: Args) => boolean;
    for (const type of ["JUDGE", "CLAIM", "REPORT", "DUE", "PROBED", "RESOLVE"]) assert.equal(ask(args(of, event(type))), type === own, `${name} of ${type}`);
  }
  assert.equal(rules.sameAttempt(args(of, event("CLAIM", { attempt: 2 }))), false);
  assert.equal(rules.unclaimedRead(args(of, event("REPORT", { attempt: 2 }))), false);
});

test("law 9: after `none` only the holder's success counts", () => {
  const asked = context({}, { probes: 1 });
  assert.equal(rules.belied(args(asked, event("REPORT"))), true);
  assert.equal(rules.belied(args(asked, event("REPORT", { outcome: failing("none") }))), false);
  assert.equal(rules.belied(args(asked, event("REPORT", { claim: { ...CLAIM, nonce: "nonce-0002" } }))), false);
  assert.equal(rules.belied(args(context(), event("REPORT"))), false);
});

test("law 6: what was not judged is denied; what is judged is what the event brings, and no other event brings a judgement", () => {
  const none = { decision: "deny", policies: [], reasons: [], errors: ["there was no judgement"], engine: "none" };
  assert.deepEqual(rules.judgementOf(event("GRANT")), none);
  assert.deepEqual(rules.judgementOf(event("JUDGE", { facts: {} })), none);
  assert.equal(rules.judgementOf(event("JUDGE")).decision, "ask");
  assert.deepEqual(rules.restsOn(event("JUDGE")), { by: "standing", request: "q1" });
  assert.deepEqual(rules.restsOn(event("GRANT")), { by: "person", request: "q2" });
  assert.deepEqual(rules.restsOn(event("RELEASE")), { by: "policy", request: undefined });
});

test("CORE-8: a denial names each policy with its place, and repeats none in the engine's words; silence is no permit", () => {
  const policy = (id: string, more: object = {}) => ({ id, effect: "forbid", ...more }) as never;
  const engine = [{ code: "policy.forbidden", message: "a policy forbids it" }, { code: "budget.daily", message: "too much" }];
  const of = (more: object) => rules.denialReasons({ ...judgement("deny"), policies: [], reasons: [], errors: [], ...more } as never);
  assert.deepEqual(of({ policies: [policy("a", { file: "x.cedar", line: 7 }), policy("b", { file: "y.cedar" }), policy("c")], reasons: engine }), [
    { code: "policy.forbidden", message: "policy `a` forbids it", help: "x.cedar:7" },
    { code: "policy.forbidden", message: "policy `b` forbids it", help: "y.cedar" },
    { code: "policy.forbidden", message: "policy `c` forbids it" },
    engine[1],
  ]);
  assert.deepEqual(of({ reasons: engine }), engine);
  assert.deepEqual(of({ errors: ["broken"] }), [{ code: "policy.error", message: "broken" }]);
  assert.deepEqual(of({}).map(({ code, help }) => [code, help]), [["policy.no_permit", "what no policy permits is denied"]]);
});

test("EXEC-7: what may be repeated, and how often", () => {
  const may = (effect: "none" | "done" | "unknown", tool: object, more: object = {}) => rules.repeatable(args(context(more, {}, tool), event("REPORT", { outcome: failing(effect) })));
  assert.deepEqual([may("none", {}), may("unknown", {}), may("done", {})], [true, false, false]);
  assert.deepEqual([may("unknown", { idempotent: true }), may("done", { idempotent: true })], [true, false]);
  assert.deepEqual([may("unknown", {}, { effect: "read" }), may("done", {}, { effect: "read" })], [true, false]);
  const left = (attempt: number, retries: number | undefined, unbegun = 0) =>
    rules.retriesLeft(args(context({ attempt }, { unbegun }, { retries }), event("REPORT", { outcome: failing("none") })));
  assert.deepEqual([left(1, 1), left(2, 1), left(2, 1, 1), left(1, undefined)], [true, false, true, false]);
  assert.equal(rules.retriesLeft(args(context({}, { facts: undefined }), event("REPORT", { outcome: failing("none") }))), false);
});

test("EXEC-7: a person and the tool's probe speak of all attempts; a report speaks of its own", () => {
  const of = (type: string) => rules.endOfAction(args(context({ doubt: true }), event(type, { outcome: failing("none") }))).effect;
  assert.deepEqual([of("RESOLVE"), of("PROBED"), of("REPORT")], ["none", "none", "unknown"]);
  const late = rules.errorOf(event("DUE"));
  assert.deepEqual([late.code, late.effect], ["tool.deadline", "unknown"]);
  assert.equal(rules.errorOf(event("REPORT")).code, "tool.deadline", "a success has no error of its own");
});

test("CORE-4: junk is an output with any fault", () => {
  const junk = (outcome: object) => rules.junk(args(context(), event("REPORT", { outcome })));
  assert.deepEqual([junk(SUCCESS), junk({ ...SUCCESS, faults: [{ code: "x" }] }), junk({ ...failing("done"), faults: [{ code: "x" }] })], [false, true, false]);
});

test("law 9: any of the three documents differing is a difference", () => {
  assert.equal(rules.documentsDiffer(DOCUMENTS, { ...DOCUMENTS }), false);
  for (const one of ["contract", "tool", "policy"]) assert.equal(rules.documentsDiffer(DOCUMENTS, { ...DOCUMENTS, [one]: sha256Digest("other") }), true, one);
});

test("a retry waits 500 ms, twice as long each time up to a minute, and up to half as long again by the action's digest", () => {
  const wait = (attempt: number, digest: string | undefined) => Date.parse(rules.retryAt(args(context({ attempt, digest }), event("REPORT")))) - T0;
  const all = (digit: string) => `sha256:${digit.repeat(64)}`;
  assert.deepEqual([1, 2, 3, 7, 8, 20].map((attempt) => wait(attempt, all("0"))), [500, 1000, 2000, 32_000, 60_000, 60_000]);
  assert.deepEqual([1, 8].map((attempt) => wait(attempt, all("f"))), [750, 90_000]);
  assert.equal(wait(1, undefined), 500);
  // four digits, from the place of the attempt, which comes round before they run out
  const at = (place: number) => `sha256:${"0".repeat(place)}8000${"0".repeat(60 - place)}`;
  assert.deepEqual([wait(1, at(1)), wait(1, at(5)), wait(59, at(59)), wait(60, at(0)), wait(61, at(1))], [625, 500, 75_000, 75_000, 75_000]);
  assert.equal(wait(20, `sha256:${"0".repeat(20)}ffe0${"0".repeat(40)}`), 60_000 + Math.round((30_000 * 0xffe0) / 0xffff));
});

test("an answer is waited for as long as its time-out and a claim's grace; a probe that is not declared is not waited for", () => {
  const deadline = (tool: object) => rules.probeDeadline(args(context({}, { probes: 1 }, tool), event("DUE")));
  assert.deepEqual(deadline({ probe: PROBE }), { at: timestamp(T0 + PROBE.timeout_ms + rules.CLAIM_GRACE_MS), armed: 5 });
  assert.deepEqual(deadline({}), { at: timestamp(T0 + rules.CLAIM_GRACE_MS), armed: 5 });
  assert.equal(rules.firstProbe(args(context({}, {}, { probe: PROBE }), event("REPORT")))?.at, AT);
  assert.equal(rules.nextProbe(args(context({}, { probes: PROBE.tries }, { probe: PROBE }), event("DUE"))), undefined);
});

test("what is recorded holds what there is, and no member for what there is not", () => {
  const { recorded } = rules;
  const succeeded = (outcome: object) => Object.keys(recorded.succeeded(args(context(), event("REPORT", { outcome: { ...SUCCESS, ...outcome } }))));
  assert.deepEqual(succeeded({}), ["action", "attempt", "output", "removed"]);
  assert.deepEqual(succeeded({ usage: {}, scan: {} }), ["action", "attempt", "output", "removed", "usage", "scan"]);
  assert.throws(() => recorded.succeeded(args(context(), event("REPORT", { outcome: failing("none") }))), /no success/);
  for (const missing of ["digest", "document"]) assert.throws(() => recorded.validated(args(context({ [missing]: undefined }), event("JUDGE"))), /without a document/);
  assert.throws(() => recorded.dispatched(args(context({ digest: undefined }), event("JUDGE"))), /without a document/);
  assert.throws(() => recorded.started(args(context({ claim: undefined }), event("CLAIM"))), /without a claim/);
  assert.deepEqual(recorded.requested(args(context(), event("JUDGE"))).needs, [{ need: 1 }]);
  assert.deepEqual(recorded.requested(args(context(), event("GRANT"))).needs, []);
  const deniedBy = (type: string) => recorded.denied("answer")(args(context(), event(type, { by: "expiry" }))).by;
  assert.deepEqual([deniedBy("REFUSE"), deniedBy("GRANT"), recorded.denied("stop")(args(context(), event("JUDGE"))).by], ["expiry", "change", "stop"]);
  const approved = (about: ActionEvent) => recorded.approved(args(context(), about));
  assert.deepEqual(approved(event("GRANT")), { action: "a2", by: "person", policies: [], approvers: ["bob"] });
  assert.deepEqual(approved(event("JUDGE")), { action: "a2", by: "standing", policies: ["p1"], approvers: ["ann"], standing: "q1" });
  assert.deepEqual(approved(event("JUDGE", { standing: undefined })), { action: "a2", by: "standing", policies: ["p1"], approvers: [] });
  assert.deepEqual(approved(event("JUDGE", { facts: factsOf({}) })), { action: "a2", by: "policy", policies: ["p1"], approvers: [] });
  assert.deepEqual(approved(event("RELEASE")), { action: "a2", by: "policy", policies: [], approvers: [] });
  const timed = { timer: { at: AT, armed: 1 } };
  assert.equal(recorded.retrying(args(context(timed), event("DUE"))).retry_at, AT);
  assert.equal(recorded.retrying(args(context(), event("DUE"))).retry_at, "");
  assert.equal(recorded.probing(args(context(), event("DUE"))).deadline, "");
  assert.deepEqual(recorded.probing(args(context(timed, { probes: 3 }), event("DUE"))), { action: "a2", attempt: 1, probe: 3, deadline: AT });
  assert.equal(recorded.failed(args(context(), event("DUE"))).error.code, "tool.deadline");
  assert.deepEqual(Object.keys(recorded.probed(args(context({}, { probes: 2 }), event("DUE")))), ["action", "attempt", "probe", "found"]);
  const unknown = recorded.probed(args(context(timed, { probes: 2 }), event("PROBED", { found: "unknown", outcome: failing("unknown") })));
  assert.deepEqual(unknown, { action: "a2", attempt: 1, probe: 2, found: "unknown", by: "person", error: { code: "e", message: "m", effect: "unknown" }, probe_at: AT });
});
