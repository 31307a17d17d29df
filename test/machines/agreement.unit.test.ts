/** XState's scope is internal to it: our reuse of one scope is held against XState's own, public functions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AnyMachineSnapshot, type AnyStateMachine, initialTransition, transition } from "xstate";
import { actionMachine } from "../../machines/action.ts";
import { approvalMachine } from "../../machines/approval.ts";
import { documentMachine } from "../../machines/document.ts";
import { runMachine } from "../../machines/run.ts";
import { begin, step } from "../../machines/step.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import { plusMillis, timestamp } from "../../schemas/time.ts";
import { DOCUMENTS, HIT, INVALID, judgement, T0 } from "./given.ts";

type AnyEvent = { readonly type: string } & Record<string, unknown>;
interface Walk {
  readonly machine: AnyStateMachine;
  readonly input: unknown;
  readonly event: fc.Arbitrary<AnyEvent>;
}

const at = timestamp(T0);
const flag = fc.boolean();
const one = <T>(...values: T[]) => fc.constantFrom(...values);
const claims = one({ gateway: "g1", nonce: "nonce-0001" }, { gateway: "g2", nonce: "nonce-0002" });
const outcome = fc.oneof(
  fc.record({ status: fc.constant("succeeded"), output: fc.jsonValue(), removed: fc.constant([]), usage: fc.constant(undefined), faults: one([], INVALID) }),
  fc.record({ status: fc.constant("failed"), error: fc.record({ code: fc.constant("e"), message: fc.constant("m"), effect: one("none", "done", "unknown") }) }),
);
const common = { at: fc.nat(20).map((n) => plusMillis(at, n * 60_000)), seq: fc.integer({ min: 1, max: 4 }), held: flag, over: flag };
const facts = fc.record({
  kind: fc.constant("tool"),
  documents: fc.constant(DOCUMENTS),
  faults: one([], [], [], INVALID),
  tool: fc.record({
    effect: one("read", "write", "irreversible"),
    timeout_ms: fc.constant(1000),
    retries: fc.nat(2),
    idempotent: flag,
    cost_micro_usd: fc.constant(0),
    probe: one(undefined, { timeout_ms: 1000, tries: 2 }),
  }),
  guard: one(undefined, undefined, undefined, HIT),
  judgement: one(judgement("allow"), judgement("allow"), judgement("ask"), judgement("deny"), undefined),
  approval_ttl_ms: fc.constant(1000),
});

const NEED = { ledger: "team.a.2026-01-31", unit: "cost", window: "2026-01-31", need: 1, want: 5 };

const walks: Record<string, Walk> = {
  action: {
    machine: actionMachine,
    input: { id: "a2", proposal: "t1", agent: "agent-1", tool: "crm.update", asked: { kind: "tool", id: "t1", tool: "crm.update", input: 1 }, amount: undefined, edited: undefined },
    event: fc.oneof(
      fc.record({ ...common, type: fc.constant("JUDGE"), facts, document: fc.constant({ text: "{}", digest: sha256Digest("{}") }), exhausted: one(undefined, undefined, undefined, INVALID[0]), missing: one([], [], [NEED]), standing: one(undefined, { request: "q3", approvers: ["ann"] }) }),
      fc.record({ ...common, type: fc.constant("EXHAUST"), reasons: fc.constant(INVALID) }),
      fc.record({ ...common, type: fc.constant("GRANT"), request: fc.constant("q3"), approvers: fc.constant(["ann"]) }),
      fc.record({ ...common, type: fc.constant("REFUSE"), by: one("person", "expiry", "change", "edit"), reasons: fc.constant(INVALID) }),
      fc.record({ ...common, type: fc.constant("HALT"), code: fc.constant("guard.stopped"), message: fc.constant("m"), done: flag, reasons: fc.constant(INVALID) }),
      fc.record({ ...common, type: fc.constant("RELEASE") }),
      fc.record({ ...common, type: fc.constant("CLAIM"), claim: claims, attempt: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ ...common, type: fc.constant("REPORT"), claim: claims, attempt: fc.integer({ min: 1, max: 3 }), outcome }),
      fc.record({ ...common, type: fc.constant("DUE"), armed: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ ...common, type: fc.constant("PROBED"), attempt: fc.integer({ min: 1, max: 2 }), number: fc.integer({ min: 1, max: 2 }), found: one("done", "none", "unknown"), by: fc.constant("g2"), outcome }),
      fc.record({ ...common, type: fc.constant("RESOLVE"), outcome }),
      fc.record({ ...common, type: fc.constant("CANCEL"), reason: fc.string() }),
    ),
  },
  approval: {
    machine: approvalMachine,
    input: { request: "q5", action: "a2", digest: sha256Digest("{}"), role: "approver", count: 3, grants: [], people: [], timer: { at, armed: 2 } },
    event: fc.oneof(
      { weight: 6, arbitrary: fc.record({ type: fc.constant("APPROVE"), at: fc.constant(at), by: one("ann", "bob", "cy", "dee"), issuer: fc.constant("https://id.example"), subject: one("ann", "bob", "cy"), reason: one(undefined, "ok"), standing: fc.constant(undefined) }) },
      fc.record({ type: fc.constant("EDIT"), at: fc.constant(at), by: one("ann", "bob"), reason: one(undefined, "no"), replacement: fc.constant("a9"), diff: fc.constant([]) }),
      fc.record({ type: fc.constant("REFUSE"), at: fc.constant(at), by: one("ann", "bob"), reason: one(undefined, "no") }),
      fc.record({ type: fc.constant("DUE"), at: fc.constant(at), armed: fc.nat(3) }),
      fc.record({ type: fc.constant("STALE"), at: fc.constant(at), reason: fc.string() }),
    ),
  },
  run: {
    machine: runMachine,
    input: undefined,
    event: fc.oneof(
      { weight: 6, arbitrary: fc.record({ type: fc.constant("ADMIT"), envelope: fc.constant({}), goal: fc.string() }) },
      fc.record({ type: fc.constant("TURN_AWAY"), reasons: fc.constant(INVALID) }),
      { weight: 6, arbitrary: fc.record({ type: one("PAUSE", "RESUME"), by: fc.constant("op"), reason: one(undefined, "why") }) },
      fc.record({ type: fc.constant("CANCEL"), by: fc.constant("op"), reason: one(undefined, "why") }),
      fc.record({ type: fc.constant("FINISH"), output: one(undefined, null, 1) }),
      fc.record({ type: fc.constant("FAIL"), error: fc.jsonValue() }),
      { weight: 6, arbitrary: fc.record({ type: fc.constant("NOTE"), text: fc.string() }) },
    ),
  },
  document: {
    machine: documentMachine,
    input: { applied: "tool.applied" },
    event: fc.record({ type: fc.constant("APPLY"), document: one("1", "2", "3").map(sha256Digest) }),
  },
};

/** XState's bookkeeping of context changes is no effect of ours. */
const plain = (actions: readonly { type: string; params: unknown }[]) =>
  actions.filter(({ type }) => !type.startsWith("xstate.assign")).map(({ type, params }) => ({ type, params }));

for (const [name, { machine, input, event }] of Object.entries(walks)) {
  test(`law 5: \`step\` and XState's \`transition\` agree in value, context and actions over random walks of the ${name} machine`, () => {
    let steps = 0;
    let taken = 0;
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 24 }), (events) => {
        let [live, actions] = initialTransition(machine, input as never) as [AnyMachineSnapshot, unknown];
        const first = begin(machine, input);
        assert.deepStrictEqual([first.next.value, first.next.context], [live.value, live.context]);
        assert.deepStrictEqual(first.effects, plain(actions as never));
        let ours = first.next;
        for (const next of events) {
          steps += 1;
          const before = live;
          [live, actions] = transition(machine, live, next as never);
          const went = step(machine, ours, next);
          assert.deepStrictEqual(plain(actions as never), went?.effects ?? []);
          if (went === undefined) {
            assert.deepStrictEqual([live.value, live.context], [before.value, before.context], "moved without leaving an event");
            continue;
          }
          taken += 1;
          ours = went.next;
          // `ours` was restored from value and context alone at each step; the live snapshot was carried on
          assert.deepStrictEqual([ours.value, ours.context], [live.value, live.context]);
          const restored = machine.resolveState({ value: ours.value, context: ours.context } as never);
          assert.equal(restored.status, live.status);
        }
      }),
      { seed: 20260131, numRuns: 400 },
    );
    assert.ok(steps > 2000 && taken > 200, `${steps} steps, ${taken} taken`);
  });
}

test("law 5: a snapshot is plain data, and one that was written as JSON goes on like the one in memory", () => {
  const event = { type: "ADMIT", envelope: {}, goal: "g" };
  const live = step(runMachine, begin(runMachine, undefined).next, event);
  assert.ok(live);
  const stored = JSON.parse(JSON.stringify(live.next)) as typeof live.next;
  const pause = { type: "PAUSE", by: "op", reason: undefined };
  assert.deepStrictEqual(step(runMachine, stored, pause), step(runMachine, live.next, pause));
});
