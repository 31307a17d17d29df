/** `status`, `runs`, `show`: what the plane knows. */
import { usd } from "../../schemas/money.ts";
import type { RunRow } from "../projection/index-store.ts";
import { behind, type RunView, type StatusAnswer } from "../projection/views.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { coloured, formatEntry, inUnit } from "./format.ts";
import { type Paint, table } from "./io.ts";
import { visible, visibleJson, visibleShort } from "./visible.ts";

export function readCommands(cli: Cli): void {
  const { program, paint } = cli;
  const status = program.command("status").description("the plane in a few lines");
  examples(status, "status", "status --json");
  status.action(async (_options, command) => {
    const answer = await inSession(cli, command, "read", async (session) => ({
      url: session.login.url,
      ...(await session.query<StatusAnswer>("status")),
    }));
    show(cli, command, answer, (value) => statusText(value, paint));
  });

  const runs = program.command("runs").description("runs, newest first");
  runs
    .option("--agent <name>", "of this agent")
    .option("--state <state>", "active, paused, completed, failed, cancelled, refused")
    .option("--limit <n>", "at most so many (1 to 1000)", count, 20)
    .option("--after <n>", "the page after this one; the number is printed under a full page", count);
  examples(runs, "runs", "runs --agent refund-assistant --state active", "runs --json --limit 1000");
  runs.action(async (options: { agent?: string; state?: string; limit: number; after?: number }, command) => {
    const { agent, state, limit, after } = options;
    const body = { limit, ...(agent && { agent }), ...(state && { state }), ...(after && { after }) };
    const answer = await inSession(cli, command, "read", (session) => session.query<{ runs: RunRow[]; next?: number }>("runs", body));
    show(cli, command, answer, (value) => runsText(value, paint));
  });

  const one = program.command("show").argument("<run>").description("one run: envelope, actions, approvals, timeline");
  examples(one, "show refund-assistant_demo", "show refund-assistant_demo --json");
  one.action(async (run: string, _options, command) => {
    const view = await inSession(cli, command, "read", (session) => session.query<RunView>("run", { run }));
    show(cli, command, view, (value) => runText(value, paint));
  });
}

export function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new CliError(EXIT.usage, `\`${text}\` is no count`, "give a whole number from 1");
  return value;
}

function statusText(status: StatusAnswer & { url: string }, paint: Paint): string {
  const states = Object.entries(status.runs).map(([state, n]) => `${n} ${state}`);
  const documents = Object.entries(status.documents).map(([kind, n]) => `${n} ${kind}`);
  const lag = behind(status);
  const rows = [
    ["plane", `${status.url}, namespace ${status.ns}`],
    ["runs", states.join(", ") || "none yet"],
    ["approvals", status.approvals_waiting === 0 ? "none waiting" : paint.yellow(`${status.approvals_waiting} waiting: signalbox approvals`)],
    ...(status.in_flight > 0 ? [["in flight", `${status.in_flight} action(s): signalbox in-flight`]] : []),
    ...(status.stops_standing > 0 ? [["stopped", paint.red(`${status.stops_standing} stop(s) stand: signalbox stops`)]] : []),
    ...(status.runs_owing > 0 ? [["ledger", `${status.runs_owing} run(s) hold allowances: signalbox ledger`]] : []),
    ["documents", documents.join(", ") || "none applied: signalbox apply <files>"],
    ["journal", `${status.journal.messages} events, ${(status.journal.bytes / 1024 / 1024).toFixed(1)} MiB${lag > 0 ? `, index ${lag} behind` : ""}`],
    ...status.alarms.slice(0, 10).map((alarm) => ["alarm", paint.red(visible(`message ${alarm.stream_seq} on ${alarm.subject}: ${alarm.why}`))]),
  ];
  return rows.map(([name, text]) => `${name?.padEnd(10)}  ${text}`).join("\n");
}

function runsText({ runs, next }: { runs: RunRow[]; next?: number }, paint: Paint): string {
  if (runs.length === 0) return "no runs";
  const rows = runs.map((run) => [run.run, run.state, run.agent, run.team, run.seq, run.waiting, run.updated_at]);
  const text = table(["RUN", "STATE", "AGENT", "TEAM", "EVENTS", "WAITING", "UPDATED"], rows, paint);
  return next === undefined ? text : `${text}\n${paint.dim(`more: signalbox runs --after ${next}`)}`;
}

function runText(run: RunView, paint: Paint): string {
  const { envelope } = run;
  const principal = envelope?.principal;
  const rows: [string, string][] = [
    ["state", coloured(run.state, paint)(run.state)],
    ["goal", visibleShort(run.goal, 400)],
  ];
  if (envelope) {
    rows.push(["agent", visible([envelope.agent.name, envelope.agent.version ?? ""].join(" ").trim())]);
    rows.push(["owner", visible(`${envelope.owner}, team ${envelope.team}`)]);
    const issuer = principal?.issuer === undefined ? "" : `, issuer ${visible(principal.issuer)}`;
    rows.push(["principal", principal ? `${visible(principal.subject)} (${principal.verified ? "verified" : "claimed, not verified"}${issuer})` : "nobody was named"]);
    if (run.chain.length > 0) rows.push(["chain", run.chain.map(visible).join(" > ")]);
    rows.push(["budget", budgetText(envelope.budget)]);
  }
  rows.push(["spent", spentText(run)]);
  for (const what of run.warned) rows.push(["warned", paint.yellow(`half of the budget for ${what} is used`)]);
  if (run.marks.tainted || run.marks.labels.length > 0) rows.push(["marks", marksText(run, paint)]);
  if (run.output !== undefined) rows.push(["output", visibleShort(run.output, 400)]);
  if (run.error !== undefined) rows.push(["error", visibleShort(run.error, 400)]);
  for (const reason of run.reasons ?? []) rows.push(["refused", `${reason.code}: ${visible(reason.message)}`]);
  const parts = [`${paint.bold(run.run)}`, rows.map(([name, text]) => `  ${name.padEnd(10)}  ${text}`).join("\n")];
  if (run.actions.length > 0) {
    const actions = run.actions.map((action) => [action.action, action.state, action.tool, action.attempt, visibleShort(action.input ?? "", 60), said(action)]);
    parts.push("", table(["ACTION", "STATE", "TOOL", "ATTEMPT", "INPUT", ""], actions, paint));
  }
  if (run.holdings.length > 0) {
    const holdings = run.holdings.map(({ ledger, unit, window, granted, unused, done, dimension }) => [ledger, dimension === undefined ? unit : `amount per ${dimension}`, window, inUnit(granted, unit), inUnit(unused, unit), done ? "settled" : unit === "requests" ? "" : "held"]);
    parts.push("", table(["ACCOUNT", "UNIT", "WINDOW", "LEASED", "GIVEN BACK", ""], holdings, paint));
  }
  for (const { request, by, uses, standing } of run.standings) {
    parts.push("", `standing approval ${request} by ${visible(by)}: ${uses.length} of ${standing.uses} use(s)${uses.length === 0 ? "" : `, ${uses.join(", ")}`}`);
  }
  const open = run.approvals.filter(({ state }) => state === "requested");
  for (const { action, role, count, decisions, expires_at } of open) {
    const approved = decisions.filter(({ decision }) => decision === "approve").length;
    parts.push("", paint.yellow(`${action} waits for ${count - approved} of ${role} until ${expires_at}: signalbox approve ${run.run} ${action}`));
  }
  parts.push("", ...run.timeline.map((entry) => `${paint.dim(entry.at.slice(11, 23))}  ${formatEntry(entry, paint)}`));
  return parts.join("\n");
}

function spentText({ spend }: RunView): string {
  const { steps, settled_micro_usd, reserved_micro_usd, input_tokens, output_tokens } = spend;
  return [
    `${steps} step(s)`,
    `${usd(settled_micro_usd)} USD`,
    ...(reserved_micro_usd > 0 ? [`${usd(reserved_micro_usd)} USD reserved`] : []),
    ...(input_tokens + output_tokens > 0 ? [`${input_tokens} + ${output_tokens} tokens`] : []),
  ].join(", ");
}

function marksText({ marks }: RunView, paint: Paint): string {
  const from = marks.sources.map(({ action, tool }) => `${action} ${tool}`).join(", ");
  return `${[...(marks.tainted ? [paint.yellow("tainted")] : []), ...marks.labels.map(visible)].join(", ")}${from === "" ? "" : `, by output of ${visible(from)}`}`;
}

function said({ reasons, error, output, edited, replaced_by }: RunView["actions"][number]): string {
  if (edited !== undefined) return visibleShort(`edited by ${edited.by} from ${edited.from}`, 80);
  if (replaced_by !== undefined) return `now ${replaced_by}`;
  if (reasons?.[0] !== undefined) return visibleShort(`${reasons[0].code}: ${reasons[0].message}`, 80);
  if (error !== undefined) return visibleShort(`${error.code}: ${error.message}`, 80);
  return output === undefined ? "" : visibleShort(visibleJson(output).replace(/\s+/g, " "), 80);
}

function budgetText(budget: NonNullable<RunView["envelope"]>["budget"]): string {
  const parts = [
    budget.max_steps === undefined ? undefined : `${budget.max_steps} steps`,
    budget.max_cost_micro_usd === undefined ? undefined : `${usd(budget.max_cost_micro_usd)} USD`,
    budget.max_wall_ms === undefined ? undefined : `${budget.max_wall_ms / 1000} s`,
    budget.max_input_tokens === undefined ? undefined : `${budget.max_input_tokens} input tokens`,
    budget.max_output_tokens === undefined ? undefined : `${budget.max_output_tokens} output tokens`,
    budget.pause_at_half === true ? "paused at half" : undefined,
  ].filter((part) => part !== undefined);
  return parts.join(", ") || "no limit";
}
