/**
 * `approvals`, `approve`, `refuse`. What is decided is what was on the screen: the digest is computed from the bytes
 * that are displayed, by this process, and asking anybody else for it is not possible (APP-4).
 */
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Digest } from "../../schemas/ids.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { ApprovalRow } from "../projection/index-store.ts";
import type { ApprovalAnswer } from "../projection/views.ts";
import { type Cli, examples, globalsOf, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { json, line, type Paint, readLine, table } from "./io.ts";
import { freshId, refusedBy, send } from "./send.ts";
import type { Session } from "./session.ts";
import { runOf } from "./tail.ts";
import { visible, visibleJson } from "./visible.ts";

export function approvalCommands(cli: Cli): void {
  const list = cli.program.command("approvals").description("what waits for a person, oldest first");
  examples(list, "approvals", "approvals --json", "approvals --as demo-approver");
  list.action(async (_options, command) => {
    const answer = await inSession(cli, command, "decide", (session) => session.query<{ approvals: ApprovalRow[] }>("approvals"));
    show(cli, command, answer, ({ approvals }) => listText(approvals, cli.paint));
  });
  decideCommand(cli, "approve");
  decideCommand(cli, "refuse");
}

function listText(approvals: readonly ApprovalRow[], paint: Paint): string {
  if (approvals.length === 0) return "nothing waits for a person";
  const rows = approvals.map((one) => [one.run, one.action, one.tool, one.role, one.requested_at, one.expires_at]);
  const first = approvals[0] as ApprovalRow;
  return `${table(["RUN", "ACTION", "TOOL", "ROLE", "ASKED", "EXPIRES"], rows, paint)}\n${paint.dim(`next: signalbox approve ${first.run} ${first.action}`)}`;
}

type Verb = "approve" | "refuse";

function decideCommand(cli: Cli, verb: Verb): void {
  const command = cli.program.command(verb).argument("<run>").argument("<action>");
  command
    .description(`show what is asked, and ${verb} it`)
    .option("--digest <hex>", "the first 8 or more digits of the digest that was shown: decides without asking")
    .option("--reason <text>", "recorded with the decision");
  examples(command, `${verb} refund-assistant_demo a4`, `${verb} refund-assistant_demo a4 --digest 3f0c92aa --reason "checked with the customer"`);
  command.action(async (run: string, action: string, options: { digest?: string; reason?: string }, self) => {
    const given = options.digest === undefined ? undefined : digestPrefix(options.digest);
    await inSession(cli, self, "decide", async (session) => {
      const asked = await session.query<ApprovalAnswer>(`approval.${runOf(run)}`, { action });
      const digest = sha256Digest(asked.view);
      const view = viewed(asked, run, action);
      const asJson = globalsOf(self).json === true;
      // with --json the text goes to the other stream, so that it is displayed all the same
      line(asJson ? cli.io.stderr : cli.io.stdout, approvalText(asked, view, digest, cli.paint));
      if (asked.state !== "requested") throw new CliError(EXIT.rejected, `request \`${asked.request}\` is ${asked.state} already`, `signalbox why ${run} ${action}`);
      await confirm(cli, verb, run, action, digest, given);
      await decide(cli, session, { verb, asked, digest, reason: options.reason, asJson });
    });
  });
}

/** The hex digits of a digest that was typed; the algorithm before it is allowed. */
function digestPrefix(text: string): string {
  const hex = text.toLowerCase().replace(/^sha256:/, "");
  if (/^[0-9a-f]{8,64}$/.test(hex)) return hex;
  throw new CliError(EXIT.usage, `\`${visible(text)}\` is no digest`, "give its first 8 or more hex digits");
}

/** The text of the request as an object, which must be about what was asked for: nobody else's words are displayed. */
function viewed(asked: ApprovalAnswer, run: string, action: string): Record<string, unknown> {
  let view: Record<string, unknown>;
  try {
    view = JSON.parse(asked.view) as Record<string, unknown>;
  } catch {
    throw new CliError(EXIT.failed, "what the plane shows is no JSON", "`signalbox verify` follows the run's chain");
  }
  const document = view["action_document"] as { run?: unknown; action?: unknown } | undefined;
  if (document?.run !== run || document.action !== action || view["action"] !== action || view["request"] !== asked.request) {
    throw new CliError(EXIT.failed, `what the plane shows is not \`${action}\` of \`${run}\``, "decide nothing, and tell who runs the plane");
  }
  return view;
}

async function confirm(cli: Cli, verb: Verb, run: string, action: string, digest: Digest, given: string | undefined): Promise<void> {
  const hex = digest.slice("sha256:".length);
  if (given !== undefined) {
    if (hex.startsWith(given)) return;
    throw new CliError(EXIT.rejected, `the digest of what is shown begins with \`${hex.slice(0, 8)}\`, not with \`${given.slice(0, 8)}\``, "it is not what you read before: read it again");
  }
  if (cli.io.stdin.isTTY !== true) {
    throw new CliError(EXIT.usage, "nobody is here to ask", `read the above, then: signalbox ${verb} ${run} ${action} --digest <the first 8 digits of its digest>`);
  }
  cli.io.stderr.write(`type yes to ${verb}: `);
  if ((await readLine(cli.io)) !== "yes") throw new CliError(EXIT.usage, "nothing was sent", "only `yes` decides");
}

interface Deciding {
  readonly verb: Verb;
  readonly asked: ApprovalAnswer;
  readonly digest: Digest;
  readonly reason: string | undefined;
  readonly asJson: boolean;
}

async function decide(cli: Cli, session: Session, { verb, asked, digest, reason, asJson }: Deciding): Promise<void> {
  const { run, action, request } = asked;
  const outcome = await send(session, {
    kind: "decide",
    aggregate: { kind: "run", name: run },
    body: { id: freshId(), request, decision: verb, digest, ...(reason !== undefined && { reason }) },
    hear: subjects.event(session.ns, "approval.*", run),
  });
  if ("rejection" in outcome) throw refusedBy(outcome.rejection.reasons);
  const { type, data } = outcome.event;
  if (asJson) json(cli.io.stdout, { run, action, request, digest, by: session.name, event: type, seq: outcome.event.seq, grants: data["grants"], count: data["count"] });
  if (type === "approval.stale") {
    throw new CliError(EXIT.denied, `request \`${request}\` no longer stands: ${visible(String(data["reason"]))}`, "the agent proposes it again");
  }
  if (asJson) return;
  if (type === "approval.refused") return line(cli.io.stdout, `refused: ${run} ${action}`);
  const [grants, count] = [Number(data["grants"]), Number(data["count"])];
  line(cli.io.stdout, grants < count ? `approved by ${grants} of ${count}: ${run} ${action}` : `${cli.paint.green("approved")}: ${run} ${action}`);
  if (grants < count) cli.ends(EXIT.waiting);
}

/** Everything that the digest is over. Nothing of it is left out, whatever the plane puts in. */
function approvalText(asked: ApprovalAnswer, view: Record<string, unknown>, digest: Digest, paint: Paint): string {
  const { action_document: document, agent_says: says, agent, owner, team, principal, role, count, expires_at, ...rest } = view;
  const { tool, input, ...bound } = document as Record<string, unknown>;
  const { action: _, request: __, ...others } = rest;
  const row = (name: string, value: unknown) => (value === undefined ? [] : [`  ${name.padEnd(10)}  ${typeof value === "string" ? visible(value) : indented(visibleJson(value), 14)}`]);
  const { subject, verified } = (principal ?? {}) as { subject?: string; verified?: boolean };
  const who = (agent ?? {}) as { name?: string; version?: string };
  return [
    `${paint.bold(`${asked.run} ${asked.action}`)}  request ${asked.request}, ${asked.grants.length} of ${asked.count} ${visible(asked.role)}, ${asked.state}`,
    "",
    ...row("tool", tool),
    `  ${"input".padEnd(10)}  ${paint.bold(indented(visibleJson(input ?? null), 14))}`,
    ...row("agent", [who.name, who.version].filter((text) => text !== undefined).join(" ")),
    ...row("owner", owner),
    ...row("team", team),
    ...row("principal", subject === undefined ? "nobody was named" : `${subject} (${verified === true ? "verified" : "claimed, not verified"})`),
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

/** Lines after the first, moved to the right. */
function indented(text: string, columns: number, mark = ""): string {
  return text.split("\n").join(`\n${" ".repeat(Math.max(0, columns - mark.length))}${mark}`);
}
