/** One proposal as it is put before policy: what governs it, the run as it stands, and what was found about the call. */
import type { RunState } from "../../machines/state.ts";
import type { Contract, ContractTool } from "../../schemas/contract.ts";
import type { Principal } from "../../schemas/facts.ts";
import type { AmountTotals, JudgementRequest } from "../../schemas/judgement.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { InForce } from "../registry/view.ts";
import type { Amount } from "./amounts.ts";

export interface Case {
  readonly policy: InForce<PolicySet> | undefined;
  readonly contract: Contract;
  readonly entry: ContractTool;
  readonly tool: Tool;
  readonly state: RunState;
  readonly proposal: ToolProposal;
  readonly costMicroUsd: number;
  readonly at: string;
  /** What rules 2 rest on besides; rules 1 need none of it. */
  readonly call?: Call;
}

/** What rules 2 rest on besides documents, proposal and run. */
export interface Call {
  /** By the token in force for this proposal. */
  readonly principal: Principal | null;
  readonly amount: Amount | undefined;
  /** Present where the amount can be added up. */
  readonly totals: AmountTotals | undefined;
  readonly tokens: JudgementRequest["tokens"];
  readonly tainted: boolean;
  readonly labels: readonly string[];
  /** Outputs that left marks and that the input rests on, and those of them that are found without the agent's word. */
  readonly sources: number;
  readonly matched: number;
}
