/** Exports that withhold what was said (AUD-3): nothing of it is in the file, the chain is followed, and what was done to the file is found. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { contractSchema } from "../../schemas/contract.ts";
import type { EventBody } from "../../schemas/event.ts";
import { runId, type RunId } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import { decode, encode } from "../../services/bus/codec.ts";
import { chainLink } from "../../services/bus/commit.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { complianceOf } from "../../services/replay/compliance.ts";
import { type ExportEvidence, exportLines } from "../../services/replay/export.ts";
import { ExportFile } from "../../services/replay/export-file.ts";
import { EXPORT_START, type ExportLine, linked, type Unlinked, type WithheldLine } from "../../services/replay/export-lines.ts";
import { Heads } from "../../services/replay/heads.ts";
import { type Checked, checkMessages } from "../../services/replay/journal.ts";
import { proven } from "../../services/replay/proofs.ts";
import { redacted, type Redaction, Unredactable } from "../../services/replay/redact.ts";
import { hashFrom, stateBehind } from "../../services/replay/sha-state.ts";
import { shownOf } from "../../services/replay/shown.ts";
import { Witness } from "../../services/replay/witness.ts";
import { ERASURES_NAME } from "../../services/identity/erasures-name.ts";
import { JournalWriter } from "../projection/journal.ts";
import { CONTRACT, NS, office, type Recorder } from "./recorded.ts";

const RUN = runId("clerk_one");
const OTHER = runId("clerk_two");
const MAIL = "kim.larsen@corp.dk";
/** Of no form that a scanner knows. */
const WORD = "qzanzibar";
const PLANTED = `${WORD} ${MAIL}`;
const claim = { gateway: "g1", nonce: "nonce-0001" };

const speaking = (logging: object | undefined) => ({ kind: "agent", name: "clerk", value: contractSchema.parse({ ...CONTRACT, ...(logging && { logging }) }) }) as const;

/** A run in which everybody says it wherever there is room for it. */
function talk(recorder: Recorder, run: RunId): void {
  const tell = (actor: string, body: { id: string; [key: string]: unknown }) => recorder.tell(run, "propose", actor, body);
  const last = () => [...recorder.state(run).actions.keys()].at(-1) as string;
  const report = (body: object) => recorder.tell(run, "report", "g1", { id: `r${last()}${JSON.stringify(body).length}`, action: last(), attempt: 1, claim, ...body });
  tell("clerk", { kind: "start", id: "s", agent: { name: "clerk" }, goal: PLANTED, context: { [WORD]: MAIL } });
  tell("clerk", { kind: "tool", id: "t1", tool: "t.read", input: { [MAIL]: WORD, deep: [{ words: PLANTED }] }, why: PLANTED });
  report({ status: "started" });
  report({ status: "succeeded", output: { said: PLANTED, amount: 5 }, removed: [{ path: `/${WORD}`, reason: "control", bytes: 3, sha256: `sha256:${"0".repeat(64)}` }] });
  tell("clerk", { kind: "note", id: "n1", text: PLANTED });
  tell("clerk", { kind: "tool", id: "t2", tool: "t.write", input: { amount: 500, to: PLANTED } });
  const [request, approval] = [...recorder.state(run).approvals].at(-1) ?? [];
  recorder.tell(run, "decide", "ada", { id: "d1", request, decision: "edit", digest: approval?.context.digest, input: { amount: 50, to: `${PLANTED} again` }, reason: PLANTED });
  report({ status: "started" });
  report({ status: "failed", error: { code: WORD, message: PLANTED, effect: "none" } });
  recorder.propose(run, "t3", "t.write", { amount: 700, to: PLANTED });
  recorder.approve(run, "ada");
  recorder.carryOut(run);
  recorder.propose(run, "t4", "t.wipe", { what: PLANTED });
  recorder.tell(run, "control", "op", { id: "p", verb: "pause", reason: PLANTED });
  recorder.tell(run, "control", "op", { id: "u", verb: "resume", reason: PLANTED });
  tell("clerk", { kind: "finish", id: "f", output: { words: PLANTED } });
}

function spoken(): Recorder {
  const recorder = office();
  talk(recorder, RUN);
  recorder.start(OTHER);
  recorder.propose(OTHER, "t1", "t.read", { words: PLANTED });
  recorder.carryOut(OTHER);
  return recorder;
}

const recorder = spoken();
const run = recorder.of(RUN);
const NOTHING: ExportEvidence = { keys: [], checkpoints: [] };

async function lines(messages: AsyncIterable<StoredMessage> | readonly StoredMessage[], of: readonly StoredMessage[], what: { all: true } | { runs: RunId[] }, evidence = NOTHING, version: 2 | 3 = 3, from = recorder): Promise<string[]> {
  const [first, last] = [of[0], of.at(-1)] as [StoredMessage, StoredMessage];
  const range = { first_seq: first.seq, last_seq: last.seq, from: timestamp(first.time), to: timestamp(last.time) };
  const opening = { signalbox_export: version, namespace: NS, plane: "nats://here", exported_by: "auditor kim", exported_at: timestamp(last.time), what, range } as const;
  const written: string[] = [];
  for await (const line of exportLines(opening, messages, from.documents, evidence)) written.push(line.slice(0, -1));
  return written;
}
const withheldOf = (of: readonly StoredMessage[], what: { all: true } | { runs: RunId[] }, evidence = NOTHING, redaction: Redaction = "everything", from = recorder) => lines(redacted(of, redaction, from.documents), of, what, evidence, 3, from);

interface Read {
  readonly file: ExportFile;
  readonly checks: readonly Checked[];
  /** Faults of lines, chains and signatures. */
  readonly faults: readonly string[];
}
async function read(texts: readonly string[]): Promise<Read> {
  const file = new ExportFile((async function* () { yield Buffer.from(texts.map((line) => `${line}\n`).join("")); })());
  const checks = await checkMessages(NS, file.messages());
  const attested = await file.attested([KEY]);
  return { file, checks, faults: [...file.faults.map(({ why }) => why), ...checks.flatMap(({ verify, replay }) => verify.fault?.why ?? (replay.difference === undefined ? [] : [`${replay.difference.field} differs`])), ...attested.flatMap(({ fault }) => fault ?? [])] };
}

const parsed = (texts: readonly string[]) => texts.map((text) => JSON.parse(text) as ExportLine);
/** What somebody does who knows the form: everything numbered, linked and counted anew. */
function closedAgain(all: readonly ExportLine[]): string[] {
  let link = EXPORT_START;
  const digest = createHash("sha256");
  const count = (kind: string) => all.filter((one) => one.kind === kind).length;
  const placed = all.flatMap((one) => (one.kind === "event" || one.kind === "withheld" ? [one.subject] : []));
  return all.map(({ link: _, ...line }, index) => {
    const counts = { aggregates: new Set(placed).size, events: count("event"), withheld: count("withheld"), documents: count("document"), missing: count("missing"), checkpoints: count("checkpoint"), proofs: count("proof"), sha256: digest.copy().digest("hex") };
    const closed = linked(link, { ...line, ...(line.kind === "footer" && counts), n: index + 1 } as Unlinked);
    link = closed.link;
    digest.update(`${closed.text}\n`);
    return closed.text;
  });
}
const bodyOf = ({ shown }: WithheldLine) => decode(Buffer.from(shown, "base64")) as EventBody;
const withBody = (line: WithheldLine, change: object): WithheldLine => ({ ...line, shown: Buffer.from(encode({ ...bodyOf(line), ...change })).toString("base64") });

const witness = new Witness(new Uint8Array(32).fill(7));
const KEY = witness.published("2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z");
/** A checkpoint over these messages, with the proof that the run is in it. */
async function attested(messages: readonly StoredMessage[]): Promise<ExportEvidence> {
  const heads = new Heads();
  for (const message of messages) heads.push(message);
  const signed = witness.sign(NS, heads, "2026-06-01T00:00:00.000Z", undefined);
  return { keys: [{ use: "witness", key: KEY }], checkpoints: await proven(messages, [signed], new Set([subjects.log(NS, "run", RUN)])) };
}

const one = await withheldOf(run, { runs: [RUN] });
const proved = await withheldOf(run, { runs: [RUN] }, await attested(recorder.messages));
const everything = await withheldOf(recorder.messages, { all: true });

/** All that a file says, with what stands in it as base64. */
const said = (texts: readonly string[]) =>
  parsed(texts).map((line) => `${JSON.stringify(line)}\n${"shown" in line ? JSON.stringify(decode(Buffer.from(line.shown, "base64"))) : "data" in line ? Buffer.from(line.data, "base64").toString("latin1") : ""}`).join("\n");

describe("AUD-3: an export that withholds what was said", () => {
  it("AUD-3 a planted address and a planted word stand nowhere in it, and decisions, people and digests do", async () => {
    const whole = said(await lines(run, run, { runs: [RUN] }));
    assert.ok(whole.split(MAIL).length > 20, "it is there to be found");
    for (const text of [said(one), said(everything), said(proved)]) {
      assert.doesNotMatch(text, new RegExp(`${WORD}|kim\\.larsen`));
      for (const kept of ["approval.granted", "ada", "kim@example.com", "no-wiping", "t.write", recorder.contract.digest]) assert.ok(text.includes(kept), kept);
    }
    const bodies = parsed(one).flatMap((line) => (line.kind === "withheld" ? [bodyOf(line)] : []));
    const digests = run.map(({ data }) => (decode(data) as EventBody).data["digest"]).filter((digest) => digest !== undefined);
    const shown = [...bodies, ...parsed(one).flatMap((line) => (line.kind === "event" ? [decode(Buffer.from(line.data, "base64")) as EventBody] : []))].map(({ data }) => data["digest"]).filter((digest) => digest !== undefined);
    assert.deepEqual(shown.sort(), digests.sort());
  });

  it("AUD-1 AUD-3 chain, order and checkpoints are verified by it; withheld events are counted apart and never as intact", async () => {
    for (const [texts, of] of [[one, run], [proved, run], [everything, recorder.messages]] as const) {
      const { file, checks, faults } = await read(texts);
      assert.deepEqual(faults, []);
      const { events, withheld } = file.counts;
      assert.equal(events + withheld, of.length);
      assert.ok(withheld > 10 && events > 10, `${withheld} of ${of.length}`);
      assert.equal(checks.reduce((sum, { verify }) => sum + (verify.withheld ?? 0), 0), withheld);
    }
    const { checks, file } = await read(proved);
    assert.deepEqual((await file.attested([KEY])).map(({ held, newer, fault }) => [held, newer, fault]), [[run.length, 0, undefined]]);
    const { head } = (await checkMessages(NS, run))[0]?.verify ?? {};
    assert.equal(checks[0]?.verify.head, head);
  });

  it("CORE-6 AUD-3 replay calls nothing of a withheld run identical, nor different", async () => {
    const { checks } = await read(one);
    assert.deepEqual(checks.map(({ replay: { events, identical, withheld, difference } }) => [events, identical, withheld, difference]), [[run.length, 0, run.length, undefined]]);
    const all = (await read(everything)).checks.map(({ replay }) => replay);
    for (const { kind, events, identical, withheld = 0 } of all) assert.deepEqual([identical, withheld], kind === "run" ? [0, events] : [events, 0]);
  });

  it("an event in which nobody said anything stays as it is stored", () => {
    for (const line of parsed(one)) {
      if (line.kind !== "event") continue;
      const { body, cut } = shownOf(decode(Buffer.from(line.data, "base64")) as EventBody);
      assert.equal(cut, 0, body.type);
    }
  });

  it("AUD-3 a member that nobody listed is withheld, and so is an id that is a card or an account", () => {
    const first = decode((run[0] as StoredMessage).data) as EventBody;
    const shown = (data: object, cause: object = {}) => shownOf({ ...first, cause: { ...first.cause, ...cause }, data: data as EventBody["data"] });
    assert.deepEqual(shown({ action: "a2", attempt: 1, unheard: { of: WORD }, list: [WORD], nothing: null, none: [] }).body.data, { action: "a2", attempt: 1, unheard: "[redacted]", list: [], nothing: null, none: [] });
    assert.equal(shown({ action: "a2" }).cut, 0);
    const [card, account] = ["4111111111111111", "DK5000400440116243"];
    const { body } = shown({ proposal: account, tool: card, facts: { kind: "tool", amount: { units: 5, currency: "USD" }, judgement: { decision: "ask", reasons: [{ code: "policy.ask", message: WORD, path: WORD }], errors: [WORD] } } }, { id: card });
    assert.equal(body.cause.id, "[redacted]");
    assert.deepEqual(body.data, { proposal: "[redacted]", tool: "[redacted]", facts: { kind: "tool", amount: { units: 5, currency: "USD" }, judgement: { decision: "ask", reasons: [{ code: "policy.ask", message: "[redacted]", path: "[redacted]" }], errors: [] } } });
    // a text of the wrong form is no digest, no pseudonym, no code of the plane's
    assert.deepEqual(shown({ document: WORD, subject: WORD, error: { code: WORD, message: WORD, effect: WORD }, view: `${WORD}{` }).body.data, { document: "[redacted]", subject: "[redacted]", error: { code: "[redacted]", message: "[redacted]", effect: "[redacted]" }, view: "[redacted]" });
  });

  it("AUD-4 the list of approvals out of it is the whole one without what was said", async () => {
    const file = (texts: readonly string[]) => new ExportFile((async function* () { yield Buffer.from(texts.map((line) => `${line}\n`).join("")); })());
    const [part, whole] = [await complianceOf(file(one).messages()), await complianceOf(run)];
    const proofs = (records: typeof whole) => records.map(({ action, state, decision, decided_by, principal, policies, events, reviews, documents }) => [action, state, decision, decided_by, principal, policies, events.map(({ hash }) => hash), reviews.map(({ by, decision, shown }) => [by, decision, shown]), documents]);
    assert.deepEqual(proofs(part), proofs(whole));
    assert.ok(whole.some(({ reviews }) => reviews.some(({ reason }) => reason === PLANTED)));
    assert.doesNotMatch(JSON.stringify(part), new RegExp(WORD));
  });
});

describe("AUD-1: what was done to a file that withholds, by somebody who closed it again", () => {
  const all = parsed(one);
  const places = all.flatMap((line, index) => (line.kind === "withheld" ? [[index, line] as const] : []));
  const found = async (changed: readonly ExportLine[], what: string) => {
    const { faults } = await read(closedAgain(changed));
    assert.ok(faults.length > 0, what);
    return faults;
  };

  it("closing it again is nothing that shows", async () => {
    assert.deepEqual((await read(closedAgain(all))).faults, []);
  });

  it("AUD-1 an edited place, type or state of a withheld event is found by its recorded hash", async () => {
    for (const [index, line] of places) {
      const { seq, to, type } = bodyOf(line);
      for (const change of [{ seq: seq + 1 }, { to: `${to}x` }, { type: type === "note.recorded" ? "run.paused" : "note.recorded" }, { run: OTHER }]) {
        assert.match((await found(all.with(index, withBody(line, change)), JSON.stringify(change))).join("\n"), /not those that its recorded hash is over/);
      }
      await found(all.with(index, withBody(line, { prev: randomBytes(32) })), "prev");
      await found(all.with(index, { ...line, size: line.size + 64 }), "size");
      await found(all.with(index, { ...line, state: randomBytes(32).toString("hex") }), "state");
    }
  });

  it("AUD-1 a changed recorded hash, a dropped event and two that changed places are found", async () => {
    for (const [index, line] of places) {
      await found(all.with(index, { ...line, hash: randomBytes(32).toString("hex") }), `hash of line ${index + 1}`);
      assert.match((await found(all.toSpliced(index, 1), `line ${index + 1} dropped`)).join("\n"), /follows event|promises|document/);
      const next = all[index + 1];
      if (next?.kind === "event" || next?.kind === "withheld") await found(all.with(index, next).with(index + 1, line), `line ${index + 1} swapped`);
    }
  });

  it("AUD-1 another event, with a hash made to fit it, is found by the next event, or by a checkpoint", async () => {
    const forged = (line: WithheldLine): WithheldLine => {
      // of a body of one's own, the same place and type: everything about the line is right
      const body = bodyOf(line);
      const data = encode({ ...body, data: { ...body.data, forged: "x".repeat(line.size) } });
      const whole = Buffer.concat([Buffer.from(`${line.subject}\n`), data]);
      const { from, machine, ns, part, prev, run, seq, to, type, v } = body;
      const end = encode({ from, machine, ns, part, prev, run, seq, to, type, v }).length - 1;
      return { ...line, size: whole.length, hash: Buffer.from(chainLink(line.subject, data)).toString("hex"), state: Buffer.from(stateBehind(whole.subarray(0, Math.ceil((whole.length - end) / 64) * 64))).toString("hex") };
    };
    for (const [index, line] of places.filter(([index]) => index < (places.at(-1)?.[0] ?? 0))) {
      assert.match((await found(all.with(index, forged(line)), `line ${index + 1}`)).join("\n"), /its link is not the hash of event/);
    }
    // of the last event only a signature tells
    const end = places.at(-1)?.[1].seq as number;
    const until = (messages: readonly StoredMessage[]) => messages.filter(({ seq }) => seq <= end);
    const ended = parsed(await withheldOf(until(run), { runs: [RUN] }));
    const last = ended.findLastIndex(({ kind }) => kind === "withheld");
    assert.deepEqual((await read(closedAgain(ended.with(last, forged(ended[last] as WithheldLine))))).faults, []);
    const signedLines = parsed(await withheldOf(until(run), { runs: [RUN] }, await attested(until(recorder.messages))));
    assert.deepEqual((await read(closedAgain(signedLines))).faults, []);
    const at = signedLines.findLastIndex(({ kind }) => kind === "withheld");
    assert.match((await found(signedLines.with(at, forged(signedLines[at] as WithheldLine)), "signed")).join("\n"), /not what was signed: it was rewritten/);
  });

  it("AUD-1 time and cause of a withheld event are held by the events of its commit, where it has any that are not withheld", async () => {
    const [index, line] = places.find(([, line]) => bodyOf(line).part[1] > 1) as (typeof places)[number];
    const { cause } = bodyOf(line);
    const headers = { ...line.headers, "ce-time": "2026-01-31T09:00:00.000Z" };
    assert.match((await found(all.with(index, { ...withBody(line, { at: "2026-01-31T09:00:00.000Z" }), headers }), "time")).join("\n"), /its time, cause or part/);
    assert.match((await found(all.with(index, withBody(line, { cause: { ...cause, actor: "eve" } })), "cause")).join("\n"), /its time, cause or part/);
    // and this is what nothing holds, as `verify` says of it
    const [edited, decided] = places.find(([, line]) => bodyOf(line).type === "note.recorded") as (typeof places)[number];
    assert.deepEqual((await read(closedAgain(all.with(edited, withBody(decided, { data: { text: "another" } }))))).faults, []);
  });

  it("AUD-1 a line that is edited, dropped or moved without closing the file again is named", async () => {
    for (const [index] of places) {
      const text = one[index] as string;
      const edited = text.replace(/"hash":"(.)/, (_, digit: string) => `"hash":"${digit === "0" ? "1" : "0"}`);
      for (const changed of [one.with(index, edited), one.toSpliced(index, 1), one.with(index, one[index + 1] as string).with(index + 1, text)]) {
        assert.equal((await read(changed)).file.faults[0]?.line, index + 1);
      }
    }
  });
});

describe("AUD-3: who says that something is withheld", () => {
  it("AUD-3 unless asked for, the contract that a run was judged under, from there on", async () => {
    const mixed = office();
    mixed.apply(speaking({ pii_redaction: false }));
    talk(mixed, OTHER);
    mixed.start(RUN);
    mixed.propose(RUN, "t1", "t.read", { words: PLANTED });
    mixed.carryOut(RUN);
    mixed.apply(speaking({ pii_redaction: true }));
    mixed.propose(RUN, "t2", "t.read", { words: `${WORD}-hidden` });
    const third = runId("clerk_three");
    talk(mixed, third);
    const all = await withheldOf(mixed.messages.filter(({ subject }) => subject.includes("clerk_")), { runs: [RUN, OTHER, third] }, NOTHING, "contracts", mixed);
    const { checks, faults } = await read(all);
    assert.deepEqual(faults, []);
    const counts = Object.fromEntries(checks.map(({ verify, replay }) => [verify.name, [verify.withheld ?? 0, replay.identical]]));
    assert.deepEqual(counts[OTHER], [0, mixed.of(OTHER).length]);
    const [hidden, identical] = counts[RUN] as [number, number];
    assert.ok(hidden > 0 && identical > 0 && hidden + identical <= mixed.of(RUN).length, `${hidden} and ${identical}`);
    assert.ok((counts[third]?.[0] ?? 0) > 10);
    assert.doesNotMatch(said(all), /qzanzibar-hidden/);
    // a contract that cannot be read may have said so
    mixed.stored.delete(mixed.contract.digest);
    assert.ok(((await read(await withheldOf(mixed.of(third), { runs: [third] }, NOTHING, "contracts", mixed))).file.counts.withheld) > 10);
  });

  it("AUD-3 why somebody's data was erased is withheld with the runs before it, and not where none is withheld", async () => {
    const reason = `asked by ${PLANTED}`;
    const [event] = new JournalWriter().seal("erasure", ERASURES_NAME, [{ type: "erasure.requested", data: { subject: "a".repeat(32), key: "b".repeat(16), by: "op", reason } }], { input: { verb: "erase", id: "e", subject: "a".repeat(32), reason } });
    for (const [logging, withheld] of [[{ pii_redaction: true }, true], [undefined, false]] as const) {
      const own = office();
      own.apply(speaking(logging));
      own.start(RUN);
      const erasure: StoredMessage = { subject: event!.subject, data: event!.data, headers: new Map(Object.entries(event!.headers)), seq: own.messages.length + 1, time: own.messages.at(-1)!.time };
      const file = parsed(await withheldOf([...own.of(RUN), erasure], { runs: [RUN] }, NOTHING, "contracts", own));
      const line = file.find((one) => "subject" in one && one.subject === erasure.subject);
      assert.equal(line?.kind, withheld ? "withheld" : "event");
      assert.equal(said(file.map((one) => JSON.stringify(one))).includes(WORD), !withheld);
    }
  });

  it("AUD-2 a file without anything withheld is as it was, and older versions withhold nothing", async () => {
    const [plain, three] = [await lines(run, run, { runs: [RUN] }, NOTHING, 2), await lines(run, run, { runs: [RUN] })];
    assert.deepEqual([(await read(plain)).faults, (await read(three)).faults], [[], []]);
    await assert.rejects(lines(redacted(run, "everything", recorder.documents), run, { runs: [RUN] }, NOTHING, 2), /version 2 has no withheld events/);
    const older = parsed(one).map((line) => (line.kind === "header" ? { ...line, signalbox_export: 2 as const } : line));
    assert.match((await read(closedAgain(older))).faults.join("\n"), /a file of version 2 withholds nothing/);
    const silent = parsed(one).map((line) => (line.kind === "footer" ? { ...line, withheld: 0 } : line));
    let link = EXPORT_START;
    const relinked = silent.map(({ link: _, ...line }) => { const closed = linked(link, line as Unlinked); link = closed.link; return closed.text; });
    assert.match((await read(relinked)).faults.join("\n"), /counts 0 withheld/);
  });

  it("AUD-3 a message that is no event is not guessed at", async () => {
    const broken = run.with(2, { ...(run[2] as StoredMessage), data: Buffer.from(PLANTED) });
    await assert.rejects(withheldOf(broken, { runs: [RUN] }), Unredactable);
  });
});

it("a hash that is gone on with from a block's end is the hash of all of it", () => {
  for (let length = 0; length < 300; length++) {
    const bytes = randomBytes(length);
    for (let at = 0; at <= length; at += 64) assert.equal(Buffer.from(hashFrom(stateBehind(bytes.subarray(0, at)), bytes.subarray(at), length)).toString("hex"), createHash("sha256").update(bytes).digest("hex"), `${length} from ${at}`);
  }
  assert.throws(() => stateBehind(randomBytes(63)), RangeError);
});
