/** Who decides: persons, by issuer and subject, however many names they have (APP-3). */
import type { CurrentFacts, PersonFacts } from "../../schemas/facts.ts";
import type { Actor } from "../../schemas/ids.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import type { ActionContext } from "./action-rules.ts";
import type { Grant } from "./approval.ts";
import { principalLink } from "./chain.ts";
import type { RunState } from "./state.ts";
import type { StandingApproval } from "./standing.ts";

type Run = Pick<RunState, "holder" | "envelope">;

/** Whether a name, or the person behind it, proposed the action, or stands in the chain of delegation behind it. */
export function isSelf({ holder, envelope }: Run, agent: string, name: string, person: Pick<PersonFacts, "issuer" | "subject"> | null): boolean {
  const chain = envelope?.chain ?? [];
  const principal = envelope?.principal ?? null;
  if (name === agent || name === holder || name === principal?.subject) return true;
  if (chain.includes(`agent:${name}`) || chain.includes(`person:${name}`)) return true;
  if (person === null) return false;
  if (chain.includes(principalLink(person))) return true;
  // a principal of whom nobody knows the issuer may be anybody of that subject
  return principal?.subject === person.subject && (principal.issuer === undefined || principal.issuer === person.issuer);
}

/** Why a person may not decide this; undefined when they may. */
export function decidesNot(run: Run, agent: string, name: Actor, person: PersonFacts | null | undefined, role: string): Reason | undefined {
  if (isSelf(run, agent, name, person ?? null)) return reason("approval.self", `\`${name}\` proposed it and cannot decide it`);
  if (person == null) {
    return reason("person.unknown", `nobody knows a person \`${name}\``, { help: "an operator applies a document of kind `person`" });
  }
  if (!person.roles.includes(role)) {
    return reason("approval.role", `\`${name}\` does not hold the role \`${role}\``, { help: `one who holds \`${role}\` decides this` });
  }
  return undefined;
}

interface Agreed {
  readonly role: string;
  readonly count: number;
  readonly people: readonly Grant[];
}

/** What an approved action rests on: the request that was granted, or the one that stands. Undefined for a policy's yes. */
export function agreedTo(state: Pick<RunState, "approvals" | "standings">, { rests }: ActionContext): Agreed | StandingApproval | undefined {
  if (rests?.request === undefined) return undefined;
  return rests.by === "standing" ? state.standings.get(rests.request) : state.approvals.get(rests.request)?.context;
}

/**
 * Whether those who agreed still are as many persons as were asked: known, of the role, who they were, and not the
 * proposer. Whoever is not among the facts does not count.
 */
export function stillAgreed(run: Run, agent: string, { role, count, people }: Agreed, approvers: CurrentFacts["approvers"]): boolean {
  const persons = new Set<string>();
  for (const { by, issuer, subject } of people) {
    const now = approvers !== undefined && Object.hasOwn(approvers, by) ? (approvers[by] ?? null) : null;
    if (now === null || now.issuer !== issuer || now.subject !== subject || !now.roles.includes(role)) continue;
    if (!isSelf(run, agent, by, now)) persons.add(principalLink(now));
  }
  return persons.size >= count;
}
