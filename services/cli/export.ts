/** `export`: one file that proves a run, or everything, without a plane; and the list of who approved what. */
import type { Command } from "commander";
import { open, rename, rm } from "node:fs/promises";
import type { RunId } from "../../schemas/ids.ts";
import { patterns, streamName, subjects } from "../../schemas/subjects.ts";
import { timestamp } from "../../schemas/time.ts";
import { type StoredMessage, StreamReader } from "../bus/journal.ts";
import type { StatusAnswer } from "../projection/views.ts";
import { type ComplianceRecord, complianceOf } from "../replay/compliance.ts";
import { storedDocuments } from "../replay/documents.ts";
import { exportLines, type ExportOpening } from "../replay/export.ts";
import { EXPORT_VERSION } from "../replay/export-lines.ts";
import { ExportFile } from "../replay/export-file.ts";
import { type Cli, examples, globalsOf, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { line } from "./io.ts";
import type { Session } from "./session.ts";
import { noRun, usage } from "./sources.ts";
import { runOf } from "./tail.ts";
import { visible } from "./visible.ts";

interface Options {
  readonly all?: boolean;
  readonly output?: string;
  readonly compliance?: boolean;
  readonly file?: string;
}

export function exportCommand(cli: Cli): void {
  const command = cli.program.command("export").argument("[runs...]");
  command
    .description("write events, and the documents they rest on, into one file that verifies and replays without a plane")
    .option("--all", "every run and every document")
    .option("-o, --output <file>", "where to; must not exist yet")
    .option("--compliance", "instead a list of who approved what, on whose behalf, under which policy: CSV, or JSON with --json")
    .option("--file <export>", "with --compliance: out of an export, without a plane");
  examples(
    command,
    "export refund-assistant_demo -o evidence.jsonl",
    "export --all -o everything.jsonl && signalbox verify --file everything.jsonl",
    "export --all --compliance -o approvals.csv",
    "export --compliance --file evidence.jsonl --json",
  ).addHelpText("after", "\nExit codes:\n  0 written   2 usage   6 the file to read is not whole, or a document is damaged   7 plane unreachable");
  command.action(async (names: string[], options: Options, self) => {
    const runs = [...new Set(names.map(runOf))];
    if (options.file !== undefined && options.compliance !== true) throw usage(self, "`--file` goes with `--compliance`");
    if (options.file === undefined && (runs.length > 0) === (options.all === true)) throw usage(self, "name runs, or all of them");
    if (options.compliance === true) return compliance(cli, self, runs, options);
    const { output } = options;
    if (output === undefined) throw new CliError(EXIT.usage, "an export needs a file", "name it with `-o evidence.jsonl`");
    const footer = await inSession(cli, self, "read", async (session) => {
      const { opening, messages } = await contents(session, runs);
      const lines = exportLines(opening, messages, storedDocuments(session.nc, session.ns));
      return writeNew(output, lines);
    });
    const { events, documents, missing, sha256 } = footer;
    show(cli, self, { file: output, events, documents, missing, sha256 }, () => `${cli.paint.green("written")}  ${visible(output)}  ${events} event(s), ${documents} document(s)${missing > 0 ? `, ${missing} missing` : ""}\nnext: signalbox verify --file ${visible(output)}`);
  });
}

/** What the header says, which comes first, is known from the ends of what will follow. */
async function contents(session: Session, runs: readonly RunId[]): Promise<{ opening: ExportOpening; messages: AsyncIterable<StoredMessage> | Iterable<StoredMessage> }> {
  const { nc, ns, login, name, role } = session;
  const journal = new StreamReader(nc, streamName("JOURNAL", ns));
  const own = { signalbox_export: EXPORT_VERSION, namespace: ns, plane: withoutSecrets(login.url), exported_by: `${role} ${name}`, exported_at: timestamp(Date.now()) } as const;
  const range = (first: StoredMessage, last: StoredMessage) => ({ first_seq: first.seq, last_seq: last.seq, from: timestamp(first.time), to: timestamp(last.time) });
  if (runs.length > 0) {
    const messages: StoredMessage[] = [];
    for (const run of runs) {
      const before = messages.length;
      for await (const message of journal.read({ subject: subjects.log(ns, "run", run) })) messages.push(message);
      if (messages.length === before) throw noRun(run);
    }
    messages.sort((a, b) => a.seq - b.seq);
    return { opening: { ...own, what: { runs: [...runs] }, range: range(messages[0] as StoredMessage, messages.at(-1) as StoredMessage) }, messages };
  }
  const untilSeq = (await session.query<StatusAnswer>("status")).journal.last_seq;
  const ends = { first: await firstOf(journal.read({ subject: patterns.log(ns), pageSize: 1 })), last: await firstOf(journal.read({ subject: patterns.log(ns), fromSeq: untilSeq, pageSize: 1 })) };
  if (ends.first === undefined || ends.last === undefined) throw new CliError(EXIT.usage, "the journal holds nothing yet");
  const opening = { ...own, what: { all: true } as const, range: range(ends.first, ends.last) };
  return { opening, messages: journal.read({ subject: patterns.log(ns), untilSeq: ends.last.seq, pageSize: 2000 }) };
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}

const WRITE_AT = 1024 * 1024;

/** Under its name stands a whole file or none. */
async function writeNew<T>(path: string, lines: AsyncGenerator<string, T>): Promise<T> {
  const partial = `${path}.partial`;
  const there = await open(path, "wx").catch((error: NodeJS.ErrnoException) => {
    throw new CliError(EXIT.usage, `\`${visible(path)}\` cannot be written: ${error.code === "EEXIST" ? "it is there already" : error.code}`, "evidence is not written over: give another name");
  });
  await there.close();
  try {
    const file = await open(partial, "w", 0o600);
    try {
      for (let text = ""; ; ) {
        const next = await lines.next();
        if (next.done !== true) text += next.value;
        if (text.length > WRITE_AT || next.done === true) {
          await file.writeFile(text);
          text = "";
        }
        if (next.done !== true) continue;
        await file.sync();
        await rename(partial, path);
        return next.value;
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    await Promise.all([rm(partial, { force: true }), rm(path, { force: true })]);
    throw error;
  }
}

async function compliance(cli: Cli, self: Command, runs: readonly RunId[], { file: path, output }: Options): Promise<void> {
  const file = path === undefined ? undefined : ExportFile.open(path);
  const wanted = new Set<string>(runs);
  const all = file !== undefined ? await complianceOf(file.messages()) : await inSession(cli, self, "read", async (session) => complianceOf((await contents(session, runs)).messages));
  const records = wanted.size === 0 ? all : all.filter(({ run, kind }) => kind === "action" && wanted.has(run));
  const text = globalsOf(self).json === true ? `${JSON.stringify({ records }, undefined, 2)}\n` : csv(records);
  if (output === undefined) cli.io.stdout.write(text);
  else {
    await writeNew(output, (async function* () { yield text; })());
    line(cli.io.stdout, `${cli.paint.green("written")}  ${visible(output)}  ${records.length} record(s)`);
  }
  if (file !== undefined && file.counts.faults > 0) {
    line(cli.io.stderr, `alarm: ${visible(path ?? "")} is not whole, line ${file.faults[0]?.line}: ${visible(file.faults[0]?.why ?? "")}`);
    cli.ends(EXIT.failed);
  }
}

const COLUMNS: readonly (readonly [string, (one: ComplianceRecord) => string | undefined])[] = [
  ["kind", ({ kind }) => kind],
  ["run", ({ run }) => run],
  ["action", ({ action }) => action],
  ["at", ({ at }) => at],
  ["tool", ({ tool }) => tool],
  ["state", ({ state }) => state],
  ["agent", ({ agent }) => agent],
  ["owner", ({ owner }) => owner],
  ["team", ({ team }) => team],
  ["on_behalf_of", ({ principal }) => principal],
  ["issuer", ({ issuer }) => issuer],
  ["standing", ({ standing }) => standing],
  ["chain", ({ chain }) => chain.join(" > ")],
  ["amount", ({ amount }) => amount],
  ["decision", ({ decision }) => decision],
  ["decided_by", ({ decided_by }) => decided_by],
  ["reviewers", ({ reviews }) => reviews.map(({ by, person, decision, at, reason }) => `${decision} by ${by}${person === undefined ? "" : ` (${person})`} at ${at}${reason === undefined ? "" : `: ${reason}`}`).join("; ")],
  ["changes", ({ reviews }) => reviews.flatMap(({ changes = [] }) => changes).join("; ")],
  ["edited_from", ({ edited_from }) => edited_from],
  ["replaced_by", ({ replaced_by }) => replaced_by],
  ["standing_approval", ({ standing_approval, reviews }) => standing_approval ?? reviews.find(({ standing }) => standing !== undefined)?.standing],
  ["stop", ({ stop }) => stop],
  ["shown", ({ reviews }) => reviews.map(({ shown }) => shown).join("; ")],
  ["policies", ({ policies }) => policies.join("; ")],
  ["reasons", ({ reasons }) => reasons.join("; ")],
  ["engine", ({ engine }) => engine],
  ["documents", ({ documents }) => Object.entries(documents).map(([name, digest]) => `${name} ${digest}`).join("; ")],
  ["events", ({ events }) => events.map(({ seq, type, hash }) => `${seq} ${type} ${hash}`).join("; ")],
];

function csv(records: readonly ComplianceRecord[]): string {
  const rows = [COLUMNS.map(([name]) => name), ...records.map((one) => COLUMNS.map(([, value]) => cell(value(one) ?? "")))];
  return rows.map((row) => `${row.join(",")}\r\n`).join("");
}

/** RFC 4180. A spreadsheet takes a cell that begins like this for a formula, and some of the words are an agent's. */
function cell(text: string): string {
  const shown = visible(text);
  return `"${(/^[=+\-@\t]/.test(shown) ? `'${shown}` : shown).replaceAll('"', '""')}"`;
}
