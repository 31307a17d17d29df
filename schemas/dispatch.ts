/** What leaves the plane towards tools, and what the plane tells a gateway that reported. */
import { z } from "zod";
import { actionIdSchema, digestSchema, runIdSchema, toolNameSchema } from "./ids.ts";
import { claimSchema } from "./inputs.ts";
import { jsonValueSchema } from "./json.ts";
import { principalSchema } from "./facts.ts";

/** The action document: RFC 8785 text of exactly this is judged, shown, stored and sent. */
export const actionDocumentSchema = z.strictObject({
  ns: z.string(),
  run: runIdSchema,
  action: actionIdSchema,
  tool: toolNameSchema,
  tool_hash: digestSchema,
  contract_hash: digestSchema,
  input: jsonValueSchema,
  principal: principalSchema.nullable(),
});
export type ActionDocument = z.infer<typeof actionDocumentSchema>;

export const dispatchSchema = z.strictObject({
  v: z.literal(1),
  run: runIdSchema,
  action: actionIdSchema,
  attempt: z.int().min(1),
  /** The action document's text; the gateway hashes its bytes and compares with `digest`. */
  document: z.string(),
  digest: digestSchema,
  timeout_ms: z.int().positive(),
  effect: z.enum(["read", "write", "irreversible"]),
  /**
   * Not to be carried out: the tool is asked what became of this attempt, for the time of this number. `timeout_ms` is
   * then that of the asking.
   */
  probe: z.int().min(1).optional(),
  traceparent: z.string().optional(),
});
export type Dispatch = z.infer<typeof dispatchSchema>;

/** The plane's answer to one report. A gateway that hears nothing reports again. */
export const grantSchema = z.strictObject({
  v: z.literal(1),
  run: runIdSchema,
  /** Id of the report that this answers. */
  report: z.string(),
  action: actionIdSchema,
  attempt: z.int(),
  claim: claimSchema,
  /** granted: execute. recorded: your report is in the journal. refused: stop, it is not yours (any more). */
  verdict: z.enum(["granted", "recorded", "refused"]),
  code: z.string().optional(),
  /** The run's sequence after the report. */
  seq: z.int(),
});
export type Grant = z.infer<typeof grantSchema>;

/**
 * Code of a claim that is recorded and all the same not granted: something was stopped by then (GUARD-9). Its holder
 * begins nothing, and reports that.
 */
export const GRANT_WITHHELD = "guard.withheld";

/** Headers of a call to a tool, and of its answer. Header names are case-sensitive on the wire. */
/**
 * A tool's answer to a probe says what it found in the header `signalbox-effect`: `done` with the output as its body,
 * or with an error for what is done and cannot be given; `none`, which also promises that the call will not take effect
 * any more; `unknown`, and so is an answer without it.
 */
export const TOOL_HEADERS = {
  run: "signalbox-run",
  action: "signalbox-action",
  attempt: "signalbox-attempt",
  digest: "signalbox-digest",
  deadline: "signalbox-deadline",
  idempotencyKey: "signalbox-idempotency-key",
  /** A token for exactly this attempt (ID-4), signed by the gateway; see `schemas/tool-token.ts`. */
  token: "signalbox-token",
  traceparent: "traceparent",
  effect: "signalbox-effect",
  error: "Nats-Service-Error",
  errorCode: "Nats-Service-Error-Code",
} as const;

/** Headers that senders of inputs may set. */
export const INPUT_HEADERS = {
  contentType: "content-type",
  principal: "signalbox-principal",
  traceparent: "traceparent",
  wait: "signalbox-wait",
  timeout: "signalbox-timeout-ms",
} as const;
