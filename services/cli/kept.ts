/** `verify --since`: the journal held against checkpoints that somebody kept, and these against the keys that they were given. */
import { join } from "node:path";
import type { StoredMessage } from "../bus/journal.ts";
import { CheckpointAudit, readCheckpoints, sequenceFault, signatureFault } from "../replay/checkpoint.ts";
import { fileText } from "../replay/sinks.ts";
import type { SignedCheckpoint } from "../../schemas/checkpoint.ts";
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
  /** After the last message. */
  report(): KeptReport;
}

/** @throws CliError when the file holds no checkpoint, or the keys cannot be read */
export async function readKept(io: Io, path: string, keysPath: string | undefined, ns: string): Promise<Kept> {
  const text = await fileText(path).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(EXIT.usage, `\`${visible(path)}\` cannot be read: ${error.code ?? error.message}`);
  });
  const read = readCheckpoints(text);
  if (read.length === 0) throw new CliError(EXIT.usage, `\`${visible(path)}\` holds no checkpoint`, "`signalbox checkpoint > kept.json` makes one");
  const keys = await readKeys(keysPath ?? join(dataFolder(io.env), "witness", "witness-keys.json"));
  const faults: { n: number; why: string }[] = [];
  const good: SignedCheckpoint[] = [];
  for (const [index, one] of read.entries()) {
    if (typeof one === "string") {
      faults.push({ n: index + 1, why: one });
      continue;
    }
    const before = read[index - 1];
    const why =
      one.ns !== ns ? `it is of namespace \`${one.ns}\`, not \`${ns}\`` : (signatureFault(one, keys) ?? (typeof before === "object" ? sequenceFault(before, one) : undefined));
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
    report() {
      const { held, findings } = audit.conclude();
      return { checkpoints: read.length, held, faults: [...faults, ...findings] };
    },
  };
}

export function keptText({ checkpoints, held, faults }: KeptReport, paint: Paint): string {
  const lines = faults.map(({ n, why }) => `${paint.red("broken")}  checkpoint ${n}: ${visible(why)}`);
  if (held > 0) lines.unshift(`${paint.green("held")}  ${held} of ${checkpoints} checkpoint(s): nothing before them was changed since they were signed`);
  return lines.join("\n");
}
