/** What was proposed, as it is judged: also when it is judged again. */
import type { ActionId } from "../schemas/ids.ts";
import type { JsonValue } from "../schemas/json.ts";
import type { ToolProposal } from "../schemas/proposal.ts";
import type { RunState } from "./state.ts";

/**
 * The proposal behind an action that has not ended, to judge it again.
 * @param input what an approver puts in the place of its input
 * @throws when the action has ended, or was never proposed
 */
export function proposalOf(state: RunState, action: ActionId, input?: JsonValue): ToolProposal {
  const asked = state.actions.get(action)?.context.asked;
  if (asked === undefined) throw new Error(`action \`${action}\` is not open: what was proposed is not kept`);
  return input === undefined ? asked : { ...asked, input };
}
