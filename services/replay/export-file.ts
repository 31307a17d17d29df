/** Reads an export and believes nothing of it: whatever was edited, dropped, added, moved, cut off or spliced in is named. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { SignedCheckpoint, WitnessKey } from "../../schemas/checkpoint.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import { positionOf, SEGMENTS, segmentOf } from "../../schemas/segments.ts";
import { parseLog, subjects } from "../../schemas/subjects.ts";
import { millis } from "../../schemas/time.ts";
import { EventMalformed, decodeEvent } from "../bus/commit.ts";
import type { StoredMessage } from "../bus/journal.ts";
import { type AttestedCheckpoint, Attestation } from "./attested.ts";
import { type DocumentSource, documentsOf } from "./documents.ts";
import { EXPORT_START, type EventLine, type ExportFooter, type ExportHeader, type ExportLine, exportLineSchema, linkOf, split, type WithheldLine } from "./export-lines.ts";
import { boundFault, type WithheldMessage } from "./withheld.ts";

export interface FileFault {
  /** From 1, as an editor counts. */
  readonly line: number;
  readonly why: string;
}

/** Where an event stands in the journal. */
type Place = Pick<EventLine, "seq" | "time" | "subject">;

/** One bad line can make many more look bad; what comes after these is counted and not kept. */
const MAX_FAULTS = 50;
/** The server takes no message beyond 8 MiB, which base64 makes a third longer. */
const MAX_LINE = 16 * 1024 * 1024;

/**
 * One pass over an export. Read {@link messages} to its end; then {@link faults}, {@link counts} and {@link missing} are
 * complete. As {@link DocumentSource} it has, at each event, the documents that stand before it.
 */
export class ExportFile implements DocumentSource {
  readonly #chunks: AsyncIterable<Uint8Array>;
  readonly #faults: FileFault[] = [];
  readonly #documents = new Map<Digest, { readonly bytes: Uint8Array | undefined; readonly line: number; used: boolean }>();
  readonly #subjects = new Set<string>();
  readonly #all = createHash("sha256");
  readonly #attestation = new Attestation();
  readonly counts = { lines: 0, events: 0, withheld: 0, documents: 0, missing: 0, keys: 0, checkpoints: 0, proofs: 0, faults: 0 };
  header: ExportHeader | undefined;
  #link = EXPORT_START;
  /** Number that the next line should have, by what the last one said of itself. */
  #next = 1;
  #last: { readonly seq: number; readonly time: string } | undefined;
  #footer: ExportFooter | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks;
  }

  static open(path: string): ExportFile {
    return new ExportFile(createReadStream(path, { highWaterMark: 256 * 1024 }));
  }

  /** In the order of the lines. */
  get faults(): readonly FileFault[] {
    return this.#faults;
  }

  /** Documents that the plane itself did not have. */
  get missing(): Digest[] {
    return [...this.#documents].flatMap(([digest, { bytes }]) => (bytes === undefined ? [digest] : []));
  }

  bytes(digest: Digest): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#documents.get(digest)?.bytes);
  }

  /**
   * What the checkpoints in the file say of its events; none where it has none. After the last message.
   * @param trusted keys that whoever verifies was given; without any, the file's own are taken for what they are
   */
  async attested(trusted: readonly WitnessKey[] | undefined): Promise<AttestedCheckpoint[]> {
    return this.header === undefined ? [] : this.#attestation.conclude(this.header, trusted);
  }

  /** Whether this very checkpoint stands in the file: {@link attested} then tells whether it holds. */
  attests(kept: SignedCheckpoint): boolean {
    return this.#attestation.has(kept);
  }

  /** The file's namespace, and all its events in the order of its lines; those that are withheld as {@link WithheldMessage}. Ends early when there is no header to go by. */
  async *messages(): AsyncGenerator<StoredMessage> {
    for await (const { bytes, ended } of linesOf(this.#chunks)) {
      const number = (this.counts.lines += 1);
      if (this.#footer !== undefined) this.#fault(number, "it stands behind the footer: it was added");
      const line = this.#read(number, bytes, ended);
      if (line?.kind !== "footer") this.#all.update(bytes).update("\n");
      if (line === undefined) continue;
      if ((number === 1) !== (line.kind === "header")) this.#fault(number, number === 1 ? "the header is missing" : "a second header: another export was spliced in");
      const message = this.#take(number, line);
      if (message !== undefined) yield message;
    }
    this.#conclude();
  }

  /** A line that is what it says: its text parses, has its number, and fits the link before it. */
  #read(number: number, bytes: Buffer, ended: boolean): ExportLine | undefined {
    if (bytes.length > MAX_LINE) return this.#fault(number, `it is longer than ${MAX_LINE} bytes`);
    if (!ended) this.#fault(number, "it has no line feed: the file was cut off in it");
    const text = bytes.toString("utf8");
    const parts = split(text);
    if (parts === undefined) {
      this.#next += 1;
      return this.#fault(number, "it does not end with a link: it is no line of an export, or was edited");
    }
    const fits = linkOf(this.#link, parts.open) === parts.link;
    // what follows is held against what this line says of itself, so that one change is not reported for ever
    this.#link = parts.link;
    const line = parsed(text);
    if (typeof line === "string") {
      this.#next += 1;
      return this.#fault(number, line);
    }
    const expected = this.#next;
    this.#next = line.n + 1;
    if (line.n > expected) this.#fault(number, `it is numbered ${line.n}: ${range(expected, line.n - 1)} dropped or moved before it`);
    else if (line.n < expected) this.#fault(number, `it is numbered ${line.n}: it was added, or moved here`);
    else if (!fits) this.#fault(number, "its link does not fit: it, or what stands before it, was edited or spliced in");
    return line;
  }

  #take(number: number, line: ExportLine): StoredMessage | undefined {
    switch (line.kind) {
      case "header":
        this.header ??= line;
        return undefined;
      case "document":
      case "missing": {
        const bytes = line.kind === "document" ? Buffer.from(line.data, "base64") : undefined;
        this.counts[line.kind === "document" ? "documents" : "missing"] += 1;
        if (this.#documents.has(line.digest)) return this.#fault(number, `document \`${line.digest}\` stands in the file twice`);
        if (bytes !== undefined && sha256Digest(bytes) !== line.digest) return this.#fault(number, `the document is not \`${line.digest}\`: its bytes have another hash`);
        this.#documents.set(line.digest, { bytes, line: number, used: false });
        return undefined;
      }
      case "key":
        this.counts.keys += 1;
        this.#attestation.key(line.of);
        if (line.of.use === "issuer") this.#rests(number, line.of.document);
        return undefined;
      case "checkpoint":
      case "proof": {
        this.counts[line.kind === "proof" ? "proofs" : "checkpoints"] += 1;
        const why = line.kind === "proof" ? this.#attestation.proof(line) : this.#attestation.checkpoint(number, line);
        return why === undefined ? undefined : this.#fault(number, why);
      }
      case "event":
        this.counts.events += 1;
        return this.#event(number, line);
      case "withheld":
        this.counts.withheld += 1;
        if (this.header !== undefined && this.header.signalbox_export < 3) return this.#fault(number, `a file of version ${this.header.signalbox_export} withholds nothing`);
        return this.#withheld(number, line);
      case "footer":
        this.#footer ??= line;
        return this.#total(number, line);
    }
  }

  #event(number: number, line: EventLine): StoredMessage {
    const { seq, time, subject } = line;
    return this.#message(number, { subject, seq, time: millis(time), headers: new Map(Object.entries(line.headers)), data: Buffer.from(line.data, "base64") }, line);
  }

  #withheld(number: number, line: WithheldLine): StoredMessage {
    const { seq, time, subject, size } = line;
    const withheld = { link: Buffer.from(line.hash, "hex"), size, state: Buffer.from(line.state, "hex") };
    const message: WithheldMessage = { subject, seq, time: millis(time), headers: new Map(Object.entries(line.headers)), data: Buffer.from(line.shown, "base64"), withheld };
    const why = boundFault(message);
    if (why !== undefined) this.#fault(number, why);
    return this.#message(number, message, line);
  }

  #message<M extends StoredMessage>(number: number, message: M, line: Place): M {
    const { subject, seq } = message;
    this.#placed(number, line);
    this.#last = line;
    this.#subjects.add(subject);
    if (this.header !== undefined) this.#attestation.push(this.header, message);
    try {
      for (const digest of documentsOf(decodeEvent(message))) this.#rests(number, digest);
    } catch (error) {
      if (!(error instanceof EventMalformed)) throw error;
      this.#fault(number, `event ${seq} of the journal is none: ${error.message}`);
    }
    return message;
  }

  #rests(number: number, digest: Digest): void {
    const document = this.#documents.get(digest);
    if (document === undefined) this.#fault(number, `it rests on document \`${digest}\`, which does not stand before it`);
    else document.used = true;
  }

  /** The event belongs to what the header promises, and follows the one before it. */
  #placed(number: number, { seq, subject }: Place): void {
    const address = parseLog(subject);
    const { header } = this;
    const own = address !== undefined && (address.segment === 1 || address.kind === "run") && subject === subjects.log(address.ns as Namespace, address.kind, address.name, address.segment);
    if (!own) this.#fault(number, `\`${subject}\` is no subject of a journal`);
    if (header === undefined || address === undefined) return;
    if (address.ns !== header.namespace) this.#fault(number, `it is of namespace \`${address.ns}\`, the file of \`${header.namespace}\``);
    const { what, range: promised } = header;
    // erasures of the namespace stand beside any runs: what they made unreadable shows in these
    const named = address.kind === "erasure" || ("runs" in what && address.kind === "run" && what.runs.some((run) => run === address.name));
    if ("runs" in what && !named) this.#fault(number, `\`${address.name}\` is none of the runs that the header names`);
    const before = this.#last?.seq ?? ("all" in what ? promised.first_seq - 1 : 0);
    // of a later segment everything is there, or nothing
    const last = "all" in what && segmentOf(seq) > segmentOf(before) ? positionOf(segmentOf(seq), 0) : before;
    if (seq <= last) this.#fault(number, `journal sequence ${seq} follows ${last}: it was moved or added`);
    else if ("all" in what && seq > last + 1) this.#fault(number, `journal sequence ${seq} follows ${last}: ${seq - last - 1} event(s) are missing`);
    if (seq > promised.last_seq || seq < promised.first_seq) this.#fault(number, `journal sequence ${seq} is outside of what the header promises`);
  }

  #total(number: number, footer: ExportFooter): undefined {
    const { events, withheld, documents, missing, keys, checkpoints, proofs } = this.counts;
    const version = this.header?.signalbox_export ?? 1;
    const later = { ...(version >= 2 && { keys, checkpoints, proofs }), ...(version >= 3 && { withheld }) };
    const counted = { aggregates: this.#subjects.size, events, documents, missing, ...later };
    for (const [name, value] of Object.entries(counted)) {
      const stated = footer[name as keyof typeof counted];
      if (stated !== value) this.#fault(number, `the footer counts ${stated ?? "no"} ${name}, the file has ${value}`);
    }
    if (this.#all.copy().digest("hex") !== footer.sha256) this.#fault(number, "the digest of everything before it is another: something was changed");
  }

  #conclude(): void {
    const { lines } = this.counts;
    if (this.#footer === undefined) this.#fault(lines, "the file ends without its footer: it was cut off");
    const { header } = this;
    if (header !== undefined) {
      const { range: promised, what } = header;
      if (this.#last?.seq !== promised.last_seq || this.#last.time !== promised.to) this.#fault(lines, `the header promises events up to journal sequence ${promised.last_seq}, and the last is ${this.#last?.seq ?? "none"}`);
      for (const run of "runs" in what ? what.runs : []) {
        if (!SEGMENTS.some((segment) => this.#subjects.has(subjects.log(header.namespace, "run", run, segment)))) this.#fault(lines, `the header promises run \`${run}\`, of which there is no event`);
      }
    }
    for (const [digest, { used, line }] of this.#documents) if (!used) this.#fault(line, `no event rests on document \`${digest}\`: it was added, or its event dropped`);
  }

  #fault(line: number, why: string): undefined {
    this.counts.faults += 1;
    if (this.#faults.length < MAX_FAULTS) this.#faults.push({ line, why });
  }
}

function range(from: number, to: number): string {
  return from === to ? `line ${from} was` : `lines ${from} to ${to} were`;
}

function parsed(text: string): ExportLine | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "it is not JSON: it was edited or cut off";
  }
  const line = exportLineSchema.safeParse(value);
  if (line.success) return line.data;
  const [issue] = line.error.issues;
  return `it is no line of an export: \`${issue?.path.join(".") ?? ""}\` ${issue?.message.toLowerCase() ?? ""}`;
}

/** Lines without their line feeds; `ended` is false for a last line that has none. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<{ readonly bytes: Buffer; readonly ended: boolean }> {
  let open: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      const last = rest.subarray(0, end);
      yield { bytes: open.length === 0 ? last : Buffer.concat([...open, last]), ended: true };
      [open, length] = [[], 0];
      rest = rest.subarray(end + 1);
    }
    // a file without line feeds is none of ours, however long it is: so much of it is kept as shows that
    if (rest.length > 0 && length <= MAX_LINE) {
      open.push(rest);
      length += rest.length;
    }
  }
  if (length > 0) yield { bytes: Buffer.concat(open), ended: false };
}
