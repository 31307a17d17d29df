/** GUARD-9, ID-2: what whoever is stopped is told, wherever the entry stands in the way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stopped } from "../../machines/guard-hit.ts";
import type { GuardHit } from "../../schemas/facts.ts";
import { HIT } from "./given.ts";

test("GUARD-9 ID-2: a stop, a revocation and a disabled document are told apart, with the scope, the reason and what ends it", () => {
  const hit = (kind: GuardHit["kind"]) => stopped({ ...HIT, kind });
  assert.deepEqual(hit("stop"), { code: "guard.stopped", message: "`agent:agent-1` is stopped: it went wild", help: "entry `s1`: it holds until it is lifted" });
  assert.equal(hit("revocation").message, "`agent:agent-1` is revoked: it went wild");
  const { stop: _, ...document } = HIT;
  assert.deepEqual(stopped({ ...document, kind: "disabled" }), {
    code: "guard.stopped", message: "`agent:agent-1` is disabled: it went wild", help: "it holds until its document is applied without `disabled`",
  });
});
