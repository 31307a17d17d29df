/** Questions to the read model, asked by the roles that may ask them. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Digest } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { type Reader, startReader } from "../../services/projection/reader.ts";
import type { ApprovalAnswer, RunView, StatusAnswer, WhyView } from "../../services/projection/views.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { granted, JournalWriter, NS, proposed, requested, started } from "./journal.ts";

const A = `sha256:${"a".repeat(64)}` as Digest;

describe("questions to the read model", () => {
  let server: TestServer;
  let reader: Reader;
  let auditor: NatsConnection;
  let approver: NatsConnection;
  before(async () => {
    server = await startTestServer();
    reader = await startReader({ nc: await server.connect("reader", "r1"), ns: NS, dataDir: undefined });
    auditor = await server.connect("auditor", "kim");
    approver = await server.connect("approver", "sam");
    const writer = new JournalWriter(await server.connect("coordinator", "c1"));
    await writer.commit("agent", "refunds", [{ type: "agent.applied", to: "applied", data: { document: A, version: 1 } }]);
    await writer.commit("run", "refunds_1", [started()]);
    await writer.commit(
      "run",
      "refunds_1",
      [
        proposed("a2"),
        { type: "action.validated", from: "proposed", to: "validated", data: { action: "a2", digest: A, document: "{}" } },
        { type: "budget.reserved", data: { action: "a2", cost_micro_usd: 500 } },
        requested("refunds_1", "a2", "q5"),
      ],
      {
        input: { kind: "tool", id: "p-a2", tool: "stripe.refund", input: { amount: 480 }, why: "they asked" },
        facts: {
          kind: "tool",
          documents: { contract: A, tool: A, policy: A },
          faults: [],
          approval_ttl_ms: 1000,
          judgement: {
            decision: "ask",
            policies: [{ id: "large-refunds", effect: "permit", file: "default/refunds.cedar", line: 7 }],
            reasons: [],
            errors: [],
            engine: "cedar 4.13.0",
          },
        },
      },
    );
    await writer.commit("run", "refunds_1", [
      granted("a2", "q5"),
      { type: "action.approved", from: "awaiting_approval", to: "approved", data: { action: "a2", by: "person", policies: [], approvers: ["sam"] } },
    ]);
    await writer.commit("run", "refunds_2", [started()]);
    await writer.commit("run", "refunds_2", [proposed("a2"), requested("refunds_2", "a2", "q3")]);
    writer.close();
  });
  after(async () => {
    await reader.stop();
    await server.stop();
  });

  async function ask<T>(nc: NatsConnection, what: string, body: unknown = {}): Promise<T> {
    const answer = await nc.request(subjects.query(NS, what), JSON.stringify(body), { timeout: 2_000 });
    const code = answer.headers?.get("Nats-Service-Error-Code");
    if (code) throw new Error(`${code}: ${answer.headers?.get("Nats-Service-Error")}`);
    return answer.json<T>();
  }

  it("`status` counts runs by state and says how far the index is", async () => {
    const status = await ask<StatusAnswer>(auditor, "status");
    assert.deepEqual(status.runs, { active: 2 });
    assert.equal(status.approvals_waiting, 1);
    assert.equal(status.indexed, status.journal.last_seq);
    assert.deepEqual(status.documents, { agent: 1 });
  });

  it("`runs` filters and pages, newest first", async () => {
    const first = await ask<{ runs: { run: string }[]; next: number }>(auditor, "runs", { limit: 1 });
    assert.deepEqual(first.runs.map(({ run }) => run), ["refunds_2"]);
    const second = await ask<{ runs: { run: string }[] }>(auditor, "runs", { limit: 5, after: first.next });
    assert.deepEqual(second.runs.map(({ run }) => run), ["refunds_1"]);
    assert.deepEqual((await ask<{ runs: unknown[] }>(auditor, "runs", { state: "completed" })).runs, []);
    await assert.rejects(ask(auditor, "runs", { limit: 100_000 }), /400: `limit`/);
  });

  it("`run` shows envelope, actions, approvals, spend and timeline (CORE-7)", async () => {
    const run = await ask<RunView>(auditor, "run", { run: "refunds_1" });
    assert.equal(run.state, "active");
    assert.equal(run.envelope?.owner, "ops");
    assert.deepEqual(run.spend, { steps: 1, settled_micro_usd: 0, reserved_micro_usd: 500, input_tokens: 0, output_tokens: 0 });
    assert.deepEqual(run.actions.map(({ action, state, input, why }) => ({ action, state, input, why })), [
      { action: "a2", state: "approved", input: { amount: 480 }, why: "they asked" },
    ]);
    assert.deepEqual(run.approvals.map(({ state, decisions }) => [state, decisions.map(({ by }) => by)]), [["granted", ["sam"]]]);
    assert.deepEqual(run.timeline.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7]);
    await assert.rejects(ask(auditor, "run", { run: "refunds_9" }), /404: there is no run/);
  });

  it("`why` answers which principal, which policy, what evidence (CORE-8)", async () => {
    const why = await ask<WhyView>(auditor, "why", { run: "refunds_1", action: "a2" });
    assert.equal(why.authority.principal?.subject, "kim");
    assert.equal(why.authority.standing, "claimed, not verified");
    assert.deepEqual(why.permission.policies, [{ id: "large-refunds", effect: "permit", file: "default/refunds.cedar", line: 7 }]);
    assert.equal(why.permission.decided_by, "person");
    assert.deepEqual(why.permission.approvals[0]?.decisions.map(({ by, decision }) => ({ by, decision })), [{ by: "sam", decision: "approve" }]);
    assert.deepEqual(why.evidence.documents, { contract: A, tool: A, policy: A, action: A });
    assert.deepEqual(why.evidence.events.map(({ seq, type }) => `${seq} ${type}`), [
      "2 action.proposed",
      "3 action.validated",
      "4 budget.reserved",
      "5 approval.requested",
      "6 approval.granted",
      "7 action.approved",
    ]);
    for (const { hash } of why.evidence.events) assert.match(hash, /^[0-9a-f]{64}$/);
    await assert.rejects(ask(auditor, "why", { run: "refunds_1", action: "a99" }), /404/);
  });

  it("an approver sees what is asked as its exact text, and never a digest made for him (APP-4)", async () => {
    const { approvals } = await ask<{ approvals: { run: string; action: string; digest?: string }[] }>(approver, "approvals");
    assert.deepEqual(approvals.map(({ run, action }) => ({ run, action })), [{ run: "refunds_2", action: "a2" }]);
    const answer = await ask<ApprovalAnswer & { digest?: string }>(approver, "approval.refunds_2", { action: "a2" });
    assert.equal(answer.request, "q3");
    assert.equal(answer.digest, undefined);
    const sealed = requested("refunds_2", "a2", "q3").data as { digest: string };
    assert.equal(sha256Digest(answer.view), sealed.digest);
    await assert.rejects(ask(approver, "approval.refunds_2", { action: "a2", request: "q3" }), /400/);
    await assert.rejects(ask(approver, "approval.refunds_2", { request: "q99" }), /404/);
  });

  it("an approver may ask nothing else; agents may ask nothing at all (CORE-9)", async () => {
    const agent = await server.connect("agent", "refunds");
    for (const what of ["status", "runs", "run", "why", "documents", "in-flight", "stops", "ledgers", "ledger.team.x.2026-01-01", "owing"]) {
      await assert.rejects(approver.request(subjects.query(NS, what), "{}", { timeout: 1_000 }), /PERMISSIONS_VIOLATION|Permissions Violation/i);
    }
    for (const what of ["approvals", "approval.refunds_2", "run"]) {
      await assert.rejects(agent.request(subjects.query(NS, what), "{}", { timeout: 1_000 }), /PERMISSIONS_VIOLATION|Permissions Violation/i);
    }
  });

  it("a question that is no JSON is answered with 400", async () => {
    const answer = await auditor.request(subjects.query(NS, "runs"), "{", { timeout: 2_000 });
    assert.equal(answer.headers?.get("Nats-Service-Error-Code"), "400");
  });
});
