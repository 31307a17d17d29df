/** Readiness that means ready: of real processes, before they can work, while they can, while the server is away, while they stop. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import { pino } from "pino";
import { handOut } from "../../infra/handout.ts";
import { startHealth } from "../../infra/health.ts";
import { provision } from "../../services/bus/streams.ts";
import { runCli } from "../../services/cli/main.ts";
import { expectServices, startServices } from "../../services/main.ts";
import { Readiness } from "../../services/telemetry/readiness.ts";
import { startTestPlane } from "../harness/plane.ts";
import { startTestServer } from "../harness/server.ts";
import { endAll, ready, start } from "./process.ts";

/** What the command says on that machine. */
async function doctor(dataDir: string): Promise<string> {
  let out = "";
  const write = (text: string) => (out += text);
  await runCli(["doctor"], { env: { SIGNALBOX_DATA: dataDir, NO_COLOR: "1" }, stdout: { write }, stderr: { write }, stdin: Object.assign(Readable.from([]), { isTTY: false }), signal: AbortSignal.timeout(30_000) });
  return out;
}

const ALL = ["coordinator default", "gateway default", "ask ", "reader default"];

describe("EXEC-8 health and readiness", () => {
  const folders: string[] = [];
  after(async () => {
    await endAll();
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });
  const folder = async () => {
    const path = await mkdtemp(join(tmpdir(), "signalbox-health-"));
    folders.push(path);
    return path;
  };

  test("EXEC-8 not ready before the streams are there, ready when every role can work, not while the server is away, and ready again", async (t) => {
    const server = await startTestServer({ provision: false });
    t.after(() => server.stop());
    const handout = join(await folder(), "handout");
    await handOut({ dataDir: server.dataDir, folder: handout, namespaces: server.namespaces, ttlDays: 1 });
    const roles = ["coordinator", "gateway", "ask", "reader"] as const;
    const env = { NATS_URL: server.url, SIGNALBOX_HEALTH_PORT: "0" };
    const started = await Promise.all(roles.map(async (role) => start(["--no-demo", "--roles", role, "--creds", join(handout, role)], { ...env, SIGNALBOX_DATA: await folder() })));

    for (const [i, role] of roles.entries()) {
      // who only answers agents needs no stream of its own
      if (role === "ask") continue;
      const missing = await started[i]!.seen(({ roles: [first] }) => /is not there/.test(first?.why ?? ""), `${role} waits for streams`);
      assert.equal(missing.status, 503);
      assert.match(missing.roles[0]?.why ?? "", /the stream `[A-Z]+_default` is not there/);
    }
    const provisioner = await server.connect("provision", "late");
    await provision(provisioner, server.namespaces[0]!);
    await Promise.all(started.map((one) => one.seen(ready, "all roles are ready")));
    for (const one of started) assert.equal((await one.look("/livez")).status, 200);

    // away, and its ports closed
    await server.kill();
    for (const one of started) {
      const away = await one.seen((seen) => seen.status === 503, "the server is away");
      assert.match(away.roles[0]?.why ?? "", /connection to the server is lost/);
      // no restart would bring the server back
      assert.equal((await one.look("/livez")).status, 200);
    }
    await server.restart();
    await Promise.all(started.map((one) => one.seen(ready, "ready again")));

    // there, and silent: the connections still stand
    server.signal("SIGSTOP");
    for (const one of started) assert.equal((await one.seen((seen) => seen.status === 503, "the server is silent")).ready, false);
    server.signal("SIGCONT");
    await Promise.all(started.map((one) => one.seen(ready, "ready when it speaks again")));

    for (const one of started) one.child.kill("SIGTERM");
    assert.deepEqual(await Promise.all(started.map((one) => one.exit)), [0, 0, 0, 0]);
  });

  test("EXEC-8 one process with all roles says of each why it is not ready; SIGTERM while it starts ends it with 0, and so does one while the server is away", async (t) => {
    const server = await startTestServer();
    t.after(() => server.stop());
    const env = { NATS_URL: server.url, SIGNALBOX_DATA: server.dataDir };
    const early = start(["--no-demo", "--health", "127.0.0.1:0"], env);
    const first = await early.look();
    assert.equal(first.status, 503);
    early.child.kill("SIGTERM");
    assert.equal(await early.exit, 0);

    const whole = start(["--no-demo", "--health", "127.0.0.1:0"], env);
    const up = await whole.seen(ready, "all roles are ready");
    assert.deepEqual(up.roles.map(({ role, ns }) => `${role} ${ns ?? ""}`), ALL);
    await whole.until("plane up");
    assert.match(await doctor(server.dataDir), /health {2,}http:\S+\/readyz: coordinator, gateway, ask, reader ready/);
    await server.kill();
    const away = await whole.seen((seen) => seen.roles.length === 4 && seen.roles.every((role) => !role.ready), "the server is away");
    for (const role of away.roles) assert.match(role.why ?? "", /connection to the server is lost/);
    whole.child.kill("SIGTERM");
    assert.equal(await whole.exit, 0);
  });

  test("EXEC-8 a role that is told to stop is not ready before its work stops, and ends what it has in hand", async (t) => {
    const plane = await startTestPlane();
    t.after(() => plane.stop());
    const { server } = plane;
    const readiness = expectServices(new Readiness(), ["gateway"], server.namespaces);
    const options = { url: server.url, keys: server.keys, namespaces: server.namespaces, dataDir: server.dataDir, version: "0", log: pino({ level: "silent" }) };
    assert.deepEqual((await readiness.look(500)).map(({ why }) => why), ["starting"]);
    const coordinator = await startServices({ ...options, roles: ["coordinator"] });
    t.after(() => coordinator.stop());
    const gateway = await startServices({ ...options, roles: ["gateway"], readiness });
    assert.deepEqual((await readiness.look(2_000)).map((one) => one.ready), [true]);

    const tool = { name: "s.write", description: "slow", effect: "write", adapter: "nats", timeout_ms: 20_000, input: { type: "object" }, output: { type: "object" } };
    const contract = { agent: { name: "clerk", owner: "o", team: "t", purpose: "p" }, tools: { allowlist: [{ name: "s.write" }] } };
    await plane.applyValues([tool, contract], '@id("all") permit (principal, action, resource);');
    const called = Promise.withResolvers<() => void>();
    const serving = await server.connect("tool", "slow", undefined, { tool: "s.write" });
    serving.subscribe("signalbox.default.call.s.write", { queue: "q", callback: (_, message) => called.resolve(() => void message.respond(Buffer.from("{}"))) });
    await serving.flush();
    const clerk = await plane.agent("clerk");
    await clerk.propose("clerk_r", { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" }, ({ status }) => status === "started");
    await clerk.send("propose", "clerk_r", { kind: "tool", id: "w", tool: "s.write", input: {} });
    const answer = await called.promise;

    const stopped = gateway.stop();
    assert.deepEqual((await readiness.look(500)).map(({ why }) => why), ["stopping"]);
    // still in hand: the call that it made is answered now, and its end is reported
    answer();
    await stopped;
    await plane.event("clerk_r", "action.succeeded");
  });

  test("EXEC-8 a thread whose event loop stands still is not alive, and its roles are not ready", async (t) => {
    const health = await startHealth({ host: "127.0.0.1", port: 0 });
    t.after(() => health.close());
    assert.equal((await fetch(`${health.url}/readyz`)).status, 503);
    const roles = [{ role: "ask", ready: true }];
    let stuck: string[] = [];
    health.watch({ stuck: async () => stuck, roles: async () => roles });
    assert.deepEqual([(await fetch(`${health.url}/readyz`)).status, (await fetch(`${health.url}/livez`)).status], [200, 200]);
    stuck = ["gateway+ask"];
    const answer = await fetch(`${health.url}/livez`);
    assert.deepEqual([answer.status, await answer.json()], [503, { live: false, stuck }]);
    health.stopping();
    assert.equal((await fetch(`${health.url}/readyz`)).status, 503);
    assert.equal((await fetch(`${health.url}/elsewhere`)).status, 404);
  });
});
