/** Short-lived credentials on a real server: renewed before they end, and connections that come back with the fresh one. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { namespace } from "../../schemas/ids.ts";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { connect } from "../../services/client/connect.ts";
import { issueCreds, writeCreds } from "../../services/identity/creds.ts";
import { hasEnded, type Issued, issuedKey, issuedRecords } from "../../services/identity/issued.ts";
import { CredsKeeper, type CredentialTerms } from "../../services/identity/keeper.ts";
import { renewingCreds } from "../../services/identity/renewing.ts";
import { reinstate, revoke } from "../../services/identity/revoke.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

const NS = namespace("default");
const PATIENCE_MS = 20_000;

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

/** A keeper whose renewals can be waited for. */
async function keeper(contractOf?: (agent: string) => Promise<CredentialTerms | undefined>) {
  const renewed: string[] = [];
  const waiting = new Set<() => void>();
  const problems: string[] = [];
  const kept = new CredsKeeper({
    keys: server.keys,
    ...(contractOf && { contractOf }),
    onProblem: (message) => void problems.push(message),
    onRenewed: (path) => {
      renewed.push(path);
      for (const wake of waiting) wake();
    },
  });
  await kept.start();
  const until = (path: string, times: number) =>
    patient(
      new Promise<void>((resolve) => {
        const look = () => {
          if (renewed.filter((one) => one === path).length < times) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
      `\`${path}\` was not renewed ${times} times: ${problems.join()}`,
    );
  return { kept, renewed, until, problems };
}

test("ID-2: a connection outlives its credential: the server ends it, and it comes back with the one that was renewed meanwhile", async (t) => {
  const { kept } = await keeper();
  t.after(() => kept.stop());
  const issued = await issueCreds(server.keys, { role: "agent", name: "alice", ns: NS, ttlSeconds: 3 });
  const path = await writeCreds(server.dataDir, "alice", issued);
  const nc = await connectBus({ url: server.url, name: "alice", creds: () => readFileSync(path), inboxPrefix: issued.inboxPrefix });
  t.after(() => nc.close());
  const ends: string[] = [];
  await status(nc, (type, data) => {
    if (type === "error") ends.push(data);
    return type === "reconnect" && ends.length >= 2;
  });
  assert.ok(ends.every((code) => code === "AUTHENTICATION_EXPIRED"), ends.join());
  const stored = await nc.request("signalbox.default.in.propose.alice.alice_1", "{}");
  assert.equal(stored.json<{ error?: object }>().error, undefined);
  assert.notEqual(readFileSync(path, "utf8"), issued.creds);
});

test("ID-2: the client reads the file again, and a client with a copy of an old one is refused", async (t) => {
  const { kept } = await keeper();
  t.after(() => kept.stop());
  const issued = await issueCreds(server.keys, { role: "auditor", name: "otto", ns: NS, ttlSeconds: 2 });
  const path = await writeCreds(server.dataDir, "otto", issued);
  const box = await connect({ url: server.url, creds: path, env: {} });
  t.after(() => box.close());
  const old = await connectBus({ url: server.url, name: "old", creds: issued.creds, inboxPrefix: issued.inboxPrefix });
  const closed = await patient(old.closed(), "the old credential still works");
  assert.ok(closed instanceof Error);
  await box.flush();
  // within the second in which it ends, the server lets it in and out again
  const again = connectBus({ url: server.url, name: "old", creds: issued.creds, reconnect: false });
  await assert.rejects(again.then(async (late) => Promise.reject((await patient(late.closed(), "the old credential works again")) as Error)));
});

test("ID-2: a built-in service's credential ends too, and a fresh one is in its memory before", async (t) => {
  const creds = await renewingCreds(server.keys, { role: "reader", name: "r1" }, 3);
  t.after(() => creds.stop());
  const nc = await connectBus({ url: server.url, name: "reader", creds: creds.current, inboxPrefix: creds.inboxPrefix });
  t.after(() => nc.close());
  await status(nc, (type) => type === "reconnect");
  const info = await nc.request("$JS.API.STREAM.INFO.JOURNAL_default");
  assert.equal(info.json<{ error?: object }>().error, undefined);
});

test("ID-2: a credential is renewed for as long as the contract in force says, and for its version", async (t) => {
  const { kept, until } = await keeper(async () => Promise.resolve({ ttlSeconds: 120, version: "2.0.0" }));
  t.after(() => kept.stop());
  const issued = await issueCreds(server.keys, { role: "agent", name: "bob", ns: NS, version: "1.0.0", ttlSeconds: 2 });
  const path = await writeCreds(server.dataDir, "bob", issued);
  await until(path, 1);
  const last = [...(await issuedRecords(server.dataDir).all()).values()].filter(({ name }) => name === "bob").toSorted(byTime).at(-1);
  assert.equal(last?.version, "2.0.0");
  assert.ok(Date.parse(last?.expires_at ?? "") - Date.now() > 100_000);
});

test("ID-2: a plane that was away renews what has ended meanwhile, and nothing that was removed or revoked", async (t) => {
  const past = async (name: string) => {
    const issued = await issueCreds(server.keys, { role: "agent", name, ns: NS, ttlSeconds: -60 });
    return writeCreds(server.dataDir, name, issued);
  };
  const [away, gone, bad] = [await past("away"), await past("gone"), await past("bad")];
  await rm(gone);
  const before = await readFile(bad, "utf8");
  await revoke(server.dataDir, { roles: ["agent"], name: "bad", ns: NS });
  const { kept, until, renewed, problems } = await keeper();
  t.after(() => kept.stop());
  await until(away, 1);
  assert.ok(!renewed.includes(gone));
  await assert.rejects(readFile(gone), /ENOENT/);
  assert.ok(!renewed.includes(bad));
  assert.equal(await readFile(bad, "utf8"), before);
  assert.deepEqual(problems, []);
  await reinstate(server.dataDir, { roles: ["agent"], name: "bad", ns: NS });
});

test("ID-2: every credential is written down until it has ended; a folder that cannot say what was issued is an error", async (t) => {
  const issued = await issueCreds(server.keys, { role: "tool", name: "t9", ns: NS, tool: "crm.read", ttlSeconds: 600 });
  const records = issuedRecords(server.dataDir);
  const { issued_at, expires_at, ...rest } = (await records.get(issuedKey(issued.record))) as Issued;
  assert.deepEqual(rest, { public_key: issued.publicKey, role: "tool", name: "t9", ns: "default", tool: "crm.read" });
  assert.ok(Math.abs(Date.parse(expires_at ?? "") - Date.parse(issued_at) - 600_000) <= 1000);
  const text = JSON.stringify([...(await records.all()).values()]);
  assert.doesNotMatch(text, /\bSU[A-Z2-7]{56}\b|BEGIN|eyJ/, "no secret");
  const late = await issueCreds(server.keys, { role: "agent", name: "late", ns: NS, ttlSeconds: -5 });
  const { kept } = await keeper();
  t.after(() => kept.stop());
  assert.equal(await records.get(issuedKey(late.record)), undefined, "what has ended is forgotten");
  assert.ok([...(await records.all()).values()].some((record) => !hasEnded(record, Date.now())));
  const damaged = join(records.folder, "UDAMAGED.json");
  await writeFile(damaged, "{");
  await assert.rejects(records.all(), /UDAMAGED\.json` is damaged/);
  await rm(damaged);
});

function byTime(a: Issued, b: Issued): number {
  return a.issued_at < b.issued_at ? -1 : 1;
}

async function status(nc: NatsConnection, enough: (type: string, data: string) => boolean): Promise<void> {
  const look = async () => {
    for await (const { type, data } of nc.status()) if (enough(type, String(data))) return;
    throw new Error("the connection was closed");
  };
  await patient(look(), "nothing happened to the connection");
}

async function patient<T>(work: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(otherwise)), PATIENCE_MS)));
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
