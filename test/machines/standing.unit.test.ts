/** APP-3: an approval that stands for later actions of the same shape, exactly as far as it was written and allowed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { limitUnits, shapeOf } from "../../machines/standing.ts";
import { approversOf } from "../../machines/persons.ts";
import type { ToolFacts } from "../../schemas/facts.ts";
import type { Standing } from "../../schemas/inputs.ts";
import {
  after, approve, claim, edit, given, HIT, type Line, OTHER_DOCUMENTS, personOf, report, start, tool, type ToolOptions,
} from "./given.ts";

const limits: ToolFacts["standing"] = { max_uses: 3, max_seconds: 600, vary: ["/amount", "/note"], max_amount: 1_000_000, max_total: 2_500_000 };
const refund = (dollars: number, more: ToolOptions = {}): ToolOptions => ({
  decision: "ask", input: { to: "cus_1", amount: dollars, note: `for ${dollars}` }, amount: { units: dollars * 10_000 }, standing: limits, ...more,
});
const wide: Standing = { vary: ["/amount", "/note"], max_amount: "100", max_total: "250", uses: 3, expires_seconds: 600 };
const approved = (standing: Standing = wide, ...lines: Line[]) => given(start(), tool("t1", refund(100)), approve("t1", "ann", { standing }), ...lines);
const STANDS = ["action.proposed", "action.validated", "action.approved", "action.dispatched"] as const;
const ASKS = ["action.proposed", "action.validated", "approval.requested"] as const;

test("APP-3: a later action of the same shape needs no new approval, and its record says whose approval stands for it", () => {
  const run = approved();
  const events = run.when(tool("t2", refund(50))).then(...STANDS);
  assert.deepEqual(events[2]?.data, { action: "a8", by: "standing", policies: ["p1"], approvers: ["ann"], standing: "q4" });
  const [granted] = given(start(), tool("t1", refund(100))).when(approve("t1", "ann", { standing: wide })).then("approval.granted", "action.approved", "action.dispatched");
  assert.deepEqual(granted?.type === "approval.granted" && granted.data.standing, wide);
  given(start(), tool("t1", refund(100)), approve("t1")).when(tool("t2", refund(100))).then(...ASKS);
});

test("APP-3: what may not vary is the same; what is not said to vary does not", () => {
  const run = approved();
  for (const input of [{ to: "cus_2", amount: 50, note: "x" }, { to: "cus_1", amount: 50, note: "x", more: 1 }, { amount: 50, note: "x" }]) {
    run.when(tool("t2", refund(50, { input }))).then(...ASKS);
  }
  run.when(tool("t2", refund(50, { input: { to: "cus_1", amount: 50 } }))).then(...STANDS);
  approved({ ...wide, vary: ["/amount"] }).when(tool("t2", refund(50))).then(...ASKS);
  run.when(tool("t2", refund(50, { tool: "crm.other" }))).then(...ASKS);
});

test("APP-3: each use and all uses together stay within the amounts, to the cent", () => {
  approved().when(tool("t2", refund(100))).then(...STANDS);
  approved().when(tool("t2", refund(100.0001))).then(...ASKS);
  const two = approved(wide, tool("t2", refund(100)), tool("t3", refund(100)));
  two.when(tool("t4", refund(50))).then(...STANDS);
  two.when(tool("t4", refund(50.0001))).then(...ASKS);
  // what was used is used, whatever became of it
  approved(wide, tool("t2", refund(100)), tool("t3", refund(100)), claim("t3"), report("t3", "failed", { effect: "none" })).when(tool("t4", refund(51))).then(...ASKS);
  // an unsaid limit is as narrow as the action that was approved
  const unsaid = { vary: wide.vary, uses: 2, expires_seconds: 600 };
  approved(unsaid).when(tool("t2", refund(100))).then(...STANDS);
  approved(unsaid).when(tool("t2", refund(101))).then(...ASKS);
  approved(unsaid, tool("t2", refund(100))).when(tool("t3", refund(100))).then(...STANDS);
  approved().when(tool("t2", refund(50, { amount: { units: 500_000, currency: "EUR" } }))).then(...ASKS);
  approved().when(tool("t2", { ...refund(50), amount: undefined as never })).then(...ASKS);
});

test("APP-3: it ends with its uses and with its time", () => {
  const small = { ...wide, uses: 1 };
  approved(small, tool("t2", refund(1))).when(tool("t3", refund(1))).then(...ASKS);
  approved(wide).when(after(599_000, tool("t2", refund(1)))).then(...STANDS);
  approved(wide).when(after(600_000, tool("t2", refund(1)))).then(...ASKS);
});

test("APP-3: it covers no irreversible action, nothing tainted, no stricter question, and no changed documents", () => {
  const run = approved();
  run.when(tool("t2", refund(1, { effect: "irreversible" }))).then(...ASKS);
  run.when(tool("t2", refund(1, { sources: ["a2"] }))).then(...ASKS);
  run.when(tool("t2", refund(1, { count: 2 }))).then(...ASKS);
  run.when(tool("t2", refund(1, { documents: OTHER_DOCUMENTS }))).then(...ASKS);
  const finance = { ...refund(1), judgement: { decision: "ask" as const, policies: [], ask: { role: "finance", count: 1 }, reasons: [], errors: [], engine: "test 1" } };
  run.when(tool("t2", finance)).then(...ASKS);
  run.when(tool("t2", refund(1, { decision: "deny" }))).then("action.proposed", "action.validated", "action.denied");
  run.when(tool("t2", refund(1, { guard: HIT }))).then("action.proposed", "action.validated", "action.denied");
  const tainted = approved(wide, claim("t1"), report("t1", "succeeded", { marks: { tainted: true, labels: [], cleanses: false } }));
  tainted.when(tool("t2", refund(1))).then(...ASKS);
});

test("APP-3: nobody lets an approval stand further than the contract does, nor for what is irreversible or tainted", () => {
  const asked = (more: ToolOptions = {}, ...lines: Line[]) => given(start(), ...lines, tool("t1", refund(100, more)));
  const refusals: readonly [Partial<Standing>, string][] = [
    [{ vary: ["/to"] }, "standing.vary"],
    [{ vary: [""] }, "standing.vary"],
    [{ vary: ["/amounts"] }, "standing.vary"],
    [{ uses: 4 }, "standing.uses"],
    [{ expires_seconds: 601 }, "standing.time"],
    [{ max_amount: "100.0001" }, "standing.amount"],
    [{ max_total: "250.0001" }, "standing.amount"],
  ];
  for (const [more, code] of refusals) asked().when(approve("t1", "ann", { standing: { ...wide, ...more } })).refused(code);
  asked({ standing: undefined as never }).when(approve("t1", "ann", { standing: wide })).refused("standing.not_allowed");
  asked({ effect: "irreversible" }).when(approve("t1", "ann", { standing: wide })).refused("standing.irreversible");
  asked({ sources: ["a2"] }).when(approve("t1", "ann", { standing: wide })).refused("standing.tainted");
  const read = [tool("t0", { effect: "read" }), report("t0", "succeeded", { marks: { tainted: true, labels: [], cleanses: false } })];
  asked({}, ...read).when(approve("t1", "ann", { standing: wide })).refused("standing.tainted");
  const { max_amount: _, ...total } = wide;
  asked({ amount: undefined as never }).when(approve("t1", "ann", { standing: total })).refused("standing.amount");
  asked().when(approve("t1", "ann", { standing: { ...wide, vary: ["/note/inner"] } })).then("approval.granted", "action.approved", "action.dispatched");
});

test("APP-3: what N persons must agree to stands only when all of them wrote the same", () => {
  const asked = [start(), tool("t1", refund(100, { count: 2 }))];
  const both = (first?: Standing, second?: Standing) =>
    given(...asked, approve("t1", "ann", first && { standing: first }), approve("t1", "bob", second && { standing: second }));
  both(wide, wide).when(tool("t2", refund(1, { count: 2 }))).then(...STANDS);
  both(wide, wide).when(tool("t2", refund(1))).then(...STANDS);
  both(wide, { ...wide, uses: 2 }).when(tool("t2", refund(1, { count: 2 }))).then(...ASKS);
  both(wide).when(tool("t2", refund(1, { count: 2 }))).then(...ASKS);
  both(undefined, wide).when(tool("t2", refund(1, { count: 2 }))).then(...ASKS);
});

test("APP-3 law 9: whoever agreed is counted again at each claim; when they do not count any more the approval stands no longer", () => {
  const run = [tool("t2", refund(1)), tool("t3", refund(2))];
  assert.deepEqual(approversOf(approved(wide, ...run).state, "a8" as never), ["ann"]);
  approved(wide, ...run).when(claim("t2")).then("action.started");
  const fallen = approved(wide, ...run).when(claim("t2", { approvers: { ann: null } }));
  fallen.then("approval.stale", "action.validated", "approval.requested");
  assert.equal(fallen.state().standings.size, 0);
  const gone = approved(wide, ...run, claim("t2", { approvers: { ann: null } }));
  gone.when(tool("t4", refund(1))).then(...ASKS);
  gone.when(claim("t3")).then("action.validated", "approval.requested");
  gone.when(approve("t2", "bob")).then("approval.granted", "action.approved", "action.dispatched");
  // nobody was revoked, but the principal is the one who agreed
  approved(wide, ...run).when(claim("t2", { approvers: { ann: personOf("ann", { roles: [] }) } })).then("approval.stale", "action.validated", "approval.requested");
});

test("APP-3: an edited input may fall under an approval that stands, and then only within it", () => {
  const run = approved(wide, tool("t2", refund(400)));
  run.when(edit("t2", { to: "cus_1", amount: 90, note: "less" }, refund(90, { input: { to: "cus_1", amount: 90, note: "less" } }), "bob")).then(
    "approval.edited", "action.denied", "action.proposed", "action.validated", "action.approved", "action.dispatched",
  );
});

test("APP-3: shapes and limits are exact", () => {
  assert.equal(shapeOf({ a: { b: 1, c: 2 } }, ["/a/b"]), shapeOf({ a: { c: 2, b: { x: 1 } } }, ["/a/b"]));
  assert.notEqual(shapeOf({ a: { b: 1, c: 2 } }, ["/a/b"]), shapeOf({ a: { b: 1, c: 3 } }, ["/a/b"]));
  assert.equal(shapeOf([1, 2, 3], ["/1"]), shapeOf([1, 9, 3], ["/1"]));
  assert.notEqual(shapeOf([1, 2, 3], ["/1"]), shapeOf([1, 3], ["/1"]));
  assert.notEqual(shapeOf([1, 2], ["/5"]), shapeOf([1, 2, 3], ["/5"]));
  assert.equal(shapeOf({ "a/b": 1, "~": 2 }, ["/a~1b", "/~0"]), shapeOf({}, ["/a~1b", "/~0"]));
  assert.equal(shapeOf({ anything: 1 }, [""]), shapeOf(7, [""]));
  assert.equal(shapeOf({}, ["/constructor/name"]), shapeOf({}, []));
  assert.deepEqual(["19.99", "0.00009", "7", "999999999999999999999"].map(limitUnits), [199_900, 0, 70_000, Number.MAX_SAFE_INTEGER]);
});
