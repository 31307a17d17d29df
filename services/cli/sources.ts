/** Where an auditor's events come from: the plane, or an export, which needs no plane. */
import type { Command } from "commander";
import type { Namespace, RunId } from "../../schemas/ids.ts";
import { timestamp } from "../../schemas/time.ts";
import { parseLog, patterns, subjects } from "../../schemas/subjects.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { type DocumentSource, storedDocuments } from "../replay/documents.ts";
import { ExportFile } from "../replay/export-file.ts";
import { withheldOf } from "../replay/withheld.ts";
import { ERASURES_NAME } from "../identity/erasures-name.ts";
import { type Cli, inSession } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { runOf } from "./tail.ts";
import { visible } from "./visible.ts";

export interface Chosen {
  readonly run?: string;
  readonly all?: boolean;
  readonly file?: string;
}

export interface Source {
  readonly ns: Namespace;
  /** The chosen run; everything when there is none. */
  readonly run: RunId | undefined;
  /** The chosen part, in the order of the journal. */
  readonly messages: AsyncIterable<StoredMessage>;
  readonly documents: DocumentSource;
  /** What the journal says of erasures, where it is not among the messages. */
  readonly erasures: () => AsyncIterable<StoredMessage>;
  readonly file: ExportFile | undefined;
}

/** Opens what the command line names. @throws CliError when it names nothing, two things, or a run that is not there */
export async function withSource<T>(cli: Cli, self: Command, named: string | undefined, options: Chosen, work: (source: Source) => Promise<T>): Promise<T> {
  if (named !== undefined && options.run !== undefined) throw usage(self, "the run is named twice");
  const text = named ?? options.run;
  const run = text === undefined ? undefined : runOf(text);
  if (run !== undefined && options.all === true) throw usage(self, "one run, or all of them");
  if (options.file !== undefined) return work(await fromFile(options.file, run));
  if (run === undefined && options.all !== true) throw usage(self, "one run, or all of them");
  return inSession(cli, self, "read", ({ nc, ns }) => {
    const journal = new SegmentedReader(nc, ns);
    const range = run === undefined ? { subject: patterns.log(ns), pageSize: 2000 } : { subject: subjects.log(ns, "run", run) };
    return work({ ns, run, messages: journal.read(range), documents: storedDocuments(nc, ns), erasures: () => (run === undefined ? none() : journal.read({ subject: subjects.log(ns, "erasure", ERASURES_NAME) })), file: undefined });
  });
}

async function* none(): AsyncGenerator<StoredMessage> {
  yield* [];
}

async function fromFile(path: string, run: RunId | undefined): Promise<Source> {
  const file = ExportFile.open(path);
  const messages = file.messages();
  try {
    // the header is read with the first event
    const first = await messages.next();
    const rest = (async function* () {
      if (first.done !== true) yield first.value;
      yield* messages;
    })();
    const ns = file.header?.namespace ?? ("" as Namespace);
    return { ns, run, messages: run === undefined ? rest : only(run, rest), documents: file, erasures: () => (run === undefined ? none() : erasuresIn(path)), file };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new CliError(EXIT.usage, `\`${visible(path)}\` cannot be read: ${code}`, "give a file that `signalbox export` wrote");
  }
}

/** A second reading of the file, for what does not stand among the chosen run's events. */
async function* erasuresIn(path: string): AsyncGenerator<StoredMessage> {
  for await (const message of ExportFile.open(path).messages()) if (parseLog(message.subject)?.kind === "erasure") yield message;
}

async function* only(run: RunId, messages: AsyncIterable<StoredMessage>): AsyncGenerator<StoredMessage> {
  for await (const message of messages) if (parseLog(message.subject)?.name === run) yield message;
}

/** What asks for a run's state has no use for an export that withholds it. @throws CliError */
export async function* nothingWithheld(messages: AsyncIterable<StoredMessage>): AsyncGenerator<StoredMessage> {
  for await (const message of messages) {
    if (withheldOf(message) !== undefined) throw new CliError(EXIT.failed, `events of \`${visible(parseLog(message.subject)?.name ?? "")}\` are withheld in this file: nobody can compute its state from it`, "`signalbox export --whole` writes all of it, for an auditor");
    yield message;
  }
}

export function noRun(run: RunId | undefined): CliError {
  return new CliError(EXIT.usage, `there is no run \`${visible(run ?? "")}\``, "`signalbox runs` lists them");
}

export function usage(self: Command, message: string): CliError {
  return new CliError(EXIT.usage, message, `signalbox ${self.name()} <run>, signalbox ${self.name()} --all, or with --file <export>; \`signalbox ${self.name()} --help\` shows examples`);
}

/** A day or a time as people write it, in UTC where nothing else is said. @throws CliError */
export function timeOf(text: string): string {
  const utc = /^\d{4}-\d\d-\d\d(T[0-9:.]+)?$/.test(text) && text.includes("T") ? `${text}Z` : text;
  const ms = /^\d{4}-\d\d-\d\d/.test(utc) ? Date.parse(utc) : NaN;
  if (Number.isNaN(ms)) throw new CliError(EXIT.usage, `\`${text}\` is no time`, "write it as `2026-01-31` or `2026-01-31T09:30:00Z`");
  return timestamp(ms);
}
