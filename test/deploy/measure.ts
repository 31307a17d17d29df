/**
 * `node test/deploy/measure.ts [seconds]`: what the arithmetic of `infra/sizing.ts` rests on and the benchmark does not
 * print. Bytes of an action in the journal and over the network; what three replicas cost beside one; memory for a subject.
 */
import { readFile, rm } from "node:fs/promises";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { ceiling, record } from "../bench/ceiling.ts";
import type { Closed, Loaded } from "../bench/load.ts";
import { cpuSeconds } from "../bench/processes.ts";
import { NS, World } from "../bench/world.ts";
import { startTestCluster } from "../harness/cluster.ts";
import { startTestServer } from "../harness/server.ts";

const binary = (process.env["SIGNALBOX_NATS_SERVER"] ??= (await obtainNatsServer({ log: (line) => console.error(line) })).path);
const seconds = Number(process.argv[2] ?? 5);
const BATCH = 256;
const SUBJECTS = 300_000;
const per = (what: number, of: number) => Math.round((what * 10) / of) / 10;

/** Real actions of the benchmark's load, on one server. */
async function actions() {
  const world = await World.begin({ sync: "default", binary });
  try {
    await world.plane(["coordinator", "gateway", "ask", "reader"]);
    await world.applyDocuments(20, false);
    const load = await world.load();
    const nc = await world.connect("coordinator", "measure");
    const journal = new StreamReader(nc, streamName("JOURNAL", NS));
    const traffic = async () => (await (await fetch(`${world.server.monitorUrl}/varz`)).json()) as { in_bytes: number; out_bytes: number };
    const written = async () => Number(/^write_bytes: (\d+)/m.exec(await readFile(`/proc/${world.server.pid}/io`, "utf8"))?.[1] ?? Number.NaN);
    const warm: Closed = { inFlight: 64, seconds: 1, runs: 0 };
    await load.ask<Loaded>({ do: "closed", options: warm });
    const [before, net, disk] = [await journal.info(), await traffic(), await written()];
    const { seen, runs } = await load.ask<Loaded>({ do: "closed", options: { inFlight: 256, seconds, runs: 0 } satisfies Closed });
    const [after, netAfter, diskAfter] = [await journal.info(), await traffic(), await written()];
    const events = await record(nc, NS, before.lastSeq + 1, 6000);
    const count = seen.length;
    return {
      figures: {
        actions: count,
        actions_per_run: per(count, runs),
        events_per_action: per(after.messages - before.messages, count),
        journal_bytes_per_action: Math.round((after.bytes - before.bytes) / count),
        journal_bytes_per_event: Math.round((after.bytes - before.bytes) / (after.messages - before.messages)),
        network_bytes_per_action: Math.round((netAfter.in_bytes + netAfter.out_bytes - net.in_bytes - net.out_bytes) / count),
        disk_bytes_per_action: Math.round((diskAfter - disk) / count),
      },
      events,
    };
  } finally {
    await world.end();
  }
}

type Events = Awaited<ReturnType<typeof record>>;

/** The journal alone: events a second, and processor of all servers for a thousand of them. */
async function replicas(events: Events, servers: 1 | 3, sync: string) {
  const cluster = servers === 3 ? await startTestCluster(sync) : undefined;
  const server = cluster?.server ?? (await startTestServer({ sync }));
  try {
    const pids = cluster === undefined ? [server.pid] : cluster.pids.filter((pid) => pid !== undefined);
    const nc = await server.connect("coordinator", "measure");
    const used = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    const before = used();
    const rate = await ceiling(nc, server.namespaces[0]!, events, BATCH, seconds);
    return { events_per_s: Math.round(rate), server_ms_per_1000_events: per((used() - before) * 1000, (rate * seconds) / 1000) };
  } finally {
    await server.stop();
  }
}

/** Resident memory of a server, for each subject that a stream holds. */
async function memory() {
  const server = await startTestServer();
  try {
    const nc: NatsConnection = await server.connect("coordinator", "measure");
    const publisher = new Publisher(nc);
    const resident = async () => Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${server.pid}/status`, "utf8"))?.[1]) * 1024;
    const before = await resident();
    const data = Buffer.alloc(100);
    for (let at = 0; at < SUBJECTS; at += 1000) {
      await publisher.batch(Array.from({ length: 1000 }, (_, i) => ({ subject: subjects.log(NS, "run", `an-agent_${String(at + i).padStart(36, "0")}`), data, headers: {} })));
    }
    publisher.close();
    // once more from the disk: what a server holds that nobody writes to
    await server.restart();
    const after = await resident();
    return { subjects: SUBJECTS, resident_bytes_per_subject_after_restart: Math.round((after - before) / SUBJECTS) };
  } finally {
    await server.stop();
    await rm(server.dataDir, { recursive: true, force: true });
  }
}

const { figures, events } = await actions();
console.log(JSON.stringify(figures));
for (const sync of ["2m", "always"]) for (const servers of [1, 3] as const) console.log(JSON.stringify({ servers, sync_interval: sync, ...(await replicas(events, servers, sync)) }));
console.log(JSON.stringify(await memory()));
