/** GUARD-7: what is wrong with an account's answer, and which member of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DONE, STALE } from "../../machines/outcome.ts";
import type { Need } from "../../schemas/facts.ts";
import type { LedgerName } from "../../schemas/ids.ts";
import { claim, finish, given, type Given, report, start, tool } from "./given.ts";
import { reply, type ReplyOptions } from "./replies.ts";

const NEED: Need = { ledger: "team.a.2026-01-31" as LedgerName, unit: "cost", window: "2026-01-31", need: 10, want: 100 };
const asking = [start(), tool("t1", { costMicroUsd: 10, needs: [NEED] })];
/** It waits for the lease `l4.1`. */
const waiting = given(...asking);
/** It waits for leave to give back `r13.1`. */
const leaving = given(...asking, reply("l4.1"), claim("t1"), report("t1", "succeeded"), finish("f"));

test("GUARD-7: an answer that fits nothing that was asked is refused by the member that is at fault, and read no further", () => {
  const cases: readonly [what: string, run: Given, id: string, o: ReplyOptions, refusal: readonly [code: string, path: string | undefined]][] = [
    ["no answer at all", waiting, "l4.1", { body: { name: "lease", need: 1, want: 1 } as never }, ["signal.not_taken", undefined]],
    ["of another account", waiting, "l4.1", { by: "ledger:team%2Eb%2E2026-01-31" }, ["signal.wrong_sender", "/ledger"]],
    ["to what was not asked", waiting, "l9.1", {}, ["signal.unknown", "/id"]],
    ["to a lease, as if it were a return", waiting, "l4.1", { body: { name: "returned", unused: 1, last: false } as never }, ["signal.mismatch", "/id"]],
    ["to a return, as if it were a lease", leaving, "r13.1", { body: { name: "leased", granted: 0, total: 0 } as never }, ["signal.mismatch", "/id"]],
    ["of another window", waiting, "l4.1", { body: { window: "2026-02-01" } }, ["signal.mismatch", "/id"]],
    ["less than the need, and not nothing", waiting, "l4.1", { granted: 1 }, ["signal.mismatch", "/granted"]],
    ["one less than the need", waiting, "l4.1", { granted: 9 }, ["signal.mismatch", "/granted"]],
    ["one more than the wish", waiting, "l4.1", { granted: 101 }, ["signal.mismatch", "/granted"]],
    ["more than was given back", leaving, "r13.1", { body: { unused: 91 } as never }, ["signal.mismatch", "/unused"]],
    ["of a return that is not the last", leaving, "r13.1", { body: { last: false } as never }, ["signal.mismatch", "/unused"]],
  ];
  for (const [what, run, id, o, [code, path]] of cases) assert.deepEqual(run.when(reply(id, o)).refused(code).map((one) => one.path), [path], what);
  for (const granted of [10, 100]) waiting.when(reply("l4.1", { granted })).then("budget.leased", "action.validated", "action.approved", "action.dispatched");
  leaving.when(reply("r13.1")).then("budget.returned");
});

test("law 6: a timer that nobody waits for any more is a refusal of its own, which no other is taken for", () => {
  assert.deepEqual(STALE.map(({ code }) => code), ["timer.stale"]);
  assert.deepEqual(DONE, []);
});
