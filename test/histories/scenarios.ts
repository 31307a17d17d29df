/** Runs whose journals are kept for ever. Times are fixed; each scenario leads through another part of the charts. */
import {
  after, approve, claim, control, due, fail, finish, INVALID, type Line, note, OTHER_DOCUMENTS, report, resolve, start, tool, turnDown,
} from "../machines/given.ts";

const ask = { decision: "ask" } as const;
const limited = start({
  contract: { max_steps: 4, max_cost_micro_usd: 1_000_000, max_wall_ms: 60_000 },
  budget: { max_cost_usd: 0.75 },
  deadline: "2026-01-31T12:00:00Z",
  principal: { subject: "ann", issuer: "https://id.example", verified: false },
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
});

export const SCENARIOS: Readonly<Record<string, readonly Line[]>> = {
  "allowed-and-verified": [start(), note("n1"), tool("t1", { why: "because" }), claim("t1"), report("t1", "succeeded", { output: { ok: [1.5, "é"] } }), finish("f", 1)],
  "refused-at-start": [start({ version: "9", deadline: "2020-01-01T00:00:00Z" })],
  "rejected-and-denied": [start(), tool("t1", { faults: INVALID }), tool("t2", { decision: "deny" }), tool("t3", { judgement: null }), fail("x", "gave up")],
  "asked-and-granted": [start(), tool("t1", { ...ask, count: 2 }), approve("t1", "ann", { reason: "fine" }), approve("t1", "bob"), claim("t1"), report("t1", "succeeded")],
  "asked-and-turned-down": [start(), tool("t1", ask), turnDown("t1", "ann", { reason: "too much" }), tool("t2", ask), after(60_000, due("approval:t2"))],
  "asked-and-changed": [start(), tool("t1", ask), approve("t1", "ann", { documents: OTHER_DOCUMENTS }), tool("t2"), claim("t2", { documents: OTHER_DOCUMENTS })],
  "retried-until-done": [
    start(), tool("t1", { retries: 2, costMicroUsd: 300_000 }), claim("t1"), report("t1", "failed", { costUsd: 0.01 }), due("action:t1"), claim("t1"),
    report("t1", "failed"), after(5_000, due("action:t1")), claim("t1"), report("t1", "succeeded", { costUsd: 0.2 }), finish("f"),
  ],
  "retried-in-vain": [start(), tool("t1", { retries: 1, idempotent: true }), claim("t1"), after(16_000, due("action:t1")), due("action:t1"), claim("t1"), report("t1", "failed")],
  "in-doubt-and-resolved": [
    start(), tool("t1", { costMicroUsd: 5 }), claim("t1"), after(16_000, due("action:t1")), resolve("t1", "succeeded", { output: 1 }),
    tool("t2", { costMicroUsd: 5 }), claim("t2"), report("t2", "in_doubt"), resolve("t2", "failed"),
    tool("t3"), claim("t3"), report("t3", "in_doubt"), report("t3", "succeeded"),
  ],
  "junk-output": [start(), tool("t1"), claim("t1"), report("t1", "succeeded", { faults: INVALID })],
  "reads": [start(), tool("t1", { effect: "read", retries: 1 }), report("t1", "in_doubt"), due("action:t1"), report("t1", "succeeded"), tool("t2", { effect: "read" }), report("t2", "in_doubt")],
  "paused-and-resumed": [
    start(), tool("t0", { retries: 1 }), claim("t0"), report("t0", "failed"), control("pause"), tool("t1"), tool("t2", ask), approve("t2"),
    after(30_000, control("resume")), note("n"), control("pause", "p2"), fail("x", { code: "tired" }),
  ],
  "cancelled-in-flight": [
    start(), tool("t1"), tool("t2", { costMicroUsd: 7 }), tool("t3", ask), tool("t4"), claim("t1"), claim("t2"), control("cancel"),
    report("t1", "succeeded"), report("t2", "in_doubt"), resolve("t2", "succeeded"),
  ],
  "money-and-steps": [
    limited, tool("t1", { costMicroUsd: 500_000 }), tool("t2", { costMicroUsd: 500_000 }), claim("t1"), report("t1", "succeeded", { costUsd: 0.25 }),
    tool("t3", { costMicroUsd: 500_000, decision: "deny" }), tool("t4", { costMicroUsd: 500_000, decision: "ask" }),
    approve("t4", "bob"), control("cancel"),
  ],
  "out-of-time": [limited, tool("t1"), claim("t1"), tool("t2"), after(70_000, due("wall")), report("t1", "succeeded")],
  "past-its-deadline": [limited, tool("t1", ask), control("pause"), after(3 * 3600_000, due("deadline"))],
};
