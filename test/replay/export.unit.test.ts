/** An export verifies and replays by itself (AUD-1, AUD-2), and whatever was done to it is found and named. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { Library } from "../../services/replay/documents.ts";
import { exportLines } from "../../services/replay/export.ts";
import { ExportFile, type FileFault } from "../../services/replay/export-file.ts";
import { EXPORT_START, type ExportLine, type Unlinked, linked } from "../../services/replay/export-lines.ts";
import { type Checked, checkMessages } from "../../services/replay/journal.ts";
import { Bench } from "../../services/replay/judge.ts";
import { timestamp } from "../../schemas/time.ts";
import { NS, OTHER_RUN, type Recorder, recorded, RUN } from "./recorded.ts";

async function exported(recorder: Recorder, messages: readonly StoredMessage[], what: { all: true } | { runs: (typeof RUN)[] }): Promise<string[]> {
  const [first, last] = [messages[0], messages.at(-1)];
  assert.ok(first && last);
  const range = { first_seq: first.seq, last_seq: last.seq, from: timestamp(first.time), to: timestamp(last.time) };
  const opening = { signalbox_export: 2, namespace: NS, plane: "nats://here", exported_by: "auditor kim", exported_at: timestamp(last.time), what, range } as const;
  const lines: string[] = [];
  for await (const line of exportLines(opening, messages, recorder.documents)) lines.push(line.slice(0, -1));
  return lines;
}

interface Read {
  readonly faults: readonly FileFault[];
  readonly checks: readonly Checked[];
  /** Anything that a chain or a machine found. */
  readonly broken: readonly string[];
}

async function read(text: string, judging = false): Promise<Read> {
  const chunks = (async function* () {
    // lines do not end where chunks do
    for (let at = 0; at < text.length; at += 1000) yield Buffer.from(text.slice(at, at + 1000));
  })();
  const file = new ExportFile(chunks);
  const checks = await checkMessages(NS, file.messages(), judging ? new Bench(new Library(file)) : undefined);
  const broken = checks.flatMap(({ replay, verify, judge }) => (replay.difference ?? verify.fault ?? judge?.differences[0] ? [replay.name] : []));
  return { faults: file.faults, checks, broken };
}

const joined = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");

/** What somebody does who knows the form: everything numbered, linked and counted anew. */
function closedAgain(lines: readonly string[]): string {
  let link = EXPORT_START;
  const all = createHash("sha256");
  const parsed = lines.map((one) => JSON.parse(one) as ExportLine);
  const count = (kind: string) => parsed.filter((one) => one.kind === kind).length;
  const texts = parsed.map(({ link: _, ...line }, index) => {
    const subjects = new Set(parsed.flatMap((one) => (one.kind === "event" ? [one.subject] : [])));
    const counts = line.kind === "footer" ? { aggregates: subjects.size, events: count("event"), documents: count("document"), missing: count("missing"), sha256: all.copy().digest("hex") } : {};
    const closed = linked(link, { ...line, ...counts, n: index + 1 } as Unlinked);
    link = closed.link;
    all.update(`${closed.text}\n`);
    return closed.text;
  });
  return joined(texts);
}

const recorder = recorded();
const whole = await exported(recorder, recorder.messages, { all: true });
const one = await exported(recorder, recorder.of(RUN), { runs: [RUN] });
const other = await exported(recorder, recorder.of(OTHER_RUN), { runs: [OTHER_RUN] });
const kindOf = (line: string | undefined) => (JSON.parse(line ?? "{}") as ExportLine).kind;

test("AUD-2 an export of runs, or of everything, verifies, replays and is judged again with no server", async () => {
  for (const [lines, events, documents] of [[whole, recorder.messages.length, 5], [one, recorder.of(RUN).length, 5]] as const) {
    const { faults, checks, broken } = await read(joined(lines), true);
    assert.deepEqual(faults, []);
    assert.deepEqual(broken, []);
    assert.equal(checks.reduce((sum, { replay }) => sum + replay.identical, 0), events);
    assert.equal(lines.filter((line) => kindOf(line) === "document").length, documents);
    assert.deepEqual(checks.flatMap(({ judge }) => judge?.unknown ?? []), []);
  }
  const { checks } = await read(joined(one), true);
  assert.deepEqual(checks.map(({ judge }) => judge?.same), [3]);
});

test("AUD-2 an export of the version before, which knew no keys and no checkpoints, verifies for ever", async () => {
  const older = whole.map((text) => {
    const line = JSON.parse(text) as Record<string, unknown>;
    if (line["kind"] === "header") line["signalbox_export"] = 1;
    for (const name of ["keys", "checkpoints", "proofs"]) delete line[name];
    return JSON.stringify(line);
  });
  const { faults, broken } = await read(closedAgain(older));
  assert.deepEqual([faults, broken], [[], []]);
});

test("AUD-1 a footer that leaves out what the file has of keys, checkpoints and proofs is found", async () => {
  const index = whole.length - 1;
  const footer = JSON.parse(whole[index] as string) as Record<string, unknown>;
  delete footer["proofs"];
  assert.match(JSON.stringify((await read(closedAgain(whole.with(index, JSON.stringify(footer))))).faults), /counts no proofs, the file has 0/);
});

test("AUD-1 one flipped byte in any line is found, and that line is named", async () => {
  for (const [index, line] of whole.entries()) {
    const bytes = Buffer.from(line);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const { faults } = await read(joined(whole.with(index, bytes.toString("latin1"))));
    assert.ok(faults.some((fault) => fault.line === index + 1), `line ${index + 1}: ${JSON.stringify(faults)}`);
  }
});

test("AUD-1 a dropped line is found where it stood, and its number is named", async () => {
  for (let index = 0; index < whole.length - 1; index++) {
    const { faults } = await read(joined(whole.toSpliced(index, 1)));
    const [first] = faults;
    assert.equal(first?.line, index + 1);
    assert.match(index === 0 ? "it is numbered 2: line 1 was dropped" : (first?.why ?? ""), new RegExp(`line ${index + 1} was dropped`));
  }
});

test("AUD-1 an added line, and lines that changed places, are found and named", async () => {
  for (let index = 1; index < whole.length - 1; index++) {
    const line = whole[index] as string;
    const added = await read(joined(whole.toSpliced(index + 1, 0, line)));
    assert.equal(added.faults[0]?.line, index + 2);
    if (index + 1 === whole.length - 1) continue;
    const swapped = await read(joined(whole.with(index, whole[index + 1] as string).with(index + 1, line)));
    assert.equal(swapped.faults[0]?.line, index + 1);
  }
  const behind = await read(joined([...whole, whole[3] as string]));
  assert.match(behind.faults.map(({ why }) => why).join("\n"), /behind the footer/);
});

test("AUD-1 a file that was cut off, between lines or within one, is found", async () => {
  const text = joined(whole);
  for (let lines = 0; lines < whole.length; lines++) {
    const { faults } = await read(joined(whole.slice(0, lines)));
    assert.match(faults.map(({ why }) => why).join("\n"), /ends without its footer/);
  }
  for (const at of [1, Math.floor(text.length / 3), text.length - 40, text.length - 1]) {
    const { faults } = await read(text.slice(0, at));
    assert.match(faults.map(({ why }) => why).join("\n"), /no line feed: the file was cut off/);
  }
});

test("AUD-1 a line out of another export is found where it was spliced in", async () => {
  const from = other.find((line) => kindOf(line) === "event") as string;
  for (let index = 1; index < one.length; index++) {
    const { faults } = await read(joined(one.toSpliced(index, 0, from)));
    assert.ok(faults.some(({ line }) => line === index + 1), `at ${index + 1}`);
  }
  const { faults } = await read(joined([...one.slice(0, 6), ...other.slice(6)]));
  assert.equal(faults[0]?.line, 7);
});

test("AUD-1 whoever closes all lines again is found by the runs' own chains and the journal's numbers", async () => {
  const events = [...whole.keys()].filter((index) => kindOf(whole[index]) === "event");
  const last = events.at(-1);
  for (const index of events) {
    const edited = (change: (line: Record<string, unknown>) => void) => {
      const line = JSON.parse(whole[index] as string) as Record<string, unknown>;
      change(line);
      return closedAgain(whole.with(index, JSON.stringify(line)));
    };
    const flipped = edited((line) => {
      const data = Buffer.from(line["data"] as string, "base64");
      const at = data.indexOf("clerk");
      data[at < 0 ? data.length - 1 : at] = 0x78;
      line["data"] = data.toString("base64");
    });
    const { faults, broken } = await read(flipped);
    const { subject } = JSON.parse(whole[index] as string) as { subject: string };
    const followed = whole.slice(index + 1).some((line) => (JSON.parse(line) as { subject?: string }).subject === subject);
    // the last event of an aggregate is held by nothing in the file
    if (followed) assert.ok(faults.length + broken.length > 0, `event at line ${index + 1} was edited`);
    const header = await read(edited((line) => ((line["headers"] as Record<string, string>)["ce-type"] = "signalbox.note.recorded")));
    assert.equal(header.broken.length, 1, `the header at line ${index + 1} was edited`);
    if (index === last) continue;
    const dropped = await read(closedAgain(whole.toSpliced(index, 1)));
    assert.ok(dropped.faults.some(({ why }) => /missing|outside|promises/.test(why)), `event at line ${index + 1} was dropped: ${JSON.stringify(dropped.faults)}`);
  }
  const withoutRun = whole.filter((line) => !(JSON.parse(line) as { subject?: string }).subject?.endsWith(OTHER_RUN));
  assert.match(JSON.stringify((await read(closedAgain(withoutRun))).faults), /event\(s\) are missing/);
  const cut = await read(closedAgain(whole.toSpliced(events.at(-1) as number, 1)));
  assert.match(JSON.stringify(cut.faults), /promises events up to/);
});

/** Numbers of the journal and the header's promise made anew, too: nothing in the file itself is then wrong. */
function numberedAgain(lines: readonly string[]): string {
  let seq = 0;
  const events = lines.filter((line) => kindOf(line) === "event").map((line) => JSON.parse(line) as { time: string });
  const range = { first_seq: 1, last_seq: events.length, from: events[0]?.time, to: events.at(-1)?.time };
  return closedAgain(lines.map((text) => {
    const line = JSON.parse(text) as Record<string, unknown>;
    if (line["kind"] === "header") return JSON.stringify({ ...line, range });
    return line["kind"] === "event" ? JSON.stringify({ ...line, seq: (seq += 1) }) : text;
  }));
}

test("AUD-1 an event that was added, moved or spliced in is found though lines, journal and header are numbered and closed again", async () => {
  assert.deepEqual(await read(numberedAgain(whole)).then(({ faults, broken }) => [faults, broken]), [[], []], "made anew as it was, it is what it was");
  const subjectOf = (index: number) => (JSON.parse(whole[index] as string) as { subject: string }).subject;
  const nameOf = (index: number) => subjectOf(index).split(".").slice(5).join(".");
  const events = [...whole.keys()].filter((index) => kindOf(whole[index]) === "event");
  for (const index of events) {
    const line = whole[index] as string;
    for (const at of new Set([index + 1, (events.at(-1) as number) + 1])) {
      const { faults, broken } = await read(numberedAgain(whole.toSpliced(at, 0, line)));
      assert.deepEqual([faults, broken], [[], [nameOf(index)]], `line ${index + 1} again behind line ${at}`);
    }
    const next = events.find((later) => later > index && subjectOf(later) === subjectOf(index));
    if (next !== undefined) {
      const { broken } = await read(numberedAgain(whole.with(index, whole[next] as string).with(next, line)));
      assert.deepEqual(broken, [nameOf(index)], `lines ${index + 1} and ${next + 1} changed places`);
    }
    for (const from of events.filter((one) => subjectOf(one) !== subjectOf(index)).slice(-2)) {
      const foreign = JSON.stringify({ ...(JSON.parse(whole[from] as string) as object), subject: subjectOf(index) });
      const instead = await read(numberedAgain(whole.with(index, foreign)));
      assert.ok(instead.broken.includes(nameOf(index)), `line ${from + 1} in the place of line ${index + 1}`);
      const between = await read(numberedAgain(whole.toSpliced(index, 0, foreign)));
      assert.ok(between.broken.includes(nameOf(index)), `line ${from + 1} before line ${index + 1}`);
    }
  }
});

test("AUD-2 a document that was exchanged, dropped or added is found, also when all lines are closed again", async () => {
  const index = whole.findIndex((line) => kindOf(line) === "document");
  const document = JSON.parse(whole[index] as string) as { data: string };
  const exchanged = JSON.stringify({ ...document, data: Buffer.from(Buffer.from(document.data, "base64").toString().replace("read", "raed")).toString("base64") });
  assert.match(JSON.stringify((await read(closedAgain(whole.with(index, exchanged)))).faults), /its bytes have another hash/);
  assert.match(JSON.stringify((await read(closedAgain(whole.toSpliced(index, 1)))).faults), /which does not stand before it/);
  const bytes = Buffer.from("{}");
  const added = JSON.stringify({ n: 0, kind: "document", digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, data: bytes.toString("base64"), link: "0".repeat(64) });
  assert.match(JSON.stringify((await read(closedAgain(whole.toSpliced(index, 0, added)))).faults), /no event rests on document/);
});

test("AUD-2 a document that the plane did not have is said to be missing, and what rests on it is not judged", async () => {
  recorder.stored.delete(recorder.policy.digest);
  const lines = await exported(recorder, recorder.of(RUN), { runs: [RUN] });
  recorder.apply({ kind: "policy", name: "default", value: recorder.policy.value });
  recorder.messages.pop();
  const { faults, broken, checks } = await read(joined(lines), true);
  assert.deepEqual([faults, broken], [[], []]);
  assert.equal(checks[0]?.judge?.unknown.length, 3);
});
