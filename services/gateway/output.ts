/** From what a tool answered to what is reported: sanitised, checked, and small enough (CORE-4). */
import { canonicalBytes } from "../../schemas/canonical.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { ReportInput, Scan, ToolError } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { MAX_BODY_BYTES } from "../../schemas/limits.ts";
import type { Reason } from "../../schemas/reason.ts";
import type { Tool } from "../../schemas/tool.ts";
import { encode } from "../bus/codec.ts";
import type { Documents } from "../bus/documents.ts";
import { type FoundSecret, scanOutput, textWithoutSecrets, withoutSecrets } from "../policy/scan/index.ts";
import { Removals } from "../policy/scan/removals.ts";
import type { Validators } from "../registry/validate.ts";
import type { AdapterResult } from "./adapters/adapter.ts";
import { sanitise, sanitiseText } from "./sanitise.ts";

/** The part of a report that says how an attempt ended. */
export type Ending = Pick<ReportInput, "status" | "output" | "removed" | "error" | "usage" | "scan">;

/** What the rest of a report may take beside output and removals. */
const ENVELOPE_BYTES = 8 * 1024;
const ROOM = MAX_BODY_BYTES - ENVELOPE_BYTES;
const MAX_MESSAGE = 4096;
const MAX_CODE = 128;
const SHOWN_FAULTS = 3;

export interface OutputTools {
  readonly validators: Validators;
  readonly documents: Documents;
  /** The most that one message to the server may hold. */
  readonly maxPayload: number;
  /** Seals what is personal in the output, once it was checked and looked through. */
  readonly seal?: ((output: JsonValue) => Promise<JsonValue>) | undefined;
}

/** @throws PublishError, ReadError, DocumentCorrupt when a large output could not be stored */
export async function endingOf(result: AdapterResult, toolHash: Digest, definition: Tool, tools: OutputTools): Promise<Ending> {
  if (!result.ok) return failed(result.error);
  const usage = result.usage === undefined ? {} : { usage: result.usage };
  const removals = new Removals();
  const { value, removed, found } = withoutSecrets(sanitise(result.output, removals).value, removals);
  const listed = removed.length === 0 ? {} : { removed };
  const faults = tools.validators.outputFaults(toolHash, definition.output, value);
  if (faults.length > 0) {
    return { ...failed({ code: "output.junk", message: junkMessage(faults), effect: "done" }), ...listed, ...usage };
  }
  const reported = tools.seal === undefined ? value : await tools.seal(value);
  const ending: Ending = { status: "succeeded", output: reported, ...listed, ...usage, ...scanned(definition, value, found) };
  if (encode(ending).length <= ROOM) return ending;
  const bytes = canonicalBytes(reported);
  if (bytes.length > tools.maxPayload - ENVELOPE_BYTES) {
    const message = `the output has ${bytes.length} bytes, more than a document can hold`;
    return { ...failed({ code: "output.too_large", message, effect: "done" }), ...usage };
  }
  const digest = await tools.documents.put(bytes, "application/json");
  return { ...ending, output: { $doc: digest, bytes: bytes.length } };
}

/**
 * What the scanner says of an output: of an untrusted tool always, so that it is seen that it looked; of a trusted one
 * only what it found, and instructions are not looked for.
 */
function scanned({ trusted }: Tool, value: JsonValue, secrets: readonly FoundSecret[]): { scan?: Scan } {
  const scan = scanOutput(value, { instructions: trusted !== true, secrets });
  return trusted === true && scan.findings.length === 0 ? {} : { scan };
}

/** An error in the words of a tool or an adapter, safe to record and show. */
export function failed(error: ToolError): Ending {
  const code = safeText(error.code, MAX_CODE).replace(/[^A-Za-z0-9_.:-]/g, "_");
  return {
    status: "failed",
    error: { code: code === "" ? "tool.failed" : code, message: safeText(error.message, MAX_MESSAGE), effect: error.effect },
  };
}

/** Secrets go before anything is cut off: half of one is one too. */
function safeText(text: string, maxLength: number): string {
  return sanitiseText(textWithoutSecrets(sanitiseText(text, 16 * MAX_MESSAGE)), maxLength);
}

function junkMessage(faults: readonly Reason[]): string {
  const shown = faults.slice(0, SHOWN_FAULTS).map(({ path, message }) => (path ? `\`${path}\` ${message}` : message));
  const more = faults.length > SHOWN_FAULTS ? ` and ${faults.length - SHOWN_FAULTS} more` : "";
  return `the output does not fit the tool's schema: ${shown.join("; ")}${more}`;
}
