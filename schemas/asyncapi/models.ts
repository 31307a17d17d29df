/** `components.schemas`: everything that a message is made of, from the zod schemas that the plane itself checks with. */
import { z } from "zod";
import { answerSchema, rejectionSchema } from "../answer.ts";
import { budgetSchema } from "../budget.ts";
import { contractSchema } from "../contract.ts";
import { actionDocumentSchema, dispatchSchema, grantSchema } from "../dispatch.ts";
import { causeSchema, differenceSchema, envelopeSchema, EVENT_TYPES, eventData, type EventType, premiseSchema } from "../event.ts";
import { factsSchema, guardHitSchema, needSchema, personFactsSchema, principalSchema, toolFactsSchema } from "../facts.ts";
import { actionIdSchema, actorSchema, digestSchema, inputIdSchema, ledgerNameSchema, requestIdSchema, runIdSchema, stopIdSchema, toolNameSchema } from "../ids.ts";
import { applyChangeSchema, applySchema, claimSchema, controlSchema, decisionSchema, dueSchema, erasureControlSchema, guardControlSchema, removedSchema, reportSchema, scanSchema, scopeSchema, segmentsControlSchema, segmentsSignalSchema, signalSchema, standingSchema, toolErrorSchema, usageSchema } from "../inputs.ts";
import { issuerSchema } from "../issuer.ts";
import { jsonObjectSchema } from "../json.ts";
import { judgementSchema } from "../judgement.ts";
import { leaseSchema, memberSchema } from "../lease.ts";
import { labelSchema } from "../label.ts";
import { personSchema } from "../person.ts";
import { policySetSchema } from "../policy.ts";
import { failProposalSchema, finishProposalSchema, noteProposalSchema, startProposalSchema, toolProposalSchema } from "../proposal.ts";
import { reasonSchema } from "../reason.ts";
import { toolSchema } from "../tool.ts";
import { toolTokenSchema } from "../tool-token.ts";

/** A JSON Schema (draft 7, which is what AsyncAPI's own Schema Object extends). */
export type Schema = { [key: string]: unknown };

const ROOT = "#/components/schemas/";
export const model = (name: string): Schema => ({ $ref: `${ROOT}${name}` });

/** `action.in_doubt` as `ActionInDoubt`. */
export function modelOfEvent(type: EventType): string {
  return type.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

const MODELS: Readonly<Record<string, readonly [schema: z.ZodType, description: string]>> = {
  Actor: [actorSchema, "An agent, gateway, approver or operator: the name that its credential carries."],
  RunId: [runIdSchema, "`<starting agent>_<id>`. Nobody starts a run under another agent's prefix."],
  ToolName: [toolNameSchema, "One to six parts joined by dots, as `stripe.create_refund`."],
  InputId: [inputIdSchema, "Chosen by the sender. With kind and actor it identifies the input for the whole life of the run: the same id with the same content asks how it stands, with other content it is refused."],
  ActionId: [actionIdSchema, "`a<seq>`: the sequence of its `action.proposed` in the run."],
  RequestId: [requestIdSchema, "`q<seq>`: the sequence of its `approval.requested` in the run."],
  Digest: [digestSchema, "SHA-256 as `sha256:<64 hex digits>`: the name of a document, or of the exact action that was judged."],
  Reason: [reasonSchema, "Why something was refused. `code` is for programs; `path` is a JSON pointer into what was sent."],
  StopId: [stopIdSchema, "`s<seq>`: the sequence of its `guard.stopped`."],
  LedgerName: [ledgerNameSchema, "One account on one day (UTC): `team.support.2026-01-31`."],
  Label: [labelSchema, "What kind of data it is, or where it may be: `pii`, `region:eu`. Labels travel with a run."],
  Principal: [principalSchema, "On whose behalf. `verified: false` means that somebody said so and nobody checked."],
  PersonFacts: [personFactsSchema, "The person behind a NATS name, by the document in force."],
  GuardHit: [guardHitSchema, "An entry of the guard that covers what is asked about."],
  Need: [needSchema, "What an action needs from an account of the ledger before it is judged."],
  Claim: [claimSchema, "Who executes an attempt. The nonce makes two lives of one gateway two claimants."],
  Usage: [usageSchema, "What an attempt cost, as the gateway measured it."],
  ToolError: [toolErrorSchema, "How a call failed, and what it did outside before it failed."],
  Removed: [removedSchema, "What the gateway took out of an output before anybody saw it: place, reason, size and hash."],
  Scan: [scanSchema, "What the gateway's scanner found in an output. No guarantee rests on it."],
  Judgement: [judgementSchema, "What policy and contract said of an action. Recorded, so that replay asks nobody."],
  ToolFacts: [toolFactsSchema, "What the plane looked up about a proposed call, and how it was judged."],
  Facts: [factsSchema, "What the plane looked up or had judged before the machine saw the input. Replay feeds it back."],
  Envelope: [envelopeSchema, "Travels with the run: agent, owner, team, principal, documents in force, budget, trace."],
  Cause: [causeSchema, "The input that a commit answers."],
  Difference: [differenceSchema, "One difference between two inputs, at a JSON pointer; a side is absent where the member is."],
  StartProposal: [startProposalSchema, "Starts the run that the subject names."],
  ToolProposal: [toolProposalSchema, "Proposes one call of a tool. `confidence`, `why` and `uses` may tighten judgement and never loosen it."],
  NoteProposal: [noteProposalSchema, "Records a piece of reasoning. Never acted on."],
  FinishProposal: [finishProposalSchema, "Ends the run with an output."],
  FailProposal: [failProposalSchema, "Gives the run up."],
  Decision: [decisionSchema, "A person's answer. `digest` is over the bytes that the person was shown. `input` belongs to `edit`, and becomes an action of its own, judged anew; `standing` may come with `approve`."],
  Standing: [standingSchema, "An approval also for later actions of the same shape in this run, within what the contract allows; never for irreversible or tainted ones."],
  Report: [reportSchema, "What a gateway did with a dispatch. It repeats a report until it is answered."],
  Control: [controlSchema, "Pause, resume or cancel a run, settle an action whose end nobody knows, or lower the run's marks."],
  ErasureControl: [erasureControlSchema, "Destroy the key of a data subject, named as the tools name it."],
  GuardControl: [guardControlSchema, "Stop a scope, revoke whoever is in it, or lift a stop, which a second person does."],
  Scope: [scopeSchema, "What a stop is about: `all`, `agent:<name>`, `version:<agent>@<version>`, `tool:<name>`, `team:<name>`, `principal:<issuer>|<subject>`, `person:<name>`."],
  SegmentsControl: [segmentsControlSchema, "Have the journal's next segment opened before the newest is full."],
  SegmentsSignal: [segmentsSignalSchema, "What the table of segments is told by the coordinator that looks after it."],
  Signal: [signalSchema, "Between a run and an account of the ledger."],
  Apply: [applySchema, "Brings a stored document into force."],
  Change: [applyChangeSchema, "Brings several stored documents into force, all or none, as a run of the plane's own agent."],
  Member: [memberSchema, "One coordinator, as it last said of itself. `since` is the sequence of its first sign of life, 0 in that one."],
  Lease: [leaseSchema, "Who owns a share of the inputs, if anybody. `epoch` grows with each owner."],
  Due: [dueSchema, "A durable timer that fell due. `armed` is the sequence of the event that armed it."],
  Answer: [answerSchema, "What the plane tells an agent of one of its proposals, or of its run (`id` is then null)."],
  Rejection: [rejectionSchema, "What was refused without entering a journal: reason, size and hash, not a copy."],
  Dispatch: [dispatchSchema, "An approved action on its way to a gateway. `document` is the text that `digest` is over."],
  Grant: [grantSchema, "The plane's answer to one report."],
  ActionDocument: [actionDocumentSchema, "What is judged, shown, stored and sent. Its RFC 8785 text is made once; `digest` is over its bytes."],
  Contract: [contractSchema, "What one agent is for, who answers for it, and how far it may go. The normalised form, as it is stored."],
  Tool: [toolSchema, "What a tool takes and gives, what it does to the world, and how it is reached. The normalised form, as it is stored."],
  PolicySet: [policySetSchema, "Cedar files under one name. The set `default` rules a namespace."],
  Person: [personSchema, "The NATS name of a person, who they are at their issuer, and their roles."],
  Issuer: [issuerSchema, "Whose signatures on principals' tokens the plane believes, for which audience."],
  Budget: [budgetSchema, "Limits over all runs of a team, a project or an agent together. Days and minutes are those of UTC."],
  ToolToken: [toolTokenSchema, "Claims of the token in `signalbox-token`: one attempt of one action."],
};

/** Every model by name. */
export function models(): Record<string, Schema> {
  const registry = z.registry<{ id: string; description?: string }>();
  for (const [id, [schema, description]] of Object.entries(MODELS)) registry.add(schema, { id, description });
  for (const type of EVENT_TYPES) registry.add(dataOf(type), { id: modelOfEvent(type) });
  const { schemas } = z.toJSONSchema(registry, {
    target: "draft-7",
    // a custom check says nothing that JSON Schema could repeat; what it is of is said here
    unrepresentable: "any",
    uri: (id) => `${ROOT}${id}`,
    override: ({ zodSchema, jsonSchema }) => {
      if ((zodSchema as unknown) === jsonObjectSchema) jsonSchema.type = "object";
    },
  });
  const plain = Object.entries(schemas).map(([id, schema]) => {
    const { $schema: _, $id: __, id: ___, ...rest } = tidy(schema) as Schema;
    const description = MODELS[id]?.[1];
    return [id, { ...(description !== undefined && { description }), ...rest }] as const;
  });
  return { ...Object.fromEntries(plain), Event: EVENT };
}

/** Own fields of a type, and what the first event of a commit carries besides. */
function dataOf(type: EventType): z.ZodType {
  return (eventData[type] as z.ZodObject).extend(premiseSchema.partial().shape);
}

/** A reference that stands alone needs no `allOf` around it. */
function tidy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tidy);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => [key, tidy(member)] as const);
  const out = Object.fromEntries(entries) as Schema;
  const [only, ...more] = (out["allOf"] as Schema[] | undefined) ?? [];
  if (only !== undefined && more.length === 0 && typeof only["$ref"] === "string") {
    const { allOf: _, ...rest } = out;
    return Object.keys(rest).length === 0 ? only : out;
  }
  return out;
}

const text = (description: string): Schema => ({ type: "string", description });

/** `EventBody` of `schemas/event.ts`, which is written by the plane and therefore never parsed with zod. */
const EVENT: Schema = {
  description:
    "Body of every event: MessagePack with sorted keys. `prev` chains it to the event before: SHA-256 over the bytes of that event's stored subject, a line feed, and its stored body.",
  type: "object",
  additionalProperties: false,
  required: ["v", "ns", "run", "seq", "part", "at", "type", "from", "to", "cause", "machine", "data", "prev"],
  properties: {
    v: { const: 1, description: "Version of this form." },
    ns: text("Namespace."),
    run: text("Name of the aggregate: a run, a document, an account of the ledger, or `stops` of the guard."),
    seq: { type: "integer", minimum: 1, description: "From 1 in the aggregate, without gaps." },
    part: {
      type: "array",
      items: { type: "integer", minimum: 1 },
      minItems: 2,
      maxItems: 2,
      description: "Place in its commit, `[i, n]`: all events of one input are stored together.",
    },
    at: text("RFC 3339 in UTC with milliseconds. Never earlier than the event before."),
    type: { enum: EVENT_TYPES },
    from: text("State of the machine before."),
    to: text("State of the machine after."),
    cause: model("Cause"),
    machine: text("Version of the machine that computed it."),
    data: { type: "object", description: "Own fields of the type." },
    prev: {
      description:
        "32 bytes (MessagePack `bin`); all zero in the first event. Programs that show events as JSON write them as they like; here as 64 hex digits.",
    },
  },
  if: { properties: { part: { items: [{ const: 1 }] } } },
  then: { properties: { data: { required: ["input", "input_hash", "facts"] } } },
};
