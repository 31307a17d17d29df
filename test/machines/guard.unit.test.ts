/** GUARD-9, ID-2: stops and revocations as they are recorded, and who may lift them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type GuardDecision, type GuardState, decideGuard, emptyGuard, evolveGuard } from "../../machines/guard.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import type { PersonFacts } from "../../schemas/facts.ts";
import { namespace } from "../../schemas/ids.ts";
import { type GuardControl, guardControlSchema } from "../../schemas/inputs.ts";

const person = (subject: string): PersonFacts => ({ issuer: "https://id.example", subject, roles: [], document: sha256Digest(subject) });

function tell(state: GuardState, by: string, body: object, who: PersonFacts | null = null): GuardDecision {
  const control: GuardControl = guardControlSchema.parse({ id: `i${state.seq}-${by}`, reason: "because", ...body });
  const input = { actor: by, id: control.id, hash: canonicalDigest(control), time: "2026-11-21T10:00:00.000Z", body: control };
  const decision = decideGuard(state, input, { kind: "guard", person: who });
  assert.deepEqual(decideGuard(state, input, { kind: "guard", person: who }), decision);
  if (decision.kind === "commit") evolveGuard(state, decision.change);
  return decision;
}
const guard = () => emptyGuard(namespace("test"), "stops", "2");
const what = (decision: GuardDecision) => (decision.kind === "commit" ? decision.drafts.map(({ type }) => type) : decision.kind === "refuse" ? decision.reasons.map(({ code }) => code) : decision.kind);

test("GUARD-9 a stop is named after its event, and two of one scope are two entries that are lifted one by one", () => {
  const state = guard();
  assert.deepEqual(what(tell(state, "ada", { verb: "stop", scope: "all" })), ["guard.stopped"]);
  assert.deepEqual(what(tell(state, "bob", { verb: "stop", scope: "all" })), ["guard.stopped"]);
  assert.deepEqual([...state.stops.keys()], ["s1", "s2"]);
  assert.deepEqual(what(tell(state, "bob", { verb: "lift", stop: "s1" })), ["guard.lifted"]);
  assert.deepEqual([...state.stops.values()].map(({ value }) => value), ["lifted", "standing"]);
});

test("GUARD-9 who stopped does not lift, under no name of theirs; another person does", () => {
  const state = guard();
  tell(state, "ada", { verb: "stop", scope: "agent:clerk" }, person("ada"));
  assert.deepEqual(what(tell(state, "ada", { verb: "lift", stop: "s1" }, person("ada"))), ["guard.same_person"]);
  assert.deepEqual(what(tell(state, "ada-two", { verb: "lift", stop: "s1" }, person("ada"))), ["guard.same_person"]);
  assert.deepEqual(what(tell(state, "bob", { verb: "lift", stop: "s1" }, person("bob"))), ["guard.lifted"]);
  assert.deepEqual(what(tell(state, "cy", { verb: "lift", stop: "s1" }, person("cy"))), ["guard.lifted_before"]);
  assert.deepEqual(what(tell(state, "cy", { verb: "lift", stop: "s9" })), ["guard.unknown"]);
});

test("GUARD-9 where nobody is known by a document, names are compared", () => {
  const state = guard();
  tell(state, "ada", { verb: "stop", scope: "tool:t.write" });
  assert.deepEqual(what(tell(state, "ada", { verb: "lift", stop: "s1" })), ["guard.same_person"]);
  assert.deepEqual(what(tell(state, "bob", { verb: "lift", stop: "s1" })), ["guard.lifted"]);
});

test("ID-2 only who has credentials or a name is revoked; the rest is stopped", () => {
  const state = guard();
  for (const scope of ["agent:clerk", "version:clerk@1.0", "principal:https://id.example|ada", "person:ada"]) {
    assert.deepEqual(what(tell(state, "op", { verb: "revoke", scope })), ["guard.stopped"]);
  }
  for (const scope of ["all", "tool:t.write", "team:support"]) assert.deepEqual(what(tell(state, "op", { verb: "revoke", scope })), ["guard.not_revocable"]);
  assert.deepEqual([...state.stops.values()].map(({ context }) => context.kind), Array(4).fill("revocation"));
});

test("law 3 the same control again is a duplicate, its id with other content is refused", () => {
  const state = guard();
  const body = { verb: "stop", scope: "all", id: "one" };
  tell(state, "op", body);
  assert.equal(what(tell(state, "op", body)), "duplicate");
  assert.deepEqual(what(tell(state, "op", { ...body, scope: "agent:x" })), ["id.reused"]);
});
