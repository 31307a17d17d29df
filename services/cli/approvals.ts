/** `approvals`, `approve`, `refuse`, `edit`: the answers of people. */
import type { Command } from "commander";
import { differences } from "../../machines/diff.ts";
import { type Standing, standingSchema } from "../../schemas/inputs.ts";
import type { JsonValue } from "../../schemas/json.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { ApprovalRow } from "../projection/index-store.ts";
import type { ApprovalAnswer } from "../projection/views.ts";
import { differenceText, listText } from "./approval-text.ts";
import { type Cli, examples, globalsOf, inSession, show } from "./cli.ts";
import { jsonOf } from "./control.ts";
import { type Asked, confirm, decide, digestPrefix, displayed } from "./decide.ts";
import { durationSeconds } from "./duration.ts";
import { CliError, EXIT } from "./exit.ts";
import { json, line } from "./io.ts";
import { eventOf } from "./send.ts";
import { count } from "./read.ts";
import { keptSealed } from "./reveal.ts";
import type { Session } from "./session.ts";

const EXIT_CODES = "\nExit codes:\n  0 decided   2 nothing was sent   3 it does not count: wrong role or digest, too late, one's own   4 stale: it is asked anew\n  5 more persons must approve";

export function approvalCommands(cli: Cli): void {
  const list = cli.program.command("approvals").description("what waits for a person, oldest first");
  examples(list, "approvals", "approvals --json", "approvals --as demo-approver");
  list.action(async (_options, command) => {
    const answer = await inSession(cli, command, "decide", (session) => session.query<{ approvals: ApprovalRow[] }>("approvals"));
    show(cli, command, answer, ({ approvals }) => listText(approvals, cli.paint));
  });
  approveCommand(cli);
  refuseCommand(cli);
  editCommand(cli);
}

interface Options {
  readonly digest?: string;
  readonly reason?: string;
}

function deciding(command: Command, verb: string): Command {
  return command
    .option("--digest <hex>", `the first 8 or more digits of the digest that was shown: ${verb} without asking`)
    .option("--reason <text>", "recorded with the decision");
}

interface StandingOptions extends Options {
  readonly standing?: boolean;
  readonly vary?: string[];
  readonly uses?: number;
  readonly maxAmount?: string;
  readonly maxTotal?: string;
  readonly for?: string;
}

function approveCommand(cli: Cli): void {
  const command = deciding(cli.program.command("approve").argument("<run>").argument("<action>"), "approve");
  command
    .description("show what is asked, and approve it")
    .option("--standing", "also approve later actions of the same shape in this run, as far as the contract allows")
    .option("--vary <pointer...>", "with --standing: what of the input may differ, as JSON pointers")
    .option("--uses <n>", "with --standing: at most so many actions", count)
    .option("--max-amount <decimal>", "with --standing: at most so much each, in the tool's currency")
    .option("--max-total <decimal>", "with --standing: at most so much together")
    .option("--for <time>", "with --standing: until so long from now, as 30m or 2h");
  examples(
    command,
    "approve refund-assistant_demo a4",
    'approve refund-assistant_demo a4 --digest 3f0c92aa --reason "checked with the customer"',
    "approve refund-assistant_demo a4 --standing --vary /amount_usd --uses 5 --max-amount 50 --max-total 200 --for 1h",
  ).addHelpText("after", EXIT_CODES);
  command.action(async (run: string, action: string, options: StandingOptions, self) => {
    const given = options.digest === undefined ? undefined : digestPrefix(options.digest);
    const standing = standingOf(options);
    await inSession(cli, self, "decide", async (session) => {
      const asked = await displayed(cli, self, session, run, action);
      if (standing !== undefined) stands(cli, self, asked.answer, standing);
      await confirm(cli, "approve", asked, given);
      const event = await decide(session, asked, { decision: "approve", ...(standing && { standing }), ...said(options) });
      const [grants, wanted] = [Number(event.data["grants"]), Number(event.data["count"])];
      if (grants < wanted) cli.ends(EXIT.waiting);
      decided(cli, self, session, asked, event, () =>
        grants < wanted ? `approved by ${grants} of ${wanted}: ${run} ${action}` : `${cli.paint.green("approved")}: ${run} ${action}${standing === undefined ? "" : `, and ${standing.uses} like it until ${standing.expires_seconds} s from now`}`,
      );
    });
  });
}

/** @throws CliError when the options say too little or too much */
function standingOf({ standing, vary, uses, maxAmount, maxTotal, for: time }: StandingOptions): Standing | undefined {
  const more = [vary, uses, maxAmount, maxTotal, time].some((option) => option !== undefined);
  if (standing !== true) {
    if (more) throw new CliError(EXIT.usage, "`--vary`, `--uses`, `--max-amount`, `--max-total` and `--for` go with `--standing`", "without it, this one action is approved");
    return undefined;
  }
  if (uses === undefined || time === undefined) throw new CliError(EXIT.usage, "a standing approval says how often and how long", "add `--uses <n>` and `--for <time>`");
  const parsed = standingSchema.safeParse({
    vary: vary ?? [],
    uses,
    expires_seconds: durationSeconds(time),
    ...(maxAmount !== undefined && { max_amount: maxAmount }),
    ...(maxTotal !== undefined && { max_total: maxTotal }),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError(EXIT.usage, `\`${issue?.path.join(".") ?? ""}\`: ${issue?.message.toLowerCase() ?? ""}`, "`signalbox approve --help` shows an example");
}

/** Says what will stand, before anybody is asked. @throws CliError when the contract lets nothing stand */
function stands(cli: Cli, self: Command, { standing: allowed, run, action }: ApprovalAnswer, wanted: Standing): void {
  if (allowed === undefined) {
    throw new CliError(EXIT.rejected, "no approval of this action can stand for others", `it is irreversible, or tainted, or its contract has no \`standing_approval\` for the tool; without --standing: signalbox approve ${run} ${action}`);
  }
  const { vary, uses, expires_seconds, max_amount, max_total } = wanted;
  const limits = [max_amount === undefined ? "" : `, each at most ${max_amount}`, max_total === undefined ? "" : `, together at most ${max_total}`].join("");
  const output = globalsOf(self).json === true ? cli.io.stderr : cli.io.stdout;
  line(output, cli.paint.yellow(`  it also stands for ${uses} later action(s) of this run within ${expires_seconds} s, whose input differs in ${vary.length === 0 ? "nothing" : vary.join(", ")}${limits}`));
}

function refuseCommand(cli: Cli): void {
  const command = deciding(cli.program.command("refuse").argument("<run>").argument("<action>"), "refuse");
  command.description("show what is asked, and refuse it");
  examples(command, "refuse refund-assistant_demo a4", 'refuse refund-assistant_demo a4 --digest 3f0c92aa --reason "not this customer"').addHelpText("after", EXIT_CODES);
  command.action(async (run: string, action: string, options: Options, self) => {
    const given = options.digest === undefined ? undefined : digestPrefix(options.digest);
    await inSession(cli, self, "decide", async (session) => {
      const asked = await displayed(cli, self, session, run, action);
      await confirm(cli, "refuse", asked, given);
      const event = await decide(session, asked, { decision: "refuse", ...said(options) });
      decided(cli, self, session, asked, event, () => `refused: ${run} ${action}`);
    });
  });
}

function editCommand(cli: Cli): void {
  const command = deciding(cli.program.command("edit").argument("<run>").argument("<action>"), "edit");
  command
    .description("show what is asked, and put another input in the place of the agent's: a new action, judged anew, and not approved by that")
    .requiredOption("--input <json>", "the whole new input");
  examples(
    command,
    "edit refund-assistant_demo a4 --input '{\"charge_id\":\"ch_1001\",\"amount_usd\":400}'",
    "edit refund-assistant_demo a4 --digest 3f0c92aa --reason \"one item was kept\" --input '{\"charge_id\":\"ch_1001\",\"amount_usd\":400}'",
  ).addHelpText("after", EXIT_CODES);
  command.action(async (run: string, action: string, options: Options & { input: string }, self) => {
    const given = options.digest === undefined ? undefined : digestPrefix(options.digest);
    const wanted = jsonOf(options.input, "--input") as JsonValue;
    await inSession(cli, self, "decide", async (session) => {
      const asked = await displayed(cli, self, session, run, action);
      const old = inputOf(asked.view);
      const input = keptSealed(wanted, old, asked.personal);
      const diff = differences(inputOf(asked.shown), differences(old, input).length === 0 ? inputOf(asked.shown) : wanted);
      if (diff.length === 0) throw new CliError(EXIT.usage, "the new input is the old one", `approve it as it is: signalbox approve ${run} ${action}`);
      line(globalsOf(self).json === true ? cli.io.stderr : cli.io.stdout, `\n  ${cli.paint.bold("you change")}\n${differenceText(diff, "    ")}\n`);
      await confirm(cli, "edit", asked, given);
      const requests = await requestsOf(session, run);
      const event = await decide(session, asked, { decision: "edit", input, ...said(options) });
      const replacement = String(event.data["replacement"]);
      const next = await requests.of(replacement);
      const waits = next?.state === "requested";
      if (waits) cli.ends(EXIT.waiting);
      decided(cli, self, session, asked, event, () =>
        [
          `${cli.paint.green("edited")}: ${run} ${action} is now ${replacement}`,
          waits ? `  it is asked anew, as request ${next.request}: ${next.count} of ${next.role}\n${cli.paint.dim(`next: signalbox approve ${run} ${replacement}`)}` : `  nobody is asked about it so far\n${cli.paint.dim(`next: signalbox why ${run} ${replacement}`)}`,
        ].join("\n"),
        { replacement, ...(waits && { next_request: next.request }) },
      );
    });
  });
}

function inputOf(view: Record<string, unknown>): JsonValue {
  return (view["action_document"] as { input: JsonValue }).input;
}

/** A new action may have to wait for its allowances before anybody is asked about it, ms. */
const ASKED_WITHIN_MS = 2000;

/** Listens from now on for what is asked in a run. */
async function requestsOf(session: Session, run: string) {
  const heard = new Set<string>();
  let wake: () => void = () => undefined;
  const subscription = session.nc.subscribe(subjects.event(session.ns, "approval.requested", run), {
    callback: (error, message) => {
      const event = error === null ? eventOf(message.data) : undefined;
      if (event === undefined) return;
      heard.add(String(event.data["action"]));
      wake();
    },
  });
  await session.nc.flush();
  return {
    /** What is asked about an action; undefined when nothing is, within a short while. */
    of: async (action: string): Promise<ApprovalAnswer | undefined> => {
      const late = AbortSignal.timeout(ASKED_WITHIN_MS);
      late.addEventListener("abort", () => wake());
      while (!heard.has(action) && !late.aborted) await new Promise<void>((resolve) => void (wake = resolve));
      subscription.unsubscribe();
      return heard.has(action) ? session.query<ApprovalAnswer>(`approval.${run}`, { action }) : undefined;
    },
  };
}

function said({ reason }: Options): { reason?: string } {
  return reason === undefined ? {} : { reason };
}

function decided(cli: Cli, self: Command, session: Session, asked: Asked, event: Awaited<ReturnType<typeof decide>>, text: () => string, more: object = {}): void {
  const { run, action, request } = asked.answer;
  const { type, seq, data } = event;
  if (globalsOf(self).json !== true) return line(cli.io.stdout, text());
  json(cli.io.stdout, { run, action, request, digest: asked.digest, by: session.name, event: type, seq, grants: data["grants"], count: data["count"], ...more });
}
