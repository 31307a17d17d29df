/** AUD-3: what an erasure records, and what it does not: one key once, by whom, and never who the subject is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decideErasure, emptyErasure, type ErasureState, evolveErasure, owedErasures } from "../../machines/erasure.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { namespace } from "../../schemas/ids.ts";
import type { RecordedErasure } from "../../schemas/inputs.ts";
import type { KeyId, Pseudonym } from "../../schemas/sealed.ts";
import { timestamp } from "../../schemas/time.ts";
import { T0 } from "./given.ts";

const SUBJECT = "5f0c6f1b1f3c4d5e8a9b0c1d2e3f4a5b" as Pseudonym;
const KEY = "9f8e7d6c5b4a3928" as KeyId;
const erase = (id: string): RecordedErasure => ({ verb: "erase", id, subject: SUBJECT, reason: "asked for" });
const destroyed = (key = KEY): RecordedErasure => ({ verb: "destroyed", id: `destroyed.${key}`, subject: SUBJECT, key });

function decided(state: ErasureState, body: RecordedErasure, key?: KeyId, by = "op", seconds = 0) {
  const input = { actor: by, id: body.id, hash: canonicalDigest(body), time: timestamp(T0 + seconds * 1000), body };
  const decision = decideErasure(state, input, { kind: "erasure", ...(key !== undefined && { key }) });
  if (decision.kind === "commit") evolveErasure(state, decision.change);
  return decision;
}
function said(...told: Parameters<typeof decided>) {
  const decision = decided(...told);
  return decision.kind === "commit" ? decision.drafts.map(({ type, from, to, data }) => ({ type, from, to, data })) : decision.kind === "duplicate" ? "duplicate" : decision.reasons[0]?.code;
}
const fresh = () => emptyErasure(namespace("test"), "subjects", CURRENT_VERSION);

test("AUD-3 an erasure names the key that the store has, is owed until it is destroyed, and then is no more", () => {
  const state = fresh();
  assert.deepEqual(said(state, erase("e1"), KEY), [{ type: "erasure.requested", from: "kept", to: "requested", data: { subject: SUBJECT, key: KEY, by: "op", reason: "asked for" } }]);
  assert.deepEqual(owedErasures(state), [{ subject: SUBJECT, key: KEY }]);
  assert.deepEqual(said(state, destroyed(), undefined, "signalbox-eraser"), [{ type: "erasure.completed", from: "requested", to: "completed", data: { subject: SUBJECT, key: KEY } }]);
  assert.deepEqual(owedErasures(state), []);
});

test("AUD-3 the same erasure counts once, and a subject without a key, a key that is being destroyed, or one that nobody asked about is refused", () => {
  const state = fresh();
  assert.equal(said(state, erase("e1")), "erasure.nothing");
  assert.equal(said(state, destroyed()), "erasure.unknown");
  said(state, erase("e1"), KEY);
  assert.equal(said(state, erase("e1"), KEY), "duplicate");
  assert.equal(said(state, { ...erase("e1"), reason: "another" } as RecordedErasure, KEY), "id.reused");
  assert.equal(said(state, erase("e2"), KEY), "erasure.under_way");
  said(state, destroyed());
  assert.equal(said(state, { ...destroyed(), id: "again" }), "duplicate", "whoever starts next says it again");
  assert.ok(Array.isArray(said(state, erase("e3"), "0123456789abcdef" as KeyId)), "a later key is erased on its own");
});

test("AUD-3 whoever is refused is told which part of what was sent is at fault", () => {
  const state = fresh();
  const refused = (...told: Parameters<typeof decided>) => {
    const decision = decided(...told);
    return decision.kind === "refuse" ? decision.reasons.map(({ code, path }) => `${code} ${path}`) : decision.kind;
  };
  assert.deepEqual(refused(state, erase("e1")), ["erasure.nothing /subject"]);
  assert.deepEqual(refused(state, destroyed()), ["erasure.unknown /key"]);
  assert.equal(refused(state, erase("e1"), KEY), "commit");
  assert.deepEqual(refused(state, { ...erase("e1"), reason: "another" } as RecordedErasure, KEY), ["id.reused /id"]);
  assert.deepEqual(refused(state, erase("e2"), KEY), ["erasure.under_way /subject"]);
  assert.equal(refused(state, erase("e1"), KEY, "other")[0], "erasure.under_way /subject", "ids are each sender's own");
});

test("AUD-3 CORE-6 an erasure is counted, and the time of erasures never goes back, whatever the server's clock does", () => {
  const state = fresh();
  assert.deepEqual(state, { ns: "test", name: "subjects", machine: CURRENT_VERSION, seq: 0, at: "", erasures: new Map(), inputs: new Map() });
  decided(state, erase("e1"), KEY, "op", 5);
  assert.deepEqual([state.seq, state.at], [1, timestamp(T0 + 5000)]);
  assert.deepEqual(state.erasures.get(KEY), { value: "requested", context: { subject: SUBJECT, key: KEY, by: "op", reason: "asked for" } });
  decided(state, destroyed(), undefined, "signalbox-eraser", 3);
  assert.deepEqual([state.seq, state.at, state.erasures.get(KEY)?.value], [2, timestamp(T0 + 5000), "completed"]);
  decided(state, erase("e3"), "0123456789abcdef" as KeyId, "op", 7);
  assert.deepEqual([state.seq, state.at], [3, timestamp(T0 + 7000)]);
  assert.deepEqual([...state.inputs.keys()], ["control/op/e1", `control/signalbox-eraser/destroyed.${KEY}`, "control/op/e3"]);
});
