/** Keeps the documents in force in step with the journal: one change at a time, and never back to an older one. */
import { DOCUMENT_KINDS, type DocumentKind } from "../../machines/registry.ts";
import type { Digest } from "../../schemas/ids.ts";
import { ReadError } from "../bus/journal.ts";
import type { RegistryView } from "../registry/view.ts";
import { pause } from "./pause.ts";

const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;

export class Applied {
  readonly #registry: RegistryView;
  readonly #changed: (kind: DocumentKind) => void;
  /** Last event of each document that was taken over, by `<kind>/<name>`. */
  readonly #seen = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();
  #stopped = false;

  /** @param changed is told of the kind that was taken over */
  constructor(registry: RegistryView, changed: (kind: DocumentKind) => void = () => undefined) {
    this.#registry = registry;
    this.#changed = changed;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Reads what is in force from the journal. @throws ReadError */
  load(): Promise<void> {
    return this.#after(async () => {
      await this.#registry.load();
      for (const kind of DOCUMENT_KINDS) this.#changed(kind);
    });
  }

  /**
   * Two applied at once are fetched in any order, and our own commit and the live tail tell of the same event twice.
   * Waits as long as the document cannot be read. @throws ReadError when stopped meanwhile
   * @param seq of the `applied` event in its aggregate
   */
  put(kind: DocumentKind, name: string, digest: Digest, seq: number): Promise<void> {
    return this.#after(async () => {
      const key = `${kind}/${name}`;
      if (seq <= (this.#seen.get(key) ?? 0)) return;
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#registry.put(kind, name, digest);
          this.#changed(kind);
          break;
        } catch (error) {
          if (this.#stopped || !(error instanceof ReadError)) throw error;
          await pause(Math.min(MAX_RETRY_MS, RETRY_MS * attempt));
        }
      }
      this.#seen.set(key, seq);
    });
  }

  #after(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
