/** Law 10, AUD-3: what is personal stands nowhere in plain text, from the moment in which it is decided. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Answer } from "../../schemas/answer.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { sealedIn } from "../../schemas/sealed.ts";
import { types } from "../coordinator/office.ts";
import { startWard, type Ward } from "./ward.ts";

const PLANTED = "planted-7Qx9";
const TO = `${PLANTED}@example.com`;
let ward: Ward;
before(async () => {
  ward = await startWard();
  await ward.gateway();
});
after(() => ward?.stop());

let runs = 0;
const begun = async (agent = ward.clerk) => {
  const run = `${agent.name}_r${++runs}`;
  await ward.begin(agent, run);
  return run;
};
const ask = (run: string, id: string, tool: string, input: JsonValue, fits?: (answer: Answer) => boolean, agent = ward.clerk) =>
  agent.propose(run, { kind: "tool", id, tool, input }, fits);
const clean = async (text = PLANTED) => {
  await ward.drained();
  assert.deepEqual(await ward.holding(text), []);
};

describe("law 10: personal fields", () => {
  it("an input reaches the tool as it was said, and nothing else: no event, no answer, no file", async () => {
    const run = await begun();
    const answer = await ask(run, "p1", "mail.send", { customer: "c1", to: TO, subject: "hello" });
    assert.equal(answer.status, "succeeded", JSON.stringify(answer));
    assert.deepEqual(ward.calls.at(-1), { tool: "mail.send", input: { customer: "c1", to: TO, subject: "hello" } });
    const [, proposed] = await ward.events(run);
    const { input } = proposed?.body.data as { input: { input: { to: JsonValue } } };
    assert.ok(sealedIn(input.input.to), "the journal has the sealed form");
    await clean();
  });

  it("an output is sealed before it is reported, and a contract marks what its tool does not", async () => {
    const run = await begun();
    const answer = await ask(run, "p1", "crm.find", { customer: "c77" });
    assert.equal(answer.status, "succeeded", JSON.stringify(answer));
    const { email, notes } = answer.output as { email: JsonValue; notes: JsonValue };
    assert.ok(sealedIn(email) && sealedIn(notes), JSON.stringify(answer.output));
    await clean("c77@planted.example");
    await ask(run, "p2", "sms.send", { customer: "c1", number: `+49 ${PLANTED}` });
    assert.deepEqual(ward.calls.at(-1)?.input, { customer: "c1", number: `+49 ${PLANTED}` });
    await clean(`+49 ${PLANTED}`);
  });

  it("an agent passes a sealed output on, and the next tool is given what is in it", async () => {
    const run = await begun();
    const found = (await ask(run, "p1", "crm.find", { customer: "c9" })).output as { email: JsonValue };
    const sent = await ask(run, "p2", "mail.send", { customer: "c9", to: found.email });
    assert.equal(sent.status, "succeeded", JSON.stringify(sent));
    assert.deepEqual(ward.calls.at(-1)?.input, { customer: "c9", to: "c9@planted.example" });
    const other = await begun();
    const elsewhere = await ask(other, "p1", "mail.send", { customer: "c9", to: found.email });
    assert.deepEqual([elsewhere.status, elsewhere.reasons?.map(({ code }) => code)], ["rejected", ["personal.forged"]], "in another run it opens nothing");
  });

  it("a refused proposal is recorded sealed, and what is wrong with it is found in the plain form", async () => {
    const run = await begun();
    const bad = await ask(run, "p1", "mail.send", { customer: "c1", to: `${PLANTED} is no address` });
    assert.deepEqual([bad.status, bad.reasons?.map(({ code, path }) => [code, path])], ["rejected", [["input.invalid", "/input/to"]]]);
    const whose = await ask(run, "p2", "mail.send", { to: TO });
    assert.deepEqual([whose.status, whose.reasons?.map(({ code }) => code)], ["rejected", ["personal.no_subject"]]);
    const unknown = await ask(run, "p3", "mail.sent", { to: TO });
    assert.equal(unknown.status, "rejected");
    await ward.clerk.send("propose", run, { kind: "tool", id: "p4", tool: "mail.send", input: { to: TO }, surprise: 1 });
    await ward.clerk.rejection(({ id }) => id === "p4");
    await clean();
  });

  it("an approver's edit is sealed as well", async () => {
    const run = await begun(ward.careful);
    const ann = await ward.approver("ann");
    await ask(run, "p1", "mail.send", { customer: "c1", to: TO }, ({ status }) => status === "pending", ward.careful);
    const { request, digest, view } = (await ward.event(run, "approval.requested")).body.data as Record<string, string>;
    assert.ok(!view?.includes(PLANTED));
    await ann.send("decide", run, { id: "d1", request, decision: "edit", digest, input: { customer: "c1", to: `second-${TO}` } });
    const again = (await ward.event(run, "approval.requested", ({ body }) => body.data["request"] !== request)).body.data;
    await ann.send("decide", run, { id: "d2", request: again["request"], decision: "approve", digest: again["digest"] });
    await ward.event(run, "action.verified");
    assert.deepEqual(ward.calls.at(-1)?.input, { customer: "c1", to: `second-${TO}` });
    await clean();
  });

  it("what a tool repeats of it in its failure or in another field is taken out", async () => {
    const run = await begun();
    ward.next("mail.send", () => ({ ok: false, error: { code: "bounced", message: `no mailbox ${TO} here`, effect: "done" } }));
    const failed = await ask(run, "p1", "mail.send", { customer: "c1", to: TO });
    assert.deepEqual([failed.status, (failed.error as { message: string }).message], ["failed", "no mailbox [personal] here"]);
    ward.next("mail.send", () => ({ ok: true, output: { id: "m2", said: `sent to ${TO}` } }));
    const said = await ask(run, "p2", "mail.send", { customer: "c1", to: TO });
    assert.deepEqual(said.output, { id: "m2", said: "sent to [personal]" });
    ward.next("mail.send", () => ({ ok: false, error: { code: "lost", message: `who knows about ${TO}`, effect: "unknown" } }));
    const doubt = await ask(run, "p3", "mail.send", { customer: "c1", to: TO }, ({ status }) => status === "in_doubt");
    assert.equal(doubt.status, "in_doubt");
    await clean();
  });

  it("what a person says of an action in doubt is sealed as the tool's own answer would be", async () => {
    const run = await begun();
    const operator = await ward.operator("olga");
    ward.next("crm.save", () => ({ ok: false, error: { code: "lost", message: "nobody knows", effect: "unknown" } }));
    const { action } = await ask(run, "p1", "crm.save", { customer: "c1", email: TO }, ({ status }) => status === "in_doubt");
    await operator.send("control", run, { verb: "resolve", id: "x1", action, outcome: "succeeded", output: { email: TO } });
    const { output } = await ward.clerk.answer(run, ({ id, status }) => id === "p1" && status === "succeeded");
    assert.ok(sealedIn((output as { email: JsonValue }).email), JSON.stringify(output));
    await clean();
  });

  it("a large output is stored sealed", async () => {
    const run = await begun();
    ward.next("crm.find", () => ({ ok: true, output: { customer: "c1", notes: Array.from({ length: 20_000 }, (_, i) => `${PLANTED} said ${i} of many things`) } }));
    const answer = await ask(run, "p1", "crm.find", { customer: "c1" });
    assert.equal(answer.status, "succeeded", JSON.stringify(answer.reasons ?? answer.error));
    assert.ok((answer.output as { $doc?: string }).$doc);
    await clean();
  });

  it("the same proposal again is the same, and with another value it is refused", async () => {
    const run = await begun();
    const first = await ask(run, "p1", "mail.send", { customer: "c1", to: TO });
    const again = await ask(run, "p1", "mail.send", { customer: "c1", to: TO });
    assert.deepEqual([again.action, again.status], [first.action, "succeeded"]);
    await ward.clerk.send("propose", run, { kind: "tool", id: "p1", tool: "mail.send", input: { customer: "c1", to: `x${TO}` } });
    const { reasons } = await ward.clerk.rejection(({ id, run: of }) => id === "p1" && of === run);
    assert.deepEqual(reasons.map(({ code }) => code), ["id.reused"]);
    assert.equal(types(await ward.events(run)).filter((type) => type === "action.proposed").length, 1);
    await clean();
  });

  it("a tool without personal fields is called as ever", async () => {
    const run = await begun();
    const answer = await ask(run, "p1", "plain.write", { text: "nothing of anybody" });
    assert.equal(answer.status, "succeeded");
    const proposed = (await ward.event(run, "action.proposed")).body.data as { input: { input: JsonValue } };
    assert.deepEqual(proposed.input.input, { text: "nothing of anybody" });
  });
});
