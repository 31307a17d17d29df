/** The published client of Signalbox: all its names, and nothing else. */
export { Box, connect, type ConnectOptions } from "./connect.ts";
export { Agent, type PrincipalToken, Run, type StartRun, type ToolCall } from "./run.ts";
export type { WaitOptions } from "./ask.ts";
export type { Outcome } from "./outcome.ts";
export type { Call, ProbeAnswer, ProbeHandler, ServedTool, ToolHandler, ToolOptions } from "./tool.ts";
export type { TokenOptions, ToolKeys } from "./tool-keys.ts";
export { Approvals, type Decide, type Decided, type PersonalField, type Shown } from "./approvals.ts";
export type { EventFilter, TypedEvent } from "./events.ts";
export { NotConfigured, NotPermitted, NotServed, NotUnderstood, Refused, ToolFailure, Unanswered } from "./errors.ts";

export { CredentialRefused, PlaneUnreachable, ServerTooOld } from "../bus/connection.ts";
export { ContextError } from "../bus/context.ts";
export type { Answer } from "../../schemas/answer.ts";
export type { Difference, EventData, EventType } from "../../schemas/event.ts";
export type { ToolToken } from "../../schemas/tool-token.ts";
export { type Jwks, type Seen, SeenTokens } from "../identity/token-check.ts";
export type { Standing } from "../../schemas/inputs.ts";
export type { JsonValue } from "../../schemas/json.ts";
export type { Reason } from "../../schemas/reason.ts";
