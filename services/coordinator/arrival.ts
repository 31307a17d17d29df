/** From a stored message to an input of a machine, or to the reasons why it is none. Nothing here throws. */
import type { RunInput } from "../../machines/decide.ts";
import type { ErasureInput } from "../../machines/erasure.ts";
import type { GuardInput } from "../../machines/guard.ts";
import type { LedgerInput } from "../../machines/ledger.ts";
import type { DocumentInput, DocumentKind } from "../../machines/registry.ts";
import type { SegmentsInput } from "../../machines/segments.ts";
import { DOCUMENT_KINDS } from "../../machines/registry.ts";
import { canonicalDigest } from "../../schemas/canonical.ts";
import { INPUT_HEADERS } from "../../schemas/dispatch.ts";
import { z } from "zod";
import { type Actor, type AggregateKind, accountNameSchema, actorSchema, ledgerNameSchema, RESERVED_PREFIX, runIdSchema, toolNameSchema } from "../../schemas/ids.ts";
import { issuerNameSchema } from "../../schemas/issuer.ts";
import {
  type ApplyInput,
  type ErasureControl,
  type SignalInput,
  applyChangeSchema,
  applySchema,
  controlSchema,
  decisionSchema,
  dueSchema,
  erasureControlSchema,
  guardControlSchema,
  reportSchema,
  segmentsControlSchema,
  type SegmentsSignal,
  segmentsSignalSchema,
  signalSchema,
} from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { SEGMENT_TABLE } from "../../schemas/segments.ts";
import { policySetNameSchema } from "../../schemas/policy.ts";
import { PLANNED_KINDS, proposalSchema } from "../../schemas/proposal.ts";
import type { KeyId } from "../../schemas/sealed.ts";
import { type Reason, reason, reasonsOf } from "../../schemas/reason.ts";
import { aggregateToken, type InputKind, parseAggregateToken, parseStoredInput, type StoredInputAddress } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import { readBody } from "../bus/body.ts";
import type { IntakeMessage } from "../bus/intake-item.ts";
import { ERASURES_NAME } from "../identity/erasures-name.ts";
import { CHANGE_ACTOR, ERASER } from "../identity/permissions.ts";
import { secretFaults, textWithoutSecrets } from "../policy/scan/index.ts";
import type { Bearer } from "./facts.ts";
import { GUARD_NAME } from "./guard-view.ts";

export interface Origin {
  readonly message: IntakeMessage;
  /** As they stand in the subject, legal or not. */
  readonly kind: InputKind | "due";
  readonly actor: string;
  readonly token: string;
}

/** An input for a run, a document, a ledger, the guard, or the table of segments. */
export type Arrival = Origin & { tries: number } & (
    | ({ readonly for: "run"; readonly input: RunInput } & Bearer)
    | { readonly for: "document"; readonly documentKind: DocumentKind; readonly name: string; readonly input: DocumentInput }
    | { readonly for: "ledger"; readonly name: string; readonly input: LedgerInput }
    | { readonly for: "guard"; readonly input: GuardInput }
    | { readonly for: "segments"; readonly input: SegmentsInput; /** The table and the streams were read for it. */ looked?: boolean }
    /** `stored`: the key that the store was found to hold of the subject, null for none. */
    | { readonly for: "erasure"; readonly input: Omit<ErasureInput, "body"> & { readonly body: ErasureControl }; stored?: KeyId | null }
  );

export type Read = { readonly ok: true; readonly arrival: Arrival } | ({ readonly ok: false; readonly id?: string; readonly reasons: Reason[] } & Origin);

/** Runs of the plane's own agent begin with this: several documents put in force together. */
export const CHANGE_RUNS = `${RESERVED_PREFIX}registry_`;

const NAMES = {
  agent: actorSchema,
  tool: toolNameSchema,
  policy: policySetNameSchema,
  run: runIdSchema,
  ledger: ledgerNameSchema,
  person: actorSchema,
  issuer: issuerNameSchema,
  budget: accountNameSchema,
  guard: z.literal(GUARD_NAME),
  segments: z.literal(SEGMENT_TABLE.name),
  erasure: z.literal(ERASURES_NAME),
} as const;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Reads a message of INBOX or CONTROL. */
export function readInput(message: IntakeMessage): Read {
  const address = LEGAL.get(message.subject) ?? parseStoredInput(message.subject);
  const origin: Origin = {
    message,
    kind: address?.kind ?? "propose",
    actor: address?.actor ?? "",
    token: address?.aggregate ?? "",
  };
  if (address === undefined) return { ok: false, ...origin, reasons: [reason("subject.unknown", "the subject is none of the wire")] };
  const names = nameFaults(address, message.subject);
  if (names.length > 0) return { ok: false, ...origin, reasons: names };

  const body = readBody(message.data, message.headers.get(INPUT_HEADERS.contentType));
  if (!body.ok) {
    // a name that stands twice, or is not allowed, may be a secret
    const path = body.path === undefined ? {} : { path: textWithoutSecrets(body.path) };
    return { ok: false, ...origin, reasons: [reason(body.code, textWithoutSecrets(body.reason), path)] };
  }
  const id = idOf(body.value);
  const refused = (reasons: Reason[]): Read => ({ ok: false, ...origin, ...(id !== undefined && { id }), reasons });
  // what the plane's own services send was looked through before
  const secrets = address.kind === "report" || address.kind === "signal" ? [] : secretFaults(body.value);
  if (secrets.length > 0) return { ok: false, ...origin, ...(id !== undefined && !secrets.some(({ path }) => path === "/id") && { id }), reasons: secrets };
  const planned = plannedKind(address.kind, body.value);
  if (planned !== undefined) return refused([planned]);
  const { kind, name } = parseAggregateToken(address.aggregate);
  const parsed = bodySchema(address.kind, kind).safeParse(body.value);
  if (!parsed.success) return refused(reasonsOf(parsed.error));
  const forged = address.kind === "signal" ? signalFaults(address, parsed.data as SignalInput | SegmentsSignal) : [];
  if (forged.length > 0) return refused(forged);

  const traceparent = message.headers.get(INPUT_HEADERS.traceparent);
  const from = {
    actor: address.actor as Actor,
    id: parsed.data.id,
    hash: canonicalDigest(body.value),
    time: timestamp(message.time),
    traceparent: traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : undefined,
  };
  const arrived = { ...origin, tries: 0 };
  switch (kind) {
    case "run": {
      const input = { ...from, kind: address.kind, body: parsed.data } as unknown as RunInput;
      return { ok: true, arrival: { ...arrived, for: "run", input, principal: message.headers.get(INPUT_HEADERS.principal) } };
    }
    case "ledger":
      return { ok: true, arrival: { ...arrived, for: "ledger", name, input: { ...from, body: parsed.data as SignalInput } } };
    case "guard":
      return { ok: true, arrival: { ...arrived, for: "guard", input: { ...from, body: parsed.data as GuardInput["body"] } } };
    case "segments":
      return { ok: true, arrival: { ...arrived, for: "segments", input: { ...from, body: parsed.data as SegmentsInput["body"] } } };
    case "erasure": {
      const said = parsed.data as ErasureControl;
      if ((said.verb === "destroyed") !== (address.actor === ERASER)) return refused([reason("erasure.not_yours", `\`${address.actor}\` does not say \`${said.verb}\``, { path: "/verb" })]);
      return { ok: true, arrival: { ...arrived, for: "erasure", input: { ...from, body: said } } };
    }
    default: {
      const input: DocumentInput = { ...from, document: (parsed.data as ApplyInput).document };
      return { ok: true, arrival: { ...arrived, for: "document", documentKind: kind, name, input } };
    }
  }
}

function bodySchema(input: InputKind, aggregate: AggregateKind) {
  switch (input) {
    case "propose":
      return proposalSchema;
    case "decide":
      return decisionSchema;
    case "report":
      return reportSchema;
    case "control":
      return aggregate === "guard" ? guardControlSchema : aggregate === "erasure" ? erasureControlSchema : aggregate === "segments" ? segmentsControlSchema : controlSchema;
    case "apply":
      return aggregate === "run" ? applyChangeSchema : applySchema;
    case "signal":
      return aggregate === "segments" ? segmentsSignalSchema : signalSchema;
  }
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

/** Kinds of aggregate that take an input. */
const TAKEN_BY: Readonly<Record<InputKind, readonly AggregateKind[]>> = {
  propose: ["run"],
  decide: ["run"],
  report: ["run"],
  control: ["run", "guard", "erasure", "segments"],
  apply: [...DOCUMENT_KINDS, "run"],
  signal: ["run", "ledger", "segments"],
};
const HELP = {
  apply: "it must be `<agent|tool|policy|person|issuer|budget>:<name>`",
  run: "it must be `<agent>_<id>`, the id [A-Za-z0-9][A-Za-z0-9-]{0,80}",
} as const;

/**
 * Addresses whose names were found legal, by subject: a run's inputs all come under a few of them, and what is kept of an
 * input shares its actor's name with those before it.
 */
const LEGAL = new Map<string, StoredInputAddress>();
const MAX_LEGAL = 16_384;

function nameFaults(address: StoredInputAddress, subject: string): Reason[] {
  if (LEGAL.has(subject)) return [];
  const faults = faultsOfNames(address);
  if (faults.length === 0) {
    if (LEGAL.size >= MAX_LEGAL) LEGAL.clear();
    LEGAL.set(subject, address);
  }
  return faults;
}

function faultsOfNames({ kind, actor, aggregate }: StoredInputAddress): Reason[] {
  const faults: Reason[] = [];
  if (kind === "signal") {
    if (!isAggregate(actor, TAKEN_BY.signal)) faults.push(reason("name.actor", `\`${actor}\` is no aggregate that sends signals`));
  } else if (!actorSchema.safeParse(actor).success) faults.push(reason("name.actor", `\`${actor}\` is no legal name of an actor`));
  else if (actor.startsWith(RESERVED_PREFIX) && kind !== "report" && !(kind === "apply" && actor === CHANGE_ACTOR) && !(kind === "control" && actor === ERASER && aggregate.startsWith("erasure:"))) {
    faults.push(reason("name.reserved", `\`${actor}\` is a name of the plane's own, and says nothing of this kind`));
  }
  // only a change of documents is a run that is applied, and nothing else of such a run is proposed
  const applied = kind === "apply" && !aggregate.includes(":");
  if (!isAggregate(aggregate, TAKEN_BY[kind]) || (applied && !aggregate.startsWith(CHANGE_RUNS))) {
    faults.push(reason("name.aggregate", `\`${aggregate}\` is no legal name here`, { help: kind === "apply" ? HELP.apply : HELP.run }));
  }
  return faults;
}

/** A token that says its name in the one way in which it is written: two tokens of one aggregate would be two queues for it. */
function isAggregate(token: string, kinds: readonly AggregateKind[]): boolean {
  const { kind, name } = parseAggregateToken(token);
  return kinds.includes(kind) && NAMES[kind].safeParse(name).success && aggregateToken(kind, name) === token;
}

/** A signal says who asks whom for what in its subject, which permissions speak of, and its body must say the same. */
function signalFaults({ actor, aggregate, signal }: StoredInputAddress, body: SignalInput | SegmentsSignal): Reason[] {
  if (body.name !== signal) return [reason("signal.mismatch", `a signal \`${body.name}\` was sent as \`${signal}\``, { path: "/name" })];
  if (body.name === "open" || body.name === "seal") {
    return actor === aggregate ? [] : [reason("signal.mismatch", `\`${actor}\` does not say \`${body.name}\` to \`${aggregate}\``)];
  }
  const asks = body.name === "lease" || body.name === "return";
  const [run, ledger] = asks ? [actor, aggregate] : [aggregate, actor];
  if (parseAggregateToken(run).kind !== "run" || parseAggregateToken(ledger).kind !== "ledger") {
    return [reason("signal.mismatch", `\`${actor}\` does not say \`${body.name}\` to \`${aggregate}\``)];
  }
  if (aggregateToken("ledger", body.ledger) === ledger) return [];
  return [reason("signal.mismatch", `the signal is about \`${body.ledger}\`, and not about \`${ledger}\``, { path: "/ledger" })];
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
