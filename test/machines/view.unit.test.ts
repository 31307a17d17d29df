/** APP-1, APP-2: the text that is judged and sent, and what an approver is shown of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ActionContext } from "../../machines/action-rules.ts";
import type { Marks } from "../../machines/marks.ts";
import { actionDocument, approvalView } from "../../machines/view.ts";
import { canonicalText } from "../../schemas/canonical.ts";
import type { Envelope } from "../../schemas/event.ts";
import type { ToolFacts } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { DOCUMENTS, fresh, judgement } from "./given.ts";

const ASKED = { kind: "tool", id: "t1", tool: "crm.update", input: { n: 1 }, why: "trust me", confidence: 0.5, uses: ["a1"] } as unknown as ToolProposal;
const PRINCIPAL = { subject: "ada", issuer: "https://id.example", verified: true };
const ENVELOPE = { agent: { name: "agent-1", version: "1.0.0" }, chain: ["agent:agent-1"], owner: "an owner", project: "a project", team: "a team", principal: PRINCIPAL } as unknown as Envelope;
const NONE: Marks = { tainted: false, labels: [], sources: [] };
const FACTS = { kind: "tool", documents: DOCUMENTS, faults: [], approval_ttl_ms: 1, judgement: judgement("ask") } as unknown as ToolFacts;

/** @param context what differs from an action that is asked for */
function shown({ envelope = ENVELOPE, marks = NONE, facts = FACTS, ...context }: { envelope?: Envelope | null; marks?: Marks; facts?: ToolFacts | null } & Partial<Omit<ActionContext, "basis">> & { edited?: unknown }) {
  const { edited, ...own } = context;
  const basis = { asked: ASKED, facts: facts ?? undefined, amount: undefined, edited, unbegun: 0, probes: 0 };
  const action = { id: "a2", digest: "sha256:d", document: '{"n":1}', effect: "write", basis, ...own } as unknown as ActionContext;
  return approvalView({ state: { ...fresh(), goal: "a goal" }, envelope: envelope ?? undefined, marks }, action);
}

test("APP-2: the action document names run, tool, input, principal and the documents that it is judged by, in canonical form", () => {
  const text = (envelope: Envelope | undefined) => actionDocument(fresh(), envelope, "a2" as ActionId, ASKED, DOCUMENTS);
  const rest = { ns: "test", run: "agent-1_r1", action: "a2", tool: "crm.update", tool_hash: DOCUMENTS.tool, contract_hash: DOCUMENTS.contract, input: { n: 1 } };
  assert.equal(text(ENVELOPE), canonicalText({ ...rest, principal: PRINCIPAL }));
  assert.equal(text({ ...ENVELOPE, principal: null }), canonicalText({ ...rest, principal: null }));
  assert.equal(text(undefined), canonicalText({ ...rest, principal: null }));
});

test("APP-1: an approver is shown what the plane knows, and the agent's own words apart from it", () => {
  const standing = { match: {}, uses: 1 } as unknown as NonNullable<ToolFacts["standing"]>;
  const facts = { ...FACTS, amount: { units: 5, currency: "USD" }, standing } as unknown as ToolFacts;
  assert.deepEqual(shown({ facts }), {
    action: "a2",
    action_digest: "sha256:d",
    action_document: { n: 1 },
    agent: { name: "agent-1", version: "1.0.0" },
    agent_says: { goal: "a goal", why: "trust me", confidence: 0.5, uses: ["a1"] },
    amount: { units: 5, currency: "USD" },
    chain: ["agent:agent-1"],
    edited: undefined,
    effect: "write",
    labels: [],
    owner: "an owner",
    policies: judgement("ask").policies,
    principal: PRINCIPAL,
    project: "a project",
    reasons: [],
    risk: undefined,
    sources: [],
    standing,
    tainted: false,
    team: "a team",
  });
});

test("APP-3: what an earlier approver edited is named as theirs, without what the plane keeps of it besides", () => {
  const edited = { from: "a1", by: "ann", diff: [{ path: "/n", before: 0, after: 1 }], reason: "kept elsewhere" };
  assert.deepEqual(shown({ edited }).edited, { from: "a1", by: "ann", diff: edited.diff });
});

test("APP-1: a risk is shown where the judgement names one", () => {
  assert.equal(shown({ facts: { ...FACTS, judgement: { ...judgement("ask"), risk: 0.7 } } as unknown as ToolFacts }).risk, 0.7);
});

test("GUARD-3: taint and sources are the run's and the action's own together, each source once", () => {
  const told = (marks: Marks, sources?: string[]) => {
    const { tainted, sources: all } = shown({ marks, facts: { ...FACTS, ...(sources && { sources }) } as unknown as ToolFacts });
    return [tainted, all];
  };
  assert.deepEqual(told(NONE), [false, []]);
  assert.deepEqual(told(NONE, []), [false, []]);
  assert.deepEqual(told(NONE, ["a3"]), [true, ["a3"]]);
  assert.deepEqual(told({ tainted: true, labels: [], sources: ["a1" as ActionId] }), [true, ["a1"]]);
  assert.deepEqual(told({ tainted: true, labels: [], sources: ["a1" as ActionId] }, ["a3", "a1"]), [true, ["a1", "a3"]]);
});

test("APP-1: what is not known is not made up: no envelope, no facts, no document", () => {
  const bare = shown({ envelope: null, facts: null, document: undefined });
  assert.deepEqual([bare.action_document, bare.principal, bare.tainted, bare.sources], [null, null, false, []]);
  assert.deepEqual([bare.agent, bare.chain, bare.policies, bare.reasons, bare.risk, bare.amount], Array(6).fill(undefined));
});
