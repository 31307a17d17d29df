/** One line for what an aggregate's events amount to (CORE-5, CORE-6): the same wherever they are read, another for any other state. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalText } from "../../schemas/canonical.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import { parseLog } from "../../schemas/subjects.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { decodeEvent, type JournalEvent } from "../../services/bus/commit.ts";
import { beginning, commits, type Driven, fold, recomputed, type StoredCommit } from "../../services/replay/fold.ts";
import { checkMessages } from "../../services/replay/journal.ts";
import { stateHash, statesHash, stateText } from "../../services/replay/state-hash.ts";
import { stateAt } from "../../services/replay/state-at.ts";
import { histories, recordedVersions, storedEvents } from "../histories/history.ts";
import { NS, OTHER_RUN, recorded, RUN } from "./recorded.ts";

interface Known {
  readonly name: string;
  readonly ns: Namespace;
  readonly kind: Driven["kind"];
  readonly aggregate: string;
  readonly events: readonly JournalEvent[];
}
/** Every aggregate that a test has the events of, by machines of all versions. */
const KNOWN: readonly Known[] = [
  ...[RUN, OTHER_RUN].map((run) => ({ name: `recorded/${run}`, events: recorded().of(run).map(decodeEvent) })),
  ...recordedVersions().flatMap((version) => histories(version).map((history) => ({ name: `v${version}/${history.name}`, events: storedEvents(history) }))),
].map(({ name, events }) => {
  const { ns, kind, name: aggregate } = parseLog(events[0]?.subject ?? "") ?? assert.fail();
  return { name, ns: ns as Namespace, kind, aggregate, events };
});

const folded = ({ ns, kind, aggregate }: Known, events: Iterable<JournalEvent>): Driven => fold(ns, kind, aggregate, events)?.state ?? assert.fail();
const applied = (driven: Driven, stored: readonly StoredCommit[]): Driven => {
  for (const one of stored) recomputed(driven, one).apply();
  return driven;
};

/** A state as objects and lists, which the canonical form of documents knows. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [key as string, plain(member)]));
  if (value instanceof Set) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)])) : value;
}

test("CORE-5 the text that is hashed is the canonical form: maps are objects, whatever was put first, sets are lists, what is undefined is left out", () => {
  for (const one of KNOWN) assert.equal(stateText(folded(one, one.events).state), canonicalText(plain(folded(one, one.events).state)), one.name);
  const leaf = fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null));
  const name = fc.string({ unit: "grapheme" }).filter((text) => text !== "__proto__");
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(name, fc.option(tie("value"), { nil: undefined }), { maxKeys: 30 }),
      fc.array(fc.tuple(name, tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
      fc.uniqueArray(fc.string()).map((items) => new Set(items)),
    ),
  }));
  fc.assert(fc.property(value, (one) => stateText(one) === canonicalText(plain(one))));
  assert.equal(stateText(new Map([["b", 1], ["a", -0]])), '{"a":0,"b":1}');
});

/** Every single thing that can be otherwise in a state, done to a copy of it. */
function* otherwise(state: object): Generator<readonly [string, object]> {
  const ways: ((copy: object) => string)[] = [];
  const visit = (at: (copy: object) => unknown, path: string): void => {
    const value = at(state);
    const put = <T>(name: string, change: (container: T) => void) => {
      ways.push((copy) => {
        change(at(copy) as T);
        return `${path}${name}`;
      });
    };
    if (value instanceof Map) {
      put("+", (map: Map<string, unknown>) => map.set("an-entry-more", 1));
      for (const key of value.keys() as Iterable<string>) {
        put(`-${key}`, (map: Map<string, unknown>) => map.delete(key));
        const member: unknown = value.get(key);
        if (typeof member !== "object" || member === null) put(`/${key}`, (map: Map<string, unknown>) => map.set(key, other(member)));
        else visit((copy) => (at(copy) as Map<string, unknown>).get(key), `${path}/${key}`);
      }
      return;
    }
    if (value instanceof Set) {
      put("+", (set: Set<string>) => set.add("one-more"));
      for (const item of value as Set<string>) put(`-${item}`, (set: Set<string>) => set.delete(item));
      return;
    }
    put("+", (container: Record<string, unknown>) => (container[Array.isArray(value) ? value.length : "a_member_more"] = 1));
    for (const [key, member] of Object.entries(value as object)) {
      if (typeof member === "object" && member !== null) visit((copy) => (at(copy) as Record<string, unknown>)[key], `${path}/${key}`);
      else put(`/${key}`, (container: Record<string, unknown>) => (container[key] = other(member)));
    }
  };
  visit((copy) => copy, "");
  for (const way of ways) {
    const copy = unshared(state) as object;
    yield [way(copy), copy];
  }
}
/** A copy in which nothing stands in two places: a state may name one error of two actions. */
function unshared(value: unknown): unknown {
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [key as string, unshared(member)]));
  if (value instanceof Set) return new Set(value);
  if (Array.isArray(value)) return value.map(unshared);
  return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, unshared(member)])) : value;
}
function other(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  return typeof value === "string" ? `${value}x` : "something";
}

test("CORE-5 any member of a state that is otherwise gives another hash, and no two of these the same", () => {
  const kinds = new Set<string>();
  let changes = 0;
  for (const one of KNOWN) {
    // one of a kind that is not a run says as much as another, and random ones are long
    if (kinds.has(one.kind) && (one.kind !== "run" || !/^v3\/(?!random)/.test(one.name))) continue;
    kinds.add(one.kind);
    const { state } = folded(one, one.events);
    const seen = new Map<Digest, string>([[stateHash(state), "the state itself"]]);
    for (const [what, copy] of otherwise(state)) {
      const hash = stateHash(copy as typeof state);
      assert.equal(seen.get(hash), undefined, `${one.name}: ${what}`);
      seen.set(hash, what);
    }
    changes += seen.size - 1;
  }
  assert.ok(changes > 3000, `${changes} changes`);
  assert.deepEqual([...kinds].sort(), ["agent", "budget", "erasure", "guard", "issuer", "ledger", "person", "policy", "run", "segments", "tool"]);
});

test("CORE-5 the fold of a beginning, kept as a copy, and of the rest is the fold of the whole, at every commit of every history", () => {
  for (const one of KNOWN) {
    const stored = [...commits(one.events)];
    const whole = stateHash(folded(one, one.events).state);
    const machine = stored[0]?.first.machine ?? assert.fail();
    const hashes = stored.map((_, cut) => {
      const driven = applied(beginning(one.ns, one.kind, one.aggregate, machine), stored.slice(0, cut));
      const before = stateHash(driven.state);
      const copy = structuredClone(driven) as Driven;
      assert.equal(stateHash(copy.state), before, one.name);
      assert.equal(stateHash(applied(copy, stored.slice(cut)).state), whole, `${one.name}, ${cut} commit(s) before`);
      return before;
    });
    assert.equal(new Set([...hashes, whole]).size, stored.length + 1, `${one.name}: every commit makes another state`);
  }
});

test("CORE-6 the hash is of the state alone: not of places in the journal, of when it was stored, of headers, or of what lies between", async () => {
  const { messages } = recorded();
  const elsewhere = messages.map((message, index): StoredMessage => ({ ...message, seq: 1000 + 7 * index, time: message.time + 86_400_000 }));
  const alone = messages.filter(({ subject }) => subject.endsWith(RUN));
  const [one, two, three] = await Promise.all([messages, elsewhere, alone].map(async (all) => (await checkMessages(NS, all)).find(({ replay }) => replay.name === RUN)?.state_hash));
  assert.match(one ?? "", /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual([two, three], [one, one]);
  const events = alone.map(decodeEvent);
  assert.equal((await stateAt(NS, RUN, events, { seq: events.length }))?.state_hash, one);
});

test("CORE-6 what is not identical to its end has no hash, and many aggregates have one together", async () => {
  const { messages } = recorded();
  const last = messages.findLastIndex(({ subject }) => subject.endsWith(RUN));
  const cut = await checkMessages(NS, messages.with(last, { ...(messages[last] as StoredMessage), headers: new Map() }));
  assert.deepEqual(cut.filter(({ state_hash }) => state_hash === undefined).map(({ replay }) => replay.name), [RUN]);
  const hashes = (await checkMessages(NS, messages)).map(({ replay, state_hash }) => [replay.name, state_hash as Digest] as const);
  const together = statesHash(new Map(hashes));
  assert.equal(statesHash(new Map(hashes.toReversed())), together);
  assert.notEqual(statesHash(new Map(hashes.slice(1))), together);
});

/** A release that keeps more in a state gives other hashes: that is then seen here, and said in its notes. */
const PINNED: Readonly<Record<string, string>> = {
  "v1/asked-and-granted": "sha256:795c9406801ea292e81b8da47fcbf82869c2bca85ca019f63cba47b42344e0de",
  "v2/standing-approval": "sha256:d42b0e170f15faa742ed1cd6475e2d9b255afa6d77b7f5c4088bf4c6eef7362b",
  "v3/probed-and-done": "sha256:ee2dd087db431b3c36de233d17b513dc46d6416855f9f4930021fbf67eec14eb",
  "v3/guard": "sha256:d902bb67a14d15041b7824296710bfe9279d5ac22d9de708a86a9c4e2613f08a",
  "v3/ledger": "sha256:b4a7f5716d67e446a2eca2a0ba3a45c5f6b355e65e62eb50be3c3c73eacbb28e",
  "v3/document-policy": "sha256:abf49e6a66c06e2e80abb0a82689be379e69db5de99e55563d779669bf8f07ba",
};

test("CORE-6 the hash of a recorded history is the same on every machine that folds it", () => {
  const hashes = Object.fromEntries(Object.keys(PINNED).map((name) => {
    const one = KNOWN.find((known) => known.name === name) ?? assert.fail(name);
    return [name, stateHash(folded(one, one.events).state)];
  }));
  assert.deepEqual(hashes, PINNED);
});
