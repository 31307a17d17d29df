/** A plan as people read it: what is new, what is another than before, and, marked, where somebody is given more. */
import { type Fault, faultText } from "../../schemas/fault.ts";
import type { JsonValue } from "../../schemas/json.ts";
import type { FieldChange } from "../registry/diff.ts";
import type { Paint } from "./io.ts";
import type { Plan, PlannedDocument } from "./plan.ts";
import { visible, visibleShort } from "./visible.ts";

/** Characters of one value, and changed lines of one text. */
const MAX_VALUE = 100;
const MAX_LINES = 40;

export function planText(plan: Plan, paint: Paint): string {
  const parts = plan.documents.filter(({ status }) => status !== "unchanged").map((one) => documentText(one, paint));
  const same = plan.documents.filter(({ status }) => status === "unchanged");
  if (same.length > 0) parts.push(paint.dim(`= ${same.length} unchanged: ${same.map(({ document }) => visible(`${document.kind} ${document.name}`)).join(", ")}`));
  const affects = plan.agents.map(({ agent, by, live }) => `  ${visible(agent)}  ${liveText(live)}  ${paint.dim(by.map(visible).join(", "))}`);
  if (affects.length > 0) parts.push(["", "concerns", ...affects].join("\n"));
  const { everyone } = plan;
  if (everyone !== undefined) parts.push(`\nconcerns all ${everyone.agents} agents  ${liveText(everyone.live)}${rehearsal(plan, paint)}`);
  if (plan.unseen > 0) parts.push(paint.dim(`  and perhaps others: ${plan.unseen} contracts were not looked at`));
  const wide = plan.documents.reduce((sum, { widens }) => sum + widens.length, 0);
  if (wide > 0) parts.push("", paint.yellow(`${wide} permission(s) widen: the lines with !`));
  for (const { message, help } of plan.review?.reasons ?? []) parts.push("", paint.yellow(`needs agreement: ${visible(message)}`), ...(help === undefined ? [] : [`help: ${visible(help)}`]));
  for (const fault of plan.warnings) parts.push("", `${paint.yellow("warning")} ${located(fault)}`);
  for (const fault of plan.faults) parts.push("", `${paint.red("fault")} ${located(fault)}`);
  return parts.join("\n");
}

/** How to see what it would have decided before it decides. */
function rehearsal(plan: Plan, paint: Paint): string {
  const set = plan.documents.find(({ document, status }) => document.kind === "policy" && status === "changed");
  return set === undefined ? "" : `\n${paint.dim(`what it would have decided so far: signalbox replay --all --policy ${visible(set.document.file)}`)}`;
}

function located(fault: Fault): string {
  return faultText(fault).split("\n").map(visible).join("\n");
}

function liveText(live: number | undefined): string {
  if (live === undefined) return "live runs not known";
  return live === 1 ? "1 live run" : `${live} live runs`;
}

function documentText({ document, status, version, changes, widens }: PlannedDocument, paint: Paint): string {
  const what = visible(`${document.kind} ${document.name}`);
  const head = status === "added" ? `${paint.green("+")} ${paint.bold(what)}  ${paint.green("new")}` : `${paint.yellow("~")} ${paint.bold(what)}  version ${version} to ${version + 1}`;
  const lines = status === "added" ? [] : changes.flatMap((change) => changeLines(change, paint));
  return [`${head}  ${paint.dim(visible(document.file))}`, ...lines, ...widens.map((text) => `  ${paint.yellow(`! ${visible(text)}`)}`)].join("\n");
}

function changeLines({ path, before, after }: FieldChange, paint: Paint): string[] {
  const at = visible(path);
  const long = (value: JsonValue | undefined) => typeof value === "string" && value.includes("\n");
  if (before === undefined) return long(after) ? [`  ${paint.green(`+ ${at}`)}`, ...block(after as string, "+", paint.green)] : [`  ${paint.green(`+ ${at}`)}  ${short(after)}`];
  if (after === undefined) return long(before) ? [`  ${paint.red(`- ${at}`)}`, ...block(before as string, "-", paint.red)] : [`  ${paint.red(`- ${at}`)}  ${short(before)}`];
  if (typeof before === "string" && typeof after === "string" && (long(before) || long(after))) return [`  ~ ${at}`, ...textLines(before, after, paint)];
  return [`  ~ ${at}  ${short(before)} → ${short(after)}`];
}

function short(value: JsonValue | undefined): string {
  return visibleShort(typeof value === "string" ? JSON.stringify(value) : value, MAX_VALUE);
}

function block(text: string, mark: string, colour: (text: string) => string): string[] {
  return cut(text.trimEnd().split("\n").map((line) => colour(`    ${mark} ${visible(line)}`)));
}

/** The lines of two texts that are not in both, in order: the longest common part of both stays out. */
function textLines(before: string, after: string, paint: Paint): string[] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if (a.length * b.length > 1_000_000) return [`    ${paint.dim("too long to be shown line by line")}`];
  // common[i][j]: length of what a from i on and b from j on have in common
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) (common[i] as Uint16Array)[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const lines: string[] = [];
  for (let [i, j] = [0, 0]; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) lines.push(paint.red(`    - ${visible(a[i++] ?? "")}`));
    else lines.push(paint.green(`    + ${visible(b[j++] ?? "")}`));
  }
  return cut(lines);
}

function cut(lines: readonly string[]): string[] {
  return lines.length <= MAX_LINES ? [...lines] : [...lines.slice(0, MAX_LINES), `    … and ${lines.length - MAX_LINES} more lines`];
}

/** The same for programs. */
export function planJson(plan: Plan) {
  const { ask } = plan.review ?? {};
  return {
    affects: plan.agents,
    ...(plan.everyone && { everyone: plan.everyone }),
    ...(ask && { review: ask }),
    warnings: plan.warnings,
    faults: plan.faults,
  };
}
