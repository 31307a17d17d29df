/** What people decide of a request: agree, refuse, or put another input in the place of what was proposed. */
import { canonicalText } from "../../schemas/canonical.ts";
import type { CurrentFacts, Facts, ToolFacts } from "../../schemas/facts.ts";
import { type ActionId, type Actor, actionId } from "../../schemas/ids.ts";
import type { DecisionInput, Standing } from "../../schemas/inputs.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { type ActionContext, documentsDiffer } from "./action-rules.ts";
import type { RunInput } from "./input.ts";
import { differences } from "./diff.ts";
import { stopped } from "./guard-hit.ts";
import { beginAction, exhaustedNow, judge } from "./judging.ts";
import { uncovered } from "./leases.ts";
import { DONE, type Refusal } from "./outcome.ts";
import { decidesNot } from "./persons.ts";
import { standingFaults, standingFrom } from "./standing.ts";
import type { Approval } from "./state.ts";
import type { Work } from "./work.ts";

/** One decision at hand. */
interface Deciding {
  readonly work: Work;
  readonly by: Actor;
  readonly body: DecisionInput;
  readonly facts: CurrentFacts;
  readonly approval: Approval;
  readonly action: ActionContext;
}

export function answer(work: Work, input: RunInput, body: DecisionInput, facts: Facts): Refusal {
  if (facts.kind !== "current") throw new Error("a decision came without its facts");
  const { state } = work;
  const approval = work.approval(body.request);
  const action = approval && work.action(approval.context.action)?.context;
  if (approval === undefined || action === undefined) {
    return [reason("approval.unknown", `run \`${state.run}\` has no request \`${body.request}\``, { path: "/request" })];
  }
  if (approval.value !== "requested") {
    return [reason(`approval.${approval.value === "expired" ? "expired" : "closed"}`, `request \`${body.request}\` is ${approval.value}`)];
  }
  const not = decidesNot(state, action.agent, input.actor, facts.person, approval.context.role);
  if (not !== undefined) return [not];
  if (body.digest !== approval.context.digest) {
    return [reason("approval.wrong_digest", "the digest is not that of what is asked", { path: "/digest", help: "read the request again: it may have changed" })];
  }
  if (input.time > approval.context.timer.at) {
    return [reason("approval.expired", `request \`${body.request}\` expired at ${approval.context.timer.at}`)];
  }
  // a stop keeps nobody from saying no, but for those whom it is about
  const { guard } = facts;
  if (guard !== undefined && (body.decision !== "refuse" || /^(person|principal):/.test(guard.scope))) return [stopped(guard)];
  const deciding: Deciding = { work, by: input.actor, body, facts, approval, action };
  if (body.decision === "refuse") return turnDown(deciding);
  if (body.decision === "edit") return edit(deciding);
  return agree(deciding);
}

function turnDown({ work, by, body, action }: Deciding): Refusal {
  work.answer(body.request, { type: "REFUSE", by, reason: body.reason });
  const help = body.reason === undefined ? {} : { help: body.reason };
  work.act(action.id, { type: "REFUSE", by: "person", reasons: [reason("approval.refused", `\`${by}\` refused it`, help)] });
  return DONE;
}

function agree(deciding: Deciding): Refusal {
  const { work, by, body, facts, approval, action } = deciding;
  if (documentsDiffer(facts.documents, action.documents)) {
    const why = "contract, tool or policy changed since it was asked";
    work.answer(body.request, { type: "STALE", reason: why });
    const change = changed(work, action, facts.again);
    if (typeof change === "string" || facts.again === undefined) {
      const faults = facts.again?.faults ?? [];
      const help = typeof change === "string" ? change : "propose it again";
      work.act(action.id, { type: "REFUSE", by: "change", reasons: [reason("documents.changed", why, { help }), ...faults] });
    } else judge(work, action.id, facts.again, []);
    return DONE;
  }
  const { person } = facts;
  const { asked, facts: judged } = action.basis;
  if (person == null || judged === undefined || asked === undefined) throw new Error("a request for an action that is not open");
  if (body.standing !== undefined) {
    const faults = standingFaults(body.standing, judged, work.marks.tainted || (judged.sources?.length ?? 0) > 0);
    if (faults.length > 0) return faults;
  }
  const { issuer, subject } = person;
  const value = work.answer(body.request, { type: "APPROVE", by, reason: body.reason, issuer, subject, standing: body.standing });
  if (value === undefined) return [reason("approval.twice", `the person behind \`${by}\` approved it before`)];
  if (value !== "granted") return DONE;
  const { context } = work.approval(body.request) ?? approval;
  const standing = agreedStanding(context.people.map((one) => one.standing));
  if (standing !== undefined) work.standings.set(body.request, standingFrom(context, standing, asked, judged, work.at));
  work.act(action.id, { type: "GRANT", request: body.request, approvers: [...context.grants] });
  return DONE;
}

/** An approval stands when all who were needed wrote the same: one person's word does not bind the others. */
function agreedStanding(all: readonly (Standing | undefined)[]): Standing | undefined {
  const [first] = all;
  if (first === undefined) return undefined;
  const text = canonicalText(first);
  return all.every((one) => one !== undefined && canonicalText(one) === text) ? first : undefined;
}

/**
 * Why an action cannot simply be judged again: what it holds would not cover it. Undefined when it can.
 * Reservations and leases are those of the first judgement.
 */
export function changed(work: Work, action: ActionContext, again: ToolFacts | undefined): string | undefined {
  if (again === undefined) return "propose it again";
  if (again.faults.length > 0) return "mend it, and propose it again";
  const { facts, amount } = action.basis;
  const more = (name: "cost_micro_usd" | "input_tokens" | "output_tokens") => (again.tool?.[name] ?? 0) > (facts?.tool?.[name] ?? 0);
  if (more("cost_micro_usd") || more("input_tokens") || more("output_tokens")) return "it may cost more than was reserved: propose it again";
  if (again.amount?.units !== amount?.units || again.amount?.currency !== amount?.currency) return "what it is about in money changed: propose it again";
  if (uncovered(work.state, action.id, again.needs ?? []).length > 0) return "it needs allowances that it does not hold: propose it again";
  return undefined;
}

/** The edited action is a new one: validated and judged anew, with the id of the same proposal. Nobody approved it yet. */
function edit({ work, by, body, facts, action }: Deciding): Refusal {
  const { again } = facts;
  const { asked } = action.basis;
  if (again === undefined || body.input === undefined || asked === undefined) throw new Error("an edited input came without its judgement");
  const diff = differences(asked.input, body.input);
  if (diff.length === 0) return [reason("edit.unchanged", "the input is the same", { path: "/input", help: "approve it, or refuse it" })];
  if (again.faults.length > 0) return again.faults;
  if (again.guard !== undefined) return [stopped(again.guard)];
  const missing = uncovered(work.state, undefined, again.needs ?? []);
  const replacement = replacedBy(work, action.id);
  work.answer(body.request, { type: "EDIT", by, reason: body.reason, replacement, diff });
  const reasons: Reason[] = [reason("approval.edited", `\`${by}\` changed the input: \`${replacement}\` stands in its place`, body.reason === undefined ? {} : { help: body.reason })];
  work.act(action.id, { type: "REFUSE", by: "edit", reasons });
  const { proposal, agent } = action;
  const began = { seq: work.next, at: work.at };
  const edited = { from: action.id, by, diff };
  const id = beginAction(work, {
    agent, proposal, asked: { ...asked, input: body.input }, facts: again, missing, exhausted: exhaustedNow(work, again, false), edited,
  });
  if (id !== replacement) throw new Error(`the edited action is \`${id}\`, and \`${replacement}\` was announced`);
  work.propose(`${agent}/${proposal}`, { kind: "tool", action: id, ...began });
  return DONE;
}

/** Its id, before the events that stand in between are drafted: `approval.edited`, `action.denied`, `budget.settled`. */
function replacedBy(work: Work, old: ActionId): ActionId {
  return actionId(work.next + 2 + (work.purse.settles(old) ? 1 : 0));
}
