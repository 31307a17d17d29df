/** The demo's tools, and the two that benchmarks use. None of them leaves the process. */
import { sha256Digest } from "../../../schemas/canonical.ts";
import type { JsonValue } from "../../../schemas/json.ts";
import type { AdapterRequest, AdapterResult } from "./adapter.ts";
import type { BuiltinTool } from "./builtin.ts";
import type { EffectLedger } from "./ledger.ts";

/**
 * - `zendesk.read_ticket`    `{ ticket_id }` → `{ ticket_id, subject, body, customer_id }`
 * - `stripe.create_refund`   `{ charge_id, amount_usd, … }` → `{ refund_id, status: "succeeded", charge_id, amount_usd }`
 * - `crm.delete_customer`    `{ customer_id }` → `{ customer_id, deleted: true }`
 * - `noop.read`, `noop.write` anything → `{ ok: true }`
 *
 * What writes does so in the ledger, once for each idempotency key.
 */
export function demoTools(ledger: EffectLedger): ReadonlyMap<string, BuiltinTool> {
  const writing =
    (answer: (input: { [key: string]: JsonValue }, id: string) => JsonValue): BuiltinTool =>
    async ({ idempotencyKey, tool, input }) => {
      // the id comes from the key, so that a repeated call is recognised by its answer too
      const id = sha256Digest(idempotencyKey).slice("sha256:".length, "sha256:".length + 16);
      const effect = await ledger.take(idempotencyKey, tool, input, () => answer(fields(input), id));
      return { ok: true, output: effect.output };
    };
  return new Map<string, BuiltinTool>([
    ["zendesk.read_ticket", readTicket],
    [
      "stripe.create_refund",
      writing((input, id) => ({
        refund_id: `re_${id}`,
        status: "succeeded",
        charge_id: input["charge_id"] ?? null,
        amount_usd: input["amount_usd"] ?? null,
      })),
    ],
    ["crm.delete_customer", writing((input) => ({ customer_id: input["customer_id"] ?? null, deleted: true }))],
    ["noop.read", () => OK],
    ["noop.write", writing(() => ({ ok: true }))],
  ]);
}

const OK: AdapterResult = { ok: true, output: { ok: true } };

function readTicket({ input }: AdapterRequest): AdapterResult {
  const ticket = fields(input)["ticket_id"] ?? null;
  return {
    ok: true,
    output: {
      ticket_id: ticket,
      subject: "Charged twice for order 1001",
      body: "I was charged twice for the same order. Please refund one of the payments.",
      customer_id: "cus_1001",
    },
  };
}

function fields(input: JsonValue): { [key: string]: JsonValue } {
  return typeof input === "object" && input !== null && !Array.isArray(input) ? input : {};
}
