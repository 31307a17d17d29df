/** Checkpoints in an export (AUD-1, AUD-2): a run is held against a signed root with nothing known of the other runs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SignedCheckpoint, WitnessKey } from "../../schemas/checkpoint.ts";
import { namespace, type RunId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import type { AttestedCheckpoint } from "../../services/replay/attested.ts";
import { type ExportEvidence, exportLines } from "../../services/replay/export.ts";
import { ExportFile, type FileFault } from "../../services/replay/export-file.ts";
import { Heads } from "../../services/replay/heads.ts";
import { checkMessages } from "../../services/replay/journal.ts";
import { chosenCheckpoints, proven } from "../../services/replay/proofs.ts";
import { Witness } from "../../services/replay/witness.ts";
import { NS, office, OTHER_RUN, recorded, RUN } from "./recorded.ts";

const AT = "2026-11-21T09:30:00.000Z";
const witness = new Witness(new Uint8Array(32).fill(7));
const stranger = new Witness(new Uint8Array(32).fill(8));
const [FROM, TO] = ["2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"];
const KEY = witness.published(FROM, TO);

const recorder = recorded();
const journal = recorder.messages;
const run = recorder.of(RUN);
const subject = subjects.log(NS, "run", RUN);
const other = subjects.log(NS, "run", OTHER_RUN);
/** The run has events behind it, and so has the other. */
const MIDDLE = (run.at(-4) as StoredMessage).seq;
const newer = run.filter(({ seq }) => seq > MIDDLE).length;

function signed(messages: readonly StoredMessage[], by = witness, ns = NS, previous?: SignedCheckpoint): SignedCheckpoint {
  const heads = new Heads();
  for (const one of messages) heads.push(one);
  return by.sign(ns, heads, AT, previous);
}
const upTo = (seq: number, messages: readonly StoredMessage[] = journal) => messages.filter((one) => one.seq <= seq);
const evidence = async (checkpoints: readonly SignedCheckpoint[], of = [subject], keys: readonly WitnessKey[] = [KEY], messages = journal): Promise<ExportEvidence> => ({
  keys: keys.map((key) => ({ use: "witness", key })),
  checkpoints: await proven(messages, checkpoints, new Set(of)),
});

interface Told {
  readonly faults: readonly FileFault[];
  readonly checkpoints: readonly AttestedCheckpoint[];
  readonly file: ExportFile;
  /** Every chain whole, every event recomputed. */
  readonly replays: boolean;
}
/** Writes an export of these messages and verifies it. */
async function told(messages: readonly StoredMessage[], added: ExportEvidence, trusted?: readonly WitnessKey[], runs: readonly RunId[] | "all" = [RUN]): Promise<Told> {
  const [first, last] = [messages[0], messages.at(-1)] as [StoredMessage, StoredMessage];
  const range = { first_seq: first.seq, last_seq: last.seq, from: timestamp(first.time), to: timestamp(last.time) };
  const what = runs === "all" ? ({ all: true } as const) : { runs: [...runs] };
  const opening = { signalbox_export: 2, namespace: NS, plane: "nats://here", exported_by: "auditor kim", exported_at: AT, what, range } as const;
  let text = "";
  for await (const line of exportLines(opening, messages, recorder.documents, added)) text += line;
  const file = new ExportFile((async function* () { yield Buffer.from(text); })());
  const checks = await checkMessages(NS, file.messages());
  return { faults: file.faults, checkpoints: await file.attested(trusted), file, replays: checks.every(({ replay, verify }) => (replay.difference ?? verify.fault) === undefined) };
}
const why = ({ checkpoints, faults }: Told) => checkpoints[0]?.fault ?? faults[0]?.why ?? "";

describe("AUD-1 AUD-2: an export with checkpoints", () => {
  it("of one run holds against a root over all runs; what came later is counted and is no fault", async () => {
    const found = await told(run, await evidence([signed(upTo(MIDDLE)), signed(journal, witness, NS, signed(upTo(MIDDLE)))]), [KEY]);
    assert.deepEqual([found.faults, found.replays], [[], true]);
    assert.deepEqual(found.checkpoints.map(({ n, held, newer, named_by, fault }) => [n, held, newer, named_by, fault]), [
      [1, run.length - newer, newer, "you", undefined],
      [2, run.length, 0, "you", undefined],
    ]);
  });

  it("of several runs has a proof for each, and of everything needs none", async () => {
    const both = journal.filter((one) => one.subject === subject || one.subject === other);
    assert.equal(why(await told(both, await evidence([signed(journal)], [subject, other]), [KEY], [RUN, OTHER_RUN])), "");
    const all = await told(journal, { keys: [], checkpoints: [{ signed: signed(upTo(MIDDLE)), proofs: [] }] }, [KEY], "all");
    assert.deepEqual([why(all), all.checkpoints[0]?.held], ["", MIDDLE]);
  });

  it("names the key that signed: one that was given, or one that only the file itself names", async () => {
    const [one] = (await told(run, await evidence([signed(journal)]))).checkpoints;
    assert.deepEqual([one?.named_by, one?.key, one?.fault], ["file", witness.key, undefined]);
  });

  it("does not hold by a key that was not given, whatever the file names; by an expired one; by one that is not what it is named", async () => {
    const forged = await evidence([signed(journal, stranger)], [subject], [KEY, stranger.published(FROM, TO)]);
    assert.match(why(await told(run, forged, [KEY])), /none of those given/);
    assert.equal((await told(run, forged)).checkpoints[0]?.named_by, "file", "without keys of one's own that is all that can be said");
    const good = await evidence([signed(journal)]);
    assert.match(why(await told(run, good, [{ ...KEY, not_after: "2026-11-20T00:00:00.000Z" }])), /was valid from/);
    assert.match(why(await told(run, good, [{ ...KEY, not_before: "2026-11-22T00:00:00.000Z" }])), /was valid from/);
    assert.match(why(await told(run, good, [{ ...KEY, public: stranger.published(FROM, TO).public }])), /not named after/);
    const posing = { ...signed(journal, stranger), key: witness.key };
    assert.match(why(await told(run, { ...good, checkpoints: (await evidence([posing])).checkpoints }, [KEY])), /not valid/);
    assert.match(why(await told(run, { ...good, checkpoints: [{ signed: { ...signed(journal), at: TO }, proofs: good.checkpoints[0]?.proofs ?? [] }] }, [KEY])), /not valid/);
    assert.match(why(await told(run, { ...good, keys: [] })), /none of those given/);
  });

  it("does not hold with the proof of another run, with none, or with one that was edited", async () => {
    const good = await evidence([signed(journal)]);
    const { signed: checkpoint, proofs: [proof] } = good.checkpoints[0] as ExportEvidence["checkpoints"][number];
    assert.ok(proof && proof.path.length > 1);
    const proofs = (...all: (typeof proof)[]): ExportEvidence => ({ keys: good.keys, checkpoints: [{ signed: checkpoint, proofs: all }] });
    assert.match(why(await told(run, proofs(), [KEY])), /clerk_one.*no proof/);
    const others = (await evidence([checkpoint], [other])).checkpoints[0]?.proofs[0] ?? assert.fail();
    assert.match(why(await told(run, proofs(others), [KEY])), /of which the file has no event/);
    assert.match(why(await told(run, proofs({ ...others, subject }), [KEY])), /does not lead to what was signed/);
    const flipped = (bytes: Uint8Array) => Uint8Array.from(bytes, (byte, i) => (i === 5 ? byte ^ 1 : byte));
    const edits = [
      { count: proof.count - 1 }, { count: proof.count + 1 }, { link: flipped(proof.link) }, { index: proof.index ^ 1 }, { size: proof.size + 1 },
      { path: proof.path.slice(1) }, { path: [...proof.path, proof.link] }, { path: proof.path.with(1, flipped(proof.path[1] as Uint8Array)) },
    ];
    for (const edit of edits) assert.match(why(await told(run, proofs({ ...proof, ...edit }), [KEY])), /does not lead to what was signed/, Object.keys(edit)[0]);
    assert.match(why(await told(run, proofs(proof, proof), [KEY])), /second proof/);
  });

  it("does not hold for a run that was cut off where no chain tells, dropped in part, or made anew", async () => {
    const good = await evidence([signed(journal)]);
    const ends = run.flatMap((_, i) => (i > 0 && i < run.length - 1 ? [i] : []));
    const whole = await Promise.all(ends.map(async (end) => ({ end, found: await told(run.slice(0, end), good, [KEY]) })));
    const cut = whole.filter(({ found }) => found.replays && found.faults.every(({ why }) => /no event rests on/.test(why)));
    assert.ok(cut.length > 2, "some cuts leave a file in which everything but the signature is as it should be");
    for (const { end, found } of whole) assert.match(found.checkpoints[0]?.fault ?? "", /cut off, or events were dropped/, `after ${end}`);
    // another life of the same run, with every chain whole and every event recomputed
    const elsewhere = recorded();
    elsewhere.tell(OTHER_RUN, "propose", "clerk", { kind: "finish", id: "f" });
    const twin = elsewhere.of(OTHER_RUN);
    const theirs = await evidence([signed(journal)], [other]);
    const later = await told(twin, theirs, [KEY], [OTHER_RUN]);
    assert.deepEqual([later.replays, later.checkpoints[0]?.fault, later.checkpoints[0]?.newer], [true, undefined, twin.length - recorder.of(OTHER_RUN).length], "it only goes on");
    const past = twin.map((one, i) => ({ ...one, seq: i + 1 }));
    assert.match(why(await told(past, theirs, [KEY], [OTHER_RUN])), /something was added in the past/);
    const rewritten = run.map((one, i) => (i === run.length - 1 ? { ...one, data: Buffer.concat([one.data.subarray(0, -1), Buffer.of(2)]) } : one));
    assert.match((await told(rewritten, good, [KEY])).checkpoints[0]?.fault ?? "", /rewritten/);
  });

  it("does not hold by a checkpoint of another plane or another namespace, though the same witness signed it", async () => {
    const plane = office();
    plane.start(RUN);
    plane.propose(RUN, "t1", "t.write", { amount: 1 });
    const theirs = await evidence([signed(plane.messages)], [subject], [KEY], plane.messages);
    assert.equal(theirs.checkpoints[0]?.proofs.length, 1, "it has a run of that name, too");
    assert.match((await told(run, theirs, [KEY])).checkpoints[0]?.fault ?? "", /is not what was signed|were signed up to/);
    const elsewhere = await evidence([signed(journal, witness, namespace("finance"))]);
    assert.match((await told(run, elsewhere, [KEY])).checkpoints[0]?.fault ?? "", /of namespace `finance`, the file of `default`/);
  });

  it("of everything does not hold where a run was dropped, added in the past or cut off", async () => {
    const all = { keys: [], checkpoints: [{ signed: signed(journal), proofs: [] }] };
    const renumbered = (messages: readonly StoredMessage[]) => messages.map((one, i) => ({ ...one, seq: i + 1 }));
    assert.match((await told(renumbered(journal.filter((one) => one.subject !== other)), all, [KEY], "all")).checkpoints[0]?.fault ?? "", /cut off/);
    const twin = renumbered([...journal.slice(0, 5), { ...(run[0] as StoredMessage), subject: subjects.log(NS, "run", "clerk_x" as RunId) }, ...journal.slice(5)]);
    assert.match((await told(twin, all, [KEY], "all")).checkpoints[0]?.fault ?? "", /added in the past/);
    assert.match((await told(journal.slice(0, -2), all, [KEY], "all")).checkpoints[0]?.fault ?? "", /cut off/);
  });

  it("takes the first checkpoint that is about all of it, and the latest", () => {
    const known = [10, 20, 30, 40].map((last_seq, i) => ({ ...signed([]), n: i + 1, last_seq }));
    const numbers = (lastSeq: number, whole = false) => chosenCheckpoints(known, [lastSeq], whole).map(({ n }) => n);
    assert.deepEqual([numbers(15), numbers(40), numbers(41), numbers(35, true), numbers(5, true)], [[2, 4], [4], [4], [3], []]);
  });

  it("is told by an exporter whose journal is not what was signed", async () => {
    const [one] = await proven(journal.slice(0, -1), [signed(journal)], new Set([subject]));
    assert.match(one?.fault ?? "", /not what was signed/);
    assert.deepEqual(one?.proofs, []);
  });
});
