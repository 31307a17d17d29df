/** How a run's actions ended is counted as they end, and not anew for every call. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ActionContext } from "../../machines/action-rules.ts";
import { emptyRun, evolve, type RunState } from "../../machines/state.ts";
import { type ActionId, namespace, runId } from "../../schemas/ids.ts";
import { endedAs } from "../../services/policy/rules-1.ts";

const ENDS = ["verified", "failed", "rejected", "denied"];

function counted({ actions }: RunState, ended: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { value, context } of actions.values()) if (value === ended) counts[context.tool] = (counts[context.tool] ?? 0) + 1;
  return counts;
}

test("POL-2 what ended how often is the same, counted at once or as it came", () => {
  const step = fc.record({ action: fc.integer({ min: 1, max: 12 }), value: fc.constantFrom("proposed", "started", ...ENDS), tool: fc.constantFrom("b", "a", "c"), looks: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const state = emptyRun(namespace("default"), runId("a_1"), "2");
      for (const { action, value, tool, looks } of steps) {
        const id = `a${action}` as ActionId;
        // what has ended has ended for good
        if (ENDS.includes(state.actions.get(id)?.value ?? "")) continue;
        const context = { tool: state.actions.get(id)?.context.tool ?? tool } as ActionContext;
        const none = new Map<never, never>();
        evolve(state, { seq: state.seq + 1, at: "", set: {}, actions: new Map([[id, { value, context }]]), approvals: none, proposals: none, inputs: none, reservations: none, holdings: none, holds: none, signals: none, standings: none, amounts: none });
        if (!looks) continue;
        for (const ended of ["verified", "failed"] as const) assert.deepEqual(endedAs(state, ended), counted(state, ended));
      }
      for (const ended of ["verified", "failed"] as const) {
        assert.deepEqual(endedAs(state, ended), counted(state, ended));
        assert.deepEqual(Object.keys(endedAs(state, ended)), Object.keys(counted(state, ended)).sort());
      }
    }),
  );
});
