/** What one decision of the policy engine costs, in this process and with nothing around it. */
import type { JudgementRequest } from "../../schemas/judgement.ts";
import { compilePolicySet } from "../../services/policy/compile.ts";
import { judge } from "../../services/policy/judge.ts";
import { policyFiles } from "./documents.ts";

/** Microseconds for one decision, with request validation, over a set of so many policies. */
export function microsecondsPerDecision(policies: number, rounds: number): number {
  const compiled = compilePolicySet({ name: "default", files: policyFiles(policies) });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults));
  const request = (n: number): JudgementRequest => ({
    namespace: "default",
    agent: { name: `bench-agent-${n % 20}`, version: "1.0.0", owner: "platform", team: "support" },
    tool: { name: "noop.write", tags: ["bench", "payments"], effect: "write", idempotent: true, trusted: true, clearance: [] },
    principal: null,
    amount: String(n % 250),
    tokens: { input: 120, output: 0 },
    cost_micro_usd: 0,
    regions: [],
    tainted: false,
    labels: [],
    sources: 0,
    confidence: 0.8,
    at: "2026-01-31T09:30:00.000Z",
    run: { id: `bench-agent-${n % 20}_r${n}`, steps: n % 20, cost_micro_usd: 0, input_tokens: 0, output_tokens: 0, elapsed_seconds: 1, depth: 0, succeeded: ["noop.read", "noop.write"], failed: [], successes: { "noop.read": 3, "noop.write": 2 }, failures: {} },
  });
  const round = (n: number) => {
    if (judge(compiled.set, request(n)).decision !== "allow") throw new Error("the benchmark's own request is not allowed");
  };
  for (let n = 0; n < 200; n++) round(n);
  const begun = performance.now();
  for (let n = 0; n < rounds; n++) round(n);
  return ((performance.now() - begun) * 1000) / rounds;
}
