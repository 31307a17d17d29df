/** Three servers, streams with three replicas: what was acknowledged outlives any one of them, and a late writer is refused. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";

describe("OPS-2: a journal on three servers", () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster.stop());

  it("keeps what was acknowledged when the stream's leader is killed under load, and goes on within seconds", async () => {
    const { ns } = cluster;
    const publisher = new Publisher(await cluster.connect("coordinator", "one"));
    const acknowledged: string[] = [];
    const stored = async (n: number): Promise<void> => {
      const name = `${n}`;
      for (;;) {
        try {
          await publisher.publish(subjects.log(ns, "run", `load_${n % 16}`), Buffer.alloc(100), { n: name });
          acknowledged.push(name);
          return;
        } catch {
          // no leader at the moment: it may be there twice afterwards, and must be there once
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    };
    const write = async (from: number) => {
      for (let n = from; n < 3000; n += 8) await stored(n);
    };
    const writers = Array.from({ length: 8 }, (_, i) => write(i));
    while (acknowledged.length < 500) await new Promise((resolve) => setImmediate(resolve));
    const leader = await cluster.leaderOf(streamName("JOURNAL", ns));
    const killed = performance.now();
    const before = acknowledged.length;
    await cluster.kill(leader);
    while (acknowledged.length === before) await new Promise((resolve) => setImmediate(resolve));
    const pause = performance.now() - killed;
    await Promise.all(writers);
    publisher.close();
    const found = new Set<string>();
    const reader = new StreamReader(await cluster.connect("coordinator", "reader"), streamName("JOURNAL", ns));
    for await (const { headers } of reader.read({ subject: patterns.log(ns) })) found.add(headers.get("n") ?? "");
    assert.deepEqual(acknowledged.filter((n) => !found.has(n)), []);
    assert.ok(pause < 20_000, `${Math.round(pause)} ms without progress`);
    await cluster.restart(leader);
  });
});
