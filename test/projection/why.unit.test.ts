/** What `why` and the compliance export say of edits, standing approvals, fresh tokens, new judgements and stops. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Cause, Premise } from "../../schemas/event.ts";
import type { CurrentFacts, PersonFacts, Principal, ToolFacts } from "../../schemas/facts.ts";
import type { AggregateKind, Digest } from "../../schemas/ids.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import { decodeEvent, type JournalEvent } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { runView } from "../../services/projection/fold-view.ts";
import { approvalAnswer, whyView } from "../../services/projection/why-view.ts";
import { complianceOf } from "../../services/replay/compliance.ts";
import { JournalWriter, proposed, requested, started } from "./journal.ts";

type Drafts = Parameters<JournalWriter["seal"]>[2];
const RUN = "refunds_1";
const A = `sha256:${"a".repeat(64)}` as Digest;
const B = `sha256:${"b".repeat(64)}` as Digest;
const ADA: PersonFacts = { issuer: "https://id.example", subject: "u-ada", roles: ["approver"], document: A };
const CHAIN = ["principal:https://id.example|kim", "agent:refunds"];
const token = (id: string): Principal => ({ subject: "kim", issuer: "https://id.example", key_id: "k1", token_id: id, token_hash: A, verified: true });
const judgement = (decision: Judgement["decision"], id: string, line: number): Judgement => ({
  decision,
  policies: [{ id, effect: "permit", file: "default/refunds.cedar", line }],
  reasons: [],
  errors: [],
  engine: "cedar 4.13.0, rules 2",
});
const facts = (more: Partial<ToolFacts> = {}): ToolFacts => ({
  kind: "tool",
  documents: { contract: A, tool: A, policy: A },
  faults: [],
  tool: { effect: "write", timeout_ms: 1000, retries: 0, idempotent: false, cost_micro_usd: 0 },
  amount: { units: 4_800_000, currency: "USD" },
  approval_ttl_ms: 1000,
  judgement: judgement("ask", "large-refunds", 7),
  ...more,
});
const current = (more: Partial<CurrentFacts> = {}): CurrentFacts => ({ kind: "current", documents: { contract: A, tool: A, policy: A }, person: ADA, ...more });
const validated = (action: string) => ({ type: "action.validated", to: "validated", data: { action, digest: B, document: "{}" } }) as const;
const tool = (amount: number) => ({ kind: "tool", id: "p", tool: "stripe.refund", input: { amount } });

class Journal {
  readonly messages: StoredMessage[] = [];
  readonly #writer = new JournalWriter();

  commit(drafts: Drafts, premise: Partial<Premise> = {}, cause: Partial<Cause> = {}, of: { kind: AggregateKind; name: string } = { kind: "run", name: RUN }): this {
    for (const event of this.#writer.seal(of.kind, of.name, drafts, premise, { chain: CHAIN, ...cause })) {
      this.messages.push({ subject: event.subject, seq: this.messages.length + 1, time: 0, headers: new Map(Object.entries(event.headers)), data: event.data });
    }
    return this;
  }

  get events(): JournalEvent[] {
    return this.messages.filter(({ subject }) => subject.includes(".run.")).map((message) => decodeEvent(message));
  }
}

async function* stream(messages: readonly StoredMessage[]) {
  yield* messages;
}

/** Asked for 480, edited to 400 by ada, asked again, approved by ada. */
function edited(): Journal {
  return new Journal()
    .commit([started()])
    .commit([proposed("a2"), validated("a2"), requested(RUN, "a2", "q4")], { input: tool(480), facts: facts({ principal: token("t2") }) })
    .commit(
      [
        { type: "approval.edited", to: "edited", data: { action: "a2", request: "q4", by: "ada", reason: "one item was kept", digest: A, replacement: "a7", diff: [{ path: "/amount", before: 480, after: 400 }] } },
        { type: "action.denied", to: "denied", data: { action: "a2", by: "edit", reasons: [{ code: "approval.edited", message: "`ada` changed it" }] } },
        { type: "action.proposed", to: "proposed", data: { action: "a7", proposal: "p-a2", tool: "stripe.refund", agent: "refunds", edited: { from: "a2", by: "ada" } } },
        validated("a7"),
        requested(RUN, "a7", "q9"),
      ],
      { input: { id: "d1", request: "q4", decision: "edit", digest: A, input: { amount: 400 } }, facts: current({ again: facts({ amount: { units: 4_000_000, currency: "USD" } }) }) },
      { kind: "decide", actor: "ada" },
    )
    .commit(
      [
        { type: "approval.granted", to: "granted", data: { action: "a7", request: "q9", by: "ada", person: { issuer: ADA.issuer, subject: ADA.subject }, digest: A, grants: 1, count: 1, standing: { vary: ["/amount"], uses: 3, expires_seconds: 60 } } },
        { type: "action.approved", to: "approved", data: { action: "a7", by: "person", policies: [], approvers: ["ada"] } },
      ],
      { facts: current() },
      { kind: "decide", actor: "ada" },
    );
}

describe("an edited action (APP-3)", () => {
  it("stands in the place of the other one, with the difference, who made it and why", () => {
    const { events } = edited();
    const before = whyView(events, "a2");
    assert.equal(before?.replaced_by, "a7");
    assert.equal(before?.permission.decided_by, "edit");
    const [decision] = before?.permission.approvals[0]?.decisions ?? [];
    assert.deepEqual({ by: decision?.by, decision: decision?.decision, reason: decision?.reason, person: decision?.person }, {
      by: "ada", decision: "edit", reason: "one item was kept", person: { issuer: "https://id.example", subject: "u-ada" },
    });
    const after = whyView(events, "a7");
    assert.deepEqual(after?.edited, { from: "a2", by: "ada", diff: [{ path: "/amount", before: 480, after: 400 }] });
    assert.equal(after?.amount, "400 USD");
    assert.equal(before?.amount, "480 USD");
    assert.deepEqual(runView(events)?.actions.map(({ action, input }) => [action, input]), [["a2", { amount: 480 }], ["a7", { amount: 400 }]]);
  });

  it("the facts of the new input are not taken for those of the old one", () => {
    const journal = edited();
    assert.equal(whyView(journal.events, "a2")?.permission.judged, 1);
    assert.equal(whyView(journal.events, "a7")?.permission.judged, 1);
  });
});

describe("who answers for an action (CORE-8, ID-3)", () => {
  it("principal with issuer, key and token, chain of delegation, persons with reason and digest, policies with their lines", () => {
    const why = whyView(edited().events, "a7");
    assert.deepEqual(why?.authority.principal, token("t2"));
    assert.equal(why?.authority.standing, "verified");
    assert.deepEqual(why?.authority.chain, CHAIN);
    assert.deepEqual(why?.permission.policies, [{ id: "large-refunds", effect: "permit", file: "default/refunds.cedar", line: 7 }]);
    assert.deepEqual(why?.permission.approvals[0]?.decisions.map(({ by, person, digest }) => ({ by, person, digest })), [
      { by: "ada", person: { issuer: "https://id.example", subject: "u-ada" }, digest: A },
    ]);
    assert.equal(why?.evidence.documents["person ada"], A);
  });

  it("what was judged again is answered by the last judgement, and says how often it was judged (APP-2)", () => {
    const { events } = new Journal()
      .commit([started()])
      .commit([proposed("a2"), validated("a2"), requested(RUN, "a2", "q4")], { input: tool(480), facts: facts() })
      .commit(
        [{ type: "approval.stale", to: "stale", data: { action: "a2", request: "q4", reason: "policy changed" } }, validated("a2"), requested(RUN, "a2", "q7")],
        { facts: current({ documents: { contract: A, tool: A, policy: B }, again: facts({ documents: { contract: A, tool: A, policy: B }, judgement: judgement("ask", "all-refunds", 2) }) }) },
        { kind: "decide", actor: "ada" },
      );
    const why = whyView(events, "a2");
    assert.equal(why?.permission.judged, 2);
    assert.deepEqual(why?.permission.policies.map(({ id }) => id), ["all-refunds"]);
    assert.equal(why?.evidence.documents["policy"], B);
    assert.deepEqual(why?.permission.approvals.map(({ request, state }) => [request, state]), [["q4", "stale"], ["q7", "requested"]]);
    assert.equal(approvalAnswer(events, { action: "a2" })?.request, "q7");
  });

  it("an action that waited for allowances is answered by the judgement that came with the last of them (GUARD-7)", () => {
    const { judgement: _, ...unjudged } = facts();
    const need = { ledger: "team.ops.2026-01-01", unit: "cost", window: "2026-01-01", need: 1, want: 1 };
    const { events } = new Journal()
      .commit([started()])
      .commit([proposed("a2"), { type: "budget.requested", data: { action: "a2", needs: [need] } }], { input: tool(1), facts: { ...unjudged, needs: [need] } as ToolFacts })
      .commit(
        [
          { type: "budget.leased", data: { ledger: need.ledger, unit: "cost", window: need.window, granted: 5, total: 9, cap: 10 } },
          validated("a2"),
          { type: "action.approved", to: "approved", data: { action: "a2", by: "policy", policies: ["small-refunds"], approvers: [] } },
        ],
        { facts: facts({ judgement: judgement("allow", "small-refunds", 3) }) },
        { kind: "signal", actor: "ledger:team" },
      );
    const why = whyView(events, "a2");
    assert.equal(why?.permission.decision, "allow");
    assert.equal(why?.permission.judged, 1);
    assert.deepEqual(runView(events)?.holdings, [{ ledger: need.ledger, unit: "cost", window: need.window, granted: 5, unused: 0, done: false, total: 9, cap: 10 }]);
  });

  it("marks rise with what the agent was given and are lowered by a person (GUARD-3, GUARD-10)", () => {
    const journal = new Journal()
      .commit([started()])
      .commit([{ type: "taint.raised", data: { action: "a2", tool: "zendesk.read", tainted: true, labels: ["pii"] } }])
      .commit([{ type: "taint.raised", data: { action: "a5", tool: "files.read", tainted: false, labels: ["phi"] } }]);
    const marks = runView(journal.events)?.marks;
    assert.deepEqual({ tainted: marks?.tainted, labels: marks?.labels, sources: marks?.sources.map(({ action }) => action) }, { tainted: true, labels: ["phi", "pii"], sources: ["a2", "a5"] });
    journal.commit([{ type: "taint.lowered", data: { by: "ada", reason: "read it", labels: ["pii"] } }], {}, { kind: "control", actor: "ada" });
    const lowered = runView(journal.events)?.marks;
    assert.deepEqual({ tainted: lowered?.tainted, labels: lowered?.labels, sources: lowered?.sources.map(({ action }) => action) }, { tainted: false, labels: ["phi"], sources: ["a2", "a5"] });
  });
});

describe("the compliance export (AUD-4)", () => {
  it("names issuer, subject and persons, edits, standing approvals and their uses", async () => {
    const journal = edited().commit(
      [proposed("a20"), validated("a20"), { type: "action.approved", to: "approved", data: { action: "a20", by: "standing", policies: [], approvers: ["ada"], standing: "q9" } }],
      { input: tool(20), facts: facts() },
    );
    const records = await complianceOf(stream(journal.messages));
    assert.deepEqual(records.map(({ action, decided_by, issuer, principal, verified }) => [action, decided_by, issuer, principal, verified]), [
      ["a2", "edit", "https://id.example", "kim", true],
      ["a7", "person", "https://id.example", "kim", true],
      ["a20", "standing", "https://id.example", "kim", true],
    ]);
    const [before, after, by] = records;
    assert.deepEqual(before?.reviews.map(({ by, person, decision, changes }) => ({ by, person, decision, changes })), [
      { by: "ada", person: "https://id.example|u-ada", decision: "edit", changes: ["/amount: 480 -> 400"] },
    ]);
    assert.equal(before?.replaced_by, "a7");
    assert.equal(after?.edited_from, "a2");
    assert.equal(by?.standing_approval, "q9");
    assert.deepEqual(by?.reviews.map(({ by, shown }) => ({ by, shown })), [{ by: "ada", shown: A }]);
    assert.deepEqual(runView(journal.events)?.standings.map(({ request, uses }) => [request, uses]), [["q9", ["a20"]]]);
  });

  it("has one record for a stop, with who made it and who lifted it", async () => {
    const stop = { stop: "s1", kind: "stop", scope: "tool:stripe.refund" };
    const guard = { kind: "guard", name: "stops" } as const;
    const journal = new Journal()
      .commit([{ type: "guard.stopped", data: { ...stop, by: "ada", reason: "refunds twice" } }], { facts: { kind: "guard", person: ADA } }, { kind: "control", actor: "ada" }, guard)
      .commit([{ type: "guard.lifted", data: { ...stop, by: "grace", reason: "mended" } }], { facts: { kind: "guard", person: null } }, { kind: "control", actor: "grace" }, guard);
    const [record, ...more] = await complianceOf(stream(journal.messages));
    assert.deepEqual(more, []);
    assert.deepEqual({ kind: record?.kind, run: record?.run, action: record?.action, state: record?.state }, { kind: "stop", run: "tool:stripe.refund", action: "s1", state: "lifted" });
    assert.deepEqual(record?.reviews.map(({ by, person, decision, reason }) => ({ by, person, decision, reason })), [
      { by: "ada", person: "https://id.example|u-ada", decision: "stop", reason: "refunds twice" },
      { by: "grace", person: undefined, decision: "lift", reason: "mended" },
    ]);
    assert.deepEqual(record?.events.map(({ type }) => type), ["guard.stopped", "guard.lifted"]);
  });

  describe("documents", () => {
    const CHANGE = "signalbox-registry_c1";
    const GATEWAY = { kind: "apply", actor: "signalbox-gateway", id: "signalbox-registry:c1.a2.1" } satisfies Partial<Cause>;
    const policy = { kind: "policy", name: "default" } as const;
    const wanted = [{ ...policy, document: A }];
    const inForce = (document: Digest) => [{ type: "policy.applied", from: "absent", to: "applied", data: { document, version: 1 } }] as const;
    const change = () =>
      new Journal().commit(
        [{ ...started("signalbox", "signalbox-registry"), data: { ...started().data, envelope: { ...(started().data!["envelope"] as object), principal: { subject: "u-olga", issuer: "corp", verified: true } } } },
          proposed("a2", "signalbox.apply"), validated("a2"), requested(CHANGE, "a2", "q4", "signalbox.apply")],
        { input: { id: "c1", documents: wanted, reason: "refunds above 100 are asked" }, facts: { kind: "change", start: { kind: "start", documents: {}, budgets: {}, principal: null }, tool: { ...facts({ documents: { contract: B } }), judgement: { ...judgement("ask", "none", 1), policies: [] } } } },
        { kind: "apply", actor: "olga", chain: ["principal:corp|u-olga", "person:olga"] },
        { kind: "run", name: CHANGE },
      ).commit(
        [
          { type: "approval.granted", to: "granted", data: { action: "a2", request: "q4", by: "ada", person: { issuer: ADA.issuer, subject: ADA.subject }, digest: B, grants: 1, count: 1, reason: "as agreed" } },
          { type: "action.approved", to: "approved", data: { action: "a2", by: "person", policies: [], approvers: ["ada"] } },
        ],
        { facts: current() }, { kind: "decide", actor: "ada" }, { kind: "run", name: CHANGE },
      );
    const ofPolicy = async ({ messages }: Journal) => {
      const [record, ...more] = (await complianceOf(stream(messages))).filter(({ kind }) => kind === "policy");
      assert.deepEqual(more, []);
      return record;
    };

    it("are brought about by whoever applied their change and by those who agreed to it, on whose behalf, not by the gateway that carried it out", async () => {
      const record = await ofPolicy(change().commit(inForce(A), {}, GATEWAY, policy));
      assert.equal(record?.change, `${CHANGE} a2`);
      assert.deepEqual([record?.decision, record?.decided_by, record?.principal, record?.issuer, record?.verified], ["ask", "person", "u-olga", "corp", true]);
      assert.deepEqual(record?.chain, CHAIN);
      assert.deepEqual(record?.reviews.map(({ by, person, decision, reason, shown }) => [by, person, decision, reason, shown]), [
        ["olga", "corp|u-olga", "apply", "refunds above 100 are asked", A],
        ["ada", "https://id.example|u-ada", "approve", "as agreed", B],
      ]);
      assert.deepEqual([record?.documents["document"], record?.documents["person ada"]], [A, A]);
      assert.deepEqual(record?.events.map(({ type }) => type), ["policy.applied"]);
    });

    it("whose change is not among the messages name it, and nobody stands for it", async () => {
      const record = await ofPolicy(new Journal().commit(inForce(A), {}, GATEWAY, policy));
      assert.deepEqual([record?.change, record?.decided_by, record?.reviews], [`${CHANGE} a2`, undefined, []]);
    });

    it("that the change does not hold are nobody's who agreed to it", async () => {
      const record = await ofPolicy(change().commit(inForce(B), {}, GATEWAY, policy));
      assert.deepEqual([record?.change, record?.decided_by, record?.reviews], [`${CHANGE} a2`, undefined, []]);
      assert.deepEqual(record?.reasons, ["change.other"]);
    });

    it("that somebody applies on his own are his, whatever id he gave it", async () => {
      const record = await ofPolicy(change().commit(inForce(A), { input: { reason: "mine" } }, { ...GATEWAY, actor: "omar" }, policy));
      assert.deepEqual([record?.change, record?.decided_by], [undefined, "person"]);
      assert.deepEqual(record?.reviews.map(({ by, decision, reason }) => [by, decision, reason]), [["omar", "apply", "mine"]]);
    });
  });
});
