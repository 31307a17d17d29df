/** The verifier's page: its code, run where there is nothing of Node, over exports of every machine version that ever was. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createContext, runInContext } from "node:vm";
import { bundle, verifierPage } from "../../infra/verifier/build.ts";
import type { Result } from "../../infra/verifier/check.ts";
import { namespace } from "../../schemas/ids.ts";
import { timestamp } from "../../schemas/time.ts";
import { headersOf } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { type ExportEvidence, exportLines } from "../../services/replay/export.ts";
import { Heads } from "../../services/replay/heads.ts";
import { proven } from "../../services/replay/proofs.ts";
import { redacted, type Redaction } from "../../services/replay/redact.ts";
import { Witness } from "../../services/replay/witness.ts";
import type { WitnessKey } from "../../schemas/checkpoint.ts";
import { histories, recordedVersions, storedEvents } from "../histories/history.ts";

const NS = namespace("test");

const NOTHING: ExportEvidence = { keys: [], checkpoints: [] };

/** All recorded histories, as one journal. */
function recordedJournal(): StoredMessage[] {
  const seen = new Set<string>();
  // histories share names: the longest of a name speaks for it
  const taken = recordedVersions()
    .flatMap((version) => histories(version))
    .sort((a, b) => b.events.length - a.events.length)
    .filter(({ subject }) => !seen.has(subject) && seen.add(subject))
    .flatMap(storedEvents);
  return taken.map(({ subject, data, body }, i) => ({ subject, data, seq: i + 1, time: 0, headers: new Map(Object.entries(headersOf(body))) }));
}

async function exported(change: (messages: StoredMessage[]) => StoredMessage[] = (all) => all, evidence = NOTHING, redaction?: Redaction): Promise<string> {
  const messages = change(recordedJournal());
  const range = { first_seq: 1, last_seq: messages.length, from: timestamp(0), to: timestamp(0) };
  const opening = { signalbox_export: redaction === undefined ? 2 : 3, namespace: NS, plane: "nats://here", exported_by: "kim", exported_at: timestamp(0), what: { all: true }, range } as const;
  let text = "";
  const documents = { bytes: () => Promise.resolve(undefined) };
  for await (const line of exportLines(opening, redaction === undefined ? messages : redacted(messages, redaction, documents), documents, evidence)) text += line;
  return text;
}

/** What a page has, of what the code asks for; `process`, `require` and `Buffer` it has not. */
async function inPage(text: string, keys?: readonly WitnessKey[]): Promise<Result> {
  const context = createContext({ atob, btoa, TextEncoder, TextDecoder, performance, structuredClone, queueMicrotask, setTimeout, clearTimeout, URL, AbortController, crypto });
  runInContext(await bundle("check.ts", "verifier"), context);
  const pieces = (async function* () {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
  })();
  const { verifier } = context as { verifier: { checkExport(chunks: AsyncIterable<Uint8Array>, keys?: readonly WitnessKey[]): Promise<Result> } };
  // a value of another realm: compared as data
  return JSON.parse(JSON.stringify(await verifier.checkExport(pieces, keys))) as Result;
}

describe("AUD-2: the page that verifies an export without a plane", () => {
  it("follows the chains and replays byte for byte, and finds nothing wrong with what nobody touched", async () => {
    const result = await inPage(await exported());
    assert.deepEqual(result.faults, []);
    assert.deepEqual(result.aggregates.filter(({ faults }) => faults.length > 0), []);
    assert.ok(result.whole && result.aggregates.length > 2 && result.counts.events > 100);
  });

  it("finds an event that was changed, where the exporter closed the file over it", async () => {
    const changed = await exported((all) => all.map((one, i) => (i === 3 ? { ...one, data: Buffer.from(one.data).fill(0x41, 40, 44) } : one)));
    const result = await inPage(changed);
    assert.equal(result.whole, false);
    assert.equal(result.aggregates.filter(({ faults }) => faults.length > 0).length, 1);
  });

  it("finds a line that was edited, dropped or moved", async () => {
    const lines = (await exported()).trimEnd().split("\n");
    const event = lines.findIndex((line) => line.includes('"kind":"event"'));
    const texts = [lines.with(event, (lines[event] ?? "").replace('"seq":', '"seq":9')), lines.toSpliced(event, 1), [...lines.slice(0, event), lines[event + 1], lines[event], ...lines.slice(event + 2)], lines.slice(0, -1)];
    for (const text of texts) {
      const result = await inPage(`${text.join("\n")}\n`);
      assert.equal(result.whole, false);
      assert.ok(result.faults.length > 0);
    }
  });

  it("AUD-1 holds the events against the signed checkpoints in the file, by the keys that it is given or else names", async () => {
    const witness = new Witness(new Uint8Array(32).fill(7));
    const key = witness.published(timestamp(0), timestamp(1000));
    const heads = new Heads();
    const journal = recordedJournal();
    for (const one of journal.slice(0, -5)) heads.push(one);
    const signed = witness.sign(NS, heads, timestamp(1), undefined);
    const evidence: ExportEvidence = { keys: [{ use: "witness", key }], checkpoints: await proven(journal, [signed], new Set()) };
    const told = async (text: string, keys?: readonly WitnessKey[]) => {
      const { whole, checkpoints } = await inPage(text, keys);
      return [whole, checkpoints[0]?.named_by, checkpoints[0]?.newer, checkpoints[0]?.fault?.slice(0, 30)];
    };
    const good = await exported(undefined, evidence);
    assert.deepEqual(await told(good), [true, "file", 5, undefined]);
    assert.deepEqual(await told(good, [key]), [true, "you", 5, undefined]);
    assert.deepEqual(await told(good, [{ ...key, not_after: timestamp(0) }]), [false, "you", 5, "its key was valid from 1970-01"]);
    const stranger = new Witness(new Uint8Array(32).fill(8)).published(timestamp(0), timestamp(1000));
    assert.deepEqual(await told(good, [stranger]), [false, "you", 5, `it is signed with the key ${key.key.slice(0, 4)}`]);
    const edited = await exported(undefined, { ...evidence, checkpoints: [{ signed: { ...signed, aggregates: signed.aggregates + 1 }, proofs: [] }] });
    assert.deepEqual(await told(edited, [key]), [false, "you", 5, "its signature is not valid: it"]);
    const dropped = await exported((all) => all.slice(0, -7), evidence);
    assert.deepEqual(await told(dropped, [key]), [false, "you", 0, "it covers the journal up to se"]);
  });

  it("AUD-3 follows a file that withholds what was said, counts it apart, and finds what was done to it", async () => {
    const text = await exported(undefined, NOTHING, "everything");
    const { whole, counts, faults, aggregates } = await inPage(text);
    assert.deepEqual([whole, faults, aggregates.flatMap((one) => one.faults)], [true, [], []]);
    assert.ok(counts.withheld > 50 && counts.events > 50, JSON.stringify(counts));
    assert.equal(aggregates.reduce((sum, { withheld }) => sum + withheld, 0), counts.withheld);
    const lines = text.trimEnd().split("\n");
    const index = lines.findIndex((line) => line.includes('"kind":"withheld"'));
    for (const name of ["hash", "state"]) {
      const edited = (lines[index] ?? "").replace(new RegExp(`"${name}":"(.)`), (_, digit: string) => `"${name}":"${digit === "0" ? "1" : "0"}`);
      const result = await inPage(`${lines.with(index, edited).join("\n")}\n`);
      assert.equal(result.whole, false);
      assert.match(result.faults.map(({ why }) => why).join("\n"), /not those that its recorded hash is over/);
    }
  });

  it("is one file that may talk to nobody", async () => {
    const page = await verifierPage();
    assert.match(page, /default-src 'none'/);
    assert.doesNotMatch(page, /\/\*code\*\//);
    assert.equal(page.split("</script>").length, 2);
    assert.doesNotMatch(page, /<(script|link|img)[^>]*(src|href)=/);
  });
});
