/** What documents are held to beyond their form: every fault with its place, all of them at once. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { BUILT_IN_DOCUMENTS } from "../../services/registry/built-in.ts";
import { parseDocument, readStored, stored } from "../../services/registry/parse.ts";
import { type Document } from "../../services/registry/kinds.ts";

/** `line:column path code` of every fault. */
function faultsOf(text: string): string[] {
  const result = parseDocument(text, "file.yaml");
  return result.ok ? [] : result.faults.map((fault) => `${fault.line}:${fault.column} ${fault.path} ${fault.code}`);
}

const AGENT = "agent: { name: a, owner: o, team: t, purpose: p }\n";
const ALLOW = `${AGENT}tools:\n  allowlist:\n`;
const TOOL = "name: t.x\ndescription: d\neffect: write\nadapter: nats\n";
const IO = "input: { type: object, properties: { to: { type: string }, usd: { type: number }, cur: { type: string } } }\noutput: { type: object, properties: { a: { type: string } } }\n";
const PERSON = "person: { name: ada, issuer: i, subject: s";
const key = (kind: "ed25519" | "rsa", bits = 2048) => (kind === "rsa" ? generateKeyPairSync("rsa", { modulusLength: bits }) : generateKeyPairSync("ed25519"));
const jwk = (pair: ReturnType<typeof key>, more: object = {}, half: "publicKey" | "privateKey" = "publicKey") => JSON.stringify({ ...pair[half].export({ format: "jwk" }), ...more });
const issuer = (keys: readonly string[], more = "") => `issuer:\n  name: corp\n  iss: https://id.example\n  audience: signalbox\n${more}  jwks:\n    keys:\n${keys.map((one) => `      - ${one}\n`).join("")}`;
const ED = key("ed25519");

for (const [what, text, expected] of [
  // names
  ["an agent of the plane's own name", `agent: { name: signalbox-registry, owner: o, team: t, purpose: p }`, ["1:10 /agent/name document.reserved"]],
  ["a person of the plane's own name", `person: { name: signalbox-gateway, issuer: i, subject: s }`, ["1:11 /person/name document.reserved"]],
  ["a tool of the plane's own name", `name: signalbox.apply\ndescription: d\neffect: read\nadapter: nats\ninput: {}\noutput: {}`, ["1:1 /name document.reserved"]],
  ["the plane's own adapter", `${TOOL.replace("nats", "registry")}input: {}\noutput: {}`, ["4:1 /adapter tool.adapter"]],
  ["a probe of a read", `${TOOL.replace("write", "read")}probe: { tries: 2 }\n${IO}`, ["5:1 /probe tool.probe"]],
  ["a probe that is asked for ever", `${TOOL}probe: { tries: 21 }\n${IO}`, ["5:10 /probe/tries document.invalid"]],
  ["the plane's own tool in an allowlist", `${ALLOW}    - { name: signalbox.apply }`, ["4:9 /tools/allowlist/0/name contract.tool_reserved"]],
  // persons, issuers, budgets
  ["a person without an issuer", `person: { name: ada, subject: s }`, ["1:1 /person/issuer document.missing"]],
  ["a role that is no word", `${PERSON}, roles: [Finance] }`, ["1:53 /person/roles/0 document.invalid"]],
  ["an unknown scope of a budget", `budget: { scope: company, name: n }`, ["1:11 /budget/scope document.invalid"]],
  ["a name too long for an account", `budget: { scope: team, name: "${"é".repeat(100)}" }`, ["1:24 /budget/name document.invalid"]],
  ["a team too long for an account", `agent: { name: a, owner: o, team: "${"é".repeat(100)}", purpose: p }`, ["1:29 /agent/team document.invalid"]],
  ["an issuer without keys", `issuer: { name: corp, iss: i, audience: a, jwks: { keys: [] } }`, ["1:52 /issuer/jwks/keys document.invalid"]],
  ["an algorithm with a shared secret", issuer([jwk(ED, { kid: "k" })], "  algorithms: [HS256]\n"), ["5:16 /issuer/algorithms/0 document.invalid"]],
  ["a private key", issuer([jwk(ED, { kid: "k" }, "privateKey")]), [`7:${jwk(ED, { kid: "k" }, "privateKey").indexOf('"d"') + 9} /issuer/jwks/keys/0/d issuer.key`]],
  ["a shared secret", issuer([`{ kty: oct, kid: k, k: aGVsbG8 }`]), ["7:29 /issuer/jwks/keys/0/k issuer.key"]],
  ["a key without a name", issuer([jwk(ED)]), ["7:9 /issuer/jwks/keys/0/kid issuer.key"]],
  ["two keys of one name", issuer([jwk(ED, { kid: "k" }), jwk(key("ed25519"), { kid: "k" })]), [`8:${jwk(ED, { kid: "k" }).indexOf('"kid"') + 9} /issuer/jwks/keys/1/kid issuer.key`]],
  ["a key that is too short", issuer([jwk(key("rsa", 1024), { kid: "k" })]), [`7:${jwk(key("rsa", 1024), { kid: "k" }).indexOf('"n"') + 9} /issuer/jwks/keys/0/n issuer.key`]],
  ["a key for an algorithm that the issuer does not use", issuer([jwk(ED, { kid: "k" })], "  algorithms: [ES256]\n"), ["8:9 /issuer/jwks/keys/0 issuer.key"]],
  ["a key that is none", issuer([`{ kty: OKP, crv: Ed25519, x: "?", kid: k }`]), ["7:9 /issuer/jwks/keys/0 issuer.key"]],
  // a contract
  ["an order after a tool that is not allowed", `${ALLOW}    - { name: a, after: [b] }`, ["4:26 /tools/allowlist/0/after/0 contract.after"]],
  ["an order after itself", `${ALLOW}    - { name: a, after: [a] }`, ["4:26 /tools/allowlist/0/after/0 contract.after"]],
  ["an order that is a circle", `${ALLOW}    - { name: a, after: [b] }\n    - { name: b, after: [a] }`, ["4:18 /tools/allowlist/0/after contract.after_circle"]],
  ["a pointer that is none", `${ALLOW}    - { name: a, standing_approval: { max_uses: 1, max_seconds: 1, vary: [amount_usd] } }`, ["4:75 /tools/allowlist/0/standing_approval/vary/0 contract.pointer"]],
  ["an approval of any input", `${ALLOW}    - { name: a, standing_approval: { max_uses: 1, max_seconds: 1, vary: [""] } }`, ["4:75 /tools/allowlist/0/standing_approval/vary/0 contract.pointer"]],
  ["one use larger than all", `${ALLOW}    - { name: a, standing_approval: { max_uses: 1, max_seconds: 1, max_amount: 5, max_total: 4 } }`, ["4:68 /tools/allowlist/0/standing_approval/max_amount contract.amount"]],
  ["a twin below its limit", `${ALLOW}    - { name: a, requires_approval_above: { field: usd, value: 50, per_run: 40 } }`, ["4:68 /tools/allowlist/0/requires_approval_above/per_run contract.limit"]],
  ["a pause at half of nothing", `${AGENT}budgets: { pause_at_half: true }`, ["2:12 /budgets/pause_at_half contract.budget"]],
  ["a run dearer than a day", `${AGENT}budgets: { max_cost_usd_per_run: 5, max_cost_usd_per_day: 1 }`, ["2:12 /budgets/max_cost_usd_per_run contract.budget"]],
  ["a prompt that stands twice", `${AGENT}prompts:\n  - { name: greet, text: hello }\n  - { name: greet, text: bye }`, ["4:7 /prompts/1/name contract.prompt_twice"]],
  ["no namespace at all", `${AGENT}namespaces: []`, ["2:1 /namespaces contract.namespaces"]],
  ["a handoff to itself", `${AGENT}handoffs:\n  - { to: { agent: a }, modes: [transfer] }`, ["3:13 /handoffs/0/to/agent contract.handoff"]],
  ["a payload that is no schema", `${AGENT}handoffs:\n  - { to: { agent: b }, modes: [transfer], payload: { typ: object } }`, ["3:55 /handoffs/0/payload/typ contract.payload"]],
  ["sections under agent keep their places", `agent:\n  name: a\n  owner: o\n  team: t\n  purpose: p\n  budgets: { pause_at_half: true }`, ["6:14 /agent/budgets/pause_at_half contract.budget"]],
  // a tool
  ["an amount in a field that is not declared", `${TOOL}${IO}amount: { field: eur, currency: EUR }`, ["7:11 /amount/field tool.field"]],
  ["an amount that is text", `${TOOL}${IO}amount: { field: to, currency: EUR }`, ["7:11 /amount/field tool.field"]],
  ["a currency and a target in fields that are not declared", `${TOOL}${IO}amount: { field: usd, currency: { field: x }, target: y }`, ["7:35 /amount/currency/field tool.field", "7:47 /amount/target tool.field"]],
  ["an amount in a personal field", `${TOOL}${IO}amount: { field: usd, currency: USD }\npersonal: [{ path: usd, subject: to }]`, ["7:11 /amount/field tool.personal"]],
  ["tokens in a field that is text", `${TOOL}${IO}tokens: { max_input: { field: to } }`, ["7:24 /tokens/max_input/field tool.field"]],
  ["a label of a field that is not declared", `${TOOL}${IO}labels: [{ label: pii, path: b }]`, ["7:24 /labels/0/path tool.field"]],
  ["a label that is none", `${TOOL}${IO}clearance: [PII]`, ["7:13 /clearance/0 document.invalid"]],
  ["a tag that stands twice", `${TOOL}${IO}tags: [a, a]`, ["7:11 /tags/1 tool.tag_twice"]],
] as const) {
  test(`CORE-2: ${what} is a fault with line and column`, () => {
    assert.deepEqual(faultsOf(text), expected);
  });
}

const CLEANSES = `${TOOL}input: {}\ncleanses: true\noutput: `;

for (const [what, output, paths] of [
  ["free text", `{ type: object, properties: { a: { type: string } }, additionalProperties: false }`, ["/output/properties/a"]],
  ["other properties", `{ type: object, properties: {} }`, ["/output/additionalProperties"]],
  ["anything", `{}`, ["/output"]],
  ["a list without an end", `{ type: array, items: { type: integer } }`, ["/output/maxItems"]],
  ["items of any kind", `{ type: array, maxItems: 3 }`, ["/output/items"]],
  ["long text of a pattern", `{ type: string, pattern: "^[a-z]+$", maxLength: 500 }`, ["/output"]],
  ["a pattern that takes words", `{ type: string, pattern: "^[a-z ]+$", maxLength: 20 }`, ["/output/pattern"]],
  ["a pattern without ends", `{ type: string, pattern: "[a-z]+", maxLength: 20 }`, ["/output/pattern"]],
  ["one open branch", `{ anyOf: [{ const: 1 }, { type: string }] }`, ["/output/anyOf/1"]],
  ["text behind a reference", `{ $ref: "#/$defs/a", $defs: { a: { type: string } } }`, ["/output"]],
  ["a shape that holds itself", `{ $ref: "#/$defs/n", $defs: { n: { type: object, properties: { a: { $ref: "#/$defs/n" } }, additionalProperties: false } } }`, ["/output/properties/a"]],
] as const) {
  test(`GUARD-3: a tool cannot cleanse with ${what} in its output`, () => {
    const result = parseDocument(`${CLEANSES}${output}`, "t.yaml");
    assert.deepEqual(result.ok ? [] : result.faults.map(({ path, code }) => `${path} ${code}`), paths.map((path) => `${path} tool.not_closed`));
  });
}

test("GUARD-3: a tool cleanses with a closed output: known words, numbers, dates, short ids", () => {
  const properties = `{ kind: { enum: [refund, other] }, amount: { type: number }, day: { type: string, format: date }, id: { type: string, pattern: "^T-[0-9]{1,8}$", maxLength: 10 }, tags: { type: array, maxItems: 3, items: { const: urgent } } }`;
  assert.deepEqual(faultsOf(`${CLEANSES}{ type: object, properties: ${properties}, additionalProperties: false }`), []);
});

test("ID-1: persons, issuers and budgets are documents with a name each, and defaults written out", () => {
  const documents = [`${PERSON} }`, issuer([jwk(ED, { kid: "k" })]), `budget: { scope: team, name: Customer Support, max_cost_usd_per_day: 5 }`].map((text) => {
    const result = parseDocument(text, "d.yaml");
    assert.ok(result.ok, JSON.stringify(result));
    return result.document;
  });
  assert.deepEqual(documents.map(({ kind, name }) => `${kind} ${name}`), ["person ada", "issuer corp", "budget team.Customer%20Support"]);
  assert.deepEqual((documents[0]?.value as { person: object }).person, { name: "ada", issuer: "i", subject: "s", roles: [] });
});

test("ID-1: a demand that came later does not undo what was applied before it", () => {
  const [contract] = BUILT_IN_DOCUMENTS;
  assert.deepEqual(readStored(contract?.bytes ?? new Uint8Array()).findings, []);
  const old = stored({ kind: "agent", name: "a", value: { agent: { name: "a", owner: "o", team: "t", purpose: "p", capabilities: [] }, budgets: { pause_at_half: true }, tools: { allowlist: [] } } } as unknown as Document);
  assert.equal(readStored(old.bytes).document?.name, "a");
});
