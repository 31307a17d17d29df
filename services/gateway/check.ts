/** What a gateway checks of a dispatch before anything else: that it is what was approved, byte for byte (CORE-4). */
import { sha256Digest } from "../../schemas/canonical.ts";
import { type ActionDocument, actionDocumentSchema, type Dispatch, dispatchSchema } from "../../schemas/dispatch.ts";
import { actionIdSchema, type Namespace, runIdSchema } from "../../schemas/ids.ts";
import type { ToolError } from "../../schemas/inputs.ts";
import { z } from "zod";

/** Enough to report on a dispatch that cannot be carried out. */
export type DispatchHead = Pick<Dispatch, "run" | "action" | "attempt">;

export type CheckedDispatch =
  | { readonly kind: "fit"; readonly dispatch: Dispatch; readonly document: ActionDocument }
  /** Not to be carried out, whatever it says. `read`: the run does not ask for a claim before the report. */
  | { readonly kind: "unfit"; readonly head: DispatchHead; readonly read: boolean; readonly error: ToolError }
  | { readonly kind: "unreadable"; readonly why: string };

const headSchema = z.object({ run: runIdSchema, action: actionIdSchema, attempt: z.int().min(1) });

/**
 * @param tool from the subject that it came on: permissions and consumers rest on that name
 * Never throws.
 */
export function checkDispatch(ns: Namespace, tool: string, bytes: Uint8Array): CheckedDispatch {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch {
    return { kind: "unreadable", why: "not JSON" };
  }
  const parsed = dispatchSchema.safeParse(value);
  if (!parsed.success) {
    const head = headSchema.safeParse(value);
    if (!head.success) return { kind: "unreadable", why: "neither run, action nor attempt can be read" };
    const read = (value as { effect?: unknown }).effect === "read";
    return unfit(head.data, read, "dispatch.invalid", "the dispatch does not have the form that this gateway knows");
  }
  const dispatch = parsed.data;
  const read = dispatch.effect === "read";
  if (sha256Digest(dispatch.document) !== dispatch.digest) {
    return unfit(dispatch, read, "digest.mismatch", "the action document is not the one that was approved");
  }
  let document: ActionDocument;
  try {
    document = actionDocumentSchema.parse(JSON.parse(dispatch.document));
  } catch {
    return unfit(dispatch, read, "document.invalid", "what was approved is no action document");
  }
  const named: [string, string, string][] = [
    ["ns", document.ns, ns],
    ["run", document.run, dispatch.run],
    ["action", document.action, dispatch.action],
    ["tool", document.tool, tool],
  ];
  for (const [field, approved, sent] of named) {
    if (approved !== sent) {
      return unfit(dispatch, read, "document.mismatch", `what was approved is for another ${field} than the dispatch`);
    }
  }
  return { kind: "fit", dispatch, document };
}

function unfit({ run, action, attempt }: DispatchHead, read: boolean, code: string, message: string): CheckedDispatch {
  return { kind: "unfit", head: { run, action, attempt }, read, error: { code, message, effect: "none" } };
}
