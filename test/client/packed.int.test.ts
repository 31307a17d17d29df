import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { packClient } from "../../infra/pack-client.ts";
import * as source from "../../services/client/index.ts";
import { startTestServer } from "../harness/server.ts";

const ROOT = resolve(import.meta.dirname, "../..");
let folder: string;
let home: string;

/** The package as it is installed: unpacked into `node_modules`, its dependencies beside it. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "signalbox-packed-"));
  const tarball = await packClient(join(folder, "out"));
  home = join(folder, "app", "node_modules", "signalbox-client");
  await mkdir(home, { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", home, "--strip-components=1"]);
  // Nothing is fetched: the tree's own packages of the same versions stand in for an installation.
  const { dependencies } = manifest();
  for (const name of Object.keys(dependencies)) {
    const place = join(folder, "app", "node_modules", name);
    await mkdir(resolve(place, ".."), { recursive: true });
    await symlink(join(ROOT, "node_modules", name), place);
  }
});
after(() => rm(folder, { recursive: true, force: true }));

function manifest(): { dependencies: Record<string, string> } {
  return JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { dependencies: Record<string, string> };
}

async function runApp(code: string, env: Record<string, string> = {}): Promise<string> {
  const app = join(folder, "app", "app.mjs");
  await writeFile(app, code);
  return execFileSync(process.execPath, [app], { cwd: join(folder, "app"), encoding: "utf8", env: { PATH: process.env["PATH"] ?? "", ...env } });
}

test("OPS-3: the packed client has the same names as its source, and is plain JavaScript", async () => {
  const names = await runApp(`import * as client from "signalbox-client"; console.log(JSON.stringify(Object.keys(client)));`);
  assert.deepEqual((JSON.parse(names) as string[]).sort(), Object.keys(source).sort());
  assert.equal(existsSync(join(home, "services", "client", "index.ts")), false);
  assert.match(await readFile(join(home, "services", "client", "index.d.ts"), "utf8"), /export .*connect/);
});

test("the packed client brings nothing of the plane's own parts", () => {
  for (const part of ["services/coordinator", "services/gateway", "services/policy", "services/ask", "machines", "infra", "test"]) {
    assert.equal(existsSync(join(home, part)), false, part);
  }
  // a tool checks tokens itself, and can make none
  assert.deepEqual(readdirSync(join(home, "services/identity")).sort(), ["token-check.d.ts", "token-check.js"]);
});

test("every package that the packed client imports is among its dependencies", () => {
  const found = new Set<string>();
  const listing = execFileSync("tar", ["-tzf", tarballOf()], { encoding: "utf8" });
  for (const file of listing.split("\n").filter((name) => name.endsWith(".js"))) {
    const text = readFileSync(join(home, file.replace(/^package\//, "")), "utf8");
    for (const [, name] of text.matchAll(/from "([^".][^"]*)"/g)) if (name !== undefined && !name.startsWith("node:")) found.add(name);
  }
  assert.deepEqual([...found].sort(), Object.keys(manifest().dependencies).sort());
});

test("types of the packed client are whole: a strict TypeScript program compiles against it", async () => {
  const app = join(folder, "app");
  await writeFile(
    join(app, "app.ts"),
    `import { connect } from "signalbox-client";
const box = await connect({ url: "nats://127.0.0.1:4222" });
for await (const event of box.events({ type: "action.approved" })) {
  const by: "policy" | "person" | "standing" = event.data.by;
  console.log(by);
}
const run = await box.agent("a").start({ goal: "x", principal: (run) => Promise.resolve(run) });
const decided = await box.approvals.decide({ run: run.id, request: "q4", digest: "", decision: "edit", input: {} });
if (decided.status === "edited") console.log(decided.event.data.replacement);
const outcome = await run.propose({ tool: "a.b", input: {} });
if (outcome.status === "denied") console.log(outcome.reasons.map((reason) => reason.code));
`,
  );
  const options = { target: "es2024", module: "nodenext", strict: true, exactOptionalPropertyTypes: true, skipLibCheck: true, noEmit: true, types: ["node"], typeRoots: [join(ROOT, "node_modules/@types")] };
  await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["app.ts"] }));
  await writeFile(join(app, "package.json"), JSON.stringify({ type: "module" }));
  execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", app], { encoding: "utf8" });
});

test("OPS-4: the packed client talks to a real server from plain JavaScript", async (t) => {
  const server = await startTestServer();
  t.after(() => server.stop());
  const { creds } = await server.issue("subscriber", "s1", "default");
  const path = join(folder, "s1.creds");
  await writeFile(path, creds, { mode: 0o600 });
  const said = await runApp(
    `import { connect } from "signalbox-client";
const box = await connect();
await box.flush();
console.log(box.namespace);
await box.close();`,
    { NATS_URL: server.url, NATS_CREDS: path },
  );
  assert.equal(said.trim(), "default");
});

function tarballOf(): string {
  const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { version: string };
  return join(folder, "out", `signalbox-client-${version}.tgz`);
}
