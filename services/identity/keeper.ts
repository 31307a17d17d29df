/**
 * Renews the credential files of a data folder before they end, while a plane runs. Whoever uses such a file reads it
 * again when the server ends the connection. A file whose bearer was revoked is left to end.
 */
import { type FSWatcher, watch } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { Barred, issueCreds, writeCreds } from "./creds.ts";
import type { Records } from "./files.ts";
import { hasEnded, type Issued, issuedRecords } from "./issued.ts";
import type { PlaneKeys } from "./keys.ts";

/** What a contract says of its agent's credentials. */
export interface CredentialTerms {
  readonly ttlSeconds?: number;
  readonly version?: string;
}

export interface KeeperOptions {
  readonly keys: PlaneKeys;
  /** What an agent's contract in force says now; undefined: as long as the last credential lived, for the same version. */
  readonly contractOf?: (agent: string, ns: Namespace) => Promise<CredentialTerms | undefined>;
  readonly onProblem: (message: string) => void;
  /** Called with the path of each file that was renewed. */
  readonly onRenewed?: (path: string) => void;
}

/** A credential is renewed when so much of its life is over: the rest is for whatever goes wrong. */
const RENEWED_AT = 2 / 3;
/** What was missed is looked for so often, ms: folders on some file systems cannot be watched. */
const LOOK_MS = 30_000;

/** Nothing is looked at more often than so, ms. */
const SHORTEST_MS = 200;

export class CredsKeeper {
  readonly #options: KeeperOptions;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #pass: Promise<void> = Promise.resolve();
  readonly #known = new Map<string, Issued>();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Renews what is due and goes on until stopped. */
  async start(): Promise<void> {
    const { folder } = issuedRecords(this.#options.keys.dataDir);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#watcher = watch(folder, { persistent: false }, () => this.#soon(50));
    this.#watcher.on("error", (error) => this.#options.onProblem(`new credentials are noticed late: ${error.message}`));
    await this.#look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#watcher?.close();
    await this.#pass;
  }

  #soon(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), ms);
    this.#timer.unref();
  }

  /** One pass at a time. */
  #look(): Promise<void> {
    this.#pass = this.#pass.then(async () => {
      if (this.#stopped) return;
      const next = await this.#renew().catch((error: unknown) => {
        this.#options.onProblem(`credentials were not renewed: ${(error as Error).message}`);
        return LOOK_MS;
      });
      this.#soon(Math.max(SHORTEST_MS, next));
    });
    return this.#pass;
  }

  /** Returns after how many ms to look again. */
  async #renew(): Promise<number> {
    const { dataDir } = this.#options.keys;
    const records = issuedRecords(dataDir);
    await this.#read(records);
    const all = this.#known;
    const newest = new Map<string, Issued>();
    for (const record of all.values()) {
      const { file } = record;
      if (file === undefined || (newest.get(file)?.issued_at ?? "") >= record.issued_at) continue;
      newest.set(file, record);
    }
    // who removed the file wants no other
    for (const file of newest.keys()) if (!(await exists(join(dataDir, file)))) newest.delete(file);
    for (const [key, record] of all) {
      // of a file that has ended the record stays: the plane may have been away for longer than the credential lived
      if (!hasEnded(record, Date.now()) || newest.get(record.file ?? "") === record) continue;
      await records.remove(key);
      all.delete(key);
    }
    let next = LOOK_MS;
    for (const [file, record] of newest) next = Math.min(next, await this.#renewed(file, record));
    return next;
  }

  /** A key's contents never change: what was read once is not read again. */
  async #read(records: Records<Issued>): Promise<void> {
    const keys = new Set(await records.keys());
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key);
    for (const key of keys) {
      const record = this.#known.has(key) ? undefined : await records.get(key);
      if (record !== undefined) this.#known.set(key, record);
    }
  }

  /** Returns after how many ms the file is due. */
  async #renewed(file: string, record: Issued): Promise<number> {
    if (record.expires_at === undefined) return LOOK_MS;
    const lived = Date.parse(record.expires_at) - Date.parse(record.issued_at);
    const due = Date.parse(record.issued_at) + lived * RENEWED_AT - Date.now();
    if (due > 0) return due;
    const { keys, contractOf, onProblem, onRenewed } = this.#options;
    const { role, name, ns, version, tool, team } = record;
    try {
      const contract = role === "agent" && ns !== undefined ? await contractOf?.(name, ns) : undefined;
      const ttlSeconds = contract?.ttlSeconds ?? Math.ceil(lived / 1000);
      const current = contract?.version ?? version;
      const issued = await issueCreds(keys, {
        role,
        name,
        ttlSeconds,
        ...(ns !== undefined && { ns }),
        ...(current !== undefined && { version: current }),
        ...(tool !== undefined && { tool }),
        ...(team !== undefined && { team }),
      });
      await writeCreds(keys.dataDir, file.slice("creds/".length, -".creds".length), issued);
      onRenewed?.(join(keys.dataDir, file));
      return ttlSeconds * 1000 * RENEWED_AT;
    } catch (error) {
      if (!(error instanceof Barred)) onProblem(`\`${file}\` was not renewed: ${(error as Error).message}`);
      return Math.min(LOOK_MS, Math.max(1000, lived / 10));
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
