/** What a contract's `logging` lets telemetry carry of an agent's actions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-node";
import { contractSchema } from "../../schemas/contract.ts";
import type { Digest } from "../../schemas/ids.ts";
import { toolSchema } from "../../schemas/tool.ts";
import { stored } from "../../services/registry/parse.ts";
import { MAX_PAYLOAD } from "../../services/telemetry/payload.ts";
import { proposed, started } from "../projection/journal.ts";
import { type Draft, Journal, plain, spansOf } from "./journal.ts";

const RUN = "refunds_1";
const TOOL = "crm.read";
const documents = new Map<Digest, Uint8Array>();
const kept = (document: Parameters<typeof stored>[0]): Digest => {
  const { digest, bytes } = stored(document);
  documents.set(digest, bytes);
  return digest;
};
const document = async (digest: Digest) => documents.get(digest);

function contract(logging: object | undefined, more: object = {}): Digest {
  const value = contractSchema.parse({ agent: { name: "refunds", owner: "ops", team: "ops", purpose: "to be tested" }, tools: { allowlist: [{ name: TOOL, personal: [{ path: "about", subject: "id" }] }] }, ...(logging && { logging }), ...more });
  return kept({ kind: "agent", name: "refunds", value });
}
const tool = (more: object = {}) =>
  kept({ kind: "tool", name: TOOL, value: toolSchema.parse({ name: TOOL, description: "reads", effect: "read", input: { type: "object" }, output: { type: "object" }, adapter: { type: "nats" }, ...more }) });

const SEALED = { $sealed: { subject: "a".repeat(32), key: "b".repeat(16), at: "propose/refunds/i2/about", value: "c2VhbGVk" } };
const verified = (action: string): Draft => ({ type: "action.verified", data: { action, attempt: 1 } });
const succeeded = (action: string, output: unknown): Draft => ({ type: "action.succeeded", data: { action, attempt: 1, output, removed: [] } });
const judgedBy = (contract: Digest, toolDigest: Digest, input: unknown) => ({
  input: { kind: "tool", id: "i", tool: TOOL, input },
  facts: { kind: "tool", documents: { contract, tool: toolDigest }, faults: [], tool: { effect: "read" }, judgement: { decision: "allow", policies: [], reasons: [], errors: [], engine: "cedar" } },
});
const startedUnder = (contract: Digest): [readonly Draft[], object] => [[started()], { facts: { kind: "start", documents: { contract } } }];

/** A run of one action under a contract, from start to end. */
function run(logging: object | undefined, input: unknown, output: unknown, { contract: more = {}, tool: declared = {}, marks = [] as readonly string[] } = {}): Journal {
  const [digest, toolDigest] = [contract(logging, more), tool(declared)];
  const journal = new Journal().commit(RUN, ...startedUnder(digest));
  if (marks.length > 0) journal.commit(RUN, [{ type: "taint.raised", data: { action: "a0", tool: TOOL, tainted: true, labels: marks } }]);
  return journal
    .commit(RUN, [proposed("a2", TOOL), { type: "action.validated", data: { action: "a2" } }], judgedBy(digest, toolDigest, input))
    .commit(RUN, [succeeded("a2", output), verified("a2")])
    .commit(RUN, [{ type: "run.completed", data: {} }]);
}

const told = async (journal: Journal): Promise<readonly [input: unknown, output: unknown]> => {
  const [action] = await spansOf(journal, { document });
  return [action?.attributes["gen_ai.tool.call.arguments"], action?.attributes["gen_ai.tool.call.result"]].map((text): unknown => (typeof text === "string" ? JSON.parse(text) : text)) as [unknown, unknown];
};
const FULL = { trace_level: "full" };
const OPEN = { trace_level: "full", pii_redaction: false };

describe("AUD-3: a contract's `trace_level`", () => {
  it("AUD-3 `full` tells input and output of each action, `metadata` and nothing said neither", async () => {
    assert.deepEqual(await told(run(FULL, { order: "o-1" }, { lines: [1, true, null] })), [{ order: "o-1" }, { lines: [1, true, null] }]);
    for (const logging of [undefined, {}, { trace_level: "metadata" }, { trace_level: "metadata", pii_redaction: false }]) {
      const spans = await spansOf(run(logging, { order: "o-1" }, { said: "o-2" }), { document });
      assert.equal(spans.length, 2);
      assert.doesNotMatch(JSON.stringify(spans.map(plain)), /o-1|o-2/);
    }
  });

  it("AUD-3 `none` tells nothing: no span of the run, of its actions, nor a mark that they left", async () => {
    assert.deepEqual(await spansOf(run({ trace_level: "none" }, {}, {}), { document }), []);
    const [metadata, none, of] = [contract(undefined), contract({ trace_level: "none" }), tool()];
    // a run that began under another contract: only what was judged under this one is kept out of it
    const journal = new Journal()
      .commit(RUN, ...startedUnder(metadata))
      .commit(RUN, [proposed("a2", "one")], judgedBy(metadata, of, {}))
      .commit(RUN, [proposed("a3", "two"), { type: "budget.exhausted", data: { action: "a3", budget: "cost" } }], judgedBy(none, of, {}))
      .commit(RUN, [succeeded("a3", {}), verified("a3"), { type: "taint.raised", data: { action: "a3", tool: TOOL, tainted: true, labels: ["pii"] } }])
      .commit(RUN, [succeeded("a2", {}), verified("a2"), { type: "taint.raised", data: { action: "a2", tool: TOOL, tainted: true, labels: ["phi"] } }])
      .commit(RUN, [{ type: "run.completed", data: {} }]);
    const spans = await spansOf(journal, { document });
    assert.deepEqual(spans.map(({ name }) => name), ["execute_tool one", "invoke_agent refunds"]);
    assert.doesNotMatch(JSON.stringify(spans.map(plain)), /two|a3|"pii"/);
    assert.match(JSON.stringify(spans.map(plain)), /"phi"/);
  });

  it("AUD-3 an action that is judged anew is told of by the stricter of its contracts", async () => {
    const [full, metadata, none, of] = [contract(FULL), contract({}), contract({ trace_level: "none" }), tool()];
    const under = (later: Digest) =>
      new Journal()
        .commit(RUN, ...startedUnder(full))
        .commit(RUN, [proposed("a2", TOOL)], judgedBy(full, of, { word: "PLANTED" }))
        .commit(RUN, [{ type: "approval.granted", data: { action: "a2", request: "q3", grants: 1, count: 1 } }], { facts: { kind: "current", again: { documents: { contract: later, tool: of } } } })
        .commit(RUN, [succeeded("a2", { word: "PLANTED" }), verified("a2")])
        .commit(RUN, [{ type: "run.completed", data: {} }]);
    const names = async (later: Digest) => (await spansOf(under(later), { document })).map(({ name }) => name);
    assert.deepEqual(await told(under(full)), [{ word: "PLANTED" }, { word: "PLANTED" }]);
    assert.deepEqual([await told(under(metadata)), await names(metadata)], [[undefined, undefined], [`execute_tool ${TOOL}`, "invoke_agent refunds"]]);
    assert.deepEqual(await names(none), ["invoke_agent refunds"]);
  });

  it("AUD-3 a contract that cannot be read lets nothing out, and it is said once", async () => {
    const alarms: string[] = [];
    const missing = `sha256:${"0".repeat(64)}` as Digest;
    const other = contract(FULL);
    for (const source of [async () => undefined, async () => documents.get(other)]) {
      const journal = new Journal().commit(RUN, ...startedUnder(missing)).commit(RUN, [proposed("a2", TOOL)], judgedBy(missing, missing, {})).commit(RUN, [verified("a2"), { type: "run.completed", data: {} }]);
      assert.deepEqual(await spansOf(journal, { document: source, onAlarm: (message) => alarms.push(message) }), []);
    }
    assert.equal(alarms.length, 2);
    assert.match(alarms[0] ?? "", /cannot be read: runs that rest on it are not traced/);
  });

  it("AUD-3 an attribute is bounded, and says where it was cut", async () => {
    const [action] = await spansOf(run(FULL, { text: `${"x".repeat(MAX_PAYLOAD - 10)}😀😀` }, { text: "y".repeat(100_000) }), { document });
    for (const [name, length] of [["arguments", MAX_PAYLOAD + 5], ["result", 100_011]] as const) {
      const text = action?.attributes[`gen_ai.tool.call.${name}`] as string;
      assert.ok(text.isWellFormed() && text.length < MAX_PAYLOAD + 50);
      assert.ok(text.endsWith(`… [cut: ${length} characters in all]`), text.slice(-60));
    }
  });

  it("a reader that begins later, or let the run go, tells the same", async () => {
    const journal = run(FULL, { order: "o-1" }, { said: "o-2" });
    const once = (await spansOf(journal, { document })).map(plain);
    for (let from = 1; from < journal.messages.length - 1; from++) assert.deepEqual((await spansOf(journal, { document, from })).map(plain), once, `from ${from}`);
  });
});

describe("AUD-3: a contract's `pii_redaction`", () => {
  const MAIL = "kim.larsen@corp.dk";
  const CARD = "4111 1111 1111 1111";

  it("AUD-3 what has the form of personal data is replaced, in values and names, unless the contract says otherwise", async () => {
    const value = { note: `write to ${MAIL}`, [MAIL]: 1, list: [{ card: CARD, plain: "yes" }], number: 4111111111111111 };
    const safe = { note: "[redacted: email]", "[redacted: email]": 1, list: [{ card: "[redacted: card]", plain: "yes" }], number: "[redacted: card]" };
    for (const logging of [FULL, { ...FULL, pii_redaction: true }]) assert.deepEqual(await told(run(logging, value, value)), [safe, safe]);
    assert.deepEqual(await told(run(OPEN, value, value)), [value, value]);
  });

  it("AUD-3 what a tool or contract labels is replaced, whatever it looks like", async () => {
    const output = { name: "Kim", rows: [{ illness: "flu", code: 7 }], region: "eu" };
    const labels = [{ label: "pii", path: "name" }, { label: "phi", path: "rows.*.illness" }, { label: "region:eu", path: "region" }];
    assert.deepEqual((await told(run(FULL, {}, output, { tool: { labels } })))[1], { name: "[redacted: pii]", rows: [{ illness: "[redacted: phi]", code: 7 }], region: "eu" });
    assert.deepEqual((await told(run(OPEN, {}, output, { tool: { labels } })))[1], output);
    assert.deepEqual(await told(run(FULL, { a: 1 }, output, { tool: { labels: [{ label: "pci" }] } })), [{ a: 1 }, "[redacted: pci]"]);
    assert.deepEqual(await told(run(FULL, { a: 1 }, output, { contract: { data: { labels: ["phi"] } } })), ["[redacted: phi]", "[redacted: phi]"]);
    // an agent may repeat what it was given, in its own words
    assert.deepEqual(await told(run(FULL, { to: "Kim" }, { ok: true }, { marks: ["pii"] })), ["[redacted: pii]", { ok: true }]);
    assert.deepEqual(await told(run(OPEN, { to: "Kim" }, { ok: true }, { marks: ["pii"] })), [{ to: "Kim" }, { ok: true }]);
    assert.deepEqual(await told(run(FULL, { to: "Kim" }, { ok: true }, { marks: ["region:eu"] })), [{ to: "Kim" }, { ok: true }]);
  });

  it("AUD-3 sealed fields stay sealed, and a marked field that was recorded in plain text is replaced", async () => {
    assert.deepEqual(await told(run(FULL, { id: "1", about: SEALED }, { about: { $withheld: "erased" } })), [{ id: "1", about: "[sealed]" }, { about: "[redacted: erased]" }]);
    assert.deepEqual(await told(run(OPEN, { id: "1", about: SEALED }, {})), [{ id: "1", about: "[sealed]" }, {}]);
    assert.deepEqual((await told(run(FULL, { id: "1", about: "Kim" }, {})))[0], { id: "1", about: "[redacted: personal]" });
  });

  it("AUD-3 a secret leaves under no contract: what looks like one, and what is labelled as one", async () => {
    const key = `sk_live_${"4eC39HqLyjWDarjtT1zdp7dc"}`;
    const labels = [{ label: "secret", path: "pin" }];
    for (const logging of [FULL, OPEN]) {
      const text = JSON.stringify(await told(run(logging, { header: `Authorization: Bearer ${key}` }, { pin: "4711", ok: true }, { tool: { labels } })));
      assert.doesNotMatch(text, new RegExp(`${key}|4711`));
      assert.match(text, /secret removed.*"ok":true.*redacted: secret/);
    }
  });

  it("AUD-3 of a tool that nobody can look up no payload is told", async () => {
    const digest = contract(FULL);
    const gone = `sha256:${"1".repeat(64)}` as Digest;
    const journal = new Journal().commit(RUN, ...startedUnder(digest)).commit(RUN, [proposed("a2", TOOL)], judgedBy(digest, gone, { a: "PLANTED" })).commit(RUN, [succeeded("a2", { a: "PLANTED" }), verified("a2")]);
    const spans: readonly ReadableSpan[] = await spansOf(journal, { document });
    assert.equal(spans.length, 1);
    assert.doesNotMatch(JSON.stringify(spans.map(plain)), /PLANTED/);
  });
});
