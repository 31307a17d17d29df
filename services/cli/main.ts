/** `signalbox`: people's way in. Every command logs in with one context and ends with one of seven numbers. */
import { realpathSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ContextError } from "../bus/context.ts";
import { CredentialRefused, PlaneUnreachable, ServerTooOld } from "../bus/connection.ts";
import { adminCommands } from "./admin.ts";
import { applyCommand } from "./apply.ts";
import { approvalCommands } from "./approvals.ts";
import { auditCommands } from "./audit.ts";
import type { Cli } from "./cli.ts";
import { controlCommands } from "./control.ts";
import { doctorCommand } from "./doctor.ts";
import { CliError, EXIT, type Exit } from "./exit.ts";
import { eraseCommand } from "./erase.ts";
import { exportCommand } from "./export.ts";
import { type Io, line, paintFor } from "./io.ts";
import { policyCommands } from "./policy.ts";
import { ledgerCommand } from "./ledger.ts";
import { proposeCommand } from "./propose.ts";
import { readCommands } from "./read.ts";
import { segmentCommands } from "./segments.ts";
import { stopCommands } from "./stops.ts";
import { tailCommand } from "./tail.ts";
import { versionCommands } from "./versions.ts";
import { whyCommand } from "./why.ts";
import { witnessCommands } from "./witness.ts";

/** Runs one command line (without node and script) and returns its exit code. Never throws for what a user can cause. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let exit: Exit = EXIT.done;
  const paint = paintFor(io.stdout, io.env);
  const program = new Command("signalbox");
  program
    .description("a control plane for AI agents: the agent proposes, the plane decides")
    .option("--as <context>", "log in with this context of the data folder")
    .option("--json", "answer with JSON")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .exitOverride()
    .showHelpAfterError("help: `signalbox --help` lists the commands, `signalbox <command> --help` shows examples")
    .addHelpText(
      "after",
      `
Environment:
  NATS_URL, NATS_CREDS, NATS_CONTEXT   server, credential, context; without them the running plane is found
  SIGNALBOX_DATA                       data folder, .signalbox in the checkout when not set
  NO_COLOR                             no colours

Exit codes:
  0 done   2 usage   3 rejected   4 denied   5 waiting for a person   6 failed or in doubt   7 plane unreachable`,
    );
  const cli: Cli = { program, io, paint, ends: (code) => void (exit = code) };
  readCommands(cli);
  whyCommand(cli);
  tailCommand(cli);
  proposeCommand(cli);
  approvalCommands(cli);
  controlCommands(cli);
  stopCommands(cli);
  segmentCommands(cli);
  eraseCommand(cli);
  ledgerCommand(cli);
  applyCommand(cli);
  auditCommands(cli);
  policyCommands(cli);
  versionCommands(cli);
  exportCommand(cli);
  witnessCommands(cli);
  adminCommands(cli);
  doctorCommand(cli);
  try {
    await program.parseAsync(args, { from: "user" });
    return exit;
  } catch (error) {
    return failed(error, io);
  }
}

/** One line that says what is wrong, and one that says how to mend it. */
function failed(error: unknown, io: Io): number {
  // commander has said it already
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const paint = paintFor(io.stderr, io.env);
  const say = (message: string, help: string | undefined) => {
    line(io.stderr, `${paint.red("error:")} ${message}`);
    if (help !== undefined) line(io.stderr, `help: ${help}`);
  };
  if (error instanceof CliError) {
    say(error.message, error.help);
    return error.exit;
  }
  if (error instanceof PlaneUnreachable || error instanceof ServerTooOld || error instanceof CredentialRefused) {
    say(error.message, error.help);
    return error instanceof CredentialRefused ? EXIT.denied : EXIT.unreachable;
  }
  if (error instanceof ContextError) {
    say(error.message, error.help);
    return EXIT.usage;
  }
  const { code, message } = error as { code?: string; message?: string };
  if (code === "CONNECTION_CLOSED" || code === "DISCONNECT" || code === "CONNECTION_REFUSED") {
    say("the connection to the plane was lost", "`signalbox doctor` looks further");
    return EXIT.unreachable;
  }
  say(message ?? String(error), undefined);
  return EXIT.failed;
}

// also true when the set-up imports this file in its own process, under this file's name
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const stopping = new AbortController();
  process.once("SIGINT", () => stopping.abort());
  process.once("SIGTERM", () => stopping.abort());
  // the reader of a pipe may leave first, as `head` does
  process.stdout.on("error", () => process.exit(EXIT.done));
  process.exitCode = await runCli(process.argv.slice(2), {
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    signal: stopping.signal,
  });
}
