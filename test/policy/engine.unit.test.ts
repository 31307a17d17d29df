import assert from "node:assert/strict";
import { test } from "node:test";
import { CedarCrash, withCedar } from "../../services/policy/engine.ts";
import { judge } from "../../services/policy/judge.ts";
import { compiled, request } from "./policies.ts";

test("CORE-3: an engine that breaks is replaced, and what it held is read again", () => {
  const set = compiled('@id("all") permit (principal, action, resource);');
  assert.equal(judge(set, request()).decision, "allow");
  // past every bound of ours, straight at the engine
  const deep = `permit (principal, action, resource) when { ${"(".repeat(20_000)}true${")".repeat(20_000)} };`;
  assert.throws(() => withCedar((engine) => engine.policyToJson(deep)), CedarCrash);
  assert.equal(judge(set, request()).decision, "allow");
});
