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
import { exportLines } from "../../services/replay/export.ts";
import { histories, recordedVersions, storedEvents } from "../histories/history.ts";

const NS = namespace("test");

/** An export of all recorded histories, as one journal. */
async function exported(change: (messages: StoredMessage[]) => StoredMessage[] = (all) => all): Promise<string> {
  const seen = new Set<string>();
  // histories share names: the longest of a name speaks for it
  const taken = recordedVersions()
    .flatMap((version) => histories(version))
    .sort((a, b) => b.events.length - a.events.length)
    .filter(({ subject }) => !seen.has(subject) && seen.add(subject))
    .flatMap(storedEvents);
  const messages = change(taken.map(({ subject, data, body }, i) => ({ subject, data, seq: i + 1, time: 0, headers: new Map(Object.entries(headersOf(body))) })));
  const range = { first_seq: 1, last_seq: messages.length, from: timestamp(0), to: timestamp(0) };
  const opening = { signalbox_export: 1, namespace: NS, plane: "nats://here", exported_by: "kim", exported_at: timestamp(0), what: { all: true }, range } as const;
  let text = "";
  for await (const line of exportLines(opening, messages, { bytes: () => Promise.resolve(undefined) })) text += line;
  return text;
}

/** What a page has, of what the code asks for; `process`, `require` and `Buffer` it has not. */
async function inPage(text: string): Promise<Result> {
  const context = createContext({ atob, btoa, TextEncoder, TextDecoder, performance, structuredClone, queueMicrotask, setTimeout, clearTimeout, URL, AbortController });
  runInContext(await bundle("check.ts", "verifier"), context);
  const pieces = (async function* () {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
  })();
  const { verifier } = context as { verifier: { checkExport(chunks: AsyncIterable<Uint8Array>): Promise<Result> } };
  // a value of another realm: compared as data
  return JSON.parse(JSON.stringify(await verifier.checkExport(pieces))) as Result;
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

  it("is one file that may talk to nobody", async () => {
    const page = await verifierPage();
    assert.match(page, /default-src 'none'/);
    assert.doesNotMatch(page, /\/\*code\*\//);
    assert.equal(page.split("</script>").length, 2);
    assert.doesNotMatch(page, /<(script|link|img)[^>]*(src|href)=/);
  });
});
