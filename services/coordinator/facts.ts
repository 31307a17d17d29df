/**
 * Gathers the outside facts of one input before a machine sees it (law 2): documents in force, validation, judgement.
 * Synchronous, because it runs for every input; what has to be fetched first is said by throwing {@link Needs}.
 */
import type { RunInput } from "../../machines/decide.ts";
import type { DocumentKind } from "../../machines/registry.ts";
import { RUN_ENDED } from "../../machines/run.ts";
import type { RunState } from "../../machines/state.ts";
import type { AppliedFacts, CurrentFacts, DocumentFacts, Facts, OutputFacts, StartFacts, ToolFacts } from "../../schemas/facts.ts";
import { NO_FACTS } from "../../schemas/facts.ts";
import type { ActionId, Actor, Digest } from "../../schemas/ids.ts";
import { digestSchema } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { microUsd } from "../../schemas/money.ts";
import type { StartProposal, ToolProposal } from "../../schemas/proposal.ts";
import { type Reason, pointer, reason } from "../../schemas/reason.ts";
import { claimedPrincipal } from "../identity/principal.ts";
import { compilePolicySet } from "../policy/compile.ts";
import type { Judge } from "../policy/judgement.ts";
import { toolFacts } from "../policy/tool-facts.ts";
import { readStored } from "../registry/parse.ts";
import { SCHEMA_ENGINE } from "../registry/json-schema.ts";
import type { Validators } from "../registry/validate.ts";
import type { RegistryView } from "../registry/view.ts";

/** A document that must be fetched before the input can be judged. */
export class Needs extends Error {
  override readonly name = "Needs";
  readonly digest: Digest;
  constructor(digest: Digest) {
    super(`document ${digest} is needed first`);
    this.digest = digest;
  }
}

export interface FactSources {
  readonly registry: RegistryView;
  readonly validators: Validators;
  readonly judge: Judge;
}

/** The sources of one turn. */
export interface Lookups extends FactSources {
  /** A fetched document's bytes; undefined when it was not fetched yet, null when it cannot be had. */
  readonly fetched: (digest: Digest) => Uint8Array | null | undefined;
}

export function gatherFacts(sources: Lookups, state: RunState, input: RunInput, principal: string | undefined): Facts {
  if (isForeseen(state, input)) return NO_FACTS;
  switch (input.kind) {
    case "propose":
      if (input.body.kind === "start") return startFacts(sources, input.actor, input.body, principal);
      if (input.body.kind === "tool") return proposedFacts(sources, state, input, input.body);
      return NO_FACTS;
    case "decide":
      return currentFacts(sources, state, state.approvals.get(input.body.request)?.context.action);
    case "report":
      if (input.body.status === "started") return currentFacts(sources, state, input.body.action);
      if (input.body.status === "succeeded") return outputFacts(sources, state, input.body.action, input.body.output ?? null);
      return NO_FACTS;
    case "control":
      if (input.body.verb === "resolve" && input.body.outcome === "succeeded" && input.body.output !== undefined) {
        return outputFacts(sources, state, input.body.action, input.body.output);
      }
      return NO_FACTS;
    case "due":
      return NO_FACTS;
  }
}

/** What the machine answers without looking at facts: a flood of it must not cost a judgement each. */
function isForeseen(state: RunState, input: RunInput): boolean {
  if (state.inputs.has(`${input.kind}/${input.actor}/${input.id}`)) return true;
  if (input.kind !== "propose" || input.body.kind === "start") return false;
  return input.actor !== state.holder || RUN_ENDED.has(state.life.value);
}

function startFacts({ registry }: FactSources, actor: Actor, body: StartProposal, principal: string | undefined): StartFacts {
  // an agent that starts for another name is refused by the machine; its own contract is looked up all the same
  const contract = registry.contract(body.agent.name === actor ? body.agent.name : actor);
  const policy = registry.policy();
  const documents: DocumentFacts = {
    ...(contract && { contract: contract.digest }),
    ...(policy && { policy: policy.digest }),
  };
  if (contract === undefined) return { kind: "start", documents, budgets: {}, principal: claimedPrincipal(principal) };
  const { agent, budgets } = contract.value;
  return {
    kind: "start",
    documents,
    agent: {
      name: agent.name,
      ...(agent.version !== undefined && { version: agent.version }),
      owner: agent.owner,
      team: agent.team,
      purpose: agent.purpose,
    },
    budgets: {
      ...(budgets.max_steps !== undefined && { max_steps: budgets.max_steps }),
      ...(budgets.max_cost_usd_per_run !== undefined && { max_cost_micro_usd: microUsd(budgets.max_cost_usd_per_run) }),
      ...(budgets.max_wall_seconds !== undefined && { max_wall_ms: budgets.max_wall_seconds * 1000 }),
    },
    principal: claimedPrincipal(principal),
  };
}

function proposedFacts({ registry, validators, judge }: Lookups, state: RunState, input: RunInput, body: ToolProposal): ToolFacts {
  const inForce = { contract: registry.contract(state.holder), tool: registry.tool(body.tool), policy: registry.policy() };
  return toolFacts({ validators, judge }, inForce, state, body, input.time);
}

function currentFacts({ registry }: FactSources, state: RunState, id: ActionId | undefined): CurrentFacts {
  const action = id === undefined ? undefined : state.actions.get(id)?.context;
  const contract = registry.contract(state.holder);
  const tool = action && registry.tool(action.tool);
  const policy = registry.policy();
  return {
    kind: "current",
    documents: {
      ...(contract && { contract: contract.digest }),
      ...(tool && { tool: tool.digest }),
      ...(policy && { policy: policy.digest }),
    },
  };
}

/** The output is checked against the schema of the tool as it was approved, whatever is in force now. */
function outputFacts(sources: Lookups, state: RunState, id: ActionId, output: JsonValue): OutputFacts {
  const digest = state.actions.get(id)?.context.documents.tool;
  const checked = (faults: Reason[]): OutputFacts => ({ kind: "output", faults, engine: SCHEMA_ENGINE });
  if (digest === undefined) return checked([reason("tool.unknown", "the action has no tool")]);
  const tool = sources.registry.toolVersion(digest);
  if (tool === undefined) {
    fetch(sources, digest);
    return checked([reason("tool.unknown", "the tool that was approved cannot be read any more")]);
  }
  const stored = documentReference(output);
  if (stored === undefined) return checked(sources.validators.outputFaults(digest, tool.output, output));
  const bytes = fetch(sources, stored);
  if (bytes === null) return checked([reason("document.missing", `the output's document \`${stored}\` cannot be had`)]);
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return checked(sources.validators.outputFaults(digest, tool.output, value));
  } catch {
    return checked([reason("document.unreadable", "the output's document is not JSON")]);
  }
}

function fetch(sources: Lookups, digest: Digest): Uint8Array | null {
  const bytes = sources.fetched(digest);
  if (bytes === undefined) throw new Needs(digest);
  return bytes;
}

/** Whether an applied document is what it claims to be, compiled by this plane and not by whoever sent it. */
export function appliedFacts(sources: Lookups, kind: DocumentKind, name: string, digest: Digest): AppliedFacts {
  const bytes = fetch(sources, digest);
  if (bytes === null) {
    return { kind: "applied", faults: [reason("document.missing", `document \`${digest}\` is not stored`, { help: "store it first" })] };
  }
  const { document, findings } = readStored(bytes);
  const faults = findings.map((found) =>
    reason(found.code, found.message, { path: pointer(found.path.map(String)), ...(found.help !== undefined && { help: found.help }) }),
  );
  if (document !== undefined && (document.kind !== kind || document.name !== name)) {
    faults.push(reason("document.mismatch", `the document is ${document.kind} \`${document.name}\`, not ${kind} \`${name}\``));
  }
  if (document?.kind === "policy") {
    const compiled = compilePolicySet(document.value);
    if (!compiled.ok) {
      for (const fault of compiled.faults) {
        const help = fault.help === undefined ? {} : { help: fault.help };
        faults.push(reason(fault.code, `${fault.file}:${fault.line}:${fault.column}: ${fault.message}`, help));
      }
    }
  }
  return { kind: "applied", faults };
}

/** `{ "$doc": "sha256:…", bytes }`: a value too large for a message. */
export function documentReference(value: JsonValue): Digest | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const parsed = digestSchema.safeParse(value["$doc"]);
  return parsed.success && Object.keys(value).length <= 2 ? parsed.data : undefined;
}
