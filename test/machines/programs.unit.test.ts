/** Whatever is sent, in whatever order and however often: what an auditor may rely on holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EVENT_TYPES } from "../../schemas/event.ts";
import { program, runProgram } from "./programs.ts";
import { Watcher } from "./watcher.ts";

test("CORE-3 CORE-5 EXEC-7 GUARD-3 GUARD-6 GUARD-7 APP-2 APP-3: random programs of inputs never throw and break no invariant", () => {
  const types = new Set<string>();
  const kinds = new Map<string, number>();
  const by = new Set<string>();
  fc.assert(
    fc.property(program, (steps) => {
      const watcher = new Watcher();
      for (const taken of runProgram(steps)) {
        watcher.see(taken);
        for (const draft of taken.decision.kind === "commit" ? taken.decision.drafts : []) {
          if (draft.type === "action.approved" || draft.type === "action.denied") by.add(`${draft.type} by ${draft.data.by}`);
        }
        kinds.set(taken.decision.kind, (kinds.get(taken.decision.kind) ?? 0) + 1);
      }
      for (const type of watcher.types) types.add(type);
    }),
    { seed: 20260131, numRuns: 500 },
  );
  // programs that reach nothing would prove nothing
  const unreached = EVENT_TYPES.filter((type) => !types.has(type) && /^(run|action|approval|budget|taint|note)\.(?!applied)/.test(type));
  assert.deepEqual(unreached, ["run.refused"]);
  assert.deepEqual([...by].sort(), [
    ...["person", "policy", "standing"].map((who) => `action.approved by ${who}`),
    ...["budget", "change", "edit", "expiry", "person", "policy", "stop"].map((who) => `action.denied by ${who}`),
  ]);
  for (const kind of ["commit", "refuse", "duplicate", "ignore"]) assert.ok((kinds.get(kind) ?? 0) > 100, `${kind}: ${kinds.get(kind)}`);
});

test("law 1: in random programs equal arguments give equal results, and the state is only read", () => {
  fc.assert(
    fc.property(program, (steps) => {
      for (const _ of runProgram(steps, true)) continue;
    }),
    { seed: 20260201, numRuns: 25 },
  );
});
