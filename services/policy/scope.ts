/** Which policies of a set can speak of an action at all. The others cannot change the answer, so they are not asked. */
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";
import { EFFECTS } from "../../schemas/judgement.ts";

const LEAVES: ReadonlySet<string> = new Set(EFFECTS);

/** False only when the policy's scope names actions, and none of them is this one or a group. */
export function mayApply(policy: Cedar.PolicyJson, action: string): boolean {
  const named = namesOf(policy.action);
  return named === undefined || named.some((name) => name === action || !LEAVES.has(name));
}

/** Undefined when the scope leaves the action open. */
function namesOf(scope: Cedar.PolicyJson["action"]): string[] | undefined {
  if (scope.op === "All") return undefined;
  const uids = "entities" in scope ? scope.entities : "entity" in scope ? [scope.entity] : undefined;
  return uids?.map((uid) => ("__entity" in uid ? uid.__entity.id : uid.id));
}
