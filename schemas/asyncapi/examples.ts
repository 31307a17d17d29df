/** Examples of messages: one refund, seen from all sides. A test checks each against its schema. */
import type { EventType } from "../event.ts";
import type { Schema } from "./models.ts";

const RUN = "refund-assistant_hello";
const AT = "2026-01-31T09:30:00.000Z";
const DIGEST = `sha256:${"3f".repeat(32)}`;
const CLAIM = { gateway: "gateway-1", nonce: "b1946ac92492d234" };
const ACTION = { action: "a2" };
const ATTEMPT = { ...ACTION, attempt: 1 };
const REQUEST = { ...ACTION, request: "q4" };
const REASON = { code: "tool.not_allowed", message: "the contract of `refund-assistant` does not list `crm.merge`", path: "/tool" };
const ERROR = { code: "tool.card_expired", message: "the card has expired", effect: "none" };
const UNKNOWN = { code: "tool.unanswered", message: "the call was not answered", effect: "unknown" };
const APPLIED = { document: DIGEST, version: 1 };
const ACCOUNT = { ledger: "team.support.2026-01-31", unit: "cost", window: "2026-01-31" };
const ERASED = { subject: "5f0c6f1b1f3c4d5e8a9b0c1d2e3f4a5b", key: "9f8e7d6c5b4a3928" };
const STOP = { stop: "s1", kind: "stop", scope: "agent:refund-assistant", by: "operator", reason: "refunds twice" };
const PRINCIPAL = { subject: "kim", issuer: "https://id.example", key_id: "2026-01", token_hash: DIGEST, token_id: "t-1", expires_at: "2026-01-31T10:30:00.000Z", verified: true };
const CHAIN = ["principal:https://id.example|kim", "agent:refund-assistant"];
const DUE = { timer: "action:a2", armed: 6 };

/** By name of the message. */
export const EXAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  proposeStart: [
    { kind: "start", id: "start", agent: { name: "refund-assistant" }, goal: "Resolve ticket T-1001", budget: { max_steps: 10 } },
  ],
  proposeTool: [
    {
      kind: "tool",
      id: "refund",
      tool: "stripe.create_refund",
      input: { charge_id: "ch_1001", amount_usd: 25 },
      why: "the ticket shows two charges for one order",
      confidence: 0.9,
      uses: ["a2"],
    },
  ],
  proposeNote: [{ kind: "note", id: "n1", text: "the customer was charged twice" }],
  proposeFinish: [{ kind: "finish", id: "finish", output: { refunded_usd: 25 } }],
  proposeFail: [{ kind: "fail", id: "fail", error: { code: "no_ticket" } }],
  decision: [
    { id: "d1", request: "q4", decision: "approve", digest: DIGEST, reason: "known customer" },
    { id: "d2", request: "q4", decision: "edit", digest: DIGEST, input: { charge_id: "ch_1001", amount_usd: 400 }, reason: "one item was kept" },
    { id: "d3", request: "q4", decision: "approve", digest: DIGEST, standing: { vary: ["/amount_usd", "/charge_id"], max_amount: "50", max_total: "200", uses: 5, expires_seconds: 3600 } },
  ],
  report: [
    { id: "r1", action: "a2", attempt: 1, claim: CLAIM, status: "started" },
    { id: "r2", action: "a2", attempt: 1, claim: CLAIM, status: "succeeded", output: { refund_id: "re_1" }, usage: { cost_usd: 0.01 }, scan: { engine: "signalbox-scan 1", findings: [{ kind: "label", path: "/email", rule: "email", label: "pii" }] } },
  ],
  control: [
    { verb: "pause", id: "c1", reason: "looking into it" },
    { verb: "resolve", id: "c2", action: "a2", outcome: "succeeded", output: { refund_id: "re_1" } },
    { verb: "cleanse", id: "c3", reason: "read the ticket: nothing in it speaks to the agent", labels: ["pii"] },
  ],
  erasureControl: [{ verb: "erase", id: "e1", subject: "cus_1001", reason: "request 2026-117" }],
  guardControl: [
    { verb: "stop", id: "g1", scope: "agent:refund-assistant", reason: "refunds twice" },
    { verb: "revoke", id: "g2", scope: "person:kim", reason: "has left" },
    { verb: "lift", id: "g3", stop: "s1", reason: "mended" },
  ],
  segmentsControl: [{ verb: "open", id: "o1", reason: "a large import" }],
  signalOpen: [{ name: "open", id: "open-2", segment: 2 }],
  signalSeal: [{ name: "seal", id: "seal-1", segment: 1, runs: 500_000, index: DIGEST }],
  signalLease: [{ name: "lease", id: "l1", ...ACCOUNT, need: 10_000, want: 250_000 }],
  signalLeased: [{ name: "leased", id: "l1", ...ACCOUNT, granted: 250_000, total: 1_250_000, cap: 5_000_000 }],
  signalReturn: [{ name: "return", id: "l2", ...ACCOUNT, unused: 240_000, last: true }],
  signalReturned: [{ name: "returned", id: "l2", ...ACCOUNT, unused: 240_000, last: true }],
  apply: [{ id: "p1", document: DIGEST, reason: "first version" }],
  change: [{ id: "c1", documents: [{ kind: "agent", name: "refund-assistant", document: DIGEST }, { kind: "policy", name: "default", document: DIGEST }], reason: "refunds up to 50 USD" }],
  answer: [
    { v: 1, run: RUN, id: "refund", kind: "tool", status: "pending", final: false, seq: 5, at: AT, action: "a2", tool: "stripe.create_refund", digest: DIGEST, request: "q4", expires_at: AT },
    { v: 1, run: RUN, id: "refund", kind: "tool", status: "denied", final: true, seq: 5, at: AT, action: "a2", tool: "crm.merge", reasons: [REASON] },
    { v: 1, run: RUN, id: "refund", kind: "tool", status: "pending", final: false, seq: 9, at: AT, action: "a7", tool: "stripe.create_refund", digest: DIGEST, request: "q9", expires_at: AT, edited: { from: "a2", by: "ada", diff: [{ path: "/amount_usd", before: 480, after: 400 }] } },
  ],
  rejection: [{ v: 1, at: AT, actor: "refund-assistant", kind: "propose", run: RUN, id: "n1", reasons: [REASON], bytes: 62, sha256: DIGEST, count: 1 }],
  stored: [{ stream: "INBOX_default", seq: 17 }],
  dispatch: [{ v: 1, run: RUN, action: "a2", attempt: 1, document: '{"action":"a2"}', digest: DIGEST, timeout_ms: 10_000, effect: "write" }],
  grant: [{ v: 1, run: RUN, report: "r1", action: "a2", attempt: 1, claim: CLAIM, verdict: "granted", seq: 7 }],
  toolCall: [{ amount_usd: 25, charge_id: "ch_1001" }],
  toolProbe: [{ amount_usd: 25, charge_id: "ch_1001" }],
  toolProbed: [{ refund_id: "re_1", charge_id: "ch_1001", amount_usd: 25, status: "succeeded" }],
  toolOutput: [{ refund_id: "re_1", charge_id: "ch_1001", amount_usd: 25, status: "succeeded" }],
  timer: [DUE],
  due: [DUE],
  question: [{}, { run: RUN }, { agent: "refund-assistant", state: "active", limit: 50 }, { scope: "tool:stripe.create_refund" }],
  page: [{ batch: 256, seq: 1, next_by_subj: "signalbox.default.log.>" }],
};

/** Own fields of each event type; a type without an example does not compile. */
const DATA: Readonly<Record<EventType, Schema>> = {
  "run.started": {
    envelope: { agent: { name: "refund-assistant", version: "1.0.0" }, owner: "payments-platform", team: "support", principal: PRINCIPAL, chain: CHAIN, documents: { contract: DIGEST }, budget: { max_steps: 10 } },
    goal: "Resolve ticket T-1001",
  },
  "run.refused": { reasons: [{ code: "deadline.passed", message: `the deadline ${AT} has passed`, path: "/deadline" }] },
  "run.paused": { by: "operator", reason: "looking into it" },
  "run.resumed": { by: "operator" },
  "run.completed": { output: { refunded_usd: 25 } },
  "run.failed": { error: { code: "no_ticket" } },
  "run.cancelled": { by: "operator", reason: "duplicate" },
  "action.proposed": { ...ACTION, proposal: "refund", tool: "stripe.create_refund", agent: "refund-assistant" },
  "action.rejected": { ...ACTION, reasons: [REASON] },
  "action.validated": { ...ACTION, digest: DIGEST, document: '{"action":"a2"}' },
  "action.denied": { ...ACTION, by: "policy", reasons: [{ code: "policy.forbidden", message: "policy `agents-never-delete-customers` forbids it", help: "default/customers.cedar:2" }] },
  "action.approved": { ...ACTION, by: "policy", policies: ["refunds-by-assistant"], approvers: [] },
  "action.dispatched": { ...ATTEMPT, tool: "stripe.create_refund", digest: DIGEST },
  "action.started": { ...ATTEMPT, claim: CLAIM, deadline: AT },
  "action.succeeded": { ...ATTEMPT, output: { refund_id: "re_1" }, removed: [] },
  "action.verified": ATTEMPT,
  "action.failed": { ...ATTEMPT, error: ERROR },
  "action.retrying": { ...ATTEMPT, error: ERROR, retry_at: AT },
  "action.in_doubt": { ...ATTEMPT, error: UNKNOWN, probe_at: AT },
  "action.probing": { ...ATTEMPT, probe: 1, deadline: AT },
  "action.probed": { ...ATTEMPT, probe: 1, found: "done", by: "signalbox-gateway" },
  "approval.requested": { ...REQUEST, view: '{"action":"a2"}', digest: DIGEST, role: "approver", count: 1, expires_at: AT },
  "approval.granted": { ...REQUEST, by: "ada", digest: DIGEST, grants: 1, count: 1 },
  "approval.refused": { ...REQUEST, by: "ada", reason: "not this one", digest: DIGEST },
  "approval.expired": REQUEST,
  "approval.stale": { ...REQUEST, reason: "contract, tool or policy changed since it was asked" },
  "budget.reserved": { ...ACTION, cost_micro_usd: 10_000 },
  "budget.settled": { ...ACTION, cost_micro_usd: 8_000, reserved_micro_usd: 10_000 },
  "approval.edited": { ...REQUEST, by: "ada", digest: DIGEST, replacement: "a7", diff: [{ path: "/amount_usd", before: 480, after: 400 }] },
  "budget.exhausted": { ...ACTION, budget: "steps", limit: 10, used: 10 },
  "budget.warned": { budget: "cost", limit: 2_500_000, used: 1_260_000 },
  "budget.requested": { ...ACTION, needs: [{ ...ACCOUNT, need: 10_000, want: 250_000 }] },
  "budget.leased": { ...ACCOUNT, granted: 250_000, total: 1_250_000, cap: 5_000_000 },
  "budget.returned": { ...ACCOUNT, unused: 240_000, last: true },
  "taint.raised": { ...ACTION, tool: "zendesk.read_ticket", tainted: true, labels: ["pii"] },
  "taint.lowered": { by: "ada", reason: "read the ticket: nothing in it speaks to the agent", labels: [] },
  "note.recorded": { text: "the customer was charged twice" },
  "agent.applied": APPLIED,
  "tool.applied": APPLIED,
  "policy.applied": { ...APPLIED, version: 2, previous: DIGEST },
  "person.applied": APPLIED,
  "issuer.applied": APPLIED,
  "budget.applied": APPLIED,
  "ledger.leased": { ...ACCOUNT, run: RUN, granted: 250_000, total: 1_250_000, cap: 5_000_000 },
  "ledger.refused": { ...ACCOUNT, run: RUN, need: 10_000, total: 5_000_000, cap: 5_000_000 },
  "ledger.returned": { ...ACCOUNT, run: RUN, unused: 240_000, total: 1_010_000, last: true },
  "guard.stopped": STOP,
  "guard.lifted": { ...STOP, by: "grace", reason: "mended" },
  "segments.opened": { segment: 2, from: "2026-01-31T09:30:00.000Z", by: "segments:journal" },
  "segments.sealed": { segment: 1, runs: 500_000, index: DIGEST },
  "erasure.requested": { ...ERASED, by: "grace", reason: "asked for on 2026-11-20" },
  "erasure.completed": ERASED,
};

/** An event in the middle of a commit, where `data` holds only the type's own fields. */
export function eventExample(type: EventType) {
  const { run, cause } = happened(type);
  const headers = {
    "ce-specversion": "1.0",
    "ce-id": `${run}:5`,
    "ce-type": `signalbox.${type}`,
    "ce-source": "/signalbox/default",
    "ce-time": AT,
    "content-type": "application/msgpack",
  };
  const payload = { v: 1, ns: "default", run, seq: 5, part: [2, 3], at: AT, type, from: "proposed", to: "validated", cause, machine: "3", data: DATA[type], prev: "9c".repeat(32) };
  return { name: type, headers, payload };
}

/** To what an event of this type happens, and what causes it. */
function happened(type: EventType) {
  if (type.endsWith(".applied")) return { run: "stripe.create_refund", cause: { id: "p1", kind: "apply", actor: "operator", time: AT } };
  if (type.startsWith("ledger.")) return { run: ACCOUNT.ledger, cause: { id: "l1", kind: "signal", actor: RUN, time: AT } };
  if (type.startsWith("erasure.")) return { run: "subjects", cause: { id: "e1", kind: "control", actor: "operator", time: AT } };
  if (type.startsWith("guard.")) return { run: "stops", cause: { id: "g1", kind: "control", actor: "operator", time: AT } };
  if (type.startsWith("segments.")) return { run: "journal", cause: { id: "open-2", kind: "signal", actor: "segments:journal", time: AT } };
  return { run: RUN, cause: { id: "refund", kind: "propose", actor: "refund-assistant", time: AT, chain: CHAIN } };
}
