/** The servers of a deployment replaced under load, as a rolling update does: the next one when the one before says that it is ready. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { handOut } from "../../infra/handout.ts";
import { namespace } from "../../schemas/ids.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { connectBus } from "../../services/bus/connection.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { provision } from "../../services/bus/streams.ts";
import { handedLogin } from "../../services/identity/handed.ts";
import { withPatience } from "../harness/plane.ts";
import { kubeContainers, kubeObjects } from "../deploy/manifests.ts";
import { startServers, untilHealth } from "../deploy/servers.ts";

const WRITERS = 8;

test("OPS-2 the servers are replaced one after the other under load, each when the one before has caught up: nothing acknowledged is lost", async (t) => {
  const ns = namespace("default");
  const folder = await mkdtemp(join(tmpdir(), "signalbox-servers-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const handout = join(folder, "handout");
  await mkdir(join(folder, "servers"));
  await handOut({ dataDir: join(folder, "data"), folder: handout, namespaces: [ns], ttlDays: 1 });
  const { args } = (await kubeContainers(handout)).find(({ name }) => name === "nats") ?? { args: [] };
  const pod = (await kubeObjects()).find(({ kind, metadata }) => kind === "StatefulSet" && metadata.name === "nats")?.spec.template?.spec.containers[0];
  const probe = (pod?.["readinessProbe"] as { httpGet: { path: string } }).httpGet.path;
  const [, ...lameDuck] = pod?.lifecycle?.preStop?.exec.command ?? [];
  const servers = await startServers(handout, join(folder, "servers"), args);
  t.after(() => servers.stop());
  for (const i of servers.servers.keys()) await untilHealth(servers, i, probe, 200);
  const url = servers.servers.map(({ client }) => `nats://127.0.0.1:${client}`).join(",");
  const login = (role: "provision" | "coordinator") => {
    const { current: creds, inboxPrefix, name } = handedLogin(join(handout, role), role);
    return connectBus({ url, name, creds, inboxPrefix });
  };
  const provisioner = await login("provision");
  t.after(() => provisioner.close());
  // nobody says when the servers have a leader for streams: asking again is the only way to know
  for (let tries = 0; ; tries++) {
    const failed = await provision(provisioner, ns, { replicas: 3 }).then(() => undefined, (error: unknown) => error as Error);
    if (failed === undefined) break;
    if (tries === 60) throw failed;
    await wait(250);
  }
  const nc = await login("coordinator");
  t.after(() => nc.close());
  const publisher = new Publisher(nc);
  const acknowledged: string[] = [];
  let over = false;
  let names = 0;
  const write = async (writer: number) => {
    while (!over) {
      const n = `${(names += 1)}`;
      try {
        await publisher.publish(subjects.log(ns, "run", `load_${writer}`), Buffer.alloc(300), { n });
        acknowledged.push(n);
      } catch {
        // no leader at the moment: this one was promised to nobody
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, i) => write(i));
  const goesOn = async (past: number) => {
    while (acknowledged.length <= past) await new Promise((resolve) => setImmediate(resolve));
  };
  for (const [i, { child }] of [...servers.servers].entries()) {
    await withPatience(goesOn(acknowledged.length + 200), `nothing is acknowledged before server ${i} goes`);
    const gone = new Promise((resolve) => child.once("exit", resolve));
    // one is told as the manifest does; whoever is not in time for that is simply ended
    if (i === 0) await promisify(execFile)(process.env["SIGNALBOX_NATS_SERVER"] ?? "nats-server", lameDuck.map((arg) => arg.replace("/run/nats/nats.pid", join(folder, "servers", `nats-${i}.pid`))));
    else child.kill("SIGTERM");
    await withPatience(gone, `server ${i} does not go`, 60_000);
    await withPatience(goesOn(acknowledged.length + 200), `nothing is acknowledged without server ${i}`);
    await servers.start(i);
    await untilHealth(servers, i, probe, 200);
  }
  over = true;
  await withPatience(Promise.all(writers), "writers wait for an answer");
  publisher.close();
  const found = new Set<string>();
  for await (const { headers } of new StreamReader(nc, streamName("JOURNAL", ns)).read({ subject: patterns.log(ns), pageSize: 2000 })) found.add(headers.get("n") ?? "");
  assert.ok(acknowledged.length > 1000);
  assert.deepEqual(acknowledged.filter((n) => !found.has(n)), []);
});
