/** The table of segments, positions over several streams, and lists of runs: what is pure of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decideSegments, emptySegments, evolveSegments, type SegmentsInput, type SegmentsState } from "../../machines/segments.ts";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import type { SegmentsFacts } from "../../schemas/facts.ts";
import { namespace } from "../../schemas/ids.ts";
import { listed, RUN_HASH_BYTES, runHash, RunHashes } from "../../schemas/run-list.ts";
import { MAX_SEGMENTS, positionOf, positionText, segmentOf, segmentOfStream, segmentStream, sequenceOf } from "../../schemas/segments.ts";
import { parseLog, segmentOfSubject, subjects } from "../../schemas/subjects.ts";
import { millis, timestamp } from "../../schemas/time.ts";
import { encode } from "../../services/bus/codec.ts";
import { EMPTY_CHAIN, headersOf, seal } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { SegmentTable, segmentTableSubject } from "../../services/bus/segment-table.ts";
import { decodeEvent } from "../../services/bus/commit.ts";

const NS = namespace("default");
const T0 = Date.UTC(2026, 0, 31, 9, 30);
const INDEX = sha256Digest(Buffer.from("a list"));
const FACTS: SegmentsFacts = { kind: "segments", streams: MAX_SEGMENTS, lead_ms: 120_000 };

/** Tells the machine something, and takes what it decides. */
function tell(state: SegmentsState, actor: string, body: SegmentsInput["body"], time: number, facts = FACTS) {
  const input: SegmentsInput = { actor, id: body.id, hash: canonicalDigest(body), time: timestamp(time), body };
  const decision = decideSegments(state, input, facts);
  if (decision.kind === "commit") evolveSegments(state, decision.change);
  return { decision, input };
}
const open = (state: SegmentsState, id: string, time: number, facts = FACTS) => tell(state, "op", { verb: "open", id }, time, facts).decision;
const codes = (decision: ReturnType<typeof open>) => (decision.kind === "refuse" ? decision.reasons.map(({ code }) => code) : decision.kind);

describe("the table of segments", () => {
  it("opens one after the other, from a lead after the input on, and never two for one need (CORE-5)", () => {
    const state = emptySegments(NS, "journal", CURRENT_VERSION);
    const first = open(state, "a", T0);
    assert.deepEqual(first.kind === "commit" && first.drafts, [{ type: "segments.opened", from: "absent", to: "open", data: { segment: 2, from: timestamp(T0 + 120_000), by: "op" } }]);
    assert.equal(codes(open(state, "a", T0 + 1)), "duplicate");
    assert.deepEqual(codes(open(state, "b", T0 + 119_999)), ["segments.pending"]);
    const signal = (segment: number, id: string) => tell(state, "segments:journal", { name: "open", id, segment }, T0 + 120_000).decision;
    assert.deepEqual(codes(signal(2, "late")), ["segments.not_next"]);
    assert.equal(signal(3, "open-3").kind, "commit");
  });

  it("opens none without a stream, and none beyond the last", () => {
    const state = emptySegments(NS, "journal", CURRENT_VERSION);
    assert.deepEqual(codes(open(state, "a", T0, { ...FACTS, streams: 1 })), ["segments.no_stream"]);
    for (let n = 2; n <= MAX_SEGMENTS; n++) assert.equal(open(state, `o${n}`, T0 + n * 1_000_000).kind, "commit", String(n));
    assert.deepEqual(codes(open(state, "more", T0 + 100_000_000)), ["segments.most"]);
  });

  it("seals what no run can start in, once", () => {
    const state = emptySegments(NS, "journal", CURRENT_VERSION);
    const sealing = (segment: number, time: number, id = `seal-${segment}`) => tell(state, "segments:journal", { name: "seal", id, segment, runs: 3, index: INDEX }, time).decision;
    assert.deepEqual(codes(sealing(1, T0)), ["segments.in_use"]);
    open(state, "a", T0);
    assert.deepEqual(codes(sealing(1, T0 + 119_999)), ["segments.in_use"]);
    assert.deepEqual(codes(sealing(3, T0 + 200_000)), ["segments.unknown"]);
    assert.equal(sealing(1, T0 + 120_000).kind, "commit");
    assert.equal(codes(sealing(1, T0 + 120_001)), "duplicate");
    assert.deepEqual(codes(sealing(1, T0 + 120_001, "again")), ["segments.sealed"]);
    assert.deepEqual(codes(sealing(2, T0 + 300_000)), ["segments.in_use"]);
  });

  /** The table's events as the journal holds them, each stored so long after its input. */
  function stored(delays: readonly number[]): StoredMessage[] {
    const state = emptySegments(NS, "journal", CURRENT_VERSION);
    let head = EMPTY_CHAIN;
    return delays.flatMap((delay, index) => {
      const time = T0 + index * 1_000_000;
      const { decision, input } = tell(state, "op", { verb: "open", id: `o${index}` }, time);
      if (decision.kind !== "commit") throw new Error("not opened");
      const cause = { id: input.id, kind: "control" as const, actor: "op", time: input.time };
      const sealed = seal({ ns: NS, kind: "segments", name: "journal" }, head, { drafts: decision.drafts, at: decision.change.at, machine: CURRENT_VERSION, cause, premise: { input: input.body as never, input_hash: input.hash, facts: FACTS } });
      head = sealed.head;
      return sealed.events.map(({ subject, headers, data }) => ({ subject, seq: 100 + index, time: time + delay, headers: new Map(Object.entries(headers)), data }));
    });
  }

  it("gives every reader of the same events the same segment for the same time, and none that was stored too late", () => {
    const messages = stored([10, 60_001, 60_000]);
    assert.equal(messages[0]?.subject, segmentTableSubject(NS));
    const [one, other] = [new SegmentTable(), new SegmentTable()];
    for (const message of messages) one.take(message);
    for (const message of [...messages, ...messages]) other.take(message);
    assert.deepEqual(one.segments.map(({ segment, counts }) => [segment, counts]), [[1, true], [2, true], [3, false], [4, true]]);
    const second = T0 + 120_000;
    const fourth = T0 + 2_000_000 + 120_000;
    for (const table of [one, other]) assert.deepEqual([0, second - 1, second, fourth - 1, fourth].map((time) => table.at(time)), [1, 1, 2, 2, 4]);
    assert.deepEqual([1, 2, 3, 4].map((segment) => one.endOf(segment)), [second, fourth, fourth, undefined]);
  });

  it("is an event like every other: by its headers and its body", () => {
    const [message] = stored([0]);
    assert.ok(message);
    const { body } = decodeEvent(message);
    assert.deepEqual(Object.fromEntries(message.headers), headersOf(body));
    assert.deepEqual(Buffer.from(encode(body)), Buffer.from(message.data));
    assert.equal(millis(body.cause.time), T0);
  });
});

describe("positions", () => {
  it("name one message of one segment, in order, and are the stream's own in the first", () => {
    assert.equal(positionOf(1, 7), 7);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_SEGMENTS }), fc.integer({ min: 0, max: 2 ** 40 - 1 }), fc.integer({ min: 1, max: MAX_SEGMENTS }), fc.integer({ min: 0, max: 2 ** 40 - 1 }), (a, m, b, n) => {
        const [one, other] = [positionOf(a, m), positionOf(b, n)];
        assert.ok(Number.isSafeInteger(one));
        assert.deepEqual([segmentOf(one), sequenceOf(one)], [a, m]);
        if (a < b || (a === b && m < n)) assert.ok(one < other);
      }),
    );
    assert.deepEqual([positionText(7), positionText(positionOf(2, 7))], ["7", "2:7"]);
  });

  it("streams and subjects say which segment they are of, and no namespace's stream is taken for another's", () => {
    for (let n = 1; n <= MAX_SEGMENTS; n++) {
      assert.equal(segmentOfStream(NS, segmentStream(NS, n)), n);
      const subject = subjects.log(NS, "run", "a_1", n);
      assert.equal(segmentOfSubject(subject), n);
      assert.deepEqual([parseLog(subject)?.segment, parseLog(subject)?.kind, parseLog(subject)?.name], [n, "run", "a_1"]);
    }
    for (const stream of ["JOURNAL_default_1", "JOURNAL_default_17", "JOURNAL_default_02", "JOURNAL_default-2", "JOURNAL_other_2", "OUT_default"]) {
      assert.equal(segmentOfStream(NS, stream), undefined, stream);
    }
    assert.equal(parseLog(subjects.live(NS, "run", "a_1"))?.segment, 1);
  });
});

describe("a list of runs", () => {
  it("knows each of its runs and no other, however many parts it has", () => {
    const runs = Array.from({ length: 3000 }, (_, i) => `agent-${i % 7}_${i}`);
    const hashes = new RunHashes();
    for (const run of runs) hashes.push(run);
    const [whole] = hashes.parts();
    assert.ok(whole);
    assert.deepEqual([hashes.size, whole.length], [3000, 3000 * RUN_HASH_BYTES]);
    const halves = [whole.subarray(0, 1500 * RUN_HASH_BYTES), whole.subarray(1500 * RUN_HASH_BYTES)];
    for (const parts of [[whole], halves]) {
      for (const run of runs) assert.ok(listed(parts, runHash(run)), run);
      for (const run of runs) assert.ok(!listed(parts, runHash(`${run}x`)), run);
    }
    assert.ok(!listed([], runHash("a_1")));
    assert.deepEqual(new RunHashes().parts(), []);
  });
});
