/** Loading an aggregate is folding its journal: checked against its chain, completed where a commit was torn (laws 1, 4 and 8). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CURRENT_VERSION } from "../../machines/versions.ts";
import { type AggregateKind, namespace } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { decode, encode } from "../../services/bus/codec.ts";
import { EMPTY_CHAIN, chainLink } from "../../services/bus/commit.ts";
import type { StreamReader } from "../../services/bus/journal.ts";
import { Frozen, type Whereabouts, loadAggregate } from "../../services/coordinator/aggregates.ts";
import { MachineMissing, commits, fold } from "../../services/replay/fold.ts";
import { type History, histories, storedEvents } from "../histories/history.ts";

interface Stored {
  readonly data: Uint8Array;
  readonly seq: number;
}
/** What is stored, every tenth of a stream's sequences, and what was asked for. */
function journalOf(history: History | undefined, change: (stored: Stored[]) => Stored[] = (stored) => stored) {
  const asked: object[] = [];
  const stored = change((history?.events ?? []).map((text, index) => ({ data: Uint8Array.from(Buffer.from(text, "base64")), seq: 10 * (index + 1) })));
  const read = async function* (range: { subject: string; fromSeq?: number }) {
    asked.push(range);
    for (const { data, seq } of stored) if (seq >= (range.fromSeq ?? 0)) yield { subject: range.subject, seq, data, time: 0, headers: new Map() };
  };
  return { asked, reader: { read } as unknown as StreamReader };
}
const NS = namespace("default");
const address = (history: History) => {
  const found = parseLog(history.subject);
  assert.ok(found);
  return { ns: namespace(found.ns), kind: found.kind, name: found.name };
};
const load = (history: History, journal = journalOf(history), where?: Whereabouts) => {
  const { ns, kind, name } = address(history);
  return loadAggregate(journal.reader, ns, kind, name, where);
};
const RUNS = histories("3").filter((history) => address(history).kind === "run");
/** One in which a later commit has several events: how many there are before it, and all of it. */
const TORN = RUNS.flatMap((history) => {
  const all = [...commits(storedEvents(history))];
  return all.slice(1).filter(({ events }) => events.length > 1).map(({ first, events }) => ({ history, before: first.seq - 1, events }));
});
const RUN = TORN[0]?.history as History;

test("law 4 CORE-6: what is loaded is what the journal says, and its next event follows the last that is stored", async () => {
  assert.ok(RUNS.length > 0 && TORN.length > 0);
  for (const history of RUNS) {
    const { ns, kind, name } = address(history);
    const { loaded, rest } = await load(history);
    const events = storedEvents(history);
    assert.deepStrictEqual({ kind: loaded.kind, state: loaded.state }, fold(ns, kind, name, events)?.state, history.name);
    const last = events.at(-1);
    assert.ok(last);
    assert.deepEqual([loaded.ns, loaded.name, loaded.subject, loaded.streamSeq, rest], [ns, name, history.subject, 10 * events.length, undefined]);
    assert.deepEqual(loaded.head, { seq: events.length, prev: chainLink(history.subject, last.data) });
    assert.ok(!("segment" in loaded) && !("looked" in loaded));
  }
  const told = await Promise.all(RUNS.map(async (history) => (await load(history)).loaded.recent.entries().size));
  assert.ok(told.some((size) => size > 0), "what the last inputs changed for the agent is known as well");
});

test("law 8: an event that is missing, twice, or behind another than it says freezes its aggregate", async () => {
  const changes: [string, (stored: Stored[]) => Stored[]][] = [
    ["missing", (stored) => stored.toSpliced(1, 1)],
    ["no beginning", (stored) => stored.slice(1)],
    ["twice", (stored) => stored.toSpliced(1, 0, stored[0] as Stored)],
  ];
  for (const [what, change] of changes) await assert.rejects(load(RUN, journalOf(RUN, change)), (error: Error) => error instanceof Frozen && error.name === "Frozen", what);
  // the same sequence, but not the bytes that the next one was sealed behind
  const others = RUNS.filter(({ events }) => events[0] !== RUN.events[0]);
  const other = others[0] as History;
  await assert.rejects(load(RUN, journalOf(RUN, (stored) => stored.with(0, { seq: 10, data: Uint8Array.from(Buffer.from(other.events[0] as string, "base64")) }))), Frozen);
});

test("law 1: the missing rest of a torn commit is the bytes that would have been stored", async () => {
  for (const { history, before, events } of TORN) {
    for (let kept = 1; kept < events.length; kept++) {
      const { loaded, rest } = await load(history, journalOf(history, (stored) => stored.slice(0, before + kept)));
      assert.equal(rest?.subject, history.subject);
      assert.equal(rest.expected, 10 * (before + kept));
      assert.deepEqual(rest.events.map(({ data }) => Buffer.from(data).toString("base64")), history.events.slice(before + kept, before + events.length));
      assert.equal(loaded.head.seq, before + events.length);
      assert.equal(loaded.streamSeq, 10 * (before + kept));
      const whole = await load(history, journalOf(history, (stored) => stored.slice(0, before + events.length)));
      assert.deepStrictEqual([loaded.state, loaded.head, loaded.recent.entries()], [whole.loaded.state, whole.loaded.head, whole.loaded.recent.entries()]);
    }
  }
});

test("law 8: a torn commit that begins as this plane would not have written it is not completed: its run is frozen", async () => {
  const otherwise = (data: Uint8Array) => encode({ ...(decode(data) as object), to: "elsewhere" });
  let tried = 0;
  for (const { history, before, events } of TORN.slice(0, 6)) {
    for (let kept = 1; kept < events.length; kept++) {
      const last = before + kept - 1;
      const change = (stored: Stored[]) => stored.slice(0, last + 1).map((one, index) => (index === last ? { ...one, data: otherwise(one.data) } : one));
      await assert.rejects(load(history, journalOf(history, change)), Frozen, `${history.name}, ${kept} of ${events.length}`);
      tried += 1;
    }
  }
  assert.ok(tried > 0);
});

test("law 4: an index that says where to begin may be wrong, and the journal is read from its beginning then", async () => {
  const { subject } = RUN;
  const right = journalOf(RUN);
  await load(RUN, right, { first: (asked) => (asked === subject ? 7 : undefined) });
  assert.deepEqual(right.asked, [{ subject, segment: 1, fromSeq: 7 }]);
  for (const wrong of [11, 100_000]) {
    const journal = journalOf(RUN);
    const { loaded } = await load(RUN, journal, { first: () => wrong, looked: 4 });
    assert.deepEqual([loaded.head.seq, loaded.looked], [RUN.events.length, 4]);
    assert.deepEqual(journal.asked, [{ subject, segment: 1, fromSeq: wrong }, { subject, segment: 1 }]);
  }
});

test("law 4: a run is read where it is stored", async () => {
  for (const segment of [2, 3]) {
    const journal = journalOf(undefined);
    const { loaded } = await loadAggregate(journal.reader, NS, "run", "clerk_1", { segment });
    assert.deepEqual([loaded.segment, loaded.subject.replace(/\.\d+\.clerk/, ".<p>.clerk")], [segment, `signalbox.default.segment.${segment}.run.<p>.clerk_1`]);
    assert.deepEqual(journal.asked, [{ subject: loaded.subject, segment }]);
  }
});

test("law 1: what has no event yet begins with the newest version that everybody plays; what is no run, with the first that drives it alike", async () => {
  const begins = async (kind: AggregateKind, name: string, where?: Whereabouts) => {
    const { loaded, rest } = await loadAggregate(journalOf(undefined).reader, NS, kind, name, where);
    assert.deepEqual([rest, loaded.streamSeq, loaded.head], [undefined, 0, EMPTY_CHAIN]);
    return (loaded.state as { machine?: string }).machine;
  };
  const machines = { plays: () => true, newest: () => "2" };
  assert.deepEqual([await begins("run", "clerk_1"), await begins("run", "clerk_1", { machines })], [CURRENT_VERSION, "2"]);
  for (const kind of ["ledger", "guard", "tool", "agent", "policy", "person", "issuer", "budget"] as const) assert.equal(await begins(kind, "x"), "2", kind);
  assert.equal(await begins("erasure", "x"), CURRENT_VERSION);
});

test("law 1: a run of a version that is not at hand is left alone, and is said to be", async () => {
  const asked: string[] = [];
  const machines = { plays: (version: string) => (asked.push(version), false), newest: () => "2" };
  await assert.rejects(load(RUN, journalOf(RUN), { machines }), (error: Error) => error instanceof MachineMissing && error.machine === "3");
  assert.deepEqual(asked, ["3"]);
  await assert.rejects(load(RUN, journalOf(RUN, (stored) => stored.slice(0, 1)), { machines }), MachineMissing, "its first event is enough");
  const played: string[] = [];
  await load(RUN, journalOf(RUN), { machines: { plays: (version) => played.push(version) > 0, newest: () => "2" } });
  assert.deepEqual(played, ["3"], "the first event says it for all");
});
