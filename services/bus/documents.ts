/**
 * Content-addressed documents: the address is the SHA-256 of the bytes, so that what is read can be checked by
 * whoever reads it, and storing the same twice is storing it once.
 */
import type { NatsConnection } from "nats";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { Digest, Namespace } from "../../schemas/ids.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import { StreamReader } from "./journal.ts";
import { PublishError, type Publisher } from "./publisher.ts";

export class DocumentMissing extends Error {
  override readonly name = "DocumentMissing";
  readonly digest: Digest;
  constructor(digest: Digest) {
    super(`no document \`${digest}\` is stored`);
    this.digest = digest;
  }
}

/** What is stored under the address is something else: the store was tampered with or is damaged. */
export class DocumentCorrupt extends Error {
  override readonly name = "DocumentCorrupt";
  readonly digest: Digest;
  readonly found: Digest;
  constructor(digest: Digest, found: Digest) {
    super(`the document stored as \`${digest}\` has the digest \`${found}\``);
    this.digest = digest;
    this.found = found;
  }
}

const DEFAULT_CACHE_BYTES = 32 * 1024 * 1024;

export class Documents {
  readonly #publisher: Publisher;
  readonly #ns: Namespace;
  readonly #reader: StreamReader;
  readonly #cacheBytes: number;
  /** Least recently used first. */
  readonly #cache = new Map<Digest, Uint8Array>();
  #cached = 0;

  constructor(nc: NatsConnection, publisher: Publisher, ns: Namespace, options: { cacheBytes?: number } = {}) {
    this.#publisher = publisher;
    this.#ns = ns;
    this.#reader = new StreamReader(nc, streamName("DOCUMENTS", ns));
    this.#cacheBytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES;
  }

  /**
   * Stores a document, once: what is there already is compared and kept.
   * @throws PublishError when it could not be stored (after a doubt, put it again); DocumentCorrupt when the address
   * holds other bytes; ReadError
   */
  async put(bytes: Uint8Array, contentType: string): Promise<Digest> {
    const digest = sha256Digest(bytes);
    if (this.#cache.has(digest)) return digest;
    try {
      const headers = { "content-type": contentType };
      const message = { subject: this.#subject(digest), data: bytes, headers, expectLastSubjectSequence: 0 };
      await this.#publisher.batch([message]);
      this.#remember(digest, Uint8Array.from(bytes));
    } catch (error) {
      if (!(error instanceof PublishError) || (error.kind !== "conflict" && error.kind !== "refused")) throw error;
      const stored = await this.#reader.lastOf(this.#subject(digest));
      if (stored === undefined) throw error;
      this.#remember(digest, verified(digest, stored.data));
    }
    return digest;
  }

  /** The bytes of a document, checked against its address; not to be changed, the cache has them too. @throws DocumentMissing, DocumentCorrupt, ReadError */
  async get(digest: Digest): Promise<Uint8Array> {
    const cached = this.#cache.get(digest);
    if (cached !== undefined) {
      this.#cache.delete(digest);
      this.#cache.set(digest, cached);
      return cached;
    }
    const subject = this.#subject(digest);
    // A follower may be behind; before a document is called missing, the leader is asked.
    const stored = (await this.#reader.lastDirect(subject)) ?? (await this.#leader(subject));
    if (stored === undefined) throw new DocumentMissing(digest);
    const bytes = verified(digest, Uint8Array.from(stored.data));
    this.#remember(digest, bytes);
    return bytes;
  }

  /** Undefined also for a credential that may only read directly. */
  #leader(subject: string): Promise<{ data: Uint8Array } | undefined> {
    return this.#reader.lastOf(subject).catch(() => undefined);
  }

  #subject(digest: Digest): string {
    return subjects.document(this.#ns, digest.slice("sha256:".length));
  }

  #remember(digest: Digest, bytes: Uint8Array): void {
    if (bytes.length > this.#cacheBytes / 4 || this.#cache.has(digest)) return;
    this.#cache.set(digest, bytes);
    this.#cached += bytes.length;
    for (const [oldest, { length }] of this.#cache) {
      if (this.#cached <= this.#cacheBytes) return;
      this.#cache.delete(oldest);
      this.#cached -= length;
    }
  }
}

function verified(digest: Digest, bytes: Uint8Array): Uint8Array {
  const found = sha256Digest(bytes);
  if (found !== digest) throw new DocumentCorrupt(digest, found);
  return bytes;
}
