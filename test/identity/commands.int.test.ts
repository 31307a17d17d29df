/** Credentials and tokens from the command line, and what the embedded server remembers of a revocation. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { actor, namespace, runId } from "../../schemas/ids.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { startEmbeddedServer } from "../../infra/nats/embedded.ts";
import { connectBus, CredentialRefused } from "../../services/bus/connection.ts";
import { identityOf } from "../../services/bus/context.ts";
import { signAccounts } from "../../services/identity/accounts.ts";
import { issueCreds } from "../../services/identity/creds.ts";
import { demoIssuer, openIssuerKey } from "../../services/identity/demo-issuer.ts";
import { openKeys } from "../../services/identity/keys.ts";
import { verifyPrincipal } from "../../services/identity/principal.ts";
import { revoke } from "../../services/identity/revoke.ts";
import { openToolKey, toolJwks } from "../../services/identity/tool-keys.ts";
import { signalbox } from "../cli/terminal.ts";
import { DEMO_DOCUMENTS, startTestPlane, type TestPlane, withPatience } from "../harness/plane.ts";

const NS = namespace("default");

let plane: TestPlane;
let env: Record<string, string>;
before(async () => {
  plane = await startTestPlane();
  await plane.coordinator();
  await plane.apply(...DEMO_DOCUMENTS);
  env = { SIGNALBOX_DATA: plane.server.dataDir, NATS_URL: plane.server.url };
});
after(() => plane.stop());

function claimsOf(creds: string): { exp?: number; iat: number; nats: { tags: string[] } } {
  const jwt = /JWT-----\n(.+)\n/.exec(creds)?.[1] ?? "";
  return JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString()) as ReturnType<typeof claimsOf>;
}

test("ID-2: an agent's credential lives as long as its contract in force says, and no longer", async () => {
  const issue = (...more: string[]) => signalbox(["creds", "issue", "--role", "agent", "--name", "refund-assistant", "-o", "-", ...more], { env });
  const { exit, out, err } = await issue();
  assert.equal(exit, 0, err);
  const { exp = 0, iat, nats } = claimsOf(out);
  assert.ok(Math.abs(exp - iat - 900) <= 1, `${exp - iat}`);
  assert.ok(nats.tags.some((tag) => /^version:\d/.test(tag)), nats.tags.join());
  assert.equal(claimsOf((await issue("--ttl", "60")).out).exp !== undefined, true);
  const long = await issue("--ttl", "86400");
  assert.equal(long.exit, 2);
  assert.match(long.err, /lets its credentials live 900 s/);
});

test("ID-2: without a contract, or a plane to ask, a credential ends all the same", async () => {
  for (const [args, seconds] of [
    [["--role", "auditor", "--name", "ot", "-o", "-"], 86_400],
    [["--role", "agent", "--name", "nobody", "-o", "-"], 86_400],
    [["--role", "agent", "--name", "nobody", "-o", "-", "--ttl", "5"], 5],
  ] as const) {
    const { exit, out, err } = await signalbox(["creds", "issue", ...args], { env: { ...env, NATS_URL: "nats://127.0.0.1:1" } });
    assert.equal(exit, 0, err);
    const { exp = 0, iat } = claimsOf(out);
    assert.ok(Math.abs(exp - iat - seconds) <= 1, `${args.join(" ")}: ${exp - iat}`);
  }
});

test("ID-2: `creds list` shows what is good, and with --all what is not any more; who was revoked is issued nothing", async () => {
  const made = await signalbox(["creds", "issue", "--role", "approver", "--name", "mia", "--json"], { env });
  assert.equal(made.exit, 0, made.err);
  const { public_key: key } = JSON.parse(made.out) as { public_key: string };
  const states = async (...more: string[]) => {
    const { out } = await signalbox(["creds", "list", "--json", ...more], { env });
    assert.doesNotMatch(out, /\bSU[A-Z2-7]{50,}/);
    return (JSON.parse(out) as { credentials: { public_key: string; state: string }[] }).credentials.find(({ public_key }) => public_key === key)?.state;
  };
  assert.equal(await states(), "valid");
  await revoke(plane.server.dataDir, { name: "mia", ns: NS }, { url: plane.server.url, reason: "has left" });
  assert.equal(await states(), undefined);
  assert.equal(await states("--all"), "revoked");
  const again = await signalbox(["creds", "issue", "--role", "approver", "--name", "mia"], { env });
  assert.equal(again.exit, 4);
  assert.match(again.err, /approver `mia` was revoked at .*: has left/);
});

test("nobody in a namespace is given a name of the plane's own", async () => {
  for (const role of ["agent", "operator", "approver", "auditor"]) {
    const { exit, err } = await signalbox(["creds", "issue", "--role", role, "--name", "signalbox-registry"], { env });
    assert.equal(exit, 2);
    assert.match(err, /the plane's own/);
  }
});

test("ID-3: `token` prints a token for one run and nothing else", async () => {
  const { exit, out, err } = await signalbox(["token", "--agent", "refund-assistant", "--run", "refund-assistant_9", "--subject", "kim"], { env });
  assert.deepEqual([exit, err], [0, ""]);
  assert.match(out, /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const value = demoIssuer(await openIssuerKey(plane.server.dataDir));
  const check = { issuers: [{ digest: sha256Digest("d"), value }], agent: actor("refund-assistant"), time: new Date().toISOString() };
  const verdict = await verifyPrincipal(out.trim(), { ...check, run: runId("refund-assistant_9") });
  assert.ok("principal" in verdict, JSON.stringify(verdict));
  assert.equal(verdict.principal?.subject, "kim");
  assert.ok("refusals" in (await verifyPrincipal(out.trim(), { ...check, run: runId("refund-assistant_10") })));
  for (const wrong of [["--run", "other_1"], ["--run", "x"], ["--run", "refund-assistant_9", "--ttl", "100000"]]) {
    assert.equal((await signalbox(["token", "--agent", "refund-assistant", "--subject", "kim", ...wrong], { env })).exit, 2, wrong.join(" "));
  }
});

test("ID-4: `keys` prints the public key that tools check tokens with, and no private one", async () => {
  const { exit, out } = await signalbox(["keys"], { env });
  assert.equal(exit, 0);
  assert.deepEqual(JSON.parse(out), toolJwks(await openToolKey(plane.server.dataDir)));
  assert.doesNotMatch(out, /"d"/);
});

test("ID-2: the embedded server closes what was revoked, and refuses it after a restart", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "signalbox-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const keys = await openKeys(dataDir, [NS]);
  const start = async () => startEmbeddedServer({ binary: process.env["SIGNALBOX_NATS_SERVER"] ?? "nats-server", dataDir, sync: "default", ...(await signAccounts(keys)) });
  let server = await start();
  t.after(() => server.stop());
  const issued = await issueCreds(keys, { role: "agent", name: "alice", ns: NS });
  assert.equal(identityOf(issued.creds).name, "alice");
  const login = () => connectBus({ url: server.url, name: "alice", creds: issued.creds, inboxPrefix: issued.inboxPrefix });
  const nc = await login();
  const result = await revoke(dataDir, { name: "alice", ns: NS }, { url: server.url });
  assert.deepEqual([result.pushed, result.problem], [true, undefined]);
  assert.ok((await withPatience(nc.closed(), "the connection is still open")) instanceof Error);
  await assert.rejects(login(), CredentialRefused);
  await server.stop();
  server = await start();
  await assert.rejects(login(), CredentialRefused);
});
