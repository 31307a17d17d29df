/** How far each place that checkpoints are sent to has them: what one missed is sent when the witness runs again. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { SignedCheckpoint } from "../../schemas/checkpoint.ts";
import { CliError, EXIT } from "./exit.ts";
import { replace } from "./witness-key.ts";

/** The number of the last checkpoint that a place has taken, by its name. */
const placesSchema = z.record(z.string(), z.int().min(0));

export interface Places {
  /** Of all that were signed those that the place has not taken; of a place that is new the last one. */
  owed(place: string, signed: readonly SignedCheckpoint[]): readonly SignedCheckpoint[];
  /** Written down before the next is sent. */
  took(place: string, n: number): Promise<void>;
}

/** @param path in the witness's own folder; need not exist yet. @throws CliError when it holds something else */
export async function openPlaces(path: string): Promise<Places> {
  const known = await read(path);
  let writing = Promise.resolve();
  return {
    owed(place, signed) {
      const taken = known.get(place);
      return taken === undefined ? signed.slice(-1) : signed.filter(({ n }) => n > taken);
    },
    took(place, n) {
      known.set(place, n);
      writing = writing.catch(() => undefined).then(() => replace(path, `${JSON.stringify(Object.fromEntries(known))}\n`, 0o600));
      return writing;
    },
  };
}

async function read(path: string): Promise<Map<string, number>> {
  try {
    return new Map(Object.entries(placesSchema.parse(JSON.parse(await readFile(path, "utf8")))));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    throw new CliError(EXIT.failed, `\`${path}\` does not say how far each place has the checkpoints`, "take it away: each place is then sent the last one again");
  }
}
