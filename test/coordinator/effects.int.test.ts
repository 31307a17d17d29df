/** Laws 3 and 4: effects follow the commit, the acknowledgement follows the effects, and memory gives way to the journal. */
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { NatsConnection } from "../../services/bus/connection.ts";
import type { Coordinator, CoordinatorOptions } from "../../services/coordinator/coordinator.ts";
import { faultyLine, isInputAck } from "./line.ts";
import { type Office, dispatchesOf, startOffice } from "./office.ts";
import { arrival, rival } from "./rival.ts";

let office: Office;
before(async () => {
  office = await startOffice({ coordinator: false });
  const coordinator = await office.coordinator();
  await office.applyDefaults();
  await coordinator.stop();
});
after(() => office?.stop());

let owner: Coordinator | undefined;
beforeEach(async () => {
  await owner?.stop();
  owner = undefined;
});
const takeOver = async (more: Partial<CoordinatorOptions> = {}) => (owner = await office.coordinator(more));
const line = (name: string): Promise<NatsConnection> => office.server.connect("coordinator", name);
const note = (id: string) => ({ kind: "note", id, text: `thought ${id}` });
const notes = async (run: string) => (await office.events(run)).flatMap(({ body }) => (body.type === "note.recorded" ? [body.cause.id] : []));

async function reconnected(nc: NatsConnection): Promise<void> {
  for await (const status of nc.status()) if (status.type === "reconnect") return;
}

test("law 3 law 4: what another one stored overtakes what is in memory; nobody is told of a commit that was overtaken", async () => {
  await takeOver();
  const agent = await office.agent("clerk");
  const run = "clerk_overtaken";
  await office.begin(agent, run);
  assert.equal((await agent.propose(run, note("mine"))).status, "recorded");
  // the coordinator holds the run as it left it, and does not hear of this
  const other = await rival(office, await line("other"));
  const turn = other.turn(await other.lane(run, arrival(office, "propose", "clerk", run, note("theirs"), Date.now())));
  assert.equal((await other.committer.append([other.part(turn)]))[0]?.kind, "stored");
  assert.equal((await agent.propose(run, note("behind"))).status, "recorded");
  assert.deepEqual(await notes(run), ["mine", "theirs", "behind"]);
});

test("law 3: an input is acknowledged when its effects are stored, and not before", async () => {
  const agent = await office.agent("clerk");
  const run = "clerk_in-order";
  await takeOver();
  await office.begin(agent, run);
  await owner?.stop();
  const order: string[] = [];
  const acknowledged = Promise.withResolvers<void>();
  const triedTwice = Promise.withResolvers<void>();
  const carries = (subject: string, data: Uint8Array | string | undefined) => {
    if (subject.includes(".out.") && Buffer.from(data ?? "").includes('"id":"n"')) {
      order.push("told");
      if (order.length === 2) triedTwice.resolve();
    }
    if (order.length > 0 && isInputAck(subject)) {
      order.push("acknowledged");
      acknowledged.resolve();
    }
    return true;
  };
  await takeOver({ nc: faultyLine(await line("in-order"), { carries }) });
  const mend = await office.cutOff("OUT");
  await agent.send("propose", run, note("n"));
  await Promise.race([triedTwice.promise, acknowledged.promise]);
  await mend();
  await acknowledged.promise;
  const [last, ...rest] = order.toReversed();
  assert.equal(last, "acknowledged");
  assert.ok(rest.length >= 2 && rest.every((what) => what === "told"), order.join());
  assert.equal((await agent.answer(run, ({ id }) => id === "n")).status, "recorded");
});

test("law 3: after a reconnect everything owed is sent again, also what this owner sent before", async () => {
  const nc = await line("reconnecting");
  await takeOver({ nc });
  const agent = await office.agent("clerk");
  const run = "clerk_reconnect";
  await office.begin(agent, run);
  await office.ask(agent, run, "w", "t.write", "approved");
  await agent.propose(run, note("behind"));
  // what is written asynchronously may be gone when the server comes back
  const restore = await office.reconfigure("DISPATCH", { max_bytes: 1 });
  await restore();
  const [back, others] = [reconnected(nc), reconnected(agent.nc)];
  await office.server.kill();
  await office.server.restart();
  await Promise.all([back, others]);
  const queue = await dispatchesOf(office, "t.write");
  assert.equal((await queue.next((found) => found.run === run)).attempt, 1);
});
