/**
 * The store's own files, in the hands of somebody who owns the data folder: nats-server's blocks are edited, with its
 * own checksums made anew, and it serves what it finds. What an auditor reads afterwards tells (AUD-1).
 */
import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { subjects, patterns, streamName } from "../../schemas/subjects.ts";
import type { StoredMessage } from "../../services/bus/journal.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { CheckpointAudit, signatureFault } from "../../services/replay/checkpoint.ts";
import { Heads } from "../../services/replay/heads.ts";
import { checkMessages } from "../../services/replay/journal.ts";
import { Witness } from "../../services/replay/witness.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { type Entry, readBlock, writeBlock } from "./block.ts";
import { NS, OTHER_RUN, recorded, RUN } from "./recorded.ts";

const JOURNAL = streamName("JOURNAL", NS);
const recorder = recorded();
const subject = subjects.log(NS, "run", RUN);
const witness = new Witness(new Uint8Array(32).fill(7));
const AT = "2026-11-21T09:30:00.000Z";
const KEYS = [witness.published("2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z")];

describe("AUD-1: an auditor finds what was done to the store's own files", () => {
  let server: TestServer;
  let files: string;
  let untouched: string;
  before(async () => {
    server = await startTestServer();
    const coordinator = await server.connect("coordinator", "c1");
    const publisher = new Publisher(coordinator);
    for (const { subject, data, headers } of recorder.messages) await publisher.publish(subject, data, Object.fromEntries(headers));
    publisher.close();
    await server.kill();
    files = await folderOf(join(server.dataDir, "jetstream"), JOURNAL);
    untouched = join(server.dataDir, "untouched");
    await cp(files, untouched, { recursive: true });
  });
  after(() => server.stop());
  beforeEach(async () => {
    await server.kill();
    await rm(files, { recursive: true, force: true });
    await cp(untouched, files, { recursive: true });
  });

  const block = () => join(files, "msgs", "1.blk");
  const entries = async () => readBlock(JOURNAL, 1, await readFile(block()));
  /** What the server remembers of its blocks is thrown away: it reads them. */
  async function stored(bytes: Buffer): Promise<void> {
    await writeFile(block(), bytes);
    for (const name of await readdir(join(files, "msgs"))) if (!name.endsWith(".blk")) await rm(join(files, "msgs", name), { force: true });
  }

  interface Found {
    readonly broken: string[];
    readonly differs: string[];
    /** Numbers that the journal does not have. */
    readonly holes: number[];
    readonly last: number;
    /** What a checkpoint says that was kept from before. */
    readonly since: string | undefined;
  }
  async function audited(): Promise<Found> {
    await server.restart();
    const auditor = await server.connect("auditor", `a${Math.round(performance.now())}`);
    const heads = new Heads();
    for (const one of recorder.messages) heads.push(one);
    const audit = new CheckpointAudit([witness.sign(NS, heads, AT, undefined)]);
    const messages: StoredMessage[] = [];
    for await (const message of new StreamReader(auditor, JOURNAL).read({ subject: patterns.log(NS) })) {
      messages.push(message);
      audit.push(message);
    }
    const checks = await checkMessages(NS, messages);
    await auditor.close();
    const seen = new Set(messages.map(({ seq }) => seq));
    const last = messages.at(-1)?.seq ?? 0;
    return {
      broken: checks.flatMap(({ verify }) => (verify.fault === undefined ? [] : [verify.name])),
      differs: checks.flatMap(({ replay }) => (replay.difference === undefined ? [] : [replay.name])),
      holes: Array.from({ length: last }, (_, i) => i + 1).filter((seq) => !seen.has(seq)),
      last,
      since: audit.conclude().findings[0]?.why,
    };
  }
  /** What the server serves, signed by somebody: does the journal hold to it, and is the signature one that counts? */
  async function signed(by: Witness, at: string): Promise<{ held: string | undefined; signature: string | undefined }> {
    await server.restart();
    const auditor = await server.connect("auditor", `s${Math.round(performance.now())}`);
    const read = async (each: (message: StoredMessage) => void) => {
      for await (const message of new StreamReader(auditor, JOURNAL).read({ subject: patterns.log(NS) })) each(message);
    };
    const heads = new Heads();
    await read((message) => heads.push(message));
    const one = by.sign(NS, heads, at, undefined);
    const audit = new CheckpointAudit([one]);
    await read((message) => audit.push(message));
    await auditor.close();
    return { held: audit.conclude().findings[0]?.why, signature: await signatureFault(one, KEYS) };
  }

  /** Places of the run's events among the entries. */
  const own = (all: readonly Entry[], of = subject) => all.flatMap((one, i) => (one.subject === of ? [i] : []));

  it("nothing, while nobody touched them", async () => {
    const all = await entries();
    assert.equal(all.length, recorder.messages.length);
    await stored(writeBlock(JOURNAL, 1, all));
    assert.deepEqual(await audited(), { broken: [], differs: [], holes: [], last: all.length, since: undefined });
  });

  const edits: readonly (readonly [string, (all: Entry[]) => Entry[], (found: Found) => void])[] = [
    [
      "an event was edited",
      (all) => all.map((one, i) => (i === own(all)[1] ? { ...one, data: swap(one.data, "a goal", "A GOAL") ?? swap(one.data, "t.read", "t.raed") ?? assert.fail() } : one)),
      ({ broken, differs }) => assert.deepEqual([broken, differs], [[RUN], [RUN]]),
    ],
    ["an event was dropped", (all) => all.toSpliced(own(all)[3] as number, 1), ({ broken, holes }) => assert.deepEqual([broken, holes.length], [[RUN], 1])],
    [
      "an event was dropped, and all that follow were numbered anew",
      (all) => all.toSpliced(own(all)[3] as number, 1).map((one, i) => ({ ...one, seq: BigInt(i + 1) })),
      ({ broken, holes, since }) => assert.deepEqual([broken, holes, /cut off/.test(since ?? "")], [[RUN], [], true]),
    ],
    [
      "an event was added",
      (all) => [...all, { ...(all[own(all).at(-1) as number] as Entry), seq: BigInt(all.length + 1) }],
      ({ broken, last }) => assert.deepEqual([broken, last], [[RUN], recorder.messages.length + 1]),
    ],
    [
      "two events of a run changed places",
      (all) => {
        const [i, j] = own(all).slice(2, 4) as [number, number];
        const [a, b] = [all[i], all[j]] as [Entry, Entry];
        return all.with(i, { ...b, seq: a.seq, time: a.time }).with(j, { ...a, seq: b.seq, time: b.time });
      },
      ({ broken }) => assert.deepEqual(broken, [RUN]),
    ],
    [
      "an event of another run was spliced in",
      (all) => all.with(own(all)[2] as number, { ...(all[own(all, subjects.log(NS, "run", OTHER_RUN))[2] as number] as Entry), seq: (all[own(all)[2] as number] as Entry).seq, subject }),
      ({ broken }) => assert.deepEqual(broken, [RUN]),
    ],
    [
      "a header was edited",
      (all) => all.map((one, i) => (i === own(all)[2] ? { ...one, headers: swap(one.headers, "signalbox.action", "signalbox.actiom") ?? assert.fail() } : one)),
      ({ broken, differs }) => assert.deepEqual([broken, differs], [[RUN], [RUN]]),
    ],
    ["the journal was cut off in a commit", (all) => all.slice(0, (own(all)[1] as number) + 1), ({ differs, since }) => assert.deepEqual([differs, /cut off/.test(since ?? "")], [[RUN], true])],
    [
      "the journal was cut off between two commits",
      (all) => all.slice(0, 4),
      ({ broken, differs, holes, since }) => assert.deepEqual([broken, differs, holes, /cut off, or an older copy/.test(since ?? "")], [[], [], [], true]),
    ],
    [
      "a whole run was dropped",
      (all) => all.filter((one) => one.subject !== subject).map((one, i) => ({ ...one, seq: BigInt(i + 1) })),
      ({ broken, differs, holes, since }) => assert.deepEqual([broken, differs, holes, /cut off/.test(since ?? "")], [[], [], [], true]),
    ],
  ];
  for (const [what, edit, expected] of edits) {
    it(`that ${what}, with every checksum of the store made anew`, async () => {
      await stored(writeBlock(JOURNAL, 1, edit(await entries())));
      expected(await audited());
    });
  }

  const withoutRun = async () => writeBlock(JOURNAL, 1, (await entries()).filter((one) => one.subject !== subject).map((one, i) => ({ ...one, seq: BigInt(i + 1) })));
  const signers: readonly (readonly [string, Witness, string, RegExp | undefined])[] = [
    ["by the witness, in its key's time: then he was fooled, and what was kept from before tells", witness, AT, undefined],
    ["by a key of the attacker's own", new Witness(new Uint8Array(32).fill(9)), AT, /^it is signed with the key [0-9a-f]{16}…, which is none of those given$/],
    ["by the witness's key, which was stolen after its time", witness, "2026-12-02T00:00:00.000Z", /^its key was valid from 2026-11-01T00:00:00.000Z to 2026-12-01T00:00:00.000Z, and it is of 2026-12-02T/],
    ["by the witness's key, before its time", witness, "2026-10-31T23:59:59.999Z", /^its key was valid from/],
  ];
  for (const [whose, by, at, why] of signers) {
    it(`whose signature stands under a journal that lacks a run, and that fits it: ${whose}`, async () => {
      await stored(await withoutRun());
      const { held, signature } = await signed(by, at);
      assert.equal(held, undefined);
      if (why === undefined) assert.equal(signature, undefined);
      else assert.match(signature ?? "", why);
    });
  }

  it("that a byte was flipped under the store's checksum: the server does not serve it, and its number is missing", async () => {
    const all = await entries();
    const bytes = await readFile(block());
    const at = writeBlock(JOURNAL, 1, all.slice(0, (own(all)[2] as number) + 1)).length - 100;
    bytes[at] = (bytes[at] as number) ^ 1;
    await stored(bytes);
    const found = await audited();
    assert.ok(found.broken.length + found.holes.length > 0 || found.last < all.length, JSON.stringify(found));
    assert.ok(found.since !== undefined);
  });
});

function swap(bytes: Buffer, from: string, to: string): Buffer | undefined {
  const at = bytes.indexOf(from);
  if (at < 0) return undefined;
  const changed = Buffer.from(bytes);
  changed.write(to, at);
  return changed;
}

/** The folder of a stream, whatever the account is called. */
async function folderOf(store: string, stream: string): Promise<string> {
  for (const found of await readdir(store, { recursive: true, withFileTypes: true })) if (found.isDirectory() && found.name === stream) return join(found.parentPath, found.name);
  throw new Error(`there is no stream \`${stream}\` in \`${store}\``);
}
