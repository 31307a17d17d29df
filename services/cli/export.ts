/** `export`: one file that proves a run, or everything, without a plane; and the list of who approved what. */
import type { Command } from "commander";
import { open, rename, rm } from "node:fs/promises";
import { covers } from "../../schemas/checkpoint.ts";
import { type ComplianceRecord, complianceOf } from "../replay/compliance.ts";
import { storedDocuments } from "../replay/documents.ts";
import { exportLines } from "../replay/export.ts";
import { ExportFile } from "../replay/export-file.ts";
import type { DocumentSource } from "../replay/documents.ts";
import type { Messages } from "../replay/journal.ts";
import { redacted, Unredactable } from "../replay/redact.ts";
import { type Cli, examples, globalsOf, inSession, show } from "./cli.ts";
import { type EvidenceOptions, evidenceOf } from "./evidence.ts";
import { CliError, EXIT } from "./exit.ts";
import { line } from "./io.ts";
import { type Contents, contentsOf, filterOf, type RunFilter, runsBy, type Selection } from "./selection.ts";
import type { Session } from "./session.ts";
import { usage } from "./sources.ts";
import { runOf } from "./tail.ts";
import { visible } from "./visible.ts";

interface Options extends RunFilter, EvidenceOptions {
  readonly all?: boolean;
  readonly output?: string;
  readonly compliance?: boolean;
  readonly file?: string;
  readonly redact?: boolean;
  readonly whole?: boolean;
}

const WITHHELD_HELP = `
What is withheld:
  With --redact: whatever people, agents and tools said (goals, contexts, inputs, outputs, notes, reasons, texts of
  errors, what approvers were shown and what they changed). Without it: the same of runs that were judged under a contract
  with \`logging.pii_redaction: true\`, from there on, and of erasures behind them. What stays: types, times, states, digests, numbers, codes, decisions and
  policies, names and ids of runs, actions, tools and agents, and who proposed, approved or acted on whose behalf.
  Digests and lengths stay: whoever guesses a short value can tell by them that it is the one.
  A withheld event keeps its recorded hash. \`verify --file\` follows the chain and the checkpoints by it, and counts the
  event as not recomputable; \`replay --file\` ends with 6 over it, unless --allow-erased is given.
  --whole takes an auditor's credential. It keeps words out of files, not out of reach: whoever may read the journal
  may read them there.
`;

export function exportCommand(cli: Cli): void {
  const command = cli.program.command("export").argument("[runs...]");
  command
    .description("write events, and the documents they rest on, into one file that verifies and replays without a plane")
    .option("--all", "every run and every document")
    .option("--agent <name>", "all runs that this agent started")
    .option("--team <name>", "all runs of this team")
    .option("--state <state>", "all runs that are active, paused, completed, failed, cancelled, refused")
    .option("--since <time>", "all runs with an event at this time or later")
    .option("--until <time>", "all runs with an event at this time or earlier")
    .option("-o, --output <file>", "where to; must not exist yet")
    .option("--witness <folder>", "of the witness whose keys and checkpoints are added; `witness` in the data folder when left out")
    .option("--checkpoints <file>", "add these checkpoints too, and prove what is exported by them")
    .option("--no-checkpoints", "add none: no more of the journal is read than what is exported")
    .option("--compliance", "instead a list of who approved what, on whose behalf, under which policy: CSV, or JSON with --json")
    .option("--redact", "withhold what people, agents and tools said, whatever contracts say")
    .option("--whole", "withhold nothing, whatever contracts say: for auditors")
    .option("--file <export>", "with --compliance: out of an export, without a plane");
  examples(
    command,
    "export refund-assistant_demo -o evidence.jsonl",
    "export --team support --since 2026-01-01 --until 2026-03-31 -o quarter.jsonl",
    "export refund-assistant_demo --checkpoints kept.json -o evidence.jsonl",
    "export --all -o everything.jsonl && signalbox verify --file everything.jsonl",
    "export --agent refund-assistant --redact -o for-others.jsonl",
    "export refund-assistant_demo --whole --as auditor -o whole.jsonl",
    "export --all --compliance -o approvals.csv",
    "export --compliance --file evidence.jsonl --json",
  ).addHelpText("after", `${WITHHELD_HELP}\nExit codes:\n  0 written   2 usage   4 \`--whole\` without an auditor's credential   6 the file to read is not whole, a document is damaged, a message of which nobody can tell what may be shown, or the journal is not what a checkpoint says   7 plane unreachable`);
  command.action(async (names: string[], options: Options, self) => {
    const runs = [...new Set(names.map(runOf))];
    const filter = filterOf(options);
    if (options.redact === true && options.whole === true) throw usage(self, "`--redact` and `--whole` are opposites");
    if (options.file !== undefined && options.compliance !== true) throw usage(self, "`--file` goes with `--compliance`");
    const chosen = [runs.length > 0, options.all === true, filter !== undefined].filter(Boolean).length;
    if (options.file === undefined ? chosen !== 1 : chosen > 1 || filter !== undefined) throw usage(self, "name runs, or say which by a filter, or take all of them");
    const selected = async (session: Session): Promise<Selection> =>
      runs.length > 0 ? { runs } : filter === undefined ? { all: true } : { runs: await runsBy(session, filter), filter };
    if (options.compliance === true) return compliance(cli, self, selected, runs, options);
    const { output } = options;
    if (output === undefined) throw new CliError(EXIT.usage, "an export needs a file", "name it with `-o evidence.jsonl`");
    const { footer, evidence, newer } = await inSession(cli, self, "read", async (session) => {
      const { messages, ...contents } = await contentsFor(session, await selected(session), options);
      const documents = storedDocuments(session.nc, session.ns);
      const evidence = await evidenceOf(session, cli.io.env, options, { ...contents, messages }, documents);
      const footer = await writeNew(output, exportLines(contents.opening, messages, documents, evidence));
      const newer = !evidence.checkpoints.some(({ signed }) => contents.ends.every((end) => covers(signed, end)));
      return { footer, evidence, newer };
    });
    const { events, withheld = 0, documents, missing, checkpoints = 0, proofs = 0, sha256 } = footer;
    show(cli, self, { file: output, events, withheld, documents, missing, checkpoints, proofs, newer_than_checkpoints: newer, faults: evidence.faults, sha256 }, () => {
      const what = `${events} event(s), ${documents} document(s)${missing > 0 ? `, ${missing} missing` : ""}${checkpoints > 0 ? `, ${checkpoints} checkpoint(s)` : ""}`;
      const unsigned = checkpoints === 0 ? "no checkpoint is about it" : "some of it is newer than the last checkpoint";
      return [
        `${cli.paint.green("written")}  ${visible(output)}  ${what}`,
        ...evidence.faults.map(({ n, why }) => `${cli.paint.red("broken")}  checkpoint ${n}: ${why}`),
        ...(withheld > 0 ? [`${cli.paint.yellow("withheld")}  ${withheld} event(s), not recomputable: ${options.redact === true ? "as asked" : "a contract says `pii_redaction: true`; `--whole` is for auditors"}`] : []),
        ...(newer && options.checkpoints !== false ? [cli.paint.dim(`${unsigned}: \`signalbox checkpoint\` signs where the journal stands`)] : []),
        `next: signalbox verify --file ${visible(output)}`,
      ].join("\n");
    });
    if (evidence.faults.length > 0) cli.ends(EXIT.failed);
  });
}

/** What is chosen, with what is to be withheld of it. @throws CliError where somebody asks for all of it who may not */
async function contentsFor(session: Session, selection: Selection, options: Options): Promise<Contents> {
  if (options.whole === true && session.role !== "auditor") {
    throw new CliError(EXIT.denied, `\`--whole\` is for auditors, and \`${session.login.context}\` is \`${session.role}\``, "leave it out, or give an auditor's context with `--as`");
  }
  const contents = await contentsOf(session, selection);
  return { ...contents, messages: shownOnly(contents.messages, options, storedDocuments(session.nc, session.ns)) };
}

function shownOnly(messages: Messages, { redact, whole }: Options, documents: DocumentSource): Messages {
  return whole === true ? messages : told(redacted(messages, redact === true ? "everything" : "contracts", documents));
}

async function* told<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    if (!(error instanceof Unredactable)) throw error;
    throw new CliError(EXIT.failed, error.message, "`signalbox verify` says more; an auditor exports all of it with `--whole`");
  }
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

async function compliance(cli: Cli, self: Command, selected: (session: Session) => Promise<Selection>, runs: readonly string[], options: Options): Promise<void> {
  const { file: path, output } = options;
  const file = path === undefined ? undefined : ExportFile.open(path);
  const wanted = new Set<string>(runs);
  const all = file !== undefined ? await complianceOf(shownOnly(file.messages(), options, file)) : await inSession(cli, self, "read", async (session) => complianceOf((await contentsFor(session, await selected(session), options)).messages));
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
  ["change", ({ change }) => change],
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
