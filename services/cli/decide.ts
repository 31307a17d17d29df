/**
 * What `approve`, `refuse` and `edit` have in common. What is decided is what was on the screen: the digest is computed
 * from the bytes that are displayed, by this process, and asking anybody else for it is not possible (APP-4).
 */
import type { Command } from "commander";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { EventBody } from "../../schemas/event.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { DecisionInput } from "../../schemas/inputs.ts";
import type { Reason } from "../../schemas/reason.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { ApprovalAnswer } from "../projection/views.ts";
import { approvalText } from "./approval-text.ts";
import { type Cli, globalsOf } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { line, readLine } from "./io.ts";
import { type Revealed, revealed } from "./reveal.ts";
import { freshId, refusedBy, send } from "./send.ts";
import type { Session } from "./session.ts";
import { runOf } from "./tail.ts";
import { visible } from "./visible.ts";

export type Verb = DecisionInput["decision"];

export interface Asked {
  readonly answer: ApprovalAnswer;
  readonly digest: Digest;
  readonly view: Record<string, unknown>;
  /** The same with what is personal in it opened, and what that is. */
  readonly shown: Record<string, unknown>;
  readonly personal: Revealed["fields"];
}

/** Reads what is asked, and displays all of it. @throws CliError when it is closed, or is not about this action */
export async function displayed(cli: Cli, self: Command, session: Session, run: string, action: string): Promise<Asked> {
  const answer = await session.query<ApprovalAnswer>(`approval.${runOf(run)}`, { action });
  const digest = sha256Digest(answer.view);
  const view = viewed(answer, run, action);
  // with --json the text goes to the other stream, so that it is displayed all the same
  const output = globalsOf(self).json === true ? cli.io.stderr : cli.io.stdout;
  const open: Revealed = answer.state === "requested" ? await revealed(session, answer.run, answer.request, view) : { view, fields: [] };
  line(output, approvalText(answer, open.view, digest, cli.paint));
  if (open.fields.length > 0) line(output, cli.paint.yellow(`  personal, and opened for you alone: ${open.fields.map(({ path }) => visible(path.replace("/action_document", ""))).join(", ")}; the digest is of the sealed form`));
  if (open.trouble !== undefined) line(output, cli.paint.yellow(`  what is personal in it stays sealed: ${visible(open.trouble)}`));
  if (answer.state !== "requested") throw new CliError(EXIT.rejected, `request \`${answer.request}\` is ${answer.state} already`, `signalbox why ${run} ${action}`);
  return { answer, digest, view, shown: open.view, personal: open.fields };
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

/** The hex digits of a digest that was typed; the algorithm before it is allowed. */
export function digestPrefix(text: string): string {
  const hex = text.toLowerCase().replace(/^sha256:/, "");
  if (/^[0-9a-f]{8,64}$/.test(hex)) return hex;
  throw new CliError(EXIT.usage, `\`${visible(text)}\` is no digest`, "give its first 8 or more hex digits");
}

/** By the digest that was read before, or by a person's word. @throws CliError when neither agrees */
export async function confirm(cli: Cli, verb: Verb, { answer: { run, action }, digest }: Asked, given: string | undefined): Promise<void> {
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

/** Sends a decision, and waits for the event that it became. @throws CliError with why it does not count */
export async function decide(session: Session, { answer, digest }: Asked, decision: Omit<DecisionInput, "id" | "request" | "digest">): Promise<EventBody> {
  const { run, request } = answer;
  const outcome = await send(session, {
    kind: "decide",
    aggregate: { kind: "run", name: run },
    body: { id: freshId(), request, digest, ...decision },
    hear: subjects.event(session.ns, "approval.*", run),
  });
  if ("rejection" in outcome) throw refusedBy(outcome.rejection.reasons.map(explained));
  const { type, data } = outcome.event;
  if (type === "approval.stale") {
    const next = await session.query<ApprovalAnswer>(`approval.${run}`, { action: answer.action }).catch(() => undefined);
    const help = next?.state === "requested" ? `it is asked anew: signalbox approve ${run} ${answer.action}` : `signalbox why ${run} ${answer.action}`;
    throw new CliError(EXIT.denied, `request \`${request}\` no longer stands: ${visible(String(data["reason"]))}`, help);
  }
  return outcome.event;
}

/** Who may decide is the plane's to say; where it does not say what to do about it, that is said here. */
function explained(reason: Reason): Reason {
  const help = reason.help ?? HELPS[reason.code];
  return help === undefined ? reason : { ...reason, help };
}

const HELPS: Readonly<Record<string, string>> = {
  "approval.self": "nobody decides what was proposed by them, or on their behalf: somebody else does",
  "approval.twice": "approvers are counted as persons, however many names they have: another one is needed",
  "approval.expired": "the agent proposes it again",
  "approval.closed": "it was decided in the meantime: `signalbox why <run> <action>` says by whom",
};
