/** Writes one self-contained file out of a journal: see `export-lines.ts` for its form. */
import { createHash } from "node:crypto";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Digest } from "../../schemas/ids.ts";
import { timestamp } from "../../schemas/time.ts";
import { EventMalformed, decodeEvent } from "../bus/commit.ts";
import { DocumentCorrupt } from "../bus/documents.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { type DocumentSource, documentsOf } from "./documents.ts";
import type { SignedCheckpoint } from "../../schemas/checkpoint.ts";
import { EXPORT_START, type ExportFooter, type ExportHeader, type ExportKey, linked, type Unlinked } from "./export-lines.ts";
import type { Inclusion } from "./heads.ts";
import type { Messages } from "./journal.ts";
import { withheldOf } from "./withheld.ts";

export type ExportOpening = Omit<ExportHeader, "n" | "kind" | "link">;

/** What stands before the events: keys that are known, and signed checkpoints with the proofs that runs are in them. */
export interface ExportEvidence {
  readonly keys: readonly ExportKey[];
  readonly checkpoints: readonly { readonly signed: SignedCheckpoint; readonly proofs: readonly Inclusion[] }[];
}
const NO_EVIDENCE: ExportEvidence = { keys: [], checkpoints: [] };

/**
 * The lines of an export, each with its line feed; what is returned at the end is its footer.
 * @param messages all of what the opening promises, in the journal's order; of withheld ones nothing is written but what is shown
 * @throws DocumentCorrupt when the plane's copy of a document is not what its address says; ReadError
 */
export async function* exportLines(opening: ExportOpening, messages: Messages, documents: DocumentSource, evidence = NO_EVIDENCE): AsyncGenerator<string, Omit<ExportFooter, "link">> {
  const all = createHash("sha256");
  let link = EXPORT_START;
  let n = 0;
  const close = (line: (n: number) => Unlinked): string => {
    const closed = linked(link, line((n += 1)));
    link = closed.link;
    const text = `${closed.text}\n`;
    all.update(text);
    return text;
  };
  const counts = { events: 0, withheld: 0, documents: 0, missing: 0, keys: 0, checkpoints: 0, proofs: 0 };
  const subjects = new Set<string>();
  const told = new Set<Digest>();
  const document = async (digest: Digest): Promise<string | undefined> => {
    if (told.has(digest)) return undefined;
    told.add(digest);
    const bytes = await documents.bytes(digest);
    if (bytes !== undefined && sha256Digest(bytes) !== digest) throw new DocumentCorrupt(digest, sha256Digest(bytes));
    counts[bytes === undefined ? "missing" : "documents"] += 1;
    return close((n) => (bytes === undefined ? { n, kind: "missing", digest } : { n, kind: "document", digest, data: base64(bytes) }));
  };
  yield close(() => ({ n: 1, kind: "header", ...opening }));
  for (const of of evidence.keys) {
    const line = of.use === "issuer" ? await document(of.document) : undefined;
    if (line !== undefined) yield line;
    counts.keys += 1;
    yield close((n) => ({ n, kind: "key", of }));
  }
  for (const { signed, proofs } of evidence.checkpoints) {
    counts.checkpoints += 1;
    yield close((n) => ({ n, kind: "checkpoint", signed }));
    for (const { subject, count, link, index, size, path } of proofs) {
      counts.proofs += 1;
      yield close((n) => ({ n, kind: "proof", checkpoint: signed.n, subject, count, head: hex(link), index, size, path: path.map(hex) }));
    }
  }
  for await (const message of messages) {
    for (const digest of restsOn(message)) {
      const line = await document(digest);
      if (line !== undefined) yield line;
    }
    subjects.add(message.subject);
    const { seq, time, subject, headers, data } = message;
    const withheld = withheldOf(message);
    if (withheld !== undefined) {
      const { link, size, state } = withheld;
      counts.withheld += 1;
      yield close((n) => ({ n, kind: "withheld", seq, time: timestamp(time), subject, headers: headersShown(headers), shown: base64(data), hash: hex(link), size, state: hex(state) }));
      continue;
    }
    counts.events += 1;
    yield close((n) => ({ n, kind: "event", seq, time: timestamp(time), subject, headers: Object.fromEntries(headers), data: base64(data) }));
  }
  const { withheld, ...others } = counts;
  if (opening.signalbox_export < 3 && withheld > 0) throw new TypeError(`an export of version ${opening.signalbox_export} has no withheld events`);
  const footer = { n: n + 1, kind: "footer" as const, aggregates: subjects.size, ...others, ...(opening.signalbox_export >= 3 && { withheld }), sha256: all.digest("hex") };
  yield `${linked(link, footer).text}\n`;
  return footer;
}

/** A message that is no event is evidence too; it rests on nothing that could be known. */
function restsOn(message: StoredMessage): Iterable<Digest> {
  try {
    return documentsOf(decodeEvent(message));
  } catch (error) {
    if (error instanceof EventMalformed) return [];
    throw error;
  }
}

/** Those that say of an event what its body says (law 7); nobody knows what others hold. */
function headersShown(headers: StoredMessage["headers"]): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith("ce-") || name === "content-type"));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
