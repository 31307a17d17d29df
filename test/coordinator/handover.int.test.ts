/** What coordinators find when they come: inputs stored by a plane of before, leases that are lost, a server that was away. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { globSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { type RunId, partitionOf } from "../../schemas/ids.ts";
import { aggregateToken, escapeToken, inputTransform, SHARES, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { Coordinator } from "../../services/coordinator/coordinator.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { provision, ProvisioningFailed } from "../../services/bus/streams.ts";
import { type Leaseholders, leaseholders, runsInShares } from "./owners.ts";
import { type Office, requestOf, startOffice } from "./office.ts";

let office: Office;
let leases: Leaseholders;
const running: Coordinator[] = [];
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  await coordinator.stop();
  leases = await leaseholders(office);
});
after(() => office?.stop());
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
});

async function owner(): Promise<Coordinator> {
  const coordinator = await office.coordinator();
  running.push(coordinator);
  return coordinator;
}
const note = (id: string) => ({ kind: "note", id, text: id });
const notes = async (run: string) => (await office.events(run)).flatMap(({ body }) => (body.type === "note.recorded" ? [body.cause.id] : []));
const messagesOf = async (kind: "INBOX" | "CONTROL") =>
  (await new StreamReader(await office.server.connect("coordinator", `look-${Math.random().toString(36).slice(2, 8)}`), streamName(kind, office.ns)).info()).messages;

async function reconnected(nc: NatsConnection): Promise<void> {
  for await (const status of nc.status()) if (status.type === "reconnect") return;
}

/** As streams were before there were shares: the partition in front, and signals as they were published. */
const before64 = () => {
  const { src, dest } = inputTransform(office.ns);
  return { subject_transform: { src, dest: dest.replace(`partition(${SHARES},`, "partition(64,") } };
};

test("EXEC-8 OPS-2 inputs, signals and timers that a plane of before stored are taken first, each by the owner of its share", async () => {
  const agent = await office.agent("clerk");
  const hasty = await office.agent("hasty");
  const runs = runsInShares("clerk", "former", 2).filter((run) => partitionOf(run) >= SHARES);
  const one = await owner();
  await Promise.all(runs.map((run) => office.begin(agent, run)));
  const late = runsInShares("hasty", "former", 1).filter((run) => partitionOf(run) >= SHARES);
  await Promise.all(late.map(async (run) => (await office.begin(hasty, run), await office.ask(hasty, run, "w", "t.write", "pending"))));
  const asked = await Promise.all(late.map((run) => office.event(run, "approval.requested")));
  running.splice(0);
  await one.stop();
  const restore = [await office.reconfigure("INBOX", before64()), await office.reconfigure("CONTROL", before64())];
  // one that would leave such inputs where they are does not begin
  await assert.rejects(office.coordinator(), ProvisioningFailed);
  for (const id of ["a", "b"]) for (const run of runs) await agent.send("propose", run, note(id));
  const looking = await office.server.connect("coordinator", "former");
  const stored = new StreamReader(looking, streamName("INBOX", office.ns));
  assert.equal((await stored.lastOf(`signalbox.${office.ns}.part.${partitionOf(runs[0] as string)}.propose.clerk.${runs[0]}`))?.subject.split(".")[3], String(partitionOf(runs[0] as string)));
  const publisher = new Publisher(looking);
  for (const [i, run] of late.entries()) {
    const armed = (asked[i]?.body.seq ?? 0);
    const timer = `approval:${requestOf(asked[i] as never).request}`;
    const target = `signalbox.${office.ns}.due.${partitionOf(run)}.${run}`;
    // it fires at once to where timers of before fired
    await publisher.publish(subjects.timer(office.ns, run as RunId, timer), Buffer.from(JSON.stringify({ timer, armed })), { "Nats-Schedule": "@at 2026-01-01T00:00:00Z", "Nats-Schedule-Target": target });
  }
  const ledger = aggregateToken("ledger", "agent.nobody.2026-01-31");
  await publisher.publish(`signalbox.${office.ns}.in.signal.${runs[0]}.${ledger}.lease`, Buffer.from(JSON.stringify({ name: "lease", id: "x" })), { "content-type": "application/json" });
  for (const undo of restore) await undo();
  for (const run of runs) await agent.send("propose", run, note("c"));
  await owner();
  await owner();
  for (const run of runs) for (const id of ["a", "b", "c"]) await agent.answer(run, (answer) => answer.id === id);
  for (const run of runs) assert.deepEqual(await notes(run), ["a", "b", "c"], "what is older is decided first");
  await Promise.all(late.map((run) => office.event(run, "approval.expired")));
  // the signal is none, and is refused by the owner of the ledger that it is for
  const rejected = new StreamReader(looking, streamName("REJECTED", office.ns));
  const refused = async () => {
    for (;;) {
      const last = await rejected.lastOf(`signalbox.${office.ns}.rejected.${escapeToken(runs[0] as string)}`);
      if (last !== undefined) return JSON.parse(Buffer.from(last.data).toString()) as { kind: string; run: string };
    }
  };
  assert.deepEqual(await refused().then(({ kind, run }) => [kind, run]), ["signal", ledger]);
  while ((await messagesOf("INBOX")) + (await messagesOf("CONTROL")) > 0);
  publisher.close();
});

test("EXEC-8 the leases are lost with their stream: nothing is decided until it is there again, and then everything is, once", async () => {
  await owner();
  await owner();
  await leases.until(() => leases.counts().join() === "4,4", "shares are not shared");
  const agent = await office.agent("clerk");
  const runs = runsInShares("clerk", "lost", 1);
  await Promise.all(runs.map((run) => office.begin(agent, run)));
  const back = reconnected(agent.nc);
  await office.server.kill();
  const [folder] = globSync(join(office.server.dataDir, "jetstream", "**", "streams", streamName("LEASES", office.ns)));
  assert.ok(folder !== undefined);
  await rm(folder, { recursive: true });
  await office.server.restart();
  await back;
  await Promise.all(runs.map((run) => agent.send("propose", run, note("n"))));
  const provisioner = await office.server.connect("provision", "again");
  await provision(provisioner, office.ns);
  await Promise.all(runs.map((run) => agent.answer(run, ({ id }) => id === "n")));
  for (const run of runs) assert.deepEqual(await notes(run), ["n"]);
  leases.stop();
  leases = await leaseholders(office);
  await leases.until(() => leases.counts().join() === "4,4", "shares are not shared again");
});

test("EXEC-8 OPS-4 the server is killed and started again: both coordinators go on with their shares", async () => {
  const owners = [await owner(), await owner()];
  await leases.until(() => leases.counts().join() === "4,4", "shares are not shared");
  const before = leases.owners();
  const agent = await office.agent("clerk");
  const runs = runsInShares("clerk", "back", 1);
  await Promise.all(runs.map((run) => office.begin(agent, run)));
  const back = reconnected(agent.nc);
  await office.server.kill();
  await office.server.restart();
  await back;
  await Promise.all(runs.map((run) => agent.propose(run, note("n"))));
  for (const run of runs) assert.deepEqual(await notes(run), ["n"]);
  // a sign of life that is taken behind the one before proves that nobody took over meanwhile
  assert.deepEqual(leases.owners(), before);
  assert.deepEqual(owners.map(({ owned }) => owned.size), [4, 4]);
});
