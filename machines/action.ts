/**
 * One action: a proposed tool call on its way from proposal to verified output. Read the chart top down:
 * `took(from, to, event, data)` names the event that a transition leaves in the journal.
 */
import { assign, setup } from "xstate";
import type { Reason } from "../schemas/reason.ts";
import {
  type ActionContext,
  type ActionEvent,
  type ActionInput,
  type Args,
  answersProbe,
  belied,
  byHolder,
  claimDeadline,
  currentTimer,
  denialReasons,
  endOfAction,
  firstProbe,
  judgementOf,
  junk,
  leavesDoubt,
  nextProbe,
  outcomeOf,
  probeDeadline,
  recorded,
  restsOn,
  retriesLeft,
  retryAt,
  sameAttempt,
  succeeded,
  unbegun,
  unclaimedRead,
  unknowable,
} from "./action-rules.ts";
import { stopped } from "./guard-hit.ts";
import { took } from "./record.ts";

type Guard = (args: Args) => boolean;

/** An ended action keeps its result and lets go of everything that only an open one needs. */
const closed = ({ basis }: ActionContext) => ({ document: undefined, timer: undefined, basis: { ...basis, asked: undefined, facts: undefined } });

const setContext = (change: (args: Args) => Partial<ActionContext>) =>
  assign<ActionContext, ActionEvent, undefined, ActionEvent, never>(change);

/** How an attempt can end, tried in this order. */
const ENDS = ["succeeded", "retrying", "in_doubt", "failed"] as const;
type End = (typeof ENDS)[number];

const endOf = (from: string, admitted: Guard) => ({
  succeeded: {
    guard: (args: Args) => admitted(args) && succeeded(args),
    target: "succeeded",
    actions: [
      setContext(({ context, event }) => {
        const outcome = outcomeOf(event);
        return { ...closed(context), error: undefined, output: outcome.status === "succeeded" ? outcome.output : undefined };
      }),
      took(from, "succeeded", "action.succeeded", recorded.succeeded),
    ],
  },
  retrying: {
    guard: (args: Args) => admitted(args) && retriesLeft(args),
    target: "retrying",
    actions: [
      setContext((args) => ({
        error: endOfAction(args),
        doubt: leavesDoubt(args),
        timer: { at: retryAt(args), armed: args.event.seq },
      })),
      took(from, "retrying", "action.retrying", recorded.retrying),
    ],
  },
  in_doubt: {
    guard: (args: Args) => admitted(args) && unknowable(args),
    target: "in_doubt",
    actions: [
      setContext((args) => ({ error: endOfAction(args), timer: firstProbe(args) })),
      took(from, "in_doubt", "action.in_doubt", recorded.inDoubt),
    ],
  },
  failed: {
    guard: admitted,
    target: "failed",
    actions: [
      setContext((args) => ({ ...closed(args.context), error: endOfAction(args) })),
      took(from, "failed", "action.failed", recorded.failed),
    ],
  },
});

const attemptEnds = (from: string, admitted: Guard, ends: readonly End[] = ENDS) => {
  const all = endOf(from, admitted);
  return ends.map((end) => all[end]);
};

/** What ends a doubt besides the probe. */
const foundOut = (from: string) => ({
  // whoever held the claim may find out later
  REPORT: attemptEnds(from, (args) => byHolder(args) && !unknowable(args), ["succeeded", "retrying", "failed"]),
  // a person's word is final: it brings no retry and no new doubt
  RESOLVE: attemptEnds(from, () => true, ["succeeded", "failed"]),
});

/** The tool could not say, or nobody could ask it: it is asked again, or a person has to find out. */
const probedInVain = (guard: Guard) => ({
  guard,
  target: "in_doubt",
  actions: [setContext((args) => ({ timer: nextProbe(args) })), took("probing", "in_doubt", "action.probed", recorded.probed)],
});

const dispatch = (from: string) => ({
  target: "dispatched",
  actions: [
    setContext(({ context }) => ({
      attempt: context.attempt + 1,
      claim: undefined,
      timer: undefined,
      ...(context.basis.probes > 0 && { basis: { ...context.basis, probes: 0 } }),
    })),
    took(from, "dispatched", "action.dispatched", recorded.dispatched),
  ],
});

const grantClaim = (from: string, guard: Guard, timed: boolean) => ({
  guard,
  target: "started",
  actions: [
    setContext((args) => ({
      claim: args.event.type === "CLAIM" || args.event.type === "REPORT" ? args.event.claim : undefined,
      timer: timed ? { at: claimDeadline(args), armed: args.event.seq } : undefined,
    })),
    took(from, "started", "action.started", recorded.started),
  ],
});

/** What is judged has the documents of its judgement, and what they say of the tool. */
const judged = (sentBack: 0 | 1) => setContext(({ context, event }) => {
  if (event.type !== "JUDGE" || event.facts.tool === undefined) return {};
  const { effect, timeout_ms } = event.facts.tool;
  return {
    documents: event.facts.documents,
    effect,
    timeoutMs: timeout_ms,
    digest: event.document?.digest,
    document: event.document?.text,
    rests: undefined,
    basis: { ...context.basis, facts: event.facts, unbegun: context.basis.unbegun + sentBack },
  };
});

/** Judged for the first time, or when the last of its allowances has come. */
const judge = (from: string) => [
  {
    guard: ({ event }: Args) => event.type === "JUDGE" && event.facts.faults.length > 0,
    target: "rejected",
    actions: [
      setContext(({ context, event }) => ({ ...closed(context), reasons: event.type === "JUDGE" ? event.facts.faults : [] })),
      took(from, "rejected", "action.rejected", recorded.rejected),
    ],
  },
  {
    guard: ({ event }: Args) => event.type === "JUDGE" && event.missing.length > 0,
    target: "reserving",
    actions: [took(from, "reserving", "budget.requested", recorded.requested)],
  },
  { target: "validated", actions: [judged(0), took(from, "validated", "action.validated", recorded.validated)] },
];

/** Judged anew: documents changed, or the persons it rested on do not count any more. */
const judgeAgain = (from: string, sentBack: 0 | 1) => ({
  target: "validated",
  actions: [judged(sentBack), took(from, "validated", "action.validated", recorded.validated)],
});

const deny = (from: string, guard: Guard | undefined, by: "policy" | "budget" | "stop", reasons: (args: Args) => Reason[]) => ({
  ...(guard && { guard }),
  target: "denied",
  actions: [setContext((args) => ({ ...closed(args.context), reasons: reasons(args) })), took(from, "denied", "action.denied", recorded.denied(by))],
});

const approve = (from: string, guard?: Guard) => ({
  ...(guard && { guard }),
  target: "approved",
  actions: [setContext(({ event }) => ({ rests: restsOn(event) })), took(from, "approved", "action.approved", recorded.approved)],
});

/** The run ended before this attempt was started. */
const cancelled = (from: string) => ({
  target: "failed",
  actions: [
    setContext(({ context, event }) => ({
      ...closed(context),
      error: { code: "run.ended", message: event.type === "CANCEL" ? event.reason : "the run ended", effect: unbegun(context) },
    })),
    took(from, "failed", "action.failed", recorded.failed),
  ],
});

export const actionMachine = setup({
  types: { context: {} as ActionContext, events: {} as ActionEvent, input: {} as ActionInput },
  actions: { took: (_, _event: unknown) => {}, requestApproval: (_, _request: { role: string; count: number; ttlMs: number }) => {} },
}).createMachine({
  id: "action",
  version: "3",
  options: { maxIterations: 16 },
  context: ({ input: { id, proposal, agent, tool, asked, amount, edited } }) => ({
    id,
    proposal,
    agent,
    tool,
    rests: undefined,
    basis: { asked, facts: undefined, amount, edited, unbegun: 0, probes: 0 },
    documents: {},
    effect: "irreversible",
    timeoutMs: 1,
    digest: undefined,
    document: undefined,
    attempt: 0,
    claim: undefined,
    timer: undefined,
    output: undefined,
    error: undefined,
    doubt: false,
    reasons: undefined,
  }),
  initial: "proposed",
  states: {
    proposed: { on: { JUDGE: judge("proposed") } },
    reserving: {
      on: {
        JUDGE: judge("reserving"),
        EXHAUST: deny("reserving", undefined, "budget", ({ event }) => (event.type === "EXHAUST" ? event.reasons : [])),
        CANCEL: cancelled("reserving"),
      },
    },
    validated: {
      always: [
        deny(
          "validated",
          ({ event }) => event.type === "JUDGE" && event.exhausted !== undefined,
          "budget",
          ({ event }) => (event.type === "JUDGE" && event.exhausted ? [event.exhausted] : []),
        ),
        deny(
          "validated",
          ({ event }) => event.type === "JUDGE" && event.facts.guard !== undefined,
          "stop",
          ({ event }) => (event.type === "JUDGE" && event.facts.guard ? [stopped(event.facts.guard)] : []),
        ),
        approve("validated", ({ event }) => judgementOf(event).decision === "allow"),
        approve("validated", ({ event }) => judgementOf(event).decision === "ask" && event.type === "JUDGE" && event.standing !== undefined),
        {
          guard: ({ event }) => judgementOf(event).decision === "ask",
          target: "awaiting_approval",
          actions: [
            {
              type: "requestApproval",
              params: ({ event }: Args) => ({
                role: judgementOf(event).ask?.role ?? "approver",
                count: judgementOf(event).ask?.count ?? 1,
                ttlMs: event.type === "JUDGE" ? event.facts.approval_ttl_ms : 1,
              }),
            },
          ],
        },
        deny("validated", undefined, "policy", ({ event }) => denialReasons(judgementOf(event))),
      ],
    },
    awaiting_approval: {
      on: {
        GRANT: approve("awaiting_approval"),
        REFUSE: {
          target: "denied",
          actions: [
            setContext(({ context, event }) => ({ ...closed(context), reasons: event.type === "REFUSE" ? event.reasons : [] })),
            took("awaiting_approval", "denied", "action.denied", recorded.denied("answer")),
          ],
        },
        JUDGE: judgeAgain("awaiting_approval", 0),
        CANCEL: cancelled("awaiting_approval"),
      },
    },
    approved: {
      always: { guard: ({ event }) => !event.held, ...dispatch("approved") },
      on: { RELEASE: dispatch("approved"), CANCEL: cancelled("approved") },
    },
    dispatched: {
      on: {
        CLAIM: grantClaim("dispatched", sameAttempt, true),
        REPORT: grantClaim("dispatched", unclaimedRead, false),
        HALT: {
          target: "failed",
          actions: [
            setContext(({ context, event }) => {
              if (event.type !== "HALT") return {};
              const { code, message, done, reasons } = event;
              return { ...closed(context), error: { code, message, effect: done ? ("done" as const) : unbegun(context) }, reasons };
            }),
            took("dispatched", "failed", "action.failed", recorded.failed),
          ],
        },
        JUDGE: judgeAgain("dispatched", 1),
        CANCEL: cancelled("dispatched"),
      },
    },
    started: {
      // a read's report comes as claim and result in one, and no read is ever in doubt
      always: attemptEnds("started", byHolder, ["succeeded", "retrying", "failed"]),
      on: { REPORT: attemptEnds("started", byHolder), DUE: attemptEnds("started", currentTimer, ["retrying", "in_doubt", "failed"]) },
    },
    retrying: {
      on: {
        DUE: { guard: (args: Args) => currentTimer(args) && !args.event.held, ...dispatch("retrying") },
        RELEASE: {
          guard: ({ context, event }: Args) => context.timer !== undefined && context.timer.at <= event.at,
          ...dispatch("retrying"),
        },
        REPORT: attemptEnds("retrying", belied, ["succeeded"]),
        CANCEL: cancelled("retrying"),
      },
    },
    // whoever finds out first, the holder, a person or the probe, has the last word
    in_doubt: {
      on: {
        ...foundOut("in_doubt"),
        DUE: {
          guard: currentTimer,
          target: "probing",
          actions: [
            setContext((args) => ({
              timer: probeDeadline(args),
              basis: { ...args.context.basis, probes: args.context.basis.probes + 1 },
            })),
            took("in_doubt", "probing", "action.probing", recorded.probing),
          ],
        },
      },
    },
    // a question that changes nothing: it is owed whatever became of the run, and nobody claims it
    probing: {
      on: {
        ...foundOut("probing"),
        PROBED: [
          probedInVain((args) => answersProbe(args) && args.event.type === "PROBED" && args.event.found === "unknown"),
          { guard: answersProbe, target: "probed", actions: [setContext(() => ({ timer: undefined })), took("probing", "probed", "action.probed", recorded.probed)] },
        ],
        DUE: probedInVain(currentTimer),
      },
    },
    probed: { always: attemptEnds("probed", () => true, ["succeeded", "retrying", "failed"]) },
    succeeded: {
      always: [
        {
          guard: junk,
          target: "failed",
          actions: [
            setContext(({ event }) => {
              const outcome = outcomeOf(event);
              return {
                output: undefined,
                error: { code: "output.junk", message: "the output does not fit the tool's schema", effect: "done" as const },
                reasons: outcome.status === "succeeded" ? outcome.faults : [],
              };
            }),
            took("succeeded", "failed", "action.failed", recorded.failed),
          ],
        },
        { target: "verified", actions: [took("succeeded", "verified", "action.verified", recorded.verified)] },
      ],
    },
    verified: { type: "final" },
    failed: { type: "final" },
    rejected: { type: "final" },
    denied: { type: "final" },
  },
});

/** States in which nothing more can happen to an action. */
export const ENDED: ReadonlySet<string> = new Set(["verified", "failed", "rejected", "denied"]);
