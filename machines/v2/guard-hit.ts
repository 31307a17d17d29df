/** What is said of an entry of the guard wherever it stands in the way (GUARD-9, ID-2). */
import type { GuardHit } from "../../schemas/facts.ts";
import { type Reason, reason } from "../../schemas/reason.ts";

const IS = { stop: "stopped", revocation: "revoked", disabled: "disabled" } as const;

export function stopped({ stop, kind, scope, reason: why }: GuardHit): Reason {
  const help = stop === undefined ? "it holds until its document is applied without `disabled`" : `entry \`${stop}\`: it holds until it is lifted`;
  return reason("guard.stopped", `\`${scope}\` is ${IS[kind]}: ${why}`, { help });
}
