/** The same on three servers: some of them end under load, while the others go on; then what was acknowledged is looked for. */
import { setTimeout as wait } from "node:timers/promises";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";
import { type Disk, loseableDisk } from "./disk.ts";
import { BODY, DISK_BYTES, type Mishap, type Outcome, WRITERS } from "./once.ts";

const LOAD_MS = 1500;
/** How long those that are left are written to; and all of them, when they are back. */
const AFTER_MS = 2500;
const BACK_MS = 30_000;

/**
 * @param sync JetStream's `sync_interval`
 * @param count of servers that it happens to at the same moment: the journal's leader first
 */
export async function onReplicas(sync: string, mishap: Mishap, count: 1 | 2 | 3): Promise<Outcome> {
  const disks: Disk[] = [];
  let cluster: TestCluster | undefined;
  try {
    if (mishap === "power cut") for (let i = 0; i < 3; i++) disks.push(await loseableDisk(DISK_BYTES));
    cluster = await startTestCluster(sync, disks.map(({ path }) => `${path}/jetstream`));
    // the plane was set up long ago: what is at stake is what happens now
    await Promise.all(disks.map((disk) => disk.settle()));
    const stream = streamName("JOURNAL", cluster.ns);
    const load = await startLoad(cluster);
    await wait(LOAD_MS);
    const leader = await cluster.leaderOf(stream);
    const hit = [leader, (leader + 1) % 3, (leader + 2) % 3].slice(0, count);
    // what is acknowledged by nobody but those to whom it happens, while it happens, is not counted on either side
    if (count > 1) load.pause();
    await Promise.all(hit.map((server) => disks[server]?.cut()));
    await Promise.all(hit.map((server) => cluster?.kill(server)));
    if (count === 1) await wait(AFTER_MS);
    await Promise.all(hit.map((server) => disks[server]?.restore()));
    await Promise.all(hit.map((server) => cluster?.restart(server)));
    load.resume();
    await wait(AFTER_MS);
    const acknowledged = await load.stop();
    const found = await stored(cluster, stream);
    if (found === undefined) return { acknowledged: acknowledged.length, lost: acknowledged.length, stuck: true };
    return { acknowledged: acknowledged.length, lost: acknowledged.filter((n) => !found.has(n)).length };
  } finally {
    await cluster?.stop();
    for (const disk of disks) await disk.remove();
  }
}

interface Load {
  /** What is acknowledged from now on is not counted. */
  pause(): void;
  resume(): void;
  /** @returns names of the messages that were acknowledged */
  stop(): Promise<string[]>;
}

async function startLoad(cluster: TestCluster): Promise<Load> {
  const publisher = new Publisher(await cluster.connect("coordinator", "load"));
  const acknowledged: string[] = [];
  let counts = true;
  let over = false;
  let names = 0;
  const write = async (writer: number) => {
    while (!over) {
      const n = `${(names += 1)}`;
      const counted = counts;
      try {
        await publisher.publish(subjects.log(cluster.ns, "run", `load_${writer}`), BODY, { n });
        // sent before a pause and acknowledged behind it: nobody can say by whom
        if (counted && counts) acknowledged.push(n);
      } catch {
        // no leader at the moment: this one was promised to nobody
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, i) => write(i));
  return {
    pause: () => (counts = false),
    resume: () => (counts = true),
    stop: async () => {
      over = true;
      await Promise.race([Promise.all(writers), wait(BACK_MS, undefined, { ref: false })]);
      publisher.close();
      return acknowledged;
    },
  };
}

/** Names of all messages, once every server has what the leader has: any of them may answer a read. Undefined when none leads. */
async function stored(cluster: TestCluster, stream: string): Promise<Set<string> | undefined> {
  const nc = await cluster.connect("coordinator", "after");
  for (const began = performance.now(); ; ) {
    const info = await nc.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeout: 5_000 }).then(
      (answer) => answer.json<{ cluster?: { leader?: string; replicas?: { current: boolean; lag?: number; offline?: boolean }[] } }>().cluster,
      () => undefined,
    );
    const others = info?.replicas ?? [];
    if ((info?.leader ?? "") !== "" && others.length === 2 && others.every(({ current, lag = 0, offline }) => current && lag === 0 && offline !== true)) break;
    if (performance.now() - began > BACK_MS) {
      if ((info?.leader ?? "") === "") return undefined;
      throw new Error(`the servers do not agree again: ${JSON.stringify(info)}`);
    }
    await wait(200);
  }
  const found = new Set<string>();
  for await (const { headers } of new StreamReader(nc, stream).read({ subject: patterns.log(cluster.ns), pageSize: 2000 })) found.add(headers.get("n") ?? "");
  return found;
}
