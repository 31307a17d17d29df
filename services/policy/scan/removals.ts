/** What was taken out of an output: one entry for each place and reason, its hash over all that was taken out there. */
import { sha256Digest } from "../../../schemas/canonical.ts";
import type { Removed } from "../../../schemas/inputs.ts";
import { pathOf, type Place } from "./place.ts";

/** A report carries no more of them; the last then counts the rest together. */
const MAX_REMOVED = 1000;
/** Characters of all paths together: the list has to fit into a report, whatever its keys are. */
const MAX_PATHS = 64 * 1024;

export class Removals {
  readonly #entries = new Map<string, { path: string; reason: string; text: string }>();
  #paths = 0;
  #overflow = "";
  #overflowed = 0;

  add(at: Place | undefined, reason: string, text: string): undefined {
    const path = pathOf(at);
    const key = `${reason} ${path}`;
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.text += text;
    } else if (this.#entries.size < MAX_REMOVED - 1 && this.#paths + path.length <= MAX_PATHS) {
      this.#paths += path.length;
      this.#entries.set(key, { path, reason, text });
    } else {
      this.#overflow += text;
      this.#overflowed++;
    }
    return undefined;
  }

  list(): Removed[] {
    const entries = [...this.#entries.values()];
    if (this.#overflowed > 0) entries.push({ path: "", reason: `and_${this.#overflowed}_more`, text: this.#overflow });
    return entries.map(({ path, reason, text }) => {
      const bytes = Buffer.from(text, "utf8");
      return { path, reason, bytes: bytes.length, sha256: sha256Digest(bytes) };
    });
  }
}
