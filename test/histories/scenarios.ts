/** Runs whose journals are kept for ever. Times are fixed; each scenario leads through another part of the charts. */
import type { Need, ToolFacts } from "../../schemas/facts.ts";
import type { LedgerName } from "../../schemas/ids.ts";
import { reason } from "../../schemas/reason.ts";
import {
  after, apply, approve, claim, cleanse, control, due, edit, fail, finish, HIT, INVALID, ISSUER, type Line, note, OTHER_DOCUMENTS, report, resolve, start,
  tool, type ToolOptions, turnDown,
} from "../machines/given.ts";
import { PROBE, probed } from "../machines/probes.ts";
import { reply } from "../machines/replies.ts";

const ask = { decision: "ask" } as const;
const limited = start({
  contract: { max_steps: 4, max_cost_micro_usd: 1_000_000, max_wall_ms: 60_000 },
  budget: { max_cost_usd: 0.75 },
  deadline: "2026-01-31T12:00:00Z",
  principal: { subject: "ann", issuer: "https://id.example", verified: false },
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
});

const eve = { subject: "eve", issuer: ISSUER, key_id: "k1", token_id: "1", expires_at: "2026-01-31T09:30:30.000Z", verified: true };

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
  ...probing(),
  ...leasing(),
  ...changing(),
  ...standing(),
  "marked-and-cleansed": [
    start(), tool("t1", { effect: "read" }), report("t1", "succeeded", { marks: { tainted: true, labels: ["pii", "region:eu"], cleanses: false } }),
    tool("t2", { ...ask, sources: ["a2"], uses: ["a2"], why: "the ticket says so" }), cleanse("c1", ["region:eu"]), turnDown("t2"),
    tool("t3", { effect: "read" }), report("t3", "succeeded", { marks: { tainted: true, labels: [], cleanses: false } }),
    tool("t4", { effect: "read" }), report("t4", "succeeded", { marks: { tainted: false, labels: [], cleanses: true } }), finish("f"),
  ],
  "stopped": [
    start(), tool("t1", { guard: HIT }), tool("t2"), tool("t3", { effect: "read" }), tool("t4", ask), claim("t2", { guard: HIT }),
    report("t3", "succeeded", { guard: HIT }), turnDown("t4", "ann", { guard: HIT }), control("cancel"),
  ],
  "stopped-at-start": [start({ guard: HIT, refusals: [reason("principal.expired", "the token has ended")] })],
  "token-ended": [
    start({ principal: eve }), tool("t1"), after(60_000, claim("t1")), tool("t2", { principal: { ...eve, token_id: "2", expires_at: "2026-01-31T12:00:00.000Z" } }), claim("t2"),
    report("t2", "succeeded"), finish("f"),
  ],
  "half-used": [
    start({ contract: { max_steps: 4, max_input_tokens: 100, max_output_tokens: 100, max_wall_ms: 600_000, pause_at_half: true } }),
    tool("t1", { tokens: { input: 60, output: 10 } }), claim("t1"), report("t1", "succeeded", { tokens: { input: 55 } }), control("resume"),
    tool("t2", { tokens: { input: 60 } }), control("resume", "r2"), after(400_000, due("half")), control("resume", "r3"), finish("f"),
  ],
};

/** The tool is asked what became of an attempt: it says all that it can say, in time and too late. */
function probing(): Record<string, readonly Line[]> {
  const asked: ToolOptions = { probe: PROBE, costMicroUsd: 5 };
  const doubt = (o: ToolOptions = asked): Line[] => [start(), tool("t1", o), claim("t1"), report("t1", "in_doubt"), after(16_000, due("action:t1"))];
  const retried: ToolOptions = { ...asked, retries: 1 };
  return {
    "probed-and-done": [...doubt(), probed("t1", "done", { output: { ok: 1 }, costUsd: 0.000002, marks: { tainted: true, labels: [], cleanses: false } }), finish("f")],
    "probed-and-not-done": [...doubt(), probed("t1", "none", { error: "no such call" }), finish("f")],
    "probed-and-repeated": [
      ...doubt(retried), probed("t1", "none"), due("action:t1"), claim("t1"), after(16_000, due("action:t1")), due("action:t1"), probed("t1", "done", { error: "output.too_large" }), finish("f"),
    ],
    "probed-in-vain": [
      ...doubt(), after(7_000, due("action:t1")), after(2_000, due("action:t1")), probed("t1", "unknown", { error: "busy" }), resolve("t1", "failed"), finish("f"),
    ],
    "probed-and-resolved": [...doubt(), control("pause"), resolve("t1", "succeeded", { output: 1 }), control("resume"), finish("f")],
    "probed-and-reported": [...doubt(retried), control("cancel"), report("t1", "succeeded")],
    "probed-and-belied": [...doubt(retried), probed("t1", "none"), report("t1", "succeeded"), finish("f")],
  };
}

/** Of the run of the plane's own agent. */
export const CHANGES: Readonly<Record<string, readonly Line[]>> = {
  "change-applied": [apply("c1", { why: "tighter", principal: { subject: "op-person", issuer: ISSUER, verified: true } }), claim("c1"), report("c1", "succeeded", { output: { applied: 2 } })],
  "change-reviewed": [apply("c1", { ...ask, count: 2 }), approve("c1"), approve("c1", "bob"), claim("c1"), report("c1", "in_doubt"), resolve("c1", "succeeded", { output: 1 })],
  "change-turned-down": [apply("c1", ask), turnDown("c1", "ann", { reason: "not now" })],
  "change-rejected": [apply("c1", { faults: INVALID })],
};

/** The ledger's side is in histories of its own. */
function leasing(): Record<string, readonly Line[]> {
  const window = "2026-01-31";
  const team = "team.a.2026-01-31" as LedgerName;
  const cost = (need: number, ledger = team): Need => ({ ledger, unit: "cost", window, need, want: 100 });
  const request: Need = { ledger: team, unit: "requests", window: `${window}T09:30`, need: 1, want: 10 };
  const amount: Need = { ledger: `amount.${"0".repeat(32)}.${window}` as LedgerName, unit: "amount", window, need: 70_000, want: 70_000, dimension: "target" };
  const refund: ToolOptions = { costMicroUsd: 5, needs: [cost(5), request, amount], amount: { units: 70_000 } };
  return {
    "leased-spent-returned": [
      start(), tool("t1", refund), reply("l4.1"), reply("l4.2"), reply("l4.3", { total: 90_000, judged: { ...refund, ...ask } }), approve("t1"), claim("t1"),
      report("t1", "succeeded", { costUsd: 0.000002 }), tool("t2", { costMicroUsd: 9, needs: [cost(9), request] }), claim("t2"), report("t2", "failed"),
      finish("f"), reply("return"), reply("return"),
    ],
    "lease-refused": [start(), tool("t1", refund), reply("l4.1", { granted: 0, total: 98, cap: 100 }), reply("l4.3"), reply("l4.2"), finish("f")],
    "leased-too-late": [start(), tool("t1", { costMicroUsd: 5, needs: [cost(5)] }), tool("t2"), claim("t2"), control("cancel"), reply("l4.1"), report("t2", "succeeded"), reply("return")],
  };
}

function changing(): Record<string, readonly Line[]> {
  const other = { documents: OTHER_DOCUMENTS } as const;
  return {
    "stale-and-asked-anew": [
      start(), tool("t1", ask), approve("t1", "ann", { ...other, again: ask }), approve("t1", "bob", other), claim("t1", { again: ask }), approve("t1", "cy"),
      claim("t1", { approvers: { cy: null } }), approve("t1", "ann", { id: "third" }), claim("t1"), report("t1", "succeeded"),
    ],
    "stale-and-denied": [start(), tool("t1", ask), approve("t1", "ann", { ...other, again: { decision: "deny" } }), tool("t2"), claim("t2", { ...other, again: { decision: "deny" } })],
    "edited": [
      start(), tool("t1", { ...ask, input: { amount: 300, to: "x" }, costMicroUsd: 5, amount: { units: 3_000_000 } }),
      edit("t1", { amount: 200, to: "x" }, { ...ask, costMicroUsd: 5, amount: { units: 2_000_000 } }, "ann", { reason: "less" }), approve("t1", "bob"), claim("t1"), report("t1", "succeeded"), finish("f"),
    ],
  };
}

function standing(): Record<string, readonly Line[]> {
  const limits: ToolFacts["standing"] = { max_uses: 2, max_seconds: 600, vary: ["/amount"], max_amount: 1_000_000, max_total: 1_500_000 };
  const refund = (dollars: number): ToolOptions => ({ ...ask, input: { to: "x", amount: dollars }, amount: { units: dollars * 10_000 }, standing: limits });
  const agreed = { vary: ["/amount"], max_amount: "100", uses: 2, expires_seconds: 600 };
  return {
    "standing-approval": [
      start(), tool("t1", refund(100)), approve("t1", "ann", { standing: agreed }), tool("t2", refund(80)), tool("t3", refund(80)), tool("t4", refund(70)), claim("t2"),
      report("t2", "succeeded"), claim("t4", { approvers: { ann: null } }), control("cancel"),
    ],
  };
}
