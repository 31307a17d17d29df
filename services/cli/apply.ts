/** `apply`: contracts, tools and policies from files into force. */
import type { Digest } from "../../schemas/ids.ts";
import { faultText } from "../../schemas/fault.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { Documents } from "../bus/documents.ts";
import { StreamReader } from "../bus/journal.ts";
import { Publisher } from "../bus/publisher.ts";
import type { DocumentRow } from "../projection/index-store.ts";
import { type LoadedDocument, loadPath } from "../registry/load.ts";
import { type Cli, examples, inSession, show } from "./cli.ts";
import { CliError, EXIT } from "./exit.ts";
import { line, table } from "./io.ts";
import { freshId, notStored, send } from "./send.ts";
import type { Session } from "./session.ts";

interface Applied {
  readonly kind: string;
  readonly name: string;
  readonly file: string;
  readonly digest: Digest;
  readonly outcome: "applied" | "unchanged" | "checked" | "rejected";
  readonly version?: number;
  readonly reasons?: readonly { readonly code: string; readonly message: string; readonly help?: string | undefined }[];
}

/** Whatever is referred to comes before what refers to it. */
const ORDER: Readonly<Record<string, number>> = { tool: 0, agent: 1, policy: 2 };

export function applyCommand(cli: Cli): void {
  const command = cli.program.command("apply").argument("<files...>");
  command
    .description("bring contracts, tools and policy sets into force")
    .option("--dry-run", "check the files and send nothing")
    .option("--reason <text>", "recorded with each document");
  examples(command, "apply infra/demo", "apply agents/refunds.yaml tools/ policies/default", "apply --dry-run tools/");
  command.action(async (files: string[], options: { dryRun?: boolean; reason?: string }, self) => {
    const documents = await load(files);
    const results =
      options.dryRun === true
        ? documents.map((document) => result(document, "checked"))
        : await inSession(cli, self, "operate", (session) => applyAll(session, documents, options.reason));
    show(cli, self, { documents: results }, () => text(cli, results));
    const refused = results.filter(({ outcome }) => outcome === "rejected");
    if (refused.length === 0) return;
    cli.ends(EXIT.rejected);
    for (const { file, reasons = [] } of refused) {
      for (const { code, message, help } of reasons) {
        line(cli.io.stderr, `${file}: ${code}: ${message}`);
        if (help !== undefined) line(cli.io.stderr, `help: ${help}`);
      }
    }
  });
}

async function load(files: readonly string[]): Promise<LoadedDocument[]> {
  const loaded = await Promise.all(files.map((file) => loadPath(file)));
  const faults = loaded.flatMap((one) => one.faults);
  if (faults.length > 0) {
    const unread = faults.every(({ code }) => code.startsWith("file."));
    throw new CliError(unread ? EXIT.usage : EXIT.rejected, `${faults.length} fault(s), and nothing was sent\n${faults.map(faultText).join("\n")}`);
  }
  return loaded.flatMap((one) => one.documents).sort((a, b) => (ORDER[a.kind] ?? 9) - (ORDER[b.kind] ?? 9));
}

async function applyAll(session: Session, documents: readonly LoadedDocument[], reason: string | undefined): Promise<Applied[]> {
  const { documents: inForce } = await session.query<{ documents: DocumentRow[] }>("documents");
  const publisher = new Publisher(session.nc);
  const store = new Documents(session.nc, publisher, session.ns);
  const stored = new StreamReader(session.nc, streamName("DOCUMENTS", session.ns));
  const results: Applied[] = [];
  try {
    for (const document of documents) {
      const current = inForce.find(({ kind, name }) => kind === document.kind && name === document.name);
      if (current?.digest === document.digest) {
        results.push(result(document, "unchanged", { version: current.version }));
        continue;
      }
      // an operator may not ask the leader, as the store does about what is there already
      const there = await stored.lastDirect(subjects.document(session.ns, document.digest.slice("sha256:".length)));
      if (there === undefined) {
        await store.put(document.bytes, "application/json").catch((error: unknown) => {
          throw notStored(session, error);
        });
      }
      const outcome = await send(session, {
        kind: "apply",
        aggregate: { kind: document.kind, name: document.name },
        body: { id: freshId(), document: document.digest, ...(reason !== undefined && { reason }) },
        hear: subjects.live(session.ns, document.kind, document.name),
      });
      results.push(
        "rejection" in outcome
          ? result(document, "rejected", { reasons: outcome.rejection.reasons })
          : result(document, "applied", { version: Number(outcome.event.data["version"]) }),
      );
    }
    return results;
  } finally {
    publisher.close();
  }
}

function result(document: LoadedDocument, outcome: Applied["outcome"], more: Pick<Applied, "version" | "reasons"> = {}): Applied {
  const { kind, name, file, digest } = document;
  return { kind, name, file, digest, outcome, ...more };
}

function text(cli: Cli, results: readonly Applied[]): string {
  const rows = results.map(({ kind, name, outcome, version, digest }) => [outcome, kind, name, version ?? "", digest.slice(0, 19)]);
  return table(["", "KIND", "NAME", "VERSION", "DIGEST"], rows, cli.paint);
}

