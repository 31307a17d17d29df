/**
 * The disposable run index of a data folder: which runs are live, as a snapshot of a part of the journal. It is written
 * now and then, whole, and read at start; what came behind it is read from the journal. Anything wrong with it (missing,
 * cut off, a flipped byte, of another namespace or form) makes it as good as none, and the journal is read from its
 * beginning (law 4). Whether it is of this journal at all, `isPartOf` tells.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Namespace } from "../../schemas/ids.ts";
import { segmentOf, sequenceOf } from "../../schemas/segments.ts";
import type { StoredMessage } from "../bus/journal.ts";
import type { JournalListener } from "./follower.ts";
import type { LiveRuns, LiveSnapshot } from "./live-runs.ts";

/** Of form and meaning: a snapshot that another release wrote by another rule is not read. */
const FORM = "signalbox live runs 1";
const SAVE_EVERY_MS = 5_000;
/** Writing takes at most this part of the time, however many runs are live. */
const SAVE_SHARE = 1 / 50;

export function liveFile(dataDir: string, ns: Namespace): string {
  return join(dataDir, "index", `${ns}.live.json`);
}

/** The same for a later segment of the journal. */
export function segmentFile(path: string, segment: number): string {
  return segment === 1 ? path : path.replace(/(\.json)?$/, `.${segment}$1`);
}

/** The snapshot of a file; undefined when there is none that can be believed. */
export function readLive(path: string, ns: Namespace): LiveSnapshot | undefined {
  try {
    const [form, digest, text = ""] = readFileSync(path, "utf8").split("\n", 3);
    if (form !== FORM || digest !== digestOf(text)) return undefined;
    const snapshot = JSON.parse(text) as LiveSnapshot;
    return snapshot.ns === ns ? snapshot : undefined;
  } catch {
    return undefined;
  }
}

/** Whole or not at all: several processes may write to one folder. @throws what the file system says */
export function writeLive(path: string, snapshot: LiveSnapshot): void {
  const text = JSON.stringify(snapshot);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const own = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    writeFileSync(own, `${FORM}\n${digestOf(text)}\n${text}\n`, { mode: 0o600 });
    renameSync(own, path);
  } catch (error) {
    rmSync(own, { force: true });
    throw error;
  }
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Keeps the file near the journal's end, for coordinators that start or take over beside this reader. */
export class LiveKeeper implements JournalListener {
  readonly name = "live runs";
  /** In its segment. */
  readonly from: number;
  readonly #live: LiveRuns;
  readonly #path: string;
  readonly #trouble: (error: Error) => void;
  #saved: number;
  #saveAt = 0;

  /**
   * @param live as the file has it
   * @param trouble hears why the file could not be written
   */
  constructor(live: LiveRuns, path: string, trouble: (error: Error) => void) {
    this.#live = live;
    this.#path = path;
    this.#trouble = trouble;
    this.#saved = live.position;
    this.from = sequenceOf(live.position) + 1;
  }

  take(batch: readonly StoredMessage[]): void {
    for (const message of batch) this.#live.take(message);
    if (performance.now() >= this.#saveAt) this.save();
  }

  /** Writes what is known, if that is news. What cannot be written is written later, or read from the journal again. */
  save(): void {
    if (this.#live.position === this.#saved) return;
    const began = performance.now();
    try {
      writeLive(this.#path, this.#live.snapshot());
      this.#saved = this.#live.position;
    } catch (error) {
      this.#trouble(error as Error);
    }
    const now = performance.now();
    this.#saveAt = now + Math.max(SAVE_EVERY_MS, (now - began) / SAVE_SHARE);
  }
}

/** A keeper for each segment in which something may still happen, also for those that are opened meanwhile. */
export class LiveKeepers implements JournalListener {
  readonly name = "live runs";
  readonly #make: (segment: number, known: LiveSnapshot | undefined) => LiveKeeper;
  readonly #keepers = new Map<number, LiveKeeper | undefined>();

  constructor(make: (segment: number, known: LiveSnapshot | undefined) => LiveKeeper) {
    this.#make = make;
  }

  begin(segment: number, known: LiveSnapshot | undefined): void {
    this.#keepers.set(segment, this.#make(segment, known));
  }

  /** Nothing happens in it any more. */
  leave(segment: number): void {
    this.#keepers.set(segment, undefined);
  }

  get from(): number {
    return this.fromIn(1);
  }

  fromIn(segment: number): number {
    if (!this.#keepers.has(segment)) this.begin(segment, undefined);
    return this.#keepers.get(segment)?.from ?? Number.MAX_SAFE_INTEGER;
  }

  take(batch: readonly StoredMessage[]): void {
    const [first] = batch;
    if (first !== undefined) this.#keepers.get(segmentOf(first.seq))?.take(batch);
  }

  save(): void {
    for (const keeper of this.#keepers.values()) keeper?.save();
  }
}
