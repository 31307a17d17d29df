/** `policy explain`: what was asked about an action, which policies determined it, and what would have to differ. */
import type { Command } from "commander";
import type { JournalEvent } from "../bus/commit.ts";
import { decodeEvent } from "../bus/commit.ts";
import type { Turn } from "../policy/explain.ts";
import { people } from "../policy/judge.ts";
import { Library } from "../replay/documents.ts";
import { explainAction, type Explanation, NotJudged } from "../replay/explain.ts";
import { type Cli, examples, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Paint } from "./io.ts";
import { type Source, withSource } from "./sources.ts";
import { visible, visibleShort } from "./visible.ts";

export function explainCommand(cli: Cli, policy: Command): void {
  const explain = policy.command("explain").argument("<run>").argument("<action>").option("--file <export>", "out of a file that `signalbox export` wrote, without a plane");
  explain.description("what an action was judged by, and the smallest changes that would turn the decision");
  examples(explain, "policy explain refund-assistant_demo a4", "policy explain refund-assistant_demo a4 --json", "policy explain refund-assistant_demo a4 --file evidence.jsonl");
  explain.action(async (run: string, action: string, options: { file?: string }, self) => {
    await withSource(cli, self, run, options, async ({ ns, messages, documents }) => {
      try {
        const explanation = await explainAction(ns, run, decoded(messages), new Library(documents), action);
        show(cli, self, explanation, (value) => explanationText(value, cli.paint));
      } catch (error) {
        if (!(error instanceof NotJudged)) throw error;
        throw new CliError(EXIT.usage, visible(error.message), `\`signalbox show ${visible(run)}\` shows the run's actions`);
      }
    });
  });
}

async function* decoded(messages: Source["messages"]): AsyncGenerator<JournalEvent> {
  for await (const message of messages) yield decodeEvent(message);
}

function explanationText(explanation: Explanation, paint: Paint): string {
  const { run, action, tool, seq, at, judgement, request, policies, turns, caveat } = explanation;
  const asked = judgement.ask === undefined ? "" : ` ${people(judgement.ask)}`;
  const lines = [`${paint.bold(`${visible(run)} ${action}`)}  ${visible(tool)}  ${decisionText(judgement.decision, paint)}${asked}  ${paint.dim(`at event ${seq}, ${at}, ${judgement.engine}`)}`];
  if (caveat !== undefined) lines.push(`${paint.yellow("note")}  ${visible(caveat)}`);
  if (request !== undefined) lines.push("", paint.bold("What was asked"), ...flat(request).map(([path, value]) => `  ${path.padEnd(28)}  ${visibleShort(value, 200)}`));
  lines.push("", paint.bold("What determined it"));
  for (const { id, effect, place, text } of policies) {
    lines.push(`  ${effect} ${visible(id)}${place === undefined ? "" : `  ${visible(place)}`}`);
    if (text !== undefined) lines.push(...text.split("\n").map((one) => paint.dim(`    ${visible(one)}`)));
  }
  for (const { code, message, help } of judgement.reasons) lines.push(`  ${code}: ${visible(message)}${help === undefined ? "" : `  (${visible(help)})`}`);
  for (const error of judgement.errors) lines.push(`  ${paint.red("error")}: ${visible(error)}`);
  if (policies.length + judgement.reasons.length + judgement.errors.length === 0) lines.push("  no policy, and what none permits is denied");
  if (request === undefined) return lines.join("\n");
  lines.push("", paint.bold("What would have to differ"));
  if (turns.length === 0) lines.push("  no single change turns it");
  for (const turn of turns) lines.push(`  ${turnText(turn)}  ${paint.dim("then")} ${decisionText(turn.decision, paint)}${turn.ask === undefined ? "" : ` ${people(turn.ask)}`}`);
  return lines.join("\n");
}

function turnText({ path, from, to }: Turn): string {
  const shown = (value: unknown) => visibleShort(value, 80);
  if (from === undefined) return `${path} with ${shown(to)}`;
  if (to === undefined) return `${path} without ${shown(from)}`;
  return `${path} ${shown(to)} instead of ${shown(from)}`;
}

function decisionText(decision: string, paint: Paint): string {
  const colour = decision === "allow" ? paint.green : decision === "deny" ? paint.red : paint.yellow;
  return colour(decision);
}

/** Members of a record by their path; lists stay as they are. */
function flat(value: object, before = ""): [string, unknown][] {
  return Object.entries(value).flatMap(([name, member]: [string, unknown]): [string, unknown][] => {
    if (member === undefined) return [];
    const path = before === "" ? name : `${before}.${name}`;
    const isRecord = typeof member === "object" && member !== null && !Array.isArray(member);
    return isRecord && Object.keys(member).length > 0 ? flat(member, path) : [[path, member]];
  });
}
