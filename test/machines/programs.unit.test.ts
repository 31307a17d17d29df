/** Whatever is sent, in whatever order and however often: what an auditor may rely on holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EVENT_TYPES } from "../../schemas/event.ts";
import { program, runProgram, Watcher } from "./programs.ts";

test("CORE-3 CORE-5 EXEC-7 GUARD-6 APP-2: random programs of inputs never throw and break no invariant", () => {
  const types = new Set<string>();
  const kinds = new Map<string, number>();
  fc.assert(
    fc.property(program, (steps) => {
      const watcher = new Watcher();
      for (const taken of runProgram(steps)) {
        watcher.see(taken);
        kinds.set(taken.decision.kind, (kinds.get(taken.decision.kind) ?? 0) + 1);
      }
      for (const type of watcher.types) types.add(type);
    }),
    { seed: 20260131, numRuns: 500 },
  );
  // programs that reach nothing would prove nothing
  const unreached = EVENT_TYPES.filter((type) => !types.has(type) && !type.endsWith(".applied"));
  assert.deepEqual(unreached, ["run.refused"]);
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
