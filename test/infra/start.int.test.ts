/** `npm start` as a person meets it: a child process, its output, the CLI beside it, and a kill in the middle. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import { runCli } from "../../services/cli/main.ts";
import { endAll, start as started } from "../deploy/process.ts";
import { endServer, launchServer } from "../harness/nats-process.ts";
import { freePort } from "../harness/ports.ts";

const folders: string[] = [];
let server: ChildProcess | undefined;

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "signalbox-start-"));
  folders.push(path);
  return path;
}

const start = (dataDir: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) => started(args, { NO_COLOR: "1", SIGNALBOX_DATA: dataDir, ...env });

async function signalbox(dataDir: string, ...args: string[]): Promise<{ code: number; out: string }> {
  let out = "";
  const output = { write: (text: string) => (out += text) };
  const code = await runCli(args, {
    env: { SIGNALBOX_DATA: dataDir, NO_COLOR: "1" },
    stdout: output,
    stderr: output,
    stdin: Object.assign(Readable.from(["yes\n"]), { isTTY: true }),
    signal: new AbortController().signal,
  });
  return { code, out };
}

after(async () => {
  await endAll();
  await endServer(server, "SIGKILL");
  for (const path of folders) await rm(path, { recursive: true, force: true });
});

describe("OPS-1 npm start", () => {
  test("OPS-1 APP-4 EXEC-9 killed in the middle of the demo and started again, it goes on; the person's answer carries it to its end", async () => {
    const dataDir = await folder();
    const first = start(dataDir);
    const before = await first.until("action.started");
    first.child.kill("SIGKILL");
    await first.exit;

    const second = start(dataDir);
    const output = await second.until("look around with");
    const port = /nats:\/\/127\.0\.0\.1:(\d+)/;
    assert.equal(port.exec(output)?.[1], port.exec(before)?.[1], "the server keeps its port");
    assert.match(output, /read\s+succeeded/);
    assert.match(output, /small-refund\s+succeeded/);
    assert.match(output, /large-refund\s+pending/);
    assert.match(output, /delete\s+denied/);
    assert.match(output, /injected-refund\s+pending/);
    assert.match(output, /other-tool\s+denied/);
    const action = /npx signalbox approve refund-assistant_demo (a\d+)/.exec(output)?.[1] ?? "";
    assert.equal((await signalbox(dataDir, "approve", "refund-assistant_demo", action)).code, 0);
    await second.until(`action.verified     ${action}`);

    for (const check of ["replay", "verify"]) {
      const { code, out } = await signalbox(dataDir, check, "--all");
      assert.equal(code, 0, out);
    }
    const effects = (await readFile(join(dataDir, "demo", "default-effects.jsonl"), "utf8")).trim().split("\n");
    assert.deepEqual(
      effects.map((line) => Object.values((JSON.parse(line) as { input: object }).input).find((value) => typeof value === "number")),
      [25, 240, 480],
      "each refund took effect once",
    );
    for (const context of ["demo-agent", "demo-clerk", "demo-approver", "demo-finance", "demo-finance-2", "operator", "second-operator", "auditor"]) {
      const { mode } = await stat(join(dataDir, "nats", "context", `${context}.json`));
      assert.equal(mode & 0o777, 0o600, context);
    }
    second.child.kill("SIGINT");
    assert.equal(await second.exit, 0);
    assert.equal((await signalbox(dataDir, "status")).code, 7, "the CLI says that the plane is gone");
  });

  test("OPS-1 a second start on the same data folder, a port in use and an unknown role are one line each, with help", async () => {
    const dataDir = await folder();
    const running = start(dataDir, ["--no-demo", "--roles", "coordinator,reader"]);
    const output = await running.until("look around with");
    assert.match(output, /plane up: coordinator, reader for default/);
    assert.doesNotMatch(output, /proposes/);

    const twice = start(dataDir, ["--no-demo"]);
    assert.match(await twice.until("help:"), /is held by process `\d+`/);
    assert.equal(await twice.exit, 1);

    const port = /127\.0\.0\.1:(\d+)/.exec(output)?.[1] ?? "";
    const taken = start(await folder(), ["--no-demo"], { SIGNALBOX_NATS_PORT: port });
    assert.match(await taken.until("help:"), new RegExp(`port \`?${port}|${port}`));
    assert.equal(await taken.exit, 1);

    const wrong = start(await folder(), ["--roles", "conductor"]);
    assert.match(await wrong.until("help:"), /`conductor` is no role/);
    assert.equal(await wrong.exit, 1);

    running.child.kill("SIGTERM");
    assert.equal(await running.exit, 0);
  });

  test("OPS-1 a data folder that cannot be written is one line with help", async () => {
    const file = join(await folder(), "file");
    await writeFile(file, "");
    const blocked = start(join(file, "data"), ["--no-demo"]);
    assert.match(await blocked.until("help:"), /cannot be written/);
    assert.equal(await blocked.exit, 1);
  });

  test("OPS-1 on a server of one's own, configured by `nats-config`, the demo plays as on the embedded one", async () => {
    const dataDir = await folder();
    const port = await freePort();
    const printed = await signalbox(dataDir, "nats-config", "--listen", `127.0.0.1:${port}`, "--store-dir", join(dataDir, "own-store"));
    assert.equal(printed.code, 0);
    const config = join(dataDir, "own.conf");
    await writeFile(config, printed.out.split("\n").filter((line) => !line.startsWith("the keys are in")).join("\n"));
    server = await launchServer(config);
    const plane = start(dataDir, [], { NATS_URL: `nats://127.0.0.1:${port}` });
    const output = await plane.until("look around with");
    assert.match(output, /large-refund\s+pending/);
    plane.child.kill("SIGINT");
    assert.equal(await plane.exit, 0);
  });
});
