/** What `npm start` does for identity: contexts that end, keys where tools and people find them, and revocations that it remembers. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CONTEXTS, startPlane } from "../../infra/plane.ts";
import { readSettings } from "../../infra/settings.ts";
import { namespace } from "../../schemas/ids.ts";
import { issuerSchema } from "../../schemas/issuer.ts";
import { demoIssuer, openIssuerKey } from "../../services/identity/demo-issuer.ts";
import { revoke } from "../../services/identity/revoke.ts";
import { openToolKey, toolJwks } from "../../services/identity/tool-keys.ts";
import { signalbox } from "../cli/terminal.ts";

test("ID-2 ID-4: a plane's contexts end within the hour, its keys are published, and who is revoked gets nothing at the next start", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "signalbox-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const said: string[] = [];
  const start = () => startPlane(readSettings(["--roles", "reader", "--sync", "default"], { SIGNALBOX_DATA: dataDir, NATS_URL: "", SIGNALBOX_NATS_SERVER: process.env["SIGNALBOX_NATS_SERVER"] }), (line) => void said.push(line));
  const env = { SIGNALBOX_DATA: dataDir };

  let plane = await start();
  try {
    const { out } = await signalbox(["creds", "list", "--json"], { env });
    const { credentials } = JSON.parse(out) as { credentials: { role: string; name: string; file?: string; expires_at?: string }[] };
    for (const { context, role, name } of CONTEXTS) {
      const found = credentials.find((one) => one.file === `creds/${context}.creds`);
      assert.deepEqual([found?.role, found?.name], [role, name]);
      assert.ok(Date.parse(found?.expires_at ?? "") - Date.now() <= 3_600_000);
    }
    assert.deepEqual(credentials.filter(({ expires_at }) => expires_at === undefined), [], "every credential ends");
    const jwks = join(dataDir, "tool-tokens.jwks.json");
    assert.deepEqual(JSON.parse(await readFile(jwks, "utf8")), toolJwks(await openToolKey(dataDir)));
    assert.equal((await stat(jwks)).mode & 0o777, 0o644);
    const issuer = JSON.parse(await readFile(join(dataDir, "documents", "issuer.demo.yaml"), "utf8")) as unknown;
    assert.deepEqual(issuerSchema.parse(issuer), demoIssuer(await openIssuerKey(dataDir)));
    for (const key of ["demo_issuer.pem", "tool_tokens.pem"]) assert.equal((await stat(join(dataDir, "keys", key))).mode & 0o777, 0o600);
    const who = await signalbox(["whoami", "--as", "auditor", "--json"], { env });
    assert.equal(who.exit, 0, who.err);
    await revoke(dataDir, { name: "auditor", ns: namespace("default") }, { url: plane.url, reason: "has left" });
    const after = await signalbox(["whoami", "--as", "auditor"], { env });
    assert.equal(after.exit, 4, after.err);
  } finally {
    await plane.stop();
  }

  plane = await start();
  try {
    assert.match(said.join("\n"), /the context auditor gets no credential: auditor `auditor` was revoked at .*: has left/);
    assert.equal((await signalbox(["whoami", "--as", "auditor"], { env })).exit, 4);
    assert.equal((await signalbox(["whoami", "--as", "operator"], { env })).exit, 0);
  } finally {
    await plane.stop();
  }
});
