/** Bad input, line by line: each is refused with a reason that its sender can see, and leaves a trace that is no copy (CORE-2, law 6). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encode } from "@msgpack/msgpack";
import type { Rejection } from "../../schemas/answer.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { MAX_BODY_BYTES, MAX_BODY_DEPTH } from "../../schemas/limits.ts";
import { type InputKind, subjects } from "../../schemas/subjects.ts";
import type { TestActor } from "../harness/plane.ts";
import { type Office, requestOf, startOffice } from "./office.ts";

let office: Office;
let clerk: TestActor;
const run = "clerk_bad";
before(async () => {
  office = await startOffice();
  clerk = await office.agent("clerk");
  await office.begin(clerk, run);
});
after(() => office?.stop());

const bytesOf = (body: unknown) => (typeof body === "string" ? Buffer.from(body) : body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body)));

/** Sends what must be refused and returns its record; nothing of it may be in the journal. */
async function refused(from: TestActor, kind: InputKind, on: string, body: unknown, more: Record<string, string> = {}): Promise<Rejection> {
  const before = (await office.events(on)).length;
  const sha256 = sha256Digest(bytesOf(body));
  const known = from.rejections.length;
  await from.send(kind, on, body, { headers: more });
  const rejection = await from.rejection((found) => found.sha256 === sha256 && from.rejections.indexOf(found) >= known);
  assert.equal(rejection.actor, from.name);
  assert.equal(rejection.kind, kind);
  assert.equal(rejection.run, on);
  assert.equal(rejection.bytes, bytesOf(body).length);
  assert.ok(rejection.reasons.length > 0);
  assert.equal((await office.events(on)).length, before);
  return rejection;
}
const code = (rejection: Rejection) => rejection.reasons[0]?.code;
const MSGPACK = { "content-type": "application/msgpack" };
const note = (id: string, text = "x") => ({ kind: "note", id, text });
const tool = (id: string, name: string, input: unknown) => ({ kind: "tool", id, tool: name, input });

const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
const UNREADABLE: [what: string, body: string | Uint8Array, code: string, headers?: Record<string, string>][] = [
  ["nothing", "", "json"],
  ["not JSON", "{ kind: start", "json"],
  ["JSON that says it is MessagePack", "{}", "trailing", MSGPACK],
  ["MessagePack that is cut off", encode(note("m")).subarray(0, 9), "msgpack", MSGPACK],
  ["MessagePack without its content type", encode(note("m")), "utf8"],
  ["a content type that nobody knows", "<a/>", "content_type", { "content-type": "text/xml" }],
  ["nesting beyond the limit", `{"kind":"fail","id":"f","error":${deep(MAX_BODY_DEPTH)}}`, "depth"],
  ["nesting that would end a process", deep(200_000), "depth"],
  ["a key that is a prototype", `{"kind":"note","id":"p","text":"x","__proto__":{"admin":true}}`, "key"],
  ["a key that is a constructor, far inside", `{"kind":"fail","id":"p","error":[{"constructor":{"prototype":{}}}]}`, "key"],
  ["a key that stands twice", `{"kind":"note","id":"k","text":"x","id":"other"}`, "duplicate_key"],
  ["a number that is not exact", `{"kind":"fail","id":"n","error":9007199254740993}`, "number"],
  ["half of a character", `{"kind":"note","id":"s","text":"\\ud800"}`, "surrogate"],
];
for (const [what, body, expected, more] of UNREADABLE) {
  test(`CORE-2 refused and recorded: ${what}`, async () => {
    const rejection = await refused(clerk, "propose", run, body, more);
    assert.ok(code(rejection)?.includes(expected), JSON.stringify(rejection.reasons));
    assert.equal(rejection.id, undefined);
  });
}

const MALFORMED: [what: string, body: unknown, expected: string][] = [
  ["a body that is no object", [1, 2], "schema.invalid"],
  ["a kind that nobody knows", { kind: "beg", id: "b" }, "schema.invalid"],
  ["a kind that is planned", { kind: "plan", id: "b", steps: [] }, "kind.not_built"],
  ["an id that is none", { kind: "note", id: "a b", text: "x" }, "schema.invalid"],
  ["a key that is not expected", { ...note("k"), confidence: 1 }, "schema.invalid"],
  ["a second start", { kind: "start", id: "again", agent: { name: "clerk" }, goal: "more" }, "run.exists"],
];
for (const [what, body, expected] of MALFORMED) {
  test(`CORE-2 refused and recorded: ${what}`, async () => {
    assert.equal(code(await refused(clerk, "propose", run, body)), expected);
  });
}

test("CORE-2 a run that nobody knows: refused, whatever is said to it", async () => {
  assert.equal(code(await refused(clerk, "propose", "clerk_nobody", note("n"))), "run.unknown");
  const [operator, approver] = [await office.operator(), await office.approver("ann")];
  assert.equal(code(await refused(operator, "control", "clerk_nobody", { verb: "cancel", id: "c" })), "run.unknown");
  const decision = { id: "d", request: "q4", decision: "approve", digest: `sha256:${"0".repeat(64)}` };
  assert.equal(code(await refused(approver, "decide", "clerk_nobody", decision)), "run.unknown");
});

test("CORE-2 a run that has ended takes nothing more", async () => {
  const over = "clerk_over";
  await office.begin(clerk, over);
  await clerk.propose(over, { kind: "finish", id: "f" });
  assert.equal(code(await refused(clerk, "propose", over, note("n"))), "run.ended");
  assert.equal(code(await refused(clerk, "propose", over, tool("t", "t.read", { text: "x" }))), "run.ended");
  assert.equal(code(await refused(await office.operator(), "control", over, { verb: "pause", id: "p" })), "control.not_applicable");
});

test("CORE-2 nobody starts a run under another's name, nor proposes in one that another holds", async () => {
  const stranger = await office.agent("stranger");
  const start = { kind: "start", id: "s", agent: { name: "stranger" }, goal: "squat" };
  assert.equal(code(await refused(stranger, "propose", "clerk_squat", start)), "run.prefix");
  assert.equal(code(await refused(stranger, "propose", "stranger_as-clerk", { ...start, agent: { name: "clerk" } })), "run.not_holder");
  assert.equal(code(await refused(stranger, "propose", run, note("n"))), "run.not_holder");
  assert.equal(code(await refused(await office.agent("nobody"), "propose", "nobody_1", { ...start, agent: { name: "nobody" } })), "contract.missing");
  // under somebody else's subject the broker takes nothing at all
  await stranger.nc.flush();
  const denied = (async () => {
    for await (const status of stranger.nc.status()) if (status.type === "error" && status.permissionContext?.operation === "publish") return status.permissionContext.subject;
    return undefined;
  })();
  const subject = subjects.input(office.ns, "propose", clerk.name, run);
  stranger.nc.publish(subject, JSON.stringify(note("stolen")));
  assert.equal(await denied, subject);
});

test("CORE-2 a tool that is unknown or not allowed, and an input against its schema: rejected in the run, all faults with their paths", async () => {
  const unknown = await clerk.propose(run, tool("unknown", "t.nothing", {}));
  assert.equal(unknown.status, "rejected");
  assert.deepEqual(unknown.reasons?.map((reason) => reason.code).sort(), ["tool.not_allowed", "tool.unknown"]);
  const asker = await office.agent("asker");
  await office.begin(asker, "asker_bad");
  const forbidden = await asker.propose("asker_bad", tool("x", "t.same", {}));
  assert.deepEqual(forbidden.reasons?.map((reason) => reason.code), ["tool.not_allowed"]);
  const wrong = await clerk.propose(run, tool("wrong", "t.read", { text: 7, more: 1, still: 2 }));
  assert.deepEqual(wrong.reasons?.map(({ path }) => path).sort(), ["/input/more", "/input/still", "/input/text"]);
  const none = await clerk.propose(run, tool("none", "t.read", {}));
  assert.deepEqual(none.reasons?.map(({ path }) => path), ["/input/text"]);
  // a rejected proposal is remembered like any other
  assert.equal(code(await refused(clerk, "propose", run, tool("none", "t.read", { text: "x" }))), "id.reused");
});

test("CORE-2 a body of exactly the limit is taken; one byte more is refused; more than the server takes is not stored", async () => {
  const sized = (id: string, bytes: number) => {
    const shell = { kind: "fail", id, error: "" };
    return JSON.stringify({ ...shell, error: "x".repeat(bytes - JSON.stringify(shell).length) });
  };
  await office.begin(clerk, "clerk_full");
  const limit = sized("limit", MAX_BODY_BYTES);
  assert.equal(Buffer.byteLength(limit), MAX_BODY_BYTES);
  assert.equal(code(await refused(clerk, "propose", "clerk_full", sized("more", MAX_BODY_BYTES + 1))), "too_large");
  await clerk.send("propose", "clerk_full", limit);
  assert.equal((await clerk.answer("clerk_full", ({ id }) => id === "limit")).status, "failed");
  await assert.rejects(clerk.send("propose", "clerk_full", sized("far", 9 * 1024 * 1024)), /more than the server takes/);
});

test("CORE-2 another's ids swallow nothing: neither in `Nats-Msg-Id` nor in another run", async () => {
  const stranger = await office.agent("stranger");
  await office.begin(stranger, "stranger_1");
  await stranger.propose("stranger_1", note("same"));
  const id = { headers: { "Nats-Msg-Id": "clerk-important" } };
  await stranger.send("propose", "stranger_1", note("first"), id);
  // the window in which the server compares has to pass, or the sender hears `duplicate`: it is never a silent loss
  await clerk.propose(run, note("same"));
  await office.begin(clerk, "clerk_other");
  await clerk.propose("clerk_other", note("same", "in another run"));
  await clerk.send("propose", run, note("important"));
  assert.equal((await clerk.answer(run, ({ id: answered }) => answered === "important")).status, "recorded");
});

test("CORE-2 names that are no legal tokens are refused by name", async () => {
  for (const name of ["clerk", "clerk_", "clerk_a%20b", "_x", `clerk_${"x".repeat(90)}`, "tool:x"]) {
    const before = clerk.rejections.length;
    clerk.nc.publish(subjects.input(office.ns, "propose", clerk.name, name), JSON.stringify(note("n")));
    const rejection = await clerk.rejection((found) => found.run === name && clerk.rejections.indexOf(found) >= before);
    assert.equal(code(rejection), "name.aggregate");
  }
  const start = { kind: "start", id: "s", agent: { name: "No Agent" }, goal: "g" };
  assert.equal(code(await refused(clerk, "propose", "clerk_named", start)), "schema.invalid");
});

test("APP-1 a decision with a wrong digest, of an unknown request, by the proposer, twice, after the end: refused each", async () => {
  const asker = await office.agent("asker");
  const [ann, bob, self] = [await office.approver("ann"), await office.approver("bob"), await office.approver("asker")];
  const on = "asker_decided";
  await office.begin(asker, on);
  await office.ask(asker, on, "w", "t.write", "pending");
  const { request, digest } = requestOf(await office.event(on, "approval.requested"));
  const approve = { id: "yes", request, decision: "approve", digest };
  assert.equal(code(await refused(ann, "decide", on, { ...approve, digest: `sha256:${"0".repeat(64)}` })), "approval.wrong_digest");
  assert.equal(code(await refused(ann, "decide", on, { ...approve, request: "q99" })), "approval.unknown");
  assert.equal(code(await refused(self, "decide", on, approve)), "approval.self");
  assert.equal(code(await refused(ann, "decide", on, { ...approve, decision: "perhaps" })), "schema.invalid");
  await ann.send("decide", on, approve);
  await office.event(on, "action.dispatched");
  assert.equal(code(await refused(ann, "decide", on, { ...approve, id: "yes-again" })), "approval.closed");
  assert.equal(code(await refused(bob, "decide", on, { ...approve, decision: "refuse" })), "approval.closed");

  await office.ask(asker, on, "w2", "t.write", "pending");
  const second = requestOf(await office.event(on, "approval.requested", ({ body }) => body.data["request"] !== request));
  await (await office.operator()).send("control", on, { verb: "cancel", id: "c" });
  await office.event(on, "run.cancelled");
  assert.equal(code(await refused(ann, "decide", on, { id: "late", ...second, decision: "approve" })), "approval.closed");
});

test("APP-4 a decision after its time is refused, whether or not the timer has been read", async () => {
  const hasty = await office.agent("hasty");
  const ann = await office.approver("ann");
  await office.begin(hasty, "hasty_late");
  await office.ask(hasty, "hasty_late", "w", "t.write", "pending");
  const { request, digest } = requestOf(await office.event("hasty_late", "approval.requested"));
  await office.event("hasty_late", "approval.expired");
  assert.equal(code(await refused(ann, "decide", "hasty_late", { id: "d", request, decision: "approve", digest })), "approval.expired");
});
