/** What the plane's identity leaves on disk, and who may read it. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { namespace } from "../../schemas/ids.ts";
import { signAccounts } from "../../services/identity/accounts.ts";
import { writeContext } from "../../services/identity/contexts.ts";
import { issueCreds, writeCreds } from "../../services/identity/creds.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { renderServerConfig } from "../../services/identity/natsConfig.ts";

const NS = namespace("default");

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "signalbox-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test("keys, credentials and contexts are readable by their owner alone", async (t) => {
  const data = await folder(t);
  const keys = await openKeys(data, [NS]);
  const issued = await issueCreds(keys, { role: "agent", name: "demo-agent", ns: NS });
  const creds = await writeCreds(data, "demo-agent", issued);
  const context = await writeContext(data, "demo-agent", {
    description: "the demo's agent",
    url: "nats://127.0.0.1:4222",
    creds,
    inboxPrefix: issued.inboxPrefix,
  });
  for (const name of ["keys", "creds", "nats/context"]) {
    assert.equal((await stat(join(data, name))).mode & 0o777, 0o700, name);
    for (const file of await readdir(join(data, name))) {
      assert.equal((await stat(join(data, name, file))).mode & 0o777, 0o600, file);
    }
  }
  assert.deepEqual(JSON.parse(await readFile(context, "utf8")), {
    description: "the demo's agent",
    url: "nats://127.0.0.1:4222",
    creds,
    inbox_prefix: "_INBOX_agent_demo-agent",
  });
});

test("keys are made once, also when two processes start at the same moment", async (t) => {
  const data = await folder(t);
  const opened = await Promise.all([1, 2, 3, 4].map(() => openKeys(data, [NS])));
  assert.equal(new Set(opened.map((keys) => keys.plane.getPublicKey())).size, 1);
  assert.equal(new Set(opened.map((keys) => keys.namespaces.get(NS)!.agents.getPublicKey())).size, 1);
  const again = await openKeys(data, [NS]);
  assert.equal(again.operator.getPublicKey(), opened[0]!.operator.getPublicKey());
});

test("a damaged key is an error that names the file, never a new key", async (t) => {
  const data = await folder(t);
  await openKeys(data, [NS]);
  await writeFile(join(data, "keys", "plane.nk"), "rubbish");
  await assert.rejects(openKeys(data, [NS]), /plane\.nk` is damaged/);
});

test("what an administrator is given holds no seed", async (t) => {
  const keys = await openKeys(await folder(t), [NS, namespace("finance")]);
  const config = renderServerConfig(await signAccounts(keys));
  assert.doesNotMatch(config, /\bS[OAUNC][A-Z2-7]{56}\b/);
  for (const account of ["PLANE", "NS_default", "PEOPLE_finance", "TOOLS_finance"]) assert.ok(config.includes(`# ${account}\n`));
});

test("a role that lacks its namespace, tool or team gets no credential", async (t) => {
  const keys = await openKeys(await folder(t), [NS]);
  await assert.rejects(issueCreds(keys, { role: "agent", name: "a" }), /exactly one namespace/);
  await assert.rejects(issueCreds(keys, { role: "tool", name: "t", ns: NS }), /needs a `tool`/);
  await assert.rejects(issueCreds(keys, { role: "developer", name: "d", ns: NS }), /needs a `team`/);
  await assert.rejects(issueCreds(keys, { role: "agent", name: "a.b", ns: NS }));
  await assert.rejects(issueCreds(keys, { role: "agent", name: "*", ns: NS }));
  await assert.rejects(issueCreds(keys, { role: "agent", name: "a", ns: namespace("other") }), /no keys/);
});
