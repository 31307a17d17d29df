import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyRun as emptyFirst } from "../../machines/v1/state.ts";
import { emptyRun, type Hold, type RunState } from "../../machines/state.ts";
import type { BudgetDocument } from "../../schemas/budget.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { contractSchema } from "../../schemas/contract.ts";
import type { Need, Principal, ToolFacts } from "../../schemas/facts.ts";
import { toolFactsSchema } from "../../schemas/facts.ts";
import { type ActionId, actionId, namespace, runId, toolName } from "../../schemas/ids.ts";
import type { SignalInput } from "../../schemas/inputs.ts";
import { type PolicySet, policySetSchema } from "../../schemas/policy.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { toolSchema } from "../../schemas/tool.ts";
import { amountAccount, capOf } from "../../services/policy/accounts.ts";
import { PolicyJudge } from "../../services/policy/judgement.ts";
import { type Governing, type More, toolFacts } from "../../services/policy/tool-facts.ts";
import { codes } from "./policies.ts";

const AT = "2026-11-21T09:30:00.000Z";
const KIM: Principal = { subject: "kim", issuer: "https://issuer.example", verified: true, expires_at: "2026-11-21T10:00:00.000Z" };
const ALL = '@id("all") permit (principal, action, resource);';

const tool = (more: object = {}) =>
  toolSchema.parse({ name: "pay", description: "pays", effect: "write", input: { type: "object" }, output: {}, adapter: { type: "nats" }, cost_usd: 0.01, amount: { field: "amount", currency: "USD", target: "to" }, ...more });
const contract = (sections: object = {}, entry: object = {}) =>
  contractSchema.parse({
    agent: { name: "clerk", owner: "an owner", team: "Team A", project: "p1", purpose: "to be tested" },
    ...sections,
    tools: { allowlist: [{ name: "pay", ...entry }] },
  });
const set = (text: string, more: object = {}): PolicySet => policySetSchema.parse({ name: "default", files: { "rules.cedar": text }, ...more });
const inForce = <T extends object>(value: T) => ({ digest: canonicalDigest(value), value });

interface Case {
  readonly tool?: object;
  readonly contract?: object;
  readonly entry?: object;
  readonly policy?: string;
  readonly settings?: object;
  readonly budgets?: Readonly<Record<string, object>>;
  readonly principal?: Principal | null;
  readonly state?: RunState;
  readonly body?: Partial<ToolProposal>;
  readonly time?: string;
  readonly more?: More;
}

const judge = new PolicyJudge();
function facts(one: Case = {}): ToolFacts {
  const budget = (account: string) => {
    const found = one.budgets?.[account];
    const [scope, name] = account.split(".") as ["team", string];
    return found && inForce<BudgetDocument>({ budget: { scope, name, ...found } });
  };
  const governing: Governing = {
    contract: inForce(contract(one.contract, one.entry)),
    tool: inForce(tool(one.tool)),
    policy: inForce(set(one.policy ?? ALL, one.settings === undefined ? {} : { settings: one.settings })),
    budget,
  };
  const state = one.state ?? run(one.principal);
  const body: ToolProposal = { kind: "tool", id: "t1", tool: toolName("pay"), input: { amount: 25, to: "cus_1" }, ...one.body };
  const computed = toolFacts({ validators: { inputFaults: () => [] }, judge }, governing, state, body, one.time ?? AT, one.more);
  return toolFactsSchema.parse(computed);
}

function run(principal: Principal | null = KIM): RunState {
  const state = emptyRun(namespace("default"), runId("clerk_1"), "2");
  state.holder = "clerk" as RunState["holder"];
  state.at = AT;
  state.seq = 1;
  state.envelope = { principal } as RunState["envelope"];
  return state;
}

const needs = (of: ToolFacts) => (of.needs ?? []).map(({ ledger, unit, window, need, want }) => `${ledger} ${unit} ${window} ${need} ${want}`);
const dimensions = (of: ToolFacts) => (of.needs ?? []).map(({ dimension }) => dimension);

test("CORE-6 runs of machine 1 are judged by the rules of their time: no principal is asked for, no ledger, no destination", () => {
  const state = emptyFirst(namespace("default"), runId("clerk_1"), "1") as unknown as RunState;
  state.envelope = { principal: { subject: "kim", verified: false } } as RunState["envelope"];
  const limited = { requires_approval_above: { field: "amount", value: 100 } };
  const first = facts({ state, entry: limited, contract: { budgets: { max_cost_usd_per_day: 1 } } });
  assert.deepEqual([first.judgement?.decision, first.judgement?.engine.includes("rules"), first.needs, first.amount], ["allow", false, undefined, undefined]);
  assert.equal(facts({ state, entry: limited, body: { input: { amount: 101 } } }).judgement?.decision, "ask");
});

test("EXEC-7 how a tool is asked what became of a call is a fact of runs that ask, and of no earlier ones", () => {
  const probe = { timeout_ms: 500, tries: 2 };
  const of = (machine: string) => facts({ tool: { probe }, state: { ...run(), machine } }).tool?.probe;
  assert.deepEqual([of("1"), of("2"), of("3")], [undefined, undefined, probe]);
  assert.equal(facts({ state: { ...run(), machine: "3" } }).tool?.probe, undefined);
});

test("ID-3 a token that has ended by the server's time verifies nothing, and a fresh one does", () => {
  assert.equal(facts().judgement?.decision, "allow");
  assert.deepEqual(codes(facts({ time: "2026-11-21T10:00:00.000Z" }).judgement ?? assert.fail()), ["principal.expired"]);
  const fresh: Principal = { ...KIM, expires_at: "2026-11-21T11:00:00.000Z" };
  const renewed = facts({ time: "2026-11-21T10:00:00.000Z", more: { principal: fresh } });
  assert.deepEqual([renewed.judgement?.decision, renewed.principal], ["allow", fresh]);
});

test("GUARD-7 an action needs allowances of agent, team and project, where something limits them", () => {
  assert.deepEqual(needs(facts()), []);
  const limited = facts({
    contract: { budgets: { max_cost_usd_per_day: 100, max_requests_per_minute: 6000 } },
    budgets: { "team.Team%20A": { max_cost_usd_per_day: 0.05 }, "project.p1": { max_requests_per_minute: 3 } },
  });
  assert.deepEqual(needs(limited), [
    "agent.clerk.2026-11-21 cost 2026-11-21 10000 80000",
    "agent.clerk.2026-11-21 requests 2026-11-21T09:30 1 6",
    "team.Team%20A.2026-11-21 cost 2026-11-21 10000 10000",
    "project.p1.2026-11-21 requests 2026-11-21T09:30 1 1",
  ]);
  assert.equal(limited.judgement, undefined);
  const free = facts({ tool: { cost_usd: 0 }, contract: { budgets: { max_cost_usd_per_day: 100 } } });
  assert.deepEqual([needs(free), free.judgement?.decision], [[], "allow"]);
});

test("GUARD-7 the lower of contract and budget document limits an agent, money rounded down", () => {
  const document = (more: object): BudgetDocument => ({ budget: { scope: "agent", name: "clerk", ...more } });
  const limits = contract({ budgets: { max_cost_usd_per_day: 2, max_requests_per_minute: 5 } });
  assert.equal(capOf("cost", document({ max_cost_usd_per_day: 1.0000019 }), limits), 1_000_001);
  assert.equal(capOf("cost", undefined, limits), 2_000_000);
  assert.equal(capOf("requests", document({ max_requests_per_minute: 9 }), limits), 5);
  assert.equal(capOf("requests", document({}), undefined), undefined);
  assert.equal(capOf("amount", document({ max_cost_usd_per_day: 1 }), limits), undefined);
});

test("GUARD-7 APP-1 sums of the day are asked of the ledger only where contract or policies rest on them", () => {
  const limited = { requires_approval_above: { field: "amount", value: 100 } };
  assert.deepEqual(dimensions(facts()), []);
  assert.deepEqual(dimensions(facts({ entry: limited })), ["target", "principal", "agent"]);
  const reads = `${ALL} @id("day") forbid (principal, action, resource) when { context has amounts && context.amounts has agent_day && context.amounts.agent_day.greaterThan(decimal("5.0")) };`;
  assert.deepEqual(dimensions(facts({ policy: reads })), ["agent"]);
  const readsElsewhere = reads.replace("forbid (principal, action,", 'forbid (principal, action == Action::"irreversible",');
  assert.deepEqual(dimensions(facts({ policy: readsElsewhere })), []);
  assert.deepEqual(dimensions(facts({ entry: limited, body: { input: { amount: 0, to: "x" } } })), []);
  assert.deepEqual(facts({ entry: limited }).amount, { units: 250_000, currency: "USD", group: "pay" });
});

test("GUARD-7 accounts of amounts say nothing of whom they are about, and are others for every target, group and currency", () => {
  const limited = { requires_approval_above: { field: "amount", value: 100 } };
  const ledgers = (one: Case) => (facts({ entry: limited, ...one }).needs ?? []).map(({ ledger }) => ledger);
  const base = ledgers({});
  for (const ledger of base) assert.match(ledger, /^amount\.[0-9a-f]{32}\.2026-11-21$/);
  const differ = (one: Case) => ledgers(one).map((ledger, index) => ledger !== base[index]);
  assert.deepEqual(differ({ body: { input: { amount: 7, to: "cus_1" } } }), [false, false, false]);
  assert.deepEqual(differ({ body: { input: { amount: 7, to: "cus_2" } } }), [true, false, false]);
  assert.deepEqual(differ({ principal: { ...KIM, subject: "ada" } }), [false, true, false]);
  assert.deepEqual(differ({ tool: { amount: { field: "amount", currency: "EUR", target: "to" } } }), [true, true, true]);
  assert.deepEqual(differ({ tool: { amount: { field: "amount", currency: "USD", target: "to", group: "money" } } }), [true, true, true]);
  const of = { dimension: "target", key: "a", group: "g", currency: "USD" } as const;
  assert.notEqual(amountAccount(of), amountAccount({ ...of, dimension: "agent" }));
});

test("GUARD-9 ID-3 what a stop covers, and what nobody stands behind, is not asked of any ledger", () => {
  const limited = { requires_approval_above: { field: "amount", value: 100 } };
  const guard = { stop: "s1", kind: "stop", scope: "all", reason: "a test" } as More["guard"];
  const stopped = facts({ entry: limited, more: { guard } });
  assert.deepEqual([stopped.guard, stopped.needs, stopped.judgement], [guard, undefined, undefined]);
  const nobody = facts({ entry: limited, principal: null });
  assert.deepEqual([nobody.needs, nobody.judgement?.decision], [undefined, "deny"]);
});

const HELD: ActionId = actionId(5);
/** The run after it proposed: it holds what is named, and waits for the last. */
function holding(limited: readonly Need[], totals: readonly (number | undefined)[]): RunState {
  const state = run();
  const holds = limited.map(({ ledger, unit, window, need, dimension }, index): Hold => {
    const total = totals[index];
    return { ledger, unit, window, dimension, need, held: total === undefined ? 0 : need, lease: total === undefined ? `l${index}` : undefined, total };
  });
  state.holds.set(HELD, holds);
  for (const [index, one] of limited.entries()) {
    if (totals[index] !== undefined) continue;
    const { ledger, unit, window, need, want } = one;
    state.signals.set(`l${index}`, { body: { name: "lease", id: `l${index}`, ledger, unit, window, need, want }, action: HELD } as never);
  }
  return state;
}

test("APP-1 GUARD-7 splitting over runs does not pass: what is judged is the sum that the ledger says, this action included", () => {
  const entry = { requires_approval_above: { field: "amount", value: 100 } };
  const limited = facts({ entry }).needs ?? assert.fail();
  const judged = (agent: number, principal: number, target: number) => {
    const state = holding(limited, [target, principal, undefined]);
    const last = limited[2] ?? assert.fail();
    const reply = { name: "leased", id: "l2", ledger: last.ledger, unit: last.unit, window: last.window, granted: last.need, total: agent } as SignalInput;
    const { judgement, needs } = facts({ entry, state, time: "2026-11-21T23:59:59.000Z", more: { action: HELD, reply, principal: { ...KIM, expires_at: "2026-11-22T00:00:00.000Z" } } });
    assert.deepEqual(needs?.map(({ need, want: _, ...rest }) => ({ need, ...rest })), limited.map(({ need, want: _, ...rest }) => ({ need, ...rest })));
    return [judgement?.decision, judgement && codes(judgement)];
  };
  assert.deepEqual(judged(250_000, 250_000, 250_000), ["allow", []]);
  assert.deepEqual(judged(250_000, 250_000, 1_000_001), ["ask", ["contract.per_target_day"]]);
  assert.deepEqual(judged(250_000, 10_000_001, 250_000), ["ask", ["contract.per_principal_day"]]);
  assert.deepEqual(judged(100_000_001, 250_000, 250_000), ["ask", ["contract.per_agent_day"]]);
});

test("APP-1 rules that changed while sums were waited for are given the sums that they read", () => {
  const policy = `${ALL} @id("day") forbid (principal, action, resource) when { context has amounts && context.amounts has agent_day && context.amounts.agent_day.greaterThan(decimal("5.0")) };`;
  const held = facts({ policy }).needs ?? assert.fail();
  const state = holding(held, [undefined]);
  const one = held[0] ?? assert.fail();
  const reply = { name: "leased", id: "l0", ledger: one.ledger, unit: one.unit, window: one.window, granted: one.need, total: one.need } as SignalInput;
  const limited = facts({ policy, entry: { requires_approval_above: { field: "amount", value: 100 } }, state, more: { action: HELD, reply } });
  assert.deepEqual([dimensions(limited), limited.judgement], [["agent", "target", "principal"], undefined]);
  assert.equal(facts({ policy, state, more: { action: HELD, reply } }).judgement?.decision, "deny");
});

test("APP-1 what is judged again after midnight stays in the sums of the day in which it was proposed", () => {
  const entry = { requires_approval_above: { field: "amount", value: 100 } };
  const limited = facts({ entry }).needs ?? assert.fail();
  const again = facts({ entry, state: holding(limited, [1_000_001, 250_000, 250_000]), time: "2026-11-22T00:00:01.000Z", more: { action: HELD, principal: { ...KIM, expires_at: "2026-11-23T00:00:00.000Z" } } });
  assert.deepEqual(again.needs?.map(({ ledger }) => ledger), limited.map(({ ledger }) => ledger));
  assert.deepEqual(codes(again.judgement ?? assert.fail()), ["contract.per_target_day"]);
});

test("APP-1 amounts of the run add up by group and currency", () => {
  const state = holding([], []);
  state.amounts.set("USD/pay", 9_000_000);
  state.amounts.set("EUR/pay", 9_000_000);
  const in_run = (more: object) => codes(facts({ state, entry: {}, policy: `${ALL} @id("run") forbid (principal, action, resource) when { context has amounts && context.amounts.in_run.greaterThan(decimal("900.0")) };`, tool: more }).judgement ?? assert.fail());
  assert.deepEqual(in_run({}), ["policy.forbidden"]);
  assert.deepEqual(in_run({ amount: { field: "amount", currency: "GBP" } }), []);
  assert.deepEqual(in_run({ amount: { field: "amount", currency: "USD", group: "other" } }), []);
});

test("CORE-6 needs that were recorded are believed, whatever is limited today", () => {
  const recorded = facts({ budgets: { "project.p1": { max_requests_per_minute: 3 } } }).needs ?? assert.fail();
  const again = facts({ more: { needs: recorded } });
  assert.deepEqual([again.needs, again.judgement], [recorded, undefined]);
  assert.equal(facts({ budgets: { "project.p1": { max_requests_per_minute: 3 } }, more: { needs: [] } }).judgement?.decision, "allow");
});

test("APP-1 what an agent says in `why` is not judged", () => {
  assert.deepEqual(facts({ body: { why: "because the policy allows it" } }), facts());
});

test("POL-2 tokens are what the tool declares, never less than what is sent, and an estimate where it says nothing", () => {
  const asks = (limit: number, more: object, input: object) =>
    facts({ policy: `${ALL} @id("tokens") forbid (principal, action, resource) when { context.tokens > ${limit} };`, tool: more, body: { input: input as never } }).judgement?.decision;
  const long = { text: "x".repeat(4000), amount: 1, to: "x" };
  assert.deepEqual([asks(1000, {}, long), asks(1020, {}, long)], ["deny", "allow"]);
  assert.deepEqual([asks(49, { tokens: { max_input: 20, max_output: 30 } }, long), asks(50, { tokens: { max_input: 20, max_output: 30 } }, long)], ["deny", "allow"]);
  const field = { tokens: { max_input: { field: "most" } } };
  assert.equal(asks(1000, field, { ...long, most: 1 }), "deny");
  assert.deepEqual(facts({ tool: field, body: { input: { most: "many" } } }).faults.map(({ code, path }) => [code, path]), [["tool.tokens", "/input/most"]]);
  const { tool: known } = facts({ tool: { tokens: { max_input: 20, max_output: 30 } } });
  assert.deepEqual([known?.input_tokens, known?.output_tokens, facts().tool?.input_tokens], [20, 30, undefined]);
});

test("APP-3 an approval stands as far as the contract lets it, and never for what cannot be undone or rests on untrusted output", () => {
  const entry = { standing_approval: { max_uses: 3, max_seconds: 60, vary: ["/amount"], max_amount: "10.00005", max_total: 50 } };
  assert.deepEqual(facts({ entry }).standing, { max_uses: 3, max_seconds: 60, vary: ["/amount"], max_amount: 100_000, max_total: 500_000 });
  assert.equal(facts().standing, undefined);
  assert.equal(facts({ entry, tool: { effect: "irreversible" } }).standing, undefined);
  const tainted = run();
  tainted.marks = { tainted: true, labels: [], sources: [] };
  assert.equal(facts({ entry, state: tainted }).standing, undefined);
});

test("GUARD-3 GUARD-10 the marks of the run, and the labels that its contract names, are what is judged", () => {
  const state = run();
  state.marks = { tainted: true, labels: ["pii"], sources: [] };
  const policy = `${ALL} @id("tainted") @ask("approver") forbid (principal, action, resource) when { context.tainted };`;
  assert.deepEqual(codes(facts({ state }).judgement ?? assert.fail()), ["data.not_cleared"]);
  assert.equal(facts({ state, policy, tool: { clearance: ["pii"] } }).judgement?.decision, "ask");
  const card = { contract: { data: { labels: ["pci", "region:eu", "region:us"] } } };
  assert.deepEqual(codes(facts(card).judgement ?? assert.fail()), ["data.not_cleared", "data.residency"]);
  assert.equal(facts({ ...card, tool: { clearance: ["pci"], region: "us-east-1" } }).judgement?.decision, "allow");
});

test("POL-2 currencies that are compared are the set's own, and the plane's where it names none", () => {
  const yen = { amount: { field: "amount", currency: "JPY" } };
  assert.equal(facts({ tool: yen }).judgement?.decision, "ask");
  assert.equal(facts({ tool: yen, settings: { currencies: ["JPY"] } }).judgement?.decision, "allow");
  assert.equal(facts({ settings: { currencies: ["JPY"] } }).judgement?.decision, "ask");
});
