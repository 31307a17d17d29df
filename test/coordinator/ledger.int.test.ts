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
import { type StoredMessage, StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { owed } from "../../machines/owed.ts";
import type { Arrival } from "../../services/coordinator/arrival.ts";
import type { Lane } from "../../services/coordinator/lanes.ts";
import type { Turn } from "../../services/coordinator/turn.ts";
import { Coordinator } from "../../services/coordinator/coordinator.ts";
import { liveRunsOf } from "../../services/coordinator/live-runs.ts";
import { storedDocuments } from "../../services/replay/documents.ts";
import { exportLines } from "../../services/replay/export.ts";
import { ExportFile } from "../../services/replay/export-file.ts";
import { checkAll, checkMessages } from "../../services/replay/journal.ts";
import { timestamp } from "../../schemas/time.ts";
import { type Boundary, Crossings, connectWatched, place } from "../crash/boundaries.ts";
import { random, seed } from "../crash/choose.ts";
import { withPatience } from "../harness/plane.ts";
import { type Office, startOffice } from "./office.ts";
import { arrival, rival, signal } from "./rival.ts";

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
  journal = new StreamReader(await office.server.connect("coordinator", "ledger-reader"), streamName("JOURNAL", office.ns));
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

test("GUARD-7 requests are exact by the minute: whatever 60 runs ask at once, an account grants its number in each minute and no more", async () => {
  const coordinator = await office.coordinator({ quota: { perSecond: 1e6, burst: 1e6 } });
  const actor = await office.agent("counter", { principal: null });
  const runs = Array.from({ length: 60 }, (_, n) => `counter_r${n}`);
  const answers = await Promise.all(
    runs.map(async (run) => {
      await office.begin(actor, run);
      return actor.propose(run, { kind: "tool", id: "p", tool: "t.cheap", input: {} }, ({ status }) => status === "approved" || status === "denied");
    }),
  );
  await coordinator.stop();
  const events = (await eventsOf("ledger")).filter(({ body }) => body.run.startsWith("agent.counter."));
  const windows = new Map<string, number>();
  for (const { unit, window, granted } of data(events, "ledger.leased")) {
    assert.equal(unit, "requests");
    windows.set(window, (windows.get(window) ?? 0) + granted);
  }
  for (const [window, granted] of windows) assert.ok(granted <= 7, `${granted} in ${window}`);
  const granted = [...windows.values()].reduce((sum, one) => sum + one, 0);
  assert.equal(answers.filter(({ status }) => status === "approved").length, granted, "who was granted a request made it, and nobody else");
  const minutes = new Set(events.map(({ body }) => (body.data as { window: string }).window)).size;
  assert.ok(granted >= 7 && granted <= 7 * minutes);
  for (const { reasons } of answers.filter(({ status }) => status === "denied")) assert.match(reasons?.[0]?.code ?? "", /^budget/);
});

/** What is published on the wire of signals by somebody who got hold of a coordinator's credential, or by a broken one. */
test("CORE-1 GUARD-7 a signal that is not what its subject says, or is for another account, day or nobody, is refused and counts nowhere", async () => {
  const coordinator = await office.coordinator();
  const day = "2026-11-21";
  const ledger = ledgerNameSchema.parse(`team.nobody.${day}`);
  const token = aggregateToken("ledger", ledger);
  const lease = { name: "lease", id: "x", ledger, unit: "cost", window: day, need: 1, want: 1 };
  const leased = { name: "leased", id: "x", ledger, unit: "cost", window: day, granted: 1, total: 1 };
  const wrong: readonly (readonly [code: string, from: string, to: string, name: string, body: object])[] = [
    ["signal.mismatch", "payer_x", token, "return", lease],
    ["signal.mismatch", "payer_x", aggregateToken("ledger", `team.other.${day}`), "lease", lease],
    ["signal.mismatch", token, "payer_x", "lease", lease],
    ["signal.mismatch", aggregateToken("ledger", `team.other.${day}`), "payer_x", "leased", leased],
    ["signal.mismatch", "payer_x", "payer_y", "leased", leased],
    ["name.aggregate", "payer_x", "guard:stops", "lease", lease],
    ["name.aggregate", "payer_x", "ledger:team%2Enobody", "lease", lease],
    ["name.aggregate", "payer_x", `ledger:team%2E%6Eobody%2E${day}`, "lease", lease],
    ["name.actor", "nobody-at-all", token, "lease", lease],
    ["name.actor", "tool:t%2Epaid", token, "lease", lease],
    ["ledger.window", "payer_x", token, "lease", { ...lease, window: "2026-11-22" }],
    ["ledger.window", "payer_x", token, "lease", { ...lease, unit: "requests" }],
    ["ledger.unit", "payer_x", token, "lease", { ...lease, unit: "amount" }],
    ["run.unknown", token, "payer_nobody", "leased", leased],
  ];
  const listening = await office.server.connect("ask", "rejected");
  const heard: Rejection[] = [];
  const { promise: all, resolve } = Promise.withResolvers<void>();
  listening.subscribe(patterns.rejectedStored(office.ns), {
    callback: (_, message) => {
      if (heard.push(JSON.parse(Buffer.from(message.data).toString()) as Rejection) === wrong.length) resolve();
    },
  });
  await listening.flush();
  for (const [, from, to, name, body] of wrong) await publisher.publish(subjects.signal(office.ns, from, to, name), Buffer.from(JSON.stringify(body)));
  await withPatience(all, "not everything was refused");
  await coordinator.stop();
  assert.deepEqual(heard.map(({ reasons }) => reasons[0]?.code).sort(), wrong.map(([code]) => code).sort());
  assert.deepEqual((await eventsOf("ledger")).filter(({ body }) => body.run === ledger), []);
});

/**
 * The turn of the day, with the server's times of the inputs in the test's hand: runs that began before midnight and end
 * after it, leases that were sent on the one day and are read on the other, in any order in which the wire may bring them.
 */
test("GUARD-7 at the turn of the day each unit is counted in the day that it was asked of, and no day exceeds its cap", async (t) => {
  const SEED = seed();
  const next = random(SEED);
  t.diagnostic(`seed ${SEED}`);
  const other = await rival(office, await office.server.connect("coordinator", "midnight"));
  const lanes = new Map<string, Lane>();
  const waiting: Arrival[] = [];
  const sent = new Set<string>();
  const MIDNIGHT = Date.UTC(2026, 0, 31);
  // 20 ms a step: what the first inputs of the 30th lead to is of the 31st
  let time = MIDNIGHT - 6_000;
  const cost = { cost_usd: 0.004 };

  const send = (key: string, arrived: Arrival) => {
    if (sent.has(key)) return;
    sent.add(key);
    waiting.push(arrived);
    // what was sent twice is answered twice, and counted once
    if (next() < 0.3) waiting.push(arrived);
  };
  const runs = Array.from({ length: 60 }, (_, n) => `payer_midnight-${n}`);
  const propose = (run: string, body: object) => arrival(office, "propose", "payer", run, body, time);
  const gateway = { gateway: "gw", nonce: "0123456789abcdef" };

  const conclude = (token: string, turn: Turn): void => {
    const state = turn.lane.loaded;
    for (const { arrival: asked, reply } of turn.done) {
      if (reply !== undefined) waiting.push(signal(office, token, asked.actor, reply, time));
    }
    if (state?.kind !== "run") return;
    for (const debt of owed(state.state)) {
      if (debt.kind === "signal") send(`${token}/${debt.key}`, signal(office, token, debt.to, debt.body, time));
      if (debt.kind === "dispatch") {
        const { action } = debt.message;
        send(`${token}/${debt.key}`, arrival(office, "report", "gw", token, { id: `done-${action}`, action, attempt: 1, claim: gateway, status: "succeeded", output: {}, usage: cost }, time));
      }
    }
    if (state.state.open.size === 0 && state.state.life.value === "active" && state.state.actions.size > 0) send(`${token}/finish`, propose(token, { kind: "finish", id: "finish" }));
  };
  const deliver = async (arrived: Arrival) => {
    let lane = lanes.get(arrived.token);
    if (lane === undefined) lanes.set(arrived.token, (lane = await other.lane(arrived.token)));
    lane.push(arrived);
    const turn = other.turn(lane);
    if (turn.events.length > 0) {
      const [landing] = await other.committer.append([other.part(turn)]);
      assert.equal(landing?.kind, "stored");
      if (lane.loaded !== undefined && landing?.kind === "stored") lane.loaded.streamSeq = landing.last;
    }
    assert.deepEqual(turn.done.flatMap(({ refused }) => refused ?? []), []);
    conclude(arrived.token, turn);
  };

  for (const run of runs) {
    waiting.push(propose(run, { kind: "start", id: "start", agent: { name: "payer" }, goal: "g" }));
    time += 10;
  }
  const begun = new Set<string>();
  while (waiting.length > 0) {
    const [arrived] = waiting.splice(Math.floor(next() * Math.min(40, waiting.length)), 1) as [Arrival];
    time += 20;
    // the server stores it now
    const now = { ...arrived, input: { ...arrived.input, time: new Date(time).toISOString() } } as Arrival;
    await deliver(now);
    if (!begun.has(arrived.token) && arrived.kind === "propose") {
      begun.add(arrived.token);
      for (const id of ["a", "b"]) send(`${arrived.token}/${id}`, propose(arrived.token, { kind: "tool", id, tool: "t.paid", input: {} }));
    }
  }

  const own = (name: string) => name.startsWith("payer_midnight-");
  const events = (await eventsOf("ledger")).filter(({ body }) => /2026-01-3[01]$/.test(body.run));
  const totals = new Map<LedgerName | string, number>(events.map(({ body }) => [body.run, (body.data as { total: number }).total]));
  assert.deepEqual([...totals.keys()].sort(), ["agent.payer.2026-01-30", "agent.payer.2026-01-31"], "both days were asked");
  for (const { total } of data(events, "ledger.leased")) assert.ok(total <= 3_123_456);
  const spent = data((await eventsOf("run")).filter(({ body }) => own(body.run)), "budget.settled");
  assert.equal([...totals.values()].reduce((sum, total) => sum + total, 0), spent.reduce((sum, one) => sum + one.cost_micro_usd, 0));
  const live = await liveRunsOf(journal, office.ns);
  assert.deepEqual(live.filter(own), [], "nothing is stranded");
});

test("AUD-1 AUD-2 accounts and stops are exported, verified and recomputed like runs, without the plane", async () => {
  const coordinator = await office.coordinator();
  const agentOf = await office.agent("counter", { principal: null });
  await office.begin(agentOf, "counter_exported");
  await agentOf.propose("counter_exported", { kind: "tool", id: "p", tool: "t.cheap", input: {} }, ({ status }) => status === "approved" || status === "denied");
  const [stopper, lifter] = [await office.operator("stella"), await office.operator("ann")];
  const live = stopper.nc.subscribe(subjects.live(office.ns, "guard", "stops"), { max: 2 });
  await stopper.send("control", "guard:stops", { verb: "stop", id: "s", scope: "tool:t.nothing", reason: "an exercise" });
  await lifter.send("control", "guard:stops", { verb: "lift", id: "l", stop: "s1", reason: "over" });
  await withPatience((async () => { for await (const _ of live) continue; })(), "the guard did not stop and lift");
  await coordinator.stop();

  const reading = await office.server.connect("auditor", "exporter");
  const messages: StoredMessage[] = [];
  for await (const message of journal.read({ subject: patterns.log(office.ns) })) messages.push(message);
  const [first, last] = [messages[0], messages.at(-1)] as [StoredMessage, StoredMessage];
  const range = { first_seq: first.seq, last_seq: last.seq, from: timestamp(first.time), to: timestamp(last.time) };
  const opening = { signalbox_export: 1, namespace: office.ns, plane: "nats://here", exported_by: "auditor exporter", exported_at: timestamp(last.time), what: { all: true }, range } as const;
  const lines = async function* () {
    for await (const line of exportLines(opening, messages, storedDocuments(reading, office.ns))) yield Buffer.from(line);
  };
  const file = new ExportFile(lines());
  const checks = await checkMessages(office.ns, file.messages());
  assert.deepEqual(file.faults, []);
  assert.deepEqual(file.missing, []);
  assert.deepEqual(checks.flatMap(({ replay, verify }) => replay.difference ?? verify.fault ?? []), []);
  const kinds = new Set(checks.map(({ replay }) => replay.kind));
  for (const kind of ["run", "ledger", "guard", "person", "issuer"] as const) assert.ok(kinds.has(kind), kind);
  const ledger = checks.find(({ replay }) => replay.kind === "ledger")?.replay;
  assert.equal(ledger?.events, ledger?.identical);
});
