/** What gateways report: claims, and what became of attempts. */
import type { CurrentFacts, Facts } from "../../schemas/facts.ts";
import type { ActionId, Actor } from "../../schemas/ids.ts";
import type { ReportInput } from "../../schemas/inputs.ts";
import { type Reason, reason } from "../../schemas/reason.ts";
import { millis } from "../../schemas/time.ts";
import { type ActionContext, documentsDiffer, type Outcome } from "./action-rules.ts";
import { changed } from "./decisions.ts";
import { stopped } from "./guard-hit.ts";
import { judge } from "./judging.ts";
import { isHigher, lowered, type OutputMarks, raised } from "./marks.ts";
import { DONE, type Refusal } from "./outcome.ts";
import { agreedTo, stillAgreed } from "./persons.ts";
import type { Work } from "./work.ts";

export function report(work: Work, actor: Actor, body: ReportInput, facts: Facts): Refusal {
  const action = work.action(body.action);
  if (action === undefined) return [reason("report.unknown_action", `there is no action \`${body.action}\``, { path: "/action" })];
  // the journal shows everybody's claims: who reports is known from the credential alone
  if (body.claim.gateway !== actor) {
    return [reason("report.not_holder", `\`${actor}\` cannot report for \`${body.claim.gateway}\``, { path: "/claim/gateway" })];
  }
  if (body.status === "started") {
    if (work.life !== "active") return [reason(`run.${work.over ? "ended" : "paused"}`, `the run is ${work.life}`)];
    if (facts.kind !== "current") throw new Error("a claim came without its facts");
    if (action.value !== "dispatched" || action.context.attempt !== body.attempt) {
      return [reason("report.not_holder", `attempt ${body.attempt} of \`${body.action}\` cannot be claimed: it is ${action.value}`)];
    }
    return claim(work, action.context, body, facts);
  }
  if (facts.kind === "output" && facts.guard !== undefined && action.value === "dispatched" && action.context.effect === "read") {
    // an unclaimed read is its own claim: what it brought is not given to whoever was stopped meanwhile
    if (action.context.attempt === body.attempt) return halt(work, body.action, stopped(facts.guard), true);
  }
  if (body.usage !== undefined) work.purse.use(body.action, body.usage);
  const taken = work.act(body.action, { type: "REPORT", claim: body.claim, attempt: body.attempt, outcome: outcomeOf(body, facts) });
  if (!taken) return [reason("report.not_holder", `the report does not come from the holder of attempt ${body.attempt} of \`${body.action}\``)];
  mark(work, body.action, facts, body.status !== "succeeded");
  return DONE;
}

/**
 * Everything is asked once more before an effect begins (law 9): stops, documents, the persons who agreed, and the
 * principal on whose behalf policy alone agreed. What changed goes back to judgement, and the claim is not granted.
 */
function claim(work: Work, action: ActionContext, body: ReportInput, facts: CurrentFacts): Refusal {
  const { state } = work;
  if (facts.guard !== undefined) return halt(work, action.id, stopped(facts.guard), false);
  if (documentsDiffer(facts.documents, action.documents)) {
    const why = "contract, tool or policy changed after the approval";
    const change = changed(work, action, facts.again);
    if (facts.again === undefined || change !== undefined || action.doubt) {
      const faults = facts.again?.faults ?? [];
      return halt(work, action.id, reason("documents.changed", why, { help: change ?? "propose it again" }), false, faults);
    }
    fall(work, action, why);
    judge(work, action.id, facts.again, []);
    return DONE;
  }
  const agreed = agreedTo(state, action);
  const needed = action.rests !== undefined && action.rests.by !== "policy";
  if (needed && (agreed === undefined || !stillAgreed(state, action.agent, agreed, facts.approvers))) {
    const why = "not enough of those who approved it count any more";
    if (action.doubt || action.basis.facts === undefined) return halt(work, action.id, reason("approval.void", why), false);
    fall(work, action, why);
    judge(work, action.id, action.basis.facts, []);
    return DONE;
  }
  const expires = work.envelope?.principal?.expires_at;
  if (!needed && action.effect !== "read" && expires !== undefined && millis(expires) <= millis(work.at)) {
    const help = "propose it again, with a fresh token";
    return halt(work, action.id, reason("principal.expired", `the principal's token ended at ${expires}`, { help }), false);
  }
  work.act(action.id, { type: "CLAIM", claim: body.claim, attempt: body.attempt });
  return DONE;
}

/** The approval that an action rested on falls, with all that it would still have stood for. */
function fall(work: Work, { rests }: ActionContext, why: string): void {
  if (rests?.request === undefined) return;
  work.standings.set(rests.request, undefined);
  work.answer(rests.request, { type: "STALE", reason: why });
}

function halt(work: Work, id: ActionId, why: Reason, done: boolean, more: readonly Reason[] = []): Refusal {
  const { code, message } = why;
  const taken = work.act(id, { type: "HALT", code, message, done, reasons: [why, ...more] });
  return taken ? DONE : [reason("report.not_holder", `\`${id}\` is not dispatched`)];
}

function outcomeOf(body: ReportInput, facts: Facts): Outcome {
  if (body.status === "succeeded") {
    if (facts.kind !== "output") throw new Error("an output came without its check");
    const { output = null, removed = [], usage, scan } = body;
    return { status: "succeeded", output, removed, usage, scan, faults: facts.faults };
  }
  const error = body.error ?? { code: "tool.failed", message: "the tool failed without saying why", effect: "unknown" as const };
  return { status: "failed", error: body.status === "in_doubt" ? { ...error, effect: "unknown" } : error };
}

/**
 * An output that the agent is given marks its run; a cleansing tool's first takes the taint away. So does what a tool
 * says of its failure, which the agent is given as well: but that cleanses nothing.
 */
export function mark(work: Work, id: ActionId, facts: Facts, failure = false): void {
  const output: OutputMarks | undefined = facts.kind === "output" ? facts.marks : undefined;
  const action = work.action(id);
  if (output === undefined || action === undefined || (action.value !== "verified" && !failure)) return;
  const { life } = work;
  if (output.cleanses && !failure && !output.tainted && work.marks.tainted) {
    work.set.marks = lowered(work.marks, []);
    work.draft({ type: "taint.lowered", from: life, to: life, data: { by: "signalbox", action: id, labels: [] } });
  }
  const before = work.marks;
  const after = raised(before, id, output);
  if (after === before) return;
  work.set.marks = after;
  if (!isHigher(before, after)) return;
  const { tool } = action.context;
  const labels = output.labels.filter((label) => !before.labels.includes(label)).sort();
  work.draft({ type: "taint.raised", from: life, to: life, data: { action: id, tool, tainted: output.tainted, labels } });
}
