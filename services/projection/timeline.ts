/** One event as one entry of a timeline. */
import type { EventBody } from "../../schemas/event.ts";
import type { Reason } from "../../schemas/reason.ts";
import { usd } from "../../schemas/money.ts";
import type { JournalEvent } from "../bus/commit.ts";
import type { TimelineEntry } from "./views.ts";

export function timelineEntry({ body, streamSeq }: Pick<JournalEvent, "body" | "streamSeq">): TimelineEntry {
  const { action, request } = body.data;
  const note = noteOf(body);
  return {
    seq: body.seq,
    stream_seq: streamSeq,
    at: body.at,
    type: body.type,
    from: body.from,
    to: body.to,
    cause: `${body.cause.kind}/${body.cause.actor}/${body.cause.id}`,
    ...(typeof action === "string" && { action }),
    ...(typeof request === "string" && { request }),
    ...(note !== undefined && { note }),
  };
}

/** What distinguishes the event from others of its type. Words of agents and tools: show them escaped. */
function noteOf(body: EventBody): string | undefined {
  const data = body.data as Readonly<Record<string, never>>;
  switch (body.type) {
    case "run.started":
      return clip(data["goal"]);
    case "run.refused":
    case "action.rejected":
    case "action.denied":
      return reasonsText(data["reasons"]);
    case "run.paused":
    case "run.resumed":
    case "run.cancelled":
      return said(data);
    case "run.failed":
      return clip(JSON.stringify(data["error"]));
    case "action.proposed":
      return data["tool"];
    case "action.approved": {
      const { by, policies, approvers } = body.data as { by: string; policies: string[]; approvers: string[] };
      return by === "person" ? `by ${approvers.join(", ")}` : `by policy ${policies.join(", ")}`;
    }
    case "action.dispatched":
      return `attempt ${body.data["attempt"]}`;
    case "action.started": {
      const { claim } = body.data as { claim?: { gateway: string } };
      return claim && `by gateway ${claim.gateway}`;
    }
    case "action.failed":
    case "action.in_doubt":
    case "action.retrying": {
      const { error } = body.data as { error?: { code: string; message: string } };
      return error && clip(`${error.code}: ${error.message}`);
    }
    case "approval.requested":
      return `of ${body.data["count"]} ${body.data["role"]} until ${body.data["expires_at"]}`;
    case "approval.granted":
    case "approval.refused":
      return said(data);
    case "approval.stale":
      return clip(data["reason"]);
    case "budget.reserved":
    case "budget.settled":
      return `${usd(Number(body.data["cost_micro_usd"]))} USD`;
    case "budget.exhausted":
      return `${body.data["budget"]}: ${body.data["used"]} of ${body.data["limit"]}`;
    case "note.recorded":
      return clip(data["text"]);
    case "agent.applied":
    case "tool.applied":
    case "policy.applied":
      return `version ${body.data["version"]}`;
    default:
      return undefined;
  }
}

const CLIP = 160;

function clip(text: unknown): string | undefined {
  if (typeof text !== "string") return undefined;
  return text.length <= CLIP ? text : `${text.slice(0, CLIP)}…`;
}

function said(data: Readonly<Record<string, unknown>>): string {
  return `by ${String(data["by"])}${typeof data["reason"] === "string" ? `: ${clip(data["reason"])}` : ""}`;
}

function reasonsText(reasons: unknown): string | undefined {
  if (!Array.isArray(reasons)) return undefined;
  return clip((reasons as Reason[]).map(({ code }) => code).join(", "));
}
