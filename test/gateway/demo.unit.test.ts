import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { actionId, namespace, runId } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Tool } from "../../schemas/tool.ts";
import { demoAdapter, demoTools } from "../../services/gateway/adapters/demo.ts";
import type { AdapterRequest } from "../../services/gateway/adapters/adapter.ts";
import { MemoryLedger } from "../../services/gateway/adapters/ledger.ts";
import { parseDocument } from "../../services/registry/parse.ts";
import { Validators } from "../../services/registry/validate.ts";

const FOLDER = new URL("../../infra/demo/tools/", import.meta.url);

/** An input that each demo tool takes. */
const INPUTS: Readonly<Record<string, JsonValue>> = {
  "zendesk.read_ticket": { ticket_id: "T-1001" },
  "zendesk.classify_ticket": { ticket_id: "T-1002" },
  "model.draft_reply": { prompt: "thank them", max_tokens: 200 },
  "ledger.read_settlement": { day: "2026-01-31" },
  "ledger.post_entry": { account: "1200", amount_eur: 240 },
  "stripe.create_refund": { charge_id: "ch_1001", amount_usd: 40 },
  "crm.delete_customer": { customer_id: "cus_1001" },
};

const request = (definition: Tool, input: JsonValue): AdapterRequest => ({
  ns: namespace("default"),
  run: runId("alice_1"),
  action: actionId(3),
  attempt: 1,
  tool: definition.name,
  input,
  inputBytes: new Uint8Array(),
  digest: sha256Digest("the document"),
  deadline: "2026-01-31T09:30:00.000Z",
  timeoutMs: 1000,
  idempotencyKey: "alice_1.a3",
  traceparent: undefined,
  definition,
});

describe("CORE-4: the demo's tools answer as their definitions say", async () => {
  const validators = new Validators();
  for (const file of (await readdir(FOLDER)).filter((name) => name.endsWith(".yaml"))) {
    test(file, async () => {
      const parsed = parseDocument(await readFile(new URL(file, FOLDER), "utf8"), file);
      assert.ok(parsed.ok && parsed.document.kind === "tool");
      const definition = parsed.document.value;
      const input = INPUTS[definition.name];
      const tool = demoTools(new MemoryLedger()).get(definition.name);
      assert.ok(input !== undefined && tool !== undefined, `\`${definition.name}\` is not built in, or not known to this test`);
      const hash = sha256Digest(parsed.bytes);
      assert.deepEqual(validators.inputFaults(hash, definition.input, input), []);
      const result = await tool(request(definition, input), new AbortController().signal);
      assert.ok(result.ok);
      assert.deepEqual(validators.outputFaults(hash, definition.output, result.output), []);
      assert.equal(definition.probe !== undefined, definition.effect !== "read", "whatever writes can be asked what it did");
    });
  }
});

describe("EXEC-7: the demo's tools say what became of a call", async () => {
  const { signal } = new AbortController();
  for (const file of (await readdir(FOLDER)).filter((name) => name.endsWith(".yaml"))) {
    const parsed = parseDocument(await readFile(new URL(file, FOLDER), "utf8"), file);
    if (!parsed.ok || parsed.document.kind !== "tool" || parsed.document.value.probe === undefined) continue;
    const call = request(parsed.document.value, INPUTS[parsed.document.name] as JsonValue);

    test(`${file}: what it did is done, with the same output as the call's`, async () => {
      for (const alone of [true, false]) {
        const tools = demoAdapter(new MemoryLedger(), alone);
        const result = await tools.call(call, signal);
        assert.ok(result.ok);
        assert.deepEqual(await tools.probe(call, signal), { found: "done", output: result.output });
        assert.deepEqual(await tools.call({ ...call, attempt: 2 }, signal), result, "and it is done once");
      }
    });

    test(`${file}: what it did not do is none, and stays undone; the next attempt is made`, async () => {
      const ledger = new MemoryLedger();
      const tools = demoAdapter(ledger, true);
      assert.deepEqual(await tools.probe(call, signal), { found: "none" });
      const late = await tools.call(call, signal);
      assert.deepEqual(late.ok ? undefined : [late.error.code, late.error.effect], ["tool.given_up", "none"]);
      assert.deepEqual(ledger.effects, []);
      assert.ok((await tools.call({ ...call, attempt: 2 }, signal)).ok);
      assert.equal(ledger.effects.length, 1);
    });

    test(`${file}: one of several gateways promises nothing of what the others did`, async () => {
      const ledger = new MemoryLedger();
      const tools = demoAdapter(ledger, false);
      assert.equal((await tools.probe(call, signal)).found, "unknown");
      assert.ok((await tools.call(call, signal)).ok, "and takes the call that may still come");
    });
  }
});
