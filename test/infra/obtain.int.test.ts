import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { createServer as createHttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, test } from "node:test";
import { cacheFolder } from "../../infra/nats/cache.ts";
import { NatsServerUnavailable, obtainNatsServer } from "../../infra/nats/obtain.ts";
import { configuredArchives } from "../../infra/nats/obtain/apt-archives.ts";
import { fetchRelease } from "../../infra/nats/obtain/release.ts";
import { compareVersions, isRecentEnough } from "../../infra/nats/version.ts";

let folder: string;
const kept = { ...process.env };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-obtain-"));
  process.env["SIGNALBOX_CACHE"] = join(folder, "cache");
  process.env["PATH"] = join(folder, "bin");
  delete process.env["SIGNALBOX_NATS_SERVER"];
  mkdirSync(join(folder, "bin"));
});

afterEach(() => {
  process.env = { ...kept };
  rmSync(folder, { recursive: true, force: true });
});

/** Something that tells a version, which is all that is asked of it here. */
function server(path: string, version: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  chmodSync(path, 0o755);
  return path;
}

async function obtain(): Promise<{ found: Awaited<ReturnType<typeof obtainNatsServer>>; lines: string[] }> {
  const lines: string[] = [];
  return { found: await obtainNatsServer({ log: (line) => lines.push(line) }), lines };
}

test("OPS-1: the server that the user names comes before the one on PATH, and that before the kept one", async () => {
  server(join(folder, "cache", "nats-server", "2.15.1", "nats-server"), "2.15.1");
  assert.match((await obtain()).found.source, /^kept copy/);
  server(join(folder, "bin", "nats-server"), "2.14.0");
  assert.equal((await obtain()).found.source, "PATH");
  process.env["SIGNALBOX_NATS_SERVER"] = server(join(folder, "own"), "2.12.0");
  assert.deepEqual((await obtain()).found, { path: join(folder, "own"), version: "2.12.0", source: "SIGNALBOX_NATS_SERVER" });
});

test("a named server that is missing or too old is an error, whatever else there is", async () => {
  server(join(folder, "bin", "nats-server"), "2.15.1");
  process.env["SIGNALBOX_NATS_SERVER"] = join(folder, "nowhere");
  await assert.rejects(obtain(), (error) => error instanceof NatsServerUnavailable && error.message.includes("cannot be run: not found"));
  process.env["SIGNALBOX_NATS_SERVER"] = server(join(folder, "old"), "2.11.9");
  await assert.rejects(obtain(), (error) => error instanceof NatsServerUnavailable && error.message.includes("is `2.11.9`, needed is 2.12"));
});

test("an old server on PATH is passed over with a line that says so", async () => {
  server(join(folder, "bin", "nats-server"), "2.9.10");
  server(join(folder, "cache", "nats-server", "2.15.1", "nats-server"), "2.15.1");
  const { found, lines } = await obtain();
  assert.equal(found.version, "2.15.1");
  assert.deepEqual(lines, [`on PATH: \`${join(folder, "bin", "nats-server")}\` is \`2.9.10\`, needed is 2.12 or newer`]);
});

test("an archive of the release is kept only when its digest is the pinned one", async () => {
  process.env["PATH"] = kept["PATH"];
  const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const stem = `nats-server-v2.15.9-${platform}`;
  server(join(folder, stem, "nats-server"), "2.15.9");
  spawnSync("tar", ["-czf", join(folder, "archive"), "-C", folder, stem]);
  const archive = readFileSync(join(folder, "archive"));
  const http = createHttpServer((request, response) => {
    response.statusCode = request.url === `/v2.15.9/${stem}.tar.gz` ? 200 : 404;
    response.end(archive);
  }).listen(0, "127.0.0.1");
  await once(http, "listening");
  const base = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  try {
    const digest = createHash("sha256").update(archive).digest("hex");
    const wrong = await fetchRelease({ version: "2.15.9", base, digests: { [platform]: "0".repeat(64) } }, () => {});
    assert.ok("fault" in wrong && wrong.fault.includes(`has the SHA-256 \`${digest}\`, pinned is`));
    assert.equal("fault" in (await fetchRelease({ version: "2.15.9", base, digests: {} }, () => {})), true);
    const right = await fetchRelease({ version: "2.15.9", base, digests: { [platform]: digest } }, () => {});
    assert.deepEqual(right, {
      path: join(folder, "cache", "nats-server", "2.15.9", "nats-server"),
      version: "2.15.9",
      source: "release 2.15.9",
    });
  } finally {
    http.close();
  }
  process.env["PATH"] = "";
  assert.equal((await obtain()).found.source, "kept copy, release 2.15.9");
});

test("a release that cannot be reached is one line", async () => {
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, "close");
  const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const result = await fetchRelease({ version: "2.15.9", base: `http://127.0.0.1:${port}`, digests: { [platform]: "0" } }, () => {});
  assert.ok("fault" in result && /^release 2\.15\.9: the download failed: .*econnrefused/.test(result.fault), JSON.stringify(result));
});

test("apt's archives are read in both forms, with their keys, without the disabled and the foreign", () => {
  const apt = join(folder, "apt");
  mkdirSync(join(apt, "sources.list.d"), { recursive: true });
  writeFileSync(
    join(apt, "sources.list"),
    "# deb http://old.test/debian buster main\ndeb [arch=amd64 signed-by=/keys/a.gpg] http://a.test/debian trixie main contrib\n" +
      "deb http://security.test/debian-security trixie-security main\n",
  );
  writeFileSync(
    join(apt, "sources.list.d", "b.sources"),
    "Types: deb\nURIs: http://b.test/debian\n# a remark\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By:\n -----BEGIN\n .\n key\n\n" +
      "Types: deb\nEnabled: no\nURIs: http://c.test/debian\nSuites: sid\nComponents: main\n",
  );
  writeFileSync(join(apt, "sources.list.d", "d.list.disabled"), "deb http://d.test/debian sid main\n");
  assert.deepEqual(configuredArchives(apt), [
    { uri: "http://a.test/debian", trust: ["Signed-By: /keys/a.gpg"] },
    { uri: "http://b.test/debian", trust: ["Signed-By: \n -----BEGIN\n .\n key"] },
  ]);
});

test("versions are compared as numbers", () => {
  assert.ok(compareVersions("2.9.10", "2.12.0") < 0 && compareVersions("2.15.1", "2.15.0") > 0);
  assert.ok(isRecentEnough("2.12.0") && isRecentEnough("3.0.0-preview.1") && !isRecentEnough("2.11.99"));
});

test("the cache is where set-up keeps it too", async () => {
  const setup = (await import(new URL("../../infra/setup/cache.mjs", import.meta.url).href)) as { cacheFolder: typeof cacheFolder };
  for (const env of [{ SIGNALBOX_CACHE: "/x" }, { XDG_CACHE_HOME: "/y" }, { SIGNALBOX_CACHE: "", XDG_CACHE_HOME: "" }, {}]) {
    assert.equal(cacheFolder(env), setup.cacheFolder(env));
  }
});
