/** From a stored message to an input of a machine, or to the reasons why it is none. Nothing here throws. */
import type { RunInput } from "../../machines/decide.ts";
import type { DocumentInput, DocumentKind } from "../../machines/registry.ts";
import { DOCUMENT_KINDS } from "../../machines/registry.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { INPUT_HEADERS } from "../../schemas/dispatch.ts";
import { z } from "zod";
import { type Actor, accountNameSchema, actorSchema, ledgerNameSchema, runIdSchema, toolNameSchema } from "../../schemas/ids.ts";
import { issuerNameSchema } from "../../schemas/issuer.ts";
import { applySchema, controlSchema, decisionSchema, dueSchema, reportSchema, signalSchema } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { policySetNameSchema } from "../../schemas/policy.ts";
import { PLANNED_KINDS, proposalSchema } from "../../schemas/proposal.ts";
import { type Reason, reason, reasonsOf } from "../../schemas/reason.ts";
import { type InputKind, parseAggregateToken, parseStoredInput } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import { readBody } from "../bus/body.ts";
import type { IntakeMessage } from "../bus/intake.ts";

export interface Origin {
  readonly message: IntakeMessage;
  /** As they stand in the subject, legal or not. */
  readonly kind: InputKind | "due";
  readonly actor: string;
  readonly token: string;
}

/** An input for a run or for a document. */
export type Arrival = Origin & { tries: number } & (
    | { readonly for: "run"; readonly input: RunInput; readonly principal: string | undefined }
    | { readonly for: "document"; readonly documentKind: DocumentKind; readonly name: string; readonly input: DocumentInput }
  );

export type Read = { readonly ok: true; readonly arrival: Arrival } | ({ readonly ok: false; readonly id?: string; readonly reasons: Reason[] } & Origin);

const BODIES = { propose: proposalSchema, decide: decisionSchema, report: reportSchema, control: controlSchema, apply: applySchema, signal: signalSchema } as const;
const NAMES = {
  agent: actorSchema,
  tool: toolNameSchema,
  policy: policySetNameSchema,
  run: runIdSchema,
  ledger: ledgerNameSchema,
  person: actorSchema,
  issuer: issuerNameSchema,
  budget: accountNameSchema,
  guard: z.literal("stops"),
} as const;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Reads a message of INBOX or CONTROL. */
export function readInput(message: IntakeMessage): Read {
  const address = parseStoredInput(message.subject);
  const origin: Origin = {
    message,
    kind: address?.kind ?? "propose",
    actor: address?.actor ?? "",
    token: address?.aggregate ?? "",
  };
  if (address === undefined) return { ok: false, ...origin, reasons: [reason("subject.unknown", "the subject is none of the wire")] };
  const names = nameFaults(address.actor, address.aggregate, address.kind);
  if (names.length > 0) return { ok: false, ...origin, reasons: names };

  const body = readBody(message.data, message.headers.get(INPUT_HEADERS.contentType));
  if (!body.ok) {
    return { ok: false, ...origin, reasons: [reason(body.code, body.reason, body.path === undefined ? {} : { path: body.path })] };
  }
  const id = idOf(body.value);
  const refused = (reasons: Reason[]): Read => ({ ok: false, ...origin, ...(id !== undefined && { id }), reasons });
  const planned = plannedKind(address.kind, body.value);
  if (planned !== undefined) return refused([planned]);
  const parsed = BODIES[address.kind].safeParse(body.value);
  if (!parsed.success) return refused(reasonsOf(parsed.error));

  const traceparent = message.headers.get(INPUT_HEADERS.traceparent);
  const from = {
    actor: address.actor as Actor,
    id: parsed.data.id,
    hash: canonicalDigest(body.value),
    time: timestamp(message.time),
    traceparent: traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : undefined,
  };
  const { kind, name } = parseAggregateToken(address.aggregate);
  if (address.kind === "apply") {
    const input: DocumentInput = { ...from, document: (parsed.data as ReturnType<typeof applySchema.parse>).document };
    return { ok: true, arrival: { ...origin, tries: 0, for: "document", documentKind: kind as DocumentKind, name, input } };
  }
  const input = { ...from, kind: address.kind, body: parsed.data } as RunInput;
  return { ok: true, arrival: { ...origin, tries: 0, for: "run", input, principal: message.headers.get(INPUT_HEADERS.principal) } };
}

/** Reads a timer that fell due; undefined for what the plane did not put there itself. */
export function readDue(message: IntakeMessage): Arrival | undefined {
  const token = message.subject.split(".").at(-1) ?? "";
  const body = readBody(message.data, "application/json");
  const parsed = body.ok ? dueSchema.safeParse(body.value) : undefined;
  if (!runIdSchema.safeParse(token).success || parsed?.success !== true) return undefined;
  const input: RunInput = {
    kind: "due",
    actor: "timer" as Actor,
    id: parsed.data.timer,
    hash: canonicalDigest(parsed.data),
    time: timestamp(message.time),
    traceparent: undefined,
    body: parsed.data,
  };
  return { message, kind: "due", actor: "timer", token, tries: 0, for: "run", input, principal: undefined };
}

function nameFaults(actor: string, token: string, kind: InputKind): Reason[] {
  const faults: Reason[] = [];
  if (!actorSchema.safeParse(actor).success) faults.push(reason("name.actor", `\`${actor}\` is no legal name of an actor`));
  const aggregate = parseAggregateToken(token);
  const wanted: readonly string[] = kind === "apply" ? DOCUMENT_KINDS : ["run"];
  if (!wanted.includes(aggregate.kind) || !NAMES[aggregate.kind].safeParse(aggregate.name).success) {
    const help = kind === "apply" ? "`<agent|tool|policy>:<name>`" : "`<agent>_<id>`, the id [A-Za-z0-9][A-Za-z0-9-]{0,80}";
    faults.push(reason("name.aggregate", `\`${token}\` is no legal name here`, { help: `it must be ${help}` }));
  }
  return faults;
}

function idOf(value: JsonValue): string | undefined {
  const id = typeof value === "object" && value !== null && !Array.isArray(value) ? value["id"] : undefined;
  return typeof id === "string" && id.length <= 128 ? id : undefined;
}

function plannedKind(kind: InputKind, value: JsonValue): Reason | undefined {
  if (kind !== "propose" || typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const said = value["kind"];
  if (typeof said !== "string" || !PLANNED_KINDS.includes(said)) return undefined;
  return reason("kind.not_built", `proposals of kind \`${said}\` are not built yet`, { path: "/kind", help: "see Limits in the README" });
}
