/**
 * Puts one proposal before policy, contract and the plane's own rules, with the run as it stands. The coordinator judges
 * with it, and replay judges again with it: what is asked is one piece of code. Policies are compiled once per set.
 */
import type { RunState } from "../../machines/state.ts";
import type { Contract, ContractTool } from "../../schemas/contract.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import type { Effect } from "../../schemas/judgement.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { InForce } from "../registry/view.ts";
import { requestOf } from "./call.ts";
import type { Call, Case } from "./case.ts";
import { compilePolicies } from "./compile.ts";
import type { CompiledPolicySet } from "./compiled.ts";
import { combine } from "./decide.ts";
import { judge } from "./judge.ts";
import type { Reads } from "./reads.ts";
import { MACHINE_OF_RULES_1, requestOfRules1 } from "./rules-1.ts";
import { type Asked, verdict } from "./verdict.ts";

export interface Judge {
  judge(asked: Case): Judgement;
  /** What the set's policies read of a call of that effect; everything, where nobody says. */
  reads?(policy: InForce<PolicySet> | undefined, effect: Effect): Reads;
}

/** A namespace has one set in force; a journal of years has some more, mostly one after the other. */
const SETS = 16;

export class PolicyJudge implements Judge {
  /** Least recently compiled first. */
  readonly #compiled = new Map<Digest, CompiledPolicySet | undefined>();

  judge(asked: Case): Judgement {
    const { entry, tool, proposal, policy, call } = asked;
    const set = this.set(policy);
    if (asked.state.machine === MACHINE_OF_RULES_1 || call === undefined) {
      return combine(entry, tool.effect, proposal.input, judge(set, requestOfRules1(asked)));
    }
    const wanted = askedOf(asked, call);
    const { risk } = wanted.request;
    return { ...verdict(set, wanted), ...(risk !== undefined && { risk }) };
  }

  reads(policy: InForce<PolicySet> | undefined, effect: Effect): Reads {
    const set = this.set(policy);
    return set === undefined ? new Set() : set.reads[effect];
  }

  /** A set that does not compile rules nothing, and what no set permits is denied. */
  set(policy: InForce<PolicySet> | undefined): CompiledPolicySet | undefined {
    if (policy === undefined) return undefined;
    const { digest } = policy;
    if (this.#compiled.has(digest)) return this.#compiled.get(digest);
    const set = compilePolicies(policy.value);
    this.#compiled.set(digest, set);
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > SETS && oldest !== undefined) this.#compiled.delete(oldest);
    return set;
  }
}

/** What rules 2 judge a case by. */
export function askedOf(asked: Case, call: Call): Asked {
  return { request: requestOf(asked, call, asked.policy?.value.settings?.risk), entry: asked.entry, unclear: call.amount?.unclear ?? [], matched: call.matched };
}
