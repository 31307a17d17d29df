/**
 * Mutants that no test catches, each with the reason why none could or should. The command fails by a survivor that is
 * not here, and by an entry that nothing survives any more.
 */
import { type Argued, of } from "./argument.ts";
import { ACTION } from "./argued-action.ts";
import { COORDINATING } from "./argued-coordinating.ts";
import { COORDINATOR } from "./argued-coordinator.ts";
import { DOCUMENTS } from "./argued-documents.ts";
import { MACHINES } from "./argued-machines.ts";
import { PERSONAL } from "./argued-personal.ts";
import { RULES } from "./argued-rules.ts";
import { TURNS } from "./argued-turns.ts";
import { SHARES } from "./argued-shares.ts";

export const ARGUED: readonly Argued[] = [
  ...ACTION,
  ...COORDINATING,
  ...COORDINATOR,
  ...DOCUMENTS,
  ...MACHINES,
  ...PERSONAL,
  ...RULES,
  ...TURNS,
  ...SHARES,
  ...of(
    "machines/guard.ts",
    [
      'const byAnother = ({ context, event }: Args) => event.type === "LIFT" && isOther(context, event);',
      'event.type === "LIFT"', "true", "the chart asks it of a lift alone",
    ],
    [
      "types: { context: {} as StopContext, events: {} as StopEvent, input: {} as StopContext },",
      "{ context: {} , events: {} , input: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      'state.at === ""', "false", "every time is later than the empty one",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      '""', '"mutant"', "every time is later than the empty one",
    ],
  ),
  ...of(
    "machines/ledger.ts",
    [
      'if (event.type !== "LEASE") return 0;',
      'event.type !== "LEASE"', "false", "called for leases alone",
    ],
    [
      'if (event.type !== "LEASE") return 0;',
      "0", "0 + 1", "called for leases alone",
    ],
    [
      "return total + asked.need <= cap ? Math.min(wish, cap - total) : 0;",
      "total + asked.need <= cap", "true", "called where the lease fits, which the chart asks before",
    ],
    [
      "return total + asked.need <= cap ? Math.min(wish, cap - total) : 0;",
      "total + asked.need", "(total) - (asked.need)", "called where the lease fits, which the chart asks before",
    ],
    [
      "return total + asked.need <= cap ? Math.min(wish, cap - total) : 0;",
      "0", "0 + 1", "called where the lease fits, which the chart asks before",
    ],
    [
      'event.type === "LEASE" && (event.asked.unit === "amount" || event.cap === undefined || event.total + event.asked.need <= event.cap);',
      'event.type === "LEASE"', "true", "the chart asks it of a lease alone",
    ],
    [
      'event.type === "LEASE" && (event.asked.unit === "amount" || event.cap === undefined || event.total + event.asked.need <= event.cap);',
      'event.asked.unit === "amount"', "false", "of an amount no cap is ever told",
    ],
    [
      'event.type === "LEASE" && (event.asked.unit === "amount" || event.cap === undefined || event.total + event.asked.need <= event.cap);',
      '"amount"', '""', "of an amount no cap is ever told",
    ],
    [
      "export const ledgerMachine = setup({",
      "{ types: { events: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and what stands for an action that nobody executes",
    ],
    [
      "types: { events: {} as LedgerEvent },",
      "{ events: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'const after = reply.name === "leased" ? reply.total : total - (reply.name === "returned" ? reply.unused : 0);',
      'reply.name === "returned"', "true", "a reply is to a lease or to a return",
    ],
    [
      'const after = reply.name === "leased" ? reply.total : total - (reply.name === "returned" ? reply.unused : 0);',
      "0", "0 + 1", "a reply is to a lease or to a return",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      'state.at === ""', "false", "every time is later than the empty one",
    ],
    [
      'at: state.at === "" ? input.time : later(state.at, input.time),',
      '""', '"mutant"', "every time is later than the empty one",
    ],
  ),
  ...of(
    "machines/persons.ts",
    [
      "const now = approvers !== undefined && Object.hasOwn(approvers, by) ? (approvers[by] ?? null) : null;",
      "Object.hasOwn(approvers, by)", "true", "what objects inherit has no issuer, and whoever agreed has one: it does not count either",
    ],
  ),
  ...of(
    "machines/upkeep.ts",
    [
      "if (last === undefined) return;",
      "last === undefined", "false", "a change that was entered has its action, of the same commit",
    ],
  ),
  ...of(
    "machines/decide.ts",
    [
      'const work = new Work(state, state.at === "" ? input.time : later(state.at, input.time));',
      'state.at === ""', "false", "every time is later than the empty one",
    ],
    [
      'const work = new Work(state, state.at === "" ? input.time : later(state.at, input.time));',
      '""', '"mutant"', "every time is later than the empty one",
    ],
    [
      "if (outcome.length === 0) work.remember(key, input.hash);",
      "outcome.length === 0", "true", "what was refused leaves no change, and nothing that it could be remembered in",
    ],
    [
      'if (input.kind === "propose" && input.body.kind === "start") return start(work, input, input.body, facts);',
      'input.kind === "propose"', "true", "of all inputs only proposals have a kind in their body",
    ],
    [
      'case "due":',
      '"due"', '""', "timers are decided at the top, before what is remembered by its id: here the compiler wants every kind",
    ],
  ),
  ...of(
    "machines/budget.ts",
    [
      "if (step && budget.max_steps !== undefined && spent.steps + 1 > budget.max_steps) {",
      "budget.max_steps !== undefined", "true", "nothing is greater than a limit that is not there: the comparison is false",
    ],
    [
      "if (budget.max_cost_micro_usd !== undefined && spent.settled + spent.reserved + cost > budget.max_cost_micro_usd) {",
      "budget.max_cost_micro_usd !== undefined", "true", "nothing is greater than a limit that is not there: the comparison is false",
    ],
    [
      "if (limit !== undefined && limit > 0 && used * 2 >= limit) found.push({ budget: name, limit, used });",
      "limit !== undefined", "true", "a limit that is not there is not greater than nothing: the comparison is false",
    ],
  ),
  ...of(
    "machines/admit.ts",
    [
      "if (deadline !== undefined && deadline <= work.at) {",
      "deadline !== undefined", "true", "no time is earlier than none: the comparison with it is false",
    ],
    [
      "if (reasons.length > 0 || facts.agent === undefined) {",
      "facts.agent === undefined", "false", "an agent that is not there was made a reason in the line before",
    ],
  ),
  ...of(
    "machines/controls.ts",
    [
      'const PAST = { pause: "paused", resume: "resumed", cancel: "cancelled", resolve: "resolved", cleanse: "cleansed" } as const;',
      '"resolved"', '""', "an action is resolved in every life of its run: nobody is told that it could not be",
    ],
    [
      'const [what, name] = body.timer.split(":", 2) as [string, string | undefined];',
      "2", "2 + 1", "of however many parts two are taken",
    ],
    [
      'if (approval === undefined || work.answer(request, { type: "DUE", armed: body.armed }) === undefined) return STALE;',
      "approval === undefined", "false", "of a request that nobody knows the answer is undefined too",
    ],
  ),
  ...of(
    "machines/approval.ts",
    [
      'event.type === "APPROVE" || event.type === "REFUSE" || event.type === "EDIT"',
      'event.type === "APPROVE" || event.type === "REFUSE" || event.type === "EDIT"', "true", "the chart records a person's word with these three events alone",
    ],
    [
      ': { by: "" };',
      '{ by: "" }', "{}", "the chart records a person's word with the three events of a person alone",
    ],
    [
      ': { by: "" };',
      '""', '"mutant"', "the chart records a person's word with the three events of a person alone",
    ],
    [
      '...(event.type === "APPROVE" && { person: { issuer: event.issuer, subject: event.subject } }),',
      'event.type === "APPROVE"', "true", "the chart grants by an approval alone",
    ],
    [
      '...(event.type === "APPROVE" && event.standing !== undefined && { standing: event.standing }),',
      'event.type === "APPROVE"', "true", "the chart grants by an approval alone",
    ],
    [
      'event.type === "APPROVE" && !context.people.some(({ by, issuer, subject }) => by === event.by || (issuer === event.issuer && subject === event.subject));',
      'event.type === "APPROVE"', "true", "the chart asks it of an approval alone",
    ],
    [
      'if (event.type !== "APPROVE") return {};',
      'event.type !== "APPROVE"', "false", "the chart adds a grant by an approval alone",
    ],
    [
      'reason: event.type === "STALE" ? event.reason : "",',
      'event.type === "STALE"', "true", "the chart makes a request stale by this event alone",
    ],
    [
      'reason: event.type === "STALE" ? event.reason : "",',
      '""', '"mutant"', "the chart makes a request stale by this event alone",
    ],
    [
      "export const approvalMachine = setup({",
      "{ types: { context: {} , events: {} , input: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and what stands for an action that nobody executes",
    ],
    [
      "types: { context: {} as ApprovalContext, events: {} as ApprovalEvent, input: {} as ApprovalContext },",
      "{ context: {} , events: {} , input: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'target: "requested",',
      '"requested"', '""', "without a target a state stays what it is, and it is `requested`",
    ],
    [
      'replacement: event.type === "EDIT" ? event.replacement : context.action,',
      'event.type === "EDIT"', "true", "the chart asks it of an edit alone",
    ],
    [
      'diff: event.type === "EDIT" ? event.diff : [],',
      'event.type === "EDIT"', "true", "the chart asks it of an edit alone",
    ],
  ),
  ...of(
    "machines/run.ts",
    [
      'actions: [took(from, "failed", "run.failed", ({ event }: Args) => ({ error: event.type === "FAIL" ? event.error : null }))],',
      'event.type === "FAIL"', "true", "the chart records it of this event alone",
    ],
    [
      'event.type === "FINISH" && event.output !== undefined ? { output: event.output } : {},',
      'event.type === "FINISH"', "true", "the chart records it of this event alone",
    ],
    [
      'actions: [took(state, state, "note.recorded", ({ event }: Args) => ({ text: event.type === "NOTE" ? event.text : "" }))],',
      'event.type === "NOTE"', "true", "the chart records it of this event alone",
    ],
    [
      'actions: [took(state, state, "note.recorded", ({ event }: Args) => ({ text: event.type === "NOTE" ? event.text : "" }))],',
      '""', '"mutant"', "the chart records it of this event alone",
    ],
    [
      "export const runMachine = setup({",
      "{ types: { events: {} }, actions: { took: (_, _event ) => {} }, }", "{}", "types, and what stands for an action that nobody executes",
    ],
    [
      "types: { events: {} as RunEvent },",
      "{ events: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {} },",
      "{ took: (_, _event ) => {} }", "{}", "stands for an action that nobody executes: its parameters are collected by `step`",
    ],
    [
      'reasons: event.type === "TURN_AWAY" ? event.reasons : [],',
      'event.type === "TURN_AWAY"', "true", "the chart records it of this event alone",
    ],
  ),
  ...of(
    "machines/answers.ts",
    [
      'if (record.kind !== "tool" || record.action === undefined) {',
      'record.kind !== "tool"', "false", "only a tool's proposal has an action",
    ],
    [
      'if (record.kind !== "tool" || record.action === undefined) {',
      "record.action === undefined", "false", "a tool's proposal has its action, of the same commit",
    ],
    [
      'const status = STATUS_OF_ACTION[value] ?? "pending";',
      '"pending"', '""', "every state of the chart is in the table: a test asks each",
    ],
    [
      'const waiting = value === "awaiting_approval" ? approvalOf(state, context.id) : undefined;',
      'value === "awaiting_approval"', "true", "a request that is open is about an action that waits for it: for any other none is found",
    ],
  ),
  ...of(
    "machines/answers.ts",
    [
      '...(context.error !== undefined && (status === "failed" || status === "in_doubt") && { error: context.error }),',
      "context.error !== undefined", "true", "what failed or is in doubt has its error, of the same step",
    ],
  ),
];
