/** Facts as the plane would look them up for an input; by default of a tool that writes, allowed, by a known person. */
import { sha256Digest } from "../../schemas/canonical.ts";
import type { GuardHit, Need, PersonFacts, Principal, ToolFacts } from "../../schemas/facts.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Judgement } from "../../schemas/judgement.ts";
import { type Reason, reason } from "../../schemas/reason.ts";

export const DOCUMENTS = { contract: sha256Digest("contract"), tool: sha256Digest("tool"), policy: sha256Digest("policy") };
export const OTHER_DOCUMENTS = { ...DOCUMENTS, policy: sha256Digest("policy, changed") };

export const ISSUER = "https://id.example";
/** The person behind a name: by default one of the same name who holds every role that tests ask for; `ann-2` is `ann` again. */
export function personOf(name: string, more: Partial<PersonFacts> = {}): PersonFacts {
  return { issuer: ISSUER, subject: name.replace(/-2$/, ""), roles: ["approver", "finance"], document: sha256Digest(`person ${name}`), ...more };
}

export const HIT: GuardHit = { stop: "s1" as never, kind: "stop", scope: "agent:agent-1", reason: "it went wild" };

export function judgement(decision: Judgement["decision"], count = 1): Judgement {
  return {
    decision,
    policies: decision === "deny" ? [] : [{ id: "p1", effect: "permit", file: "default/p.cedar", line: 3 }],
    ...(decision === "ask" && { ask: { role: "approver", count } }),
    reasons: [],
    errors: [],
    engine: "test 1",
  };
}

export interface ToolOptions {
  readonly by?: string;
  readonly tool?: string;
  readonly input?: JsonValue;
  readonly effect?: "read" | "write" | "irreversible";
  readonly retries?: number;
  readonly idempotent?: boolean;
  readonly costMicroUsd?: number;
  readonly timeoutMs?: number;
  readonly decision?: Judgement["decision"];
  readonly judgement?: Judgement | null;
  readonly count?: number;
  readonly faults?: Reason[];
  readonly ttlMs?: number;
  readonly why?: string;
  readonly confidence?: number;
  readonly uses?: string[];
  readonly documents?: typeof DOCUMENTS;
  readonly tokens?: { readonly input?: number; readonly output?: number };
  readonly amount?: { readonly units: number; readonly currency?: string; readonly group?: string };
  readonly sources?: string[];
  readonly guard?: GuardHit;
  readonly principal?: Principal;
  readonly needs?: Need[];
  readonly standing?: ToolFacts["standing"];
  readonly probe?: NonNullable<ToolFacts["tool"]>["probe"];
}

/** Facts of a tool proposal. Without a judgement where there is nothing to judge: faults, a stop, or what is waited for. */
export function factsOf(o: ToolOptions, open = false): ToolFacts {
  const { effect = "write", retries = 0, idempotent = false, costMicroUsd = 0, timeoutMs = 10_000, faults = [] } = o;
  const judged = o.judgement === undefined ? judgement(o.decision ?? "allow", o.count) : o.judgement;
  const { input, output } = o.tokens ?? {};
  return {
    kind: "tool",
    documents: o.documents ?? DOCUMENTS,
    faults,
    tool: {
      effect, timeout_ms: timeoutMs, retries, idempotent, cost_micro_usd: costMicroUsd,
      ...(input !== undefined && { input_tokens: input }),
      ...(output !== undefined && { output_tokens: output }),
      ...(o.probe && { probe: o.probe }),
    },
    ...(o.amount && { amount: { units: o.amount.units, currency: o.amount.currency ?? "USD", ...(o.amount.group !== undefined && { group: o.amount.group }) } }),
    ...(o.sources && { sources: o.sources as never }),
    ...(o.guard && { guard: o.guard }),
    ...(o.principal && { principal: o.principal }),
    ...(o.needs && { needs: o.needs }),
    ...(o.standing && { standing: o.standing }),
    ...(faults.length === 0 && judged !== null && o.guard === undefined && !open && { judgement: judged }),
    approval_ttl_ms: o.ttlMs ?? 60_000,
  };
}

export const INVALID = [reason("input.type", "must be a number", { path: "/input/n" }), reason("input.required", "is missing", { path: "/input/m" })];
