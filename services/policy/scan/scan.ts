/**
 * The scanner of outputs (GUARD-3): instructions to a model, secrets and personal data in what a tool said. It finds
 * what is written as people usually write it. No guarantee rests on it: an untrusted output taints its run whatever
 * the scanner says, and what it finds can only be added to that.
 */
import type { Scan } from "../../../schemas/inputs.ts";
import { instructionsIn } from "./instructions.ts";
import { labelsIn } from "./labels.ts";
import { isToolCall } from "./markers.ts";
import { eachText, pathOf } from "./place.ts";
import { secretsIn } from "./secrets.ts";

/** Changes whenever the same value may get other findings. */
export const SCAN_ENGINE = "signalbox-scan 1";

const MAX_FINDINGS = 256;
/** Characters that are looked through for instructions and labels: a scan takes a bounded time, whatever the size. */
const MAX_CHARS = 1024 * 1024;

export interface ScanOptions {
  /** Whether to look for instructions: not in what a trusted tool says. True when left out. */
  readonly instructions?: boolean;
}

/** What stands in a value, each rule once for each place. A pure function; it never throws. */
export function scanOutput(value: unknown, { instructions = true }: ScanOptions = {}): Scan {
  const findings: Scan["findings"] = secretsIn(value).map(({ path, rule }) => ({ kind: "secret", path, rule }));
  let chars = 0;
  eachText(
    value,
    ({ text, at, member }) => {
      chars += text.length;
      for (const { label, rule } of labelsIn(text)) findings.push({ kind: "label", path: pathOf(at), rule, label });
      if (instructions && member !== undefined && isToolCall(text, member)) findings.push({ kind: "instructions", path: pathOf(at), rule: "tool_call" });
      if (instructions) for (const rule of instructionsIn(text)) findings.push({ kind: "instructions", path: pathOf(at), rule });
      return findings.length < MAX_FINDINGS && chars < MAX_CHARS;
    },
    true,
  );
  return { engine: SCAN_ENGINE, findings: findings.slice(0, MAX_FINDINGS) };
}
