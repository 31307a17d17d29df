/** Which entry of the guard covers what (GUARD-9, ID-2), as far as this process knows the journal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decideGuard, emptyGuard, evolveGuard, type GuardState } from "../../machines/guard.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import type { EventBody } from "../../schemas/event.ts";
import { namespace } from "../../schemas/ids.ts";
import type { GuardControl } from "../../schemas/inputs.ts";
import { EMPTY_CHAIN, seal } from "../../services/bus/commit.ts";
import { GuardView } from "../../services/coordinator/guard-view.ts";

const NS = namespace("test");
const ISSUER = "https://id.example";
/** Names of persons; `ada-two` is `ada` again. */
const PEOPLE: Readonly<Record<string, { issuer: string; subject: string }>> = {
  ada: { issuer: ISSUER, subject: "ada" }, "ada-two": { issuer: ISSUER, subject: "ada" }, bob: { issuer: ISSUER, subject: "bob" }, other: { issuer: "https://other.example", subject: "ada" },
};
const view = () => new GuardView(NS, {} as never, { identity: (name) => PEOPLE[name] });
const stopped = (seq: number, scope: string, kind = "stop") => ({ streamSeq: seq * 10, body: { seq, type: "guard.stopped", data: { stop: `s${seq}`, kind, scope, by: "op", reason: "r" } } as unknown as EventBody });
const lifted = (seq: number, stop: string, scope: string) => ({ streamSeq: seq * 10, body: { seq, type: "guard.lifted", data: { stop, kind: "stop", scope, by: "pat", reason: "r" } } as unknown as EventBody });
const of = (...entries: ReturnType<typeof stopped>[]) => {
  const guard = view();
  for (const entry of entries) assert.ok(guard.put(entry));
  return guard;
};
const EVERYTHING = { agent: "clerk", version: "1.0", team: "support", tool: "pay", principal: { issuer: ISSUER, subject: "ada" } };

test("GUARD-9: each scope covers what it names, and nothing else", () => {
  assert.equal(view().subject.replace(/\.\d+\./, ".<p>."), "signalbox.test.log.guard.<p>.stops");
  for (const scope of ["all", "agent:clerk", "version:clerk@1.0", "team:support", "tool:pay", `principal:${ISSUER}|ada`, "person:ada", "person:ada-two"]) {
    assert.deepEqual(of(stopped(1, scope)).hit(EVERYTHING), { stop: "s1", kind: "stop", scope, reason: "r" }, scope);
  }
  for (const scope of ["agent:hasty", "version:clerk@2.0", "team:sales", "tool:payout", `principal:${ISSUER}|bob`, "principal:https://other.example|ada", "person:bob", "person:other", "person:nobody", "team:xxada"]) {
    assert.equal(of(stopped(1, scope)).hit(EVERYTHING), undefined, scope);
  }
  const one = (involved: object, scope: string) => of(stopped(1, scope)).hit(involved)?.stop;
  assert.deepEqual([one({}, "all"), one({}, "agent:undefined"), one({ version: "1.0" }, "version:undefined@1.0"), one({ agent: "clerk" }, "version:clerk@undefined")], ["s1", undefined, undefined, undefined]);
  assert.deepEqual([one({}, "team:undefined"), one({}, "tool:undefined"), one({ principal: null }, "principal:undefined|ada"), one({ principal: { subject: "ada" } }, "person:ada")], [undefined, undefined, undefined, undefined]);
  assert.equal(one({ principal: { issuer: undefined, subject: "ada" } }, "principal:undefined|ada"), undefined);
});

test("GUARD-9: of several entries the oldest is named, wherever it is looked up", () => {
  const all = [stopped(1, "tool:pay"), stopped(2, "all"), stopped(3, `principal:${ISSUER}|ada`), stopped(4, "person:ada-two")];
  assert.equal(of(...all).hit(EVERYTHING)?.stop, "s1");
  assert.equal(of(...all).hit({ tool: "other", team: "support" })?.stop, "s2");
  assert.equal(of(stopped(1, "person:ada-two"), stopped(2, `principal:${ISSUER}|ada`)).hit({ principal: EVERYTHING.principal })?.stop, "s1");
  assert.equal(of(stopped(1, "all"), stopped(2, "all")).hit({})?.stop, "s1");
  const tens = [2, 3, 4, 5, 6, 7, 8, 9].map((seq) => stopped(seq, "team:other"));
  assert.equal(of(stopped(1, "team:x"), ...tens, stopped(10, "tool:pay"), stopped(11, "all")).hit(EVERYTHING)?.stop, "s10", "counted, not spelled");
});

test("ID-2: a person is covered under every name that is theirs", () => {
  assert.equal(of(stopped(1, "person:ada")).person("ada")?.stop, "s1");
  assert.equal(of(stopped(1, "person:ada")).person("ada-two")?.stop, "s1");
  assert.equal(of(stopped(1, `principal:${ISSUER}|ada`)).person("ada-two")?.stop, "s1");
  assert.equal(of(stopped(1, "person:nobody")).person("nobody")?.stop, "s1");
  assert.equal(of(stopped(1, "person:ada")).person("bob"), undefined);
  assert.equal(of(stopped(1, "person:ada")).person("other"), undefined);
  assert.equal(of(stopped(1, "person:ada-two"), stopped(2, "person:ada")).person("ada")?.stop, "s1");
  assert.equal(view().person("ada"), undefined);
});

test("ID-2: a revoked agent has no word any more; one that is stopped has", () => {
  const guard = of(stopped(1, "agent:clerk"), stopped(2, "agent:clerk", "revocation"), stopped(3, "agent:clerk", "revocation"));
  assert.equal(guard.revokedAgent("clerk")?.stop, "s2");
  assert.equal(of(stopped(1, "agent:clerk")).revokedAgent("clerk"), undefined);
  assert.equal(of(stopped(1, "agent:hasty", "revocation")).revokedAgent("clerk"), undefined);
  assert.equal(view().revokedAgent("clerk"), undefined);
});

test("GUARD-9: what is lifted stands no longer, what else stands on its scope does", () => {
  const guard = of(stopped(1, "all"), stopped(2, "all"), lifted(3, "s1", "all"));
  assert.equal(guard.hit({})?.stop, "s2");
  assert.ok(guard.put(lifted(4, "s2", "all")));
  assert.deepEqual([guard.hit({}), guard.empty], [undefined, true]);
  assert.ok(guard.put(lifted(5, "s9", "team:x")));
  assert.ok(guard.empty);
  assert.equal(of(stopped(1, "all"), { streamSeq: 20, body: { seq: 2, type: "guard.other", data: { stop: "s1", scope: "all" } } as never }).hit({})?.stop, "s1");
  assert.ok(of({ streamSeq: 10, body: { seq: 1, type: "guard.other", data: { stop: "s1", scope: "all" } } as never }).empty, "nothing but a stop stops");
});

test("law 3: events are taken over in order, once; after a gap the journal is to be read", () => {
  const guard = of(stopped(1, "tool:pay"));
  assert.equal(guard.put(stopped(3, "all")), false);
  assert.equal(guard.put(stopped(1, "all")), true);
  assert.equal(guard.hit({}), undefined, "neither what is behind a gap nor what is known");
  assert.ok(guard.put(stopped(2, "all")));
  assert.equal(guard.hit({})?.stop, "s2");
});

/** A journal of a guard: what was asked of it, and what it holds. */
function journalOf(...entries: ReturnType<typeof stopped>[]) {
  const reads: unknown[] = [];
  return { reads, reader: { lastOf: () => Promise.resolve(entries.length === 0 ? undefined : { seq: entries.at(-1)?.streamSeq }), read: (wanted: unknown) => (reads.push(wanted), []) } as never };
}

test("GUARD-9: the journal is read on only when its leader holds more, from behind what is known", async () => {
  const { reads, reader } = journalOf(stopped(1, "all"), stopped(2, "all"));
  const guard = new GuardView(NS, reader, { identity: () => undefined });
  guard.put(stopped(1, "all"));
  await guard.refresh();
  assert.deepEqual(reads, [{ subject: guard.subject, fromSeq: 11, leader: true }]);
  guard.put(stopped(2, "all"));
  guard.put({ ...stopped(1, "all"), streamSeq: 5 });
  await guard.refresh();
  assert.equal(reads.length, 1);
  const fresh = journalOf(stopped(1, "all"));
  await new GuardView(NS, fresh.reader, { identity: () => undefined }).refresh();
  assert.deepEqual(fresh.reads.map((wanted) => (wanted as { fromSeq: number }).fromSeq), [1]);
  const empty = journalOf();
  await new GuardView(NS, empty.reader, { identity: () => undefined }).refresh();
  assert.deepEqual(empty.reads, []);
});

test("GUARD-9: what is read is taken over", async () => {
  const draft = { type: "guard.stopped", from: "absent", to: "standing", data: { stop: "s1" as never, kind: "stop", scope: "all", by: "op", reason: "r" } } as const;
  const cause = { id: "1", kind: "control", actor: "op", time: "2026-01-31T09:30:00.000Z" } as const;
  const premise = { input: null, input_hash: canonicalDigest(null), facts: { kind: "none" } } as const;
  const [event] = seal({ ns: NS, kind: "guard", name: "stops" }, EMPTY_CHAIN, { drafts: [draft], at: cause.time, machine: "3", cause, premise }).events;
  assert.ok(event);
  const message = { subject: event.subject, seq: 7, time: 0, headers: new Map(Object.entries(event.headers ?? {})), data: event.data };
  const guard = new GuardView(NS, { read: () => [message] } as never, { identity: () => undefined });
  await guard.load();
  assert.equal(guard.hit({})?.stop, "s1");
});

test("law 3: what this process stored itself is known at once, and older news change nothing", async () => {
  const state: GuardState = emptyGuard(NS, "stops", "3");
  const say = (by: string, body: object) => {
    const control = { id: `${state.seq}`, reason: "r", ...body } as GuardControl;
    const decision = decideGuard(state, { actor: by, id: control.id, hash: canonicalDigest(control as never), time: "2026-01-31T09:30:00.000Z", body: control }, { kind: "guard", person: null });
    if (decision.kind === "commit") evolveGuard(state, decision.change);
  };
  say("op", { verb: "stop", scope: "all" });
  say("op", { verb: "stop", scope: "tool:pay" });
  say("pat", { verb: "lift", stop: "s1" });
  const { reads, reader } = journalOf(stopped(9, "all"));
  const guard = new GuardView(NS, reader, { identity: () => undefined });
  guard.put(stopped(1, "team:x"));
  guard.take(state, 90);
  assert.deepEqual([guard.hit({ team: "x" }), guard.hit({ tool: "pay" })?.stop], [undefined, "s2"]);
  await guard.refresh();
  assert.deepEqual(reads, []);
  assert.ok(guard.put(stopped(4, "all")));
  guard.take(state, 20);
  assert.equal(guard.hit({})?.stop, "s4");
  guard.take({ ...state, seq: 4, stops: new Map() }, 500);
  assert.equal(guard.hit({})?.stop, "s4", "as much is known already");
});
