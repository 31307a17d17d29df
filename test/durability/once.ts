/** One life of a server under load, its end, and what of the acknowledged messages is there afterwards. */
import type { Namespace } from "../../schemas/ids.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { type NatsConnection } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { loseableDisk } from "./disk.ts";

/** Sparse: the streams reserve room that they never use. */
export const DISK_BYTES = 32 * 1024 ** 3;
const LOAD_MS = 1500;
export const WRITERS = 32;
export const BODY = Buffer.alloc(700, 7);

export interface Outcome {
  readonly acknowledged: number;
  readonly lost: number;
  /** The servers are back, and none of them leads the stream: whatever is there, nobody gets it without mending by hand. */
  readonly stuck?: boolean;
}

export type Mishap = "killed" | "power cut";

/** @param sync JetStream's `sync_interval` */
export async function once(sync: string, mishap: Mishap): Promise<Outcome> {
  const disk = mishap === "power cut" ? await loseableDisk(DISK_BYTES) : undefined;
  const before = process.env["TMPDIR"];
  if (disk !== undefined) process.env["TMPDIR"] = disk.path;
  let server: TestServer | undefined;
  try {
    server = await startTestServer({ sync });
    // the plane was set up long ago: what is at stake is what happens now
    await disk?.settle();
    const acknowledged = await underLoad(server, async () => {
      if (disk !== undefined) await disk.cut();
      await server?.kill();
      if (disk !== undefined) await disk.restore();
    });
    await server.restart();
    const ns = server.namespaces[0] as Namespace;
    const nc = await server.connect("coordinator", "after");
    const found = new Set<string>();
    for await (const { headers } of new StreamReader(nc, streamName("JOURNAL", ns)).read({ subject: patterns.log(ns), pageSize: 2000 })) found.add(headers.get("n") ?? "");
    const lost = acknowledged.filter((n) => !found.has(n)).length;
    await nc.close();
    return { acknowledged: acknowledged.length, lost };
  } finally {
    await server?.stop();
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    await disk?.remove();
  }
}

/** @returns names of the messages that were acknowledged before the mishap */
async function underLoad(server: TestServer, mishap: () => Promise<void>): Promise<string[]> {
  const ns = server.namespaces[0] as Namespace;
  const nc: NatsConnection = await server.connect("coordinator", "load", undefined, { reconnect: false });
  const publisher = new Publisher(nc);
  const acknowledged: string[] = [];
  let over = false;
  let count = 0;
  const write = async (writer: number) => {
    while (!over) {
      const n = `${(count += 1)}`;
      try {
        await publisher.publish(subjects.log(ns, "run", `load_${writer}`), BODY, { n });
        if (!over) acknowledged.push(n);
      } catch {
        return;
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, i) => write(i));
  await new Promise((resolve) => setTimeout(resolve, LOAD_MS));
  // what is acknowledged while the power goes is not counted on either side
  over = true;
  await mishap();
  publisher.close();
  await Promise.allSettled(writers);
  await nc.close().catch(() => undefined);
  return acknowledged;
}

