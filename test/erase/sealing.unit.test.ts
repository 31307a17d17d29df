/** Law 10: a personal field is sealed under its subject's key, the same way by everybody, and opens only where it belongs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { namespace } from "../../schemas/ids.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { sealedIn, sealedValue, withheldValue } from "../../schemas/sealed.ts";
import { toolSchema } from "../../schemas/tool.ts";
import { type KeysAtHand, openFields, sealFields } from "../../services/identity/personal-fields.ts";
import { openValue, PersonalMaster, sealValue, type SubjectKey } from "../../services/identity/sealing.ts";
import { marksOf } from "../../services/registry/personal.ts";

const NS = namespace("default");
const RUN = { ns: NS, run: "clerk_1" };
const AT = "propose/clerk/p1";
const master = new PersonalMaster(new Uint8Array(32).fill(7));
const marks = (...personal: { path: string; subject: string }[]) =>
  marksOf(toolSchema.parse({ name: "t", description: "d", input: {}, output: {}, effect: "read", adapter: { type: "nats" }, personal }));
const EMAIL = marks({ path: "email", subject: "customer" });

/** Keys as a store gives them: one of a subject, and none once it is destroyed. */
function keyring() {
  const keys = new Map<string, SubjectKey>();
  const gone = new Set<string>();
  const hand: KeysAtHand = {
    pseudonym: (subject) => master.pseudonym(NS, subject),
    sealing: (subject) => {
      const key = keys.get(subject) ?? master.newKey(subject);
      keys.set(subject, key);
      return key;
    },
    opening: (subject, id) => (gone.has(id) ? undefined : keys.get(subject)),
  };
  return { hand, keys, destroy: (subject: string) => void gone.add(keys.get(master.pseudonym(NS, subject))?.id ?? "") };
}

const sealed = (hand: KeysAtHand, value: JsonValue, by = EMAIL, at = AT, within = RUN) => sealFields(hand, within, at, value, by, [value]);

describe("law 10: sealing", () => {
  it("holds nothing of the value, and opens to it", () => {
    const { hand } = keyring();
    const value = { customer: "c7", email: "ann@example.com", amount: 3 };
    const { value: stored, changed } = sealed(hand, value);
    assert.ok(changed);
    assert.ok(!JSON.stringify(stored).includes("ann"), "the value is not in it");
    assert.equal((stored as { amount: number }).amount, 3);
    assert.deepEqual(openFields(hand, RUN, stored, EMAIL), { plain: value, said: value, faults: [], erased: false });
  });

  it("is a function of key, run, place and value: two who hold the same key make the same bytes (law 1)", () => {
    const { hand } = keyring();
    const value = { customer: "c7", email: "ann@example.com" };
    assert.deepEqual(sealed(hand, value), sealed(hand, value));
    const other = (change: () => { value: JsonValue }) => assert.notDeepEqual(change().value, sealed(hand, value).value);
    other(() => sealed(hand, value, EMAIL, "propose/clerk/p2"));
    other(() => sealed(hand, value, EMAIL, AT, { ns: NS, run: "clerk_2" }));
    other(() => sealed(hand, { ...value, email: "bob@example.com" }));
    const key = master.newKey(master.pseudonym(NS, "c7"));
    assert.notEqual(sealValue(key, NS, "clerk_1", AT, "x").value, sealValue(master.newKey(key.subject), NS, "clerk_1", AT, "x").value);
  });

  it("opens in no other run, at no other place, under no other subject, and not when a bit was changed", () => {
    const key = master.newKey(master.pseudonym(NS, "c7"));
    const made = sealValue(key, NS, "clerk_1", `${AT}/email`, "ann@example.com");
    assert.equal(openValue(key, NS, "clerk_1", made), "ann@example.com");
    assert.equal(openValue(key, NS, "clerk_2", made), undefined, "another run");
    assert.equal(openValue(key, namespace("other"), "clerk_1", made), undefined, "another namespace");
    assert.equal(openValue(key, NS, "clerk_1", { ...made, at: `${AT}/name` }), undefined, "another place");
    assert.equal(openValue({ ...key, subject: master.pseudonym(NS, "c8") }, NS, "clerk_1", { ...made, subject: master.pseudonym(NS, "c8") }), undefined, "another subject");
    const flipped = Buffer.from(made.value, "base64url");
    flipped[20]! ^= 1;
    assert.equal(openValue(key, NS, "clerk_1", { ...made, value: flipped.toString("base64url") }), undefined, "a flipped bit");
  });

  it("whatever the value, wherever it stands: it opens to itself, and none of its words are left (a property)", () => {
    const { hand } = keyring();
    const by = marks({ path: "a", subject: "who" }, { path: "rows.*.b", subject: "who" });
    const secret = fc.string({ minLength: 6, maxLength: 40 }).map((text) => `planted ${text}`);
    const value = fc.oneof(secret, fc.record({ x: secret, n: fc.integer() }), fc.array(secret, { minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(fc.record({ who: fc.string({ minLength: 1 }), a: value, rows: fc.array(fc.record({ b: value, c: fc.integer() }), { maxLength: 4 }), rest: fc.jsonValue() }), (input) => {
        const plain = JSON.parse(JSON.stringify(input)) as JsonValue;
        const { value: stored } = sealFields(hand, RUN, AT, plain, by, [plain]);
        assert.ok(!JSON.stringify({ ...(stored as object), rest: null, who: null }).includes("planted"));
        assert.deepEqual(openFields(hand, RUN, stored, by), { plain, said: plain, faults: [], erased: false });
        assert.deepEqual(sealFields(hand, RUN, AT, stored, by, [stored]), { value: stored, changed: false }, "sealed once is sealed");
      }),
    );
  });

  it("does not tell values of about the same length apart by their size", () => {
    const key = master.newKey(master.pseudonym(NS, "c7"));
    const size = (value: JsonValue) => sealValue(key, NS, "clerk_1", AT, value).value.length;
    assert.equal(size(true), size("no, and for a longer reason"));
  });

  it("an agent passes on what this run's outputs hold; what it writes by hand, or brings from another run, does not open", () => {
    const { hand } = keyring();
    const output = sealFields(hand, RUN, "report/g/a3.1.n", { email: "ann@example.com" }, EMAIL, [{ customer: "c7" }]).value as { email: JsonValue };
    const passed = sealed(hand, { customer: "c7", email: output.email });
    assert.equal(passed.changed, false, "it stays as it was sealed");
    const opened = openFields(hand, RUN, passed.value, EMAIL);
    assert.deepEqual(opened.plain, { customer: "c7", email: "ann@example.com" });
    assert.deepEqual(opened.said, passed.value, "the agent never saw more of it than the sealed form");
    assert.deepEqual(openFields(hand, { ns: NS, run: "clerk_2" }, passed.value, EMAIL).faults.map(({ code, path }) => [code, path]), [["personal.forged", "/email"]]);
    const real = sealedIn(output.email);
    assert.ok(real);
    const forged = { customer: "c7", email: sealedValue({ ...real, value: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }) };
    assert.deepEqual(openFields(hand, RUN, forged, EMAIL).faults.map(({ code }) => code), ["personal.forged"]);
  });

  it("withholds a value of which nobody can say whose it is", () => {
    const { hand } = keyring();
    const { value } = sealed(hand, { email: "ann@example.com" });
    assert.deepEqual(value, { email: withheldValue("no_subject") });
    assert.deepEqual(openFields(hand, RUN, value, EMAIL).faults.map(({ code }) => code), ["personal.no_subject"]);
  });

  it("seals each item of a list under the key of its own subject", () => {
    const { hand, keys } = keyring();
    const by = marks({ path: "people.*.name", subject: "people.*.id" });
    const value = { people: [{ id: 1, name: "Ann" }, { id: 2, name: "Bob" }, { id: 3 }] };
    const { value: stored } = sealed(hand, value, by);
    assert.deepEqual([...keys.keys()].sort(), ["1", "2"].map((id) => master.pseudonym(NS, id)).sort());
    assert.deepEqual(openFields(hand, RUN, stored, by).plain, value);
  });

  it("a field that says its own subject, and one within another one, are sealed once", () => {
    const { hand } = keyring();
    const own = marks({ path: "email", subject: "email" });
    const { value } = sealed(hand, { email: "ann@example.com" }, own);
    assert.deepEqual(openFields(hand, RUN, value, own).plain, { email: "ann@example.com" });
    const nested = marks({ path: "who.name", subject: "id" }, { path: "who", subject: "id" });
    const whole = sealed(hand, { id: "c7", who: { name: "Ann" } }, nested).value as { who: JsonValue };
    assert.ok(sealedIn(whole.who), "the outer one is sealed, and what is in it with it");
    assert.deepEqual(openFields(hand, RUN, whole, nested).plain, { id: "c7", who: { name: "Ann" } });
  });

  it("opens nothing once the key is destroyed, and says so", () => {
    const ring = keyring();
    const { value } = sealed(ring.hand, { customer: "c7", email: "ann@example.com" });
    ring.destroy("c7");
    const { faults, erased } = openFields(ring.hand, RUN, value, EMAIL);
    assert.deepEqual([faults.map(({ code }) => code), erased], [["personal.erased"], true]);
  });

  it("a key is wrapped for its subject and its name, and a copy of the store alone opens nothing", () => {
    const key = master.newKey(master.pseudonym(NS, "c7"));
    const wrapped = master.wrapped(NS, key);
    assert.deepEqual(master.unwrapped(NS, key.subject, key.id, wrapped), key);
    assert.equal(new PersonalMaster(new Uint8Array(32).fill(8)).unwrapped(NS, key.subject, key.id, wrapped), undefined);
    assert.equal(master.unwrapped(NS, master.pseudonym(NS, "c8"), key.id, wrapped), undefined);
    assert.notEqual(master.pseudonym(NS, "c7"), new PersonalMaster(new Uint8Array(32).fill(8)).pseudonym(NS, "c7"), "who has not the plane's key cannot make pseudonyms either");
  });
});
