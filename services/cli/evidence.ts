/** The keys, checkpoints and proofs that an exporter knows, for the file that it writes. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SignedCheckpoint } from "../../schemas/checkpoint.ts";
import type { EventData } from "../../schemas/event.ts";
import { patterns } from "../../schemas/subjects.ts";
import { decodeEvent } from "../bus/commit.ts";
import { SegmentedReader } from "../bus/segmented.ts";
import { readCheckpoints } from "../replay/checkpoint.ts";
import type { DocumentSource } from "../replay/documents.ts";
import type { ExportEvidence } from "../replay/export.ts";
import type { ExportKey } from "../replay/export-lines.ts";
import { chosenCheckpoints, proven } from "../replay/proofs.ts";
import { fileText } from "../replay/sinks.ts";
import { readStored } from "../registry/parse.ts";
import { CliError, EXIT } from "./exit.ts";
import { dataFolder } from "./plane.ts";
import type { Contents } from "./selection.ts";
import type { Session } from "./session.ts";
import { visible } from "./visible.ts";
import { readKeys } from "./witness-key.ts";

export interface EvidenceOptions {
  /** A witness's folder; that of the data folder when left out. */
  readonly witness?: string;
  /** A file of checkpoints that somebody kept; `false` for none at all. */
  readonly checkpoints?: string | boolean;
}

export interface Evidence extends ExportEvidence {
  /** Checkpoints that the journal does not hold: nothing is proved by them. */
  readonly faults: readonly { readonly n: number; readonly why: string }[];
}

/** Reads the journal once more, up to the last of the checkpoints, where runs are to be proved. @throws CliError, ReadError */
export async function evidenceOf(session: Session, env: Readonly<Record<string, string | undefined>>, options: EvidenceOptions, contents: Contents, documents: DocumentSource): Promise<Evidence> {
  const { ns, nc } = session;
  const { opening, ends, subjects } = contents;
  const whole = "all" in opening.what;
  const journal = new SegmentedReader(nc, ns);
  const folder = options.witness ?? join(dataFolder(env), "witness");
  const witnesses = (await readKeys(join(folder, "witness-keys.json")).catch(() => [])).map((key): ExportKey => ({ use: "witness", key }));
  const keys = [...witnesses, ...(await toolKeys(env)), ...(whole ? [] : await issuers(session, documents))];
  if (options.checkpoints === false) return { keys, checkpoints: [], faults: [] };
  const own = await checkpointsIn(join(folder, `checkpoints-${ns}.jsonl`), ns);
  const kept = typeof options.checkpoints === "string" ? await checkpointsIn(options.checkpoints, ns, (path) => readFile(path, "utf8")) : [];
  if (typeof options.checkpoints === "string" && kept.length === 0) throw new CliError(EXIT.usage, `\`${visible(options.checkpoints)}\` holds no checkpoint of \`${ns}\``, "`signalbox checkpoint > kept.json` makes one");
  const byNumber = new Map([...chosenCheckpoints(own, ends, whole), ...kept].map((signed) => [signed.n, signed]));
  const checkpoints = [...byNumber.values()].sort((a, b) => a.n - b.n);
  if (whole || checkpoints.length === 0) return { keys, checkpoints: checkpoints.map((signed) => ({ signed, proofs: [] })), faults: [] };
  const proofs = await proven(journal.read({ subject: patterns.log(ns), pageSize: 2000 }), checkpoints, subjects);
  return { keys, checkpoints: proofs, faults: proofs.flatMap(({ signed, fault }) => (fault === undefined ? [] : [{ n: signed.n, why: fault }])) };
}

/** A witness that has signed nothing yet has no file; one that somebody names has to be there. */
async function checkpointsIn(path: string, ns: string, read = fileText): Promise<SignedCheckpoint[]> {
  const text = await read(path).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(EXIT.usage, `\`${visible(path)}\` cannot be read: ${error.code ?? error.message}`);
  });
  return readCheckpoints(text).flatMap((one) => (typeof one === "object" && one.ns === ns ? [one] : []));
}

/** What tools check the tokens of the plane's calls with: a tool that kept one can show it beside the action. */
async function toolKeys(env: Readonly<Record<string, string | undefined>>): Promise<ExportKey[]> {
  try {
    const { keys } = JSON.parse(await readFile(join(dataFolder(env), "tool-tokens.jwks.json"), "utf8")) as { keys: Record<string, string>[] };
    return keys.map((jwk) => ({ use: "tool-token", jwk }));
  } catch {
    return [];
  }
}

/** Every version of every issuer: a run names the issuer of its principal and the token's hash, and whoever has the token checks it. */
async function issuers({ nc, ns }: Session, documents: DocumentSource): Promise<ExportKey[]> {
  const keys: ExportKey[] = [];
  for await (const message of new SegmentedReader(nc, ns).read({ subject: patterns.logOfKind(ns, "issuer") })) {
    const { type, data } = decodeEvent(message).body;
    if (type !== "issuer.applied") continue;
    const { document: digest } = data as EventData<"issuer.applied">;
    const bytes = await documents.bytes(digest);
    const { document } = bytes === undefined ? {} : readStored(bytes);
    if (document?.kind === "issuer" && !keys.some((key) => key.use === "issuer" && key.document === digest)) keys.push({ use: "issuer", iss: document.value.issuer.iss, document: digest });
  }
  return keys;
}
