/** `pause`, `resume`, `cancel`, `resolve`, `cleanse`: an operator's hand on a run. */
import { controlSchema } from "../../schemas/inputs.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type Command, Option } from "commander";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { freshId, refusedBy, send } from "./send.ts";
import { runOf } from "./tail.ts";
import { visible } from "./visible.ts";

const VERBS = {
  pause: "nothing new is dispatched until it is resumed; what is under way is reported",
  resume: "a paused run goes on",
  cancel: "the run ends; what was not begun is given up",
} as const;

export function controlCommands(cli: Cli): void {
  for (const verb of ["pause", "resume", "cancel"] as const) {
    const command = cli.program.command(verb).argument("<run>").description(VERBS[verb]);
    command.option("--reason <text>", "recorded with it");
    examples(command, `${verb} refund-assistant_demo --reason "asked by finance"`);
    command.action(async (run: string, options: { reason?: string }, self) => {
      await control(cli, self, run, { verb, ...(options.reason !== undefined && { reason: options.reason }) });
    });
  }
  const resolve = cli.program.command("resolve").argument("<run>").argument("<action>");
  resolve
    .description("say what an action in doubt has done, after looking")
    .addOption(new Option("--outcome <outcome>", "what it came to").choices(["succeeded", "failed"]).makeOptionMandatory())
    .option("--output <json>", "what the tool would have answered")
    .option("--reason <text>", "how it was found out; recorded");
  examples(resolve, 'resolve refund-assistant_demo a4 --outcome succeeded --reason "the refund is in the ledger"');
  resolve.action(async (run: string, action: string, options: { outcome: string; output?: string; reason?: string }, self) => {
    const { outcome, output, reason } = options;
    await control(cli, self, run, {
      verb: "resolve",
      action,
      outcome,
      ...(output !== undefined && { output: jsonOf(output, "--output") }),
      ...(reason !== undefined && { reason }),
    });
  });
  const cleanse = cli.program.command("cleanse").argument("<run>");
  cleanse
    .description("lower a run's marks, after reading what its agent was given: later proposals are no longer tainted by it")
    .requiredOption("--reason <text>", "what was found; recorded")
    .option("--labels <label...>", "also take these labels off; without it all labels stay");
  examples(cleanse, 'cleanse refund-assistant_demo --reason "read the ticket: nothing in it speaks to the agent"', 'cleanse refund-assistant_demo --labels pii --reason "test data"');
  cleanse.action(async (run: string, { reason, labels }: { reason: string; labels?: string[] }, self) => {
    await control(cli, self, run, { verb: "cleanse", reason, ...(labels !== undefined && { labels }) });
  });
}

async function control(cli: Cli, self: Command, run: string, wanted: Record<string, unknown>): Promise<void> {
  const body = controlSchema.safeParse({ id: freshId(), ...wanted });
  if (!body.success) {
    const issue = body.error.issues[0];
    throw new CliError(EXIT.usage, `\`${issue?.path.join(".") ?? ""}\`: ${issue?.message.toLowerCase() ?? ""}`);
  }
  const name = runOf(run);
  const { event } = await inSession(cli, self, "operate", async (session) => {
    const outcome = await send(session, {
      kind: "control",
      aggregate: { kind: "run", name },
      body: body.data,
      hear: subjects.live(session.ns, "run", name),
    });
    if ("rejection" in outcome) throw refusedBy(outcome.rejection.reasons);
    return outcome;
  });
  show(cli, self, { run, event: event.type, seq: event.seq, at: event.at }, (value) => `${visible(value.run)}: ${value.event} (event ${value.seq})`);
}

export function jsonOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(EXIT.usage, `${what} is no JSON: ${(error as Error).message.toLowerCase()}`, "quote it for the shell: '{\"key\": 1}'");
  }
}
