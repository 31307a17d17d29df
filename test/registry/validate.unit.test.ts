import assert from "node:assert/strict";
import { test } from "node:test";
import { Validators } from "../../services/registry/validate.ts";

const schema = {
  type: "object",
  required: ["charge", "amount"],
  additionalProperties: false,
  properties: {
    charge: { type: "string", pattern: "^ch_[a-z]+$" },
    amount: { type: "number", exclusiveMinimum: 0, multipleOf: 0.01 },
    when: { type: "string", format: "date-time" },
    currency: { enum: ["usd", "eur"] },
    lines: { type: "array", items: { type: "object", required: ["a/b"], properties: { "a/b": { type: "integer" } } } },
  },
} as const;
const validators = new Validators();
const faultsOf = (value: unknown) =>
  validators.inputFaults("sha256:a", schema as never, value).map((fault) => `${fault.path ?? ""} ${fault.message}`);

test("CORE-2: an input that fits has no faults", () => {
  assert.deepEqual(faultsOf({ charge: "ch_x", amount: 19.99, when: "2026-01-31T09:30:00Z", currency: "eur", lines: [{ "a/b": 1 }] }), []);
});

test("CORE-2: every fault of an input is named with its path and with what was expected", () => {
  assert.deepEqual(faultsOf({ charge: "x", amout: 3, when: "soon", currency: "chf", lines: [{}, { "a/b": 1.5 }] }).sort(), [
    "/amount `amount` is missing",
    "/amout `amout` is not expected here",
    "/charge expected text that matches `^ch_[a-z]+$`",
    '/currency expected one of `"usd"`, `"eur"`',
    "/lines/0/a~1b `a/b` is missing",
    "/lines/1/a~1b expected integer, found number",
    "/when expected the format `date-time`",
  ]);
  assert.deepEqual(faultsOf("text"), [" expected object, found string"]);
  assert.deepEqual(faultsOf(undefined), [" expected object, found undefined"]);
});

test("CORE-2: faults never repeat the value, which may be personal", () => {
  assert.ok(!faultsOf({ charge: "secret", amount: -12345, currency: "secret", when: "secret" }).join().match(/secret|12345/));
});

test("CORE-2: a thousand faults are cut to a hundred and a count", () => {
  const faults = faultsOf({ charge: "ch_x", amount: 1, lines: Array(1000).fill({}) });
  assert.equal(faults.length, 101);
  assert.equal(faults.at(-1), " and 900 more faults");
});

test("CORE-4: outputs are checked against their own schema under the same tool", () => {
  assert.deepEqual(validators.outputFaults("sha256:a", { type: "string" }, "x"), []);
  assert.equal(validators.outputFaults("sha256:a", { type: "string" }, 1)[0]?.code, "output.invalid");
});

test("CORE-2: validation changes nothing in the input: no defaults, no conversions", () => {
  const value = { n: "5" };
  const faults = validators.inputFaults("sha256:b", { type: "object", properties: { n: { type: "number" }, d: { type: "number", default: 3 } } }, value);
  assert.equal(faults.length, 1);
  assert.deepEqual(value, { n: "5" });
});

test("CORE-2: a schema that cannot be compiled admits nothing", () => {
  assert.equal(validators.inputFaults("sha256:c", { type: "nope" }, {})[0]?.code, "tool.schema");
  assert.equal(validators.inputFaults("sha256:d", { $ref: "https://example.com/x" }, {})[0]?.code, "tool.schema");
});

test("CORE-2: patterns and formats on hostile text end quickly", () => {
  const hostile = { type: "object", properties: { a: { type: "string", pattern: "^(([a-z])+.)+[A-Z]([a-z])+$" }, b: { type: "string", format: "email" }, c: { type: "string", format: "uri" } } };
  const long = "a".repeat(60_000);
  const before = performance.now();
  assert.equal(validators.inputFaults("sha256:e", hostile, { a: long, b: `${long}@${long}`, c: `a:${long}` }).length, 3);
  assert.ok(performance.now() - before < 2000);
});

test("a bounded number of compiled schemas is kept, and a dropped one is compiled again", () => {
  const few = new Validators(2);
  for (let i = 0; i < 6; i++) {
    assert.equal(few.inputFaults(`sha256:${i % 3}`, { type: "integer", minimum: i % 3 }, (i % 3) - 1).length, 1);
  }
});
