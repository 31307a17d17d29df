/**
 * What one decision costs, in this process and with nothing around it: of the policy engine alone, and of the whole of
 * judgement (documents looked up, input validated, amount, risk, needs, policies, the plane's rules), in a small
 * registry and in a large one.
 */
import { emptyRun, type RunState } from "../../machines/state.ts";
import { type Contract, contractSchema } from "../../schemas/contract.ts";
import { type Digest, namespace, runId, toolName } from "../../schemas/ids.ts";
import type { JudgementRequest } from "../../schemas/judgement.ts";
import { type PolicySet, policySetSchema } from "../../schemas/policy.ts";
import { timestamp } from "../../schemas/time.ts";
import { type Tool, toolSchema } from "../../schemas/tool.ts";
import type { Documents } from "../../services/bus/documents.ts";
import type { StreamReader } from "../../services/bus/journal.ts";
import { compilePolicySet } from "../../services/policy/compile.ts";
import type { CompiledPolicySet } from "../../services/policy/compiled.ts";
import { judge } from "../../services/policy/judge.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { toolFacts } from "../../services/policy/tool-facts.ts";
import type { Document } from "../../services/registry/kinds.ts";
import { stored } from "../../services/registry/parse.ts";
import { Validators } from "../../services/registry/validate.ts";
import { RegistryView } from "../../services/registry/view.ts";
import { policyFiles } from "./documents.ts";
import { percentiles, tenth } from "./figures.ts";

export interface Judging {
  readonly policies: number;
  /** Of policies alone, on average and as they come: most have been answered before, and are remembered. */
  readonly us_per_decision: number;
  readonly decision_us: { readonly p50: number; readonly p99: number };
  /** Of policies alone where every request is one that was never made before. */
  readonly new_decision_us: { readonly p50: number; readonly p99: number };
  /** Of the whole of judgement, with a small registry. */
  readonly judgement_us: { readonly p50: number; readonly p99: number };
  /** What the same costs with so many agents and tools in force, in parts of that. */
  readonly registry: { readonly agents: number; readonly tools: number };
  readonly registry_ratio: number;
}

const WARM = 400;
const AT = Date.UTC(2026, 0, 31, 9, 30);

export async function measureJudging(policies: number, rounds: number, registry = { agents: 100_000, tools: 10_000 }): Promise<Judging> {
  const decision = decisions(setOf(policies), rounds, (n) => String(n % 250));
  const unheard = decisions(setOf(policies), rounds, (n) => (n / 100).toFixed(2));
  const { small, large } = await judgements(policies, rounds, registry);
  const mean = decision.reduce((sum, one) => sum + one, 0) / decision.length;
  return {
    policies,
    us_per_decision: tenth(mean),
    decision_us: percentiles(decision),
    new_decision_us: percentiles(unheard),
    judgement_us: percentiles(small),
    registry,
    registry_ratio: Math.round((median(large) / median(small)) * 100) / 100,
  };
}

function setOf(policies: number): CompiledPolicySet {
  const compiled = compilePolicySet({ name: "default", files: policyFiles(policies) });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults));
  return compiled.set;
}

/** Microseconds of each decision. */
function decisions(set: CompiledPolicySet, rounds: number, amount: (n: number) => string): number[] {
  const request = (n: number): JudgementRequest => ({
    namespace: "default",
    agent: { name: `bench-agent-${n % 20}`, version: "1.0.0", owner: "platform", team: "support" },
    tool: { name: "noop.write", tags: ["bench", "payments"], effect: "write", idempotent: true, trusted: true, clearance: [] },
    principal: null,
    amount: amount(n),
    tokens: { input: 120, output: 0 },
    cost_micro_usd: 0,
    regions: [],
    tainted: false,
    labels: [],
    sources: 0,
    confidence: 0.8,
    at: timestamp(AT + n * 1000),
    run: { id: `bench-agent-${n % 20}_r${n}`, steps: n % 20, cost_micro_usd: 0, input_tokens: 0, output_tokens: 0, elapsed_seconds: 1, depth: 0, succeeded: ["noop.read", "noop.write"], failed: [], successes: { "noop.read": 3, "noop.write": 2 }, failures: {} },
  });
  return timed(rounds, (n) => {
    if (judge(set, request(n)).decision !== "allow") throw new Error("the benchmark's own request is not allowed");
  });
}

/** The same calls against two registries, in turns, so that both meet the same weather. */
async function judgements(policies: number, rounds: number, large: { agents: number; tools: number }): Promise<{ small: number[]; large: number[] }> {
  const files = policySetSchema.parse({ name: "default", files: policyFiles(policies) });
  const calls = [await registryOf(20, 20, files), await registryOf(large.agents, large.tools, files)].map((registry) => callsOn(registry));
  const [small, big] = calls as [(n: number) => void, (n: number) => void];
  const times: [number[], number[]] = [[], []];
  const share = Math.ceil(rounds / 10);
  for (let turn = 0; turn < 10; turn++) {
    times[0].push(...timed(share, (n) => small(n + turn * share), turn === 0 ? WARM : 20));
    times[1].push(...timed(share, (n) => big(n + turn * share), turn === 0 ? WARM : 20));
  }
  return { small: times[0], large: times[1] };
}

/** A proposal of one of twenty agents for one of twenty tools, as the coordinator judges it. */
function callsOn(registry: RegistryView): (n: number) => void {
  const judging = { validators: new Validators(), judge: new PolicyJudge() };
  const states = Array.from({ length: 20 }, (_, n) => stateOf(n));
  return (n) => {
    const state = states[n % 20] as RunState;
    const tool = toolName(`bench.tool-${n % 20}`);
    const governing = { contract: registry.contract(state.holder), tool: registry.tool(tool), policy: registry.policy(), budget: (name: string) => registry.budget(name) };
    const input = { ticket: `T-${n % 1000}`, amount_usd: n % 250, text: "an ordinary text of ordinary length" };
    const facts = toolFacts(judging, governing, state, { kind: "tool", id: `t${n}`, tool, input, why: "the ticket says so", confidence: 0.8 }, timestamp(AT + n * 1000));
    if (facts.judgement?.decision !== "allow") throw new Error(`the benchmark's own proposal is not allowed: ${JSON.stringify(facts)}`);
  };
}

function stateOf(n: number): RunState {
  const state = emptyRun(namespace("default"), runId(`bench-agent-${n}_r1`), "2");
  Object.assign(state, { holder: `bench-agent-${n}`, seq: 1, at: timestamp(AT) });
  Object.assign(state, { envelope: { principal: { subject: "kim", issuer: "https://issuer.example", verified: true } } });
  return state;
}

/** A registry without a plane behind it: documents are put in force one by one, as the coordinator does. */
async function registryOf(agents: number, tools: number, policy: PolicySet): Promise<RegistryView> {
  const bytes = new Map<Digest, Uint8Array>();
  const documents = { get: (digest: Digest) => Promise.resolve(bytes.get(digest)) } as unknown as Documents;
  const registry = new RegistryView(namespace("default"), undefined as unknown as StreamReader, documents);
  const put = async (document: Document) => {
    const one = stored(document);
    bytes.set(one.digest, one.bytes);
    await registry.put(one.kind, one.name, one.digest);
    bytes.delete(one.digest);
  };
  for (let n = 0; n < tools; n++) await put({ kind: "tool", name: `bench.tool-${n}`, value: tool(n) });
  for (let n = 0; n < agents; n++) await put({ kind: "agent", name: `bench-agent-${n}`, value: contract(n) });
  await put({ kind: "policy", name: "default", value: policy });
  return registry;
}

const INPUT = { type: "object", required: ["ticket"], properties: { ticket: { type: "string" }, amount_usd: { type: "number" }, text: { type: "string" } } };
const ALLOWED = Array.from({ length: 20 }, (_, n) => ({ name: `bench.tool-${n}` }));

function tool(n: number): Tool {
  return toolSchema.parse({ name: `bench.tool-${n}`, description: "does nothing", effect: "write", tags: ["bench", "payments"], input: INPUT, output: {}, adapter: { type: "builtin" }, cost_usd: 0.01, amount: { field: "amount_usd", currency: "USD" } });
}
function contract(n: number): Contract {
  return contractSchema.parse({ agent: { name: `bench-agent-${n}`, version: "1.0.0", owner: "platform", team: "support", purpose: "does nothing" }, tools: { allowlist: ALLOWED } });
}

/** Microseconds of each round, after some that do not count. */
function timed(rounds: number, round: (n: number) => void, warm = WARM): number[] {
  for (let n = 0; n < warm; n++) round(n);
  return Array.from({ length: rounds }, (_, n) => {
    const begun = performance.now();
    round(n);
    return (performance.now() - begun) * 1000;
  });
}

function median(values: readonly number[]): number {
  return Float64Array.from(values).sort()[Math.floor(values.length / 2)] ?? 0;
}

