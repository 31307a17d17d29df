/** What became of a proposal, by status. */
import { z } from "zod";
import { type Answer, answerSchema } from "../../schemas/answer.ts";
import type { Difference } from "../../schemas/event.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { Reason } from "../../schemas/reason.ts";
import { NotUnderstood } from "./errors.ts";

interface Common {
  readonly run: string;
  readonly id: string;
  /** Nothing more will be said of this proposal. */
  readonly final: boolean;
  /** The run's sequence that this reflects; 0 when nothing was recorded. */
  readonly seq: number;
  readonly at: string;
  /** The plane's id of the action, once there is one. */
  readonly action?: string;
  readonly digest?: string;
  /** An approver changed the input: `action` is what stands in the place of `from`, and this is the difference. */
  readonly edited?: { readonly from: string; readonly by: string; readonly diff: readonly Difference[] };
}

export type Outcome = Common &
  (
    | { readonly status: "succeeded"; readonly output: JsonValue }
    /** Carried out without success. */
    | { readonly status: "failed"; readonly error: JsonValue; readonly reasons?: readonly Reason[] }
    /** Begun, and nobody knows whether it took effect; a person resolves it. */
    | { readonly status: "in_doubt"; readonly error: JsonValue }
    /** Valid and not allowed: by policy, by a person, by the budget or by time. */
    | { readonly status: "denied"; readonly reasons: readonly Reason[] }
    /** Not valid: every fault with its path. Recorded in the run. */
    | { readonly status: "rejected"; readonly reasons: readonly Reason[] }
    /** Not taken at all; nothing was recorded in the run. */
    | { readonly status: "refused"; readonly reasons: readonly Reason[] }
    /** Not judged yet, as while allowances are asked for; with `request`, a person is asked until `expires_at`. */
    | { readonly status: "pending"; readonly request?: string; readonly expires_at?: string }
    /** Allowed, and being carried out. */
    | { readonly status: "approved" }
  );

/** Additions to the wire must not break an older client. */
const lenient = z.object(answerSchema.shape);

/** Reads an answer. @throws NotUnderstood */
export function readAnswer(data: Uint8Array): Answer {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch (cause) {
    throw new NotUnderstood("the answer is not JSON", { cause });
  }
  const parsed = lenient.safeParse(value);
  if (!parsed.success) throw new NotUnderstood(`the answer has a form that is not known: ${parsed.error.issues[0]?.message ?? ""}`);
  return parsed.data as Answer;
}

/** The outcome of a proposal of a tool. @throws NotUnderstood */
export function outcomeOf(id: string, answer: Answer): Outcome {
  const { run, final, seq, at, action, digest, edited, reasons = [] } = answer;
  const common: Common = { run, id, final, seq, at, ...(action !== undefined && { action }), ...(digest !== undefined && { digest }), ...(edited !== undefined && { edited }) };
  switch (answer.status) {
    case "succeeded":
      return { ...common, status: "succeeded", output: answer.output ?? null };
    case "failed":
      return { ...common, status: "failed", error: answer.error ?? null, ...(answer.reasons !== undefined && { reasons }) };
    case "in_doubt":
      return { ...common, status: "in_doubt", error: answer.error ?? null };
    case "denied":
    case "rejected":
    case "refused":
      return { ...common, status: answer.status, reasons };
    case "pending":
      return {
        ...common,
        status: "pending",
        ...(answer.request !== undefined && { request: answer.request }),
        ...(answer.expires_at !== undefined && { expires_at: answer.expires_at }),
      };
    case "approved":
      return { ...common, status: "approved" };
    default:
      throw new NotUnderstood(`\`${answer.status}\` is no answer to a proposal of a tool`);
  }
}
