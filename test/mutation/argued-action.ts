/** Arguments for mutants of the chart of an action: see `argued.ts`. */
import { type Argued, of } from "./argument.ts";

export const ACTION: readonly Argued[] = [
  ...of(
    "machines/action.ts",
    [
      'return { ...closed(context), error: undefined, output: outcome.status === "succeeded" ? outcome.output : undefined };',
      'outcome.status === "succeeded"', "true", "the guard of the transition has asked it",
    ],
    [
      "...(context.basis.probes > 0 && { basis: { ...context.basis, probes: 0 } }),",
      "context.basis.probes > 0", "(context.basis.probes) >= (0)", "spares a copy: where there were no probes the count is none already",
    ],
    [
      "...(context.basis.probes > 0 && { basis: { ...context.basis, probes: 0 } }),",
      "context.basis.probes > 0", "true", "spares a copy: where there were no probes the count is none already",
    ],
    [
      'claim: args.event.type === "CLAIM" || args.event.type === "REPORT" ? args.event.claim : undefined,',
      'args.event.type === "CLAIM" || args.event.type === "REPORT"', "true", "the chart grants a claim by these two events alone",
    ],
    [
      "timer: timed ? { at: claimDeadline(args), armed: args.event.seq } : undefined,",
      "timed", "true", "a read that nobody claimed ends in the same step, which sets its timer anew or lets it go",
    ],
    [
      'if (event.type !== "JUDGE" || event.facts.tool === undefined) return {};',
      'event.type !== "JUDGE"', "false", "the chart leads to judgement by this event alone",
    ],
    [
      'if (event.type !== "JUDGE" || event.facts.tool === undefined) return {};',
      "event.facts.tool === undefined", "false", "a tool that nobody knows is a fault, and what has faults is not judged",
    ],
    [
      'guard: ({ event }: Args) => event.type === "JUDGE" && event.facts.faults.length > 0,',
      'event.type === "JUDGE"', "true", "the chart asks it of this event alone",
    ],
    [
      'setContext(({ context, event }) => ({ ...closed(context), reasons: event.type === "JUDGE" ? event.facts.faults : [] })),',
      'event.type === "JUDGE"', "true", "the chart asks it of this event alone",
    ],
    [
      'guard: ({ event }: Args) => event.type === "JUDGE" && event.missing.length > 0,',
      'event.type === "JUDGE"', "true", "the chart asks it of this event alone",
    ],
    [
      "...(guard && { guard }),",
      "guard", "true", "a guard that is undefined is none",
    ],
    [
      'error: { code: "run.ended", message: event.type === "CANCEL" ? event.reason : "the run ended", effect: unbegun(context) },',
      'event.type === "CANCEL"', "true", "the chart cancels by this event alone",
    ],
    [
      "export const actionMachine = setup({",
      "{ types: { context: {} , events: {} , input: {} }, actions: { took: (_, _event ) => {}, requestAp...", "{}", "types, and what stands for actions that nobody executes",
    ],
    [
      "types: { context: {} as ActionContext, events: {} as ActionEvent, input: {} as ActionInput },",
      "{ context: {} , events: {} , input: {} }", "{}", "types, of which nothing is left when it runs",
    ],
    [
      "actions: { took: (_, _event: unknown) => {}, requestApproval: (_, _request: { role: string; count: number; ttlMs: number }) => {} },",
      "{ took: (_, _event ) => {}, requestApproval: (_, _request ) => {} }", "{}", "stand for actions that nobody executes: their parameters are collected by `step`",
    ],
    [
      'EXHAUST: deny("reserving", undefined, "budget", ({ event }) => (event.type === "EXHAUST" ? event.reasons : [])),',
      'event.type === "EXHAUST"', "true", "the chart asks it of this event alone",
    ],
    [
      '({ event }) => event.type === "JUDGE" && event.exhausted !== undefined,',
      'event.type === "JUDGE"', "true", "the chart leads to judgement by this event alone",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.exhausted ? [event.exhausted] : []),',
      'event.type === "JUDGE"', "true", "the guard of the transition has asked it",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.exhausted ? [event.exhausted] : []),',
      "event.exhausted", "true", "the guard of the transition has asked it",
    ],
    [
      '({ event }) => event.type === "JUDGE" && event.facts.guard !== undefined,',
      'event.type === "JUDGE"', "true", "the chart leads to judgement by this event alone",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.facts.guard ? [stopped(event.facts.guard)] : []),',
      'event.type === "JUDGE"', "true", "the guard of the transition has asked it",
    ],
    [
      '({ event }) => (event.type === "JUDGE" && event.facts.guard ? [stopped(event.facts.guard)] : []),',
      "event.facts.guard", "true", "the guard of the transition has asked it",
    ],
    [
      'approve("validated", ({ event }) => judgementOf(event).decision === "ask" && event.type === "JUDGE" && event.standing !== undefined),',
      'event.type === "JUDGE"', "true", "`judgementOf` gives a denial for every other event",
    ],
    [
      'ttlMs: event.type === "JUDGE" ? event.facts.approval_ttl_ms : 1,',
      'event.type === "JUDGE"', "true", "`judgementOf` gives a denial for every other event, and nobody is asked",
    ],
    [
      'ttlMs: event.type === "JUDGE" ? event.facts.approval_ttl_ms : 1,',
      "1", "1 + 1", "`judgementOf` gives a denial for every other event, and nobody is asked",
    ],
    [
      'setContext(({ context, event }) => ({ ...closed(context), reasons: event.type === "REFUSE" ? event.reasons : [] })),',
      'event.type === "REFUSE"', "true", "the chart asks it of this event alone",
    ],
    [
      'REPORT: grantClaim("dispatched", unclaimedRead, false),',
      "false", "true", "a read that nobody claimed ends in the same step, which sets its timer anew or lets it go",
    ],
    [
      'if (event.type !== "HALT") return {};',
      'event.type !== "HALT"', "false", "the chart asks it of this event alone",
    ],
    [
      "guard: ({ context, event }: Args) => context.timer !== undefined && context.timer.at <= event.at,",
      "context.timer !== undefined", "true", "what is to be tried again has its timer",
    ],
    [
      'probedInVain((args) => answersProbe(args) && args.event.type === "PROBED" && args.event.found === "unknown"),',
      'args.event.type === "PROBED"', "true", "`answersProbe` has asked it",
    ],
    [
      'reasons: outcome.status === "succeeded" ? outcome.faults : [],',
      'outcome.status === "succeeded"', "true", "`junk` has asked it",
    ],
  ),
];
