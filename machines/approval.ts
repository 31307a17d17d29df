/** One request for approval: M of N people, each once, before it expires. */
import { assign, setup } from "xstate";
import type { Difference } from "../schemas/event.ts";
import type { ActionId, Digest, RequestId } from "../schemas/ids.ts";
import type { Standing } from "../schemas/inputs.ts";
import { took } from "./record.ts";

/** One person's agreement. The name is that of the credential; the person is who the issuer says that it is. */
export interface Grant {
  readonly by: string;
  readonly issuer: string;
  readonly subject: string;
  readonly standing: Standing | undefined;
}

export interface ApprovalContext {
  readonly request: RequestId;
  readonly action: ActionId;
  /** Of what the approver is shown. A decision that names another digest decides nothing. */
  readonly digest: Digest;
  readonly role: string;
  readonly count: number;
  /** Names of those who agreed. */
  readonly grants: readonly string[];
  /** The persons behind them, in the same order: each counts once, however many names they have. */
  readonly people: readonly Grant[];
  readonly timer: { readonly at: string; readonly armed: number };
}

interface Common {
  readonly at: string;
}
export type ApprovalEvent =
  | (Common & { readonly type: "APPROVE"; readonly reason: string | undefined } & Grant)
  | (Common & { readonly type: "REFUSE"; readonly by: string; readonly reason: string | undefined })
  | (Common & { readonly type: "EDIT"; readonly by: string; readonly reason: string | undefined; readonly replacement: ActionId; readonly diff: Difference[] })
  | (Common & { readonly type: "DUE"; readonly armed: number })
  | (Common & { readonly type: "STALE"; readonly reason: string });

interface Args {
  readonly context: ApprovalContext;
  readonly event: ApprovalEvent;
}

const names = (context: ApprovalContext) => ({ action: context.action, request: context.request });
const said = (event: ApprovalEvent) =>
  event.type === "APPROVE" || event.type === "REFUSE" || event.type === "EDIT"
    ? { by: event.by, ...(event.reason !== undefined && { reason: event.reason }) }
    : { by: "" };
const granted = ({ context, event }: Args) => ({
  ...names(context),
  ...said(event),
  ...(event.type === "APPROVE" && { person: { issuer: event.issuer, subject: event.subject } }),
  digest: context.digest,
  grants: context.grants.length,
  count: context.count,
  ...(event.type === "APPROVE" && event.standing !== undefined && { standing: event.standing }),
});
/** Two names of one person are one person. */
const isNew = ({ context, event }: Args) =>
  event.type === "APPROVE" && !context.people.some(({ by, issuer, subject }) => by === event.by || (issuer === event.issuer && subject === event.subject));
const addGrant = assign<ApprovalContext, ApprovalEvent, undefined, ApprovalEvent, never>(({ context, event }) => {
  if (event.type !== "APPROVE") return {};
  const { by, issuer, subject, standing } = event;
  return { grants: [...context.grants, by], people: [...context.people, { by, issuer, subject, standing }] };
});
/** What was agreed to is not what would be done; or those who agreed do not count any more. */
const stale = (from: string) => ({
  target: "stale",
  actions: [
    took(from, "stale", "approval.stale", ({ context, event }: Args) => ({
      ...names(context),
      reason: event.type === "STALE" ? event.reason : "",
    })),
  ],
});

export const approvalMachine = setup({
  types: { context: {} as ApprovalContext, events: {} as ApprovalEvent, input: {} as ApprovalContext },
  actions: { took: (_, _event: unknown) => {} },
}).createMachine({
  id: "approval",
  version: "3",
  options: { maxIterations: 16 },
  context: ({ input }) => input,
  initial: "requested",
  states: {
    requested: {
      on: {
        APPROVE: [
          {
            guard: (args: Args) => isNew(args) && args.context.grants.length + 1 >= args.context.count,
            target: "granted",
            actions: [addGrant, took("requested", "granted", "approval.granted", granted)],
          },
          {
            guard: isNew,
            target: "requested",
            actions: [addGrant, took("requested", "requested", "approval.granted", granted)],
          },
        ],
        REFUSE: {
          target: "refused",
          actions: [
            took("requested", "refused", "approval.refused", ({ context, event }: Args) => ({
              ...names(context),
              ...said(event),
              digest: context.digest,
            })),
          ],
        },
        DUE: {
          guard: ({ context, event }) => event.armed === context.timer.armed,
          target: "expired",
          actions: [took("requested", "expired", "approval.expired", ({ context }: Args) => names(context))],
        },
        EDIT: {
          target: "edited",
          actions: [
            took("requested", "edited", "approval.edited", ({ context, event }: Args) => ({
              ...names(context),
              ...said(event),
              digest: context.digest,
              replacement: event.type === "EDIT" ? event.replacement : context.action,
              diff: event.type === "EDIT" ? event.diff : [],
            })),
          ],
        },
        STALE: stale("requested"),
      },
    },
    // until the action is begun, what was granted may still fall
    granted: { on: { STALE: stale("granted") } },
    edited: { type: "final" },
    refused: { type: "final" },
    expired: { type: "final" },
    stale: { type: "final" },
  },
});
