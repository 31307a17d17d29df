/**
 * What is looked up and judged before a machine sees a tool proposal (law 2). One function for the coordinator, which
 * records its result, and for replay, which holds the record against it: only where the documents come from differs.
 */
import type { RunState } from "../../machines/state.ts";
import type { BudgetDocument } from "../../schemas/budget.ts";
import { type Contract, type ContractTool, contractTool } from "../../schemas/contract.ts";
import type { DocumentFacts, GuardHit, Need, Principal, ToolFacts } from "../../schemas/facts.ts";
import type { ActionId } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { AmountTotals } from "../../schemas/judgement.ts";
import { microUsd } from "../../schemas/money.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { later } from "../../schemas/time.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { Opened } from "../identity/personal-fields.ts";
import type { InForce } from "../registry/view.ts";
import { type Amount, amountOfCall } from "./amounts.ts";
import { principalStanding } from "./call.ts";
import type { Call } from "./case.ts";
import { countedText, countedUnits } from "./decimal.ts";
import type { Judge } from "./judgement.ts";
import { needsOf } from "./needs.ts";
import { writesFor } from "./plane-rules.ts";
import { MACHINE_OF_RULES_1 } from "./rules-1.ts";
import { allNeeds, amountInRun, openNeeds, principalOf, sumsOf } from "./run-view.ts";
import { sourcesOf } from "./sources.ts";
import { tokensOfCall } from "./tokens.ts";

/** Runs of earlier versions do not probe, and their records hold nothing of it. */
const probesTools = (machine: string): boolean => machine !== "1" && machine !== "2";

/** How long a person has when neither contract nor policy says. */
const DEFAULT_APPROVAL_TTL_MS = 24 * 3600 * 1000;

/** The documents that a proposal is judged by; undefined where none is in force. */
export interface Governing {
  readonly contract: InForce<Contract> | undefined;
  readonly tool: InForce<Tool> | undefined;
  readonly policy: InForce<PolicySet> | undefined;
  /** By the account's name; absent where nobody limits anything. */
  readonly budget?: (account: string) => InForce<BudgetDocument> | undefined;
}

export interface Judging {
  readonly validators: { inputFaults(toolHash: string, schema: JsonValue, value: unknown): Reason[] };
  readonly judge: Judge;
}

/** What comes with the proposal besides its body. */
export interface More {
  /** An entry of the guard that covers it: it is not judged. */
  readonly guard?: GuardHit | undefined;
  /** By a fresh token of the run's own principal. */
  readonly principal?: Principal | undefined;
  /** The ledger's answer that was waited for: the action is judged now. */
  readonly reply?: SignalInput | undefined;
  /** The action that is judged, when it was proposed before. */
  readonly action?: ActionId | undefined;
  /** The action whose place this one takes, edited: it does not count beside it. */
  readonly replaces?: ActionId | undefined;
  /** Its input with the personal fields opened, where there are any (law 10). Nothing is judged by it. */
  readonly opened?: Opened | undefined;
  /**
   * What only the plain form shows, as it was recorded: whoever judges again without the subjects' keys believes that,
   * and judges the rest, which rests on the sealed form.
   */
  readonly believed?: { readonly faults: readonly Reason[]; readonly sources: readonly ActionId[] } | undefined;
  /** Needs as they were recorded: judging again does not look up today's budgets. */
  readonly needs?: readonly Need[] | undefined;
}

/**
 * @param state the run before this input
 * @param time the server's time on the stored input: the only clock that judgement has
 * @returns facts without a judgement where there are faults, where the guard stops it, or while `needs` are not covered
 */
export function toolFacts(judging: Judging, governing: Governing, state: RunState, body: ToolProposal, time: string, more: More = {}): ToolFacts {
  const { validators, judge } = judging;
  const { contract, tool, policy } = governing;
  const entry = contract && contractTool(contract.value, body.tool);
  const documents: DocumentFacts = {
    ...(contract && { contract: contract.digest }),
    ...(tool && { tool: tool.digest }),
    ...(policy && { policy: policy.digest }),
  };
  const rules1 = state.machine === MACHINE_OF_RULES_1;
  const tokens = tool === undefined || rules1 ? undefined : tokensOfCall(tool.value, body.input);
  const faults = [...documentFaults(contract, entry, tool, state, body), ...(tool === undefined ? [] : inputFaults(validators, tool, body, more)), ...(tokens?.faults ?? [])];

  const facts: ToolFacts = {
    kind: "tool",
    documents,
    faults,
    approval_ttl_ms: approvalTtl(entry?.approval_expires_seconds, undefined),
    ...(more.guard && { guard: more.guard }),
    ...(more.principal && { principal: more.principal }),
  };
  if (tool === undefined) return facts;
  const { effect, timeout_ms, retries, idempotent, cost_usd, probe } = tool.value;
  const cost_micro_usd = cost_usd === undefined ? 0 : microUsd(cost_usd);
  const counted = tokens?.declared === true ? { input_tokens: tokens.input, output_tokens: tokens.output } : {};
  const known: ToolFacts = { ...facts, tool: { effect, timeout_ms, retries, idempotent, cost_micro_usd, ...counted, ...(probe && probesTools(state.machine) && { probe }) } };
  if (faults.length > 0 || contract === undefined || entry === undefined) return known;

  const at = later(state.at, time);
  const asked = { policy, contract: contract.value, entry, tool: tool.value, state, proposal: body, costMicroUsd: cost_micro_usd, at };
  const judged = (ready: ToolFacts, call?: Call): ToolFacts => {
    const judgement = judge.judge(call === undefined ? asked : { ...asked, call });
    return { ...ready, judgement, approval_ttl_ms: approvalTtl(entry.approval_expires_seconds, judgement.ask?.expires_seconds) };
  };
  if (tokens === undefined) return judged(known);

  const amount = amountOfCall(tool.value, entry, body.input, policy?.value.settings?.currencies);
  const { marks } = state;
  // what it was taken from is looked for in what was said: the outputs that it is held against are sealed as well
  const said = more.opened === undefined ? body : { ...body, input: more.opened.said };
  const sources = more.believed === undefined ? sourcesOf(state, said) : [...more.believed.sources];
  const standing = marks.tainted || effect === "irreversible" ? undefined : standingLimits(entry);
  const ready: ToolFacts = {
    ...known,
    ...(amount?.units !== undefined && { amount: { units: amount.units, currency: amount.currency ?? "", group: amount.group } }),
    ...(sources.length > 0 && { sources }),
    ...(standing && { standing }),
  };
  if (more.guard !== undefined) return ready;
  const principal = more.principal ?? principalOf(state);
  const call = (totals: AmountTotals | undefined): Call => ({
    principal,
    amount,
    totals,
    tokens,
    tainted: marks.tainted,
    labels: marks.labels,
    sources: sources.length,
    matched: body.uses === undefined ? sources.length : matchedAlone(state, said, more.believed?.sources),
  });
  // what is denied whatever else is known opens no account and waits for none
  const stands = principalStanding(principal, at);
  if (!writesFor(effect, stands)) return judged(ready, call(totalsOf(state, amount, more)));

  const needs =
    more.needs ??
    allNeeds(state, more, needsOf({
      contract: contract.value,
      budget: (account) => governing.budget?.(account)?.value,
      costMicroUsd: cost_micro_usd,
      amount,
      limited: entry.requires_approval_above !== undefined,
      reads: judge.reads?.(policy, effect),
      principal: stands?.verified === true ? JSON.stringify([stands.issuer ?? "", stands.subject]) : undefined,
      time,
    }));
  const waiting = needs.length === 0 ? ready : { ...ready, needs: [...needs] };
  if (openNeeds(state, more.action, needs, more.reply).length > 0) return waiting;
  return judged(waiting, call(totalsOf(state, amount, more)));
}

function documentFaults(contract: InForce<Contract> | undefined, entry: ContractTool | undefined, tool: InForce<Tool> | undefined, state: RunState, body: ToolProposal): Reason[] {
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
  return faults;
}

function inputFaults(validators: Judging["validators"], tool: InForce<Tool>, body: ToolProposal, { opened, believed }: More): Reason[] {
  if (believed !== undefined) return [...believed.faults];
  const faults = opened !== undefined && opened.faults.length > 0 ? opened.faults : validators.inputFaults(tool.digest, tool.value.input, opened?.plain ?? body.input);
  return faults.map((fault) => ({ ...fault, path: `/input${fault.path ?? ""}` }));
}

/** Of the sources, those that the input itself holds parts of. */
function matchedAlone(state: RunState, body: ToolProposal, believed: readonly ActionId[] | undefined): number {
  const found = sourcesOf(state, { ...body, uses: undefined });
  if (believed === undefined) return found.length;
  return believed.filter((action) => found.includes(action) || body.uses?.includes(action) !== true).length;
}

/** Sums as policies and contracts read them, this call included; undefined where there is nothing to add up. */
function totalsOf(state: RunState, amount: Amount | undefined, { action, replaces, reply }: More): AmountTotals | undefined {
  if (amount?.units === undefined) return undefined;
  const { target, principal, agent } = sumsOf(state, action, reply);
  return {
    in_run: countedText(amountInRun(state, amount, action ?? replaces) + amount.units),
    ...(target !== undefined && { target_day: countedText(target) }),
    ...(principal !== undefined && { principal_day: countedText(principal) }),
    ...(agent !== undefined && { agent_day: countedText(agent) }),
  };
}

/** How far the contract lets an approval stand; limits of amounts are rounded down. */
function standingLimits({ standing_approval: standing }: ContractTool): ToolFacts["standing"] {
  if (standing === undefined) return undefined;
  const { max_uses, max_seconds, vary, max_amount, max_total } = standing;
  return {
    max_uses,
    max_seconds,
    vary,
    ...(max_amount !== undefined && { max_amount: countedUnits(max_amount, "down") ?? 0 }),
    ...(max_total !== undefined && { max_total: countedUnits(max_total, "down") ?? 0 }),
  };
}

/** The shorter of what contract and policy allow. */
function approvalTtl(contract: number | undefined, policy: number | undefined): number {
  const seconds = Math.min(contract ?? Infinity, policy ?? Infinity);
  return Number.isFinite(seconds) ? seconds * 1000 : DEFAULT_APPROVAL_TTL_MS;
}
