/** What holds whatever policy and contract say. These rules only tighten: none of them turns a deny or an ask into an allow. */
import type { Effect, JudgementRequest } from "../../schemas/judgement.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { destinationFaults } from "./destination.ts";

/** Reasons to deny. */
export function planeDenials(request: JudgementRequest): Reason[] {
  return [...principalFaults(request), ...destinationFaults(request)];
}

/**
 * Only reads are possible without somebody on whose behalf they are done: a verified principal whose token has not
 * ended (ID-3). A name that the agent gives is nobody's word.
 */
export function principalFaults({ tool, principal }: JudgementRequest): Reason[] {
  if (writesFor(tool.effect, principal)) return [];
  if (principal?.expired === true) {
    return [reason("principal.expired", "the token of the run's principal has ended", { help: "propose it with a fresh token of the same principal" })];
  }
  return [reason("principal.required", "without a verified principal only reads are possible", { help: "start the run with a signed token in `signalbox-principal`" })];
}

/** Whether an effect is possible at all on behalf of whoever stands behind the run. */
export function writesFor(effect: Effect, principal: JudgementRequest["principal"]): boolean {
  return effect === "read" || principal?.verified === true;
}

/** Reasons to ask a person, beside policy and contract. */
export function planeAsks({ tool }: JudgementRequest): Reason[] {
  if (tool.effect !== "irreversible") return [];
  return [reason("plane.irreversible", "an effect that cannot be undone needs a person")];
}
