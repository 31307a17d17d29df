/** Subjects are built in one place and taken apart in the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  AGGREGATE_KINDS, actor, namespace, PARTITIONS, partitionOf, type RunId, runId, runIdSchema, startingAgent, toolNameSchema,
} from "../../schemas/ids.ts";
import {
  aggregateToken, escapeToken, formerPartitions, INPUT_KINDS, inputTransform, parseAggregateToken, parseLog, parseStoredInput, patterns, shareOf, SHARES, streamName, STREAMS, subjects,
  unescapeToken,
} from "../../schemas/subjects.ts";

const ns = namespace("finance");
const run = runId("agent-1_R-9");
const me = actor("agent-1");
const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);
const runs = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}_[A-Za-z0-9][A-Za-z0-9-]{0,20}$/) as fc.Arbitrary<RunId>;
const tools = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,9}(\.[A-Za-z0-9][A-Za-z0-9_-]{0,9}){0,5}$/);

test("a token survives escaping, whatever is in it, and never holds what would split or widen a subject", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const token = escapeToken(text);
      assert.match(token, /^[A-Za-z0-9_%-]*$/);
      assert.equal(unescapeToken(token), text);
    }),
  );
});

test("escaped names differ where names differ, and a token that nobody escaped properly is no legal name", () => {
  assert.equal(escapeToken("stripe.create_refund"), "stripe%2Ecreate_refund");
  assert.notEqual(escapeToken("a.b"), escapeToken("a%2Eb"));
  assert.equal(unescapeToken("50%"), "50%");
  assert.equal(toolNameSchema.safeParse(unescapeToken("50%")).success, false);
});

test("an input's stored subject gives back who said what to whom", () => {
  fc.assert(
    fc.property(fc.constantFrom(...INPUT_KINDS.filter((kind) => kind !== "signal")), name, runs, (kind, who, to) => {
      const [root, space, , ...tail] = subjects.input(ns, kind, actor(who), to).split(".");
      // what the stream's subject transform makes of it
      const stored = [root, space, "part", shareOf(to), ...tail].join(".");
      const address = { share: shareOf(to), kind, actor: who, aggregate: to };
      assert.deepEqual(parseStoredInput(stored), address);
      // stored by a plane of before
      assert.deepEqual(parseStoredInput([root, space, "part", partitionOf(to), ...tail].join(".")), address);
    }),
  );
  // a signal has one token more; those of before were stored as they were published
  const ledger = aggregateToken("ledger", "team.support.2026-11-21");
  const signal = { share: shareOf(ledger), kind: "signal", actor: run, aggregate: ledger, signal: "lease" };
  assert.deepEqual(parseStoredInput(subjects.signal(ns, run, ledger, "lease")), signal);
  assert.deepEqual(parseStoredInput(`signalbox.finance.in.signal.${run}.${ledger}.lease`), signal);
  for (const wrong of [
    "signalbox.finance.in.signal.a.b", "signalbox.finance.in.signal.a.b.c.d",
    "signalbox.finance.part.1.propose.agent-1", "signalbox.finance.part.1.propose.a.b.c", "signalbox.finance.part.1.signal.a.b",
    "other.finance.part.1.propose.a.b", "signalbox.finance.in.propose.a.b", "",
  ]) {
    assert.equal(parseStoredInput(wrong), undefined, wrong);
  }
});

test("a journal subject, stored or republished, gives back its aggregate, dots in the name included", () => {
  fc.assert(
    fc.property(fc.constantFrom(...AGGREGATE_KINDS), tools, (kind, of) => {
      const expected = { ns: "finance", kind, partition: partitionOf(aggregateToken(kind, of)), name: of, segment: 1 };
      assert.deepEqual(parseLog(subjects.log(ns, kind, of)), expected);
      assert.deepEqual(parseLog(subjects.live(ns, kind, of)), expected);
      assert.deepEqual(parseLog(subjects.log(ns, kind, of, 12)), { ...expected, segment: 12 });
    }),
  );
  for (const wrong of ["signalbox.finance.log.run.1", "signalbox.finance.event.run.1.a", "other.finance.log.run.1.a", "signalbox.finance.segment.2.run.1"]) {
    assert.equal(parseLog(wrong), undefined, wrong);
  }
});

test("an aggregate's token is one token, and names what it names", () => {
  fc.assert(
    fc.property(fc.constantFrom("tool" as const, "agent" as const, "policy" as const), tools, (kind, of) => {
      const token = aggregateToken(kind, of);
      assert.ok(!token.includes("."));
      assert.deepEqual(parseAggregateToken(token), { kind, name: of });
      assert.equal(runIdSchema.safeParse(token).success, false, "no document can be taken for a run");
    }),
  );
  assert.deepEqual(parseAggregateToken(aggregateToken("run", run)), { kind: "run", name: run });
});

test("the partition of known tokens is a constant of the wire", () => {
  // FNV-1a (32 bit) by its published vectors: "" 811c9dc5, "a" e40c292c, "foobar" bf9cf968
  assert.equal(partitionOf(""), 0x811c9dc5 % PARTITIONS);
  assert.equal(partitionOf("a"), 0xe40c292c % PARTITIONS);
  assert.equal(partitionOf("foobar"), 0xbf9cf968 % PARTITIONS);
  assert.equal(PARTITIONS, 64);
});

test("EXEC-8 every partition of before is in one share, and in no other: what is stored under it is taken by its owner", () => {
  const owners = Array.from({ length: SHARES }, (_, share) => [share, ...formerPartitions(share)]);
  assert.deepEqual(owners.flat().sort((a, b) => a - b), Array.from({ length: PARTITIONS }, (_, p) => p));
  fc.assert(
    fc.property(runs, (to) => {
      assert.ok(owners[shareOf(to)]?.includes(partitionOf(to)));
      assert.ok(matches(patterns.duesOf(ns, shareOf(to)), subjects.due(ns, to)));
      assert.ok(matches(patterns.inputsOf(ns, shareOf(to)), subjects.signal(ns, "ledger:x", to, "leased")));
    }),
  );
});

test("partitions are spread: of many runs no partition has many times its share", () => {
  const counts = new Array<number>(PARTITIONS).fill(0);
  for (let i = 0; i < 6400; i++) counts[partitionOf(`agent-1_run-${i}`)]! += 1;
  assert.ok(Math.min(...counts) > 30 && Math.max(...counts) < 300, counts.join());
});

test("CORE-1: a run belongs to the agent whose name it begins with", () => {
  assert.equal(startingAgent(run), me);
  assert.equal(startingAgent(runId("a_b")), "a");
  for (const wrong of ["_a", "a_", "A_b", "a.b_c", "a_b_c", "a_b.c", `a_${"b".repeat(82)}`]) assert.equal(runIdSchema.safeParse(wrong).success, false, wrong);
});

/** As the broker matches a subject against a pattern. */
function matches(pattern: string, subject: string): boolean {
  const p = pattern.split(".");
  const s = subject.split(".");
  return p.every((token, i) => (token === ">" ? s.length > i : s[i] !== undefined && (token === "*" || token === s[i]))) && (p.at(-1) === ">" || p.length === s.length);
}

test("every subject falls under its own pattern, and under no other namespace's", () => {
  const pairs: [keyof typeof patterns, string][] = [
    ["inboxSource", subjects.input(ns, "propose", me, run)],
    ["inputs", subjects.input(ns, "report", me, run)],
    ["log", subjects.log(ns, "tool", "a.b")],
    ["segments", subjects.log(ns, "run", run, 2)],
    ["live", subjects.live(ns, "run", run)],
    ["events", subjects.event(ns, "run.started", run)],
    ["teams", subjects.team(ns, "Team A", "run.started", run)],
    ["out", subjects.out(ns, me, run)],
    ["asks", subjects.ask(ns, me, run)],
    ["rejected", subjects.rejected(ns, me)],
    ["grants", subjects.grant(ns, me)],
    ["dispatches", subjects.dispatch(ns, "a.b")],
    ["calls", subjects.call(ns, "a.b")],
    ["timers", subjects.timer(ns, run, "approval:q4")],
    ["dues", subjects.due(ns, run)],
    ["documents", subjects.document(ns, "0".repeat(64))],
    ["leases", subjects.member(ns, "0123456789ab")],
    ["leases", subjects.lease(ns, 7)],
    ["queries", subjects.query(ns, "approval.a_b")],
  ];
  const of = (key: keyof typeof patterns, space: typeof ns) => (key === "log" ? patterns.log(space) : (patterns[key] as (ns: string, kind?: string) => string)(space, "run"));
  for (const [key, subject] of pairs) {
    assert.ok(matches(of(key, ns), subject), `${of(key, ns)} has not ${subject}`);
    assert.ok(!matches(of(key, namespace("other")), subject));
  }
  for (const kind of INPUT_KINDS) {
    const subject = kind === "signal" ? subjects.signal(ns, run, "ledger:x", "lease") : subjects.input(ns, kind, me, run);
    const sources = [patterns.inboxSource(ns), ...patterns.controlSources(ns)];
    assert.equal(sources.filter((one) => matches(one, subject)).length, 1, "each kind has one stream");
    assert.equal(matches(inputTransform(ns).src, subject), kind !== "signal", "what has no partition in front is stored as it is");
  }
});

test("a timer's name is one token of its subject", () => {
  assert.equal(subjects.timer(ns, run, "action:a2").split(".").length, subjects.due(ns, run).split(".").length + 1);
});

test("streams are named by kind and namespace", () => {
  assert.deepEqual(STREAMS.map((kind) => streamName(kind, ns)).slice(0, 3), ["INBOX_finance", "CONTROL_finance", "JOURNAL_finance"]);
});
