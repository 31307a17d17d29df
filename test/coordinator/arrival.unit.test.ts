/** What a stored message is, or why it is none: by its subject, which permissions speak of, and a body that says the same (laws 6 and 8). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { IntakeMessage } from "../../services/bus/intake-item.ts";
import { type Read, readDue, readInput } from "../../services/coordinator/arrival.ts";
import { message } from "./quickly.ts";

const TIME = "2026-01-31T09:30:00.000Z";
const HASH = `sha256:${"0".repeat(64)}`;
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/** Put together here, so that nothing that looks real stands in a file. */
const SECRET = ["ghp", "x9Kd02LmQpW7eRtYuIoP3aSdFgHjKlZxCvB4"].join("_");
const NOTE = { kind: "note", id: "n", text: "x" };
const PAUSE = { verb: "pause", id: "c" };
const APPLY = { id: "a", document: HASH };
const CHANGE = { id: "a", documents: [{ kind: "tool", name: "t.read", document: HASH }] };
const ERASE = { verb: "erase", id: "e", subject: "kim", reason: "asked" };
const KEY = "0".repeat(32);
/** Names that were found legal are remembered by the process. */
let names = 0;
const fresh = (name: string) => `${name}${++names}`;

const input = (kind: string, actor: string, aggregate: string, body: unknown, more: Partial<IntakeMessage> = {}) => message(`signalbox.default.part.1.${kind}.${actor}.${aggregate}`, body, more);
const read = (...args: Parameters<typeof input>) => readInput(input(...args));
const codes = (found: Read) => (found.ok ? [] : found.reasons.map(({ code }) => code));
const taken = (found: Read) => (found.ok ? found.arrival : assert.fail(JSON.stringify(found.reasons)));

test("law 8: what is not on the wire's subjects is nobody's, and is said to be", () => {
  const stray = message("signalbox.default.other", NOTE);
  assert.deepEqual(readInput(stray), { ok: false, message: stray, kind: "propose", actor: "", token: "", reasons: [{ code: "subject.unknown", message: "the subject is none of the wire" }] });
});

test("CORE-5: an input of a run is what its body says, from whom its subject says, at the time at which it was stored", () => {
  const sent = input("propose", "clerk", "clerk_1", NOTE);
  assert.deepEqual(taken(readInput(sent)), {
    message: sent,
    kind: "propose",
    actor: "clerk",
    token: "clerk_1",
    tries: 0,
    for: "run",
    input: { kind: "propose", actor: "clerk", id: "n", hash: canonicalDigest(NOTE), time: TIME, traceparent: undefined, body: NOTE },
    principal: undefined,
  });
  const headers = new Map([["traceparent", TRACE], ["signalbox-principal", "a-token"]]);
  const told = taken(read("propose", "clerk", "clerk_1", NOTE, { headers }));
  assert.deepEqual([told.for === "run" && told.principal, told.for === "run" && told.input.traceparent], ["a-token", TRACE]);
  for (const other of [`${TRACE} `, "x", TRACE.toUpperCase()]) {
    const { input: found } = taken(read("propose", "clerk", "clerk_1", NOTE, { headers: new Map([["traceparent", other]]) }));
    assert.equal("traceparent" in found && found.traceparent, undefined, other);
  }
  assert.deepEqual(codes(read("propose", "clerk", "clerk_1", NOTE, { headers: new Map([["content-type", "text/plain"]]) })), ["content_type"]);
});

test("CORE-5: each kind of input has a body of its own, and each aggregate takes what is for it", () => {
  const report = { id: "r", action: "a1", attempt: 1, claim: { gateway: "gw", nonce: "12345678" }, status: "started" };
  const decision = { id: "d", request: "q1", decision: "approve", digest: HASH };
  const lease = { name: "leased", id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", granted: 1, total: 1 };
  for (const [kind, actor, body] of [["report", "gw", report], ["decide", "ann", decision], ["control", "op", PAUSE]] as const) {
    const { input: found, ...rest } = taken(read(kind, actor, "clerk_1", body));
    assert.deepEqual([rest.for, rest.kind, (found as { kind?: string }).kind, (found as { body?: unknown }).body], ["run", kind, kind, body]);
  }
  const changed = taken(read("apply", "op", fresh("signalbox-registry_c"), CHANGE));
  assert.deepEqual([changed.for, "body" in changed.input && changed.input.body], ["run", CHANGE]);
  const signalled = taken(readInput(message(`signalbox.default.part.1.signal.ledger:team%2Ex%2E2026-01-31.clerk_1.leased`, lease)));
  assert.deepEqual([signalled.for, signalled.kind, signalled.actor, "body" in signalled.input && signalled.input.body], ["run", "signal", "ledger:team%2Ex%2E2026-01-31", lease]);

  const asked = { name: "lease", id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", need: 1, want: 2 };
  const ledger = taken(readInput(message(`signalbox.default.part.1.signal.clerk_1.ledger:team%2Ex%2E2026-01-31.lease`, asked)));
  const from = (actor: string, body: { readonly id: string }) => ({ actor, id: body.id, hash: canonicalDigest(body as unknown as JsonValue), time: TIME, traceparent: undefined });
  const { message: _, ...own } = ledger;
  assert.deepEqual(own, { kind: "signal", actor: "clerk_1", token: "ledger:team%2Ex%2E2026-01-31", tries: 0, for: "ledger", name: "team.x.2026-01-31", input: { ...from("clerk_1", asked), body: asked } });

  const stop = { verb: "stop", id: "s", scope: "all", reason: "r" };
  const open = { verb: "open", id: "o" };
  const seal = { name: "seal", id: "x", segment: 1, runs: 0, index: HASH };
  const said = (found: Read) => {
    const { message: __, tries: ___, ...rest } = taken(found);
    return rest;
  };
  assert.deepEqual(said(read("control", "op", "guard:stops", stop)), { kind: "control", actor: "op", token: "guard:stops", for: "guard", input: { ...from("op", stop), body: stop } });
  assert.deepEqual(said(read("control", "op", "segments:journal", open)), { kind: "control", actor: "op", token: "segments:journal", for: "segments", input: { ...from("op", open), body: open } });
  assert.deepEqual(said(readInput(message("signalbox.default.part.1.signal.segments:journal.segments:journal.seal", seal))), { kind: "signal", actor: "segments:journal", token: "segments:journal", for: "segments", input: { ...from("segments:journal", seal), body: seal } });
  assert.deepEqual(said(read("control", "op", "erasure:subjects", ERASE)), { kind: "control", actor: "op", token: "erasure:subjects", for: "erasure", input: { ...from("op", ERASE), body: ERASE } });
  const document = said(read("apply", "op", "tool:t%2Eread", APPLY));
  assert.deepEqual(document, { kind: "apply", actor: "op", token: "tool:t%2Eread", for: "document", documentKind: "tool", name: "t.read", input: { ...from("op", APPLY), document: HASH } });
  for (const [kind, name] of [["agent", "clerk"], ["policy", "default"], ["person", "ann"], ["issuer", "test"], ["budget", "team%2Ex"]] as const) {
    const found = taken(read("apply", "op", `${kind}:${name}`, APPLY));
    assert.equal(found.for === "document" && found.documentKind, kind);
  }
});

test("law 6: the body of one aggregate is none of another's", () => {
  const stop = { verb: "stop", id: "s", scope: "all", reason: "r" };
  for (const [kind, aggregate, body] of [
    ["control", "clerk_1", stop], ["control", "guard:stops", PAUSE], ["control", "erasure:subjects", PAUSE], ["control", "segments:journal", PAUSE], ["control", "clerk_1", ERASE],
    ["apply", "tool:t%2Eread", CHANGE], ["apply", "signalbox-registry_1", APPLY], ["propose", "clerk_1", PAUSE], ["decide", "clerk_1", NOTE], ["report", "clerk_1", NOTE],
  ] as const) assert.ok(codes(read(kind, "op", aggregate, body)).length > 0, `${kind} ${aggregate}`);
  assert.deepEqual(codes(readInput(message("signalbox.default.part.1.signal.clerk_1.ledger:team%2Ex%2E2026-01-31.seal", { name: "seal", id: "x", segment: 1, runs: 0, index: HASH }))), ["schema.invalid"]);
  assert.deepEqual(codes(readInput(message("signalbox.default.part.1.signal.segments:journal.segments:journal.leased", { name: "leased", id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", granted: 1, total: 1 }))), ["schema.invalid"]);
});

test("law 6: an illegal name is refused, each time; nothing of the body is looked at then", () => {
  const cases: [kind: string, actor: string, aggregate: string, code: string[]][] = [
    ["propose", "Clerk", "clerk_1", ["name.actor"]],
    ["propose", "clerk", "clerk-1", ["name.aggregate"]],
    ["propose", "Clerk", "clerk-1", ["name.actor", "name.aggregate"]],
    ["propose", "clerk", "tool:t%2Eread", ["name.aggregate"]],
    ["decide", "ann", "guard:stops", ["name.aggregate"]],
    ["report", "gw", "guard:stops", ["name.aggregate"]],
    ["control", "op", "guard:other", ["name.aggregate"]],
    ["control", "op", "segments:other", ["name.aggregate"]],
    ["control", "op", "erasure:other", ["name.aggregate"]],
    ["control", "op", "ledger:team%2Ex%2E2026-01-31", ["name.aggregate"]],
    ["control", "op", "tool:t%2Eread", ["name.aggregate"]],
    ["control", "op", "run:clerk_1", ["name.aggregate"]],
    ["apply", "op", "guard:stops", ["name.aggregate"]],
    ["apply", "op", "tool:t-%2D", ["name.aggregate"]],
    ["apply", "op", "agent:Clerk", ["name.aggregate"]],
    ["apply", "op", "policy:A!", ["name.aggregate"]],
    ["apply", "op", "budget:x", ["name.aggregate"]],
    ["apply", "op", "person:A", ["name.aggregate"]],
    ["apply", "op", "issuer:%41!", ["name.aggregate"]],
    ["apply", "op", "clerk_1", ["name.aggregate"]],
    ["apply", "op", "signalbox-other_1", ["name.aggregate"]],
  ];
  for (const [kind, actor, aggregate, expected] of cases) {
    for (const again of [1, 2]) {
      const found = read(kind, actor, aggregate, "no body");
      assert.deepEqual(codes(found), expected, `${kind} ${actor} ${aggregate} ${again}`);
      assert.deepEqual([!found.ok && found.actor, !found.ok && found.token, !found.ok && found.kind, "id" in found], [actor, aggregate, kind, false]);
    }
  }
  const help = (kind: string, aggregate: string) => {
    const found = read(kind, "op", aggregate, "");
    return found.ok ? undefined : found.reasons[0]?.help;
  };
  assert.match(help("apply", "x") ?? "", /<agent\|tool/);
  assert.match(help("propose", "x") ?? "", /<agent>_<id>/);
  const signal = (from: string, to: string) => codes(readInput(message(`signalbox.default.part.1.signal.${from}.${to}.lease`, "")));
  assert.deepEqual([signal("tool:t%2Eread", "ledger:team%2Ex%2E2026-01-31"), signal("clerk_1", "guard:stops"), signal("Clerk_1", "x")], [["name.actor"], ["name.aggregate"], ["name.actor", "name.aggregate"]]);
});

test("ID-1: the plane's own names say only what is theirs", () => {
  const reserved = (kind: string, actor: string, aggregate: string) => codes(read(kind, actor, aggregate, "")).includes("name.reserved");
  for (const [kind, actor, aggregate, expected] of [
    ["propose", "signalbox-x", "signalbox-x_1", true],
    ["decide", "signalbox-gateway", "clerk_1", true],
    ["report", "signalbox-gateway", fresh("clerk_1"), false],
    ["apply", "signalbox-gateway", fresh("tool:t%2Eread"), false],
    ["apply", "signalbox-other", "tool:t%2Eread", true],
    ["control", "signalbox-gateway", "clerk_1", true],
    ["control", "signalbox-eraser", "erasure:subjects", false],
    ["control", "signalbox-eraser", "clerk_1", true],
    ["control", "signalbox-gateway", "erasure:subjects", true],
    ["apply", "signalbox-eraser", "tool:t%2Eread", true],
    ["decide", "signalbox-eraser", "erasure:subjects", true],
    ["propose", "signalboxer", fresh("signalboxer_1"), false],
  ] as const) assert.equal(reserved(kind, actor, aggregate), expected, `${kind} ${actor} ${aggregate}`);
});

test("law 6: of names that were found legal so many are remembered and no more; what is forgotten is looked at anew", () => {
  const eraser = () => codes(read("control", "signalbox-eraser", "erasure:subjects", "no body"));
  const before = eraser();
  for (let n = 0; n < 50_000; n++) read("propose", "clerk", fresh("clerk_r"), "");
  assert.deepEqual([before, eraser()], [["json"], ["json"]]);
});

test("law 6: a refused body leaves its reason and its id, and of a secret neither", () => {
  const malformed = read("propose", "clerk", "clerk_1", '{"id": "x", "id": "y"}');
  assert.deepEqual(malformed.ok ? [] : [malformed.reasons[0]?.code, malformed.reasons[0]?.path, "id" in malformed], ["duplicate_key", "/id", false]);
  const empty = read("propose", "clerk", "clerk_1", "");
  assert.ok(!empty.ok && !("path" in (empty.reasons[0] as object)));
  const hidden = read("propose", "clerk", "clerk_1", `{"${SECRET}": 1, "${SECRET}": 2}`);
  assert.ok(!hidden.ok && !JSON.stringify(hidden.reasons).includes(SECRET));

  const id = (body: unknown) => {
    const found = read("propose", "clerk", "clerk_1", body);
    return found.ok ? assert.fail("it was taken") : [found.id, "id" in found, found.reasons[0]?.code];
  };
  assert.deepEqual(id({ kind: "note", id: "n" }), ["n", true, "schema.invalid"]);
  assert.deepEqual(id({ kind: "note", id: 7, text: "x" }), [undefined, false, "schema.invalid"]);
  assert.deepEqual(id({ kind: "note", id: "x".repeat(128), text: 1 })[0]?.toString().length, 128);
  assert.deepEqual(id({ kind: "note", id: "x".repeat(129), text: 1 })[1], false);
  for (const none of [null, ["id"], "id", 7]) assert.deepEqual(id(JSON.stringify(none)), [undefined, false, "schema.invalid"]);
  assert.deepEqual(id({ kind: "note", id: "n", text: `use ${SECRET}` }), ["n", true, "secret.found"]);
  assert.deepEqual(id({ kind: "note", id: SECRET, text: "x" }), [undefined, false, "secret.found"]);
  assert.deepEqual(id({ kind: "note", id: SECRET, text: SECRET })[1], false);
  assert.deepEqual(id({ kind: "note", text: SECRET }), [undefined, false, "secret.found"]);
});

test("GUARD-10: what the plane's own services send was looked through before, and is not looked through again", () => {
  const report = { id: "r", action: "a1", attempt: 1, claim: { gateway: "gw", nonce: "12345678" }, status: "succeeded", output: { token: SECRET } };
  assert.ok(read("report", "gw", "clerk_1", report).ok);
  const returned = { name: "lease", id: ["AKIA", "Z7QKXW3M5RNPB2LD"].join(""), ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31", need: 1, want: 2 };
  assert.ok(readInput(message("signalbox.default.part.1.signal.clerk_1.ledger:team%2Ex%2E2026-01-31.lease", returned)).ok);
  assert.deepEqual(codes(read("control", "op", "clerk_1", { ...PAUSE, reason: SECRET })), ["secret.found"]);
  assert.deepEqual(codes(read("control", "op", "clerk_1", { ...PAUSE, reason: returned.id })), ["secret.found"]);
});

test("CORE-5: a proposal of a kind that is planned is said not to be built; the same word elsewhere means nothing", () => {
  for (const kind of ["model", "plan", "handoff"]) {
    const found = read("propose", "clerk", "clerk_1", { kind, id: "p" });
    assert.ok(!found.ok);
    assert.deepEqual([found.id, found.reasons.map(({ code, path, help }) => [code, path, help])], ["p", [["kind.not_built", "/kind", "see Limits in the README"]]]);
  }
  for (const body of [{ kind: "other", id: "p" }, { kind: 7, id: "p" }, ["plan"]]) assert.notDeepEqual(codes(read("propose", "clerk", "clerk_1", JSON.stringify(body))), ["kind.not_built"]);
  assert.deepEqual(codes(read("control", "op", "clerk_1", { kind: "plan", id: "p" })), ["schema.invalid"]);
});

test("law 3: a signal's body says what its subject says: its name, who asks whom, and about what", () => {
  const ledger = "ledger:team%2Ex%2E2026-01-31";
  const about = { id: "l", ledger: "team.x.2026-01-31", unit: "cost", window: "2026-01-31" };
  const bodies = {
    lease: { name: "lease", ...about, need: 1, want: 2 },
    return: { name: "return", ...about, unused: 1, last: true },
    leased: { name: "leased", ...about, granted: 1, total: 1 },
    returned: { name: "returned", ...about, unused: 1, last: true },
  } as const;
  const faults = (from: string, to: string, name: string, body: object) => {
    const found = readInput(message(`signalbox.default.part.1.signal.${from}.${to}.${name}`, body));
    return found.ok ? "taken" : found.reasons.map(({ code, path }) => `${code} ${path ?? ""}`).join();
  };
  for (const [name, body] of Object.entries(bodies)) {
    const asks = name === "lease" || name === "return";
    const [from, to] = asks ? ["clerk_1", ledger] : [ledger, "clerk_1"];
    assert.equal(faults(from, to, name, body), "taken", name);
    // the other way round, from a run to a run, from a ledger to a ledger
    assert.equal(faults(to, from, name, body), "signal.mismatch ", name);
    assert.equal(faults("clerk_1", "clerk_2", name, body), "signal.mismatch ", name);
    assert.equal(faults(ledger, ledger, name, body), "signal.mismatch ", name);
    assert.equal(faults(from, to, name, { ...body, ledger: "team.y.2026-01-31" }), "signal.mismatch /ledger", name);
    assert.equal(faults(from, to, name === "lease" ? "return" : "lease", body), "signal.mismatch /name", name);
  }
  const seal = { name: "seal", id: "x", segment: 1, runs: 0, index: HASH };
  const open = { name: "open", id: "x", segment: 2 };
  assert.deepEqual([faults("segments:journal", "segments:journal", "seal", seal), faults("segments:journal", "segments:journal", "open", open)], ["taken", "taken"]);
  assert.deepEqual([faults("clerk_1", "segments:journal", "seal", seal), faults(ledger, "segments:journal", "open", open)], ["signal.mismatch ", "signal.mismatch "]);
});

test("law 10: that a key is destroyed only the eraser says, and only that", () => {
  const destroyed = { verb: "destroyed", id: "x", subject: KEY, key: KEY.slice(16) };
  const found = (actor: string, body: object) => {
    const was = read("control", actor, "erasure:subjects", body);
    return was.ok ? was.arrival.for : was.reasons.map(({ code, path }) => `${code} ${path ?? ""}`).join();
  };
  assert.deepEqual([found("op", ERASE), found("signalbox-eraser", ERASE)], ["erasure", "erasure.not_yours /verb"]);
  assert.deepEqual([found("signalbox-eraser", destroyed), found("op", destroyed)], ["erasure", "erasure.not_yours /verb"]);
});

test("law 3: a timer that fell due is an input of its run; what the plane did not put there is none", () => {
  const due = message("signalbox.default.due.7.clerk_1", { timer: "run", armed: 3 });
  assert.deepEqual(readDue(due), {
    message: due,
    kind: "due",
    actor: "timer",
    token: "clerk_1",
    tries: 0,
    for: "run",
    input: { kind: "due", actor: "timer", id: "run", hash: canonicalDigest({ timer: "run", armed: 3 }), time: TIME, traceparent: undefined, body: { timer: "run", armed: 3 } },
    principal: undefined,
  });
  for (const [subject, body] of [["signalbox.default.due.7.clerk-1", { timer: "run", armed: 3 }], ["signalbox.default.due.7.clerk_1", { timer: "run" }], ["signalbox.default.due.7.clerk_1", "no"], ["", { timer: "run", armed: 3 }]] as const) {
    assert.equal(readDue(message(subject, body)), undefined);
  }
});
