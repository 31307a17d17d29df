/**
 * The plane's decision on one input: a pure function of the run's folded state, the input, and the facts that were
 * looked up for it. Who hears what: the run's own machine its life, each action and approval its own events.
 */
import type { EventDraft } from "../schemas/event.ts";
import type { Facts } from "../schemas/facts.ts";
import { type ActionId, type Actor, type Digest, actionId, startingAgent } from "../schemas/ids.ts";
import type { ApplyChangeInput, ControlInput, DecisionInput, DueInput, ReportInput, SignalInput } from "../schemas/inputs.ts";
import type { Proposal, StartProposal, ToolProposal } from "../schemas/proposal.ts";
import { type Reason, reason } from "../schemas/reason.ts";
import { canonicalText, sha256Digest } from "../schemas/canonical.ts";
import { microUsd } from "../schemas/money.ts";
import { later, millis } from "../schemas/time.ts";
import type { Outcome } from "./action-rules.ts";
import { admit } from "./admit.ts";
import type { Change, RunState } from "./state.ts";
import { Work } from "./work.ts";
import { exhaustedBy } from "./budget.ts";

/**
 * Actions of one run that have not ended. The end of a run ends them all in one commit, with at most three events
 * each, and the journal takes at most 1,000 messages at once.
 */
export const MAX_OPEN_ACTIONS = 256;

interface From {
  readonly actor: Actor;
  /** The sender's id of the input; for a due timer its name. */
  readonly id: string;
  /** SHA-256 of the body's canonical form. */
  readonly hash: Digest;
  /** The server's time on the stored input. */
  readonly time: string;
  readonly traceparent: string | undefined;
}
export type RunInput = From &
  (
    | { readonly kind: "propose"; readonly body: Proposal }
    | { readonly kind: "decide"; readonly body: DecisionInput }
    | { readonly kind: "report"; readonly body: ReportInput }
    | { readonly kind: "control"; readonly body: ControlInput }
    /** Several documents are to be put in force: a run of the plane's own agent. */
    | { readonly kind: "apply"; readonly body: ApplyChangeInput }
    /** An answer of another aggregate; `actor` is its token. */
    | { readonly kind: "signal"; readonly body: SignalInput }
    | { readonly kind: "due"; readonly body: DueInput }
  );

export type Decision =
  /** These events, this change, both or neither. */
  | { readonly kind: "commit"; readonly drafts: readonly EventDraft[]; readonly change: Change }
  /** Applied before: the sender is told again how things stand. */
  | { readonly kind: "duplicate" }
  /** Nothing happens to the run; the sender is told why. */
  | { readonly kind: "refuse"; readonly reasons: readonly Reason[] }
  /** A timer that was replaced or is no longer waited for. */
  | { readonly kind: "ignore" };

const refuse = (...reasons: Reason[]): Decision => ({ kind: "refuse", reasons });

/** `decide(state, input, facts)`: same arguments, same events, byte for byte. `state` is only read. */
export function decide(state: RunState, input: RunInput, facts: Facts): Decision {
  const work = new Work(state, state.at === "" ? input.time : later(state.at, input.time));
  if (input.kind === "due") return finish(work, due(work, input.body));

  const key = `${input.kind}/${input.actor}/${input.id}`;
  const known = state.inputs.get(key);
  if (known === input.hash) return { kind: "duplicate" };
  if (known !== undefined) {
    return refuse(
      reason("id.reused", `id \`${input.id}\` was used before with other content`, { path: "/id", help: "give every new message an id of its own" }),
    );
  }
  const outcome = route(work, input, facts);
  if (outcome.length === 0) work.remember(key, input.hash);
  return finish(work, outcome);
}

/** Handlers answer with the reasons of a refusal, or with none when they drafted events. */
type Refusal = readonly Reason[];
const DONE: Refusal = [];
const STALE: Refusal = [reason("timer.stale", "the timer is no longer waited for")];

function finish(work: Work, refusal: Refusal): Decision {
  if (refusal === STALE) return { kind: "ignore" };
  if (refusal.length > 0) return { kind: "refuse", reasons: refusal };
  return { kind: "commit", drafts: work.drafts, change: work.change() };
}

function route(work: Work, input: RunInput, facts: Facts): Refusal {
  const { state } = work;
  if (input.kind === "propose" && input.body.kind === "start") return start(work, input, input.body, facts);
  if (state.seq === 0) {
    return [reason("run.unknown", `there is no run \`${state.run}\``, { help: "propose `start` first" })];
  }
  switch (input.kind) {
    case "propose":
      // a start was taken above
      return propose(work, input, input.body as Exclude<Proposal, StartProposal>, facts);
    case "decide":
      return answer(work, input, input.body, facts);
    case "report":
      return report(work, input.actor, input.body, facts);
    case "control":
      return control(work, input.actor, input.body, facts);
    case "due":
      return due(work, input.body);
    case "apply":
    case "signal":
      return [reason("kind.not_taken", `a run does not take \`${input.kind}\``)];
  }
}

function start(work: Work, input: RunInput, body: StartProposal, facts: Facts): Refusal {
  const { state } = work;
  if (startingAgent(state.run) !== input.actor) {
    return [reason("run.prefix", `only \`${startingAgent(state.run)}\` may start \`${state.run}\``, { help: "a run's name begins with its agent's" })];
  }
  if (state.seq > 0) return [reason("run.exists", `run \`${state.run}\` was started before`, { help: "choose another run id" })];
  if (facts.kind !== "start") throw new Error("a start came without its facts");
  const refusal = admit(work, input.actor, input.traceparent, body, facts);
  if (refusal.length === 0) work.propose(`${input.actor}/${input.id}`, { kind: "start", seq: work.next - 1, at: work.at });
  return refusal;
}

function propose(work: Work, input: RunInput, body: Exclude<Proposal, StartProposal>, facts: Facts): Refusal {
  const { state } = work;
  if (input.actor !== state.holder) {
    return [reason("run.not_holder", `run \`${state.run}\` is held by \`${state.holder}\``)];
  }
  if (work.over) return [reason("run.ended", `run \`${state.run}\` is ${work.life}`, { help: "start another run" })];
  const record = { seq: work.next, at: work.at };
  const key = `${input.actor}/${input.id}`;
  switch (body.kind) {
    case "note":
      work.run({ type: "NOTE", text: body.text });
      work.propose(key, { kind: "note", ...record });
      return DONE;
    case "finish": {
      const open = work.openActions();
      if (open.length > 0) {
        return [reason("run.actions_open", `${open.length} action(s) have not ended: ${open.slice(0, 8).join(", ")}`, { help: "await their outcome, or propose `fail`" })];
      }
      if (work.held) return [reason("run.paused", "the run is paused", { help: "an operator resumes it" })];
      work.run({ type: "FINISH", output: body.output });
      work.set.output = body.output;
      work.propose(key, { kind: "finish", ...record });
      return DONE;
    }
    case "fail":
      endWith(work, () => work.run({ type: "FAIL", error: body.error }), "the agent gave up");
      work.set.error = body.error;
      work.propose(key, { kind: "fail", ...record });
      return DONE;
    case "tool":
      return proposeTool(work, input, body, facts);
  }
}

function proposeTool(work: Work, input: RunInput, body: ToolProposal, facts: Facts): Refusal {
  if (facts.kind !== "tool") throw new Error("a tool proposal came without its facts");
  const { state } = work;
  if (state.open.size >= MAX_OPEN_ACTIONS) {
    return [reason("run.too_many_open", `${MAX_OPEN_ACTIONS} actions have not ended`, { help: "await the outcome of some" })];
  }
  const cost = facts.tool?.cost_micro_usd ?? 0;
  const exhausted = exhaustedBy(state, cost);
  if (exhausted !== undefined && state.exhausted) return [exhausted.reason];

  const id = actionId(work.next);
  const seq = work.next;
  work.beginAction({ id, proposal: input.id, agent: input.actor, tool: body.tool, asked: body });
  // what the budget no longer covers is no step
  if (exhausted?.budget !== "steps") work.set.spent = { ...state.spent, steps: state.spent.steps + 1 };
  work.draft({
    type: "action.proposed",
    from: work.life,
    to: "proposed",
    data: { action: id, proposal: input.id, tool: body.tool, agent: input.actor },
  });
  const valid = facts.faults.length === 0;
  // a rejected proposal costs no money, but it is a step: otherwise junk could be proposed for ever
  if (exhausted !== undefined && (valid || exhausted.budget === "steps")) {
    work.set.exhausted = true;
    work.draft({
      type: "budget.exhausted",
      from: work.life,
      to: work.life,
      data: { action: id, budget: exhausted.budget, limit: exhausted.limit, used: exhausted.used },
    });
  } else if (valid && cost > 0 && facts.judgement?.decision !== "deny") work.reserve(id, cost);

  const text = valid ? actionDocument(work, id, body, facts.documents) : undefined;
  work.act(
    id,
    {
      type: "JUDGE",
      facts,
      exhausted: exhausted?.reason,
      document: text === undefined ? undefined : { text, digest: sha256Digest(text) },
    },
    (request, digest) => approvalView(work, id, body, request, digest, JSON.parse(text ?? "null")),
  );
  work.propose(`${input.actor}/${input.id}`, { kind: "tool", action: id, seq, at: work.at });
  return DONE;
}

/** Text of the action document: what is judged, shown, stored and sent, and what the digest is over. */
function actionDocument(
  work: Work,
  id: ActionId,
  body: ToolProposal,
  documents: { tool?: Digest | undefined; contract?: Digest | undefined },
): string {
  return canonicalText({
    ns: work.state.ns,
    run: work.state.run,
    action: id,
    tool: body.tool,
    tool_hash: documents.tool,
    contract_hash: documents.contract,
    input: body.input,
    principal: work.state.envelope?.principal ?? null,
  });
}

/** What an approver is shown. The agent's own words are in `agent_says`, apart from what the plane knows. */
function approvalView(work: Work, id: ActionId, body: ToolProposal, request: string, digest: Digest, document: unknown) {
  const { envelope, goal } = work.state;
  const agentSays = { goal, why: body.why, confidence: body.confidence, uses: body.uses };
  return {
    action: id,
    action_digest: digest,
    action_document: document,
    agent: envelope?.agent,
    agent_says: agentSays,
    owner: envelope?.owner,
    principal: envelope?.principal ?? null,
    request,
    team: envelope?.team,
  };
}

function answer(work: Work, input: RunInput, body: DecisionInput, facts: Facts): Refusal {
  if (facts.kind !== "current") throw new Error("a decision came without its facts");
  const { state } = work;
  const approval = work.approval(body.request);
  const action = approval && work.action(approval.context.action);
  if (approval === undefined || action === undefined) {
    return [reason("approval.unknown", `run \`${state.run}\` has no request \`${body.request}\``, { path: "/request" })];
  }
  if (approval.value !== "requested") {
    return [reason(`approval.${approval.value === "expired" ? "expired" : "closed"}`, `request \`${body.request}\` is ${approval.value}`)];
  }
  if (input.actor === action.context.agent || input.actor === state.holder || input.actor === state.envelope?.principal?.subject) {
    return [reason("approval.self", `\`${input.actor}\` proposed it and cannot decide it`)];
  }
  if (body.digest !== approval.context.digest) {
    return [reason("approval.wrong_digest", "the digest is not that of what is asked", { path: "/digest", help: "read the request again: it may have changed" })];
  }
  if (input.time > approval.context.timer.at) {
    return [reason("approval.expired", `request \`${body.request}\` expired at ${approval.context.timer.at}`)];
  }
  const { documents } = action.context;
  const now = facts.documents;
  if (now.contract !== documents.contract || now.tool !== documents.tool || now.policy !== documents.policy) {
    const why = "contract, tool or policy changed since it was asked";
    work.answer(body.request, { type: "STALE", reason: why });
    work.act(approval.context.action, {
      type: "REFUSE",
      by: "change",
      reasons: [reason("documents.changed", why, { help: "propose it again" })],
    });
    return DONE;
  }
  const said = { by: input.actor, reason: body.reason };
  if (body.decision === "refuse") {
    work.answer(body.request, { type: "REFUSE", ...said });
    const help = body.reason === undefined ? {} : { help: body.reason };
    work.act(approval.context.action, {
      type: "REFUSE",
      by: "person",
      reasons: [reason("approval.refused", `\`${input.actor}\` refused it`, help)],
    });
    return DONE;
  }
  const value = work.answer(body.request, { type: "APPROVE", ...said });
  if (value === undefined) return [reason("approval.twice", `\`${input.actor}\` approved it before`)];
  if (value === "granted") {
    work.act(approval.context.action, { type: "GRANT", approvers: [...(work.approval(body.request)?.context.grants ?? [])] });
  }
  return DONE;
}

function report(work: Work, actor: Actor, body: ReportInput, facts: Facts): Refusal {
  const action = work.action(body.action);
  if (action === undefined) return [reason("report.unknown_action", `there is no action \`${body.action}\``, { path: "/action" })];
  // the journal shows everybody's claims: who reports is known from the credential alone
  if (body.claim.gateway !== actor) {
    return [reason("report.not_holder", `\`${actor}\` cannot report for \`${body.claim.gateway}\``, { path: "/claim/gateway" })];
  }
  if (body.status === "started") {
    if (work.life !== "active") return [reason(`run.${work.over ? "ended" : "paused"}`, `the run is ${work.life}`)];
    if (facts.kind !== "current") throw new Error("a claim came without its facts");
    const taken = work.act(body.action, { type: "CLAIM", claim: body.claim, attempt: body.attempt, documents: facts.documents });
    return taken ? DONE : [reason("report.not_holder", `attempt ${body.attempt} of \`${body.action}\` cannot be claimed: it is ${action.value}`)];
  }
  if (body.usage?.cost_usd !== undefined) work.use(body.action, microUsd(body.usage.cost_usd));
  const taken = work.act(body.action, { type: "REPORT", claim: body.claim, attempt: body.attempt, outcome: outcomeOf(body, facts) });
  return taken ? DONE : [reason("report.not_holder", `the report does not come from the holder of attempt ${body.attempt} of \`${body.action}\``)];
}

function outcomeOf(body: ReportInput, facts: Facts): Outcome {
  if (body.status === "succeeded") {
    if (facts.kind !== "output") throw new Error("an output came without its check");
    return { status: "succeeded", output: body.output ?? null, removed: body.removed ?? [], usage: body.usage, faults: facts.faults };
  }
  const error = body.error ?? { code: "tool.failed", message: "the tool failed without saying why", effect: "unknown" as const };
  return { status: "failed", error: body.status === "in_doubt" ? { ...error, effect: "unknown" } : error };
}

function control(work: Work, actor: Actor, body: ControlInput, facts: Facts): Refusal {
  const said = { by: actor, reason: body.reason };
  const notNow = [reason("control.not_applicable", `a run that is ${work.life} cannot be ${PAST[body.verb]}`)];
  switch (body.verb) {
    case "pause":
      if (work.life !== "active") return notNow;
      work.run({ type: "PAUSE", ...said });
      return DONE;
    case "resume":
      if (work.life !== "paused") return notNow;
      work.run({ type: "RESUME", ...said });
      work.set.resumes = work.state.resumes + 1;
      for (const id of work.openActions()) work.act(id, { type: "RELEASE" });
      return DONE;
    case "cancel":
      if (work.over) return notNow;
      endWith(work, () => work.run({ type: "CANCEL", ...said }), `the run was cancelled by ${actor}`);
      return DONE;
    case "cleanse":
      return notNow;
    case "resolve": {
      const error = { code: "resolved.failed", message: body.reason ?? `\`${actor}\` found that it failed`, effect: "none" as const };
      const faults = facts.kind === "output" ? facts.faults : [];
      const outcome: Outcome =
        body.outcome === "failed"
          ? { status: "failed", error }
          : { status: "succeeded", output: body.output ?? null, removed: [], usage: undefined, faults };
      if (work.act(body.action, { type: "RESOLVE", outcome })) return DONE;
      return [reason("control.not_applicable", `action \`${body.action}\` is not in doubt`, { path: "/action" })];
    }
  }
}
const PAST = { pause: "paused", resume: "resumed", cancel: "cancelled", resolve: "resolved", cleanse: "cleansed" } as const;

/** Ends the run first, then everything in it that was not begun. */
function endWith(work: Work, end: () => void, why: string): void {
  end();
  work.close(why);
}

function due(work: Work, body: DueInput): Refusal {
  const { state } = work;
  const [what, name] = body.timer.split(":", 2) as [string, string | undefined];
  if (what === "action") {
    return work.act(name as ActionId, { type: "DUE", armed: body.armed }) ? DONE : STALE;
  }
  if (what === "approval") {
    const request = name as Parameters<Work["approval"]>[0];
    const approval = work.approval(request);
    if (approval === undefined || work.answer(request, { type: "DUE", armed: body.armed }) === undefined) return STALE;
    work.act(approval.context.action, {
      type: "REFUSE",
      by: "expiry",
      reasons: [reason("approval.expired", `nobody answered by ${approval.context.timer.at}`, { help: "propose it again" })],
    });
    return DONE;
  }
  if (work.over || state.envelope === undefined) return STALE;
  const { max_wall_ms: limit } = state.envelope.budget;
  if (what === "wall" && limit !== undefined && state.wall.since !== undefined && body.armed === state.wall.armed) {
    const used = state.wall.usedMs + millis(work.at) - millis(state.wall.since);
    return outOfTime(work, "wall", limit, used);
  }
  if (what === "deadline" && state.envelope.deadline !== undefined) {
    return outOfTime(work, "deadline", millis(state.envelope.deadline), millis(work.at));
  }
  return STALE;
}

function outOfTime(work: Work, budget: "wall" | "deadline", limit: number, used: number): Refusal {
  work.set.exhausted = true;
  work.draft({ type: "budget.exhausted", from: work.life, to: work.life, data: { budget, limit, used } });
  const error = { code: `budget.${budget}`, message: budget === "wall" ? "the run's wall time is used up" : "the run's deadline passed" };
  endWith(work, () => work.run({ type: "FAIL", error }), error.message);
  work.set.error = error;
  return DONE;
}
