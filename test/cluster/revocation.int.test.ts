/** Revocation in a cluster: whichever server is told, all of them close what was opened, also one that was away. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectBus, type NatsConnection } from "../../services/bus/connection.ts";
import { issueCreds, type IssuedCreds } from "../../services/identity/creds.ts";
import { revoke } from "../../services/identity/revoke.ts";
import { RevocationTeller } from "../../services/identity/teller.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";
import { withPatience } from "../harness/plane.ts";

let cluster: TestCluster;
before(async () => {
  cluster = await startTestCluster();
});
after(() => cluster.stop());

const login = (issued: IssuedCreds, server: number, reconnect = true): Promise<NatsConnection> =>
  connectBus({ url: cluster.url.split(",")[server] as string, name: "test", creds: () => issued.creds, inboxPrefix: issued.inboxPrefix, reconnect });

test("ID-2: revoked through one server, thrown out by all", async () => {
  const issued = await issueCreds(cluster.keys, { role: "agent", name: "alice", ns: cluster.ns });
  const open = await Promise.all([0, 1, 2].map((server) => login(issued, server)));
  const result = await revoke(cluster.dataDir, { name: "alice", ns: cluster.ns }, { url: cluster.url.split(",")[0] });
  assert.deepEqual([result.pushed, result.problem], [true, undefined]);
  for (const nc of open) assert.ok((await withPatience(nc.closed(), "a server lets it in")) instanceof Error);
});

test("ID-2: a server that was away is told by the plane when it is back", async (t) => {
  const issued = await issueCreds(cluster.keys, { role: "agent", name: "bob", ns: cluster.ns });
  await cluster.kill(2);
  const result = await revoke(cluster.dataDir, { name: "bob", ns: cluster.ns }, { url: cluster.url.split(",")[0] });
  assert.equal(result.pushed, true);
  await cluster.restart(2);
  const late = await login(issued, 2);
  await late.flush();
  const problems: string[] = [];
  const teller = new RevocationTeller({ dataDir: cluster.dataDir, url: cluster.url, onProblem: (message) => void problems.push(message), everyMs: 200 });
  t.after(() => teller.stop());
  await teller.start();
  assert.ok((await withPatience(late.closed(), () => `it was never told: ${problems.join()}`)) instanceof Error);
});
