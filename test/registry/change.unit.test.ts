/** What a change of documents is refused for, and who has to agree to it (POL-6). */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { changeFactsSchema } from "../../schemas/facts.ts";
import { actor } from "../../schemas/ids.ts";
import { applyFaults, changeFacts, changeToolFacts } from "../../services/registry/change.ts";
import type { StoredDocument } from "../../services/registry/kinds.ts";
import { documents, NS, person, policySet, type Registry, registry } from "./in-force.ts";

const OPERATOR = actor("olga");
const ALLOW = '@id("reads")\npermit (principal, action == Action::"read", resource);\n';
const MORE = `${ALLOW}@id("writes")\npermit (principal, action == Action::"write", resource);\n`;
const AGENT = "agent: { name: clerk, owner: o, team: t, purpose: p }";
const TOOL = "name: pay.out\ndescription: d\neffect: write\nadapter: nats\noutput: {}\ninput: { type: object, properties: { usd: { type: number }, to: { type: string } } }";
const issuer = (name: string, iss: string) => {
  const key = { ...generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }), kid: "k" };
  return documents(`issuer: ${JSON.stringify({ name, iss, audience: "a", jwks: { keys: [key] } })}`);
};

function facts(from: Registry, changed: readonly StoredDocument[], by = OPERATOR) {
  const found = changeFacts({ registry: from.view, document: from.bytes }, NS, by, { documents: from.store(...changed) }, "");
  assert.doesNotThrow(() => changeFactsSchema.parse(found));
  return found;
}
/** `path code` of every fault. */
const faults = (from: Registry, changed: readonly StoredDocument[]) => facts(from, changed).tool.faults.map(({ path, code }) => `${path} ${code}`);
/** Who is asked: `2 approver`, or the decision. */
function asked(from: Registry, changed: readonly StoredDocument[], by = OPERATOR): string | undefined {
  const { faults: found, judgement } = facts(from, changed, by).tool;
  assert.deepEqual(found, []);
  return judgement?.ask === undefined ? judgement?.decision : `${judgement.ask.count} ${judgement.ask.role}`;
}

test("POL-6: the first documents come into force without anybody's agreement, all kinds in one change", async () => {
  const empty = registry();
  const all = [...issuer("corp", "https://corp"), person("olga", []), person("ann"), ...documents(`${TOOL}\n---\n${AGENT}\n---\nbudget: { scope: team, name: t, max_cost_usd_per_day: 1 }`), policySet(ALLOW)];
  assert.equal(asked(empty, all), "allow");
  const { start } = facts(empty, all);
  assert.deepEqual(start.principal, { subject: "olga", verified: false });
  assert.equal(start.agent?.name, "signalbox-registry");
});

test("POL-6: a set in force is changed by those whom it names; the version right before it needs nobody", async () => {
  const from = registry();
  const [first, second, third] = [policySet(ALLOW, { review: { role: "risk", count: 2 } }), policySet(MORE), policySet(`${MORE}// more\n`)];
  await from.apply(person("olga", []), first);
  assert.equal(asked(from, [second]), "2 risk");
  assert.equal(asked(from, [first]), "allow");
  await from.apply(second);
  assert.equal(asked(from, [third]), "1 approver");
  assert.equal(asked(from, [first]), "allow");
  await from.apply(third);
  assert.equal(asked(from, [first]), "1 approver");
});

test("POL-6: where it is not known which person proposes, one more is asked", async () => {
  const from = registry();
  await from.apply(policySet(ALLOW));
  assert.equal(asked(from, [policySet(MORE)]), "2 approver");
  await from.apply(person("olga", [], { disabled: true }));
  assert.equal(facts(from, [policySet(MORE)]).start.refusals?.[0]?.code, "person.disabled");
});

test("POL-6: reviewers are shown what is wider and what differs", async () => {
  const from = registry();
  await from.apply(policySet(ALLOW));
  const reasons = facts(from, [policySet(MORE)]).tool.judgement?.reasons ?? [];
  assert.deepEqual(reasons.map(({ code }) => code), ["change.widens", "change.field", "change.review"]);
  assert.match(reasons[0]?.message ?? "", /the permit `writes` is new/);
  assert.match(reasons[1]?.message ?? "", /`\/policies\/writes` is added: @id\("writes"\)/);
});

for (const [what, change, expected] of [
  ["a new person", () => [person("eve")], "1 approver"],
  ["a new name for a person, even without a role", () => [person("eve", [])], "1 approver"],
  ["another role", () => [person("bob", ["approver", "finance"])], "1 approver"],
  ["another person behind a name", () => [person("bob", ["approver"], { subject: "eve" })], "1 approver"],
  ["a new issuer", () => issuer("evil", "https://evil"), "1 approver"],
  ["a role taken away, while another is left to agree", () => [person("bob", [])], "allow"],
  ["a person disabled, while another is left to agree", () => [person("bob", ["approver"], { disabled: true })], "allow"],
  ["the roles of all who could agree", () => [person("ann", []), person("bob", [])], "1 approver"],
  ["a tool", () => documents(TOOL), "allow"],
] as const) {
  test(`ID-5: once others can agree, ${what}: ${expected}`, async () => {
    const from = registry();
    await from.apply(policySet(ALLOW), person("olga", ["approver"]), person("ann"), person("bob"));
    assert.equal(asked(from, change()), expected);
  });
}

test("POL-6: a set may also ask about contracts, tools and budgets, where they give more than there was", async () => {
  const from = registry();
  const [tool] = documents(TOOL);
  const [contract] = documents(`${AGENT}\nbudgets: { max_steps: 5 }`);
  await from.apply(policySet(ALLOW, { review: { role: "risk", count: 1, also: ["agent", "tool"] } }), person("olga", []), tool as StoredDocument, contract as StoredDocument);
  assert.equal(asked(from, documents(TOOL.replace("effect: write", "effect: read"))), "1 risk");
  assert.equal(asked(from, documents(TOOL.replace("effect: write", "effect: irreversible"))), "allow");
  assert.equal(asked(from, documents(`${AGENT}\nbudgets: { max_steps: 6 }`)), "1 risk");
  assert.equal(asked(from, documents(`${AGENT}\nbudgets: { max_steps: 4 }`)), "allow");
  assert.equal(asked(from, documents("budget: { scope: team, name: t }")), "allow");
});

test("ID-5: a lone operator does not become two approvers: he is not among those who could agree, under any of his names", async () => {
  const from = registry();
  await from.apply(policySet(ALLOW), person("olga", ["approver"]), person("olga-2", ["approver"], { subject: "olga" }));
  // nobody else holds the role: the first other person must be possible
  assert.equal(asked(from, [person("ann")]), "allow");
  await from.apply(person("ann"));
  assert.equal(asked(from, [person("puppet")]), "1 approver");
  assert.equal(facts(from, [person("puppet")]).start.principal?.subject, "olga");
  assert.equal(asked(from, [person("puppet")], actor("ghost")), "2 approver");
});

test("ID-1: every fault of every document of a change comes at once, with its place in the change", async () => {
  const from = registry();
  const [tool] = documents(TOOL);
  const [contract] = documents(`${AGENT}\ntools: { allowlist: [ { name: pay.out, requires_approval_above: { field: eur, value: 5 }, standing_approval: { max_uses: 1, max_seconds: 1, vary: [/x] } } ] }`);
  const elsewhere = documents(`agent: { name: far, owner: o, team: t, purpose: p }\nnamespaces: [finance]`);
  const twins = [...issuer("one", "https://same"), ...issuer("two", "https://same")];
  assert.deepEqual(faults(from, [tool, contract, ...elsewhere, ...twins, policySet("permit (principal, action, resource);")] as StoredDocument[]), [
    "/documents/5 policy.id_missing",
    "/documents/2/namespaces contract.namespace",
    "/documents/3/issuer/iss issuer.twice",
    "/documents/4/issuer/iss issuer.twice",
    "/documents/1/tools/allowlist/0/requires_approval_above/field contract.field",
    "/documents/1/tools/allowlist/0/standing_approval/vary/0 contract.field",
  ]);
});

test("ID-1: a tool that changes must still fit with the contracts in force that name it", async () => {
  const from = registry();
  const [tool] = documents(TOOL);
  const [contract] = documents(`${AGENT}\ntools: { allowlist: [ { name: pay.out, requires_approval_above: { field: usd, value: 5 } } ] }`);
  await from.apply(tool as StoredDocument, contract as StoredDocument);
  const renamed = documents(TOOL.replace("usd", "amount"));
  const [found] = facts(from, renamed).tool.faults;
  assert.match(found?.message ?? "", /the contract of `clerk` no longer fits: `usd` is not declared/);
  const both = documents(`${TOOL.replace("usd", "amount")}\n---\n${AGENT}\ntools: { allowlist: [ { name: pay.out, requires_approval_above: { field: amount, value: 5 } } ] }`);
  assert.deepEqual(faults(from, both), []);
});

test("POL-6: what is not stored, is another document, stands twice, or is the plane's own is refused", async () => {
  const from = registry();
  const [tool] = from.store(...documents(TOOL));
  assert.ok(tool);
  const missing = { ...tool, document: `sha256:${"0".repeat(64)}` as typeof tool.document };
  const of = (...all: unknown[]) => changeToolFacts({ registry: from.view, document: from.bytes }, NS, { documents: all } as never, null).faults.map(({ code }) => code);
  assert.deepEqual(of(missing), ["document.missing"]);
  assert.deepEqual(of({ ...tool, name: "other" }), ["document.mismatch"]);
  assert.deepEqual(of(tool, tool), ["change.twice"]);
  // what an approver puts in its place may be anything
  assert.deepEqual(changeToolFacts({ registry: from.view, document: from.bytes }, NS, "nonsense", null).faults.map(({ code }) => code), ["schema.invalid"]);
});

test("POL-6: a document that is applied on its own passes where no review is due, and a gateway's always", async () => {
  const from = registry();
  const [first, second] = [policySet(ALLOW), policySet(MORE)];
  const codes = (document: StoredDocument, by: typeof OPERATOR | undefined) => {
    from.store(document);
    return applyFaults(from.view, NS, by, document.kind, document.name, document.digest, document.bytes).map(({ code }) => code);
  };
  assert.deepEqual(codes(first, OPERATOR), []);
  await from.apply(first, person("ann"), person("bob"));
  assert.deepEqual(codes(first, OPERATOR), []);
  assert.deepEqual(codes(second, OPERATOR), ["policy.review"]);
  assert.deepEqual(codes(second, undefined), []);
  assert.deepEqual(codes(person("eve"), OPERATOR), ["change.review"]);
  assert.deepEqual(codes(documents(TOOL)[0] as StoredDocument, OPERATOR), []);
  assert.deepEqual(codes(documents(`${AGENT}\nnamespaces: [finance]`)[0] as StoredDocument, undefined), ["contract.namespace"]);
});

test("POL-6: a policy set that was applied and cannot be read is not taken for none", async () => {
  const from = registry();
  const lost = policySet(ALLOW);
  await from.view.put("policy", "default", lost.digest);
  assert.equal(from.view.policy(), undefined);
  assert.equal(asked(from, [policySet(MORE)]), "2 approver");
});
