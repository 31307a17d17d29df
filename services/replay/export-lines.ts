/**
 * The form of an export (AUD-2): JSON lines, a header first; keys, checkpoints and proofs; then every event as stored
 * with the documents it rests on before it; a footer last. An event of which a part is withheld has a line of its own
 * kind, with its recorded hash and what is shown of it (`withheld.ts`). Each line ends with its link, SHA-256 over the link before it
 * and its own text, so that what was changed has a line number; the footer's digest is over all bytes before it.
 *
 * Whoever writes all links anew can also leave out the latest events of a run, which its own chain does not hold. Those
 * up to a checkpoint are held by the checkpoint's signature: the file has a proof for each run that its head is among
 * what was signed. Whose the key is no file can say: who verifies has it from elsewhere.
 */
import { hash } from "node:crypto";
import { z } from "zod";
import { signedCheckpointSchema, witnessKeySchema } from "../../schemas/checkpoint.ts";
import { digestSchema, namespaceSchema, runIdSchema } from "../../schemas/ids.ts";

/** Version 1 had no keys, checkpoints and proofs; version 2 no withheld events. Files of all of them are read. */
export const EXPORT_VERSION = 3;
export const EXPORT_START = "0".repeat(64);

const n = z.int().min(1);
const count = z.int().min(0);
const hex = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hex digits");
const base64 = z.base64();
const time = z.iso.datetime({ precision: 3 });

export const headerLineSchema = z.strictObject({
  n: z.literal(1),
  kind: z.literal("header"),
  signalbox_export: z.union([z.literal(1), z.literal(2), z.literal(EXPORT_VERSION)]),
  namespace: namespaceSchema,
  /** Where it was taken, by whom, and when by that reader's clock. */
  plane: z.string(),
  exported_by: z.string(),
  exported_at: time,
  /** Everything that the journal held, or all events of these runs with the namespace's erasures; by what they were chosen, in the exporter's words. */
  what: z.union([
    z.strictObject({ all: z.literal(true) }),
    z.strictObject({ runs: z.array(runIdSchema).min(1), filter: z.record(z.string(), z.string()).optional() }),
  ]),
  /** First and last event: sequence in the journal, and when the server stored it. */
  range: z.strictObject({ first_seq: n, last_seq: n, from: time, to: time }),
  link: hex,
});
export const eventLineSchema = z.strictObject({
  n,
  kind: z.literal("event"),
  seq: n,
  time,
  subject: z.string(),
  headers: z.record(z.string(), z.string()),
  /** The stored body. */
  data: base64,
  link: hex,
});
/** An event that is not here as it was stored. */
export const withheldLineSchema = z.strictObject({
  n,
  kind: z.literal("withheld"),
  seq: n,
  time,
  subject: z.string(),
  headers: z.record(z.string(), z.string()),
  /** What of its body is shown, in the form of a stored body. */
  shown: base64,
  /** SHA-256 over subject, line feed and stored body, which the next event of its aggregate holds as `prev`. */
  hash: hex,
  /** How many bytes that is over, and where it stands behind those that are not shown: see `Withheld`. */
  size: n.max(2 ** 31),
  state: hex,
  link: hex,
});
export const documentLineSchema = z.strictObject({ n, kind: z.literal("document"), digest: digestSchema, data: base64, link: hex });
/** A document that an event names and that the plane did not have when this was exported. */
export const missingLineSchema = z.strictObject({ n, kind: z.literal("missing"), digest: digestSchema, link: hex });
/**
 * A public key that the exporter knows. Nothing in the file says whose it is: a witness's, which signs checkpoints; the
 * plane's own, with which it signs the tokens of its calls; an issuer's, for principals' tokens, in a document before it.
 */
export const keyLineSchema = z.strictObject({
  n,
  kind: z.literal("key"),
  of: z.discriminatedUnion("use", [
    z.strictObject({ use: z.literal("witness"), key: witnessKeySchema }),
    z.strictObject({ use: z.literal("tool-token"), jwk: z.record(z.string(), z.string()) }),
    z.strictObject({ use: z.literal("issuer"), iss: z.string(), document: digestSchema }),
  ]),
  link: hex,
});
export const checkpointLineSchema = z.strictObject({ n, kind: z.literal("checkpoint"), signed: signedCheckpointSchema, link: hex });
/** That a run's chain stood so in the tree of this checkpoint: see `Inclusion`. */
export const proofLineSchema = z.strictObject({
  n,
  kind: z.literal("proof"),
  /** Number of the checkpoint. */
  checkpoint: n,
  subject: z.string(),
  /** Events of the run up to there, and the hash over their links. */
  count: n,
  head: hex,
  index: count,
  size: n,
  /** At most as long as a tree of 2^53 leaves is high. */
  path: z.array(hex).max(53),
  link: hex,
});
export const footerLineSchema = z.strictObject({
  n,
  kind: z.literal("footer"),
  aggregates: count,
  events: count,
  withheld: count.optional(),
  documents: count,
  missing: count,
  keys: count.optional(),
  checkpoints: count.optional(),
  proofs: count.optional(),
  sha256: hex,
  link: hex,
});
export const exportLineSchema = z.discriminatedUnion("kind", [
  headerLineSchema, keyLineSchema, checkpointLineSchema, proofLineSchema, eventLineSchema, withheldLineSchema, documentLineSchema, missingLineSchema, footerLineSchema,
]);
export type ExportLine = z.infer<typeof exportLineSchema>;
export type ExportHeader = z.infer<typeof headerLineSchema>;
export type ExportFooter = z.infer<typeof footerLineSchema>;
export type EventLine = z.infer<typeof eventLineSchema>;
export type WithheldLine = z.infer<typeof withheldLineSchema>;
export type ExportKey = z.infer<typeof keyLineSchema>["of"];
export type CheckpointLine = z.infer<typeof checkpointLineSchema>;
export type ProofLine = z.infer<typeof proofLineSchema>;

/** A line without its link, as it is linked. */
export type Unlinked = { [K in ExportLine["kind"]]: Omit<Extract<ExportLine, { kind: K }>, "link"> }[ExportLine["kind"]];

/** Closes a line: its text with its link, and no line feed. */
export function linked(previous: string, line: Unlinked): { readonly text: string; readonly link: string } {
  const open = JSON.stringify(line).slice(0, -1);
  const link = linkOf(previous, open);
  return { text: `${open},"link":"${link}"}`, link };
}

/** A line's text up to its link, and the link that it states; undefined for text that does not end with one. */
export function split(text: string): { readonly open: string; readonly link: string } | undefined {
  const found = /,"link":"([0-9a-f]{64})"\}$/.exec(text.slice(-76));
  return found === null ? undefined : { open: text.slice(0, -found[0].length), link: found[1] as string };
}

export function linkOf(previous: string, open: string): string {
  return hash("sha256", `${previous}\n${open}`, "hex");
}
