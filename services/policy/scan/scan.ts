/**
 * The scanner of outputs (GUARD-3): instructions to a model, secrets and personal data in what a tool said. It finds
 * what is written as people usually write it. No guarantee rests on it: an untrusted output taints its run whatever
 * the scanner says, and what it finds can only be added to that.
 */
import type { Scan } from "../../../schemas/inputs.ts";
import { instructionsIn } from "./instructions.ts";
import { labelsIn } from "./labels.ts";
import { isToolCall } from "./markers.ts";
import { eachText, pathOf, type Place } from "./place.ts";
import { type FoundSecret, secretsIn } from "./secrets.ts";

/** Changes whenever the same value may get other findings. */
export const SCAN_ENGINE = "signalbox-scan 1";

const MAX_FINDINGS = 256;
/** Characters of all paths together: the findings have to fit into a report. */
const MAX_PATHS = 32 * 1024;
/** Characters that are looked through for instructions and labels: a scan takes a bounded time, whatever the size. */
const MAX_CHARS = 1024 * 1024;

export interface ScanOptions {
  /** Whether to look for instructions: not in what a trusted tool says. True when left out. */
  readonly instructions?: boolean;
  /** Secrets that were found already, and taken out of the value. */
  readonly secrets?: readonly FoundSecret[];
}

/** What stands in a value, each rule once for each place. A pure function; it never throws. */
export function scanOutput(value: unknown, { instructions = true, secrets = secretsIn(value) }: ScanOptions = {}): Scan {
  const findings: Scan["findings"] = secrets.map(({ path, rule }) => ({ kind: "secret", path, rule }));
  let chars = 0;
  let room = MAX_PATHS - findings.reduce((sum, { path }) => sum + path.length, 0);
  const note = (at: Place | undefined, finding: Omit<Scan["findings"][number], "path">) => {
    const path = pathOf(at);
    room -= path.length;
    if (room >= 0) findings.push({ ...finding, path });
  };
  eachText(
    value,
    ({ text, at, isName, member }) => {
      chars += text.length;
      for (const { label, rule } of labelsIn(text)) note(at, { kind: "label", rule, label });
      if (instructions && isName && isToolCall(text, member)) note(at, { kind: "instructions", rule: "tool_call" });
      if (instructions) for (const rule of instructionsIn(text)) note(at, { kind: "instructions", rule });
      return findings.length < MAX_FINDINGS && chars < MAX_CHARS && room > 0;
    },
    true,
  );
  return { engine: SCAN_ENGINE, findings: findings.slice(0, MAX_FINDINGS) };
}
