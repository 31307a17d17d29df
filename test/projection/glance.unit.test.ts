/** What is read in passing is what is read whole. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { decode, encode } from "../../services/bus/codec.ts";
import { decodeEvent, EventMalformed } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { glance } from "../../services/projection/glance.ts";

const HISTORIES = join(import.meta.dirname, "..", "histories");
const message = (data: Uint8Array): StoredMessage => ({ subject: "signalbox.default.log.run.1.a_1", seq: 1, time: 0, headers: new Map(), data });
const KEYS = ["action", "approvers", "tool", "attempt", "claim", "deadline"];
const wanted = (data: Readonly<Record<string, unknown>>) => Object.fromEntries(Object.entries(data).filter(([key]) => KEYS.includes(key)));

/** Every event that a released machine ever wrote. */
function* recorded(): Generator<Uint8Array> {
  for (const version of readdirSync(HISTORIES).filter((name) => /^v\d+$/.test(name))) {
    for (const file of readdirSync(join(HISTORIES, version))) {
      const { events } = JSON.parse(readFileSync(join(HISTORIES, version, file), "utf8")) as { events?: string[] };
      for (const event of events ?? []) yield Buffer.from(event, "base64");
    }
  }
}

test("OPS-2 of every recorded event a glance sees what decoding all of it shows", () => {
  let count = 0;
  for (const data of recorded()) {
    const { type, at, part, data: all } = decodeEvent(message(data)).body;
    const seen = glance(message(data));
    assert.deepEqual({ ...seen, data: wanted(seen.data) }, { type, at, part, data: wanted(all) });
    assert.deepEqual(Object.keys(seen.data).sort(), Object.keys(wanted(all)).sort());
    count += 1;
  }
  assert.ok(count > 1000, String(count));
});

test("OPS-2 whatever else an event holds is passed over whole", () => {
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, fc.string({ maxLength: 300 }), fc.double(), fc.integer(), fc.maxSafeInteger(), fc.boolean(), fc.constant(null), fc.uint8Array({ maxLength: 300 }), fc.array(tie("tree"), { maxLength: 20 }), fc.dictionary(fc.string({ maxLength: 40 }), tie("tree"), { maxKeys: 20 })),
  }));
  fc.assert(
    fc.property(fc.dictionary(fc.string({ maxLength: 40 }), tree), tree, fc.constantFrom(0, 70_000), (data, claim, long) => {
      const body = { at: "t", cause: { more: claim }, data: { ...data, action: "a7", claim, z: "x".repeat(long) }, from: null, machine: "2", ns: "n", part: [1, 2], prev: new Uint8Array(32), run: "r", seq: 1, to: "x", type: "action.started", v: 1 };
      const seen = glance(message(encode(body)));
      assert.deepEqual(wanted(seen.data), wanted((decode(encode(body)) as typeof body).data));
      assert.deepEqual([seen.type, seen.at, seen.part], ["action.started", "t", [1, 2]]);
    }),
  );
});

test("OPS-2 what is no event is refused as such, cut off or not", () => {
  const [event] = recorded();
  assert.ok(event);
  for (const data of [event.subarray(0, event.length - 1), event.subarray(0, 40), Buffer.concat([event, Buffer.from([1])]), encode({ v: 1 }), encode([1]), Buffer.from([0xc1]), Buffer.alloc(0)]) {
    assert.throws(() => glance(message(data)), EventMalformed);
  }
});
