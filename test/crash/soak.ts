/**
 * `npm run soak -- <minutes>`: everything under load while every few seconds a process is killed with SIGKILL, one kind
 * after the other: the coordinator, each of two gateways, the one that is asked, the reader, nats-server. Each is started
 * again at once, as a supervisor would: a process of services anew, with all that it loads. At the end everything that
 * was acknowledged is accounted for.
 *
 * First progress after a kill is what only the successor of the killed can have done: of the coordinator and the server
 * the next event, of a gateway the success of an action that it claimed, of the others the next answer or event of theirs.
 *
 * Prints one JSON object; leaves with 1 when anything was lost or done twice, or does not replay.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Answer } from "../../schemas/answer.ts";
import { runId } from "../../schemas/ids.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { decodeEvent } from "../../services/bus/commit.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { TestActor } from "../harness/plane.ts";
import { random, seed } from "./choose.ts";
import { judge } from "./oracle.ts";
import type { Played, Sent } from "./programs.ts";
import { outputOf } from "./tools.ts";
import { openWorld } from "./open-world.ts";
import { stubborn, until } from "./patience.ts";
import type { World } from "./world.ts";

const AT_ONCE = 32;
const KILL_EVERY_MS = 4_000;
const ASKED = "clerk_soak-asked";
const ACTIONS = 4;
/** Tools take up to so long, so that a death finds calls under way. */
const SLOW_MS = 300;
const VICTIMS = ["coordinator", "gateway 1", "gateway 2", "ask", "reader", "nats-server"] as const;
type Named = (typeof VICTIMS)[number];

const minutes = Number(process.argv[2] ?? "3");
if (!(minutes > 0)) throw new Error("minutes must be a positive number, as in `npm run soak -- 3`");
process.env["SIGNALBOX_NATS_SERVER"] ??= (await obtainNatsServer({ log: (line) => console.error(line) })).path;
const SEED = seed();
const next = random(SEED);

const world = await openWorld({ processes: [["coordinator"], ["gateway"], ["gateway"], ["ask"], ["reader"]], standby: false, timeoutMs: 2_000 });
const deadline = performance.now() + minutes * 60_000;
const journal = watchJournal(await world.plane.server.connect("auditor", "soak-watch"));
const kills: { victim: Named; progressMs: number }[] = [];
const runs: { run: string; agent: TestActor; tools: Map<string, Sent["body"]> }[] = [];
const sent: Sent[] = [];
const doubts = { resolved: 0 };
const clerk = world.people.agents.get("clerk") as TestActor;
/** Answers by run and proposal: nobody looks through all of them. */
const heardOf = new Map<string, Answer[]>();
clerk.nc.subscribe(`${subjects.out(world.plane.ns, clerk.name, "*").slice(0, -1)}>`, {
  callback: (error, message) => {
    if (error !== null) return;
    const answer = message.json<Answer>();
    const key = `${answer.run} ${answer.id}`;
    heardOf.set(key, [...(heardOf.get(key) ?? []), answer]);
  },
});

console.error(`soak: ${minutes} min, ${AT_ONCE} runs at once, a kill every ${KILL_EVERY_MS / 1000} s, seed ${SEED}`);
await Promise.all([killer(), ...Array.from({ length: AT_ONCE }, (_, index) => agent(index))]);
await until(() => Promise.resolve(), async () => ((await world.undecided()) === 0 ? true : undefined), "inputs that nobody decides");

const report = await account(world, { runs, sent });
console.log(JSON.stringify(report, undefined, 2));
await world.stop();
const whole = report.identical_in_replay === report.events && report.unverified === 0;
process.exit(report.faults.length === 0 && report.inputs.lost === 0 && report.effects.doubled === 0 && whole ? 0 : 1);

/** The live tail, as an auditor hears it: that there is more, and which gateways have seen an action through. */
function watchJournal(nc: Awaited<ReturnType<World["plane"]["server"]["connect"]>>) {
  const { ns } = world.plane;
  const wakes = new Set<() => void>();
  const holders = new Map<string, string>();
  const worked = new Set<string>();
  const counts = { stored: 0, toldByReader: 0 };
  const wake = () => {
    for (const one of [...wakes]) one();
  };
  nc.subscribe(patterns.liveOfKind(ns, "run"), {
    callback: (error, { subject, data }) => {
      if (error !== null) return;
      counts.stored += 1;
      const { body } = decodeEvent({ subject, data, seq: 0, time: 0, headers: new Map() });
      const action = `${body.run} ${String(body.data["action"])}`;
      if (body.type === "action.started") holders.set(action, (body.data["claim"] as { gateway: string }).gateway);
      if (body.type === "action.succeeded") worked.add(holders.get(action) ?? "");
      if (body.to === "verified") holders.delete(action);
      wake();
    },
  });
  nc.subscribe(patterns.events(ns), {
    callback: () => {
      counts.toldByReader += 1;
      wake();
    },
  });
  const when = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!holds()) return;
        wakes.delete(look);
        resolve();
      };
      wakes.add(look);
      look();
    });
  const more = async (of: keyof typeof counts) => {
    // what was on its way to us before is here then
    await stubborn(() => nc.flush());
    const before = counts[of];
    await when(() => counts[of] > before);
  };
  return { grows: () => more("stored"), isTold: () => more("toldByReader"), worked: (gateway: () => string) => when(() => worked.has(gateway())) };
}

/** Somebody says the same note again and is answered. */
async function asked(): Promise<void> {
  const { ns } = world.plane;
  const body = Buffer.from(JSON.stringify({ kind: "note", id: "asked", text: "is anybody there" }));
  await until(
    () => Promise.resolve(),
    () => clerk.nc.request(subjects.ask(ns, clerk.name, runId(ASKED)), body, { timeout: 1_000 }).then(() => true, () => undefined),
    "an answer of whoever is asked",
  );
}

async function killer(): Promise<void> {
  runs.push({ run: ASKED, agent: clerk, tools: new Map() });
  await say(clerk, ASKED, { kind: "start", id: "start", agent: { name: clerk.name }, goal: "to be asked about" });
  const progress: Promise<void>[] = [];
  for (let turn = 0; performance.now() < deadline - KILL_EVERY_MS; turn++) {
    const victim = VICTIMS[turn % VICTIMS.length] as Named;
    progress.push(killed(victim));
    await pause(KILL_EVERY_MS * (0.75 + next() / 2));
    // on a slow machine a process takes longer than that to start, and would never do anything between two deaths
    for (const one of world.processes) await one.up();
  }
  await Promise.all(progress);
  await say(clerk, ASKED, { kind: "finish", id: "finish" });
}

/** Kills one, and waits for what only its successor can do. */
async function killed(victim: Named): Promise<void> {
  const services = world.processes[VICTIMS.indexOf(victim)];
  let began = performance.now();
  if (services === undefined) {
    const back = world.killServer();
    await journal.grows();
    await back;
  } else {
    await services.up();
    const { deaths } = services;
    began = performance.now();
    services.signal("SIGKILL");
    await until(() => Promise.resolve(), () => (services.deaths > deaths ? true : undefined), "a death");
    if (victim === "coordinator") await journal.grows();
    else if (victim === "reader") await journal.isTold();
    else if (victim === "ask") await asked();
    else {
      const dead = new Set(services.dead);
      await journal.worked(() => (dead.has(services.gateway) ? "" : services.gateway));
    }
  }
  kills.push({ victim, progressMs: Math.round(performance.now() - began) });
}

/** One run after the other: some writes, each seen through; what is in doubt is resolved by the tool's ledger. */
async function agent(index: number): Promise<void> {
  const who = clerk;
  for (let number = 0; performance.now() < deadline; number++) {
    const run = `clerk_soak-${index}-${number}`;
    const tools = new Map<string, Sent["body"]>();
    runs.push({ run, agent: who, tools });
    await say(who, run, { kind: "start", id: "start", agent: { name: who.name }, goal: "to last" });
    for (let n = 0; n < ACTIONS; n++) {
      const id = `step-${n}`;
      const body = { kind: "tool", id, tool: n % 2 === 0 ? "c.write" : "c.same", input: { step: id, slow: Math.floor(next() * SLOW_MS) } };
      tools.set(id, body);
      await say(who, run, body, async (status, action) => {
        if (status !== "in_doubt") return;
        doubts.resolved += 1;
        const done = world.ledger.effects(run, id) > 0;
        const { operator } = world.people;
        const resolve = { verb: "resolve", id: `resolve-${id}`, action, outcome: done ? "succeeded" : "failed", ...(done && { output: outputOf(id) }) };
        await stubborn(() => operator.send("control", run, resolve));
        sent.push({ actor: operator, kind: "control", run, body: resolve });
      });
    }
    await say(who, run, { kind: "finish", id: "finish" });
  }
}

/** Repeats an input until its answer is final. */
async function say(who: TestActor, run: string, body: Sent["body"], heard?: (status: string, action: string | undefined) => Promise<void>): Promise<void> {
  let doubted = false;
  await until(
    async () => {
      await who.send("propose", run, body);
      sent.push({ actor: who, kind: "propose", run, body });
    },
    async () => {
      const mine = heardOf.get(`${run} ${body.id}`) ?? [];
      const final = mine.find(({ final: last }) => last);
      if (final !== undefined) return final;
      const doubt = mine.find(({ status }) => status === "in_doubt");
      if (doubt !== undefined && !doubted) {
        doubted = true;
        await heard?.(doubt.status, doubt.action);
      }
      return undefined;
    },
    `${body.id} of ${run}`,
  );
}

async function account({ plane, ledger, processes, serverDeaths }: World, played: Played) {
  const reader = new StreamReader(await plane.server.connect("coordinator", "soak-account"), streamName("JOURNAL", plane.ns));
  const checked = await checkAll(reader, plane.ns);
  const faults = await judge(world, played);
  const acknowledged = new Set(played.sent.map(({ actor, kind, run, body }) => `${run} ${kind} ${actor.name} ${body.id}`)).size;
  const lost = faults.filter((fault) => fault.startsWith("lost:")).length;
  const steps = played.runs.flatMap(({ run, tools }) => [...tools.keys()].map((step) => ledger.effects(run, step)));
  const times = (of: typeof kills) => {
    const sorted = of.map(({ progressMs }) => progressMs).sort((a, b) => a - b);
    return { kills: sorted.length, p50: sorted[Math.floor(sorted.length / 2)] ?? null, max: sorted.at(-1) ?? null };
  };
  return {
    minutes,
    seed: SEED,
    deaths: { services: processes.map(({ deaths }) => deaths), server: serverDeaths },
    runs: played.runs.length,
    inputs: { sent: played.sent.length, acknowledged, applied: acknowledged - lost, lost },
    events: checked.reduce((sum, { replay }) => sum + replay.events, 0),
    identical_in_replay: checked.reduce((sum, { replay }) => sum + replay.identical, 0),
    /** Aggregates of every kind whose chain of events is broken. */
    unverified: checked.filter(({ verify }) => verify.fault !== undefined).length,
    effects: { wanted: steps.length, once: steps.filter((n) => n === 1).length, none: steps.filter((n) => n === 0).length, doubled: steps.filter((n) => n > 1).length, calls: ledger.calls.length },
    in_doubt_resolved: doubts.resolved,
    first_progress_ms: { all: times(kills), ...Object.fromEntries(VICTIMS.map((victim) => [victim, times(kills.filter((one) => one.victim === victim))])) },
    faults: faults.slice(0, 50),
  };
}
