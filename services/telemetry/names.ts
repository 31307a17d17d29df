/**
 * Every name that a span of ours carries, in one file: the GenAI conventions are still marked Development and move.
 * What has no name in them is called `signalbox.…`.
 */

/** Values of {@link ATTRIBUTE.operation}, and the first word of a span's name. */
export const OPERATION = { run: "invoke_agent", action: "execute_tool" } as const;

export const ATTRIBUTE = {
  operation: "gen_ai.operation.name",
  agentName: "gen_ai.agent.name",
  agentVersion: "gen_ai.agent.version",
  toolName: "gen_ai.tool.name",
  toolCallId: "gen_ai.tool.call.id",
  /** Only where a contract says `trace_level: full`. */
  input: "gen_ai.tool.call.arguments",
  output: "gen_ai.tool.call.result",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  errorType: "error.type",

  namespace: "signalbox.namespace",
  run: "signalbox.run.id",
  team: "signalbox.team",
  /** How a run or action ended: the last part of its event's type. */
  outcome: "signalbox.outcome",
  action: "signalbox.action.id",
  /** `read`, `write` or `irreversible`. */
  effect: "signalbox.action.effect",
  attempt: "signalbox.action.attempt",
  /** Of policy: `allow`, `deny` or `ask`. */
  decision: "signalbox.decision",
  /** Ids of the policies that determined the decision. */
  policies: "signalbox.policies",
  /** `policy`, `person` or `standing`; never which person. */
  approvedBy: "signalbox.approved_by",
  deniedBy: "signalbox.denied_by",
  /** Codes of the plane's reasons, without their texts. */
  reasons: "signalbox.reasons",
  /** What a failed attempt did outside: `none`, `done` or `unknown`. */
  errorEffect: "signalbox.error.effect",
  cost: "signalbox.usage.cost_usd",
  request: "signalbox.approval.id",
  role: "signalbox.approval.role",
  count: "signalbox.approval.count",
  grants: "signalbox.approval.grants",
  budget: "signalbox.budget",
  /** Whether a token said on whose behalf the run acts; never who that is. */
  verified: "signalbox.principal.verified",
  /** Computed by the plane, 0 to 1. */
  risk: "signalbox.risk",
  tainted: "signalbox.tainted",
  labels: "signalbox.labels",
  /** The action that an approver's edit made of this one. */
  replacement: "signalbox.action.replacement",
} as const;

/** Resource of everything that this process sends. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come before it. */
export const RESOURCE = { name: "service.name", version: "service.version" } as const;

/** The conventions' word for an error whose kind has no name here. */
export const OTHER_ERROR = "_OTHER";

/**
 * Codes by which the plane itself fails an attempt or a run. Any other comes from a tool or an agent, who may write
 * into a code what they like: it does not leave the journal.
 */
export const OWN_ERRORS: ReadonlySet<string> = new Set([
  "adapter.failed",
  "adapter.missing",
  "budget.deadline",
  "budget.wall",
  "claim.late",
  "dispatch.invalid",
  "documents.changed",
  "gateway.disconnected",
  "gateway.stopped",
  "output.junk",
  "output.not_stored",
  "output.too_large",
  "output.unreadable",
  "resolved.failed",
  "run.ended",
  "tool.deadline",
  "tool.definition",
  "tool.failed",
  "tool.input_too_large",
  "tool.mismatch",
  "tool.no_responders",
  "tool.not_built_in",
  "tool.timeout",
  "tool.unanswered",
]);
