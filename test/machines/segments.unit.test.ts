/** CORE-5: the table of segments, told everything: what each answer says, and what is recorded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decideSegments, emptySegments, evolveSegments, type SegmentsInput, type SegmentsState } from "../../machines/segments.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import { namespace } from "../../schemas/ids.ts";
import { MAX_SEGMENTS } from "../../schemas/segments.ts";
import { timestamp } from "../../schemas/time.ts";
import { T0 } from "./given.ts";

const INDEX = sha256Digest("a list");
const LEAD = 120;
const TABLE = "segments:journal";
const fresh = () => emptySegments(namespace("test"), "journal", CURRENT_VERSION);
const at = (seconds: number) => timestamp(T0 + seconds * 1000);

/** @param time seconds after the beginning */
function tell(state: SegmentsState, actor: string, body: SegmentsInput["body"], time: number, streams = MAX_SEGMENTS) {
  const decision = decideSegments(state, { actor, id: body.id, hash: canonicalDigest(body), time: at(time), body }, { kind: "segments", streams, lead_ms: LEAD * 1000 });
  if (decision.kind === "commit") evolveSegments(state, decision.change);
  return decision.kind === "commit" ? decision.drafts : decision.kind === "refuse" ? decision.reasons.map(({ code, path, help }) => [code, path, help].filter((part) => part !== undefined).join(" ")) : decision.kind;
}
const open = (state: SegmentsState, id: string, time: number, streams?: number) => tell(state, "op", { verb: "open", id }, time, streams);
const next = (state: SegmentsState, segment: number, time: number) => tell(state, TABLE, { name: "open", id: `open-${segment}`, segment }, time);
const seal = (state: SegmentsState, segment: number, time: number, id = `seal-${segment}`, runs = 3) => tell(state, TABLE, { name: "seal", id, segment, runs, index: INDEX }, time);

test("CORE-5: a journal begins with one open segment that nobody opened, and nothing recorded", () => {
  assert.deepEqual(fresh(), {
    ns: "test", name: "journal", machine: CURRENT_VERSION, seq: 0, at: "",
    segments: new Map([[1, { value: "open", context: { segment: 1, from: "", by: "" } }]]),
    inputs: new Map(),
  });
});

test("CORE-5: an opening records who opened which segment and from when on; a sealing how many runs it has and their list", () => {
  const state = fresh();
  assert.deepEqual(open(state, "a", 0), [{ type: "segments.opened", from: "absent", to: "open", data: { segment: 2, from: at(LEAD), by: "op" } }]);
  assert.deepEqual(seal(state, 1, LEAD), [{ type: "segments.sealed", from: "open", to: "sealed", data: { segment: 1, runs: 3, index: INDEX } }]);
  assert.deepEqual(next(state, 3, LEAD + 1), [{ type: "segments.opened", from: "absent", to: "open", data: { segment: 3, from: at(2 * LEAD + 1), by: TABLE } }]);
  assert.deepEqual([state.seq, state.at], [3, at(LEAD + 1)]);
  assert.deepEqual([...state.segments].map(([segment, { value, context }]) => [segment, value, context.from, context.by]), [[1, "sealed", "", ""], [2, "open", at(LEAD), "op"], [3, "open", at(2 * LEAD + 1), TABLE]]);
  assert.deepEqual([...state.inputs.keys()], ["op/a", `${TABLE}/seal-1`, `${TABLE}/open-3`]);
});

test("CORE-5: one input counts once, and an id is its sender's own", () => {
  const state = fresh();
  open(state, "a", 0);
  assert.equal(open(state, "a", LEAD), "duplicate");
  assert.deepEqual(tell(state, "op", { verb: "open", id: "a", reason: "more" } as SegmentsInput["body"], LEAD), ["id.reused /id"]);
  assert.ok(Array.isArray(tell(state, "other", { verb: "open", id: "a" }, LEAD)));
  assert.equal(state.seq, 2);
});

test("CORE-5: a segment is opened when runs start in the one before, when it has a stream, and as the next one only", () => {
  const state = fresh();
  assert.deepEqual(open(state, "a", 0, 1), ["segments.no_stream a plane that starts makes the next one"]);
  assert.deepEqual(next(state, 1, 0), ["segments.not_next /segment"]);
  assert.deepEqual(next(state, 3, 0), ["segments.not_next /segment"]);
  assert.ok(typeof open(state, "b", 0, 2) === "object" && state.seq === 1);
  assert.deepEqual(open(state, "c", LEAD - 1), ["segments.pending"]);
  assert.deepEqual(open(state, "c", LEAD, 2), ["segments.no_stream a plane that starts makes the next one"]);
  open(state, "c", LEAD);
  assert.equal(state.segments.size, 3, "the moment at which runs start in it is enough");
});

test("CORE-5: there are never more segments than permissions name", () => {
  const state = fresh();
  for (let n = 2; n <= MAX_SEGMENTS; n += 1) next(state, n, n * 2 * LEAD);
  assert.equal(state.segments.size, MAX_SEGMENTS);
  assert.deepEqual(open(state, "more", 100 * LEAD, MAX_SEGMENTS + 1), ["segments.most"]);
});

test("CORE-5: what no run can start in is sealed, once", () => {
  const state = fresh();
  assert.deepEqual(seal(state, 1, 0), ["segments.in_use /segment"]);
  assert.deepEqual(seal(state, 2, 0), ["segments.unknown /segment"]);
  open(state, "a", 0);
  assert.deepEqual(seal(state, 1, LEAD - 1), ["segments.in_use /segment"]);
  assert.ok(Array.isArray(seal(state, 1, LEAD)) && state.seq === 2);
  assert.equal(seal(state, 1, LEAD), "duplicate");
  assert.deepEqual(seal(state, 1, LEAD, "again"), ["segments.sealed /segment"]);
  assert.deepEqual(seal(state, 1, LEAD, "seal-1", 4), ["id.reused /id"]);
  assert.deepEqual(seal(state, 2, 3 * LEAD), ["segments.in_use /segment"]);
});

test("CORE-6: the table's time never goes back, and what is opened is opened from that time on", () => {
  const state = fresh();
  open(state, "a", 10);
  open(state, "b", 10 + LEAD);
  assert.equal(state.at, at(10 + LEAD));
  assert.ok(Array.isArray(seal(state, 1, 5)), "by the table's time, runs start in segment 2");
  assert.deepEqual([state.at, state.seq], [at(10 + LEAD), 3]);
});
