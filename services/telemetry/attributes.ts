/**
 * What of an event may leave the plane: this file is the whole list, and what is not in it stays in the journal.
 * Names, ids, numbers and the plane's own codes do; inputs, outputs, goals, notes, anybody's words and whoever the
 * run is for do not. Inputs and outputs do only where a contract's `logging.trace_level` is `full`: see `payload.ts`.
 */
import type { Attributes } from "@opentelemetry/api";
import type { EventBody } from "../../schemas/event.ts";
import { ATTRIBUTE, OPERATION, OTHER_ERROR, OWN_ERRORS } from "./names.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Of the run, on its span and on those of its actions. */
export function runAttributes(body: EventBody): Attributes {
  const { agent, team, principal } = startOf(body);
  return known({
    [ATTRIBUTE.namespace]: body.ns,
    [ATTRIBUTE.run]: body.run,
    [ATTRIBUTE.agentName]: text(agent["name"]),
    [ATTRIBUTE.agentVersion]: text(agent["version"]),
    [ATTRIBUTE.team]: text(team),
    [ATTRIBUTE.verified]: flag(fields(principal)["verified"]),
  });
}

/** Who starts: as the envelope says, or for a start that was refused and has none, as the facts do. */
function startOf(body: EventBody): { agent: Fields; team: unknown; principal: unknown } {
  const envelope = fields(body.data["envelope"]);
  if (envelope["agent"] !== undefined) return { agent: fields(envelope["agent"]), team: envelope["team"], principal: envelope["principal"] };
  const facts = fields(body.data["facts"]);
  const agent = fields(facts["agent"]);
  return { agent, team: agent["team"], principal: facts["principal"] };
}

/**
 * Of an action as it is proposed.
 * @param facts of the commit, where tool and judgement stand
 */
export function actionAttributes(body: EventBody, facts: unknown): Attributes {
  return {
    ...known({
      [ATTRIBUTE.operation]: OPERATION.action,
      [ATTRIBUTE.toolName]: text(body.data["tool"]),
      [ATTRIBUTE.toolCallId]: text(body.data["action"]),
      [ATTRIBUTE.action]: text(body.data["action"]),
    }),
    ...judgedAttributes(facts),
  };
}

/** How an action was judged: at its proposal, or once its allowances had come, or anew. */
export function judgedAttributes(facts: unknown): Attributes {
  // of an edit, or of documents that changed: judged again; of a change of documents: its one action
  const of = fields(facts)["again"] ?? (fields(facts)["kind"] === "change" ? fields(facts)["tool"] : facts);
  const { tool, judgement } = fields(of);
  const { decision, policies, risk } = fields(judgement);
  return known({
    [ATTRIBUTE.effect]: text(fields(tool)["effect"]),
    [ATTRIBUTE.decision]: text(decision),
    [ATTRIBUTE.policies]: list(policies).flatMap((policy) => text(fields(policy)["id"]) ?? []),
    [ATTRIBUTE.risk]: number(risk),
  });
}

/** Of an event within a run or an action. */
export function eventAttributes(body: EventBody): Attributes {
  const { data } = body;
  switch (body.type) {
    case "approval.requested":
      return known({ [ATTRIBUTE.request]: text(data["request"]), [ATTRIBUTE.role]: text(data["role"]), [ATTRIBUTE.count]: number(data["count"]) });
    case "approval.granted":
      return known({ [ATTRIBUTE.request]: text(data["request"]), [ATTRIBUTE.grants]: number(data["grants"]), [ATTRIBUTE.count]: number(data["count"]) });
    case "approval.edited":
      return known({ [ATTRIBUTE.request]: text(data["request"]), [ATTRIBUTE.replacement]: text(data["replacement"]) });
    case "taint.raised":
      return known({ [ATTRIBUTE.tainted]: flag(data["tainted"]), [ATTRIBUTE.labels]: list(data["labels"]).flatMap((label) => text(label) ?? []) });
    case "taint.lowered":
      return known({ [ATTRIBUTE.labels]: list(data["labels"]).flatMap((label) => text(label) ?? []) });
    case "approval.refused":
    case "approval.expired":
    case "approval.stale":
      return known({ [ATTRIBUTE.request]: text(data["request"]) });
    case "action.dispatched":
    case "action.started":
    case "action.probing":
      return known({ [ATTRIBUTE.attempt]: number(data["attempt"]) });
    case "action.retrying":
    case "action.in_doubt":
    case "action.probed":
      return known({ [ATTRIBUTE.attempt]: number(data["attempt"]), ...errorAttributes(data["error"]) });
    case "budget.warned":
    case "budget.exhausted":
      return known({ [ATTRIBUTE.budget]: text(data["budget"]) });
    default:
      return {};
  }
}

/** What an event says of the span that it belongs to. */
export function spanAttributes(body: EventBody): Attributes {
  const { data } = body;
  switch (body.type) {
    case "action.approved":
      return known({ [ATTRIBUTE.approvedBy]: text(data["by"]) });
    case "action.dispatched":
      return known({ [ATTRIBUTE.attempt]: number(data["attempt"]) });
    case "action.succeeded": {
      const usage = fields(data["usage"]);
      return known({
        [ATTRIBUTE.inputTokens]: number(usage["input_tokens"]),
        [ATTRIBUTE.outputTokens]: number(usage["output_tokens"]),
        [ATTRIBUTE.cost]: number(usage["cost_usd"]),
      });
    }
    case "action.denied":
      return known({ [ATTRIBUTE.deniedBy]: text(data["by"]), [ATTRIBUTE.errorType]: `denied.${String(data["by"])}`, ...reasons(data) });
    case "action.rejected":
    case "run.refused":
      return known({ [ATTRIBUTE.errorType]: outcomeOf(body), ...reasons(data) });
    case "action.failed":
    case "run.failed":
      return known({ ...errorAttributes(data["error"]), ...reasons(data) });
    default:
      return {};
  }
}

/** The last part of the event's type, as `verified`. */
export function outcomeOf(body: EventBody): string {
  return body.type.slice(body.type.indexOf(".") + 1);
}

function errorAttributes(error: unknown): Attributes {
  const { code, effect } = fields(error);
  return {
    [ATTRIBUTE.errorType]: typeof code === "string" && OWN_ERRORS.has(code) ? code : OTHER_ERROR,
    // an agent that fails its run may say anything here
    [ATTRIBUTE.errorEffect]: ["none", "done", "unknown"].find((known) => known === effect),
  };
}

/** Reasons are the plane's own, and their codes are a list of its own; their texts and paths quote what was sent. */
function reasons(data: Fields): Attributes {
  const codes = list(data["reasons"]).flatMap((reason) => text(fields(reason)["code"]) ?? []);
  return { [ATTRIBUTE.reasons]: [...new Set(codes)] };
}

/** Without what is absent or empty. */
function known(attributes: Attributes): Attributes {
  const there = Object.entries(attributes).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0));
  return Object.fromEntries(there);
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const flag = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const fields = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});
