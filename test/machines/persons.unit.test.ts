/** APP-3: whose own an action is, and who counts among those who agreed to it, link by link. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decidesNot, isSelf, stillAgreed } from "../../machines/persons.ts";
import type { Principal } from "../../schemas/facts.ts";
import type { Actor } from "../../schemas/ids.ts";
import { ISSUER, personOf } from "./given.ts";

type Run = Parameters<typeof isSelf>[0];
const run = (o: { holder?: string; principal?: Principal; chain?: string[] } = {}): Run =>
  ({ holder: o.holder, envelope: { principal: o.principal ?? null, chain: o.chain ?? [] } }) as unknown as Run;
const eve: Principal = { subject: "eve", issuer: ISSUER, verified: true };
const zoe = personOf("zoe");

test("APP-3: each of these alone makes a decision somebody's own: the agent, the holder, the principal, a link of the chain by name or by person", () => {
  assert.equal(isSelf(run(), "agent-1", "zoe", zoe), false);
  assert.equal(isSelf(run(), "zoe", "zoe", null), true, "the agent that proposed it");
  assert.equal(isSelf(run({ holder: "zoe" }), "agent-1", "zoe", null), true, "the holder of the run");
  assert.equal(isSelf(run({ principal: { ...eve, subject: "zoe" } }), "agent-1", "zoe", null), true, "the principal's name");
  assert.equal(isSelf(run({ chain: ["agent:zoe"] }), "agent-1", "zoe", null), true, "an agent on the way");
  assert.equal(isSelf(run({ chain: ["person:zoe"] }), "agent-1", "zoe", null), true, "an operator on the way");
  assert.equal(isSelf(run({ chain: [`principal:${ISSUER}|zoe`] }), "agent-1", "another-name", zoe), true, "a principal on the way");
  assert.equal(isSelf(run({ chain: [`principal:${ISSUER}|zoe`] }), "agent-1", "another-name", null), false);
});

test("APP-3: the principal behind another name is known by subject and issuer; without an issuer by subject alone", () => {
  const as = (principal: Principal, subject: string, issuer = ISSUER) => isSelf(run({ principal }), "agent-1", "ann", { subject, issuer });
  assert.deepEqual([as(eve, "eve"), as(eve, "zoe"), as(eve, "eve", "https://other.example")], [true, false, false]);
  assert.equal(as({ subject: "eve", verified: false }, "eve"), true);
});

test("APP-3: whoever may not decide is told who may", () => {
  const help = (person: Parameters<typeof decidesNot>[3]) => decidesNot(run(), "agent-1", "zoe" as Actor, person, "auditor");
  assert.deepEqual([help(null)?.code, help(null)?.help], ["person.unknown", "an operator applies a document of kind `person`"]);
  assert.deepEqual([help(zoe)?.code, help(zoe)?.help], ["approval.role", "one who holds `auditor` decides this"]);
  assert.equal(help(personOf("zoe", { roles: ["auditor"] })), undefined);
});

test("APP-3: who became part of the chain, or is somebody else by now, does not count among those who agreed", () => {
  const people = ["ann", "bob"].map((by) => ({ by, issuer: ISSUER, subject: by, standing: undefined }));
  const agreed = { role: "approver", count: 2, people };
  const now = { ann: personOf("ann"), bob: personOf("bob") };
  assert.equal(stillAgreed(run(), "agent-1", agreed, now), true);
  assert.equal(stillAgreed(run({ chain: ["person:bob"] }), "agent-1", agreed, now), false);
  assert.equal(stillAgreed(run(), "agent-1", agreed, { ann: now.ann }), false);
  assert.equal(stillAgreed(run(), "agent-1", agreed, undefined), false);
});
