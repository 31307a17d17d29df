/** The fast way through a journal proves what the slow way proves, and nothing else (CORE-6, AUD-1). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encode } from "../../services/bus/codec.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { Replayer } from "../../services/replay/replay.ts";
import { openFirst, type OpenedEvent } from "../../services/replay/strict.ts";
import { histories, recordedVersions, storedEvents } from "../histories/history.ts";
import { NS, recorded, RUN } from "./recorded.ts";

const run = recorded().of(RUN);
const opened = (message: StoredMessage): OpenedEvent => openFirst(message.data) ?? assert.fail("it is in the encoder's form");

function commitsOf(messages: readonly StoredMessage[]): StoredMessage[][] {
  const commits: StoredMessage[][] = [];
  for (const message of messages) {
    if (decodeEvent(message).body.part[0] === 1) commits.push([]);
    commits.at(-1)?.push(message);
  }
  return commits;
}

test("CORE-6 every commit of a run is proved at once, and the chain stands where the slow way leaves it", () => {
  const [fast, slow] = [new Replayer(NS, "run", RUN), new Replayer(NS, "run", RUN)];
  for (const commit of commitsOf(run)) assert.equal(fast.proves(opened(commit[0] as StoredMessage), commit), true);
  for (const message of run) assert.equal(slow.push(decodeEvent(message)), undefined);
  assert.deepEqual(fast.report, slow.report);
});

test("AUD-1 CORE-6 with any byte of any event changed, or any header, a commit is proved only where the slow way proves it: where another input gives the same", () => {
  const commits = commitsOf(run);
  const upTo = (count: number) => {
    const replayer = new Replayer(NS, "run", RUN);
    for (const commit of commits.slice(0, count)) assert.equal(replayer.proves(opened(commit[0] as StoredMessage), commit), true);
    return replayer;
  };
  for (const [number, commit] of commits.entries()) {
    let replayer = upTo(number);
    const first = opened(commit[0] as StoredMessage);
    const { head } = replayer.report;
    for (const [index, message] of commit.entries()) {
      const having = (changed: Partial<StoredMessage>) => commit.with(index, { ...message, ...changed });
      for (let at = 0; at < message.data.length; at++) {
        const data = Buffer.from(message.data);
        data[at] = (data[at] as number) ^ ([0x01, 0x20, 0x80][at % 3] as number);
        const changed = having({ data });
        const other = openFirst((changed[0] as StoredMessage).data);
        if (other === undefined || !replayer.proves(other, changed)) continue;
        assert.equal(index, 0, `event ${index + 1} of ${commit.length}, byte ${at}`);
        const slow = new Replayer(NS, "run", RUN);
        for (const one of [...commits.slice(0, number).flat(), ...changed]) assert.equal(slow.push(decodeEvent(one)), undefined, `byte ${at}`);
        assert.deepEqual(replayer.report, slow.report);
        replayer = upTo(number);
      }
      for (const name of message.headers.keys()) assert.equal(replayer.proves(first, having({ headers: new Map([...message.headers, [name, "x"]]) })), false, name);
      assert.equal(replayer.proves(first, having({ subject: `${message.subject}x` })), false);
      assert.equal(replayer.proves(first, having({ data: Buffer.concat([message.data, Buffer.of(0xc0)]) })), false);
    }
    assert.equal(replayer.proves(first, commit.slice(0, -1)), false);
    assert.equal(replayer.proves(first, [...commit, commit.at(-1) as StoredMessage]), false);
    assert.equal(replayer.report.head, head, "nothing was taken of what was not proved");
    assert.equal(replayer.proves(first, commit), true);
  }
});

test("CORE-6 the first event of every commit that was ever recorded reads as the decoder reads it", () => {
  let read = 0;
  for (const history of recordedVersions().flatMap((version) => histories(version))) {
    for (const { body, data } of storedEvents(history)) {
      const found = openFirst(data);
      assert.equal(found !== undefined, body.part[0] === 1);
      if (found === undefined) continue;
      read += 1;
      assert.deepEqual(found.body, body);
    }
  }
  assert.ok(read > 300);
});

const leaf = fc.oneof(fc.string({ unit: "binary", maxLength: 120 }), fc.string({ maxLength: 300 }), fc.nat(), fc.maxSafeInteger(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: "small" }, leaf, fc.array(tie("value"), { maxLength: 20 }), fc.dictionary(fc.string({ maxLength: 40 }), tie("value"), { maxKeys: 20 })),
}));
const { body } = decodeEvent(run[0] as StoredMessage);
const holding = (input: unknown) => ({ ...body, data: { ...body.data, input } });

test("CORE-6 any value reads as it was encoded, or is left to the decoder", () => {
  let read = 0;
  fc.assert(
    fc.property(value, (input) => {
      const bytes = encode(holding(input));
      const found = openFirst(bytes);
      if (found === undefined) return;
      read += 1;
      assert.deepEqual(encode(found.body), bytes);
    }),
    { numRuns: 2000, seed: 20260131 },
  );
  assert.ok(read > 500, `${read} were read`);
});

test("CORE-6 what the encoder would have written otherwise is not read: longer numbers and heads, keys out of order or twice", () => {
  const good = Buffer.from(encode(holding("INPUT")));
  const at = good.indexOf("INPUT") - 1;
  const put = (...bytes: number[]) => openFirst(Buffer.concat([good.subarray(0, at), Buffer.from(bytes), good.subarray(at + 6)]));
  const a = [0xa1, 0x61];
  const b = [0xa1, 0x62];
  assert.ok(put(0x82, ...a, 1, ...b, 2), "that is one of ours");
  const others = {
    "a small number in two bytes": [0xcc, 0x05],
    "in three": [0xcd, 0x00, 0xff],
    "in five": [0xce, 0x00, 0x00, 0xff, 0xff],
    "in nine": [0xcf, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    "a whole number as a float": [0xcb, 0x40, 0, 0, 0, 0, 0, 0, 0],
    "what is no number": [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1],
    "a short float": [0xca, 0, 0, 0, 0],
    "a short text with a long head": [0xd9, 1, 0x61],
    "a longer one": [0xda, 0, 1, 0x61],
    "a short list with a long head": [0xdc, 0, 1, 0xc0],
    "a small map with a long head": [0xde, 0, 1, ...a, 1],
    "keys out of order": [0x82, ...b, 1, ...a, 2],
    "a key twice": [0x82, ...a, 1, ...a, 2],
    "a key that is no text": [0x81, 1, 1],
    "a prototype": [0x81, 0xa9, ...Buffer.from("__proto__"), 0x80],
    "broken UTF-8": [0xa1, 0xff],
    "an extension": [0xd4, 1, 1],
    nothing: [],
    "one more": [0xc0, 0xc0],
  };
  for (const [what, bytes] of Object.entries(others)) assert.equal(put(...bytes), undefined, what);
});
