import assert from "node:assert/strict";
import { test } from "node:test";
import { type Contract } from "../../schemas/contract.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { parseDocument, parseDocuments, readStored } from "../../services/registry/parse.ts";

/** `line:column path code` of every fault. */
function faultsOf(text: string): string[] {
  const result = parseDocument(text, "file.yaml");
  return result.ok ? [] : result.faults.map((fault) => `${fault.line}:${fault.column} ${fault.path} ${fault.code}`);
}

const BESIDE = `
agent:
  name: refund-assistant
  owner: payments
  team: support
  purpose: refunds
model_routing: { default: small, escalate_on: [ { tool_error_rate_gt: 0.2 } ] }
budgets: { max_steps: 5 }
tools: { allowlist: [ { name: zendesk.read_ticket } ] }
identity: { mode: on_behalf_of, token_ttl_seconds: 900 }
logging: { trace_level: full, pii_redaction: true }
`;
const UNDER = `
agent:
  name: refund-assistant
  owner: payments
  team: support
  purpose: refunds
  model_routing: { default: small, escalate_on: [ { tool_error_rate_gt: 0.2 } ] }
  budgets: { max_steps: 5 }
  tools: { allowlist: [ { name: zendesk.read_ticket } ] }
  identity: { mode: on_behalf_of, token_ttl_seconds: 900 }
  logging: { trace_level: full, pii_redaction: true }
`;

test("ID-1: both forms in which contracts are written are one document with one digest", () => {
  const beside = parseDocument(BESIDE, "a.yaml");
  const under = parseDocument(UNDER, "b.yaml");
  assert.ok(beside.ok && under.ok);
  assert.deepEqual(under.document, beside.document);
  assert.equal(sha256Digest(under.bytes), sha256Digest(beside.bytes));
  assert.equal(beside.document.kind, "agent");
  assert.equal(beside.document.name, "refund-assistant");
});

const AGENT = "agent: { name: a, owner: o, team: t, purpose: p";
const TOOL = "name: t.x\ndescription: d\neffect: read\nadapter: nats\n";

for (const [what, text, expected] of [
  // the text
  ["a custom tag", `${AGENT} }\nbudgets: { max_steps: !!js/function 5 }`, ["2:12 /budgets/max_steps yaml.tag"]],
  ["a standard tag", `agent: !!map { name: a }`, ["1:1 /agent yaml.tag"]],
  ["a key that stands twice", `agent:\n  name: a\n  name: b`, ["3:3 /agent/name yaml.duplicate_key"]],
  ["a key that reaches for a prototype", `agent:\n  __proto__: { name: a }`, ["2:3 /agent/__proto__ yaml.key"]],
  ["a key that is no text", `agent:\n  ? [a]\n  : b`, ["2:5 /agent yaml.key"]],
  ["an alias to nothing", `agent: *nobody`, ["1:1 /agent yaml.alias"]],
  ["an alias inside its own anchor", `agent: &a\n  name: *a`, ["2:3 /agent/name yaml.alias"]],
  ["a number that is not finite", `${AGENT} }\nbudgets: { max_steps: .inf }`, ["2:12 /budgets/max_steps yaml.number"]],
  ["a whole number that would change", `${AGENT} }\nbudgets: { max_steps: 9007199254740993 }`, ["2:12 /budgets/max_steps yaml.number"]],
  ["a lone surrogate", `agent:\n  name: "\\ud800"`, ["2:3 /agent/name yaml.text"]],
  ["bad syntax", `agent:\n  name: [a\nb: c`, ["3:1  yaml.syntax"]],
  ["nothing", "# only a comment\n", ["1:1  document.empty"]],
  ["two documents where one is expected", `${AGENT} }\n---\n${AGENT} }`, ["1:1  document.count"]],
  // the kind
  ["no kind of document", `name: x`, ["1:1  document.unknown_kind"]],
  ["a list", `- agent`, ["1:1  document.unknown_kind"]],
  // a contract
  ["a missing owner and purpose", `agent:\n  name: a\n  team: t`, ["1:1 /agent/owner document.missing", "1:1 /agent/purpose document.missing"]],
  ["an unknown key under agent", `agent:\n  name: a\n  owner: o\n  team: t\n  purpose: p\n  budget: {}`, ["6:3 /agent/budget document.unknown_key"]],
  ["an unknown key in a section that stands under agent", `agent:\n  name: a\n  owner: o\n  team: t\n  purpose: p\n  budgets: { max_step: 3 }`, ["6:14 /agent/budgets/max_step document.unknown_key"]],
  ["an unknown key beside agent", `${AGENT} }\nbudget: {}`, ["2:1 /budget document.unknown_key"]],
  ["an unknown key deep in a list", `${AGENT} }\ntools:\n  allowlist:\n    - name: x\n      approval: true`, ["5:7 /tools/allowlist/0/approval document.unknown_key"]],
  ["a section both under agent and beside it", `${AGENT}, budgets: {} }\nbudgets: {}`, ["1:50 /agent/budgets document.section_twice"]],
  ["an agent's name that is no token", `agent: { name: A.b, owner: o, team: t, purpose: p }`, ["1:10 /agent/name document.invalid"]],
  ["a version that is a number", `${AGENT}, version: 1.10 }`, ["1:50 /agent/version document.invalid"]],
  ["a budget that is no number", `${AGENT} }\nbudgets: { max_steps: many }`, ["2:12 /budgets/max_steps document.invalid"]],
  ["a budget below zero", `${AGENT} }\nbudgets: { max_cost_usd_per_run: -1 }`, ["2:12 /budgets/max_cost_usd_per_run document.invalid"]],
  ["a tool's name that is no token", `${AGENT} }\ntools: { allowlist: [ { name: a..b } ] }`, ["2:25 /tools/allowlist/0/name document.invalid"]],
  ["a tool allowed twice", `${AGENT} }\ntools: { allowlist: [ { name: a }, { name: a } ] }`, ["2:38 /tools/allowlist/1/name contract.tool_twice"]],
  ["a limit on a field that is no path", `${AGENT} }\ntools: { allowlist: [ { name: a, requires_approval_above: { field: "a b", value: 1 } } ] }`, ["2:61 /tools/allowlist/0/requires_approval_above/field document.invalid"]],
  ["a limit that is no number", `${AGENT} }\ntools: { allowlist: [ { name: a, requires_approval_above: { field: a, value: lots } } ] }`, ["2:71 /tools/allowlist/0/requires_approval_above/value document.invalid"]],
  ["a word that is none of those expected", `${AGENT} }\nidentity: { mode: anyone }`, ["2:13 /identity/mode document.invalid"]],
  ["a condition of no known metric", `${AGENT} }\nmodel_routing: { default: m, escalate_on: [ { mood_lt: 1 } ] }`, ["2:47 /model_routing/escalate_on/0/mood_lt document.unknown_key", "2:45 /model_routing/escalate_on/0 document.invalid"]],
  // a tool
  ["a tool without schemas", TOOL, ["1:1 /input document.missing", "1:1 /output document.missing"]],
  ["an unknown effect", `name: t\ndescription: d\neffect: destroy\nadapter: nats\ninput: {}\noutput: {}`, ["3:1 /effect document.invalid"]],
  ["an unknown adapter", `name: t\ndescription: d\neffect: read\nadapter: smtp\ninput: {}\noutput: {}`, ["4:1 /adapter document.invalid"]],
  ["an unknown key of an adapter", `name: t\ndescription: d\neffect: read\nadapter: { type: nats, url: x }\ninput: {}\noutput: {}`, ["4:24 /adapter/url document.unknown_key"]],
  ["an unknown keyword", `${TOOL}output: {}\ninput:\n  type: object\n  propertys: {}`, ["8:3 /input/propertys tool.schema"]],
  ["a keyword of the wrong type", `${TOOL}output: {}\ninput:\n  type: string\n  minLength: -1`, ["8:3 /input/minLength tool.schema"]],
  ["a keyword that cannot apply to its type", `${TOOL}output: {}\ninput:\n  type: object\n  properties:\n    a:\n      type: string\n      minimum: 3`, ["9:5 /input/properties/a tool.schema"]],
  ["an unknown format", `${TOOL}output: {}\ninput:\n  type: object\n  properties:\n    a:\n      type: string\n      format: nope`, ["11:7 /input/properties/a/format tool.schema"]],
  ["a reference that leaves the schema", `${TOOL}output: {}\ninput: { $ref: "https://example.com/s.json" }`, ["6:10 /input/$ref tool.schema"]],
  ["a reference to nothing", `${TOOL}output: {}\ninput: { $ref: "#/$defs/a" }`, ["6:10 /input/$ref tool.schema"]],
  ["an address of its own", `${TOOL}output: {}\ninput: { $id: "https://example.com/s.json" }`, ["6:10 /input/$id tool.schema"]],
  ["another dialect", `${TOOL}output: {}\ninput: { $schema: "http://json-schema.org/draft-07/schema#" }`, ["6:10 /input/$schema tool.schema"]],
  ["a pattern that is no regular expression", `${TOOL}output: {}\ninput: { type: string, pattern: "(" }`, ["6:24 /input/pattern tool.schema"]],
  ["a pattern that looks back", `${TOOL}output: {}\ninput: { type: string, pattern: "(a)\\\\1" }`, ["6:24 /input/pattern tool.schema"]],
  ["a comparison of every pair without a bound", `${TOOL}output: {}\ninput: { type: array, uniqueItems: true }`, ["6:23 /input/uniqueItems tool.schema"]],
  ["a personal field that is declared nowhere", `${TOOL}output: {}\ninput: { type: object, properties: { a: { type: string } } }\npersonal:\n  - { path: b, subject: a }`, ["8:7 /personal/0/path tool.personal"]],
] as const) {
  test(`CORE-2: ${what} is a fault with line and column`, () => {
    assert.deepEqual(faultsOf(text), expected);
  });
}

test("CORE-2: a slip names what was probably meant", () => {
  const result = parseDocument(`${AGENT} }\nbudgets: { max_stepps: 3 }\nidentity: { mode: on_behalf }`, "file.yaml");
  assert.ok(!result.ok);
  assert.deepEqual(result.faults.map((fault) => fault.help), ["did you mean `max_steps`", "did you mean `on_behalf_of`"]);
});

test("CORE-2: faults of several documents in one file come together, each with its own line", () => {
  const { documents, faults } = parseDocuments(`${AGENT}, x: 1 }\n---\n${AGENT} }\n---\n${TOOL}`, "many.yaml");
  assert.deepEqual(documents.map((document) => document.name), ["a"]);
  assert.deepEqual(faults.map((fault) => `${fault.line} ${fault.path}`), ["1 /agent/x", "5 /input", "5 /output"]);
});

test("ID-1: several documents in one file are each recognised by what they hold", () => {
  const { documents, faults } = parseDocuments(`${AGENT} }\n---\n${TOOL}input: {}\noutput: {}\n---\nname: default\nfiles: { a.cedar: "" }\n`, "many.yaml");
  assert.deepEqual(faults, []);
  assert.deepEqual(documents.map((document) => `${document.kind} ${document.name}`), ["agent a", "tool t.x", "policy default"]);
});

test("ID-1: defaults are written into the stored bytes, so that a later default changes nothing applied before", () => {
  const result = parseDocument(`${TOOL}input: {}\noutput: {}`, "t.yaml");
  assert.ok(result.ok);
  assert.equal(
    new TextDecoder().decode(result.bytes),
    '{"adapter":{"type":"nats"},"description":"d","effect":"read","idempotent":false,"input":{},"name":"t.x","output":{},"personal":[],"retries":0,"tags":[],"timeout_ms":30000}',
  );
});

test("CORE-6: stored bytes read back to the same document, and to the same bytes", () => {
  const written = parseDocument(UNDER, "a.yaml");
  assert.ok(written.ok);
  const read = readStored(written.bytes);
  assert.deepEqual(read.document, written.document);
  assert.equal((read.document?.value as Contract).budgets.max_steps, 5);
});

test("CORE-2: stored bytes that are no document are findings, not a throw", () => {
  for (const text of ["", "{", "null", '{"name":"x"}', "\ufffd"]) {
    const read = readStored(new TextEncoder().encode(text));
    assert.equal(read.document, undefined);
    assert.ok(read.findings.length > 0);
  }
  assert.equal(readStored(Uint8Array.of(0xff, 0xfe)).document, undefined);
});

test("CORE-6: only canonical bytes are read back: another order, a key twice or a prototype key is refused", () => {
  const canonical = new TextDecoder().decode((parseDocument(`${TOOL}input: {}\noutput: {}`, "t.yaml") as { bytes: Uint8Array }).bytes);
  const codeOf = (text: string) => readStored(new TextEncoder().encode(text)).findings[0]?.code;
  assert.equal(codeOf(canonical), undefined);
  assert.equal(codeOf(`${canonical} `), "document.not_canonical");
  assert.equal(codeOf(`\ufeff${canonical}`), "document.unreadable");
  assert.equal(codeOf(canonical.replace("{", '{"name":"t.y",')), "document.not_canonical");
  assert.equal(codeOf(canonical.replace('"input":{}', '"input":{"__proto__":{}}')), "document.unreadable");
});

test("CORE-2: an alias bomb, deep nesting and an oversized file are refused quickly", () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\n${[..."bcdefghij"].map((c, i) => `${c}: &${c} [${Array(10).fill(`*${"abcdefghi"[i] ?? ""}`).join(",")}]`).join("\n")}`;
  const long = `a: &a ${"x".repeat(300_000)}\nb: [${Array(1000).fill("*a").join(",")}]`;
  const codes = [bomb, long, "[".repeat(400_000), "- ".repeat(200_000), `{a: `.repeat(100) + "1" + "}".repeat(100), "x".repeat(600_000)].map((text) => {
    const result = parseDocument(text, "file.yaml");
    return result.ok ? "" : result.faults[0]?.code;
  });
  assert.deepEqual(codes, ["yaml.too_many", "yaml.too_many", "yaml.too_deep", "yaml.too_deep", "yaml.too_deep", "document.too_large"]);
});

test("CORE-2: a file of exactly the limit is read, and one byte more is not", () => {
  const text = `${AGENT} }\n#`;
  const filler = "x".repeat(512 * 1024 - text.length);
  assert.ok(parseDocument(text + filler, "file.yaml").ok);
  assert.ok(!parseDocument(`${text}${filler}x`, "file.yaml").ok);
});

test("aliases of plain values are followed", () => {
  const result = parseDocument(`agent:\n  name: &n a\n  owner: *n\n  team: *n\n  purpose: p`, "file.yaml");
  assert.ok(result.ok && result.document.kind === "agent");
  assert.equal(result.document.value.agent.team, "a");
});
