/** The documents of the demo, which are also the examples that people begin with. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { loadPath } from "../../services/registry/load.ts";
import { signalbox } from "../cli/terminal.ts";

const ROOT = join(import.meta.dirname, "../..");
const DEMO = join(ROOT, "infra/demo");

test("ID-1 the demo's documents are of every kind, and without fault", async () => {
  const { documents, faults } = await loadPath(DEMO);
  assert.deepEqual(faults, []);
  const of = (wanted: string) => documents.filter(({ kind }) => kind === wanted).map(({ name }) => name);
  assert.deepEqual(of("agent"), ["ledger-clerk", "refund-assistant"]);
  assert.deepEqual(of("person"), ["ada", "fay", "finn", "operator", "second-operator"]);
  assert.deepEqual(of("budget"), ["team.finance", "team.support"]);
  assert.deepEqual(of("policy"), ["default"]);
  assert.ok(of("tool").length > 5);
});

test("POL-1 the demo's policies answer their fixtures as expected", async () => {
  const { exit, out, err } = await signalbox(["policy", "test", join(DEMO, "policies"), "--json"]);
  assert.equal(exit, 0, out + err);
  assert.match((await signalbox(["policy", "test", join(DEMO, "policies")])).out, /of \d+ fixture\(s\) as expected/);
});

test("POL-1 the schema beside the demo's policies is the plane's own", async () => {
  assert.equal(await readFile(join(DEMO, "policies/default/schema.cedarschema"), "utf8"), await readFile(join(ROOT, "services/policy/schema.cedarschema"), "utf8"));
});
