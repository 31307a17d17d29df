import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { actionId, namespace, runId } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { demoTools } from "../../services/gateway/adapters/demo.ts";
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
      const request = {
        ns: namespace("default"),
        run: runId("alice_1"),
        action: actionId(3),
        attempt: 1,
        tool: definition.name,
        input,
        inputBytes: new Uint8Array(),
        digest: hash,
        deadline: "2026-01-31T09:30:00.000Z",
        timeoutMs: 1000,
        idempotencyKey: "alice_1.a3",
        traceparent: undefined,
        definition,
      };
      const result = await tool(request, new AbortController().signal);
      assert.ok(result.ok);
      assert.deepEqual(validators.outputFaults(hash, definition.output, result.output), []);
    });
  }
});
