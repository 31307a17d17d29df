/** The witness's key, its checkpoints, and what auditors are given: files of a folder that no other part of the plane reads. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type WitnessKey, witnessKeySchema } from "../../schemas/checkpoint.ts";
import { timestamp } from "../../schemas/time.ts";
import { Witness } from "../replay/witness.ts";
import { CliError, EXIT } from "./exit.ts";

const DAY_MS = 24 * 3600 * 1000;
/** A key is for a year; its checkpoints stay valid. */
const KEY_DAYS = 366;

const keyFileSchema = z.strictObject({ seed: z.string(), not_before: z.string(), not_after: z.string() });

export interface WitnessFolder {
  readonly witness: Witness;
  readonly validUntil: string;
  /** Its own memory of what it signed, one file for each namespace. */
  readonly checkpoints: (ns: string) => string;
  /** How far each of the places has what it signed, one file for each namespace. */
  readonly places: (ns: string) => string;
  /** All keys that it ever signed with: for auditors. */
  readonly published: string;
}

/** Opens the folder, and makes what is missing. @param fresh makes a new key, and keeps the old ones for verifying */
export async function openWitness(folder: string, nowMs: number, fresh: boolean): Promise<WitnessFolder> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyPath = join(folder, "witness.key.json");
  const published = join(folder, "witness-keys.json");
  let text = fresh ? undefined : await readFile(keyPath, "utf8").catch(() => undefined);
  if (text === undefined) {
    const [not_before, not_after] = [timestamp(nowMs), timestamp(nowMs + KEY_DAYS * DAY_MS)];
    text = JSON.stringify({ seed: randomBytes(32).toString("base64url"), not_before, not_after });
    await replace(keyPath, text, 0o600);
  }
  const { seed, not_before, not_after } = keyFileSchema.parse(JSON.parse(text));
  const witness = new Witness(Buffer.from(seed, "base64url"));
  const keys = await readKeys(published).catch(() => []);
  if (!keys.some(({ key }) => key === witness.key)) {
    await replace(published, `${JSON.stringify([...keys, witness.published(not_before, not_after)], undefined, 2)}\n`, 0o644);
  }
  return { witness, validUntil: not_after, checkpoints: (ns) => join(folder, `checkpoints-${ns}.jsonl`), places: (ns) => join(folder, `places-${ns}.json`), published };
}

/** The keys that an auditor was given. @throws CliError */
export async function readKeys(path: string): Promise<WitnessKey[]> {
  try {
    return z.array(witnessKeySchema).parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "it is no list of keys";
    throw new CliError(EXIT.usage, `the keys in \`${path}\` cannot be read: ${why}`, "give the `witness-keys.json` that the witness wrote");
  }
}

/** Under its name stands the old text or the new one. */
export async function replace(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode, flush: true });
  await rename(draft, path);
}
