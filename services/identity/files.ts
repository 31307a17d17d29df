/** Files of the data folder that hold secrets, or what trust rests on: replaced whole, and read by nobody else. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Replaces a file with another in one step, mode 0600, in a folder of mode 0700. */
export async function writeSecret(path: string, contents: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  await writeFile(draft, contents, { mode: 0o600, flush: true });
  await rename(draft, path);
}

/**
 * Small records, one a file, so that two processes write side by side without a lock. What is half written has another
 * name and is not read.
 */
export class Records<T extends object> {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get folder(): string {
    return this.#folder;
  }

  async put(key: string, record: T): Promise<void> {
    await writeSecret(join(this.#folder, `${key}.json`), `${JSON.stringify(record)}\n`);
  }

  async remove(key: string): Promise<void> {
    await rm(join(this.#folder, `${key}.json`), { force: true });
  }

  /** All, by key. @throws when a record is damaged: what cannot be read may be what somebody was revoked by */
  all(): Promise<Map<string, T>> {
    return this.some(() => true);
  }

  /** Those of which the key alone says that they are wanted: the others are not read. @throws as {@link all} */
  async some(wanted: (key: string) => boolean): Promise<Map<string, T>> {
    const found = new Map<string, T>();
    for (const key of await this.keys()) {
      const record = wanted(key) ? await this.get(key) : undefined;
      if (record !== undefined) found.set(key, record);
    }
    return found;
  }

  async keys(): Promise<string[]> {
    const files = (await readdir(this.#folder).catch(absent)) ?? [];
    return files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length));
  }

  /** Undefined when there is none (any more). @throws when it is damaged */
  async get(key: string): Promise<T | undefined> {
    const path = join(this.#folder, `${key}.json`);
    const text = await readFile(path, "utf8").catch(absent);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new Error(`the file \`${path}\` is damaged`, { cause });
    }
  }
}

function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  return undefined;
}
