/** POL-6, ID-1: a document of the registry: every version that was ever applied, in order, each once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decideDocument, DOCUMENT_KINDS, type DocumentKind, type DocumentState, emptyDocument, evolveDocument } from "../../machines/registry.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { EVENT_TYPES } from "../../schemas/event.ts";
import { type Digest, namespace } from "../../schemas/ids.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { timestamp } from "../../schemas/time.ts";
import { T0 } from "./given.ts";

const ONE = sha256Digest("one");
const TWO = sha256Digest("two");
const fresh = (kind: DocumentKind = "tool") => emptyDocument(namespace("test"), kind, "crm", CURRENT_VERSION);

interface Said {
  readonly by?: string;
  readonly faults?: Reason[];
  /** Seconds after the beginning. */
  readonly at?: number;
}
function apply(state: DocumentState, id: string, document: Digest, { by = "op", faults = [], at = 0 }: Said = {}) {
  const decision = decideDocument(state, { actor: by, id, hash: sha256Digest(`${id} ${document}`), time: timestamp(T0 + at * 1000), document }, { kind: "applied", faults });
  if (decision.kind === "commit") evolveDocument(state, decision.change);
  return decision;
}
const drafts = (decision: ReturnType<typeof apply>) => (decision.kind === "commit" ? decision.drafts : decision.kind);

test("POL-6: each version names its number, its document and the one before, from the first on", () => {
  const state = fresh();
  assert.deepEqual([state.ns, state.kind, state.name, state.machine, state.seq, state.at, state.snapshot.value], ["test", "tool", "crm", CURRENT_VERSION, 0, "", "absent"]);
  assert.deepEqual(state.snapshot.context, { applied: "tool.applied", document: undefined, previous: undefined, version: 0 });
  assert.deepEqual(drafts(apply(state, "1", ONE)), [{ type: "tool.applied", from: "absent", to: "applied", data: { document: ONE, version: 1 } }]);
  assert.deepEqual(drafts(apply(state, "2", TWO)), [{ type: "tool.applied", from: "applied", to: "applied", data: { document: TWO, version: 2, previous: ONE } }]);
  assert.deepEqual(drafts(apply(state, "3", ONE)), [{ type: "tool.applied", from: "applied", to: "applied", data: { document: ONE, version: 3, previous: TWO } }], "an older one comes back as a new version");
  assert.deepEqual([state.seq, state.snapshot.value, state.snapshot.context.version], [3, "applied", 3]);
});

test("ID-1: a kind of document has an event of its own", () => {
  assert.deepEqual([...DOCUMENT_KINDS].sort(), EVENT_TYPES.filter((type) => type.endsWith(".applied")).map((type) => type.split(".")[0]).sort());
  for (const kind of DOCUMENT_KINDS) assert.equal(fresh(kind).snapshot.context.applied, `${kind}.applied`);
});

test("POL-6: the version in force changes nothing when it is applied again, and one input counts once", () => {
  const state = fresh();
  apply(state, "1", ONE);
  assert.equal(drafts(apply(state, "2", ONE)), "duplicate");
  apply(state, "3", TWO);
  assert.equal(drafts(apply(state, "1", ONE)), "duplicate", "said before: not a third version");
  assert.deepEqual(apply(state, "1", sha256Digest("three")), { kind: "refuse", reasons: [reason("id.reused", "id `1` was used before with other content", { path: "/id" })] });
  assert.equal(apply(state, "1", ONE, { by: "other" }).kind, "commit", "ids are each sender's own");
  assert.deepEqual([...state.inputs.keys()], ["apply/op/1", "apply/op/3", "apply/other/1"]);
});

test("POL-6: a document with faults is refused with all of them, and can be applied when it has none", () => {
  const state = fresh();
  const faults = [reason("schema.invalid", "unknown key `x`", { path: "/x" }), reason("schema.invalid", "must be text", { path: "/name" })];
  for (const some of [faults, faults.slice(1)]) assert.deepEqual(apply(state, "1", ONE, { faults: some }), { kind: "refuse", reasons: some });
  assert.deepEqual([state.seq, state.at, state.inputs.size], [0, "", 0]);
  assert.equal(apply(state, "1", ONE).kind, "commit");
});

test("CORE-6: a document's time never goes back, whatever the server's clock does", () => {
  const state = fresh();
  apply(state, "1", ONE, { at: 5 });
  assert.equal(state.at, timestamp(T0 + 5000));
  apply(state, "2", TWO, { at: 3 });
  assert.equal(state.at, timestamp(T0 + 5000));
  apply(state, "3", ONE, { at: 7 });
  assert.equal(state.at, timestamp(T0 + 7000));
});
