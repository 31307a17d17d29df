/** Group commit: all or nothing, fenced, and in every doubt the stored bytes decide (laws 1 and 3, CORE-5). The server is real; a line in front of it loses what a test says. */
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { pino } from "pino";
import type { AggregateKind, Namespace } from "../../schemas/ids.ts";
import { positionOf } from "../../schemas/segments.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { ReadError, type StreamReader } from "../../services/bus/journal.ts";
import { type BatchMessage, INCOMPLETE_BATCH, PublishError, type PublishFailure, Publisher, type StoredBatch } from "../../services/bus/publisher.ts";
import { SegmentedReader } from "../../services/bus/segmented.ts";
import { GroupCommitter, type Landing, type Part, Stopped } from "../../services/coordinator/committer.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { quickly } from "./quickly.ts";

let server: TestServer;
let nc: NatsConnection;
let ns: Namespace;
let publisher: Publisher;
let journal: SegmentedReader;
before(async () => {
  server = await startTestServer();
  ns = server.namespaces[0] as Namespace;
  nc = await server.connect("coordinator", "one");
  publisher = new Publisher(nc);
  journal = new SegmentedReader(nc, ns);
});
after(() => server?.stop());

let hurry: ReturnType<typeof quickly>;
beforeEach(() => (hurry = quickly()));
afterEach(() => hurry.stop());

let names = 0;
const fresh = () => `clerk_${++names}`;
const at = (name: string, segment = 1, kind: AggregateKind = "run") => subjects.log(ns, kind, name, segment);
const part = (subject: string, expected: number, ...texts: string[]): Part => ({ subject, expected, events: texts.map((text) => ({ subject, headers: { "x-test": text }, data: Buffer.from(text) })) });
const stored = async (subject: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { data } of journal.read({ subject })) found.push(Buffer.from(data).toString());
  return found;
};
/** What another coordinator writes, past the committer. */
const write = async (subject: string, ...texts: string[]): Promise<number> => {
  const { seq } = await publisher.batch(texts.map((text) => ({ subject, data: Buffer.from(text) })));
  return seq;
};

type Send = () => Promise<StoredBatch>;
/** What becomes of a batch in the place of being sent. */
type Fault = (send: Send, messages: readonly BatchMessage[]) => Promise<StoredBatch>;
const fails = (kind: PublishFailure, code?: number): Fault => () => Promise.reject(new PublishError(kind, `it is ${kind}`, code));
/** Stored, and nobody hears of it. */
const deaf = (kind: PublishFailure): Fault => async (send) => {
  await send();
  throw new PublishError(kind, "nobody heard");
};
/** Somebody else is quicker. */
const overtaken = (subject: string, ...texts: string[]): Fault => async (send) => {
  await write(subject, ...texts);
  return send();
};
const times = (n: number, fault: Fault): Fault[] => Array.from({ length: n }, () => fault);

interface Wish {
  readonly faults?: readonly Fault[];
  /** In the place of the journal's own, as often as there are some. */
  readonly readings?: readonly (() => Promise<never> | undefined)[];
  readonly maySend?: (segment: number) => boolean;
}
function committer({ faults = [], readings = [], maySend }: Wish = {}) {
  const sent: BatchMessage[][] = [];
  const asked: (string | undefined)[] = [];
  const said: { level: number; [key: string]: unknown }[] = [];
  const [plan, unread] = [[...faults], [...readings]];
  const batch = (messages: readonly BatchMessage[]) => {
    sent.push([...messages]);
    const send = () => publisher.batch(messages);
    return (plan.shift() ?? send)(send, messages);
  };
  const reader = {
    lastOf: (subject: string, segment?: number) => {
      asked.push(subject);
      return unread.shift()?.() ?? journal.lastOf(subject, segment);
    },
    read: (range: Parameters<SegmentedReader["read"]>[0]) => {
      assert.equal(range.leader, true, "after a doubt the leader is asked");
      return journal.read(range);
    },
  } as unknown as StreamReader;
  const log = pino({ level: "warn", base: null, timestamp: false }, { write: (line: string) => void said.push(JSON.parse(line) as { level: number }) });
  const own = new GroupCommitter({ batch } as unknown as Publisher, reader, log, ...(maySend === undefined ? [] : [maySend]));
  return { committer: own, sent, asked, said, sizes: () => sent.map(({ length }) => length) };
}
const kinds = (landings: readonly Landing[]) => landings.map(({ kind }) => kind);
const stopsAt = (n: number, own: () => GroupCommitter, fault: Fault): Fault[] => [
  ...times(n - 1, fault),
  (send, messages) => {
    own().stop();
    return fault(send, messages);
  },
];

test("law 3: commits of many runs are one batch; each is fenced by its own last event, and its landing fences the next", async () => {
  const [a, b, c] = [at(fresh()), at(fresh()), at(fresh())];
  const { committer: own, sent, asked, said } = committer();
  const landings = await own.append([part(a, 0, "a1", "a2"), part(b, 0, "b1"), part(c, 0, "c1", "c2", "c3")]);
  const last = landings.map((landing) => (landing.kind === "stored" ? landing.last : assert.fail(landing.kind)));
  assert.deepEqual(await Promise.all([a, b, c].map(stored)), [["a1", "a2"], ["b1"], ["c1", "c2", "c3"]]);
  assert.deepEqual(last, await Promise.all([a, b, c].map(async (subject) => (await journal.lastOf(subject))?.seq)));
  assert.deepEqual(sent.map((batch) => batch.map(({ subject, expectLastSubjectSequence, headers }) => [subject, expectLastSubjectSequence, headers])), [
    [[a, 0, { "x-test": "a1" }], [a, undefined, { "x-test": "a2" }], [b, 0, { "x-test": "b1" }], [c, 0, { "x-test": "c1" }], [c, undefined, { "x-test": "c2" }], [c, undefined, { "x-test": "c3" }]],
  ]);
  assert.deepEqual(kinds(await own.append([part(a, last[0] as number, "a3"), part(c, last[2] as number, "c4")])), ["stored", "stored"]);
  assert.deepEqual([asked, said, hurry.pauses], [[], [], []]);
  assert.deepEqual(await own.append([]), []);
  assert.equal(sent.length, 2);
});

test("law 3 CORE-5: a batch is of one segment; sequences in the stream are its own, positions are the journal's", async () => {
  const [here, there] = [at(fresh()), at(fresh(), 2)];
  const neighbour = at(fresh(), 2);
  const { committer: own, sent } = committer({ maySend: () => true });
  const [one, two, three] = await own.append([part(here, 0, "h1"), part(there, 0, "t1"), part(neighbour, 0, "n1", "n2")]);
  assert.deepEqual(sent.map((batch) => batch.map(({ subject }) => subject)), [[here], [there, neighbour, neighbour]]);
  const position = (await journal.lastOf(there))?.seq ?? 0;
  assert.ok(position > positionOf(2, 0));
  assert.deepEqual([two, three], [{ kind: "stored", last: position }, { kind: "stored", last: position + 2 }]);
  assert.equal(one?.kind, "stored");
  const again = committer({ faults: [deaf("timeout")] });
  assert.deepEqual(await again.committer.append([part(there, position, "t2")]), [{ kind: "stored", last: position + 3 }]);
  assert.equal(again.sent[0]?.[0]?.expectLastSubjectSequence, position - positionOf(2, 0));
  assert.deepEqual(await stored(there), ["t1", "t2"]);
});

test("law 1: whoever comes second is told to decide again, and nothing of it is stored; the others of its batch land", async () => {
  const [a, b, c] = [at(fresh()), at(fresh()), at(fresh())];
  const first = await write(b, "before");
  const { committer: own, sizes, said } = committer({ faults: [overtaken(b, "theirs")] });
  const landings = await own.append([part(a, 0, "a1"), part(b, first, "mine", "too"), part(c, 0, "c1")]);
  assert.deepEqual(kinds(landings), ["stored", "moved", "stored"]);
  assert.deepEqual([await stored(a), await stored(b), await stored(c)], [["a1"], ["before", "theirs"], ["c1"]]);
  assert.deepEqual(sizes(), [4, 2]);
  assert.deepEqual(said.map(({ level, kind, code, parts }) => [level, kind, code, parts]), [[40, "conflict", 10071, 3]]);
});

test("law 1: bytes decide whose commit it is: of a rival's that begins alike, of half of ours and of ours with more behind it", async () => {
  const [other, half, longer, behind] = [at(fresh()), at(fresh()), at(fresh()), at(fresh())];
  const { committer: own } = committer({
    faults: [
      async () => {
        await write(other, "same", "other");
        await write(half, "one");
        await write(behind, "ours");
        await write(behind, "next");
        await write(longer, "other", "two");
        throw new PublishError("disconnected", "lost");
      },
    ],
  });
  const landings = await own.append([part(other, 0, "same", "mine"), part(half, 0, "one", "two"), part(longer, 0, "one", "two"), part(behind, 0, "ours")]);
  assert.deepEqual(kinds(landings), ["moved", "moved", "moved", "stored"]);
  const positions: number[] = [];
  for await (const { seq } of journal.read({ subject: behind })) positions.push(seq);
  assert.equal(landings[3]?.kind === "stored" && landings[3].last, positions[0]);
  assert.deepEqual([await stored(half), await stored(behind)], [["one"], ["ours", "next"]]);
});

for (const kind of ["timeout", "disconnected"] as const) {
  test(`law 3: a batch that is ${kind} is read back: what landed is not written again, what did not land is sent again`, async () => {
    const [a, b] = [at(fresh()), at(fresh())];
    const landed = committer({ faults: [deaf(kind)] });
    const landings = await landed.committer.append([part(a, 0, "a1", "a2"), part(b, 0, "b1")]);
    assert.deepEqual(landings, [{ kind: "stored", last: ((await journal.lastOf(a))?.seq ?? 0) }, { kind: "stored", last: ((await journal.lastOf(b))?.seq ?? 0) }]);
    assert.deepEqual([landed.sizes(), landed.asked.toSorted()], [[3], [a, b].toSorted()]);

    const [c, d] = [at(fresh()), at(fresh())];
    const lost = committer({ faults: [fails(kind), async (send) => (await write(c, "theirs"), send())] });
    assert.deepEqual(kinds(await lost.committer.append([part(c, 0, "c1"), part(d, 0, "d1")])), ["moved", "stored"]);
    assert.deepEqual(await stored(d), ["d1"]);
    assert.equal(hurry.pauses[0], 100, "behind the doubt");
  });
}

test("OPS-4: a journal that nobody takes from is asked again, later and later, and nothing is read back; two seconds at most", async () => {
  const a = at(fresh());
  const { committer: own, sizes, asked, said } = committer({ faults: times(22, fails("unavailable", 10008)) });
  assert.deepEqual(kinds(await own.append([part(a, 0, "a1")])), ["stored"]);
  assert.equal(sizes().length, 23);
  assert.deepEqual(asked, []);
  assert.deepEqual(hurry.pauses, [...Array.from({ length: 20 }, (_, n) => 100 * (n + 1)), 2000, 2000]);
  assert.deepEqual(said.filter(({ level }) => level === 40).length, 22);
  // once, at the second failure in a row
  const alarms = said.filter(({ level }) => level === 50).map(({ alarm, kind, code, why }) => ({ alarm, kind, code, why }));
  assert.deepEqual(alarms, [{ alarm: "storage", kind: "unavailable", code: 10008, why: "it is unavailable" }]);
  assert.equal(said.findIndex(({ level }) => level === 50), 2);
});

for (const code of [10023, 10047, 10077, 10122]) {
  test(`OPS-4: a journal that is full (${code}) refuses nobody: an alarm at once, and it is asked again until there is room`, async () => {
    const [a, b] = [at(fresh()), at(fresh())];
    const { committer: own, sizes, asked, said } = committer({ faults: times(3, fails("refused", code)) });
    assert.deepEqual(kinds(await own.append([part(a, 0, "a1"), part(b, 0, "b1")])), ["stored", "stored"]);
    assert.deepEqual([sizes(), asked], [[2, 2, 2, 2], []]);
    assert.deepEqual(said.map(({ level, alarm }) => [level, alarm]), [[40, undefined], [50, "storage"], [40, undefined], [40, undefined]]);
  });
}

test("CORE-5: what the server refuses is found by halves, is refused alone, and takes nobody with it", async () => {
  const runs = Array.from({ length: 5 }, () => at(fresh()));
  const bad = `${at(fresh())} x`;
  const parts = [...runs.slice(0, 3).map((run) => part(run, 0, "1")), part(bad, 0, "1"), ...runs.slice(3).map((run) => part(run, 0, "1"))];
  const { committer: own, sizes, said } = committer();
  const landings = await own.append(parts);
  assert.deepEqual(kinds(landings), ["stored", "stored", "stored", "refused", "stored", "stored"]);
  assert.match(landings[3]?.kind === "refused" ? landings[3].why : "", /is not a subject to publish to/);
  assert.deepEqual(sizes(), [6, 3, 3, 2, 1, 1, 1]);
  assert.deepEqual(hurry.pauses, [], "nobody waits for it");
  assert.deepEqual(await Promise.all(runs.map(stored)), [["1"], ["1"], ["1"], ["1"], ["1"]]);
  assert.ok(said.every(({ level }) => level === 40));
  // the same of a single one
  const alone = committer({ faults: [fails("refused", 1)] });
  assert.deepEqual(await alone.committer.append([part(at(fresh()), 0, "1")]), [{ kind: "refused", why: "it is refused" }]);
  assert.deepEqual(alone.sizes(), [1]);
});

test("CORE-5: a batch that conflicts although nobody moved is sent again as it is, and halved the third time; a half is given the same tries", async () => {
  const runs = Array.from({ length: 3 }, () => at(fresh()));
  const { committer: own, sizes, asked, said } = committer({ faults: [...times(3, fails("conflict", 10071)), ...times(3, fails("conflict", 10071)), ...times(2, fails("conflict", 10071))] });
  assert.deepEqual(kinds(await own.append(runs.map((run) => part(run, 0, "1")))), ["stored", "stored", "stored"]);
  assert.deepEqual(sizes(), [3, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1]);
  assert.ok(asked.length >= 9);
  // only who is alone waits, and a conflict is nobody's full disk
  assert.deepEqual(hurry.pauses, [50, 100]);
  assert.ok(said.every(({ level }) => level === 40));
});

test("CORE-5: a part alone of which the server loses something is sent six times, later and later, and refused then", async () => {
  const run = at(fresh());
  const lost = committer({ faults: times(6, fails("conflict", INCOMPLETE_BATCH)) });
  assert.deepEqual(await lost.committer.append([part(run, 0, "1", "2")]), [{ kind: "refused", why: "it is conflict" }]);
  assert.deepEqual([lost.sizes().length, hurry.pauses.splice(0)], [6, [50, 100, 150, 200, 250]]);
  const saved = committer({ faults: times(5, fails("conflict", INCOMPLETE_BATCH)) });
  assert.deepEqual(kinds(await saved.committer.append([part(run, 0, "1", "2")])), ["stored"]);
  hurry.pauses.length = 0;
  // another conflict has an end of its own: whoever wrote is read back some time
  const conflict = committer({ faults: times(45, fails("conflict", 10071)) });
  assert.deepEqual(kinds(await conflict.committer.append([part(at(fresh()), 0, "1")])), ["stored"]);
  assert.deepEqual([conflict.sizes().length, hurry.pauses[5], hurry.pauses.at(-1)], [46, 300, 2000]);
});

test("CORE-5: what begins a run goes out only while its segment takes new runs; what goes on, and what is no run, goes out in any case", async () => {
  const [start, next, started, ledger] = [at(fresh()), at(fresh()), at(fresh(), 2), at("team.x", 1, "ledger")];
  const last = await write(next, "before");
  const asked: number[] = [];
  const { committer: own, sizes } = committer({ maySend: (segment) => (asked.push(segment), segment === 2) });
  assert.deepEqual(kinds(await own.append([part(start, 0, "1"), part(next, last, "1"), part(ledger, 0, "1"), part(started, 0, "1")])), ["moved", "stored", "stored", "stored"]);
  assert.deepEqual([await stored(start), sizes().toSorted(), asked.toSorted()], [[], [1, 2], [1, 2]]);
  // asked again before every try, and nothing is sent when nothing is left
  let may = true;
  const waiting = committer({ maySend: () => may, faults: [() => ((may = false), Promise.reject(new PublishError("unavailable", "away")))] });
  assert.deepEqual(await waiting.committer.append([part(start, 0, "1")]), [{ kind: "moved" }]);
  assert.deepEqual([waiting.sizes(), await stored(start)], [[1], []]);
});

test("law 3: whoever is stopped says of nothing that it was stored: before it is sent, between two tries and while it is read back", async () => {
  const run = at(fresh());
  const before = committer();
  assert.equal(before.committer.stopped, false);
  before.committer.stop();
  assert.equal(before.committer.stopped, true);
  await assert.rejects(before.committer.append([part(run, 0, "1")]), Stopped);
  assert.deepEqual(before.sizes(), []);

  const between: ReturnType<typeof committer> = committer({ faults: stopsAt(2, () => between.committer, fails("unavailable")) });
  await assert.rejects(between.committer.append([part(run, 0, "1")]), Stopped);
  assert.equal(between.sizes().length, 2);

  const reading: ReturnType<typeof committer> = committer({ faults: stopsAt(1, () => reading.committer, fails("timeout")) });
  await assert.rejects(reading.committer.append([part(run, 0, "1")]), (error: Error) => error instanceof Stopped && error.name === "Stopped");
  assert.deepEqual(reading.asked, [], "who is stopped asks nobody any more");
});

test("law 3: what was read back is said, also by who is stopped meanwhile; it is looked for right behind what it follows", async () => {
  const run = at(fresh());
  const last = await write(run, "before");
  const own: ReturnType<typeof committer> = committer({ faults: [deaf("timeout")], readings: [() => void own.committer.stop() as undefined] });
  assert.deepEqual(await own.committer.append([part(run, last, "1")]), [{ kind: "stored", last: last + 1 }]);
});

test("OPS-4: a journal that cannot be read back is asked again, later and later, until it says what landed", async () => {
  const run = at(fresh());
  const unread = () => Promise.reject(new ReadError("away"));
  const { committer: own, asked, said, sizes } = committer({ faults: [deaf("timeout")], readings: Array.from({ length: 21 }, () => unread) });
  assert.deepEqual(kinds(await own.append([part(run, 0, "1")])), ["stored"]);
  assert.deepEqual([asked.length, sizes().length, hurry.pauses.slice(0, 2), hurry.pauses.slice(19, 21)], [22, 1, [100, 200], [2000, 2000]]);
  assert.deepEqual(said.slice(1).map(({ level, error }) => [level, error]), Array.from({ length: 21 }, () => [40, "ReadError: away"]));
  const stopped: ReturnType<typeof committer> = committer({
    faults: [fails("timeout")],
    readings: [
      () => {
        stopped.committer.stop();
        return unread();
      },
    ],
  });
  await assert.rejects(stopped.committer.append([part(at(fresh()), 0, "1")]), Stopped);
});

test("law 3: what is no word of the server about the batch is nobody's landing", async () => {
  const broken = new TypeError("a bug");
  await assert.rejects(committer({ faults: [() => Promise.reject(broken)] }).committer.append([part(at(fresh()), 0, "1")]), broken);
});
