/** An action on its way to a verdict: begun, reserved for, judged; and judged again when what it rested on changed. */
import { sha256Digest } from "../../schemas/canonical.ts";
import type { EventData } from "../../schemas/event.ts";
import type { Need, Principal, ToolFacts } from "../../schemas/facts.ts";
import { type ActionId, type Actor, actionId } from "../../schemas/ids.ts";
import type { ToolProposal } from "../../schemas/proposal.ts";
import type { Reason } from "../../schemas/reason.ts";
import type { Edited } from "./action-rules.ts";
import { type Exhausted, exhaustedBy } from "./budget.ts";
import { standingFor, usedBy } from "./standing.ts";
import { actionDocument } from "./view.ts";
import type { Work } from "./work.ts";

export interface NewAction {
  readonly agent: Actor;
  /** The sender's id of the proposal. */
  readonly proposal: string;
  readonly asked: ToolProposal;
  readonly facts: ToolFacts;
  /** What the run did not hold of the needs when the facts were gathered. */
  readonly missing: readonly Need[];
  readonly exhausted: Exhausted | undefined;
  readonly edited?: Edited;
}

/** Proposes an action and takes it as far as it goes: rejected, waiting for allowances, denied, asked for, or dispatched. */
export function beginAction(work: Work, { agent, proposal, asked, facts, missing, exhausted, edited }: NewAction): ActionId {
  const id = actionId(work.next);
  const valid = facts.faults.length === 0;
  const amount = valid ? facts.amount : undefined;
  work.beginAction({ id, proposal, agent, tool: asked.tool, asked, amount, edited });
  // what the budget no longer covers is no step, and what an approver edited was one already
  if (exhausted?.budget !== "steps" && edited === undefined) {
    const spent = work.purse.spentSoFar();
    work.purse.spent = { ...spent, steps: spent.steps + 1 };
  }
  const data: EventData<"action.proposed"> = {
    action: id,
    proposal,
    tool: asked.tool,
    agent,
    ...(edited && { edited: { from: edited.from, by: edited.by } }),
  };
  work.draft({ type: "action.proposed", from: work.life, to: "proposed", data });
  work.purse.count(amount, asked.tool, 1);
  // a rejected proposal costs no money, but it is a step: otherwise junk could be proposed for ever
  if (exhausted !== undefined && (valid || exhausted.budget === "steps")) {
    work.set.exhausted = true;
    work.draft({
      type: "budget.exhausted",
      from: work.life,
      to: work.life,
      data: { action: id, budget: exhausted.budget, limit: exhausted.limit, used: exhausted.used },
    });
  }
  const spends = valid && exhausted === undefined && facts.guard === undefined;
  if (spends && facts.tool !== undefined && facts.judgement?.decision !== "deny") work.purse.reserve(id, facts.tool);
  judge(work, id, facts, missing, exhausted?.reason);
  return id;
}

/**
 * Sends an action its facts. What is not covered is leased first, and judged when the last allowance has come.
 * @param missing what `uncovered` said of the facts' needs, on the state and the input that they were gathered for
 */
export function judge(work: Work, id: ActionId, facts: ToolFacts, missing: readonly Need[], exhausted?: Reason): void {
  const action = work.action(id);
  const asked = action?.context.basis.asked;
  if (action === undefined || asked === undefined) throw new Error(`action \`${id}\` is not open, and cannot be judged`);
  const valid = facts.faults.length === 0;
  const spends = valid && exhausted === undefined && facts.guard === undefined;
  const lacks = spends ? missing : [];
  if (spends && facts.needs !== undefined && facts.needs.length > 0) work.purse.claim(id, facts.needs, lacks);
  const text = valid && lacks.length === 0 ? actionDocument(work.state, work.envelope, id, asked, facts.documents) : undefined;
  const standings = work.standings.size === 0 ? work.state.standings : new Map([...work.state.standings, ...work.standings]);
  const standing = spends && lacks.length === 0 ? standingFor(standings, work.marks, asked, facts, work.at) : undefined;
  work.act(id, {
    type: "JUDGE",
    facts,
    exhausted,
    missing: lacks,
    document: text === undefined ? undefined : { text, digest: sha256Digest(text) },
    standing: standing && { request: standing.request, approvers: standing.people.map(({ by }) => by) },
  });
  if (standing !== undefined && work.action(id)?.context.rests?.request === standing.request) {
    work.standings.set(standing.request, usedBy(standing, facts));
  }
}

/** Steps, money and tokens that one more action would overdraw; with what this decision already changed. */
export function exhaustedNow(work: Work, facts: ToolFacts, step = true): Exhausted | undefined {
  return exhaustedBy(work.envelope?.budget, work.purse.spentSoFar(), facts.tool, step);
}

/** A fresh token of the run's own principal stands in the place of the older one; nobody else's does. */
export function refresh(work: Work, principal: Principal | undefined): void {
  const { envelope } = work;
  const own = envelope?.principal;
  if (principal === undefined || envelope === undefined || own == null || !principal.verified || !own.verified) return;
  if (principal.issuer !== own.issuer || principal.subject !== own.subject) return;
  work.set.envelope = { ...envelope, principal };
}
