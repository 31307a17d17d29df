/** `why`: which principal authorised it, which policy permitted it, what evidence proves what happened (CORE-8). */
import type { DecisionView, WhyView } from "../projection/views.ts";
import { differenceText, riskText } from "./approval-text.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { coloured, formatEntry } from "./format.ts";
import type { Paint } from "./io.ts";
import { visible } from "./visible.ts";

export function whyCommand(cli: Cli): void {
  const command = cli.program.command("why").argument("<run>").argument("<action>");
  command.description("who authorised an action, which policy permitted it, what proves it");
  examples(command, "why refund-assistant_demo a4", "why refund-assistant_demo a4 --json");
  command.action(async (run: string, action: string, _options, self) => {
    const view = await inSession(cli, self, "read", (session) => session.query<WhyView>("why", { run, action }));
    show(cli, self, view, (value) => whyText(value, cli.paint));
  });
}

function whyText(why: WhyView, paint: Paint): string {
  return [
    `${paint.bold(`${why.run} ${why.action}`)}  ${visible(why.tool)}  ${coloured(why.state, paint)(why.state)}`,
    ...about(why, paint),
    "",
    paint.bold("Which principal authorised it?"),
    ...authority(why, paint),
    "",
    paint.bold("Which policy permitted it?"),
    ...permission(why, paint),
    "",
    paint.bold("What evidence proves what happened?"),
    ...evidence(why, paint),
  ].join("\n");
}

/** What kind of action it is, and what became of its input. */
function about({ effect, amount, risk, sources, edited, replaced_by }: WhyView, paint: Paint): string[] {
  const facts = [effect, amount, risk === undefined ? undefined : `risk ${riskText(risk)}`].filter((text) => text !== undefined);
  return [
    ...(facts.length === 0 ? [] : [row("about", facts.map(visible).join(", "))]),
    ...(sources === undefined ? [] : [row("rests on", `${paint.yellow("untrusted output")} of ${sources.map(visible).join(", ")}`)]),
    ...(edited === undefined ? [] : [row("edited", `by ${visible(edited.by)}, instead of ${edited.from}`), differenceText(edited.diff, "              ")]),
    ...(replaced_by === undefined ? [] : [row("replaced", `by ${replaced_by}, whose input an approver gave`)]),
  ];
}

function authority({ authority: who }: WhyView, paint: Paint): string[] {
  const { principal } = who;
  const checked = [
    principal?.key_id === undefined ? undefined : `key ${principal.key_id}`,
    principal?.token_id === undefined ? undefined : `token ${principal.token_id}`,
    principal?.expires_at === undefined ? undefined : `until ${principal.expires_at}`,
    principal?.token_hash,
  ].filter((text) => text !== undefined);
  const standing = principal?.verified === true ? paint.green(who.standing) : paint.yellow(who.standing);
  const name = principal === null ? standing : `${visible(principal.subject)}  ${standing}${principal.issuer === undefined ? "" : `, issuer ${visible(principal.issuer)}`}`;
  return [
    row("principal", name),
    ...(checked.length === 0 ? [] : [row("", paint.dim(checked.map(visible).join(", ")))]),
    ...(who.chain.length === 0 ? [] : [row("chain", who.chain.map(visible).join(" > "))]),
    row("agent", visible([who.agent, who.agent_version ?? ""].join(" ").trim())),
    ...(who.owner === undefined ? [] : [row("owner", visible(`${who.owner}, team ${who.team ?? ""}`))]),
  ];
}

function permission({ permission: given, state }: WhyView, paint: Paint): string[] {
  const { standing, stop, judged } = given;
  const lines = [row("decision", `${given.decision ?? "none"}${given.decided_by === undefined ? "" : `, settled by ${given.decided_by}`}${given.engine === undefined ? "" : `  ${paint.dim(given.engine)}`}`)];
  for (const policy of given.policies) {
    const place = policy.file === undefined ? "" : `  ${visible(policy.file)}${policy.line === undefined ? "" : `:${policy.line}`}`;
    lines.push(row(policy.effect, `${visible(policy.id)}${place}`));
  }
  if (judged > 1) lines.push(row("judged", `${judged} times: documents changed meanwhile, and the last one counts`));
  if (given.policies.length === 0 && given.decision !== undefined) {
    lines.push(row("policy", given.decision === "deny" ? "none permits it, and what none permits is denied" : "none: a rule of the plane's own speaks of it"));
  }
  for (const reason of given.reasons) lines.push(row("reason", `${reason.code}: ${visible(reason.message)}${reason.help === undefined ? "" : `  (${visible(reason.help)})`}`));
  for (const error of given.errors) lines.push(row("error", paint.red(visible(error))));
  for (const approval of given.approvals) {
    for (const decision of approval.decisions) lines.push(...decisionRows(decision, paint));
    if (approval.state !== "granted" && approval.state !== "refused" && approval.state !== "edited") {
      lines.push(row("approval", `${approval.request} of ${approval.count} ${approval.role}: ${approval.state}${state === "awaiting_approval" ? ` until ${approval.expires_at}` : ""}`));
    }
  }
  if (standing !== undefined) lines.push(row("standing", `approved by ${visible(standing.by)} at ${standing.at} as ${standing.request}, for actions like ${standing.action}; shown ${standing.digest}`));
  if (stop !== undefined) lines.push(row("stop", paint.red(`${stop.stop} (${stop.kind}) of ${visible(stop.scope)}: "${visible(stop.reason)}"`)));
  return lines;
}

const DID: Readonly<Record<string, string>> = { approve: "approved", refuse: "refused", edit: "edited" };

/** Who it was, when, why, and what they were shown. */
function decisionRows({ by, person, decision, reason, at, digest, standing, replacement }: DecisionView, paint: Paint): string[] {
  const more = [
    person === undefined ? undefined : `${person.subject} of ${person.issuer}`,
    standing === undefined ? undefined : `standing for ${standing.uses} more within ${standing.expires_seconds} s`,
    replacement === undefined ? undefined : `now ${replacement}`,
    `shown ${digest}`,
  ].filter((text) => text !== undefined);
  return [
    row(DID[decision] ?? decision, `by ${visible(by)} at ${at}${reason === undefined ? "" : `: "${visible(reason)}"`}`),
    row("", paint.dim(more.map(visible).join(", "))),
  ];
}

function evidence({ evidence: proof }: WhyView, paint: Paint): string[] {
  const lines = proof.events.flatMap((event) => [
    `  ${formatEntry(event, paint)}`,
    paint.dim(`       stream ${event.stream_seq}  sha256:${event.hash}`),
  ]);
  for (const [kind, digest] of Object.entries(proof.documents)) lines.push(row(kind, digest));
  return [...lines, "", paint.dim("  each event's hash is in the next event of its run: `signalbox verify <run>` follows the chain")];
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(10)}  ${text}`;
}
