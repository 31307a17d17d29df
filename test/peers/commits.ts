/** The plane's own commits, synced: four events each to runs of their own, by the committer that the coordinator has, in groups as it makes them. */
import { pino } from "pino";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { GroupCommitter, type Landing, type Part } from "../../services/coordinator/committer.ts";
import { startTestServer } from "../harness/server.ts";
import { AT_A_TIME, type Rate, rateOf } from "./load.ts";

const EVENTS = 4;
const COMMITS_A_RUN = 8;
const BODY = Buffer.alloc(700, 7);
const HEADERS = { "ce-specversion": "1.0", "ce-id": "r:1", "ce-type": "signalbox.note.recorded", "ce-source": "/signalbox/default", "ce-time": "2026-11-21T09:30:00.000Z", "content-type": "application/msgpack" };

export async function measureCommits(seconds: number): Promise<readonly Rate[]> {
  const server = await startTestServer({ sync: "always" });
  try {
    const [ns] = server.namespaces;
    if (ns === undefined) throw new Error("a server without a namespace");
    const nc = await server.connect("coordinator", "peers");
    const publisher = new Publisher(nc);
    const committer = new GroupCommitter(publisher, new StreamReader(nc, streamName("JOURNAL", ns)), pino({ enabled: false }));
    const group = grouped((parts) => committer.append(parts));
    const rates: Rate[] = [];
    for (const atATime of AT_A_TIME) {
      const free = Array.from({ length: atATime }, (_, i) => ({ life: 0, commits: 0, last: 0, i }));
      rates.push(
        await rateOf(atATime, seconds, async () => {
          const one = free.pop() as (typeof free)[number];
          const subject = subjects.log(ns, "run", `peer_${atATime}-${one.i}-${one.life}`);
          const events = Array.from({ length: EVENTS }, () => ({ subject, headers: HEADERS, data: BODY }));
          const landing = await group({ subject, expected: one.last, events });
          if (landing.kind !== "stored") throw new Error(`a commit was not stored: ${JSON.stringify(landing)}`);
          one.last = landing.last;
          one.commits += 1;
          if (one.commits === COMMITS_A_RUN) Object.assign(one, { commits: 0, last: 0, life: one.life + 1 });
          free.push(one);
        }),
      );
    }
    committer.stop();
    publisher.close();
    return rates;
  } finally {
    await server.stop();
  }
}

/** What waits is appended together, one batch after the other. */
function grouped(append: (parts: readonly Part[]) => Promise<readonly Landing[]>): (part: Part) => Promise<Landing> {
  const waiting: { readonly part: Part; readonly landed: (landing: Landing) => void; readonly failed: (error: unknown) => void }[] = [];
  let busy = false;
  const pump = async () => {
    busy = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, 200);
      try {
        const landings = await append(batch.map(({ part }) => part));
        batch.forEach(({ landed }, i) => landed(landings[i] as Landing));
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    busy = false;
  };
  return (part) =>
    new Promise((landed, failed) => {
      waiting.push({ part, landed, failed });
      // whoever comes in the same turn goes along
      if (!busy) setImmediate(() => void (busy || pump()));
    });
}
