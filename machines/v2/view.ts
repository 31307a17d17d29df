/** Texts that people and tools are given of an action: the action document, and what an approver is shown. */
import { canonicalText } from "../../schemas/canonical.ts";
import type { Envelope } from "../../schemas/event.ts";
import type { DocumentFacts } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import type { ActionContext } from "./action-rules.ts";
import type { Marks } from "./marks.ts";
import type { RunState } from "./state.ts";

/** Text of the action document: what is judged, shown, stored and sent, and what the digest is over. */
export function actionDocument(state: RunState, envelope: Envelope | undefined, id: ActionId, body: ToolProposal, documents: DocumentFacts): string {
  return canonicalText({
    ns: state.ns,
    run: state.run,
    action: id,
    tool: body.tool,
    tool_hash: documents.tool,
    contract_hash: documents.contract,
    input: body.input,
    principal: envelope?.principal ?? null,
  });
}

/**
 * What an approver is shown. The agent's own words are in `agent_says`, apart from what the plane knows: everything
 * else. What an earlier approver edited is named as such: the input is then not the agent's.
 */
export function approvalView(work: { readonly state: RunState; readonly envelope: Envelope | undefined; readonly marks: Marks }, action: ActionContext) {
  const { envelope, marks } = work;
  const { asked, facts, edited } = action.basis;
  const judgement = facts?.judgement;
  const risk = judgement !== undefined && "risk" in judgement ? judgement.risk : undefined;
  const sources = [...new Set([...marks.sources, ...(facts?.sources ?? [])])];
  return {
    action: action.id,
    action_digest: action.digest,
    action_document: JSON.parse(action.document ?? "null") as JsonValue,
    agent: envelope?.agent,
    agent_says: { goal: work.state.goal, why: asked?.why, confidence: asked?.confidence, uses: asked?.uses },
    amount: facts?.amount,
    chain: envelope?.chain,
    edited: edited && { from: edited.from, by: edited.by, diff: edited.diff },
    effect: action.effect,
    labels: marks.labels,
    owner: envelope?.owner,
    policies: judgement?.policies,
    principal: envelope?.principal ?? null,
    project: envelope?.project,
    reasons: judgement?.reasons,
    risk,
    sources,
    standing: facts?.standing,
    tainted: marks.tainted || (facts?.sources?.length ?? 0) > 0,
    team: envelope?.team,
  };
}
