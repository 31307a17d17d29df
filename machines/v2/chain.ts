/** The chain of delegation (ID-3): from the principal to the agent that acts. */
import type { Principal } from "../../schemas/facts.ts";

/** `principal:<issuer>|<subject>`, as a stop's scope names it too. */
export const principalLink = ({ issuer, subject }: Pick<Principal, "issuer" | "subject">): string => `principal:${issuer ?? ""}|${subject}`;

/** @param through names on the way, as `person:<name>` of the operator who applied a change */
export function chainFrom(principal: Principal | null, agent: string, ...through: string[]): string[] {
  return [...(principal === null ? [] : [principalLink(principal)]), ...through, `agent:${agent}`];
}
