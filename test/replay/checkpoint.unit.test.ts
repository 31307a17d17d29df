import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SignedCheckpoint } from "../../schemas/checkpoint.ts";
import { namespace } from "../../schemas/ids.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { CheckpointAudit, readCheckpoints, sequenceFault, signatureFault } from "../../services/replay/checkpoint.ts";
import { Heads } from "../../services/replay/heads.ts";
import { FIRST_PREVIOUS, Witness } from "../../services/replay/witness.ts";

const NS = namespace("default");
const AT = "2026-11-21T09:30:00.000Z";
const LATER = "2026-11-21T09:31:00.000Z";
const witness = new Witness(new Uint8Array(32).fill(7));
const other = new Witness(new Uint8Array(32).fill(8));
const KEYS = [witness.published("2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z")];

const message = (seq: number, run: string, text: string): StoredMessage => ({
  seq,
  subject: `signalbox.default.log.run.1.${run}`,
  time: 0,
  headers: new Map(),
  data: Buffer.from(text),
});
/** Three runs of three events each, one after the other in turns. */
const journal = (): StoredMessage[] => [1, 2, 3].flatMap((event) => ["a_1", "b_1", "c_1"].map((run, i) => message((event - 1) * 3 + i + 1, run, `${run}:${event}`)));
const headsOf = (messages: readonly StoredMessage[]): Heads => {
  const heads = new Heads();
  for (const one of messages) heads.push(one);
  return heads;
};
const kept = (messages: readonly StoredMessage[], previous?: SignedCheckpoint, at = AT) => witness.sign(NS, headsOf(messages), at, previous);
const audit = (messages: readonly StoredMessage[], ...checkpoints: SignedCheckpoint[]) => {
  const held = new CheckpointAudit(checkpoints);
  for (const one of messages) held.push(one);
  return held.conclude();
};
/** The same messages, numbered anew without a hole, as somebody who makes the stream again would store them. */
const renumbered = (messages: readonly StoredMessage[]) => messages.map((one, i) => ({ ...one, seq: i + 1 }));

describe("AUD-1: a checkpoint that somebody kept", () => {
  it("holds for the journal that it was made of, and for whatever was added behind it", () => {
    const checkpoint = kept(journal().slice(0, 6));
    assert.deepEqual(audit(journal().slice(0, 6), checkpoint), { held: 1, findings: [] });
    assert.deepEqual(audit(journal(), checkpoint), { held: 1, findings: [] });
    assert.deepEqual(audit(journal(), checkpoint, kept(journal(), checkpoint, LATER)), { held: 2, findings: [] });
  });

  const rewritten: readonly (readonly [string, (all: StoredMessage[]) => StoredMessage[], RegExp])[] = [
    ["an event was edited, and every chain made anew", (all) => all.map((one) => (one.seq === 2 ? message(2, "b_1", "b_1:forged") : one)), /rewritten/],
    ["the last event of a run was edited", (all) => all.map((one) => (one.seq === 9 ? message(9, "c_1", "c_1:forged") : one)), /rewritten/],
    ["two events changed places", (all) => all.map((one) => (one.seq === 1 ? message(1, "a_1", "a_1:2") : one.seq === 4 ? message(4, "a_1", "a_1:1") : one)), /rewritten/],
    ["a whole run was dropped", (all) => renumbered(all.filter(({ subject }) => !subject.endsWith("b_1"))), /ends at 6|cut off/],
    ["a whole run was dropped, and another filled its place", (all) => all.map((one) => (one.subject.endsWith("b_1") ? message(one.seq, "a_1", "a_1:more") : one)), /taken away/],
    ["a run was added in the past", (all) => all.map((one) => (one.seq === 3 ? message(3, "d_1", "d_1:1") : one)), /added in the past/],
    ["the journal was cut off", (all) => all.slice(0, 7), /ends at 7.*cut off/],
    ["last week's backup was put in its place", (all) => all.slice(0, 3), /older copy/],
    ["messages were taken out of the stream's numbers", (all) => all.filter(({ seq }) => seq !== 9), /cut off|no message 9/],
  ];
  for (const [what, change, why] of rewritten) {
    it(`shows that ${what}`, () => {
      const { held, findings } = audit(change(journal()), kept(journal()));
      assert.equal(held, 0);
      assert.match(findings[0]?.why ?? "", why);
    });
  }

  it("shows a rewritten past also when the journal has grown since", () => {
    const checkpoint = kept(journal());
    const forged = [...journal().map((one) => (one.seq === 5 ? message(5, "b_1", "forged") : one)), message(10, "d_1", "d_1:1")];
    assert.match(audit(forged, checkpoint).findings[0]?.why ?? "", /rewritten/);
  });

  it("is worth nothing by another key, an expired key, a key that is not what it is named, or changed by a byte", async () => {
    const checkpoint = kept(journal());
    assert.equal(await signatureFault(checkpoint, KEYS), undefined);
    assert.match((await signatureFault(other.sign(NS, headsOf(journal()), AT, undefined), KEYS)) ?? "", /none of those given/);
    assert.match((await signatureFault({ ...checkpoint, last_seq: 8 }, KEYS)) ?? "", /not valid/);
    const [key] = KEYS as [(typeof KEYS)[number]];
    assert.match((await signatureFault(checkpoint, [{ ...key, not_after: "2026-11-20T00:00:00.000Z" }])) ?? "", /was valid from/);
    assert.match((await signatureFault(checkpoint, [{ ...key, public: Buffer.from(other.publicKey).toString("base64url") }])) ?? "", /not named after/);
    const posing = { ...other.sign(NS, headsOf(journal()), AT, undefined), key: witness.key };
    assert.match((await signatureFault(posing, KEYS)) ?? "", /not valid/);
  });

  it("follows the one before it, by number, hash, sequence and time", () => {
    const first = kept(journal().slice(0, 3));
    const second = kept(journal().slice(0, 6), first, LATER);
    const third = kept(journal(), second, LATER);
    assert.equal(first.previous, FIRST_PREVIOUS);
    assert.equal(sequenceFault(first, second), undefined);
    assert.equal(sequenceFault(second, third), undefined);
    assert.match(sequenceFault(first, third) ?? "", /missing or was moved/);
    assert.match(sequenceFault(first, { ...second, previous: FIRST_PREVIOUS }) ?? "", /does not name/);
    assert.match(sequenceFault(second, kept(journal().slice(0, 2), second, LATER)) ?? "", /before that of/);
  });

  it("is read from a file line by line, and what is none is named", () => {
    const checkpoint = kept(journal());
    const read = readCheckpoints(`${JSON.stringify(checkpoint)}\n{"v":1}\nnonsense\n`);
    assert.deepEqual(read[0], checkpoint);
    assert.match(String(read[1]), /no checkpoint/);
    assert.match(String(read[2]), /not JSON/);
  });

  it("has the Merkle root of RFC 6962's tree: no leaf more or less, and no order of arrival, gives the same", () => {
    const roots = new Set<string>();
    for (let n = 0; n <= 17; n++) roots.add(headsOf(Array.from({ length: n }, (_, i) => message(i + 1, `r_${i}`, "x"))).root());
    assert.equal(roots.size, 18);
    const forwards = headsOf([message(1, "a_1", "x"), message(2, "b_1", "y")]);
    const backwards = headsOf([message(1, "b_1", "y"), message(2, "a_1", "x")]);
    assert.equal(forwards.root(), backwards.root());
  });
});
