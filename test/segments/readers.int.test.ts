/** A reader does not notice how many streams a journal has: the same story told over one and over three, read by every way in. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { segmentOf } from "../../schemas/segments.ts";
import { patterns } from "../../schemas/subjects.ts";
import { type Reader, startReader } from "../../services/projection/reader.ts";
import { type Ran, signalbox } from "../cli/terminal.ts";
import type { Office } from "../coordinator/office.ts";
import type { TestActor } from "../harness/plane.ts";
import { QUICK, nextSegment, segmentOffice } from "./office.ts";

const RUNS = ["clerk_first", "clerk_second", "clerk_third"] as const;

/** A plane whose journal has this many segments, with one run of the story begun in each, and a reader of it. */
class Told {
  readonly segments: number;
  readonly office: Office;
  readonly clerk: TestActor;
  readonly folder: string;
  readonly heard: string[] = [];
  reader: Reader;
  auditor = "";

  private constructor(segments: number, office: Office, clerk: TestActor, folder: string, reader: Reader) {
    this.segments = segments;
    this.office = office;
    this.clerk = clerk;
    this.folder = folder;
    this.reader = reader;
  }

  static async begin(segments: number): Promise<Told> {
    const office = await segmentOffice();
    const folder = await mkdtemp(join(tmpdir(), "signalbox-segments-"));
    const reader = await startReader({ nc: await office.server.connect("reader", "r"), ns: office.ns, dataDir: folder });
    const told = new Told(segments, office, await office.agent("clerk"), folder, reader);
    const auditor = await office.server.issue("auditor", "auditor");
    told.auditor = join(folder, "auditor.creds");
    await writeFile(told.auditor, auditor.creds);
    const subscriber = await office.server.connect("subscriber", "sub");
    subscriber.subscribe(patterns.events(office.ns), { callback: (_, { subject }) => void told.heard.push(subject.split(".").slice(3).join(".")) });
    await subscriber.flush();
    await told.#story();
    return told;
  }

  /** Each run begins in a segment of its own, where there are so many; all go on when all have begun. */
  async #story(): Promise<void> {
    const { office, clerk } = this;
    for (const [index, run] of RUNS.entries()) {
      if (index > 0 && index < this.segments) await nextSegment(office, clerk, index + 1);
      await office.begin(clerk, run);
    }
    const gateway = await office.gateway("gw-readers");
    for (const run of RUNS) {
      await clerk.send("propose", run, { kind: "tool", id: "w", tool: "t.write", input: {} });
      const action = (await office.event(run, "action.dispatched")).body.data["action"] as string;
      await gateway.claim(run, action);
      await gateway.report(run, { action, status: "succeeded", output: {} });
      await clerk.answer(run, ({ id, status }) => id === "w" && status === "succeeded");
    }
    for (const run of RUNS.slice(1)) await clerk.propose(run, { kind: "finish", id: "f" });
  }

  /** As an auditor elsewhere: a credential and an address. */
  cli(...args: string[]): Promise<Ran> {
    return signalbox(args, { env: { SIGNALBOX_DATA: this.folder, XDG_CONFIG_HOME: join(this.folder, "none"), NATS_URL: this.office.server.url, NATS_CREDS: this.auditor } });
  }

  async done(...args: string[]): Promise<string> {
    const { exit, out, err } = await this.cli(...args);
    assert.equal(exit, 0, `${args.join(" ")} with ${this.segments} segment(s): ${err}${out}`);
    return out;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.done(...args, "--json")) as T;
  }

  /** The server dies as by a power switch, and everything is started anew. */
  async kill(): Promise<void> {
    await this.office.server.kill();
    await this.office.server.restart();
    await this.reader.stop();
    await this.office.coordinator(QUICK);
    this.reader = await startReader({ nc: await this.office.server.connect("reader", "r2"), ns: this.office.ns, dataDir: this.folder });
  }

  async stop(): Promise<void> {
    await this.reader.stop();
    await this.office.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

interface Reported {
  readonly kind: string;
  readonly name: string;
  readonly events: number;
  readonly fault?: unknown;
  readonly difference?: unknown;
}
const ofStory = <T extends { readonly name: string }>(all: readonly T[]): T[] => all.filter(({ name }) => RUNS.some((run) => run === name)).sort((a, b) => (a.name < b.name ? -1 : 1));

describe("a journal of three segments beside one of one", () => {
  let one: Told;
  let three: Told;
  before(async () => {
    one = await Told.begin(1);
    three = await Told.begin(3);
  });
  after(async () => {
    await one?.stop();
    await three?.stop();
  });
  /** What a question is answered with must be the same, whichever journal it is about. */
  const same = async (ask: (told: Told) => Promise<unknown>, what: string) => assert.deepEqual(await ask(three), await ask(one), what);

  it("CORE-5 has each run in a segment of its own, and not a part of it elsewhere", async () => {
    const placed = async (told: Told) => Promise.all(RUNS.map(async (run) => [...new Set((await told.office.events(run)).map(({ streamSeq }) => segmentOf(streamSeq)))]));
    assert.deepEqual(await placed(one), [[1], [1], [1]]);
    assert.deepEqual(await placed(three), [[1], [2], [3]]);
    const { segments } = await three.json<{ segments: { segment: number; events: number }[] }>("segments");
    assert.deepEqual(segments.map(({ segment, events }) => [segment, events > 0]), [[1, true], [2, true], [3, true]]);
  });

  const everyReader = (when: string) => {
    it(`CORE-5 OPS-4 status, runs, show and why say the same ${when}`, async () => {
      const counted = await three.json<{ journal: { messages: number; segments: { messages: number }[] }; alarms: unknown[] }>("status");
      assert.equal(counted.journal.messages, counted.journal.segments.reduce((sum, { messages }) => sum + messages, 0));
      assert.deepEqual(counted.alarms, []);
      await same(async (told) => (await told.json<{ runs: { run: string; state: string; seq: number }[] }>("runs", "--limit", "1000")).runs.filter(({ run }) => (RUNS as readonly string[]).includes(run)).map(({ run, state, seq }) => [run, state, seq]), "runs, the newest first");
      for (const run of RUNS) {
        await same(async (told) => (await told.json<{ timeline: { type: string; seq: number }[] }>("show", run)).timeline.map(({ type, seq }) => [type, seq]), `show ${run}`);
        await same(async (told) => (await told.json<{ evidence: { events: { type: string }[] } }>("why", run, "a2")).evidence.events.map(({ type }) => type), `why ${run}`);
      }
    });

    it(`CORE-6 AUD-1 replay and verify find every run, and every byte of it, ${when}`, async () => {
      const reports = async (told: Told, ...args: string[]) => (await told.json<{ reports: Reported[] }>(...args)).reports;
      for (const args of [["replay", "--all", "--judge"], ["verify", "--all"]]) {
        await same(async (told) => ofStory(await reports(told, ...args)).map(({ kind, name, events, fault, difference }) => [kind, name, events, fault ?? difference]), args.join(" "));
      }
      for (const run of RUNS) await same(async (told) => (await reports(told, "replay", run)).map(({ name, events, difference }) => [name, events, difference]), `replay ${run}`);
      const kinds = new Set((await reports(three, "verify", "--all")).map(({ kind }) => kind));
      assert.ok(kinds.has("segments"), "the table of segments has a chain of its own");
    });

    it(`CORE-9 the tail has every event of every run, in the run's order, ${when}`, async () => {
      await same(async (told) => {
        const events = (await told.done("tail", "--from", "1", "--no-follow", "--json")).trim().split("\n").map((text) => JSON.parse(text) as { run: string; seq: number; type: string });
        return RUNS.map((run) => events.filter((event) => event.run === run).map(({ seq, type }) => [seq, type]));
      }, "tail");
      const followed = await signalboxUntil(three, ["replay", "--follow", "--judge"], / 0 wrong, up to journal sequence 3:\d+/);
      assert.equal(followed.exit, 0, followed.err + followed.out);
    });
  };
  everyReader("while it runs");

  it("CORE-9 the fan-out by type told subscribers of every run once", async () => {
    await same(async (told) => RUNS.map((run) => told.heard.filter((subject) => subject.endsWith(`.${run}`))), "event.<type>.<run>");
  });

  it("AUD-1 AUD-2 a checkpoint covers every segment; export and verification hold a run of any of them against it", async () => {
    const kept = join(three.folder, "kept.json");
    await writeFile(kept, await three.done("checkpoint"));
    const checkpoint = JSON.parse(await (await import("node:fs/promises")).readFile(kept, "utf8")) as { segments: { segment: number }[] };
    assert.deepEqual(checkpoint.segments.map(({ segment }) => segment), [2, 3]);
    await three.clerk.propose("clerk_first", { kind: "note", id: "later", text: "behind the checkpoint" });
    await one.clerk.propose("clerk_first", { kind: "note", id: "later", text: "behind the checkpoint" });
    const since = await three.json<{ since: { held: number; faults: unknown[] } }>("verify", "--all", "--since", kept);
    assert.deepEqual([since.since.held, since.since.faults], [1, []]);
    for (const what of [["--all"], [...RUNS], ["clerk_third"]]) {
      const file = join(three.folder, `${what.join("")}.jsonl`);
      await three.done("export", ...what, "-o", file, "--checkpoints", kept);
      const verified = await three.json<{ file: { attested: { fault?: string; held: number }[] }; reports: Reported[] }>("verify", "--file", file, "--since", kept);
      assert.deepEqual(verified.file.attested.map(({ fault }) => fault), [undefined]);
      assert.ok((verified.file.attested[0]?.held ?? 0) > 0);
      assert.deepEqual(verified.reports.flatMap(({ fault }) => fault ?? []), []);
      const names = ofStory(verified.reports).map(({ name }) => name);
      assert.deepEqual(names, what[0] === "--all" ? [...RUNS] : [...what].sort());
      await three.done("replay", "--file", file, "--judge");
    }
  });

  it("EXEC-8 everything is killed and starts again, and runs of every segment go on where they were", async () => {
    for (const told of [one, three]) {
      await told.kill();
      const gateway = await told.office.gateway("gw-after");
      await told.clerk.send("propose", "clerk_first", { kind: "tool", id: "again", tool: "t.write", input: {} });
      const dispatched = await told.office.event("clerk_first", "action.dispatched", ({ body }) => body.seq > 10);
      const action = dispatched.body.data["action"] as string;
      assert.equal((await gateway.claim("clerk_first", action)).verdict, "granted");
      await gateway.report("clerk_first", { action, status: "succeeded", output: {} });
      await told.clerk.propose("clerk_first", { kind: "finish", id: "end" });
      const again = await told.office.begin(told.clerk, "clerk_second");
      assert.equal(again.status, "started", "an old id is answered as it stands");
    }
  });
  everyReader("after it was killed");
});

/** Runs a command that goes on until it has said this. */
function signalboxUntil(told: Told, args: readonly string[], said: RegExp): Promise<Ran> {
  const ends = new AbortController();
  return signalbox(args, {
    env: { SIGNALBOX_DATA: told.folder, XDG_CONFIG_HOME: join(told.folder, "none"), NATS_URL: told.office.server.url, NATS_CREDS: told.auditor },
    signal: ends.signal,
    onOutput: (out) => {
      if (said.test(out)) ends.abort();
    },
  });
}
