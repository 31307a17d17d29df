/** Which runs may owe something: the fold over the journal, and the file that holds it. No server. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { namespace } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { SealedEvent } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { LiveKeeper, liveFile, readLive, writeLive } from "../../services/projection/live-file.ts";
import { LiveRuns } from "../../services/projection/live-runs.ts";
import { JournalWriter, NS, proposed, started } from "./journal.ts";

const claimed = (action: string) => ({ type: "action.started" as const, data: { action, attempt: 1 } });
const closed = (type: "action.succeeded" | "action.failed" | "action.in_doubt" | "action.retrying", action: string) => ({ type, data: { action } });
const ends = (type: "run.completed" | "run.cancelled" | "run.failed" = "run.completed") => ({ type, to: type.slice(4) });
const leased = (granted: number, window = "2026-01-31") => ({ type: "budget.leased" as const, data: { ledger: "budget:day", unit: "micro_usd", window, granted, total: 1 } });
const returned = (last: boolean, window = "2026-01-31") => ({ type: "budget.returned" as const, data: { ledger: "budget:day", unit: "micro_usd", window, unused: 0, last } });

/** A journal by hand, from 1. */
class Written {
  readonly messages: StoredMessage[] = [];
  readonly #writer = new JournalWriter();
  add(run: string, ...drafts: Parameters<JournalWriter["seal"]>[2]): this {
    return this.put(this.#writer.seal("run", run, drafts));
  }
  put(events: readonly SealedEvent[]): this {
    for (const { subject, headers, data } of events) {
      this.messages.push({ subject, seq: this.messages.length + 1, time: 0, headers: new Map(Object.entries(headers)), data });
    }
    return this;
  }
  tool(): this {
    return this.put(this.#writer.seal("tool", "t.write", [{ type: "tool.applied", data: { document: "x", version: 1 } }]));
  }
}
const liveOf = (messages: readonly StoredMessage[], live = new LiveRuns(NS)) => {
  for (const message of messages) live.take(message);
  return live;
};
const names = (written: Written) => [...liveOf(written.messages).names()].map(String);

describe("the fold of live runs", () => {
  it("a run is live from its start to its end, and not when it was turned away (law 3)", () => {
    const written = new Written().add("a_1", started()).add("a_2", started()).add("a_3", { type: "run.refused" }).add("a_2", ends()).add("a_1", { type: "run.paused" });
    assert.deepEqual(names(written), ["a_1"]);
  });
  it("a run that ended with an action in flight is live until that is closed; one that was never claimed keeps nothing", () => {
    const written = new Written().add("a_1", started(), proposed("a1"), proposed("a2"), claimed("a1")).add("a_1", ends("run.cancelled"), closed("action.failed", "a2"));
    assert.deepEqual(names(written), ["a_1"]);
    assert.deepEqual(names(written.add("a_1", closed("action.succeeded", "a1"))), []);
  });
  it("an action in doubt keeps its ended run live until it is resolved: it may be probed", () => {
    const written = new Written().add("a_1", started(), claimed("a1")).add("a_1", ends("run.cancelled")).add("a_1", closed("action.in_doubt", "a1"));
    assert.deepEqual(names(written), ["a_1"]);
    assert.deepEqual(names(written.add("a_1", closed("action.failed", "a1"))), []);
  });
  it("a day's allowance keeps an ended run live until its account has confirmed the return; a minute's does not", () => {
    const written = new Written().add("a_1", started(), leased(5)).add("a_2", started(), leased(5, "2026-01-31T09:30")).add("a_1", ends()).add("a_2", ends());
    assert.deepEqual(names(written), ["a_1"]);
    assert.deepEqual(names(written.add("a_1", returned(false))), ["a_1"]);
    assert.deepEqual(names(written.add("a_1", returned(true))), []);
  });
  it("a run whose end was torn off is live: its owner completes the commit (law 1)", () => {
    const whole = new Written().add("a_1", started(), proposed("a2")).add("a_1", ends("run.cancelled"), closed("action.failed", "a2"));
    const torn = whole.messages.slice(0, 3);
    assert.deepEqual([...liveOf(torn).names()], ["a_1"]);
    assert.deepEqual([...liveOf(whole.messages).names()], []);
  });
  it("a live run's first sequence is where reading it begins", () => {
    const live = liveOf(new Written().tool().add("a_1", started(), proposed("a2")).add("a_2", started()).messages);
    assert.equal(live.first(subjects.log(NS, "run", "a_1")), 2);
    assert.equal(live.first(subjects.log(NS, "run", "a_2")), 4);
    assert.equal(live.first(subjects.log(NS, "run", "a_3")), undefined);
    assert.equal(live.position, 4);
  });
  it("going on from a snapshot of any part of the journal comes to the same as reading all of it (law 4)", () => {
    const step = fc.record({ run: fc.integer({ min: 1, max: 4 }), what: fc.integer({ min: 0, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, cut) => {
        const written = new Written().tool();
        for (const { run, what } of steps) {
          const all = [started(), proposed("a1"), claimed("a1"), claimed("a2"), closed("action.succeeded", "a1"), closed("action.in_doubt", "a2"), ends(), leased(3), returned(true)] as const;
          if (what === 9) written.tool();
          else written.add(`a_${run}`, all[what] as Parameters<JournalWriter["seal"]>[2][number]);
        }
        const at = cut % (written.messages.length + 1);
        const before = liveOf(written.messages.slice(0, at)).snapshot();
        const resumed = liveOf(written.messages, new LiveRuns(NS, JSON.parse(JSON.stringify(before)) as typeof before));
        assert.deepEqual(resumed.snapshot(), liveOf(written.messages).snapshot());
      }),
    );
  });
});

describe("the file of live runs", () => {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-live-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const path = liveFile(folder, NS);
  const snapshot = liveOf(new Written().add("a_1", started(), claimed("a1")).add("a_2", started(), leased(4)).messages).snapshot();

  it("is read as it was written, and is nobody else's to read", () => {
    writeLive(path, snapshot);
    assert.deepEqual(readLive(path, NS), snapshot);
  });
  it("one of another namespace is none (law 4)", () => {
    writeLive(path, snapshot);
    assert.equal(readLive(path, namespace("finance")), undefined);
  });
  it("one that is missing, or cut off anywhere, is none (law 4)", () => {
    assert.equal(readLive(join(folder, "nothing"), NS), undefined);
    writeLive(path, snapshot);
    const bytes = readFileSync(path);
    // the last byte is the line feed behind it all
    for (let length = 0; length < bytes.length - 1; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      assert.equal(readLive(path, NS), undefined, `cut off at ${length}`);
    }
  });
  it("one with any bit flipped is none, or says the same (law 4)", () => {
    writeLive(path, snapshot);
    const bytes = readFileSync(path);
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 4, 32, 128]) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] as number) ^ bit;
        writeFileSync(path, flipped);
        const read = readLive(path, NS);
        if (read !== undefined) assert.deepEqual(read, snapshot, `byte ${at}`);
      }
    }
  });
  it("one of another form is none: what a release means by it is part of its first line", () => {
    writeLive(path, snapshot);
    writeFileSync(path, readFileSync(path, "utf8").replace("live runs 1", "live runs 0"));
    assert.equal(readLive(path, NS), undefined);
  });
  it("is replaced whole, with nothing left beside it; what cannot be written is said, and tried again", () => {
    const own = join(folder, "own", "x.json");
    const troubles: string[] = [];
    const written = new Written().add("a_1", started());
    const live = new LiveRuns(NS);
    const keeper = new LiveKeeper(live, own, ({ message }) => troubles.push(message));
    keeper.take(written.messages);
    assert.deepEqual(readLive(own, NS), live.snapshot());
    assert.deepEqual(readdirSync(join(folder, "own")), ["x.json"]);
    const nowhere = new LiveKeeper(new LiveRuns(NS), join(own, "below-a-file"), ({ message }) => troubles.push(message));
    assert.deepEqual(troubles, []);
    nowhere.take(written.messages);
    assert.equal(troubles.length, 1);
    nowhere.save();
    assert.equal(troubles.length, 2);
  });
});
