/** `replay` and `verify`: the journal recomputed, and its chains followed, with an auditor's rights. */
import type { Command } from "commander";
import { streamName } from "../../schemas/subjects.ts";
import { StreamReader } from "../bus/journal.ts";
import { checkAggregate, checkAll, type Checked } from "../replay/journal.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { type Paint } from "./io.ts";
import { runOf } from "./tail.ts";
import { visible, visibleShort } from "./visible.ts";

export function auditCommands(cli: Cli): void {
  const replay = cli.program.command("replay").argument("[run]").option("--all", "every run and every document");
  replay.description("recompute recorded events, byte for byte, without side effects");
  examples(replay, "replay refund-assistant_demo", "replay --all");
  replay.action(async (run: string | undefined, options: { all?: boolean }, self) => {
    const reports = (await checked(cli, self, run, options.all === true)).map((one) => one.replay);
    show(cli, self, { reports }, () => reports.map((report) => replayText(report, cli.paint)).join("\n"));
    if (reports.some(({ difference }) => difference !== undefined)) cli.ends(EXIT.failed);
  });

  const verify = cli.program.command("verify").argument("[run]").option("--all", "every run and every document");
  verify.description("follow the hash chains over the stored bytes");
  examples(verify, "verify refund-assistant_demo", "verify --all --json");
  verify.action(async (run: string | undefined, options: { all?: boolean }, self) => {
    const reports = (await checked(cli, self, run, options.all === true)).map((one) => one.verify);
    show(cli, self, { reports }, () => reports.map((report) => verifyText(report, cli.paint)).join("\n"));
    if (reports.some(({ fault }) => fault !== undefined)) cli.ends(EXIT.failed);
  });
}

async function checked(cli: Cli, self: Command, run: string | undefined, all: boolean): Promise<readonly Checked[]> {
  if ((run === undefined) !== all) throw new CliError(EXIT.usage, "one run, or all of them", `signalbox ${self.name()} <run>, or signalbox ${self.name()} --all`);
  return inSession(cli, self, "read", async ({ nc, ns }) => {
    const journal = new StreamReader(nc, streamName("JOURNAL", ns));
    if (run === undefined) return checkAll(journal, ns);
    const one = await checkAggregate(journal, ns, "run", runOf(run));
    if (one === undefined) throw new CliError(EXIT.usage, `there is no run \`${visible(run)}\``, "`signalbox runs` lists them");
    return [one];
  });
}

function replayText({ kind, name, events, identical, difference }: Checked["replay"], paint: Paint): string {
  const what = kind === "run" ? name : `${kind} ${name}`;
  if (difference === undefined) return `${paint.green("identical")}  ${visible(what)}  ${events} event(s)`;
  return [
    `${paint.red("different")}  ${visible(what)}  from event ${difference.seq} on, after ${identical} identical of ${events}`,
    `  field     ${visible(difference.field)}`,
    `  recorded  ${visibleShort(difference.recorded ?? null, 400)}`,
    `  computed  ${visibleShort(difference.computed ?? null, 400)}`,
  ].join("\n");
}

function verifyText({ kind, name, events, head, fault }: Checked["verify"], paint: Paint): string {
  const what = kind === "run" ? name : `${kind} ${name}`;
  if (fault === undefined) return `${paint.green("intact")}  ${visible(what)}  ${events} event(s)  ${paint.dim(`sha256:${head}`)}`;
  return `${paint.red("broken")}  ${visible(what)}  at event ${fault.seq} (message ${fault.streamSeq}): ${visible(fault.why)}`;
}
