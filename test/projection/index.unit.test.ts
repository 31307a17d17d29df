/** The index of what an emergency stop, a ledger and a review ask for, from events that are sealed by hand. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Cause, Premise } from "../../schemas/event.ts";
import type { AggregateKind } from "../../schemas/ids.ts";
import { covers, inFlight } from "../../services/projection/in-flight.ts";
import { RunIndex } from "../../services/projection/index-store.ts";
import type { FlightView } from "../../services/projection/views.ts";
import { JournalWriter, NS, proposed, requested, started } from "./journal.ts";

type Drafts = Parameters<JournalWriter["seal"]>[2];

/** An index, and a journal that goes into it, one commit a batch. */
function indexed() {
  const index = RunIndex.open(":memory:");
  const writer = new JournalWriter();
  const stored: Parameters<RunIndex["apply"]>[0][number][] = [];
  const commit = (kind: AggregateKind, name: string, drafts: Drafts, premise: Partial<Premise> = {}, cause: Partial<Cause> = {}) => {
    const batch = writer.seal(kind, name, drafts, premise, cause).map((event, i) => ({
      subject: event.subject, seq: stored.length + i + 1, time: 0, headers: new Map(Object.entries(event.headers)), data: event.data,
    }));
    stored.push(...batch);
    index.apply(batch);
  };
  return { index, commit, stored };
}

const claim = (gateway: string) => ({ gateway, nonce: "12345678" });
const approved = (action: string, approvers: string[] = []) => ({ type: "action.approved", data: { action, by: "policy", policies: [], approvers } }) as const;
const dispatched = (action: string, tool: string, attempt = 1) => ({ type: "action.dispatched", data: { action, tool, attempt, digest: "" } }) as const;
const claimed = (action: string, attempt = 1) => ({ type: "action.started", data: { action, attempt, claim: claim("gateway-1"), deadline: "2026-01-01T00:10:00.000Z" } }) as const;
const documents = { lastDirect: () => Promise.resolve(undefined) } as unknown as Parameters<typeof inFlight>[1];
const names = (rows: readonly FlightView[]) => rows.map(({ run, action, state }) => `${run} ${action} ${state}`);

describe("what is on its way (GUARD-9)", () => {
  it("an approved action is queued until it is claimed, then in flight until it is reported", async () => {
    const { index, commit } = indexed();
    commit("run", "refunds_1", [started()]);
    commit("run", "refunds_1", [proposed("a2"), approved("a2", ["ada"]), dispatched("a2", "stripe.refund")]);
    const queued = await inFlight(index, documents, NS, undefined);
    assert.deepEqual(names(queued.queued), ["refunds_1 a2 dispatched"]);
    assert.deepEqual(queued.in_flight, []);
    commit("run", "refunds_1", [claimed("a2")]);
    const flying = await inFlight(index, documents, NS, undefined);
    const [row] = flying.in_flight;
    assert.deepEqual(
      { agent: row?.agent, version: row?.version, team: row?.team, principal: row?.principal, tool: row?.tool, gateway: row?.gateway, approvers: row?.approvers, life: row?.life },
      { agent: "refunds", version: "1.0.0", team: "Customer Ops", principal: "|kim", tool: "stripe.refund", gateway: "gateway-1", approvers: ["ada"], life: "active" },
    );
    assert.deepEqual(flying.queued, []);
    commit("run", "refunds_1", [{ type: "action.succeeded", data: { action: "a2", attempt: 1, output: {}, removed: [] } }, { type: "action.verified", data: { action: "a2", attempt: 1 } }]);
    assert.deepEqual(await inFlight(index, documents, NS, undefined), { in_flight: [], queued: [] });
  });

  it("an attempt in doubt stays in flight, a retried one is queued again, a refused claim queues a new attempt", async () => {
    const { index, commit } = indexed();
    commit("run", "refunds_1", [started()]);
    for (const action of ["a2", "a3", "a4"]) commit("run", "refunds_1", [proposed(action), approved(action), dispatched(action, "t.x"), claimed(action)]);
    commit("run", "refunds_1", [{ type: "action.in_doubt", data: { action: "a2", attempt: 1, error: {} } }]);
    // the tool is asked what became of it, and cannot tell
    commit("run", "refunds_1", [{ type: "action.probing", data: { action: "a2", attempt: 1, probe: 1, deadline: "" } }]);
    commit("run", "refunds_1", [{ type: "action.probed", data: { action: "a2", attempt: 1, probe: 1, found: "unknown" } }]);
    commit("run", "refunds_1", [{ type: "action.retrying", data: { action: "a3", attempt: 1, error: {}, retry_at: "" } }]);
    commit("run", "refunds_1", [{ type: "action.failed", data: { action: "a4", attempt: 1, error: {} } }]);
    commit("run", "refunds_1", [dispatched("a3", "t.x", 2)]);
    const { in_flight, queued } = await inFlight(index, documents, NS, undefined);
    assert.deepEqual(names(in_flight), ["refunds_1 a2 in_doubt"]);
    assert.deepEqual(queued.map(({ action, attempt }) => [action, attempt]), [["a3", 2]]);
  });

  it("what nobody claimed ends with its run; what was claimed is listed until it is reported", async () => {
    const { index, commit } = indexed();
    commit("run", "refunds_1", [started()]);
    for (const action of ["a2", "a3"]) commit("run", "refunds_1", [proposed(action), approved(action), dispatched(action, "t.x")]);
    commit("run", "refunds_1", [claimed("a2")]);
    commit("run", "refunds_1", [{ type: "run.cancelled", to: "cancelled", data: { by: "operator" } }]);
    const { in_flight, queued } = await inFlight(index, documents, NS, undefined);
    assert.deepEqual(names(in_flight), ["refunds_1 a2 started"]);
    assert.equal(in_flight[0]?.life, "cancelled");
    assert.deepEqual(queued, []);
  });

  it("every scope of the guard covers what it names, and nothing else", () => {
    const row = { agent: "refunds", version: "1.0.0", team: "Customer Ops", principal: "https://id.example|kim", tool: "stripe.refund", approvers: ["ada"] } as unknown as FlightView;
    const person = "https://id.example|kim";
    for (const scope of ["all", "agent:refunds", "version:refunds@1.0.0", "tool:stripe.refund", "team:Customer Ops", "principal:https://id.example|kim", "person:ada"]) {
      assert.ok(covers(scope, row, undefined), scope);
    }
    assert.ok(covers("person:kim", row, person), "a person is also whoever a token names");
    for (const scope of ["agent:refund", "version:refunds@1.0.1", "tool:stripe", "team:Customer", "principal:https://id.example|sam", "person:kim", "agent:", "refunds"]) {
      assert.ok(!covers(scope, row, undefined), scope);
    }
  });

  it("an index that is rebuilt from the journal holds the same (CORE-5)", async () => {
    const { index, commit, stored } = indexed();
    commit("run", "refunds_1", [started()]);
    commit("run", "refunds_1", [proposed("a2"), approved("a2"), dispatched("a2", "t.x"), claimed("a2")]);
    commit("run", "refunds_1", [proposed("a6"), approved("a6"), dispatched("a6", "t.x")]);
    const again = RunIndex.open(":memory:");
    again.apply(stored);
    assert.deepEqual(await inFlight(again, documents, NS, undefined), await inFlight(index, documents, NS, undefined));
  });
});

describe("accounts of the ledger (GUARD-7)", () => {
  const ACCOUNT = { ledger: "team.ops.2026-01-01", unit: "cost", window: "2026-01-01" };

  it("total, cap, refusals and holders are what the account's own journal says", () => {
    const { index, commit } = indexed();
    const signal = { kind: "signal", actor: "refunds_1" } as const;
    commit("ledger", ACCOUNT.ledger, [{ type: "ledger.leased", data: { ...ACCOUNT, run: "refunds_1", granted: 600, total: 600, cap: 1000 } }], {}, signal);
    commit("ledger", ACCOUNT.ledger, [{ type: "ledger.leased", data: { ...ACCOUNT, run: "refunds_2", granted: 400, total: 1000, cap: 1000 } }], {}, signal);
    commit("ledger", ACCOUNT.ledger, [{ type: "ledger.refused", data: { ...ACCOUNT, run: "refunds_3", need: 1, total: 1000, cap: 1000 } }], {}, signal);
    commit("ledger", ACCOUNT.ledger, [{ type: "ledger.returned", data: { ...ACCOUNT, run: "refunds_1", unused: 250, total: 750, last: true } }], {}, signal);
    const [row] = index.ledgers.of(ACCOUNT.ledger);
    assert.deepEqual({ total: row?.total, cap: row?.cap, refusals: row?.refusals }, { total: 750, cap: 1000, refusals: 1 });
    assert.deepEqual(index.ledgers.holders(ACCOUNT.ledger).map(({ run, granted, unused, done }) => [run, granted, unused, done]), [
      ["refunds_2", 400, 0, 0],
      ["refunds_1", 600, 250, 1],
    ]);
    assert.deepEqual(index.ledgers.list({ day: "2026-01-01" }).map(({ ledger }) => ledger), [ACCOUNT.ledger]);
    assert.deepEqual(index.ledgers.list({ day: "2026-01-02" }), []);
  });

  it("a run owes until its last return is confirmed, also after its end; a minute's allowance is never owed", () => {
    const { index, commit } = indexed();
    commit("run", "refunds_1", [started()]);
    const leased = (unit: string, window: string, granted: number) => ({ type: "budget.leased", data: { ledger: ACCOUNT.ledger, unit, window, granted, total: granted } }) as const;
    commit("run", "refunds_1", [leased("cost", "2026-01-01", 500)]);
    commit("run", "refunds_1", [leased("cost", "2026-01-01", 500)]);
    commit("run", "refunds_1", [leased("requests", "2026-01-01T09:30", 5)]);
    commit("run", "refunds_1", [leased("amount", "2026-01-01", 0)]);
    commit("run", "refunds_1", [{ type: "run.completed", to: "completed" }]);
    assert.deepEqual(index.owing().map(({ run, owes, state }) => [run, owes, state]), [["refunds_1", 1, "completed"]]);
    commit("run", "refunds_1", [{ type: "budget.returned", data: { ...ACCOUNT, unused: 100, last: false } }]);
    assert.equal(index.owing().length, 1);
    commit("run", "refunds_1", [{ type: "budget.returned", data: { ...ACCOUNT, unused: 100, last: true } }]);
    assert.deepEqual(index.owing(), []);
    assert.equal(index.counts().owing, 0);
  });
});

describe("the guard's entries (GUARD-9)", () => {
  it("a stop stands until somebody lifts it, and both are named", () => {
    const { index, commit } = indexed();
    const stop = { stop: "s1", kind: "stop", scope: "agent:refunds" };
    const control = { kind: "control", actor: "operator" } as const;
    commit("guard", "stops", [{ type: "guard.stopped", data: { ...stop, by: "operator", reason: "refunds twice" } }], {}, control);
    commit("guard", "stops", [{ type: "guard.stopped", data: { ...stop, stop: "s2", kind: "revocation", scope: "person:kim", by: "operator", reason: "has left" } }], {}, control);
    assert.equal(index.stops.standing(), 2);
    commit("guard", "stops", [{ type: "guard.lifted", data: { ...stop, by: "grace", reason: "mended" } }], {}, { kind: "control", actor: "grace" });
    assert.deepEqual(index.stops.list().map((one) => [one.stop, one.kind, one.scope, one.by, one.lifted_by, one.lifted_reason]), [
      ["s2", "revocation", "person:kim", "operator", null, null],
      ["s1", "stop", "agent:refunds", "operator", "grace", "mended"],
    ]);
    assert.equal(index.stops.standing(), 1);
  });
});

describe("what waits for a person (APP-1, APP-3)", () => {
  it("says of how many, how many have approved, and what tells it from others", () => {
    const { index, commit } = indexed();
    commit("run", "refunds_1", [started()]);
    const asked = requested("refunds_1", "a2", "q3");
    const view = JSON.stringify({ ...(JSON.parse(String(asked.data?.["view"])) as object), agent: { name: "refunds" }, marks: { tainted: true, labels: ["pii"] }, risk: 0.7, amount: { units: 4_800_500, currency: "USD" } });
    commit("run", "refunds_1", [proposed("a2"), { ...asked, data: { ...asked.data, view, count: 2 } }]);
    commit("run", "refunds_1", [{ type: "approval.granted", to: "requested", data: { action: "a2", request: "q3", by: "ada", digest: "", grants: 1, count: 2 } }]);
    const [one] = index.openApprovals();
    assert.deepEqual({ count: one?.count, grants: one?.grants, about: one?.about }, {
      count: 2, grants: 1, about: { agent: "refunds", tainted: true, labels: ["pii"], risk: 0.7, amount: "480.05 USD" },
    });
    commit("run", "refunds_1", [{ type: "approval.edited", to: "edited", data: { action: "a2", request: "q3", by: "grace", digest: "", replacement: "a6", diff: [] } }]);
    assert.deepEqual(index.openApprovals(), []);
    assert.equal(index.run("refunds_1")?.waiting, 0);
  });
});
