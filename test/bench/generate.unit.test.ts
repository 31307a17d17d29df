/** Generated journals are real ones: replayed byte for byte, and each run as its script says. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { RUN_ENDED } from "../../machines/run.ts";
import { owed } from "../../machines/owed.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { LiveRuns } from "../../services/projection/live-runs.ts";
import { checkMessages } from "../../services/replay/journal.ts";
import { writeDocuments } from "./documents.ts";
import { type Made, RunMaker, nameOf } from "./generate.ts";
import { endedNames, scriptOf } from "./startup.ts";
import { NS } from "./world.ts";

let folder: string;
let maker: RunMaker;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "signalbox-generate-"));
  await writeDocuments(folder, 20, false);
  maker = await RunMaker.of(NS, folder);
});
after(() => rm(folder, { recursive: true, force: true }));

const made = (runs: number, live: number): Made[] =>
  Array.from({ length: runs }, (_, n) => {
    const { run, agent } = nameOf("g", n);
    return maker.make(run, agent, scriptOf(runs, live)(n), Date.UTC(2026, 0, 31, 9, 30));
  });
const messagesOf = (all: readonly Made[]): StoredMessage[] =>
  all.flatMap(({ events }) => events).map(({ subject, headers, data }, index) => ({ subject, seq: index + 1, time: 0, headers: new Map(Object.entries(headers)), data }));

test("CORE-5 a generated journal is replayed and verified without a difference", async () => {
  const messages = messagesOf(made(60, 6));
  const checks = await checkMessages(NS, messages);
  assert.equal(checks.length, 60);
  assert.deepEqual(checks.flatMap(({ replay, verify }) => [replay.difference ?? [], verify.fault ?? []].flat()), []);
  assert.equal(checks.reduce((sum, { replay }) => sum + replay.identical, 0), messages.length);
});

test("so many of its runs are live as were asked for, each with a dispatch that is owed, and the others have ended", () => {
  const all = made(60, 6);
  const live = new LiveRuns(NS);
  for (const message of messagesOf(all)) live.take(message);
  assert.deepEqual([...live.names()], [0, 10, 20, 30, 40, 50].map((n) => nameOf("g", n).run));
  for (const { state } of all) {
    const dispatches = owed(state).filter(({ kind }) => kind === "dispatch").length;
    assert.equal(dispatches, RUN_ENDED.has(state.life.value) ? 0 : 1, state.run);
  }
});

test("a hundred thousand runs are a million events: ten each on average", () => {
  const events = made(600, 6).reduce((sum, one) => sum + one.events.length, 0);
  assert.ok(events >= 6000 && events < 6600, String(events));
});

test("who is asked how it ended has ended, after one action", () => {
  const names = new Set<string>(endedNames(600, 6, 50));
  assert.ok(names.size > 40, String(names.size));
  for (const { state } of made(600, 6)) if (names.has(state.run)) assert.deepEqual([state.life.value, state.output], ["completed", { actions: 1 }]);
});
