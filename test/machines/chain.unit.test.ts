/** ID-3: the chain of delegation, from the principal to the agent that acts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chainFrom, chainOf, principalLink } from "../../machines/chain.ts";
import type { Change } from "../../machines/state.ts";
import type { Envelope } from "../../schemas/event.ts";
import { fresh } from "./given.ts";

const envelope = (...chain: string[]) => ({ chain }) as unknown as Envelope;
const setting = (set: Change["set"]) => ({ set }) as Change;

test("ID-3: a chain begins with the principal, where there is one, and ends with the agent; who stands between comes in order", () => {
  const principal = { subject: "ada", issuer: "https://id.example", verified: true };
  assert.deepEqual(chainFrom(principal, "agent-1", "person:op", "run:r1"), ["principal:https://id.example|ada", "person:op", "run:r1", "agent:agent-1"]);
  assert.deepEqual(chainFrom(null, "agent-1"), ["agent:agent-1"]);
  assert.equal(principalLink({ subject: "ada" }), "principal:|ada", "what was never verified has no issuer");
});

test("ID-3: an event names the chain of its run: as the commit at hand sets it, else as it stands, and none before the start", () => {
  const state = fresh();
  assert.deepEqual(chainOf(state), []);
  assert.deepEqual(chainOf(state, setting({})), []);
  assert.deepEqual(chainOf(state, setting({ envelope: envelope("agent:a") })), ["agent:a"]);
  state.envelope = envelope("agent:b");
  assert.deepEqual(chainOf(state), ["agent:b"]);
  assert.deepEqual(chainOf(state, setting({})), ["agent:b"]);
  assert.deepEqual(chainOf(state, setting({ envelope: envelope("agent:a") })), ["agent:a"]);
});
