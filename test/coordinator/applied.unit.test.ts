/** Documents in force follow the journal: one change at a time, never back to an older one (law 4, ID-3). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { DOCUMENT_KINDS } from "../../machines/registry.ts";
import { digestSchema } from "../../schemas/ids.ts";
import { ReadError } from "../../services/bus/journal.ts";
import { Applied } from "../../services/coordinator/applied.ts";
import type { RegistryView } from "../../services/registry/view.ts";

const settled = async () => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
};
const digest = (n: number) => digestSchema.parse(`sha256:${String(n).repeat(64)}`);

describe("law 4 documents in force", () => {
  /** What was asked of the registry, in order. */
  let log: string[];
  let changed: string[];
  let answers: (() => Promise<void>)[];
  let applied: Applied;
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    [log, changed, answers] = [[], [], []];
    const answer = () => (answers.shift() ?? (() => Promise.resolve()))();
    const registry = {
      load: () => (log.push("load"), answer()),
      put: (kind: string, name: string, of: string) => (log.push(`${kind}/${name} ${of.at(-1)}`), answer()),
    } as unknown as RegistryView;
    applied = new Applied(registry, (kind) => changed.push(kind));
  });
  afterEach(() => mock.timers.reset());
  /** How it ended, once it has. */
  const ending = (work: Promise<void>) => {
    const end: { said?: string } = {};
    work.then(() => (end.said = "done"), (error: unknown) => (end.said = String(error)));
    return end;
  };

  it("a document is taken over once and in the order of its own events; each document has its own", async () => {
    for (const [kind, name, n] of [["tool", "pay", 2], ["tool", "pay", 2], ["tool", "pay", 1], ["tool", "get", 1], ["agent", "pay", 1], ["tool", "pay", 3]] as const) await applied.put(kind, name, digest(n), n);
    assert.deepEqual(log, ["tool/pay 2", "tool/get 1", "agent/pay 1", "tool/pay 3"]);
    assert.deepEqual(changed, ["tool", "tool", "agent", "tool"]);
  });

  it("one change at a time: the next begins when the one before has ended, well or not", async () => {
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    answers.push(() => first.promise, () => second.promise);
    const ends = [applied.put("tool", "pay", digest(1), 1), applied.put("tool", "pay", digest(2), 2), applied.load()].map(ending);
    await settled();
    assert.deepEqual([log, changed], [["tool/pay 1"], []]);
    first.resolve();
    await settled();
    assert.deepEqual([log, changed], [["tool/pay 1", "tool/pay 2"], ["tool"]]);
    second.reject(new Error("broken"));
    await settled();
    assert.deepEqual([log.at(-1), changed.length], ["load", 1 + DOCUMENT_KINDS.length]);
    assert.deepEqual(ends.map(({ said }) => said), ["done", "Error: broken", "done"]);
  });

  it("after all were read again every kind of document may be another", async () => {
    await applied.load();
    assert.deepEqual([log, changed], [["load"], [...DOCUMENT_KINDS]]);
  });

  it("a document that cannot be read is tried again, later and later, never later than two seconds, and is not passed over", async () => {
    for (let n = 0; n < 25; n++) answers.push(() => Promise.reject(new ReadError("no answer")));
    const end = ending(applied.put("person", "ada", digest(1), 1));
    for (let attempt = 1; attempt <= 25; attempt++) {
      await settled();
      assert.deepEqual([log.length, end.said], [attempt, undefined]);
      mock.timers.tick(Math.min(2000, 100 * attempt) - 1);
      await settled();
      assert.equal(log.length, attempt);
      mock.timers.tick(1);
    }
    await settled();
    assert.deepEqual([end.said, changed], ["done", ["person"]]);
  });

  it("what failed is not taken for done: told again, it is taken over", async () => {
    answers.push(() => Promise.reject(new Error("malformed")));
    const failed = ending(applied.put("tool", "pay", digest(1), 1));
    await settled();
    assert.deepEqual([failed.said, log.length, changed], ["Error: malformed", 1, []]);
    await applied.put("tool", "pay", digest(1), 1);
    assert.deepEqual([log.length, changed], [2, ["tool"]]);
  });

  it("one who is stopped tries nothing again", async () => {
    answers.push(() => Promise.reject(new ReadError("no answer")), () => Promise.reject(new ReadError("still none")));
    const end = ending(applied.put("tool", "pay", digest(1), 1));
    await settled();
    applied.stop();
    mock.timers.tick(100);
    await settled();
    assert.deepEqual([end.said, log.length], ["ReadError: still none", 2]);
  });

  it("nobody need listen", async () => {
    const quiet = new Applied({ load: () => Promise.resolve() } as unknown as RegistryView);
    await quiet.load();
  });
});
