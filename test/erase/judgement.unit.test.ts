/** Law 10: what reads a personal field, to judge by it, is refused when it is applied; from whichever side it comes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Fault } from "../../schemas/fault.ts";
import { inconsistencies } from "../../services/registry/consistency.ts";
import { parseDocuments } from "../../services/registry/parse.ts";
import { compilePolicies } from "../../services/policy/compile.ts";
import { documents, registry } from "../registry/in-force.ts";

const tool = (more: string) =>
  `name: pay.out\ndescription: d\neffect: write\nadapter: nats\ninput: { type: object, properties: { usd: { type: number }, cur: { type: string }, to: { type: string }, who: { type: string }, rows: { type: array, items: { type: object, properties: { id: { type: string }, name: { type: string } } } } } }\noutput: { type: object, properties: { iban: { type: string } } }\n${more}`;
const contract = (entry: string) => `agent: { name: payer, owner: o, team: t, purpose: p }\ntools: { allowlist: [ { name: pay.out, ${entry} } ] }`;
const codes = (text: string) => parseDocuments(text, "f.yaml").faults.map(({ path, code }) => `${path} ${code}`);
const PERSONAL = (path: string) => `personal: [ { path: ${path}, subject: who } ]`;

describe("law 10: personal fields are opaque to judgement", () => {
  it("a tool that is judged by a field, and marks it or what it is a part of, is refused", () => {
    const amounts = "amount: { field: usd, currency: { field: cur }, target: to }\n";
    assert.deepEqual(codes(tool(amounts + PERSONAL("email").replace("email", "who"))), []);
    assert.deepEqual(codes(tool(amounts + PERSONAL("usd"))), ["/amount/field tool.personal"]);
    assert.deepEqual(codes(tool(amounts + PERSONAL("cur"))), ["/amount/currency/field tool.personal"]);
    assert.deepEqual(codes(tool(amounts + PERSONAL("to"))), ["/amount/target tool.personal"]);
    assert.deepEqual(codes(tool(amounts + `personal: [ { path: "*", subject: who } ]`)).sort(), ["/amount/currency/field tool.personal", "/amount/field tool.personal", "/amount/target tool.personal", "/personal/0/path tool.personal"]);
    assert.deepEqual(codes(tool(`tokens: { max_input: { field: usd } }\n${PERSONAL("usd")}`)), ["/tokens/max_input/field tool.personal"]);
  });

  it("marks that name no one subject, no field, or one field twice are refused", () => {
    assert.deepEqual(codes(tool("personal: [ { path: rows.*.name, subject: rows.*.id } ]")), []);
    assert.deepEqual(codes(tool("personal: [ { path: who, subject: rows.*.id } ]")), ["/personal/0/subject tool.personal"]);
    assert.deepEqual(codes(tool("personal: [ { path: nobody, subject: who } ]")), ["/personal/0/path tool.personal"]);
    assert.deepEqual(codes(tool("personal: [ { path: to, subject: who }, { path: to, subject: who } ]")), ["/personal/1/path tool.personal_twice"]);
  });

  /** What a contract and a tool say of each other, the first in force and the second applied. */
  async function refused(inForce: string, applied: string): Promise<string[]> {
    const { view, apply } = registry();
    await apply(...documents(inForce));
    return inconsistencies(view, documents(applied)).filter(({ severity }) => severity === "fault").map(({ path, code }) => `/${path.join("/")} ${code}`);
  }

  it("a contract that asks by a personal field, or has one compared, is refused", async () => {
    const marked = tool(PERSONAL("usd"));
    assert.deepEqual(await refused(marked, contract("requires_approval_above: { field: usd, value: 5 }")), ["/tools/allowlist/0/requires_approval_above/field contract.personal"]);
    assert.deepEqual(await refused(marked, contract("standing_approval: { max_uses: 1, max_seconds: 1, vary: [ /to ] }")), ["/tools/allowlist/0/standing_approval/vary contract.personal"], "what may not vary is compared");
    assert.deepEqual(await refused(marked, contract("standing_approval: { max_uses: 1, max_seconds: 1, vary: [ /usd ] }")), []);
    assert.deepEqual(await refused(tool(""), contract(`requires_approval_above: { field: usd, value: 5 }, ${PERSONAL("usd")}`)), ["/tools/allowlist/0/requires_approval_above/field contract.personal"]);
    assert.deepEqual(await refused(tool("amount: { field: usd, currency: USD }"), contract(PERSONAL("usd"))), ["/tools/allowlist/0/personal contract.personal"]);
    assert.deepEqual(await refused(tool(""), contract(PERSONAL("nothing"))), ["/tools/allowlist/0/personal/0/path contract.field"]);
  });

  it("a tool that makes personal what a contract in force asks by is refused as well", async () => {
    assert.deepEqual(await refused(`${tool("")}---\n${contract("requires_approval_above: { field: usd, value: 5 }")}`, tool(PERSONAL("usd"))), ["/input tool.contract"]);
    assert.deepEqual(await refused(`${tool("")}---\n${contract("requires_approval: true")}`, tool(PERSONAL("usd"))), []);
  });

  it("no policy can name a field of an input: a request to the policies has none", () => {
    const set = (when: string) => ({ name: "default", files: { "all.cedar": `@id("x") permit (principal, action, resource) when { ${when} };` } });
    for (const when of ['context.input.who == "ann"', "context has input && context.input.usd == 1", 'resource.input.who == "ann"']) {
      const faults: Fault[] = [];
      assert.equal(compilePolicies(set(when) as never, "default", faults), undefined, when);
      assert.ok(faults.length > 0, when);
    }
    assert.ok(compilePolicies(set("context.tainted") as never));
  });
});
