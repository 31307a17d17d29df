/** A disk that fills up under load: whoever is not acknowledged knows it, whatever was acknowledged is there, and it goes on. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { namespace, runId } from "../../schemas/ids.ts";
import { STREAMS, streamName, subjects } from "../../schemas/subjects.ts";
import type { NatsConnection } from "../../services/bus/connection.ts";
import { Publisher, PublishError } from "../../services/bus/publisher.ts";
import { streamConfig } from "../../services/bus/streams.ts";
import { type Disk, loseableDisk, noDisk } from "../durability/disk.ts";
import { type TestActor, withPatience } from "../harness/plane.ts";
import { type TestServer, startTestServer } from "../harness/server.ts";
import { type LogEntry, type Office, holds, openOffice, write } from "./office.ts";

const MIB = 1024 * 1024;
/** Sparse: the streams reserve room that they never use. */
const LARGE_DISK_BYTES = 16 * 1024 * MIB;
const SMALL_DISK_BYTES = 128 * MIB;
const RUNS = [1, 2, 3, 4].map((n) => `clerk_full-${n}`);
const REFUSALS = 60;
const TEXT = "x".repeat(15_000);

describe("a full disk", { timeout: 120_000 }, () => {
  const disks: Disk[] = [];
  let office: Office | undefined;
  const end = async () => {
    const open = office;
    office = undefined;
    await open?.stop();
    for (const disk of disks.splice(0)) await disk.remove();
  };
  afterEach(end);

  let sent = 0;
  const diskOf = async (bytes: number) => {
    const disk = await loseableDisk(bytes);
    disks.push(disk);
    return disk;
  };
  /** Sends notes into all runs until `enough`; what was acknowledged, and what whoever was not was told. */
  const load = async (agent: TestActor, enough: (told: readonly PublishError[]) => boolean): Promise<{ acknowledged: Map<string, string>; told: PublishError[] }> => {
    const acknowledged = new Map<string, string>();
    const told: PublishError[] = [];
    await Promise.all(
      RUNS.map(async (run) => {
        while (!enough(told)) {
          const id = `${run.slice(-1)}-${(sent += 1)}`;
          try {
            await agent.send("propose", run, { kind: "note", id, text: TEXT });
            acknowledged.set(id, run);
          } catch (error) {
            if (!(error instanceof PublishError)) throw error;
            told.push(error);
            // whoever is refused tries again a little later
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }
      }),
    );
    return { acknowledged, told };
  };
  const recorded = async (run: string) => (await office!.plane.events(run)).flatMap(({ body }) => (body.type === "note.recorded" ? [body.cause.id] : []));
  /** Everything acknowledged is in the journal once, and the plane works. */
  const assertGoesOn = async (agent: TestActor, acknowledged: ReadonlyMap<string, string>) => {
    const wanted = RUNS.map((run) => [...acknowledged].flatMap(([id, of]) => (of === run ? [id] : [])));
    for (const [index, run] of RUNS.entries()) {
      await holds(async () => {
        const found = new Set(await recorded(run));
        return wanted[index]?.every((id) => found.has(id)) === true;
      }, `what was acknowledged is not in \`${run}\``);
      const found = await recorded(run);
      assert.equal(new Set(found).size, found.length);
      const answer = await agent.propose(run, { kind: "tool", id: "after", tool: "c.write", input: write("after") });
      assert.equal(answer.status, "succeeded");
      assert.equal(office!.ledger.effects(run, "after"), 1);
      await office!.assertSound(run);
    }
  };
  const begin = async (): Promise<TestActor> => {
    const agent = await office!.plane.agent("clerk");
    for (const run of RUNS) await agent.propose(run, { kind: "start", id: "start", agent: { name: "clerk" }, goal: "to be kept" });
    return agent;
  };

  test("OPS-2 CORE-5: the server's own limit is reached: inputs are refused with the reason, nobody spins, and it goes on without a restart when there is room", async (t) => {
    const why = await noDisk();
    if (why !== undefined) return t.skip(`there is no small disk here: ${why}`);
    const disk = await diskOf(SMALL_DISK_BYTES);
    const server = await startTestServer({ storeDir: `${disk.path}/jetstream`, provision: false });
    const ballast = await provisionSmall(server);
    office = await openOffice({ server });
    const log: LogEntry[] = [];
    await office.coordinator({ onLog: (entry) => log.push(entry) });
    await office.gateway("g-full");
    const agent = await begin();

    const { acknowledged, told } = await withPatience(load(agent, (all) => all.length >= REFUSALS), "the disk did not fill up", 60_000);
    t.diagnostic(`${acknowledged.size} notes were acknowledged, ${told.length} refused: ${[...new Set(told.map(({ message }) => message))].join("; ")}`);
    // nobody is left in doubt, and everybody is told why
    for (const { inDoubt, message } of told) {
      assert.equal(inDoubt, false, message);
      assert.match(message, /insufficient resources|maximum bytes/);
    }
    const [cpu, began] = [process.cpuUsage(), performance.now()];
    const again = await load(agent, (all) => all.length >= REFUSALS);
    for (const [id, run] of again.acknowledged) acknowledged.set(id, run);
    const { user, system } = process.cpuUsage(cpu);
    const share = (user + system) / 1000 / (performance.now() - began);
    t.diagnostic(`full, with agents that ask again and again, the process takes ${Math.round(share * 100)}% of a core; alarms: ${log.filter(({ alarm }) => alarm === "storage").length}`);
    assert.ok(share < 0.6, "it spins");

    await ballast.drop();
    await assertGoesOn(agent, acknowledged);
  });

  test("OPS-2 CORE-5: the journal takes nothing more: inputs wait, nobody is refused, the operator is told, and everything is decided when there is room", async () => {
    office = await openOffice();
    const { plane } = office;
    const log: LogEntry[] = [];
    await office.coordinator({ onLog: (entry) => log.push(entry) });
    await office.gateway("g-waits");
    const agent = await begin();
    const limit = async (maxBytes: number) => {
      const nc = await plane.server.connect("provision", `limit-${maxBytes}`);
      await ask(nc, `STREAM.UPDATE.${streamName("JOURNAL", plane.ns)}`, { ...streamConfig("JOURNAL", plane.ns), max_bytes: maxBytes });
    };
    await limit(MIB);
    const alarm = () => log.find(({ alarm: kind }) => kind === "storage");
    const { acknowledged, told } = await load(agent, () => alarm() !== undefined);
    assert.deepEqual([told, agent.rejections], [[], []]);
    assert.ok(acknowledged.size > MIB / TEXT.length / 2);
    assert.match(String(alarm()?.["why"]), /maximum bytes/);
    await limit(-1);
    await assertGoesOn(agent, acknowledged);
  });

  test("OPS-2 CORE-5: other programs fill the disk: the server stops answering writes; with room and a restart of the server everything acknowledged is there, and it goes on", async (t) => {
    const why = await noDisk();
    if (why !== undefined) return t.skip(`there is no small disk here: ${why}`);
    const disk = await diskOf(LARGE_DISK_BYTES);
    const server = await startTestServer({ storeDir: `${disk.path}/jetstream`, sync: "always" });
    office = await openOffice({ server });
    const log: LogEntry[] = [];
    await office.coordinator({ onLog: (entry) => log.push(entry) });
    await office.gateway("g-crowded");
    const agent = await begin();
    await disk.fill(8 * MIB);

    // told by the sender's own patience: this server answers nothing any more
    const { acknowledged, told } = await withPatience(load(agent, (all) => all.length > 0), "the disk did not fill up", 60_000);
    t.diagnostic(`${acknowledged.size} notes were acknowledged, ${told.length} not: ${[...new Set(told.map(({ kind, message }) => `${kind}: ${message}`))].join("; ")}`);
    assert.ok(told.every(({ kind }) => kind === "timeout"));
    t.diagnostic(`alarms: ${log.filter(({ alarm }) => alarm === "storage").map(({ msg, why }) => `${msg} ${String(why)}`).join("; ")}`);

    await disk.fill(1024 * MIB);
    await server.restart();
    await assertGoesOn(agent, acknowledged);
  });
});

interface Ballast {
  drop(): Promise<void>;
}

async function ask(nc: NatsConnection, verb: string, body: object): Promise<void> {
  const answer = await nc.request(`$JS.API.${verb}`, JSON.stringify(body), { timeout: 5_000 });
  assert.equal(answer.json<{ error?: { description: string } }>().error, undefined, verb);
}

/** Streams that reserve no more than a small disk has, and one that is filled with what nobody needs. */
async function provisionSmall(server: TestServer): Promise<Ballast> {
  const ns = namespace("default");
  const nc: NatsConnection = await server.connect("provision", "small");
  for (const kind of STREAMS) {
    const inputs = kind === "INBOX" || kind === "CONTROL" ? { max_bytes: 16 * MIB } : {};
    await ask(nc, `STREAM.CREATE.${streamName(kind, ns)}`, { ...streamConfig(kind, ns), ...inputs });
  }
  const out = new Publisher(await server.connect("coordinator", "ballast"));
  for (let n = 0; n < 40; n++) await out.publish(subjects.out(ns, "nobody" as never, runId("nobody_ballast")), Buffer.alloc(MIB, 1));
  // what agents may still look up is cut short: the plane can say it again
  return { drop: () => ask(nc, `STREAM.UPDATE.${streamName("OUT", ns)}`, { ...streamConfig("OUT", ns), max_bytes: 4 * MIB }) };
}
