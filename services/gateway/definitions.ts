/** Definitions of tools by the hash that was approved: fetched once, checked against their hash, kept. */
import { type Documents } from "../bus/documents.ts";
import type { Digest } from "../../schemas/ids.ts";
import { type Tool, toolSchema } from "../../schemas/tool.ts";

const LIMIT = 4096;

export class Definitions {
  readonly #documents: Documents;
  readonly #known = new Map<Digest, Promise<Tool>>();

  constructor(documents: Documents) {
    this.#documents = documents;
  }

  /** @throws DocumentMissing, DocumentCorrupt, ReadError; ZodError or SyntaxError when it is no tool */
  get(hash: Digest): Promise<Tool> {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const fetched = this.#fetch(hash);
    this.#known.set(hash, fetched);
    // what failed is asked for again; what came never changes
    fetched.catch(() => this.#known.delete(hash));
    if (this.#known.size > LIMIT) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    return fetched;
  }

  async #fetch(hash: Digest): Promise<Tool> {
    const bytes = await this.#documents.get(hash);
    return toolSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  }
}
