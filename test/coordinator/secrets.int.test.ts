/** Secrets in what is sent: refused at the door, and nothing of them stays but a hash and a size. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sha256Digest } from "../../schemas/canonical.ts";
import { type InputKind, streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../../services/bus/journal.ts";
import type { TestActor } from "../harness/plane.ts";
import { type Office, startOffice } from "./office.ts";

/** Put together here, so that nothing that looks real stands in a file. */
const SECRET = ["ghp", "x9Kd02LmQpW7eRtYuIoP3aSdFgHjKlZxCvB4"].join("_");
const HASH = `sha256:${"0".repeat(64)}`;

let office: Office;
let clerk: TestActor;
before(async () => {
  office = await startOffice();
  clerk = await office.agent("clerk");
  await office.begin(clerk, "clerk_1");
});
after(() => office?.stop());

const BODIES: [what: string, kind: InputKind, from: () => Promise<TestActor>, body: Record<string, unknown>, path: string][] = [
  ["a goal", "propose", async () => clerk, { kind: "start", id: "s2", agent: { name: "clerk" }, goal: `use ${SECRET}` }, "/goal"],
  ["the context of a start", "propose", async () => clerk, { kind: "start", id: "s3", agent: { name: "clerk" }, goal: "x", context: { keys: [SECRET] } }, "/context/keys/0"],
  ["an input", "propose", async () => clerk, { kind: "tool", id: "t1", tool: "t.write", input: { header: { auth: SECRET } } }, "/input/header/auth"],
  ["a member whose name says so", "propose", async () => clerk, { kind: "tool", id: "t2", tool: "t.write", input: { password: "c0rrectHorse" } }, "/input/password"],
  ["a name", "propose", async () => clerk, { kind: "tool", id: "t3", tool: "t.write", input: { [SECRET]: 1 } }, "/input"],
  ["a reason why", "propose", async () => clerk, { kind: "tool", id: "t4", tool: "t.write", input: {}, why: `because ${SECRET}` }, "/why"],
  ["a note", "propose", async () => clerk, { kind: "note", id: "n1", text: `remember ${SECRET}` }, "/text"],
  ["an end", "propose", async () => clerk, { kind: "finish", id: "f1", output: [SECRET] }, "/output/0"],
  ["an error", "propose", async () => clerk, { kind: "fail", id: "f2", error: { said: SECRET } }, "/error/said"],
  ["an id", "propose", async () => clerk, { kind: "note", id: SECRET, text: "x" }, "/id"],
  ["a member that nobody expects", "propose", async () => clerk, { kind: "note", id: "n2", text: "x", [`extra_${SECRET}`]: 1 }, ""],
  ["the reason of a decision", "decide", () => office.approver("ann"), { id: "d1", request: "q9", decision: "approve", digest: HASH, reason: SECRET }, "/reason"],
  ["an edited input", "decide", () => office.approver("ann"), { id: "d2", request: "q9", decision: "edit", digest: HASH, input: { to: SECRET } }, "/input/to"],
  ["the reason of a control", "control", () => office.operator(), { verb: "pause", id: "c1", reason: SECRET }, "/reason"],
  ["an outcome that a person reports", "control", () => office.operator(), { verb: "resolve", id: "c2", action: "a9", outcome: "succeeded", output: { token: SECRET } }, "/output/token"],
];
for (const [what, kind, from, body, path] of BODIES) {
  test(`in ${what}: refused with its place`, async () => {
    const actor = await from();
    const before = (await office.events("clerk_1")).length;
    const sha256 = sha256Digest(JSON.stringify(body));
    await actor.send(kind, "clerk_1", body);
    const rejection = await actor.rejection((found) => found.sha256 === sha256);
    assert.deepEqual(rejection.reasons.map(({ code, path: at }) => [code, at]), [["secret.found", path]]);
    assert.equal(rejection.bytes, Buffer.byteLength(JSON.stringify(body)));
    assert.equal(rejection.id, what === "an id" ? undefined : body["id"]);
    assert.equal((await office.events("clerk_1")).length, before);
  });
}

test("in a body that is refused for its form, as a name that stands twice: neither reason nor path says it", async () => {
  const body = `{"kind":"note","id":"k","text":"x","${SECRET}":1,"${SECRET}":2}`;
  await clerk.send("propose", "clerk_1", body);
  const rejection = await clerk.rejection((found) => found.sha256 === sha256Digest(body));
  assert.match(rejection.reasons[0]?.code ?? "", /duplicate_key/);
  assert.ok(!JSON.stringify(rejection).includes(SECRET));
});

test("what was refused can be sent again without the secret, under the same id", async () => {
  const answer = await clerk.propose("clerk_1", { kind: "note", id: "n1", text: "remember where the key is kept" });
  assert.equal(answer.status, "recorded");
});

test("no stream holds anything of them", async () => {
  const nc = await office.server.connect("coordinator", "looker");
  for (const kind of ["JOURNAL", "OUT", "REJECTED"] as const) {
    let seen = 0;
    for await (const { seq, data } of new StreamReader(nc, streamName(kind, office.ns)).read({ subject: ">", leader: true })) {
      seen++;
      const text = Buffer.from(data).toString("latin1");
      assert.ok(!text.includes("x9Kd02LmQp") && !text.includes("c0rrectHorse"), `${kind} ${seq}`);
    }
    assert.ok(seen > 0, kind);
  }
});
