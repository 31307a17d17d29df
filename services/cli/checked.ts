/** What `replay` and `verify` found, as text. */
import type { AttestedCheckpoint } from "../replay/attested.ts";
import type { FileFault } from "../replay/export-file.ts";
import type { ExportFile } from "../replay/export-file.ts";
import type { Checked } from "../replay/journal.ts";
import type { JudgeReport } from "../replay/judge.ts";
import type { RehearsalReport } from "../replay/rehearse.ts";
import type { Difference } from "../replay/replay.ts";
import type { StateAt } from "../replay/state-at.ts";
import { usd } from "../../schemas/money.ts";
import { coloured } from "./format.ts";
import { type Paint, table } from "./io.ts";
import { visible, visibleShort } from "./visible.ts";

export function replayText({ replay, judge, state_hash }: Checked, paint: Paint): string {
  const { events, identical, difference, withheld = 0 } = replay;
  const what = visible(nameOf(replay));
  const again = judge === undefined ? "" : judgedText(judge);
  const lines: string[] = [];
  if (difference !== undefined) lines.push(`${paint.red("different")}  ${what}  from event ${difference.seq} on, after ${identical} identical of ${events}`, ...differenceLines(difference));
  else if (withheld > 0) lines.push(`${paint.yellow("withheld")}  ${what}  ${withheld} of ${events} event(s) not recomputable because withheld, ${identical} identical${again}`);
  else lines.push(`${paint.green("identical")}  ${what}  ${events} event(s)${again}${state_hash === undefined ? "" : `  ${paint.dim(`state ${state_hash}`)}`}`);
  for (const one of judge?.differences ?? []) {
    lines.push(`${paint.red("judged otherwise")}  ${what}  ${one.action} ${visible(one.tool)}, at event ${one.seq}`, ...differenceLines(one));
  }
  for (const { action, why } of judge?.unknown ?? []) lines.push(`${paint.yellow("cannot be judged")}  ${what}  ${action}: ${visible(why)}`);
  return lines.join("\n");
}

function judgedText({ same, sealed, erased, differences, unknown }: JudgeReport): string {
  const all = same + erased.length + differences.length + unknown.length;
  if (all === 0) return "";
  const some = sealed === 0 ? "" : ` (${sealed} in the sealed form)`;
  return `, ${same} of ${all} proposal(s) judged the same${some}${erased.length === 0 ? "" : `, ${erased.length} not recomputable because erased`}`;
}

export function differenceLines({ field, recorded, computed }: Omit<Difference, "seq">): string[] {
  return [
    `  field     ${visible(field)}`,
    `  recorded  ${visibleShort(recorded ?? null, 400)}`,
    `  computed  ${visibleShort(computed ?? null, 400)}`,
  ];
}

export function verifyText({ verify }: Checked, paint: Paint): string {
  const { events, head, fault, withheld = 0 } = verify;
  const what = visible(nameOf(verify));
  if (fault === undefined && withheld > 0) {
    return `${paint.yellow("withheld")}  ${what}  ${withheld} of ${events} event(s), not recomputable: their recorded hashes are in order, and ${events - withheld} event(s) are intact  ${paint.dim(`sha256:${head}`)}`;
  }
  if (fault === undefined) return `${paint.green("intact")}  ${what}  ${events} event(s)  ${paint.dim(`sha256:${head}`)}`;
  return `${paint.red("broken")}  ${what}  at event ${fault.seq} (message ${fault.streamSeq}): ${visible(fault.why)}`;
}

export function fileJson(file: ExportFile) {
  const { header, counts, faults, missing } = file;
  return { header, ...counts, faults, missing };
}

export function fileText(path: string, file: ExportFile, paint: Paint): string {
  const { lines, events, withheld, documents, faults: found } = file.counts;
  const name = visible(path);
  const contents = `${lines} line(s), ${events} event(s), ${documents} document(s)${withheld > 0 ? `, withheld: ${withheld} event(s), not recomputable` : ""}`;
  const rows = found === 0 ? [`${paint.green("complete")}  ${name}  ${contents}`] : file.faults.map((fault) => faultText(name, fault, paint));
  if (found > file.faults.length) rows.push(`${paint.red("broken")}  ${name}  and ${found - file.faults.length} more`);
  if (withheld > 0) rows.push(`${paint.yellow("withheld")}  ${name}  of these events no hash holds what is shown of time, cause and data; place, order, type and states are held`);
  for (const digest of file.missing) rows.push(`${paint.yellow("missing")}  ${name}  the plane did not have document ${digest}`);
  return rows.join("\n");
}

/** What the checkpoints in an export say, and what they do not. */
export function attestedText(checkpoints: readonly AttestedCheckpoint[], paint: Paint): string {
  if (checkpoints.length === 0) return `${paint.yellow("unsigned")}  no checkpoint in the file: that nothing is missing behind the last event of a run cannot be told`;
  return checkpoints
    .map(({ n, at, key, named_by, held, newer, fault }) => {
      if (fault !== undefined) return `${paint.red("broken")}  checkpoint ${n}: ${visible(fault)}`;
      const what = `checkpoint ${n} of ${at}: ${held} event(s) are as they were signed${newer > 0 ? `, ${newer} are newer` : ""}`;
      if (named_by === "you") return `${paint.green("signed")}  ${what}`;
      return `${paint.yellow("signed")}  ${what}; by the key ${key.slice(0, 16)}…, named by the file itself: \`--keys\` says which you trust`;
    })
    .join("\n");
}

function faultText(name: string, { line, why }: FileFault, paint: Paint): string {
  return `${paint.red("broken")}  ${name}  at line ${line}: ${visible(why)}`;
}

export function rehearsalText(report: RehearsalReport, what: "event" | "decision", paint: Paint): string {
  const { compared, same, divergence, unknown, why, other_policies } = report;
  const name = visible(nameOf(report));
  const other = other_policies === undefined || other_policies === 0 ? "" : `, ${other_policies} of them by other policies`;
  const rest = why === undefined ? "" : `, ${unknown} unknown: ${visible(why)}`;
  if (divergence === undefined) return `${why === undefined ? paint.green("same") : paint.yellow("unknown")}  ${name}  ${same} of ${compared} ${what}(s) the same${other}${rest}`;
  const at = divergence.action === undefined ? "" : `  ${divergence.action} ${visible(divergence.tool ?? "")}`;
  return [
    `${paint.yellow("diverges")}  ${name}  at event ${divergence.seq}${at}, after ${same} ${what}(s) the same${other}`,
    ...differenceLines(divergence),
    ...(unknown === 0 ? [] : [`  unknown   ${unknown} ${what}(s) after that`]),
  ].join("\n");
}

export function stateText(state: StateAt, paint: Paint): string {
  const { steps, settled_micro_usd, reserved_micro_usd } = state.spend;
  const parts = [
    `${paint.bold(state.run)}  after event ${state.seq}, ${state.at}`,
    `  state       ${coloured(state.life, paint)(state.life)}`,
    `  goal        ${visibleShort(state.goal, 400)}`,
    `  hash        ${paint.dim(state.state_hash)}`,
    `  spent       ${steps} step(s), ${usd(settled_micro_usd)} USD${reserved_micro_usd > 0 ? `, ${usd(reserved_micro_usd)} USD reserved` : ""}`,
  ];
  if (state.actions.length > 0) parts.push("", table(["ACTION", "STATE", "TOOL", "ATTEMPT"], state.actions.map(({ action, state, tool, attempt }) => [action, state, tool, attempt]), paint));
  if (state.approvals.length > 0) {
    const rows = state.approvals.map(({ request, action, state, role, count, grants, expires_at }) => [request, action, state, `${grants.length} of ${count} ${role}`, grants.join(", "), expires_at ?? ""]);
    parts.push("", table(["REQUEST", "ACTION", "STATE", "GRANTS", "BY", "EXPIRES"], rows, paint));
  }
  if (state.difference !== undefined) parts.push("", `${paint.red("different")}  from event ${state.difference.seq} on: this is the state before it`, ...differenceLines(state.difference));
  return parts.join("\n");
}

export function nameOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return kind === "run" ? name : `${kind} ${name}`;
}

/** Anything that an auditor must look at. */
export function isWrong({ replay, verify, judge }: Checked): boolean {
  return replay.difference !== undefined || verify.fault !== undefined || (judge?.differences.length ?? 0) > 0;
}
