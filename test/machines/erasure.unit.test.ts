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

function said(state: ErasureState, body: RecordedErasure, key?: KeyId, by = "op") {
  const input = { actor: by, id: body.id, hash: canonicalDigest(body), time: timestamp(T0), body };
  const decision = decideErasure(state, input, { kind: "erasure", ...(key !== undefined && { key }) });
  if (decision.kind === "commit") evolveErasure(state, decision.change);
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
