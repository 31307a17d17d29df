/** Who is behind a name, and who is disabled (ID-3): by the documents in force, as they are now. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Principal } from "../../schemas/facts.ts";
import { digestSchema } from "../../schemas/ids.ts";
import type { Person } from "../../schemas/person.ts";
import { People } from "../../services/coordinator/people.ts";

const ISSUER = "https://id.example";
const DIGEST = digestSchema.parse(`sha256:${"a".repeat(64)}`);
const person = (name: string, more: { subject?: string; issuer?: string; disabled?: boolean } = {}) => ({
  digest: DIGEST,
  value: { person: { name, issuer: ISSUER, subject: name, roles: ["clerk", "lead"], ...more } } as unknown as Person,
});

function people(...all: ReturnType<typeof person>[]) {
  const documents = { all, looked: 0, person: (name: string) => documents.all.find(({ value }) => value.person.name === name), persons: () => (documents.looked++, documents.all) };
  return { documents, people: new People(documents) };
}
const principal = (subject: string, more: Partial<Principal> = {}): Principal => ({ issuer: ISSUER, subject, verified: true, ...more });

test("ID-3: one who is disabled counts for no decision and says nothing; who it was is known all the same", () => {
  const { people: known } = people(person("ada"), person("bob", { disabled: true }), person("cyd", { disabled: false }));
  assert.deepEqual(known.facts("ada"), { issuer: ISSUER, subject: "ada", roles: ["clerk", "lead"], document: DIGEST });
  assert.deepEqual([known.facts("cyd")?.subject, known.facts("bob"), known.facts("nobody")], ["cyd", null, null]);
  assert.deepEqual(known.silenced("bob"), { kind: "disabled", scope: "person:bob", reason: "the person's document says so" });
  assert.deepEqual([known.silenced("ada"), known.silenced("cyd"), known.silenced("nobody")], [undefined, undefined, undefined]);
  assert.deepEqual([known.identity("ada")?.subject, known.identity("bob")?.subject, known.identity("nobody")], ["ada", "bob", undefined]);
});

test("ID-3: a verified principal is disabled by the document of a person who is the same, under whatever name", () => {
  const { people: known } = people(person("ada"), person("robert", { subject: "bob", disabled: true }));
  assert.deepEqual(known.disabled(principal("bob")), { kind: "disabled", scope: `principal:${ISSUER}|bob`, reason: "the document of person `robert` disables it" });
  for (const other of [null, undefined, principal("ada"), principal("robert"), principal("bob", { issuer: "https://other.example" }), principal("bob", { verified: false })]) {
    assert.equal(known.disabled(other), undefined, JSON.stringify(other));
  }
  const { people: odd } = people(person("bob", { issuer: "undefined", disabled: true }));
  assert.equal(odd.disabled({ subject: "bob", verified: true }), undefined, "nobody without an issuer is anybody");
});

test("ID-3: one disabling document is enough, and it holds from the moment at which it is in force until it is not", () => {
  const { documents, people: known } = people(person("ada"), person("ada-two", { subject: "ada", disabled: true }));
  assert.ok(known.disabled(principal("ada")));
  assert.ok(known.disabled(principal("ada")));
  assert.equal(documents.looked, 1, "looked through once for all principals");
  documents.all = [person("ada")];
  known.changed();
  assert.equal(known.disabled(principal("ada")), undefined);
  documents.all = [person("ada", { disabled: true })];
  known.changed();
  assert.ok(known.disabled(principal("ada")));
});
