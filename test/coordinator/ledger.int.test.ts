/** GUARD-7: accounts of the ledger are exact under concurrency, whoever dies in between, and can be recomputed. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { pino } from "pino";
import type { Answer, Rejection } from "../../schemas/answer.ts";
import type { Dispatch } from "../../schemas/dispatch.ts";
import type { EventData } from "../../schemas/event.ts";
import { actor as actorName, type LedgerName, ledgerNameSchema } from "../../schemas/ids.ts";
import { aggregateToken, patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { type JournalEvent, decodeEvent } from "../../services/bus/commit.ts";
import { DispatchQueue } from "../../services/bus/dispatch.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { Coordinator } from "../../services/coordinator/coordinator.ts";
import { liveRunsOf } from "../../services/coordinator/live-runs.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { type Boundary, Crossings, connectWatched, place } from "../crash/boundaries.ts";
import { random, seed } from "../crash/choose.ts";
import { withPatience } from "../harness/plane.ts";
import { type Office, startOffice } from "./office.ts";

const PATIENCE_MS = Number(process.env["LEDGER_MS"] ?? 120_000);
const OBJECT = { type: "object" };
/** Reads, so that nobody has to be named; they cost at most so much. */
const paid = (name: string, cost_usd: number) => ({
  name, description: "a read that costs", effect: "read", adapter: "nats", timeout_ms: 20_000, retries: 0, cost_usd, trusted: true, input: OBJECT, output: OBJECT,
});
const agent = (name: string, team: string, budgets: object) => ({
  agent: { name, owner: "owner", team, purpose: "to be tested" },
  budgets,
  tools: { allowlist: [{ name: "t.paid" }, { name: "t.cheap" }] },
});

let office: Office;
let journal: StreamReader;
let publisher: Publisher;
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyValues(
    [
      paid("t.paid", 0.01),
      paid("t.cheap", 0),
      // 312 times 10,000 micro-USD, and 3,456 that nobody can use
      agent("payer", "payers", { max_cost_usd_per_day: 3.123456 }),
      agent("counter", "counters", { max_requests_per_minute: 7 }),
    ],
    `@id("all") permit (principal, action, resource);\n`,
  );
  await coordinator.stop();
  journal = new StreamReader(await office.server.connect("auditor", "ledger-auditor"), streamName("JOURNAL", office.ns));
  publisher = new Publisher(await office.server.connect("coordinator", "signals"));
});
after(() => office?.stop());

async function eventsOf(kind: "ledger" | "run"): Promise<JournalEvent[]> {
  const found: JournalEvent[] = [];
  for await (const message of journal.read({ subject: patterns.logOfKind(office.ns, kind) })) found.push(decodeEvent(message));
  return found;
}
function data<T extends "ledger.leased" | "ledger.refused" | "ledger.returned" | "budget.settled" | "budget.exhausted">(events: readonly JournalEvent[], type: T): EventData<T>[] {
  return events.flatMap(({ body }) => (body.type === type ? [body.data as unknown as EventData<T>] : []));
}

/** Resolves when no run owes anything: looked at again whenever something was recorded. */
async function nothingOwed(): Promise<void> {
  const nc = await office.server.connect("auditor", `owed-${randomUUID().slice(0, 8)}`);
  let news = Promise.withResolvers<void>();
  nc.subscribe(patterns.live(office.ns), { callback: () => news.resolve() });
  await nc.flush();
  for (;;) {
    const heard = news;
    const left = await liveRunsOf(journal, office.ns);
    if (left.length === 0) return;
    await withPatience(heard.promise, `${left.length} run(s) owe something: ${left.slice(0, 3).join(", ")}`);
    news = Promise.withResolvers<void>();
  }
}

/** A coordinator that dies at its boundary: nothing crosses its connection any more, in either direction. */
async function mortal(boundary: Boundary | undefined, died: () => void): Promise<{ readonly crossings: Crossings; bury(): Promise<void> }> {
  const crossings = new Crossings(() => {
    died();
    return "fall silent";
  });
  const { creds, inboxPrefix } = await office.server.issue("coordinator", `m-${randomUUID().slice(0, 8)}`);
  const nc = await connectWatched(crossings, { url: office.server.url, name: "mortal", creds, inboxPrefix });
  crossings.arm(boundary);
  const coordinator = new Coordinator({ nc, ns: office.ns, log: pino({ level: process.env["SIGNALBOX_TEST_LOG"] ?? "silent" }), quota: { perSecond: 1e6, burst: 1e6 } });
  // one that dies while it takes over never gets there
  const started = coordinator.start().catch(() => undefined);
  if (boundary === undefined) await started;
  return {
    crossings,
    bury: async () => {
      void nc.close().catch(() => undefined);
      void coordinator.stop().catch(() => undefined);
    },
  };
}

test("GUARD-7 1,000 runs against one daily cap, coordinators dying between lease, spend and return: never a micro-dollar over, nothing stranded", async (t) => {
  const SEED = seed();
  const next = random(SEED);
  const names = ["out journal", "out report", "in control", "in answer journal", "out done control", "out answer"];
  const deaths = Array.from({ length: 8 }, (): Boundary => ({ name: names[Math.floor(next() * names.length)] as string, nth: 5 + Math.floor(next() * 60), side: next() < 0.5 ? "before" : "after" }));
  t.diagnostic(`seed ${SEED}: ${deaths.map(place).join("; ")}`);

  let stopped = false;
  let current: Awaited<ReturnType<typeof mortal>> | undefined;
  let lives = 0;
  const succession = async () => {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      current = await mortal(deaths[lives++], resolve);
      await promise;
      if (stopped) return;
      await current.bury();
    }
  };
  void succession();

  const RUNS = Number(process.env["LEDGER_RUNS"] ?? 1000);
  const actor = await office.agent("payer", { principal: null });
  const reporting = new Publisher(await office.server.connect("gateway", "gw-paid"));
  const runs = Array.from({ length: RUNS }, (_, n) => `payer_r${n}`);
  const proposals = (run: string) => Array.from({ length: run.endsWith("7") ? 3 : 1 }, (_, n) => `p${n}`);
  const say = (run: string, body: object) => void actor.send("propose", run, body).catch(fail);
  // each reports what it used: all of it, half of it, nothing of it, or does not say
  const usage = [{ cost_usd: 0.01 }, { cost_usd: 0.005001 }, { cost_usd: 0 }, undefined];
  const [reported, answered, begun, finished] = [new Set<string>(), new Set<string>(), new Set<string>(), new Set<string>()];
  const { promise: done, resolve: all, reject: fail } = Promise.withResolvers<void>();
  const onAnswer = ({ run, id, status, final }: Answer) => {
    if (id === "start" && status === "started" && !begun.has(run)) {
      begun.add(run);
      for (const proposal of proposals(run)) say(run, { kind: "tool", id: proposal, tool: "t.paid", input: {} });
    } else if (id === "finish") {
      finished.add(run);
      if (finished.size === RUNS) all();
    } else if (final && id !== "start" && !answered.has(`${run}/${id}`)) {
      answered.add(`${run}/${id}`);
      if (proposals(run).every((one) => answered.has(`${run}/${one}`))) say(run, { kind: "finish", id: "finish" });
    }
  };
  actor.nc.subscribe(subjects.out(office.ns, actor.name, "*"), {
    callback: (_, message) => onAnswer(JSON.parse(Buffer.from(message.data).toString()) as Answer),
  });
  const queue = new DispatchQueue(await office.server.connect("gateway", "paid-queue"), {
    ns: office.ns,
    tool: "t.paid",
    limit: 500,
    onMessage: (message) => {
      message.ack();
      const { run, action } = JSON.parse(Buffer.from(message.data).toString()) as Dispatch;
      if (reported.has(`${run}/${action}`)) return;
      reported.add(`${run}/${action}`);
      const used = usage[reported.size % usage.length];
      const claim = { gateway: "gw-paid", nonce: "0123456789abcdef" };
      const body = { id: `done-${action}`, action, attempt: 1, claim, status: "succeeded", output: {}, ...(used && { usage: used }) };
      reporting.publish(subjects.input(office.ns, "report", actorName("gw-paid"), run), Buffer.from(JSON.stringify(body))).catch(fail);
    },
  });
  await queue.start();
  for (const run of runs) say(run, { kind: "start", id: "start", agent: { name: "payer" }, goal: "g" });
  await withPatience(done, "not every run finished", PATIENCE_MS).catch((error: unknown) => {
    const heard = JSON.stringify(actor.rejections.slice(0, 2));
    throw new Error(`${begun.size} begun, ${answered.size} answered, ${reported.size} reported, ${finished.size} finished, life ${lives}, ${heard}`, { cause: error });
  });
  await nothingOwed();
  queue.stop();
  stopped = true;
  await current?.bury();

  const events = await eventsOf("ledger");
  const cap = 3_123_456;
  for (const { total } of data(events, "ledger.leased")) assert.ok(total <= cap, `${total} of ${cap}`);
  assert.ok(data(events, "ledger.refused").length > 0, "the cap was reached");
  const settled = data(await eventsOf("run"), "budget.settled").reduce((sum, one) => sum + one.cost_micro_usd, 0);
  const last = new Map(events.map(({ body }) => [body.run, (body.data as { total: number }).total]));
  assert.equal([...last.values()].reduce((sum, total) => sum + total, 0), settled, "what the accounts count is what was spent");
  assert.ok(settled <= cap * last.size);
  const holders = new Map<string, number>();
  for (const { run, unused } of data(events, "ledger.returned")) holders.set(run, (holders.get(run) ?? 0) - unused);
  for (const { run, granted } of data(events, "ledger.leased")) holders.set(run, (holders.get(run) ?? 0) + granted);
  for (const [run, held] of holders) assert.ok(held >= 0, `${run} gave back more than it held`);

  const checked = await checkAll(journal, office.ns);
  assert.deepEqual(checked.flatMap(({ replay, verify }) => [replay.difference, verify.fault].filter((one) => one !== undefined)), [], "accounts and runs recompute byte for byte");
  assert.ok(checked.some(({ replay }) => replay.kind === "ledger"));
});
