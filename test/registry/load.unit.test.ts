import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Contract, contractTool } from "../../schemas/contract.ts";
import { type Judgement } from "../../schemas/judgement.ts";
import { type PolicySet } from "../../schemas/policy.ts";
import { type Tool } from "../../schemas/tool.ts";
import { compilePolicySet } from "../../services/policy/compile.ts";
import { amountOf, combine } from "../../services/policy/decide.ts";
import { judge } from "../../services/policy/judge.ts";
import { loadPath, loadPaths } from "../../services/registry/load.ts";
import { Validators } from "../../services/registry/validate.ts";
import { ids, request } from "../policy/policies.ts";

const DEMO = join(import.meta.dirname, "../../infra/demo");

async function withFolder(files: Record<string, string | Uint8Array>, run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "signalbox-load-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(join(folder, name, ".."), { recursive: true });
      await writeFile(join(folder, name), content);
    }
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const CONTRACT = "agent: { name: a, owner: o, team: t, purpose: p }\n";

test("ID-1: a folder gives its contracts, tools and policy sets, tools first", async () => {
  const files = {
    "a.yaml": CONTRACT,
    "tools/t.yml": "name: t\ndescription: d\neffect: read\nadapter: builtin\ninput: {}\noutput: {}\n",
    "policies/default/a.cedar": "// nothing\n",
    "policies/default/tests.json": "{}",
    ".hidden/b.yaml": "not: read",
  };
  await withFolder(files, async (folder) => {
    const { documents, faults } = await loadPath(folder);
    assert.deepEqual(faults, []);
    assert.deepEqual(documents.map((document) => `${document.kind} ${document.name}`), ["tool t", "agent a", "policy default"]);
    assert.deepEqual(documents[2]?.value, { name: "default", files: { "a.cedar": "// nothing\n" } });
  });
});

test("ID-1: what cannot be read is a fault that names the file", async () => {
  const files = {
    "one.yaml": CONTRACT,
    "two.yaml": CONTRACT,
    "latin.yaml": Uint8Array.of(0x61, 0xe9),
    "Bad_Set/a.cedar": "",
    "big.yaml": "x".repeat(600_000),
  };
  await withFolder(files, async (folder) => {
    const { faults } = await loadPath(folder);
    assert.deepEqual(
      faults.map((fault) => `${fault.file.slice(folder.length + 1)} ${fault.code}`).sort(),
      ["Bad_Set policy.name", "big.yaml document.too_large", "latin.yaml file.encoding", "two.yaml document.twice"],
    );
    for (const [path, code] of [
      ["nowhere.yaml", "file.unreadable"],
      ["Bad_Set/a.cedar", "policy.file_alone"],
    ] as const) {
      assert.deepEqual((await loadPath(join(folder, path))).faults.map((fault) => fault.code), [code]);
    }
  });
  await withFolder({ "readme.txt": "hello" }, async (folder) => {
    assert.deepEqual((await loadPath(folder)).faults.map((fault) => fault.code), ["file.nothing"]);
    assert.deepEqual((await loadPath(join(folder, "readme.txt"))).faults.map((fault) => fault.code), ["file.unknown"]);
  });
});

test("POL-1: a policy folder gives its set with schema, fixtures and settings, and its other documents beside it", async () => {
  const files = {
    "default/a.cedar": "// nothing\n",
    "default/schema.cedarschema": "entity User;\n",
    "default/reads.fixtures.yaml": "[]\n",
    "default/set.yaml": "review: { role: risk, count: 2 }\ncurrencies: [USD]\n",
    "default/beside.yaml": CONTRACT,
  };
  await withFolder(files, async (folder) => {
    const { documents, faults } = await loadPath(folder);
    assert.deepEqual(faults, []);
    assert.deepEqual(documents.map((document) => `${document.kind} ${document.name}`), ["agent a", "policy default"]);
    assert.deepEqual(documents[1]?.value, {
      name: "default",
      files: { "a.cedar": "// nothing\n" },
      schema: "entity User;\n",
      fixtures: { "reads.fixtures.yaml": "[]\n" },
      settings: { review: { role: "risk", count: 2 }, currencies: ["USD"] },
    });
  });
});

test("POL-1: every fault of the files of a policy folder has its place, and all come at once", async () => {
  const files = {
    "default/a.cedar": "",
    "default/set.yaml": "review: { role: risk }\nrisks: []\n",
    "default/set.yml": "currencies: [usd]\n",
    "default/other.cedarschema": "",
    "default/.x.fixtures.yaml": "",
    "alone/set.yaml": "review: { role: risk, count: 1 }\n",
  };
  await withFolder(files, async (folder) => {
    const { documents, faults } = await loadPath(folder);
    assert.deepEqual(documents, []);
    assert.deepEqual(
      faults.map(({ file, line, column, code, help }) => `${file.slice(folder.length + 1)}:${line}:${column} ${code}${help === undefined ? "" : `; ${help}`}`).sort(),
      [
        "alone/set.yaml:1:1 policy.file_alone; a policy set is the folder that holds the `.cedar` files: apply that",
        "default/.x.fixtures.yaml:1:1 policy.name",
        "default/other.cedarschema:1:1 policy.name",
        "default/set.yaml:1:1 document.missing",
        "default/set.yaml:2:1 document.unknown_key; did you mean `risk`",
        "default/set.yml:1:14 document.invalid",
      ],
    );
  });
});

test("ID-1: what one load names twice is a fault, from whichever of its files and folders", async () => {
  await withFolder({ "one/a.yaml": CONTRACT, "two/a.yaml": CONTRACT }, async (folder) => {
    const { faults } = await loadPaths([join(folder, "one"), join(folder, "two"), join(folder, "three")]);
    assert.deepEqual(faults.map(({ code }) => code), ["file.unreadable", "document.twice"]);
  });
});

test("CORE-3, APP-1: the demo reads, refunds a little, asks for more, and never deletes a customer", async () => {
  const { documents, faults } = await loadPath(DEMO);
  assert.deepEqual(faults, []);
  const of = <T>(kind: string, name: string) => documents.find((document) => document.kind === kind && document.name === name)?.value as T;
  const contract = of<Contract>("agent", "refund-assistant");
  const compiledSet = compilePolicySet(of<PolicySet>("policy", "default"));
  assert.ok(compiledSet.ok);
  const validators = new Validators();
  const decide = (name: string, input: object): Judgement => {
    const tool = of<Tool>("tool", name);
    assert.deepEqual(validators.inputFaults(name, tool.input, input), []);
    const entry = contractTool(contract, name);
    const { amount: _, ...base } = request();
    const amount = amountOf(entry, input);
    const { tags, effect, idempotent } = tool;
    const asked = { ...base, tool: { ...base.tool, name, tags, effect, idempotent }, ...(amount === undefined ? {} : { amount }) };
    return combine(entry, effect, input, judge(compiledSet.set, asked));
  };
  const read = decide("zendesk.read_ticket", { ticket_id: "T-1001" });
  assert.deepEqual([read.decision, ids(read)], ["allow", ["support-reads"]]);
  const small = decide("stripe.create_refund", { charge_id: "ch_1001", amount_usd: 25 });
  assert.deepEqual([small.decision, ids(small)], ["allow", ["refunds-by-assistant"]]);
  const large = decide("stripe.create_refund", { charge_id: "ch_1001", amount_usd: 480 });
  assert.deepEqual([large.decision, large.ask?.role, large.reasons[0]?.code], ["ask", "approver", "contract.requires_approval_above"]);
  const huge = decide("stripe.create_refund", { charge_id: "ch_1001", amount_usd: 6000 });
  assert.deepEqual([huge.decision, huge.ask?.role, huge.ask?.count], ["ask", "finance", 2]);
  const deletion = decide("crm.delete_customer", { customer_id: "cus_77" });
  assert.deepEqual([deletion.decision, ids(deletion)], ["deny", ["agents-never-delete-customers"]]);
});
