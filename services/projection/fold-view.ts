/**
 * A run as people read it, from its events alone. No machine runs here: every event names the state it led to, so a
 * view shows what the journal says even where a machine would say otherwise; telling the two apart is replay's task.
 */
import type { EventBody, EventData, Premise } from "../../schemas/event.ts";
import type { Facts, Principal, ToolFacts } from "../../schemas/facts.ts";
import type { DecisionInput, Usage } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import type { JournalEvent } from "../bus/commit.ts";
import { amountText } from "./approval-about.ts";
import { timelineEntry } from "./timeline.ts";
import type { ActionView, ApprovalView, HoldingView, RunView } from "./views.ts";

/** What was known about an action when it was judged last. */
export interface Judged {
  facts: ToolFacts;
  /** On whose behalf at that time: a fresh token may have come with it. */
  principal: Principal | null;
  times: number;
}

/** A view, and what stands behind it that only `why` shows. */
export interface Folded {
  readonly view: RunView;
  readonly judged: ReadonlyMap<string, Judged>;
}

/** Folds all events of a run, in order. Undefined when there are none. */
export function runView(events: readonly JournalEvent[]): RunView | undefined {
  return foldRun(events)?.view;
}

/** The same with what actions were judged by. */
export function foldRun(events: readonly JournalEvent[]): Folded | undefined {
  const first = events[0]?.body;
  if (first === undefined) return undefined;
  const fold = new Fold(first);
  for (const event of events) fold.take(event);
  return fold;
}

class Fold implements Folded {
  readonly view: RunView;
  readonly judged = new Map<string, Judged>();
  #principal: Principal | null = null;
  /** What accounts of amounts add up per: their names do not say it. */
  readonly #dimensions = new Map<string, NonNullable<HoldingView["dimension"]>>();
  /** Of the commit that is read: its first event holds them. */
  #premise: Partial<Premise> & { readonly kind: string } = { kind: "" };

  constructor(first: EventBody) {
    this.view = {
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
      spend: { steps: 0, settled_micro_usd: 0, reserved_micro_usd: 0, input_tokens: 0, output_tokens: 0 },
      warned: [],
      chain: [],
      marks: { tainted: false, labels: [], sources: [] },
      holdings: [],
      standings: [],
      timeline: [],
    };
  }

  take(event: JournalEvent): void {
    const { body } = event;
    const { view } = this;
    if (body.part[0] === 1) this.#begin(body);
    view.seq = body.seq;
    view.updated_at = body.at;
    if (body.cause.chain !== undefined) view.chain = body.cause.chain;
    view.timeline.push(timelineEntry(event));
    if (body.type.startsWith("run.")) this.#life(body);
    else if (body.type.startsWith("action.")) this.#action(body);
    else if (body.type.startsWith("approval.")) this.#approval(body);
    else if (body.type.startsWith("budget.")) this.#spend(body);
    else if (body.type.startsWith("taint.")) this.#taint(body);
  }

  #begin({ data, cause }: EventBody): void {
    this.#premise = { ...(data as Partial<Premise>), kind: cause.kind };
    const fresh = factsOf(this.#premise.facts)?.principal;
    if (fresh !== undefined) this.#principal = fresh;
  }

  #life(body: EventBody): void {
    const { view } = this;
    view.state = body.to;
    const { data } = body;
    if (body.type === "run.started") {
      const { envelope, goal } = data as EventData<"run.started">;
      view.envelope = envelope;
      view.goal = goal;
      view.chain = envelope.chain ?? view.chain;
      this.#principal = envelope.principal;
    }
    if (body.type === "run.refused") view.reasons = (data as EventData<"run.refused">).reasons;
    if (body.type === "run.completed" && data["output"] !== undefined) view.output = data["output"] as JsonValue;
    if (body.type === "run.failed") view.error = (data as EventData<"run.failed">).error;
  }

  #action(body: EventBody): void {
    const id = String(body.data["action"]);
    const one = body.type === "action.proposed" ? this.#proposed(body, id) : this.view.actions.find(({ action }) => action === id);
    if (one === undefined) return;
    this.#judge(one, body);
    if (body.type === "action.proposed") return;
    one.state = body.to;
    const { digest, attempt, output, error, reasons } = body.data as Partial<ActionView>;
    if (digest !== undefined) one.digest = digest;
    if (attempt !== undefined) one.attempt = attempt;
    if (output !== undefined) one.output = output;
    if (error !== undefined) one.error = error;
    if (reasons !== undefined) one.reasons = reasons;
    // junk is not output, and an attempt that failed is past once another one succeeded
    if (body.type === "action.failed") delete one.output;
    if (body.type === "action.succeeded") {
      delete one.error;
      this.#used(body.data["usage"] as Usage | undefined);
    }
    // judged anew: what was decided before is past
    if (body.type === "action.validated") delete one.approved;
    if (body.type === "action.approved") this.#approved(one, body.data as EventData<"action.approved">);
  }

  #proposed(body: EventBody, id: string): ActionView {
    const data = body.data as EventData<"action.proposed">;
    const { input, why } = this.#said();
    const one: ActionView = {
      action: id,
      proposal: data.proposal,
      tool: data.tool,
      agent: data.agent,
      state: body.to,
      at: body.at,
      attempt: 0,
      ...(input !== undefined && { input }),
      ...(why !== undefined && { why }),
    };
    if (data.edited !== undefined) {
      const before = this.view.actions.find(({ action }) => action === data.edited?.from);
      if (before !== undefined) before.replaced_by = id;
      // the decision that changed it stands in the same commit, before this
      const diff = this.view.approvals.flatMap(({ decisions }) => decisions).find(({ replacement }) => replacement === id)?.diff;
      one.edited = { ...data.edited, diff: diff ?? [] };
    }
    this.view.spend.steps += 1;
    this.view.actions.push(one);
    return one;
  }

  /** The input that the commit's cause brought: an agent's proposal, an approver's edit, or an operator's change. */
  #said(): { readonly input?: JsonValue; readonly why?: string } {
    const { input, kind } = this.#premise;
    if (kind === "decide") {
      const edited = (input as DecisionInput | undefined)?.input;
      return edited === undefined ? {} : { input: edited };
    }
    if (kind === "apply") {
      const { documents, reason } = (input ?? {}) as { documents?: JsonValue; reason?: string };
      return { ...(documents !== undefined && { input: { documents } }), ...(reason !== undefined && { why: reason }) };
    }
    const { input: given, why } = (input ?? {}) as Partial<ToolProposal>;
    return { ...(given !== undefined && { input: given }), ...(why !== undefined && { why }) };
  }

  /** What was found out about an action stands in the first event of the commit that proposes or validates it. */
  #judge(one: ActionView, { type }: EventBody): void {
    if (type !== "action.proposed" && type !== "action.validated" && type !== "action.rejected") return;
    const facts = factsOf(this.#premise.facts);
    if (facts === undefined) return;
    const before = this.judged.get(one.action);
    if (before?.facts === facts) return;
    const times = (before?.times ?? 0) + (facts.judgement === undefined ? 0 : 1);
    this.judged.set(one.action, { facts, principal: this.#principal, times });
    const amount = amountText(facts.amount);
    if (facts.tool !== undefined) one.effect = facts.tool.effect;
    if (amount !== undefined) one.amount = amount;
    if (facts.judgement?.risk !== undefined) one.risk = facts.judgement.risk;
    if (facts.sources !== undefined && facts.sources.length > 0) one.sources = facts.sources;
  }

  #approved(one: ActionView, { by, approvers, standing }: EventData<"action.approved">): void {
    one.approved = { by, approvers, ...(standing !== undefined && { standing }) };
    if (standing !== undefined) this.view.standings.find(({ request }) => request === standing)?.uses.push(one.action);
  }

  #used(usage: Usage | undefined): void {
    this.view.spend.input_tokens += usage?.input_tokens ?? 0;
    this.view.spend.output_tokens += usage?.output_tokens ?? 0;
  }

  #approval(body: EventBody): void {
    const { view } = this;
    const data = body.data as { action: string; request: string };
    const asked = view.actions.find(({ action }) => action === data.action);
    if (body.type === "approval.requested") {
      const { role, count, expires_at } = body.data as EventData<"approval.requested">;
      view.approvals.push({ request: data.request, action: data.action, state: "requested", role, count, requested_at: body.at, expires_at, decisions: [] });
      if (asked !== undefined) asked.state = body.to;
      return;
    }
    const one = view.approvals.find(({ request }) => request === data.request);
    if (one === undefined) return;
    one.state = body.to;
    if (body.type === "approval.granted" || body.type === "approval.refused" || body.type === "approval.edited") this.#decided(one, body);
  }

  #decided(one: ApprovalView, body: EventBody): void {
    const { by, reason, digest } = body.data as EventData<"approval.refused">;
    const { person, standing } = body.data as Partial<EventData<"approval.granted">>;
    const { diff, replacement } = body.data as Partial<EventData<"approval.edited">>;
    const known = person ?? personOf(this.#premise.facts);
    one.decisions.push({
      by,
      ...(known && { person: { issuer: known.issuer, subject: known.subject } }),
      decision: body.type === "approval.granted" ? "approve" : body.type === "approval.edited" ? "edit" : "refuse",
      at: body.at,
      digest,
      ...(reason !== undefined && { reason }),
      ...(standing !== undefined && { standing }),
      ...(diff !== undefined && { diff }),
      ...(replacement !== undefined && { replacement }),
    });
    if (standing !== undefined) this.view.standings.push({ request: one.request, action: one.action, by, at: body.at, digest, standing, uses: [] });
  }

  #spend(body: EventBody): void {
    const { spend, warned } = this.view;
    if (body.type === "budget.reserved") spend.reserved_micro_usd += (body.data as EventData<"budget.reserved">).cost_micro_usd;
    if (body.type === "budget.settled") {
      const { cost_micro_usd, reserved_micro_usd } = body.data as EventData<"budget.settled">;
      spend.settled_micro_usd += cost_micro_usd;
      spend.reserved_micro_usd -= reserved_micro_usd;
    }
    if (body.type === "budget.warned") warned.push((body.data as EventData<"budget.warned">).budget);
    if (body.type === "budget.requested") {
      for (const { ledger, dimension } of (body.data as EventData<"budget.requested">).needs) if (dimension !== undefined) this.#dimensions.set(ledger, dimension);
    }
    if (body.type === "budget.leased") {
      const { granted, total, cap } = body.data as EventData<"budget.leased">;
      const holding = this.#holding(body.data as EventData<"budget.leased">);
      holding.granted += granted;
      holding.total = total;
      if (cap !== undefined) holding.cap = cap;
    }
    if (body.type === "budget.returned") {
      const { unused, last } = body.data as EventData<"budget.returned">;
      const holding = this.#holding(body.data as EventData<"budget.returned">);
      holding.unused += unused;
      holding.done ||= last;
    }
  }

  #holding({ ledger, unit, window }: Pick<HoldingView, "ledger" | "unit" | "window">): HoldingView {
    const { holdings } = this.view;
    let one = holdings.find((known) => known.ledger === ledger && known.unit === unit && known.window === window);
    const dimension = this.#dimensions.get(ledger);
    if (one === undefined) holdings.push((one = { ledger, unit, window, ...(dimension && { dimension }), granted: 0, unused: 0, done: false, total: 0 }));
    return one;
  }

  #taint(body: EventBody): void {
    const { marks } = this.view;
    if (body.type === "taint.raised") {
      const { action, tool, tainted, labels } = body.data as EventData<"taint.raised">;
      marks.tainted ||= tainted;
      marks.labels = [...new Set([...marks.labels, ...labels])].sort();
      marks.sources = [...marks.sources, { action, tool, at: body.at, tainted, labels }];
      return;
    }
    const lowered: readonly string[] = (body.data as EventData<"taint.lowered">).labels;
    marks.tainted = false;
    marks.labels = marks.labels.filter((label) => !lowered.includes(label));
    // while a label stays, nobody can say any more which of them it came from
    if (marks.labels.length === 0) marks.sources = [];
  }
}

/** Of a proposal, or of an action that is judged again, also within other facts. */
function factsOf(facts: Facts | undefined): ToolFacts | undefined {
  if (facts?.kind === "tool") return facts;
  if (facts?.kind === "current") return facts.again;
  return facts?.kind === "change" ? facts.tool : undefined;
}

function personOf(facts: Facts | undefined) {
  return facts?.kind === "current" ? (facts.person ?? undefined) : undefined;
}
