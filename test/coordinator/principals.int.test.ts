/** ID-3, ID-5: on whose behalf, by tokens that are verified, leave no copy, and stop counting when they end or their person does. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { canonicalBytes } from "../../schemas/canonical.ts";
import { aggregateToken, patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { encode } from "../../services/bus/codec.ts";
import { Documents } from "../../services/bus/documents.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import { Publisher } from "../../services/bus/publisher.ts";
import { CHANGE_ACTOR } from "../../services/identity/permissions.ts";
import { checkAll } from "../../services/replay/journal.ts";
import { Replayer } from "../../services/replay/replay.ts";
import { TEST_ISS, personDocument, testIssuer } from "../harness/issuer.ts";
import { type TestActor, withPatience } from "../harness/plane.ts";
import { type Office, startOffice, types } from "./office.ts";

const HEADER = "signalbox-principal";
let office: Office;
let agent: TestActor;
let journal: StreamReader;
before(async () => {
  office = await startOffice();
  agent = await office.agent("clerk", { principal: null });
  journal = new StreamReader(await office.server.connect("auditor", "principals-auditor"), streamName("JOURNAL", office.ns));
});
after(() => office?.stop());

const token = (run: string, subject = "kim", claims: Record<string, unknown> = {}) => office.issuer.token({ agent: "clerk", run, subject, claims });
const startBody = { kind: "start", id: "s", agent: { name: "clerk" }, goal: "g" };
const write = (id: string) => ({ kind: "tool", id, tool: "t.write", input: {} });
const say = (run: string, body: { readonly id: string; readonly kind: string }, header?: string) => agent.hear("propose", run, body, header === undefined ? {} : { headers: { [HEADER]: header } });

test("ID-3 the chain of delegation stands in the cause of every event of a run, and is recomputed", async () => {
  const run = "clerk_chain";
  await say(run, startBody, token(run));
  await agent.propose(run, write("w"), () => true);
  for (const { body } of await office.events(run)) assert.deepEqual(body.cause.chain, [`principal:${TEST_ISS}|kim`, "agent:clerk"]);
  const bare = "clerk_chain-bare";
  await say(bare, startBody);
  for (const { body } of await office.events(bare)) assert.deepEqual(body.cause.chain, ["agent:clerk"]);
  const checked = await checkAll(journal, office.ns);
  assert.deepEqual(checked.flatMap(({ replay }) => replay.difference ?? []), []);
});

test("ID-3 a chain of delegation that is not the run's is found by replay, in any event of it", async () => {
  const events = await office.events("clerk_chain");
  for (const [at, event] of events.entries()) {
    const cause = { ...event.body.cause, chain: ["agent:clerk"] };
    const forged = { ...event, body: { ...event.body, cause }, data: encode({ ...event.body, cause }) };
    const replayer = new Replayer(office.ns, "run", "clerk_chain");
    const differences = events.map((one, index) => replayer.push(index === at ? forged : one)).filter((one) => one !== undefined);
    assert.match(differences[0]?.field ?? "none", /^cause\.chain/, event.body.type);
  }
});

test("ID-3 a token that does not hold refuses the start, and stands nowhere", async () => {
  const other = testIssuer({ iss: "https://elsewhere.test" });
  const wrong: readonly (readonly [run: string, header: string, code: string])[] = [
    ["clerk_forged", other.token({ agent: "clerk", run: "clerk_forged" }), "principal.issuer"],
    ["clerk_unsigned", office.issuer.token({ agent: "clerk", run: "clerk_unsigned", sign: "none" }), "principal.algorithm"],
    ["clerk_hmac", office.issuer.token({ agent: "clerk", run: "clerk_hmac", sign: "hmac" }), "principal.algorithm"],
    ["clerk_stolen", office.issuer.token({ agent: "stranger", run: "clerk_stolen" }), "principal.agent"],
    ["clerk_second", token("clerk_first"), "principal.run"],
    ["clerk_late", token("clerk_late", "kim", { iat: 1, exp: 2 }), "principal.expired"],
    ["clerk_junk", "eyJub3RoaW5n", "principal.malformed"],
  ];
  for (const [run, header, code] of wrong) {
    const heard = await say(run, startBody, header);
    assert.deepEqual([run, heard.status, heard.codes], [run, "refused", [code]]);
    assert.deepEqual(types(await office.events(run)), ["run.refused"]);
  }
  for await (const message of journal.read({ subject: patterns.log(office.ns) })) {
    const text = Buffer.from(message.data).toString("latin1");
    for (const [run, header] of wrong) assert.ok(!text.includes(header), `the token of ${run} is in the journal`);
  }
});

test("ID-3 without a principal only reads are possible, and no later token makes up for it", async () => {
  const run = "clerk_nobody";
  await say(run, startBody, "kim");
  const read = await agent.propose(run, { kind: "tool", id: "r", tool: "t.read", input: { text: "x" } }, () => true);
  assert.equal(read.status, "approved");
  assert.deepEqual((await say(run, write("w"))).codes, ["principal.required"]);
  assert.deepEqual((await say(run, write("w2"), token(run))).codes, ["principal.other"]);
  assert.equal((await say(run, write("w3"), "kim")).status, "denied", "a name is no token");
});

test("ID-3 a principal that has expired is renewed by a fresh token of the same, and by no other", async () => {
  const run = "clerk_renewed";
  const now = Math.floor(Date.now() / 1000);
  await say(run, startBody, token(run, "kim", { iat: now, exp: now + 2 }));
  assert.equal((await agent.propose(run, write("w0"), () => true)).status, "approved");
  // nothing but time ends a token
  await new Promise((resolve) => setTimeout(resolve, (now + 2) * 1000 - Date.now() + 50));
  const heard = await agent.propose(run, write("w1"), () => true);
  assert.equal(heard.status, "denied");
  assert.deepEqual(heard.reasons?.map(({ code }) => code), ["principal.expired"]);
  assert.deepEqual((await say(run, write("other"), token(run, "eve"))).codes, ["principal.other"]);
  const fresh = await agent.hear("propose", run, write("fresh"), { headers: { [HEADER]: token(run) } }, () => true);
  assert.equal(fresh.status, "approved");
  assert.equal((await agent.propose(run, write("next"), () => true)).status, "approved", "it stands in the older one's place");
});

test("ID-3 ID-5 a principal whose person is disabled starts nothing, proposes nothing more, and is granted no claim", async () => {
  const gateway = await office.gateway("gw-disabled");
  const run = "clerk_disabled";
  await say(run, startBody, token(run, "mallory"));
  const { action = "" } = await agent.propose(run, write("w"), () => true);
  await disable("mallory");
  assert.deepEqual((await say(run, write("w2"))).codes, ["guard.stopped"]);
  const grant = await gateway.claim(run, action);
  assert.deepEqual([grant.verdict, grant.code], ["refused", "guard.stopped"]);
  assert.deepEqual((await say("clerk_disabled-2", startBody, token("clerk_disabled-2", "mallory"))).codes, ["guard.stopped"]);
  const silenced = await office.approver("mallory", null);
  await silenced.send("decide", run, { id: "d", request: "q1", decision: "refuse", digest: `sha256:${"0".repeat(64)}` });
  assert.deepEqual((await silenced.rejection(({ id }) => id === "d")).reasons.map(({ code }) => code), ["actor.revoked"]);
});

/** As a change of documents carries it out. */
async function disable(name: string): Promise<void> {
  const nc = await office.server.connect("gateway", CHANGE_ACTOR);
  const publisher = new Publisher(nc);
  const documents = new Documents(nc, publisher, office.ns);
  const digest = await documents.put(canonicalBytes(personDocument(name, { disabled: true }) as never), "application/json");
  const live = nc.subscribe(subjects.live(office.ns, "person", name), { max: 1 });
  await nc.flush();
  const subject = subjects.input(office.ns, "apply", CHANGE_ACTOR, aggregateToken("person", name));
  await publisher.publish(subject, Buffer.from(JSON.stringify({ id: `disable-${name}`, document: digest })));
  await withPatience((async () => { for await (const _ of live) return; })(), `\`${name}\` was not disabled`);
}
