/**
 * What is looked up and judged before a machine sees a tool proposal (law 2). One function for the coordinator, which
 * records its result, and for replay, which holds the record against it: only where the documents come from differs.
 */
import type { RunState } from "../../machines/state.ts";
import { type Contract, contractTool } from "../../schemas/contract.ts";
import type { DocumentFacts, ToolFacts } from "../../schemas/facts.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { microUsd } from "../../schemas/money.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { later } from "../../schemas/time.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { InForce } from "../registry/view.ts";
import type { Judge } from "./judgement.ts";

/** How long a person has when neither contract nor policy says. */
const DEFAULT_APPROVAL_TTL_MS = 24 * 3600 * 1000;

/** The documents that a proposal is judged by; undefined where none is in force. */
export interface Governing {
  readonly contract: InForce<Contract> | undefined;
  readonly tool: InForce<Tool> | undefined;
  readonly policy: InForce<PolicySet> | undefined;
}

export interface Judging {
  readonly validators: { inputFaults(toolHash: string, schema: JsonValue, value: unknown): Reason[] };
  readonly judge: Judge;
}

/** @param time the server's time on the stored input: the only clock that judgement has */
export function toolFacts({ validators, judge }: Judging, governing: Governing, state: RunState, body: ToolProposal, time: string): ToolFacts {
  const { contract, tool, policy } = governing;
  const entry = contract && contractTool(contract.value, body.tool);
  const documents: DocumentFacts = {
    ...(contract && { contract: contract.digest }),
    ...(tool && { tool: tool.digest }),
    ...(policy && { policy: policy.digest }),
  };

  const faults: Reason[] = [];
  if (contract === undefined) faults.push(reason("contract.missing", `agent \`${state.holder}\` has no contract in force`));
  else if (entry === undefined) {
    faults.push(
      reason("tool.not_allowed", `the contract of \`${state.holder}\` does not allow \`${body.tool}\``, {
        path: "/tool",
        help: "the contract's `tools.allowlist` names what may be proposed",
      }),
    );
  }
  if (tool === undefined) faults.push(reason("tool.unknown", `there is no tool \`${body.tool}\``, { path: "/tool" }));
  else {
    for (const fault of validators.inputFaults(tool.digest, tool.value.input, body.input)) {
      faults.push({ ...fault, path: `/input${fault.path ?? ""}` });
    }
  }

  const facts = { kind: "tool" as const, documents, faults, approval_ttl_ms: approvalTtl(entry?.approval_expires_seconds, undefined) };
  if (tool === undefined) return facts;
  const { effect, timeout_ms, retries, idempotent, cost_usd } = tool.value;
  const cost_micro_usd = cost_usd === undefined ? 0 : microUsd(cost_usd);
  const known = { ...facts, tool: { effect, timeout_ms, retries, idempotent, cost_micro_usd } };
  if (faults.length > 0 || contract === undefined || entry === undefined) return known;

  const judgement = judge.judge({
    policy,
    contract: contract.value,
    entry,
    tool: tool.value,
    state,
    proposal: body,
    costMicroUsd: cost_micro_usd,
    at: later(state.at, time),
  });
  return { ...known, judgement, approval_ttl_ms: approvalTtl(entry.approval_expires_seconds, judgement.ask?.expires_seconds) };
}

/** The shorter of what contract and policy allow. */
function approvalTtl(contract: number | undefined, policy: number | undefined): number {
  const seconds = Math.min(contract ?? Infinity, policy ?? Infinity);
  return Number.isFinite(seconds) ? seconds * 1000 : DEFAULT_APPROVAL_TTL_MS;
}

