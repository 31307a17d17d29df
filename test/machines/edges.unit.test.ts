/** Edges of decisions that nothing else comes by: the exact moment, the one fault, the word that is not said. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { owed } from "../../machines/owed.ts";
import { emptyRun, type RunState } from "../../machines/state.ts";
import { dispatchSchema } from "../../schemas/dispatch.ts";
import type { EventDraft } from "../../schemas/event.ts";
import type { Need } from "../../schemas/facts.ts";
import type { LedgerName } from "../../schemas/ids.ts";
import { timestamp } from "../../schemas/time.ts";
import {
  after, answer, approve, claim, control, due, edit, given, HIT, INVALID, ISSUER, line, type Line, note, NS, OTHER_DOCUMENTS, report, RUN, start, T0, tool, type ToolOptions, turnDown,
} from "./given.ts";
import { PROBE, probed } from "./probes.ts";

const ask = { decision: "ask" } as const;
const ONE_FAULT = INVALID.slice(0, 1);
const other = { documents: OTHER_DOCUMENTS } as const;
const reasonsOf = (drafts: readonly EventDraft[], type: "action.denied" | "action.failed") => {
  const found = drafts.find((draft) => draft.type === type);
  return found !== undefined && (found.type === "action.denied" || found.type === "action.failed") ? found.data.reasons : undefined;
};

test("a refusal names the member that is at fault", () => {
  const asked = given(start(), tool("t1", ask));
  const paths = (line: Line, code: string) => asked.when(line).refused(code).map(({ path, help }) => [path, help]);
  assert.deepEqual(paths(approve("q99"), "approval.unknown"), [["/request", undefined]]);
  assert.deepEqual(paths(approve("t1", "ann", { digest: `sha256:${"0".repeat(64)}` }), "approval.wrong_digest"), [["/digest", "read the request again: it may have changed"]]);
  assert.deepEqual(paths(edit("t1", { n: 1 }), "edit.unchanged"), [["/input", "approve it, or refuse it"]]);
  assert.deepEqual(paths(report("a99", "succeeded"), "report.unknown_action"), [["/action", undefined]]);
  assert.deepEqual(paths(report("t1", "succeeded", { by: "g9" }), "report.not_holder"), [["/claim/gateway", undefined]]);
});

test("APP-3: a person may still answer in the very moment in which the request expires, and not after it", () => {
  const asked = given(start(), tool("t1", { ...ask, ttlMs: 60_000 }));
  asked.when(after(60_000, approve("t1"))).then("approval.granted", "action.approved", "action.dispatched");
  given(start(), tool("t1", { ...ask, ttlMs: 60_000 })).when(after(60_001, approve("t1"))).refused("approval.expired");
});

test("what a person does not say is not recorded as said", () => {
  const asked = given(start(), tool("t1", ask));
  assert.deepEqual(reasonsOf(asked.when(turnDown("t1")).then("approval.refused", "action.denied"), "action.denied"), [{ code: "approval.refused", message: "`ann` refused it" }]);
  const edited = asked.when(edit("t1", { n: 2 }));
  const drafts = edited.then("approval.edited", "action.denied", "action.proposed", "action.validated", "action.approved", "action.dispatched");
  assert.deepEqual(reasonsOf(drafts, "action.denied")?.map((one) => Object.keys(one)), [["code", "message"]]);
  const { state } = given(start(), tool("t1", ask), edit("t1", { n: 2 }));
  assert.deepEqual(state.proposals.get("agent-1/t1"), { kind: "tool", action: "a7", seq: 7, at: state.at });
});

test("law 9: what changed is judged again only within what is held for it, and the agent is told why it is not", () => {
  const held: ToolOptions = { ...ask, costMicroUsd: 5, tokens: { input: 5, output: 5 } };
  const asked = given(start(), tool("t1", held));
  const refusal = (again: ToolOptions) => {
    const drafts = asked.when(approve("t1", "ann", { ...other, again })).then("approval.stale", "action.denied", "budget.settled");
    return reasonsOf(drafts, "action.denied")?.map(({ code, help }) => help ?? code);
  };
  const dearer = "it may cost more than was reserved: propose it again";
  assert.deepEqual(refusal({ ...held, costMicroUsd: 6 }), [dearer]);
  assert.deepEqual(refusal({ ...held, tokens: { input: 6, output: 5 } }), [dearer]);
  assert.deepEqual(refusal({ ...held, tokens: { input: 5, output: 6 } }), [dearer]);
  assert.deepEqual(refusal({ ...held, faults: ONE_FAULT }), ["mend it, and propose it again", "input.type"]);
  const need: Need = { ledger: "team.a.2026-01-31" as LedgerName, unit: "cost", window: "2026-01-31", need: 1, want: 1 };
  assert.deepEqual(refusal({ ...held, needs: [need] }), ["it needs allowances that it does not hold: propose it again"]);
  asked.when(approve("t1", "ann", { ...other, again: held })).then("approval.stale", "action.validated", "approval.requested");
  asked.when(edit("t1", { n: 2 }, { ...held, faults: ONE_FAULT })).refused("input.type");
});

test("law 9: a claim after a change says what is wrong with the action by now", () => {
  const sent = given(start(), tool("t1"));
  const failed = (line: Line) => reasonsOf(sent.when(line).then("action.failed"), "action.failed")?.map(({ code, help }) => help ?? code);
  assert.deepEqual(failed(claim("t1", { ...other, again: { faults: ONE_FAULT } })), ["mend it, and propose it again", "input.type"]);
  assert.deepEqual(failed(claim("t1", other)), ["propose it again"]);
  const judged = sent.when(claim("t1", { ...other, again: {} }));
  judged.then("action.validated", "action.approved", "action.dispatched");
  assert.equal(judged.decision.kind === "commit" && judged.decision.change.standings.size, 0, "no approval falls where none was given");
});

test("EXEC-7 law 9: what an earlier attempt may have done is not judged again: it ends, and nobody says that nothing happened", () => {
  const doubted = (o: ToolOptions) => [start(), tool("t1", { ...o, idempotent: true, retries: 2 }), ...(o.decision === "ask" ? [approve("t1")] : []), claim("t1"), report("t1", "in_doubt"), due("action:t1")];
  const end = (lines: readonly Line[], last: Line) => {
    const drafts = given(...lines).when(last).then("action.failed");
    const [failed] = drafts;
    return failed?.type === "action.failed" ? [failed.data.error.code, failed.data.error.effect, failed.data.reasons?.map(({ help }) => help)] : [];
  };
  assert.deepEqual(end(doubted({}), claim("t1", { ...other, again: {} })), ["documents.changed", "unknown", ["propose it again"]]);
  assert.deepEqual(end(doubted(ask), claim("t1", { approvers: { ann: null } })), ["approval.void", "unknown", [undefined]]);
});

test("law 9: a token counts until the moment in which it ends", () => {
  const principal = { subject: "eve", issuer: ISSUER, verified: true, expires_at: timestamp(T0 + 62_000) };
  given(start({ principal }), tool("t1")).when(after(59_999, claim("t1"))).then("action.started");
  given(start({ principal }), tool("t1")).when(after(60_000, claim("t1"))).then("action.failed");
});

test("GUARD-9: a stop lets no unclaimed write pass for a read", () => {
  given(start(), tool("t1")).when(report("t1", "succeeded", { guard: HIT })).refused("report.not_holder");
});

test("a tool that does not say why it failed has failed with an effect that nobody knows", () => {
  const silent = line(() => ({ kind: "report", actor: "g1", id: "x", body: { id: "x", action: "a2" as never, attempt: 1, claim: { gateway: "g1" as never, nonce: "nonce-0001" }, status: "failed" } }));
  const [draft] = given(start(), tool("t1"), claim("t1")).when(silent).then("action.in_doubt");
  assert.deepEqual(draft?.type === "action.in_doubt" && draft.data.error, { code: "tool.failed", message: "the tool failed without saying why", effect: "unknown" });
});

test("EXEC-7: what a tool does not say of its answer is said for it", () => {
  const asking = [start(), tool("t1", { probe: PROBE }), claim("t1"), report("t1", "in_doubt"), after(20_000, due("action:t1"))];
  const error = (found: "none" | "unknown") => {
    const [draft] = given(...asking).when(probed("t1", found)).then("action.probed", ...(found === "none" ? (["action.failed"] as const) : []));
    return draft?.type === "action.probed" && [draft.data.error?.code, draft.data.error?.effect];
  };
  assert.deepEqual([error("none"), error("unknown")], [["probe.none", "none"], ["probe.unknown", "unknown"]]);
  // what was not verified was given to nobody, and marks nobody
  given(...asking).when(probed("t1", "done", { faults: INVALID, marks: { tainted: true, labels: [], cleanses: false } })).then("action.probed", "action.succeeded", "action.failed");
});

test("GUARD-3 GUARD-10: only a cleansing output lowers a mark, only new labels are told, and a line that does not move is not written", () => {
  const read = (id: string, marks: { tainted?: boolean; labels?: ("pii" | "secret")[]; cleanses?: boolean }): Line[] => [
    tool(id, { effect: "read" }), report(id, "succeeded", { marks: { tainted: false, labels: [], cleanses: false, ...marks } }),
  ];
  const tainted = [start(), ...read("t1", { tainted: true, labels: ["pii"] })];
  const plainly = given(...tainted, tool("t2", { effect: "read" })).when(report("t2", "succeeded", { marks: { tainted: false, labels: [], cleanses: false } }));
  plainly.then("action.started", "action.succeeded", "action.verified");
  assert.equal(plainly.decision.kind === "commit" && "marks" in plainly.decision.change.set, false);
  const more = given(...tainted, tool("t2", { effect: "read" })).when(report("t2", "succeeded", { marks: { tainted: false, labels: ["secret", "pii"], cleanses: false } }));
  const [, , , raised] = more.then("action.started", "action.succeeded", "action.verified", "taint.raised");
  assert.deepEqual(raised?.data, { action: "a10", tool: "crm.update", tainted: false, labels: ["secret"] });
});

test("law 3: a dispatch is as the wire has it, and bears a trace only where the run does", () => {
  const dispatched = (...lines: Line[]) => {
    const [debt] = owed(given(...lines, tool("t1")).state);
    return debt?.kind === "dispatch" ? debt.message : assert.fail();
  };
  const message = dispatched(start());
  assert.deepEqual(dispatchSchema.parse(message), message);
  assert.ok(!("traceparent" in message) && !("probe" in message));
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert.equal(dispatched(start({ traceparent })).traceparent, traceparent);
});

test("law 3: a resume makes new debts of dispatches and retries, and of no other timer", () => {
  const keys = given(start(), tool("t1"), claim("t1"), control("pause"), control("resume"), note("n")).state;
  assert.deepEqual(owed(keys).map(({ key }) => key), ["timer/action:a2/6"]);
});

test("law 3: a message to an account is addressed to the account's aggregate", () => {
  const need: Need = { ledger: "team.a.2026-01-31" as LedgerName, unit: "cost", window: "2026-01-31", need: 5, want: 5 };
  const [debt] = owed(given(start(), tool("t1", { costMicroUsd: 5, needs: [need] })).state);
  assert.deepEqual(debt?.kind === "signal" && [debt.to, debt.name], ["ledger:team%2Ea%2E2026-01-31", "lease"]);
});

test("GUARD-6: wall time that is used up is due at once; runs of the first version know no half", () => {
  const owing = (machine: string, usedMs: number): [string, string][] => {
    const state: RunState = emptyRun(NS, RUN, machine);
    Object.assign(state, { envelope: { budget: { max_wall_ms: 1000 } }, wall: { usedMs, since: timestamp(T0), armed: 1 }, life: { value: "active", context: {} } });
    return owed(state).flatMap((debt) => (debt.kind === "timer" ? [[debt.name, debt.at] as [string, string]] : []));
  };
  assert.deepEqual(owing("3", 1700), [["wall", timestamp(T0)], ["half", timestamp(T0)]]);
  assert.deepEqual(owing("3", 200), [["wall", timestamp(T0 + 800)], ["half", timestamp(T0 + 300)]]);
  assert.deepEqual(owing("1", 200), [["wall", timestamp(T0 + 800)]]);
});

test("an answer to a request that was never made is refused, whatever it says", () => {
  for (const decision of ["approve", "refuse"] as const) given(start()).when(answer("q3", "ann", decision)).refused("approval.unknown");
});
