import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { contractToolSchema } from "../../schemas/contract.ts";
import { type Turn, turnsOf } from "../../services/policy/explain.ts";
import { type Asked, verdict } from "../../services/policy/verdict.ts";
import { compiled, request } from "./policies.ts";

const ALL = '@id("all") permit (principal, action, resource);';
const PRINCIPAL = { subject: "kim", issuer: "https://issuer.example", verified: true };
const asked = (change: Parameters<typeof request>[0] = {}, more: Partial<Asked> = {}): Asked => ({
  request: request({ principal: PRINCIPAL, ...change }),
  entry: contractToolSchema.parse({ name: "stripe.create_refund" }),
  unclear: [],
  ...more,
});
const turns = (policies: string, of: Asked): string[] => turnsOf(compiled(policies), of, undefined).map(text);
const text = ({ path, from, to, decision }: Turn) => `${path}: ${String(from)} -> ${String(to)}: ${decision}`;

function has(found: readonly string[], expected: string): void {
  assert.ok(found.includes(expected), `${expected} not among\n${found.join("\n")}`);
}

test("POL-1 a number is narrowed down to the very value at which the decision turns", () => {
  const rules = `${ALL} @id("steps") forbid (principal, action, resource) when { context.run.steps * 3 > 100 };`;
  has(turns(rules, asked({ run: { ...request().run, steps: 90 } })), "run.steps: 90 -> 33: allow");
  has(turns(rules, asked({ run: { ...request().run, steps: 2 } })), "run.steps: 2 -> 34: deny");
  const amount = `${ALL} @id("amount") @ask("finance") forbid (principal, action, resource) when { context has amount && context.amount.greaterThan(decimal("5000.25")) };`;
  has(turns(amount, asked({ amount: "6000" })), "amount: 6000 -> 5000.25: allow");
  has(turns(amount, asked({ amount: "6.5" })), "amount: 6.5 -> 5000.2501: ask");
});

test("POL-1 both ends of a range are found", () => {
  const found = turns(`${ALL} @id("range") forbid (principal, action, resource) when { context.tokens > 100 && context.tokens < 900 };`, asked({ tokens: { input: 500, output: 0 } }));
  has(found, "tokens.input: 500 -> 100: allow");
  has(found, "tokens.input: 500 -> 900: allow");
});

test("POL-1 sets are changed by one element, words to those that policies name, truths to their opposite", () => {
  const rules = `@id("pci") permit (principal, action, resource) when { principal.team == "finance" && resource.tags.contains("pci") && !context.tainted };`;
  const finance = { name: "refund-assistant", owner: "payments", team: "finance" };
  has(turns(rules, asked({ agent: finance, tool: { ...request().tool, tags: [] } })), "tool.tags: undefined -> pci: allow");
  has(turns(rules, asked({ agent: finance })), "tool.tags: pci -> undefined: deny");
  has(turns(rules, asked()), "agent.team: support -> finance: allow");
  has(turns(rules, asked({ agent: finance, tainted: true })), "tainted: true -> false: allow");
  has(turns('@id("one") permit (principal == Agent::"clerk", action, resource == Tool::"stripe.create_refund");', asked()), "agent.name: refund-assistant -> clerk: allow");
});

test("POL-1 the plane's own rules and the contract's are turned as well", () => {
  has(turns(ALL, asked({ principal: null })), "principal: null -> verified: allow");
  has(turns(ALL, asked({ principal: { ...PRINCIPAL, verified: false } })), "principal.verified: false -> true: allow");
  has(turns(ALL, asked({ labels: ["pii"] })), "tool.clearance: undefined -> pii: allow");
  has(turns(ALL, asked({ labels: ["pii"] })), "labels: pii -> undefined: allow");
  has(turns(ALL, asked({ labels: ["region:eu"] })), "tool.region: undefined -> eu: allow");
  has(turns(ALL, asked({ tool: { ...request().tool, effect: "irreversible" } })), "tool.effect: irreversible -> write: allow");
  const entry = contractToolSchema.parse({ name: "stripe.create_refund", requires_approval_above: { field: "amount", value: 100 } });
  const above = turns(ALL, asked({ amount: "480", amounts: { in_run: "480", agent_day: "480" } }, { entry: { ...entry, requires_approval_above: { field: "amount", value: 100, per_run: 1000 } } }));
  has(above, "amount: 480 -> 100: allow");
  has(above, "contract.requires_approval_above.value: 100 -> 480: allow");
  const always = contractToolSchema.parse({ name: "stripe.create_refund", requires_approval: true });
  has(turns(ALL, asked({}, { entry: always })), "contract.requires_approval: true -> false: allow");
});

test("APP-1 an amount is explained with what it adds up to: the rest of the sum stays", () => {
  const entry = contractToolSchema.parse({ name: "stripe.create_refund", requires_approval_above: { field: "amount", value: 100 } });
  const found = turns(ALL, asked({ amount: "60", amounts: { in_run: "110", agent_day: "110" } }, { entry }));
  has(found, "amount: 60 -> 50: allow");
  has(found, "amounts.in_run: 110 -> 100: allow");
});

test("POL-1 risk follows from what is changed, and can be looked at by itself", () => {
  const rules = `${ALL} @id("risky") @ask("approver") forbid (principal, action, resource) when { context has risk && context.risk.greaterThan(decimal("0.4")) };`;
  const found = turns(rules, asked({ tainted: true, amount: undefined, risk: 0.6 }));
  has(found, "tainted: true -> false: allow");
  has(found, "risk: 0.6 -> 0.4: allow");
});

test("POL-2 the hour at which a rule begins to hold is found", () => {
  has(turns(`${ALL} @id("night") forbid (principal, action, resource) when { context.time.hour < 6 };`, asked({ at: "2026-11-21T03:10:00.000Z" })), "at: 2026-11-21T03:10:00.000Z -> 2026-11-21T06:10:00.000Z: allow");
});

const condition = fc.constantFrom(
  "context.run.steps > 7",
  "context.tainted",
  'context has amount && context.amount.greaterThan(decimal("30.5"))',
  'resource.tags.contains("pci")',
  'principal.team == "support"',
  "context.tokens > 100 || context.sources > 2",
  'context.run.failures.hasTag("t") && context.run.failures.getTag("t") > 3',
);
test("POL-1 every turn that is named does turn the decision, and a number next to it does not", () => {
  const policies = fc.array(fc.tuple(fc.constantFrom("forbid", '@ask("approver") forbid', "permit"), condition), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(policies, (chosen) => {
      const set = compiled([ALL, ...chosen.map(([effect, when], i) => `@id("p${i}") ${effect} (principal, action, resource) when { ${when} };`)].join("\n").replace(/@id\("(p\d)"\) (@ask\("approver"\)) /g, '@id("$1") $2 '));
      const of = asked({ amount: "25", tokens: { input: 50, output: 0 } });
      const base = verdict(set, of).decision;
      for (const { path, to, decision } of turnsOf(set, of, undefined)) {
        assert.notEqual(decision, base);
        if (path !== "run.steps") continue;
        const at = (steps: number) => verdict(set, asked({ amount: "25", tokens: { input: 50, output: 0 }, run: { ...request().run, steps } })).decision;
        assert.equal(at(Number(to)), decision);
        assert.equal(at(Number(to) - Math.sign(Number(to) - 3)), base);
      }
    }),
    { numRuns: 25 },
  );
});
