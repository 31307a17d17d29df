/** What the machines produce is what the schemas promise to every reader; what the schemas refuse, nobody need handle. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { answerTo, news } from "../../machines/answers.ts";
import { owed } from "../../machines/owed.ts";
import { answerSchema, rejectionSchema } from "../../schemas/answer.ts";
import { canonicalDigest, sha256Digest } from "../../schemas/canonical.ts";
import { dispatchSchema, grantSchema, actionDocumentSchema } from "../../schemas/dispatch.ts";
import { causeSchema, CHAIN_START, EVENT_TYPES, eventData, premiseSchema, RESERVED_EVENT_TYPES } from "../../schemas/event.ts";
import { applyChangeSchema, applySchema, controlSchema, decisionSchema, dueSchema, reportSchema, signalSchema } from "../../schemas/inputs.ts";
import { proposalSchema } from "../../schemas/proposal.ts";
import { EMPTY_CHAIN, headersOf, seal } from "../../services/bus/commit.ts";
import { decode } from "../../services/bus/codec.ts";
import { AGENT, claim, given, NS, report, RUN, start, tool } from "../machines/given.ts";
import { program, runProgram } from "../machines/programs.ts";

const BODIES = {
  propose: proposalSchema, decide: decisionSchema, report: reportSchema, control: controlSchema, due: dueSchema, apply: applyChangeSchema, signal: signalSchema,
};

test("CORE-5: every event of random runs is, as stored, what the schemas say: its own data, and the premise in the first", () => {
  fc.assert(
    fc.property(program, (steps) => {
      let head = EMPTY_CHAIN;
      for (const { told: { input, facts }, decision } of runProgram(steps)) {
        BODIES[input.kind].parse(input.body);
        if (decision.kind !== "commit") continue;
        const { id, kind, actor, time } = input;
        const sealed = seal({ ns: NS, kind: "run", name: RUN }, head, {
          drafts: decision.drafts, at: decision.change.at, machine: "1", cause: { id, kind, actor, time },
          premise: { input: input.body as never, input_hash: input.hash, facts },
        });
        for (const [index, event] of sealed.events.entries()) {
          const body = decode(event.data) as Parameters<typeof headersOf>[0];
          const { input: said, input_hash, facts: known, ...own } = body.data;
          eventData[body.type].parse(own);
          causeSchema.parse(body.cause);
          assert.deepEqual(body.part, [index + 1, decision.drafts.length]);
          assert.equal(body.seq, head.seq + index + 1);
          assert.deepEqual(headersOf(body), event.headers);
          if (index === 0) premiseSchema.parse({ input: said, input_hash, facts: known });
          else assert.deepEqual([said, input_hash, known], [undefined, undefined, undefined]);
        }
        head = sealed.head;
      }
    }),
    { seed: 20260203, numRuns: 60 },
  );
});

test("no event's own data has a field by which the premise is named", () => {
  for (const [type, schema] of Object.entries(eventData)) {
    for (const key of ["input", "input_hash", "facts"]) assert.ok(!(key in schema.shape), `${type} has ${key}`);
  }
});

test("names that are reserved are not in use, and all names are of the form <kind>.<what>", () => {
  for (const type of RESERVED_EVENT_TYPES) assert.ok(!(EVENT_TYPES as string[]).includes(type), type);
  for (const type of [...EVENT_TYPES, ...RESERVED_EVENT_TYPES]) assert.match(type, /^[a-z]+\.[a-z_]+$/);
  assert.deepEqual([...CHAIN_START], new Array(32).fill(0));
});

const run = given(start(), tool("t1"), claim("a2"));

test("an answer, a dispatch and an action document are strict: one key more, and they are refused", () => {
  const [debt] = owed(given(start(), tool("t1")).state);
  assert.ok(debt?.kind === "dispatch");
  const shapes = [
    [answerSchema, answerTo(run.state, `${AGENT}/t1`)],
    [answerSchema, news(run.state)],
    [dispatchSchema, debt.message],
    [actionDocumentSchema, JSON.parse(debt.message.document)],
  ] as const;
  for (const [schema, value] of shapes) {
    schema.parse(value);
    assert.equal(schema.safeParse({ ...value, extra: 1 }).success, false);
    // what goes out as JSON comes back as it was
    assert.deepEqual(schema.parse(JSON.parse(JSON.stringify(value))), value);
  }
});

test("a grant names report, attempt and claim; a rejection has hash and size and no copy of what was refused", () => {
  const grant = { v: 1, run: RUN, report: "r1", action: "a2", attempt: 1, claim: { gateway: "g1", nonce: "nonce-0001" }, verdict: "granted", seq: 6 };
  grantSchema.parse(grant);
  assert.equal(grantSchema.safeParse({ ...grant, verdict: "perhaps" }).success, false);
  const rejection = { v: 1, at: "2026-01-31T09:30:00.000Z", actor: "Agent 1", kind: "propose", run: "?", reasons: [], bytes: 0, sha256: sha256Digest(""), count: 1 };
  rejectionSchema.parse(rejection);
  for (const more of [{ body: "…" }, { count: 0 }, { bytes: -1 }, { sha256: "sha256:x" }]) {
    assert.equal(rejectionSchema.safeParse({ ...rejection, ...more }).success, false);
  }
});

test("CORE-2: bodies with a key too many, an id that is none, or a number beyond its bounds are refused", () => {
  const good = { kind: "tool", id: "t1", tool: "crm.update", input: {} };
  proposalSchema.parse(good);
  for (const wrong of [{ extra: 1 }, { id: "" }, { id: "-a" }, { id: "a b" }, { tool: "a..b" }, { tool: "*" }, { confidence: 1.1 }, { kind: "dispatch" }]) {
    assert.equal(proposalSchema.safeParse({ ...good, ...wrong }).success, false, JSON.stringify(wrong));
  }
  const decision = { id: "d1", request: "q4", decision: "approve", digest: sha256Digest("x") };
  decisionSchema.parse(decision);
  for (const wrong of [{ decision: "edit" }, { digest: undefined }, { request: "a4" }]) {
    assert.equal(decisionSchema.safeParse({ ...decision, ...wrong }).success, false, JSON.stringify(wrong));
  }
  const reported = { id: "r", action: "a2", attempt: 1, claim: { gateway: "g1", nonce: "nonce-0001" }, status: "started" };
  reportSchema.parse(reported);
  for (const wrong of [{ attempt: 0 }, { claim: { gateway: "g1", nonce: "short" } }, { status: "verified" }, { action: "a0" }, { usage: { cost_usd: -1 } }]) {
    assert.equal(reportSchema.safeParse({ ...reported, ...wrong }).success, false, JSON.stringify(wrong));
  }
  assert.equal(controlSchema.safeParse({ verb: "delete", id: "c" }).success, false);
  assert.equal(controlSchema.safeParse({ verb: "resolve", id: "c" }).success, false);
  assert.equal(applySchema.safeParse({ id: "a", document: "latest" }).success, false);
});

test("the hash of an input does not depend on the order of its keys", () => {
  const { input } = report("a2", "succeeded").tell(run.state, "2026-01-31T09:30:00.000Z");
  const turned = Object.fromEntries(Object.entries(input.body).reverse());
  assert.equal(canonicalDigest(turned), input.hash);
});
