/**
 * A run as people read it, from its events alone. No machine runs here: every event names the state it led to, so a
 * view shows what the journal says even where a machine would say otherwise; telling the two apart is replay's task.
 */
import type { EventBody, EventData } from "../../schemas/event.ts";
import type { ToolFacts } from "../../schemas/facts.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import { chainLink, type JournalEvent } from "../bus/commit.ts";
import { timelineEntry } from "./timeline.ts";
import type { ActionView, ApprovalAnswer, ApprovalView, Authority, Evidence, Permission, RunView, WhyView } from "./views.ts";

/** Folds all events of a run, in order. Undefined when there are none. */
export function runView(events: readonly JournalEvent[]): RunView | undefined {
  const first = events[0]?.body;
  if (first === undefined) return undefined;
  const view: RunView = {
    run: first.run,
    ns: first.ns,
    state: "admitting",
    seq: 0,
    machine: first.machine,
    started_at: first.at,
    updated_at: first.at,
    goal: "",
    actions: [],
    approvals: [],
    spend: { steps: 0, settled_micro_usd: 0, reserved_micro_usd: 0 },
    timeline: [],
  };
  for (const event of events) {
    const { body } = event;
    view.seq = body.seq;
    view.updated_at = body.at;
    view.timeline.push(timelineEntry(event));
    if (body.type.startsWith("run.")) life(view, body);
    else if (body.type.startsWith("action.")) action(view, body);
    else if (body.type.startsWith("approval.")) approval(view, body);
    else if (body.type.startsWith("budget.")) spend(view, body);
  }
  return view;
}

function life(view: RunView, body: EventBody): void {
  view.state = body.to;
  const { data } = body;
  if (body.type === "run.started") {
    const { envelope, goal } = data as EventData<"run.started">;
    view.envelope = envelope;
    view.goal = goal;
  }
  if (body.type === "run.refused") view.reasons = (data as EventData<"run.refused">).reasons;
  if (body.type === "run.completed" && data["output"] !== undefined) view.output = data["output"] as NonNullable<RunView["output"]>;
  if (body.type === "run.failed") view.error = (data as EventData<"run.failed">).error;
}

function action(view: RunView, body: EventBody): void {
  const id = String(body.data["action"]);
  if (body.type === "action.proposed") {
    const data = body.data as EventData<"action.proposed">;
    const input = body.data["input"] as ToolProposal | undefined;
    view.spend.steps += 1;
    view.actions.push({
      action: id,
      proposal: data.proposal,
      tool: data.tool,
      agent: data.agent,
      state: body.to,
      at: body.at,
      attempt: 0,
      ...(input?.input !== undefined && { input: input.input }),
      ...(input?.why !== undefined && { why: input.why }),
    });
    return;
  }
  const one = view.actions.find((candidate) => candidate.action === id);
  if (one === undefined) return;
  one.state = body.to;
  const { digest, attempt, output, error, reasons } = body.data as Partial<ActionView>;
  if (digest !== undefined) one.digest = digest;
  if (attempt !== undefined) one.attempt = attempt;
  if (output !== undefined) one.output = output;
  if (error !== undefined) one.error = error;
  if (reasons !== undefined) one.reasons = reasons;
  // junk is not output, and an attempt that failed is past once another one succeeded
  if (body.type === "action.failed") delete one.output;
  if (body.type === "action.succeeded") delete one.error;
}

function approval(view: RunView, body: EventBody): void {
  const data = body.data as { action: string; request: string } & Record<string, unknown>;
  if (body.type === "approval.requested") {
    const { role, count, expires_at } = body.data as EventData<"approval.requested">;
    view.approvals.push({
      request: data.request,
      action: data.action,
      state: "requested",
      role,
      count,
      requested_at: body.at,
      expires_at,
      decisions: [],
    });
    const asked = view.actions.find((candidate) => candidate.action === data.action);
    if (asked !== undefined) asked.state = body.to;
    return;
  }
  const one = view.approvals.find((candidate) => candidate.request === data.request);
  if (one === undefined) return;
  one.state = body.to;
  if (body.type === "approval.granted" || body.type === "approval.refused") {
    const { by, reason, digest } = body.data as EventData<"approval.refused">;
    const decision = body.type === "approval.granted" ? "approve" : "refuse";
    one.decisions.push({ by, decision, at: body.at, digest, ...(reason !== undefined && { reason }) });
  }
}

function spend(view: RunView, body: EventBody): void {
  if (body.type === "budget.reserved") view.spend.reserved_micro_usd += (body.data as EventData<"budget.reserved">).cost_micro_usd;
  if (body.type === "budget.settled") {
    const { cost_micro_usd, reserved_micro_usd } = body.data as EventData<"budget.settled">;
    view.spend.settled_micro_usd += cost_micro_usd;
    view.spend.reserved_micro_usd -= reserved_micro_usd;
  }
}

/** The request that was asked for by its id or by its action; of an action's, the last one. */
export function approvalAnswer(events: readonly JournalEvent[], wanted: { request?: string; action?: string }): ApprovalAnswer | undefined {
  const view = runView(events);
  const found = view?.approvals.findLast((one) => (wanted.request === undefined ? one.action === wanted.action : one.request === wanted.request));
  const asked = events.find(({ body }) => body.type === "approval.requested" && body.data["request"] === found?.request);
  if (view === undefined || found === undefined || asked === undefined) return undefined;
  return {
    run: view.run,
    request: found.request,
    action: found.action,
    state: found.state,
    role: found.role,
    count: found.count,
    grants: found.decisions.filter(({ decision }) => decision === "approve").map(({ by }) => by),
    expires_at: found.expires_at,
    view: (asked.body.data as EventData<"approval.requested">).view,
  };
}

/** The three questions of CORE-8 about one action. Undefined when the run has no such action. */
export function whyView(events: readonly JournalEvent[], action: string): WhyView | undefined {
  const view = runView(events);
  const one = view?.actions.find((candidate) => candidate.action === action);
  if (view === undefined || one === undefined) return undefined;
  const own = events.filter(({ body }) => body.data["action"] === action);
  const facts = own[0]?.body.data["facts"] as ToolFacts | undefined;
  return {
    run: view.run,
    action,
    tool: one.tool,
    state: one.state,
    authority: authority(view, one),
    permission: permission(view, own, facts),
    evidence: evidence(own, facts, one),
  };
}

function authority({ envelope }: RunView, { agent }: ActionView): Authority {
  const principal = envelope?.principal ?? null;
  const standing = principal === null ? "nobody was named" : principal.verified ? "verified" : "claimed, not verified";
  const version = envelope?.agent.version;
  return {
    principal,
    standing,
    agent,
    ...(version !== undefined && { agent_version: version }),
    ...(envelope && { owner: envelope.owner, team: envelope.team }),
  };
}

function permission(view: RunView, own: readonly JournalEvent[], facts: ToolFacts | undefined): Permission {
  const judgement = facts?.judgement;
  const decided = own.find(({ body }) => body.type === "action.approved" || body.type === "action.denied" || body.type === "action.rejected");
  const by = decided?.body.type === "action.rejected" ? "validation" : decided?.body.data["by"];
  const reasons = (decided?.body.data["reasons"] as Permission["reasons"] | undefined) ?? judgement?.reasons ?? [];
  return {
    ...(judgement && { decision: judgement.decision, engine: judgement.engine }),
    policies: judgement?.policies ?? [],
    reasons,
    errors: judgement?.errors ?? [],
    ...(typeof by === "string" && { decided_by: by }),
    approvals: view.approvals.filter(({ action }) => action === own[0]?.body.data["action"]),
  };
}

function evidence(own: readonly JournalEvent[], facts: ToolFacts | undefined, one: ActionView): Evidence {
  const documents: Record<string, string> = {};
  for (const [kind, digest] of Object.entries(facts?.documents ?? {})) if (digest !== undefined) documents[kind] = digest;
  if (one.digest !== undefined) documents["action"] = one.digest;
  return {
    documents,
    events: own.map((event) => {
      const digest = event.body.data["digest"];
      const hash = Buffer.from(chainLink(event.subject, event.data)).toString("hex");
      return { ...timelineEntry(event), hash, ...(typeof digest === "string" && { digest }) };
    }),
  };
}
