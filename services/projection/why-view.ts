/** The three questions of CORE-8 about one action, and one request as an approver needs it. */
import type { EventBody, EventData, Premise } from "../../schemas/event.ts";
import type { CurrentFacts, GuardHit } from "../../schemas/facts.ts";
import { chainLink, type JournalEvent } from "../bus/commit.ts";
import { foldRun, type Folded, type Judged } from "./fold-view.ts";
import { timelineEntry } from "./timeline.ts";
import type { ActionView, ApprovalAnswer, Authority, Evidence, Permission, RunView, WhyView } from "./views.ts";

/** Undefined when the run has no such action. */
export function whyView(events: readonly JournalEvent[], action: string): WhyView | undefined {
  const run = foldRun(events);
  return run && whyOf(run, action, ownEvents(events).get(action) ?? []);
}

/** Events by the action that they name, in order, each with the premise of its commit, which stands in the first of it. */
export function ownEvents(events: readonly JournalEvent[]): Map<string, OwnEvent[]> {
  const byAction = new Map<string, OwnEvent[]>();
  let premise: Partial<Premise> = {};
  for (const event of events) {
    if (event.body.part[0] === 1) premise = event.body.data as Partial<Premise>;
    const { action } = event.body.data;
    if (typeof action !== "string") continue;
    const own = byAction.get(action);
    if (own === undefined) byAction.set(action, [{ event, premise }]);
    else own.push({ event, premise });
  }
  return byAction;
}

export interface OwnEvent {
  readonly event: JournalEvent;
  readonly premise: Partial<Premise>;
}

/** The same for a run that is folded already. */
export function whyOf({ view, judged }: Folded, action: string, own: readonly OwnEvent[]): WhyView | undefined {
  const one = view.actions.find((candidate) => candidate.action === action);
  if (one === undefined) return undefined;
  const by = judged.get(action);
  const { effect, amount, risk, sources, edited, replaced_by } = one;
  return {
    run: view.run,
    action,
    tool: one.tool,
    state: one.state,
    ...(effect !== undefined && { effect }),
    ...(amount !== undefined && { amount }),
    ...(risk !== undefined && { risk }),
    ...(sources !== undefined && { sources }),
    ...(edited !== undefined && { edited }),
    ...(replaced_by !== undefined && { replaced_by }),
    authority: authority(view, one, by),
    permission: permission(view, one, own, by),
    evidence: evidence(own, by, one),
  };
}

function authority({ envelope, chain }: RunView, { agent }: ActionView, by: Judged | undefined): Authority {
  const principal = by === undefined ? (envelope?.principal ?? null) : by.principal;
  const version = envelope?.agent.version;
  return {
    principal,
    chain: envelope?.chain ?? chain,
    standing: principal === null ? "nobody was named" : principal.verified ? "verified" : "claimed, not verified",
    agent,
    ...(version !== undefined && { agent_version: version }),
    ...(envelope && { owner: envelope.owner, team: envelope.team }),
  };
}

const DECIDED: ReadonlySet<string> = new Set(["action.approved", "action.denied", "action.rejected"]);

function permission(view: RunView, one: ActionView, own: readonly OwnEvent[], judged: Judged | undefined): Permission {
  const judgement = judged?.facts.judgement;
  // it may be approved, judged again, and denied: the last word counts
  const decided = own.findLast(({ event }) => DECIDED.has(event.body.type))?.event.body;
  const by = decided?.type === "action.rejected" ? "validation" : decided?.data["by"];
  const reasons = (decided?.data["reasons"] as Permission["reasons"] | undefined) ?? judgement?.reasons ?? [];
  const standing = view.standings.find(({ request }) => request === one.approved?.standing);
  const stop = stopOf(own);
  return {
    ...(judgement && { decision: judgement.decision, engine: judgement.engine }),
    policies: judgement?.policies ?? [],
    reasons,
    errors: judgement?.errors ?? [],
    ...(typeof by === "string" && { decided_by: by }),
    judged: judged?.times ?? 0,
    approvals: view.approvals.filter(({ action }) => action === one.action),
    ...(standing !== undefined && { standing }),
    ...(stop !== undefined && { stop }),
  };
}

/** The entry of the guard that kept it from being approved, from starting, or from being believed. */
function stopOf(own: readonly OwnEvent[]): GuardHit | undefined {
  return own.map(({ premise }) => (premise.facts as Partial<CurrentFacts> | undefined)?.guard).findLast((hit) => hit !== undefined);
}

function evidence(own: readonly OwnEvent[], judged: Judged | undefined, one: ActionView): Evidence {
  const documents: Record<string, string> = {};
  for (const [kind, digest] of Object.entries(judged?.facts.documents ?? {})) if (digest !== undefined) documents[kind] = digest;
  for (const { event, premise } of own) Object.assign(documents, personsOf(event.body, premise));
  if (one.digest !== undefined) documents["action"] = one.digest;
  return {
    documents,
    events: own.map(({ event }) => {
      const digest = event.body.data["digest"];
      const hash = Buffer.from(chainLink(event.subject, event.data)).toString("hex");
      return { ...timelineEntry(event), hash, ...(typeof digest === "string" && { digest }) };
    }),
  };
}

/** The documents that say who the approvers are. */
function personsOf({ type, data }: EventBody, { facts }: Partial<Premise>): Record<string, string> {
  if (!type.startsWith("approval.") || facts?.kind !== "current" || !facts.person) return {};
  return { [`person ${String(data["by"])}`]: facts.person.document };
}

/** The request that was asked for by its id or by its action; of an action's, the last one. */
export function approvalAnswer(events: readonly JournalEvent[], wanted: { request?: string; action?: string }): ApprovalAnswer | undefined {
  const run = foldRun(events);
  const found = run?.view.approvals.findLast((one) => (wanted.request === undefined ? one.action === wanted.action : one.request === wanted.request));
  const asked = events.find(({ body }) => body.type === "approval.requested" && body.data["request"] === found?.request);
  if (run === undefined || found === undefined || asked === undefined) return undefined;
  const standing = run.judged.get(found.action)?.facts.standing;
  return {
    run: run.view.run,
    request: found.request,
    action: found.action,
    state: found.state,
    role: found.role,
    count: found.count,
    grants: found.decisions.filter(({ decision }) => decision === "approve").map(({ by }) => by),
    expires_at: found.expires_at,
    ...(standing !== undefined && { standing }),
    view: (asked.body.data as EventData<"approval.requested">).view,
  };
}
