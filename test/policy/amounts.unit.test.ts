import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ContractTool, contractToolSchema } from "../../schemas/contract.ts";
import { toolSchema } from "../../schemas/tool.ts";
import { amountOfCall } from "../../services/policy/amounts.ts";
import { countedText, countedUnits, isAbove, MAX_COUNTED, sumOf, times } from "../../services/policy/decimal.ts";
import { contractAsks } from "../../services/policy/decide.ts";

const tool = (more: object = {}) =>
  toolSchema.parse({ name: "pay", description: "pays", effect: "write", input: {}, output: {}, adapter: { type: "nats" }, amount: { field: "amount", currency: "USD" }, ...more });
const entry = (more: object = {}): ContractTool => contractToolSchema.parse({ name: "pay", ...more });
const unclear = (input: unknown, of = tool(), contract = entry()) => amountOfCall(of, contract, input)?.unclear.map(({ code }) => code);

for (const [what, input, codes] of [
  ["clear", { amount: 12.5 }, []],
  ["nothing at all, which is clear", { amount: 0 }, []],
  ["missing", {}, ["amount.missing"]],
  ["null", { amount: null }, ["amount.not_a_number"]],
  ["in quotes", { amount: "12.50" }, ["amount.not_a_number"]],
  ["a list", { amount: [12] }, ["amount.not_a_number"]],
  ["not finite", { amount: Number.POSITIVE_INFINITY }, ["amount.not_a_number"]],
  ["negative", { amount: -1 }, ["amount.negative"]],
  ["more than can be added up", { amount: 1e11 }, ["amount.too_large"]],
  ["inherited", Object.create({ amount: 5 }), ["amount.missing"]],
] as const) {
  test(`POL-2 APP-1 an amount that is ${what} ${codes.length === 0 ? "asks nobody" : "asks a person"}`, () => {
    assert.deepEqual(unclear(input), codes);
  });
}

test("POL-2 a currency that the set does not compare asks, and its amount is not shown to policies as if it were another's", () => {
  const yen = amountOfCall(tool({ amount: { field: "amount", currency: { field: "currency" } } }), entry(), { amount: 100, currency: "JPY" });
  assert.deepEqual([yen?.unclear.map(({ code }) => code), yen?.text, yen?.currency, yen?.units], [["amount.currency"], undefined, "JPY", 1_000_000]);
  assert.deepEqual(unclear({ amount: 100 }, tool({ amount: { field: "amount", currency: { field: "currency" } } })), ["amount.currency"]);
  const known = amountOfCall(tool({ amount: { field: "amount", currency: { field: "currency" } } }), entry(), { amount: 100, currency: "JPY" }, ["JPY"]);
  assert.deepEqual([known?.unclear, known?.text, known?.currency], [[], "100", "JPY"]);
});

test("POL-2 the target is the same target however it is written, and one that is missing asks", () => {
  const aimed = tool({ amount: { field: "amount", currency: "USD", target: "to.id" } });
  const target = (id: unknown) => amountOfCall(aimed, entry(), { amount: 1, to: { id } })?.target;
  assert.equal(target(5), target("5"));
  assert.deepEqual(unclear({ amount: 1 }, aimed), ["amount.target"]);
  assert.deepEqual(unclear({ amount: 1, to: { id: { deep: 1 } } }, aimed), ["amount.target"]);
});

test("APP-1 a contract that limits another field than the one that adds up asks, because nothing could add up", () => {
  const other = entry({ requires_approval_above: { field: "fee", value: 5 } });
  assert.deepEqual(unclear({ amount: 1, fee: 1 }, tool(), other), ["amount.other_field"]);
  assert.deepEqual(unclear({ amount: 1 }, tool(), entry({ requires_approval_above: { field: "/amount", value: 5 } })), []);
});

test("APP-1 where the tool declares no amount, the field that the contract limits is the amount", () => {
  const { amount: _, ...plain } = tool();
  const limited = entry({ requires_approval_above: { field: "total", value: 5 } });
  assert.equal(amountOfCall(plain, limited, { total: 7 })?.text, "7");
  assert.deepEqual(amountOfCall(plain, limited, {})?.unclear.map(({ code }) => code), ["amount.missing"]);
  assert.equal(amountOfCall(plain, entry(), { total: 7 }), undefined);
});

const limited = entry({ requires_approval_above: { field: "amount", value: 100 } });
const asks = (amounts: object, of = limited) => contractAsks(of, { amount: "10", amounts: { in_run: "10", agent_day: "10", ...amounts } }).map(({ code }) => code);

test("APP-1 every limit has twins for what adds up: in the run, and per day for target, principal and agent", () => {
  assert.deepEqual(asks({ in_run: "100", target_day: "100", principal_day: "1000", agent_day: "10000" }), []);
  assert.deepEqual(asks({ in_run: "100.0001" }), ["contract.per_run"]);
  assert.deepEqual(asks({ target_day: "100.0001" }), ["contract.per_target_day"]);
  assert.deepEqual(asks({ principal_day: "1000.0001" }), ["contract.per_principal_day"]);
  assert.deepEqual(asks({ agent_day: "10000.0001" }), ["contract.per_agent_day"]);
});

test("APP-1 a limit whose sum of the day nobody knows asks", () => {
  assert.deepEqual(contractAsks(limited, { amount: "10", amounts: { in_run: "10" } }).map(({ code }) => code), ["contract.sum_unknown"]);
  assert.deepEqual(contractAsks(limited, { amount: "0", amounts: { in_run: "0" } }), []);
});

test("APP-1 a contract may set each twin itself", () => {
  const own = entry({ requires_approval_above: { field: "amount", value: "100.00", per_run: "50.5", per_agent_day: 60 } });
  assert.deepEqual(asks({ in_run: "50.5", agent_day: "60" }, own), []);
  assert.deepEqual(asks({ in_run: "50.5001", agent_day: "60.0001" }, own), ["contract.per_run", "contract.per_agent_day"]);
});

const cents = fc.integer({ min: 0, max: 10_000_000_000 });
const asText = (units: number) => countedText(units);

test("decimals: what is counted is what is written, rounded in the stated direction and never lost", () => {
  fc.assert(
    fc.property(cents, fc.integer({ min: 0, max: 99_999 }), (units, rest) => {
      assert.equal(countedUnits(asText(units), "up"), units);
      assert.equal(countedUnits(asText(units), "down"), units);
      const text = `${Math.floor(units / 10_000)}.${String(units % 10_000).padStart(4, "0")}${String(rest).padStart(5, "0")}`;
      assert.equal(countedUnits(text, "down"), units);
      assert.equal(countedUnits(text, "up"), rest === 0 ? units : units + 1);
    }),
  );
  assert.equal(countedUnits("-0.00001", "up"), undefined);
  assert.equal(countedUnits("1e30", "up"), undefined);
  assert.equal(countedUnits(1e30, "up"), MAX_COUNTED);
});

test("decimals: sums and multiples are exact", () => {
  assert.equal(sumOf([0.1, 0.2]), "0.3");
  assert.equal(sumOf(["0.25", -0.25]), "0.00");
  assert.equal(sumOf([]), "0");
  assert.equal(sumOf([Number.NaN]), undefined);
  assert.equal(times("19.99", 100), "1999.00");
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1e9, max: 1e9 }), { maxLength: 20 }), (values) => {
      const exact = values.reduce((sum, value) => sum + value, 0);
      assert.equal(isAbove(sumOf(values.map((value) => value / 100)) ?? "", exact / 100), false);
      assert.equal(isAbove(exact / 100, sumOf(values.map((value) => value / 100)) ?? ""), false);
    }),
  );
});

test("APP-1 however an amount is split, some part of it asks as the whole would", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 900_000 }), { minLength: 1, maxLength: 40 }), (parts) => {
      const total = parts.reduce((sum, part) => sum + part, 0);
      let sum = 0;
      const asked = parts.some((part) => {
        sum += part;
        return contractAsks(limited, { amount: asText(part), amounts: { in_run: asText(sum), agent_day: asText(sum) } }).length > 0;
      });
      assert.equal(asked, total > 1_000_000);
    }),
  );
});
