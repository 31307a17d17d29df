import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, credsAuthenticator } from "nats";
import { DataFolderHeld, ServerNotStarted, startEmbeddedServer } from "../../infra/nats/embedded.ts";
import type { EmbeddedOptions, EmbeddedServer } from "../../infra/nats/embedded.ts";
import { obtainNatsServer } from "../../infra/nats/obtain.ts";
import { testOperator } from "./operator.ts";
import type { TestOperator } from "./operator.ts";

let binary: string;
let operator: TestOperator;
const folders: string[] = [];
const started: EmbeddedServer[] = [];

before(async () => {
  ({ path: binary } = await obtainNatsServer({ log: () => {} }));
  operator = await testOperator();
});

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-embedded-"));
  folders.push(folder);
  return folder;
}

/** Stopped after the test, if it does not do so itself. */
async function start(dataDir: string, more: Partial<EmbeddedOptions> = {}): Promise<EmbeddedServer> {
  const { operatorJwt, systemAccount, accounts } = operator;
  const server = await startEmbeddedServer({ binary, dataDir, operatorJwt, systemAccount, accounts, ...more });
  started.push(server);
  return server;
}

interface Varz {
  readonly host: string;
  readonly jetstream: { readonly config: { readonly sync_always?: boolean } };
}

/** One that ended and whose end nobody has asked for yet still has its pid. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function asUser<T>(url: string, work: (nc: Awaited<ReturnType<typeof connect>>) => Promise<T>): Promise<T> {
  const nc = await connect({ servers: url, authenticator: credsAuthenticator(operator.creds), reconnect: false });
  try {
    return await work(nc);
  } finally {
    await nc.close();
  }
}

function refusedWith(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ServerNotStarted, String(error));
    assert.match(error.message, pattern);
    assert.ok(!error.message.includes("\n") && error.help !== "", error.message);
    return true;
  };
}

test("OPS-1: the embedded server keeps what it stored over a stop and a start", async () => {
  const folder = newFolder();
  const first = await start(folder);
  await asUser(first.url, async (nc) => {
    assert.ok((nc.info?.max_payload ?? 0) === 8 * 1024 * 1024);
    const manager = await nc.jetstreamManager();
    await manager.streams.add({ name: "S", subjects: ["s"] });
    await nc.jetstream().publish("s", "kept");
  });
  await first.stop();
  assert.equal(await first.exited, 0);

  const second = await start(folder);
  await asUser(second.url, async (nc) => {
    const message = await (await nc.jetstreamManager()).streams.getMessage("S", { seq: 1 });
    assert.equal(message.string(), "kept");
  });
  await second.stop();
});

test("the embedded server refuses a client without a credential, and is synced and loopback only", async () => {
  const server = await start(newFolder());
  await assert.rejects(connect({ servers: server.url, reconnect: false }), /authorization violation/i);
  const varz = (await (await fetch(`${server.monitorUrl}/varz`)).json()) as Varz;
  assert.equal(varz.host, "127.0.0.1");
  assert.equal(varz.jetstream.config.sync_always, true);
});

test("a second start on the same data folder is refused and names the process that holds it", async () => {
  const folder = newFolder();
  const server = await start(folder);
  const held = (error: unknown): boolean => error instanceof DataFolderHeld && error.message.includes(`\`${process.pid}\``);
  await assert.rejects(start(folder), held);
  await server.stop();
  await start(folder);
});

test("a plane that is killed leaves no server behind, and its folder can be used again at once", async () => {
  const folder = newFolder();
  const keeper = fileURLToPath(new URL("keeper.ts", import.meta.url));
  const plane = spawn(process.execPath, [keeper, folder, binary], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = (await once(createInterface(plane.stdout), "line")) as [string];
  const { pid } = JSON.parse(line) as { pid: number };
  plane.kill("SIGKILL");
  await once(plane, "exit");
  // The lock is only to be had when the orphaned server is gone.
  const next = await start(folder);
  assert.ok(!isRunning(pid), `process ${pid} still runs`);
  await next.stop();
});

test("a port in use is one line that says so and how to mend it", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  try {
    await assert.rejects(start(newFolder(), { port }), refusedWith(new RegExp(`^port \`${port}\` on this machine is in use$`)));
  } finally {
    other.close();
  }
});

test("a refused configuration is told in the server's own first line of complaint", async () => {
  await assert.rejects(start(newFolder(), { operatorJwt: "no.jwt.at-all" }), refusedWith(/^nats-server did not start: .*(jwt|operator)/i));
});

test("a server that is too old is refused before it touches the folder", async () => {
  const old = join(newFolder(), "nats-server");
  writeFileSync(old, "#!/bin/sh\necho nats-server: v2.9.10\n");
  chmodSync(old, 0o755);
  await assert.rejects(start(newFolder(), { binary: old }), refusedWith(/is `2\.9\.10`, needed is 2\.12 or newer/));
});

test("a data folder that cannot be written is one line that says so", async () => {
  const file = join(newFolder(), "file");
  writeFileSync(file, "");
  await assert.rejects(start(join(file, "data")), refusedWith(/^the data folder `.*` cannot be written: /));
});

test("nobody but the owner reads the configuration of the embedded server", async () => {
  const folder = newFolder();
  await (await start(folder)).stop();
  const { mode } = statSync(join(folder, "nats", "server.conf"));
  assert.equal(mode & 0o077, 0);
  assert.match(readFileSync(join(folder, "nats", "server.conf"), "utf8"), /sync_interval: always/);
});
