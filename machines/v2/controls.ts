/** What operators do to a run, and what its own timers do. */
import type { Facts } from "../../schemas/facts.ts";
import type { ActionId, Actor, RequestId } from "../../schemas/ids.ts";
import type { ControlInput, DueInput } from "../../schemas/inputs.ts";
import { reason } from "../../schemas/reason.ts";
import { millis } from "../../schemas/time.ts";
import type { Outcome } from "./action-rules.ts";
import { lowered } from "./marks.ts";
import { DONE, type Refusal, STALE } from "./outcome.ts";
import { mark } from "./reports.ts";
import { warn } from "./upkeep.ts";
import type { Work } from "./work.ts";

const PAST = { pause: "paused", resume: "resumed", cancel: "cancelled", resolve: "resolved", cleanse: "cleansed" } as const;

export function control(work: Work, actor: Actor, body: ControlInput, facts: Facts): Refusal {
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
    case "cleanse": {
      if (work.over) return notNow;
      const { marks } = work;
      const labels = (body.labels ?? []).filter((label) => marks.labels.includes(label));
      if (!marks.tainted && labels.length === 0) {
        return [reason("control.not_applicable", "the run bears none of these marks", { path: "/labels" })];
      }
      work.set.marks = lowered(marks, labels);
      const data = { by: actor, ...(body.reason !== undefined && { reason: body.reason }), labels: [...new Set(labels)].sort() };
      work.draft({ type: "taint.lowered", from: work.life, to: work.life, data });
      return DONE;
    }
    case "resolve": {
      const error = { code: "resolved.failed", message: body.reason ?? `\`${actor}\` found that it failed`, effect: "none" as const };
      const faults = facts.kind === "output" ? facts.faults : [];
      const outcome: Outcome =
        body.outcome === "failed"
          ? { status: "failed", error }
          : { status: "succeeded", output: body.output ?? null, removed: [], usage: undefined, scan: undefined, faults };
      if (!work.act(body.action, { type: "RESOLVE", outcome })) {
        return [reason("control.not_applicable", `action \`${body.action}\` is not in doubt`, { path: "/action" })];
      }
      mark(work, body.action, facts);
      return DONE;
    }
  }
}

/** Ends the run first, then everything in it that was not begun. */
export function endWith(work: Work, end: () => void, why: string): void {
  end();
  work.close(why);
}

export function due(work: Work, body: DueInput): Refusal {
  const { state } = work;
  const [what, name] = body.timer.split(":", 2) as [string, string | undefined];
  if (what === "action") {
    return work.act(name as ActionId, { type: "DUE", armed: body.armed }) ? DONE : STALE;
  }
  if (what === "approval") {
    const request = name as RequestId;
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
  if ((what === "wall" || what === "half") && limit !== undefined && state.wall.since !== undefined && body.armed === state.wall.armed) {
    const used = state.wall.usedMs + millis(work.at) - millis(state.wall.since);
    if (what === "wall") return outOfTime(work, "wall", limit, used);
    if (state.warned.includes("wall")) return STALE;
    warn(work, [{ budget: "wall", limit, used }]);
    return DONE;
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
