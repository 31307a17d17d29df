/** Aggregates come into memory a bounded number at once, urgent ones first, and whole or not at all (laws 1 and 4). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { pino } from "pino";
import { namespace } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import { ReadError, type StreamReader } from "../../services/bus/journal.ts";
import { type Loaded, Frozen } from "../../services/coordinator/aggregates.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import { type GroupCommitter, type Landing, type Part, Stopped } from "../../services/coordinator/committer.ts";
import { Lane } from "../../services/coordinator/lanes.ts";
import { Loader, type LoaderParts } from "../../services/coordinator/loader.ts";
import { commits } from "../../services/replay/fold.ts";
import { type History, histories, storedEvents } from "../histories/history.ts";
import { quickly } from "./quickly.ts";

const HISTORY = histories("3").find((one) => parseLog(one.subject)?.kind === "run" && [...commits(storedEvents(one))].slice(1).some(({ events }) => events.length > 1)) as History;
const NS = namespace(parseLog(HISTORY.subject)?.ns ?? "");
const NAME = parseLog(HISTORY.subject)?.name as string;
/** The first event of a later commit of several, and how many are stored with it. */
const TORN_AFTER = [...commits(storedEvents(HISTORY))].slice(1).find(({ events }) => events.length > 1)?.first.seq as number;

let hurry: ReturnType<typeof quickly>;
beforeEach(() => (hurry = quickly()));
afterEach(() => hurry.stop());

interface Wish extends Omit<Partial<LoaderParts>, "journal" | "committer" | "log"> {
  /** Before each reading, in order. */
  readonly readings?: readonly (() => unknown)[];
  readonly stored?: number;
  readonly append?: (parts: readonly Part[]) => Promise<Landing[]>;
}
function loader({ readings = [], stored = 0, append = () => assert.fail("nothing is torn"), ...parts }: Wish = {}) {
  const asked: { subject: string; segment?: number; fromSeq?: number }[] = [];
  const said: { level: number; [key: string]: unknown }[] = [];
  const plan = [...readings];
  const read = async function* (range: { subject: string; segment?: number; fromSeq?: number }) {
    asked.push(range);
    await plan.shift()?.();
    for (const [index, text] of HISTORY.events.slice(0, range.subject === HISTORY.subject ? stored : 0).entries()) {
      yield { subject: range.subject, seq: 10 * (index + 1), data: Uint8Array.from(Buffer.from(text, "base64")), time: 0, headers: new Map() };
    }
  };
  const committer = { stopped: false, append };
  const log = pino({ level: "warn", base: null, timestamp: false }, { write: (line: string) => void said.push(JSON.parse(line) as { level: number }) });
  const own = new Loader({ journal: { read } as unknown as StreamReader, committer: committer as unknown as GroupCommitter, ns: NS, log, ...parts });
  return { loader: own, asked, said, committer };
}
const whole = (result: Loaded | Error): Loaded => (result instanceof Error ? assert.fail(result) : result);
const waits = (kind: string, time = "2026-01-31T09:30:00.000Z") => ({ kind, input: { time } }) as unknown as Arrival;
const settled = async () => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
};

test("law 4: what is loaded is what the journal has, read where it is known to begin and with the machines at hand", async () => {
  const { loader: own, asked, said } = loader({ stored: HISTORY.events.length, first: (subject) => (subject === HISTORY.subject ? 7 : undefined) });
  const loaded = whole(await own.load(new Lane(NAME)));
  assert.deepEqual([loaded.name, loaded.head.seq, loaded.streamSeq], [NAME, HISTORY.events.length, 10 * HISTORY.events.length]);
  assert.deepEqual(asked, [{ subject: HISTORY.subject, segment: 1, fromSeq: 7 }]);
  const older = loader({ machines: { plays: () => true, newest: () => "2" } });
  assert.equal(whole(await older.loader.load(new Lane("clerk_new"))).state.machine, "2");
  assert.deepEqual(said, []);
});

test("law 4: a run is looked for where it is placed, by the time of what waits for it; what is no run is nowhere else", async () => {
  const located: unknown[] = [];
  const placement = { locate: (...args: unknown[]) => (located.push(args), Promise.resolve({ segment: 3, looked: 5 })) } as unknown as NonNullable<LoaderParts["placement"]>;
  const { loader: own, asked } = loader({ placement });
  const lane = new Lane("clerk_1");
  lane.push(waits("propose"));
  const loaded = whole(await own.load(lane));
  assert.deepEqual([loaded.segment, loaded.looked], [3, 5]);
  await own.load(new Lane("clerk_2"));
  await own.load(new Lane("ledger:team%2Ex%2E2026-01-31"));
  assert.deepEqual(located, [["clerk_1", "2026-01-31T09:30:00.000Z"], ["clerk_2", undefined]]);
  assert.deepEqual(asked.map(({ segment }) => segment), [3, 3, 1]);
});

test("law 1: a torn commit is completed before anything is decided, and the fence is behind it", async () => {
  const appended: Part[] = [];
  const { loader: own } = loader({ stored: TORN_AFTER, append: (parts) => (appended.push(...parts), Promise.resolve([{ kind: "stored", last: 777 }])) });
  assert.equal(whole(await own.load(new Lane(NAME))).streamSeq, 777);
  assert.deepEqual(appended.map(({ subject, expected }) => [subject, expected]), [[HISTORY.subject, 10 * TORN_AFTER]]);
  assert.ok((appended[0]?.events.length ?? 0) > 0);
});

test("law 1: where the rest of a torn commit is not stored the aggregate is read again, and nobody is given half of it", async () => {
  const landings: Landing[] = [{ kind: "moved" }, { kind: "refused", why: "no" }, { kind: "stored", last: 5 }];
  const { loader: own, asked, said } = loader({ stored: TORN_AFTER, append: () => Promise.resolve([landings.shift() as Landing]) });
  assert.equal(whole(await own.load(new Lane(NAME))).streamSeq, 5);
  assert.deepEqual([asked.length, hurry.pauses], [3, [100, 200]]);
  assert.deepEqual(said.map(({ level, aggregate, landing }) => [level, aggregate, landing]), [[40, NAME, { kind: "moved" }], [40, NAME, { kind: "refused", why: "no" }]]);
});

test("OPS-4: a journal that cannot be read is asked again, later and later, two seconds at most", async () => {
  const away = () => Promise.reject(new ReadError("away"));
  const { loader: own, asked, said } = loader({ stored: HISTORY.events.length, readings: Array.from({ length: 22 }, () => away) });
  whole(await own.load(new Lane(NAME)));
  assert.deepEqual([asked.length, hurry.pauses.slice(0, 3), hurry.pauses.slice(19)], [23, [100, 200, 300], [2000, 2000, 2000]]);
  assert.deepEqual(said.map(({ level, aggregate, error, alarm }) => [level, aggregate, error, alarm]), Array.from({ length: 22 }, () => [40, NAME, "away", undefined]));
});

test("law 8: what asking again does not change freezes the aggregate, at once and with an alarm", async () => {
  const { loader: own, asked, said } = loader({ readings: [() => Promise.reject(new Frozen("forged"))] });
  const result = await own.load(new Lane(NAME));
  assert.ok(result instanceof Frozen);
  assert.deepEqual([asked.length, said.map(({ level, alarm, aggregate, why }) => [level, alarm, aggregate, why])], [1, [[50, "frozen", NAME, "forged"]]]);
});

test("law 3: whoever is stopped loads nothing, and freezes nothing", async () => {
  const { loader: own, asked, committer } = loader();
  committer.stopped = true;
  await assert.rejects(own.load(new Lane(NAME)), Stopped);
  assert.deepEqual(asked, []);
  const torn = loader({ stored: TORN_AFTER, append: () => Promise.reject(new Stopped()) });
  await assert.rejects(torn.loader.load(new Lane(NAME)), Stopped);
  assert.deepEqual(torn.said, []);
});

test("CORE-5: 128 are read at once; of those that wait the first with a control input is next, then the first", async () => {
  const held = Promise.withResolvers<undefined>();
  const gates = Array.from({ length: 128 }, () => Promise.withResolvers<undefined>());
  const { loader: own, asked } = loader({ readings: [...gates.map(({ promise }) => () => promise), ...Array.from({ length: 4 }, () => () => undefined), () => held.promise] });
  const lanes = Array.from({ length: 128 }, (_, n) => new Lane(`clerk_${n}`));
  const reading = lanes.map((lane) => own.load(lane));
  const [plain, proposed, urgent, other] = ["plain", "proposed", "urgent", "other"].map((name) => new Lane(`clerk_${name}`)) as [Lane, Lane, Lane, Lane];
  proposed.push(waits("propose"));
  urgent.push(waits("decide"));
  other.push(waits("decide"));
  const waiting = [plain, proposed, urgent, other].map((lane) => own.load(lane));
  await settled();
  assert.equal(asked.length, 128);
  const names: string[][] = [];
  const next = async (settle: (gate: PromiseWithResolvers<undefined>) => void) => {
    const before = asked.length;
    settle(gates.pop() as PromiseWithResolvers<undefined>);
    await settled();
    names.push(asked.slice(before).map(({ subject }) => subject.split("_").at(-1) as string));
  };
  // each of them ends at once, and lets the next one in
  await next((gate) => gate.resolve(undefined));
  assert.deepEqual(names.flat(), ["urgent", "other", "plain", "proposed"]);
  await Promise.all(waiting);
  const late = ["late", "later"].map((name) => own.load(new Lane(`clerk_${name}`)));
  await settled();
  assert.equal(asked.length, 133, "one has ended for good, and makes room for one");
  for (const gate of gates) gate.resolve(undefined);
  held.resolve(undefined);
  await Promise.all([...reading, ...late]);
});
