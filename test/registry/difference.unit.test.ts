/** What `apply` shows before it changes anything: fields that differ, permissions that widen, and what does not fit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inconsistencies } from "../../services/registry/consistency.ts";
import { documentChanges } from "../../services/registry/diff.ts";
import { inOrder, type StoredDocument } from "../../services/registry/kinds.ts";
import { widenings } from "../../services/registry/widening.ts";
import { documents, person, policySet, registry } from "./in-force.ts";

const one = (text: string) => documents(text)[0] as StoredDocument;
const AGENT = "agent: { name: clerk, owner: o, team: t, purpose: p }\n";
const TOOL = "name: pay.out\ndescription: d\nadapter: nats\noutput: {}\ninput: { type: object, properties: { usd: { type: number }, to: { type: string } } }\n";
const changes = (before: string, after: string) => documentChanges(one(before).value, one(after)).map(({ path, before: was, after: is }) => `${path} ${JSON.stringify(was)} ${JSON.stringify(is)}`);
const wider = (before: string | undefined, after: string) => widenings(before === undefined ? undefined : one(before).value, one(after));

test("POL-6: a difference names the fields that differ, and items of a list by their names", () => {
  const before = `${AGENT}budgets: { max_steps: 5 }\ntools: { allowlist: [ { name: a }, { name: b, after: [a] } ] }`;
  const after = `${AGENT}budgets: { max_steps: 6 }\ntools: { allowlist: [ { name: c }, { name: b }, { name: a } ] }`;
  assert.deepEqual(changes(before, after), [
    "/budgets/max_steps 5 6",
    `/tools/allowlist/b/after ["a"] undefined`,
    `/tools/allowlist/c undefined {"name":"c"}`,
  ]);
  assert.deepEqual(changes(before, before), []);
});

test("POL-6: policy sets differ policy by policy, wherever one stands", () => {
  const [a, b] = ['@id("a")\npermit (principal, action == Action::"read", resource);\n', '@id("b")\nforbid (principal, action == Action::"write", resource);\n'];
  assert.deepEqual(documentChanges(policySet(a + b).value, policySet(b + a)), []);
  assert.deepEqual(documentChanges(policySet(a + b).value, policySet(a)).map(({ path, after }) => [path, after]), [["/policies/b", undefined]]);
});

for (const [what, before, after, expected] of [
  ["a new agent", undefined, `${AGENT}tools: { allowlist: [ { name: a } ] }`, ["may propose `a`"]],
  ["a tool more", AGENT, `${AGENT}tools: { allowlist: [ { name: a } ] }`, ["may also propose `a`"]],
  ["a tool less", `${AGENT}tools: { allowlist: [ { name: a } ] }`, AGENT, []],
  ["an approval less", `${AGENT}tools: { allowlist: [ { name: a, requires_approval: true } ] }`, `${AGENT}tools: { allowlist: [ { name: a } ] }`, ["`a`: no approval is required any more"]],
  ["a limit raised, its twin with it", `${AGENT}tools: { allowlist: [ { name: a, requires_approval_above: { field: x, value: 5, per_run: 9 } } ] }`, `${AGENT}tools: { allowlist: [ { name: a, requires_approval_above: { field: x, value: "7.5" } } ] }`, ["`a`: approval is required above 7.5, no longer above 5"]],
  ["a limit lowered", `${AGENT}tools: { allowlist: [ { name: a, requires_approval_above: { field: x, value: 5 } } ] }`, `${AGENT}tools: { allowlist: [ { name: a, requires_approval_above: { field: x, value: 4 } } ] }`, []],
  ["an approval that may stand", `${AGENT}tools: { allowlist: [ { name: a } ] }`, `${AGENT}tools: { allowlist: [ { name: a, standing_approval: { max_uses: 3, max_seconds: 60 } } ] }`, ["`a`: an approval may stand for 3 uses within 60 s"]],
  ["an order that is gone", `${AGENT}tools: { allowlist: [ { name: a }, { name: b, after: [a] } ] }`, `${AGENT}tools: { allowlist: [ { name: a }, { name: b } ] }`, ["`b`: it need not come after `a` any more"]],
  ["budgets raised and gone", `${AGENT}budgets: { max_steps: 5, max_cost_usd_per_day: 1 }`, `${AGENT}budgets: { max_cost_usd_per_day: 2 }`, ["steps of a run are no longer limited (5 before)", "the cost of a day (USD) is limited to 2, no longer to 1"]],
  ["data that may go further", `${AGENT}data: { labels: ["region:eu", pii] }`, `${AGENT}data: { labels: ["region:eu", "region:us"] }`, ["its data may also go to `us`", "its data is no longer labelled `pii`"]],
  ["every namespace", `${AGENT}namespaces: [default]`, AGENT, ["it may be used in every namespace"]],
  ["another team", AGENT, AGENT.replace("team: t", "team: u"), ["policies and budgets are those of team `u`, no longer of `t`"]],
  ["telemetry, where nothing said is metadata", `${AGENT}logging: { trace_level: none }`, AGENT, ["telemetry carries `metadata`"]],
  ["telemetry and exports, in so many words what they were", AGENT, `${AGENT}logging: { trace_level: metadata, pii_redaction: true }`, []],
  ["telemetry of what is said", `${AGENT}logging: { pii_redaction: true }`, `${AGENT}logging: { trace_level: full, pii_redaction: false }`, ["telemetry carries `full`", "telemetry is no longer redacted", "its runs are exported whole"]],
  ["exports alone", `${AGENT}logging: { pii_redaction: true }`, AGENT, ["its runs are exported whole"]],
  ["a lesser effect, belief, clearance", `${TOOL}effect: irreversible`, `${TOOL}effect: write\ntrusted: true\nclearance: [pii]`, ["its effect is called write, no longer irreversible", "its output is believed", "it may be given data labelled `pii`"]],
  ["labels and personal fields that are gone", `${TOOL}effect: read\nlabels: [{ label: pii }]\npersonal: [{ path: to, subject: to }]`, `${TOOL}effect: read`, ["its output is no longer labelled `pii`", "`to` is no longer personal"]],
  ["a region", `${TOOL}effect: read\nregion: eu-west-1`, `${TOOL}effect: read\nregion: us-east-1`, ["it is in `us-east-1`, no longer in `eu-west-1`"]],
  ["a role", `person: { name: a, issuer: i, subject: s }`, `person: { name: a, issuer: i, subject: s, roles: [finance] }`, ["may also answer for `finance`"]],
  ["a person again", `person: { name: a, issuer: i, subject: s, disabled: true }`, `person: { name: a, issuer: i, subject: s }`, ["is no longer disabled"]],
  ["a budget", `budget: { scope: team, name: t, max_cost_usd_per_day: 1 }`, `budget: { scope: team, name: t, max_requests_per_minute: 9 }`, ["the cost of a day is no longer limited (1 before)"]],
] as const) {
  test(`POL-6: what widens is said: ${what}`, () => assert.deepEqual(wider(before, after), expected));
}

test("POL-6: what widens in a policy set is said: permits, forbids, who lifts them, and who reviews", () => {
  const permit = '@id("p")\npermit (principal, action == Action::"read", resource);\n';
  const forbid = (ask: string) => `@id("f")\n${ask}forbid (principal, action == Action::"write", resource);\n`;
  const before = policySet(permit + forbid('@ask("finance")\n@approvals("2")\n'), { review: { role: "risk", count: 2 } });
  assert.deepEqual(widenings(before.value, policySet(permit + forbid('@ask("finance")\n'))), [
    "changes of it are agreed to by `approver`, no longer by `risk`",
    "changes of it need 1, no longer 2, to agree",
    "the forbid `f` asks 1 `finance`",
  ]);
  assert.deepEqual(widenings(before.value, policySet(permit, { review: { role: "risk", count: 2 } })), ["the forbid `f` is gone"]);
  assert.deepEqual(widenings(policySet(forbid("")).value, policySet(forbid('@ask("finance")\n') + permit)), ["the forbid `f` asks 1 `finance`, where it forbade", "the permit `p` is new"]);
});

test("ID-1: what works and is probably not meant is a warning, and refuses nothing", async () => {
  const { view, apply } = registry();
  await apply(one(`${TOOL}effect: irreversible\nregion: us-east-1\namount: { field: usd, currency: USD }`), policySet("", { review: { role: "approver", count: 2 } }), person("ann"));
  const text = `${AGENT}data: { labels: ["region:eu"] }\nhandoffs: [ { to: { agent: nobody }, modes: [transfer] } ]\ntools: { allowlist: [ { name: pay.ou }, { name: pay.out, standing_approval: { max_uses: 1, max_seconds: 1, vary: [/usd] } } ] }`;
  const found = inconsistencies(view, [one(text), one("budget: { scope: team, name: nobodies }"), person("ann", ["approver", "finance"])]);
  assert.deepEqual([...new Set(found.map(({ severity }) => severity))], ["warning"]);
  assert.deepEqual(found.map(({ path, code }) => `/${path.join("/")} ${code}`), [
    "/tools/allowlist/0/name contract.tool_unknown",
    "/tools/allowlist/1/standing_approval contract.standing",
    "/tools/allowlist/1/standing_approval/vary contract.standing",
    "/tools/allowlist/1/name contract.in_doubt",
    "/tools/allowlist/1/name data.residency",
    "/handoffs/0/to/agent contract.handoff_unknown",
    "/budget/name budget.nobody",
    "/ policy.reviewers",
  ]);
  assert.equal(found[0]?.help, "did you mean `pay.out`");
});

test("EXEC-7: a write that leaves a person to find out what it did is warned of, where it is allowed and where it becomes so", async () => {
  const warnedOf = async (text: string) => {
    const { view, apply } = registry();
    await apply(one(`${TOOL}${text}`));
    return inconsistencies(view, [one(`${AGENT}tools: { allowlist: [ { name: pay.out } ] }`)]).map(({ severity, path, code, message }) => [severity, `/${path.join("/")}`, code, message]);
  };
  const warning = ["warning", "/tools/allowlist/0/name", "contract.in_doubt", "an attempt at `pay.out` whose end is unknown needs a person"];
  for (const text of ["effect: write", "effect: irreversible", "effect: write\nretries: 3", "effect: write\nidempotent: true"]) assert.deepEqual(await warnedOf(text), [warning], text);
  for (const text of ["effect: read", "effect: write\nidempotent: true\nretries: 1", "effect: write\nprobe: {}", "effect: irreversible\nprobe: { tries: 1 }"]) assert.deepEqual(await warnedOf(text), [], text);

  const { view, apply } = registry();
  await apply(one(`${TOOL}effect: write\nprobe: {}`), one(`${AGENT}tools: { allowlist: [ { name: pay.out } ] }`));
  const changed = (text: string) => inconsistencies(view, [one(`${TOOL}${text}`)]).map(({ severity, path, code }) => `${severity} /${path.join("/")} ${code}`);
  assert.deepEqual(changed("effect: write"), ["warning /effect tool.in_doubt"]);
  assert.deepEqual(changed("effect: write\nprobe: { tries: 2 }"), []);
  await apply(one(`${TOOL}effect: write`));
  assert.deepEqual(changed("effect: irreversible"), [], "it was so before: nothing is said twice");
});

test("ID-1: what a contract says of a tool, and the tool does not have, is a fault", async () => {
  const { view, apply } = registry();
  await apply(one(`${TOOL}effect: write\nprobe: {}`));
  const entry = "{ name: pay.out, requires_approval_above: { field: to, value: 1, per_target_day: 3 } }";
  const other = "{ name: pay.out, standing_approval: { max_uses: 1, max_seconds: 1, vary: [/nothing], max_amount: 1, max_total: 2 } }";
  const of = (allowed: string) => inconsistencies(view, [one(`${AGENT}tools: { allowlist: [ ${allowed} ] }`)]).map(({ severity, path, code }) => `${severity} ${path.slice(3).join("/")} ${code}`);
  assert.deepEqual(of(entry), ["fault requires_approval_above/field contract.field", "fault requires_approval_above/per_target_day contract.target"]);
  assert.deepEqual(of(other), ["fault standing_approval/vary/0 contract.field", "fault standing_approval/max_amount contract.amount", "fault standing_approval/max_total contract.amount"]);
});

test("POL-6: documents come into force in an order in which each finds what it refers to, the policy set last", () => {
  const kinds = ["policy", "agent", "tool", "budget", "person", "issuer"] as const;
  assert.deepEqual(kinds.map((kind) => ({ kind, name: "a" })).sort(inOrder).map(({ kind }) => kind), ["issuer", "person", "budget", "tool", "agent", "policy"]);
});
