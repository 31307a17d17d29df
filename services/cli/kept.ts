/** `verify --since`: the journal held against checkpoints that somebody kept, and these against the keys that they were given. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { StoredMessage } from "../bus/journal.ts";
import type { AttestedCheckpoint } from "../replay/attested.ts";
import { CheckpointAudit, readCheckpoints, sequenceFault, signatureFault } from "../replay/checkpoint.ts";
import type { ExportFile } from "../replay/export-file.ts";
import type { SignedCheckpoint, WitnessKey } from "../../schemas/checkpoint.ts";
import type { Io, Paint } from "./io.ts";
import { CliError, EXIT } from "./exit.ts";
import { dataFolder } from "./plane.ts";
import { visible } from "./visible.ts";
import { readKeys } from "./witness-key.ts";

export interface KeptReport {
  readonly checkpoints: number;
  /** Checkpoints that the journal holds to. */
  readonly held: number;
  readonly faults: readonly { readonly n: number; readonly why: string }[];
}

export interface Kept {
  messages(all: AsyncIterable<StoredMessage>): AsyncIterable<StoredMessage>;
  /**
   * After the last message.
   * @param file of an export: single runs are held against a checkpoint by the proofs in it
   */
  report(file?: ExportFile, attested?: readonly AttestedCheckpoint[]): KeptReport;
}

/** The keys that whoever verifies was given: those named, or the data folder's for checkpoints that were kept there. @throws CliError */
export async function trustedKeys(io: Io, since: string | undefined, path: string | undefined): Promise<WitnessKey[] | undefined> {
  if (path === undefined && since === undefined) return undefined;
  return readKeys(path ?? join(dataFolder(io.env), "witness", "witness-keys.json"));
}

/** @throws CliError when the file holds no checkpoint */
export async function readKept(path: string, keys: readonly WitnessKey[], ns: string): Promise<Kept> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new CliError(EXIT.usage, `\`${visible(path)}\` cannot be read: ${error.code ?? error.message}`, "give the file in which you kept what `signalbox checkpoint` printed");
  });
  const read = readCheckpoints(text);
  if (read.length === 0) throw new CliError(EXIT.usage, `\`${visible(path)}\` holds no checkpoint`, "`signalbox checkpoint > kept.json` makes one");
  const faults: { n: number; why: string }[] = [];
  const good: SignedCheckpoint[] = [];
  for (const [index, one] of read.entries()) {
    if (typeof one === "string") {
      faults.push({ n: index + 1, why: one });
      continue;
    }
    const before = read[index - 1];
    const why =
      one.ns !== ns ? `it is of namespace \`${one.ns}\`, not \`${ns}\`` : ((await signatureFault(one, keys)) ?? (typeof before === "object" ? sequenceFault(before, one) : undefined));
    if (why === undefined) good.push(one);
    else faults.push({ n: one.n, why });
  }
  const audit = new CheckpointAudit(good);
  return {
    async *messages(all) {
      for await (const message of all) {
        audit.push(message);
        yield message;
      }
    },
    report(file, attested = []) {
      const { held, findings } = file?.header !== undefined && "runs" in file.header.what ? provedIn(file, attested, good) : audit.conclude();
      return { checkpoints: read.length, held, faults: [...faults, ...findings] };
    },
  };
}

/** Of some runs only those checkpoints tell that the file was made for: a root says nothing about a part without its proof. */
function provedIn(file: ExportFile, attested: readonly AttestedCheckpoint[], kept: readonly SignedCheckpoint[]) {
  const why = "the file has no proofs for it: `signalbox export --checkpoints <kept>` adds them";
  const findings = kept.flatMap((one) => {
    const found = file.attests(one) ? attested.find(({ n }) => n === one.n) : undefined;
    return found === undefined ? [{ n: one.n, why }] : found.fault === undefined ? [] : [{ n: one.n, why: found.fault }];
  });
  return { held: kept.length - findings.length, findings };
}

export function keptText({ checkpoints, held, faults }: KeptReport, paint: Paint): string {
  const lines = faults.map(({ n, why }) => `${paint.red("broken")}  checkpoint ${n}: ${visible(why)}`);
  if (held > 0) lines.unshift(`${paint.green("held")}  ${held} of ${checkpoints} checkpoint(s): nothing before them was changed since they were signed`);
  return lines.join("\n");
}
