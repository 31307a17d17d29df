/** What was judged in one commit: a proposal, an action whose last allowance came, or one that was judged anew. */
import type { RunInput } from "../../machines/decide.ts";
import { readied } from "../../machines/leases.ts";
import { proposalOf } from "../../machines/proposals.ts";
import type { RunState } from "../../machines/state.ts";
import type { Facts, ToolFacts } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { MACHINE_OF_RULES_1 } from "../policy/rules-1.ts";
import type { More } from "../policy/tool-facts.ts";
import { isChange } from "../registry/built-in.ts";
import { inputOf, type StoredCommit } from "./fold.ts";

export interface Judged {
  readonly seq: number;
  /** The action that it is about; `a<seq>` of the first event for one that begins with it. */
  readonly action: string;
  readonly body: ToolProposal;
  /** As recorded. */
  readonly facts: ToolFacts;
  /** What came with it besides its body, as recorded: guard, token, needs. Judging again looks up none of them. */
  readonly more: More;
}

/**
 * What a commit holds of judgement; undefined for one that holds none, and for changes of documents, which the plane's
 * own rule judges and no policy set.
 * @param state the run before the commit
 */
export function judgedIn(state: RunState, stored: StoredCommit): Judged | undefined {
  if (isChange(state.run)) return undefined;
  const { seq } = stored.first;
  const facts = stored.premise.facts as Facts;
  const input = inputOf(stored);
  const rules1 = state.machine === MACHINE_OF_RULES_1;
  const more = ({ guard, principal, needs }: ToolFacts): More => (rules1 ? {} : { guard, principal, needs: needs ?? [] });
  if (input.kind === "propose" && input.body.kind === "tool" && facts.kind === "tool") {
    return { seq, action: `a${seq}`, body: input.body, facts, more: more(facts) };
  }
  if (input.kind === "signal" && facts.kind === "tool") {
    const action = readied(state, input.body);
    return action && { seq, action, body: proposalOf(state, action), facts, more: { ...more(facts), action, reply: input.body } };
  }
  if (facts.kind !== "current" || facts.again === undefined) return undefined;
  const again = anew(state, input);
  if (again === undefined) return undefined;
  // an edited action begins with this commit, under an id of its own, and holds nothing yet
  const begun = stored.events.find(({ body }) => body.type === "action.proposed")?.body.data["action"];
  const about = typeof begun === "string" ? { replaces: again.action } : { action: again.action };
  return { seq, action: typeof begun === "string" ? begun : again.action, body: again.body, facts: facts.again, more: { ...more(facts.again), ...about } };
}

/** The open action that a decision or a claim had judged anew, with the input that an approver put in its place. */
function anew(state: RunState, input: RunInput): { action: ActionId; body: ToolProposal } | undefined {
  if (input.kind === "report") return { action: input.body.action, body: proposalOf(state, input.body.action) };
  if (input.kind !== "decide") return undefined;
  const action = state.approvals.get(input.body.request)?.context.action;
  return action && { action, body: proposalOf(state, action, input.body.decision === "edit" ? input.body.input : undefined) };
}
