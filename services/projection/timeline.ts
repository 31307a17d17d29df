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

const PROBED: Readonly<Record<string, string>> = {
  done: "the tool says that it was done",
  none: "the tool says that nothing was done",
  unknown: "the tool cannot say",
  unanswered: "no answer in time",
};

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
    case "action.proposed": {
      const { edited } = body.data as { edited?: { from: string; by: string } };
      return edited === undefined ? data["tool"] : `${String(data["tool"])}, edited by ${edited.by} from ${edited.from}`;
    }
    case "action.approved": {
      const { by, policies, approvers, standing } = body.data as { by: string; policies: string[]; approvers: string[]; standing?: string };
      if (by === "standing") return `by the standing approval ${standing ?? ""} of ${approvers.join(", ")}`;
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
      const { error, probe_at: asked } = body.data as { error?: { code: string; message: string }; probe_at?: string };
      return error && clip(`${error.code}: ${error.message}${asked === undefined ? "" : `; the tool is asked ${asked}`}`);
    }
    case "action.probing":
      return `attempt ${data["attempt"]}, question ${data["probe"]}`;
    case "action.probed": {
      const { found, probe_at: again, error } = body.data as { found: string; probe_at?: string; error?: { message: string } };
      return clip(`${PROBED[found] ?? found}${error === undefined ? "" : `: ${error.message}`}${again === undefined ? "" : `; asked again ${again}`}`);
    }
    case "approval.requested":
      return `of ${body.data["count"]} ${body.data["role"]} until ${body.data["expires_at"]}`;
    case "approval.granted": {
      const { standing } = body.data as { standing?: { uses: number; expires_seconds: number } };
      return standing === undefined ? said(data) : `${said(data)}, standing for ${standing.uses} use(s) in ${standing.expires_seconds} s`;
    }
    case "approval.edited": {
      const { replacement, diff } = body.data as { replacement?: string; diff?: { path: string }[] };
      return `${said(data)}; ${(diff ?? []).map(({ path }) => path).join(", ")}, now ${replacement ?? ""}`;
    }
    case "approval.refused":
    case "guard.stopped":
    case "guard.lifted":
      return body.type.startsWith("guard.") ? `${String(data["scope"])} ${said(data)}` : said(data);
    case "approval.stale":
      return clip(data["reason"]);
    case "budget.reserved":
    case "budget.settled":
      return `${usd(Number(body.data["cost_micro_usd"]))} USD`;
    case "budget.warned":
    case "budget.exhausted":
      return `${body.data["budget"]}: ${body.data["used"]} of ${body.data["limit"]}`;
    case "budget.requested": {
      const { needs } = body.data as { needs?: { ledger: string }[] };
      return clip((needs ?? []).map(({ ledger }) => ledger).join(", "));
    }
    case "budget.leased":
    case "ledger.leased":
      return `${account(data)}: ${counted(data, "granted")}, ${counted(data, "total")} in all`;
    case "ledger.refused":
      return `${account(data)}: ${counted(data, "need")} is more than is left of ${counted(data, "cap")}`;
    case "budget.returned":
    case "ledger.returned":
      return `${account(data)}: ${counted(data, "unused")} unused`;
    case "taint.raised": {
      const { tool, tainted, labels } = body.data as { tool?: string; tainted?: boolean; labels?: string[] };
      return `by output of ${tool ?? ""}: ${[...(tainted === true ? ["tainted"] : []), ...(labels ?? [])].join(", ")}`;
    }
    case "taint.lowered": {
      const { labels } = body.data as { labels?: string[] };
      return `${said(data)}${labels === undefined || labels.length === 0 ? "" : `; ${labels.join(", ")}`}`;
    }
    case "note.recorded":
      return clip(data["text"]);
    case "erasure.requested":
      return `subject ${String(data["subject"])}, key ${String(data["key"])}, ${said(data)}`;
    case "erasure.completed":
      return `subject ${String(data["subject"])}, key ${String(data["key"])} destroyed`;
    case "agent.applied":
    case "tool.applied":
    case "policy.applied":
    case "person.applied":
    case "issuer.applied":
    case "budget.applied":
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

function account(data: Readonly<Record<string, unknown>>): string {
  return `${String(data["ledger"])} ${String(data["window"])}`;
}

/** What an account counts, in its unit: money, requests, or an amount of some currency. */
function counted({ unit, ...data }: Readonly<Record<string, unknown>>, member: string): string {
  const value = Number(data[member]);
  if (unit === "cost") return `${usd(value)} USD`;
  return unit === "amount" ? String(value / 10_000) : `${value} request(s)`;
}

function reasonsText(reasons: unknown): string | undefined {
  if (!Array.isArray(reasons)) return undefined;
  return clip((reasons as Reason[]).map(({ code }) => code).join(", "));
}
