/** The chain of delegation (ID-3): from the principal to the agent that acts. */
import type { Principal } from "../schemas/facts.ts";
import type { Change, RunState } from "./state.ts";

/** `principal:<issuer>|<subject>`, as a stop's scope names it too. */
export const principalLink = ({ issuer, subject }: Pick<Principal, "issuer" | "subject">): string => `principal:${issuer ?? ""}|${subject}`;

/** @param through names on the way, as `person:<name>` of the operator who applied a change */
export function chainFrom(principal: Principal | null, agent: string, ...through: string[]): string[] {
  return [...(principal === null ? [] : [principalLink(principal)]), ...through, `agent:${agent}`];
}

/**
 * The run's chain, for the cause of each of its events; empty before the run was started.
 * @param change the commit at hand: of the first one the state does not know yet
 */
export function chainOf(state: RunState, change?: Change): readonly string[] {
  return (change?.set.envelope ?? state.envelope)?.chain ?? [];
}
