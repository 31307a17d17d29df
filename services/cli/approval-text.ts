/** Requests for approval on a screen: everything that a decision's digest is over, and nothing else. */
import type { Difference } from "../../schemas/event.ts";
import type { Digest } from "../../schemas/ids.ts";
import { amountText } from "../projection/approval-about.ts";
import type { ApprovalRow } from "../projection/index-store.ts";
import type { ApprovalAnswer } from "../projection/views.ts";
import { type Paint, table } from "./io.ts";
import { visible, visibleJson, visibleShort } from "./visible.ts";

export function listText(approvals: readonly ApprovalRow[], paint: Paint): string {
  if (approvals.length === 0) return "nothing waits for a person";
  const rows = approvals.map((one) => [one.run, one.action, one.tool, one.about.amount ?? "", `${one.grants} of ${one.count} ${one.role}`, markedText(one.about), riskText(one.about.risk), one.requested_at, one.expires_at]);
  const first = approvals[0] as ApprovalRow;
  return `${table(["RUN", "ACTION", "TOOL", "AMOUNT", "APPROVED", "MARKS", "RISK", "ASKED", "EXPIRES"], rows, paint)}\n${paint.dim(`next: signalbox approve ${first.run} ${first.action}`)}`;
}

function markedText({ tainted, labels = [], edited_from }: ApprovalRow["about"]): string {
  return [...(tainted === true ? ["tainted"] : []), ...labels, ...(edited_from === undefined ? [] : [`edited from ${edited_from}`])].join(", ");
}

export function riskText(risk: number | undefined): string {
  return risk === undefined ? "" : risk.toFixed(2);
}

/** Everything that the digest is over. Nothing of it is left out, whatever the plane puts in. */
export function approvalText(asked: ApprovalAnswer, view: Record<string, unknown>, digest: Digest, paint: Paint): string {
  const { action_document: document, agent_says: says, agent, owner, team, principal, chain, role, count, expires_at, amount, effect, risk, tainted, labels, edited, reasons, policies, ...rest } = view;
  const { tool, input, ...bound } = (document ?? {}) as Record<string, unknown>;
  const { action: _, request: __, ...others } = rest;
  const row = (name: string, value: unknown) => (value === undefined || value === null ? [] : [`  ${name.padEnd(10)}  ${typeof value === "string" ? visible(value) : indented(visibleJson(value), 14)}`]);
  const who = (agent ?? {}) as { name?: string; version?: string };
  const money = amountText(amount);
  return [
    `${paint.bold(`${asked.run} ${asked.action}`)}  request ${asked.request}, ${asked.grants.length} of ${asked.count} ${visible(asked.role)}, ${asked.state}`,
    "",
    ...row("tool", tool),
    ...row("effect", effect),
    ...row("amount", money ?? amount),
    `  ${"input".padEnd(10)}  ${paint.bold(indented(visibleJson(input ?? null), 14))}`,
    ...(edited === undefined ? [] : [paint.yellow(`  ${"edited".padEnd(10)}  ${editedText(edited)}`)]),
    ...row("agent", [who.name, who.version].filter((text) => text !== undefined).join(" ")),
    ...row("owner", owner),
    ...row("team", team),
    ...principalRows(principal, row),
    ...row("chain", Array.isArray(chain) ? chain.map(String).join(" > ") : chain),
    ...(tainted === true ? [paint.yellow(`  ${"tainted".padEnd(10)}  the agent was given output that is not trusted`)] : row("tainted", tainted === false ? "no" : tainted)),
    ...row("labels", Array.isArray(labels) ? labels.map(String).join(", ") || "none" : labels),
    ...row("risk", typeof risk === "number" ? riskText(risk) : risk),
    ...row("why asked", whyAsked(policies, reasons)),
    ...row("approvers", role === undefined ? undefined : `${String(count)} of role ${String(role)}`),
    ...row("expires", expires_at),
    "",
    paint.yellow("  the agent's own words, which nobody has checked:"),
    ...Object.entries((says ?? {}) as Record<string, unknown>).map(([name, value]) => `  ${paint.dim("|")} ${visible(name)}: ${indented(visibleJson(value), 4, "| ")}`),
    "",
    paint.dim("  bound to:"),
    ...Object.entries({ ...bound, ...others }).map(([name, value]) => `  ${paint.dim(`${visible(name)}: ${indented(visibleJson(value), 4)}`)}`),
    "",
    `  digest of all this: ${paint.bold(digest)}`,
  ].join("\n");
}

/** Subject, issuer and whether anybody checked in one line; whatever else is known of the principal under it. */
function principalRows(principal: unknown, row: (name: string, value: unknown) => string[]): string[] {
  const { subject, issuer, verified, ...more } = (principal ?? {}) as { subject?: string; issuer?: string; verified?: boolean };
  if (subject === undefined) return row("principal", "nobody was named");
  const rest = Object.entries(more).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [
    ...row("principal", `${subject} (${verified === true ? "verified" : "claimed, not verified"}${issuer === undefined ? "" : `, issuer ${issuer}`})`),
    ...(rest.length === 0 ? [] : row("", rest.join(", "))),
  ];
}

/** Policies with their lines, and what the plane's own rules added: each whole, one a line. */
function whyAsked(policies: unknown, reasons: unknown): unknown {
  if (!Array.isArray(policies) || !Array.isArray(reasons)) return policies ?? reasons;
  return [...(policies as unknown[]), ...(reasons as unknown[])];
}

function editedText(edited: unknown): string {
  const { by, from, diff } = edited as { by?: string; from?: string; diff?: readonly Difference[] };
  return `by ${visible(String(by))}, instead of ${visible(String(from))}\n${differenceText(diff ?? [], "              ")}`;
}

/** One line for each field that differs. */
export function differenceText(differences: readonly Difference[], indent = "  "): string {
  const side = (value: unknown) => (value === undefined ? "absent" : visibleShort(value, 200));
  return differences.map(({ path, before, after }) => `${indent}${visible(path === "" ? "(all of it)" : path)}: ${side(before)} -> ${side(after)}`).join("\n");
}

/** Lines after the first, moved to the right. */
function indented(text: string, columns: number, mark = ""): string {
  return text.split("\n").join(`\n${" ".repeat(Math.max(0, columns - mark.length))}${mark}`);
}
