/** Keeps the documents in force in step with the journal: one change at a time, and never back to an older one. */
import type { DocumentKind } from "../../machines/registry.ts";
import type { Digest } from "../../schemas/ids.ts";
import type { RegistryView } from "../registry/view.ts";

export class Applied {
  readonly #registry: RegistryView;
  /** Last event of each document that was taken over, by `<kind>/<name>`. */
  readonly #seen = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(registry: RegistryView) {
    this.#registry = registry;
  }

  /** Reads what is in force from the journal. @throws ReadError */
  load(): Promise<void> {
    return this.#after(() => this.#registry.load());
  }

  /**
   * Two applied at once are fetched in any order, and our own commit and the live tail tell of the same event twice.
   * @param seq of the `applied` event in its aggregate
   */
  put(kind: DocumentKind, name: string, digest: Digest, seq: number): Promise<void> {
    return this.#after(async () => {
      const key = `${kind}/${name}`;
      if (seq <= (this.#seen.get(key) ?? 0)) return;
      await this.#registry.put(kind, name, digest);
      this.#seen.set(key, seq);
    });
  }

  #after(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
