/** Short ways to a compiled set and a request, shared by the tests of policy. */
import assert from "node:assert/strict";
import type { z } from "zod";
import { faultText } from "../../schemas/fault.ts";
import { type JudgementRequest, judgementRequestSchema } from "../../schemas/judgement.ts";
import { compilePolicySet } from "../../services/policy/compile.ts";
import type { CompiledPolicySet } from "../../services/policy/compiled.ts";

export function compiled(text: string, name = "default"): CompiledPolicySet {
  const result = compilePolicySet({ name, files: { "test.cedar": text } });
  assert.ok(result.ok, result.ok ? "" : result.faults.map(faultText).join("\n"));
  return result.set;
}

/** Fields that were added later may be left out, as in earlier records. */
export function request(change: Partial<z.input<typeof judgementRequestSchema>> = {}): JudgementRequest {
  return judgementRequestSchema.parse({
    namespace: "default",
    agent: { name: "refund-assistant", version: "1.0.0", owner: "payments", team: "support" },
    tool: { name: "stripe.create_refund", tags: ["payments", "pci"], effect: "write", idempotent: false },
    principal: { subject: "anna", verified: false },
    amount: "25",
    cost_micro_usd: 10_000,
    at: "2026-11-21T10:30:00.000Z",
    run: {
      id: "refund-assistant_1",
      steps: 3,
      cost_micro_usd: 500,
      elapsed_seconds: 12,
      depth: 0,
      succeeded: ["zendesk.read_ticket"],
      failed: [],
    },
    ...change,
  });
}

export const ids = (judgement: { policies: readonly { id: string }[] }) => judgement.policies.map((policy) => policy.id);
export const codes = (judgement: { reasons: readonly { code: string }[] }) => judgement.reasons.map((reason) => reason.code);
