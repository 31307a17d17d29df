/** Revocation on a real server: open connections end at once, nothing comes back, and a restart forgets nothing. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { namespace } from "../../schemas/ids.ts";
import { connectBus, CredentialRefused, type NatsConnection } from "../../services/bus/connection.ts";
import { signAccounts } from "../../services/identity/accounts.ts";
import { Barred, issueCreds, type IssuedCreds } from "../../services/identity/creds.ts";
import { renderServerConfig } from "../../services/identity/natsConfig.ts";
import { reinstate, revoke, whoOf } from "../../services/identity/revoke.ts";
import { revocations } from "../../services/identity/revoked.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

const NS = namespace("default");
const FINANCE = namespace("finance");

let server: TestServer;
before(async () => {
  server = await startTestServer({ namespaces: ["default", "finance"] });
});
after(() => server.stop());

const login = (issued: IssuedCreds, reconnect = true): Promise<NatsConnection> =>
  connectBus({ url: server.url, name: "test", creds: () => issued.creds, inboxPrefix: issued.inboxPrefix, reconnect });
/** Rejects when the connection ended otherwise than by the broker's refusal. */
const thrownOut = async (nc: NatsConnection) => assert.ok((await nc.closed()) instanceof Error);

test("ID-2: revoking an agent closes its open connections at once, all of them, and nobody else's", async (t) => {
  const [first, second] = [await issueCreds(server.keys, { role: "agent", name: "alice", ns: NS }), await issueCreds(server.keys, { role: "agent", name: "alice", ns: NS, ttlSeconds: 600 })];
  const others = [
    await server.connect("agent", "bob"),
    await server.connect("agent", "alice", "finance"),
    await server.connect("approver", "alice"),
    await server.connect("coordinator", "c1"),
  ];
  const [one, two] = [await login(first), await login(second)];
  t.after(() => Promise.all(others.map((nc) => nc.close())));
  const disconnected = (async () => {
    for await (const { type } of one.status()) if (type === "disconnect") return performance.now();
    return Infinity;
  })();
  const started = performance.now();
  const result = await revoke(server.dataDir, { roles: ["agent"], name: "alice", ns: NS }, { url: server.url, reason: "stolen" });
  assert.deepEqual([result.pushed, result.problem, result.accounts], [true, undefined, ["NS_default"]]);
  assert.deepEqual(result.credentials.map(({ public_key }) => public_key).toSorted(), [first.publicKey, second.publicKey].toSorted());
  await Promise.all([thrownOut(one), thrownOut(two)]);
  t.diagnostic(`the connection was closed ${Math.round((await disconnected) - started)} ms after the command`);
  await Promise.all(others.map((nc) => nc.flush()));
  for (const issued of [first, second]) await assert.rejects(login(issued, false), CredentialRefused);
});

test("ID-2: who was revoked is issued nothing, until reinstated, and what was revoked stays so", async () => {
  const who = { roles: ["agent"], name: "carl", ns: NS } as const;
  const old = await issueCreds(server.keys, { role: "agent", name: "carl", ns: NS });
  await revoke(server.dataDir, who, { url: server.url, reason: "audit" });
  await assert.rejects(issueCreds(server.keys, { role: "agent", name: "carl", ns: NS }), (error: unknown) => error instanceof Barred && /carl.*audit/.test(error.message));
  await issueCreds(server.keys, { role: "agent", name: "carl", ns: FINANCE });
  await issueCreds(server.keys, { role: "auditor", name: "carl", ns: NS });
  assert.equal(await reinstate(server.dataDir, who), true);
  assert.equal(await reinstate(server.dataDir, who), false);
  const fresh = await login(await issueCreds(server.keys, { role: "agent", name: "carl", ns: NS }));
  await fresh.flush();
  await fresh.close();
  await assert.rejects(login(old, false), CredentialRefused);
});

test("ID-2: a version, a person in every role, and a tool are revoked by the words of the guard's scopes", async () => {
  const made = {
    v1: await issueCreds(server.keys, { role: "agent", name: "dora", ns: NS, version: "1.0.0" }),
    v2: await issueCreds(server.keys, { role: "agent", name: "dora", ns: NS, version: "2.0.0" }),
    approver: await issueCreds(server.keys, { role: "approver", name: "eve", ns: NS }),
    operator: await issueCreds(server.keys, { role: "operator", name: "eve", ns: NS }),
    eveAgent: await issueCreds(server.keys, { role: "agent", name: "eve", ns: NS }),
    tool: await issueCreds(server.keys, { role: "tool", name: "t1", ns: NS, tool: "crm.read" }),
    otherTool: await issueCreds(server.keys, { role: "tool", name: "t1", ns: NS, tool: "crm.write" }),
  };
  const open = Object.fromEntries(await Promise.all(Object.entries(made).map(async ([name, issued]) => [name, await login(issued)] as const)));
  const gone: Record<string, string[]> = { "version:dora@1.0.0": ["v1"], "person:eve": ["approver", "operator"], "tool:crm.read": ["tool"] };
  for (const [scope, names] of Object.entries(gone)) {
    const who = whoOf(scope, NS);
    assert.ok(who !== undefined);
    const result = await revoke(server.dataDir, who, { url: server.url });
    assert.equal(result.credentials.length, names.length, scope);
    await Promise.all(names.map((name) => thrownOut(open[name] as NatsConnection)));
  }
  const left = Object.keys(made).filter((name) => !Object.values(gone).flat().includes(name));
  assert.deepEqual(left, ["v2", "eveAgent", "otherTool"]);
  await Promise.all(left.map((name) => open[name]?.flush()));
  await Promise.all(left.map((name) => open[name]?.close()));
  for (const scope of ["all", "team:support", "principal:https://login.example|kim"]) assert.equal(whoOf(scope, NS), undefined);
});

test("ID-2: two revocations in one second both hold, and repeating one tells the server again", async () => {
  const [one, two] = [await issueCreds(server.keys, { role: "agent", name: "fay", ns: NS }), await issueCreds(server.keys, { role: "agent", name: "gus", ns: NS })];
  const [first, second] = [await login(one), await login(two)];
  const results = await Promise.all(["fay", "gus"].map((name) => revoke(server.dataDir, { roles: ["agent"], name, ns: NS }, { url: server.url })));
  assert.deepEqual(results.map(({ pushed }) => pushed), [true, true]);
  const again = await revoke(server.dataDir, { roles: ["agent"], name: "fay", ns: NS }, { url: server.url });
  assert.deepEqual([again.pushed, again.credentials.length], [true, 0]);
  await Promise.all([thrownOut(first), thrownOut(second)]);
  for (const issued of [one, two]) await assert.rejects(login(issued, false), CredentialRefused);
});

test("ID-2: without a server a revocation is kept, and holds for the server that reads the accounts next", async () => {
  const issued = await issueCreds(server.keys, { role: "approver", name: "hal", ns: NS });
  const before = await login(issued);
  const result = await revoke(server.dataDir, { name: "hal", ns: NS });
  assert.deepEqual([result.pushed, result.problem], [false, "no server was named"]);
  const dead = await revoke(server.dataDir, { name: "hal", ns: NS }, { url: "nats://127.0.0.1:1" });
  assert.equal(dead.pushed, false);
  assert.match(dead.problem ?? "", /cannot be reached/);
  await before.flush();
  await before.close();
  const port = new URL(server.url).port;
  await writeFile(
    join(server.dataDir, "nats.conf"),
    renderServerConfig(await signAccounts(server.keys), { listen: `127.0.0.1:${port}`, serverName: `test-${port}`, storeDir: join(server.dataDir, "jetstream"), sync: "2m" }),
  );
  await server.restart();
  await assert.rejects(login(issued, false), CredentialRefused);
  const fine = await server.connect("approver", "ivy");
  await fine.flush();
});

test("what was revoked is forgotten when it would have ended anyway", async () => {
  const issued = await issueCreds(server.keys, { role: "agent", name: "jan", ns: NS, ttlSeconds: 60 });
  await revoke(server.dataDir, { name: "jan", ns: NS });
  const keys = async (now: number) => (await revocations(server.dataDir, now)).map(({ public_key }) => public_key);
  assert.ok((await keys(Date.now())).includes(issued.publicKey));
  assert.ok(!(await keys(Date.now() + 2 * 3_600_000)).includes(issued.publicKey));
  assert.ok(!(await keys(Date.now())).includes(issued.publicKey));
});
