/** Documents by their hash, for those who only read: from the plane, or out of an export. */
import type { Contract } from "../../schemas/contract.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { DocumentFacts } from "../../schemas/facts.ts";
import { type Digest, digestSchema, type Namespace } from "../../schemas/ids.ts";
import type { PolicySet } from "../../schemas/policy.ts";
import { streamName, subjects } from "../../schemas/subjects.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { JournalEvent } from "../bus/commit.ts";
import type { NatsConnection } from "../bus/connection.ts";
import { StreamReader } from "../bus/journal.ts";
import type { Document, DocumentKind } from "../registry/kinds.ts";
import { readStored } from "../registry/parse.ts";

export interface DocumentSource {
  /** The bytes as they are kept, not yet held against their address; undefined when there are none. @throws ReadError */
  bytes(digest: Digest): Promise<Uint8Array | undefined>;
}

/** Reads the plane's documents with an auditor's rights. */
export function storedDocuments(nc: NatsConnection, ns: Namespace): DocumentSource {
  const reader = new StreamReader(nc, streamName("DOCUMENTS", ns));
  return { bytes: async (digest) => (await reader.lastDirect(subjects.document(ns, digest.slice("sha256:".length))))?.data };
}

/** Contracts, tools and policy sets, read and parsed once each. */
export class Library {
  readonly #source: DocumentSource;
  readonly #known = new Map<Digest, Document | string>();

  constructor(source: DocumentSource) {
    this.#source = source;
  }

  /** Makes these available to {@link agent}, {@link tool} and {@link policy}. @throws ReadError */
  async fetch(digests: Iterable<Digest>): Promise<void> {
    for (const digest of digests) if (!this.#known.has(digest)) this.#known.set(digest, await this.#read(digest));
  }

  agent(digest: Digest): Contract | string {
    return this.#of(digest, "agent") as Contract | string;
  }
  tool(digest: Digest): Tool | string {
    return this.#of(digest, "tool") as Tool | string;
  }
  /** The set, or why there is none: missing, damaged, or a document of another kind. */
  policy(digest: Digest): PolicySet | string {
    return this.#of(digest, "policy") as PolicySet | string;
  }

  #of(digest: Digest, kind: DocumentKind): Document["value"] | string {
    const document = this.#known.get(digest) ?? "it was not fetched";
    if (typeof document === "string") return document;
    return document.kind === kind ? document.value : `it is a document of kind \`${document.kind}\``;
  }

  async #read(digest: Digest): Promise<Document | string> {
    const bytes = await this.#source.bytes(digest);
    if (bytes === undefined) return "it is missing";
    if (sha256Digest(bytes) !== digest) return "its bytes have another digest";
    const { document, findings } = readStored(bytes);
    return document ?? `it cannot be read: ${findings[0]?.message ?? ""}`;
  }
}

/** What an action was judged by, as its commit records it; none for a commit that holds no judgement. */
export function governingDigests({ body }: Pick<JournalEvent, "body">): Digest[] {
  const facts = body.data["facts"] as { kind?: unknown; documents?: DocumentFacts; again?: { documents?: DocumentFacts } } | undefined;
  if (body.part[0] !== 1) return [];
  return facts?.kind === "tool" ? definedOf(facts.documents) : definedOf(facts?.again?.documents);
}

/**
 * Every document that an event rests on: in force when it was judged, saying who somebody is, applied by it or by the
 * change that it is part of, or holding a value too large for it.
 */
export function documentsOf({ body }: JournalEvent): Set<Digest> {
  const found = new Set<Digest>();
  named(body.data["facts"], found);
  if (body.cause.kind === "apply") named(body.data["input"], found);
  const applied = digestSchema.safeParse(body.data["document"]);
  if (applied.success && body.type.endsWith(".applied")) found.add(applied.data);
  referred(body.data, found);
  return found;
}

function definedOf(documents: DocumentFacts | undefined): Digest[] {
  return Object.values(documents ?? {}).filter((digest) => digest !== undefined);
}

/** Facts name documents under `documents`, by what they are, and under `document`; at any depth. */
function named(value: unknown, found: Set<Digest>): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  for (const [key, member] of Object.entries(value)) {
    if (typeof member === "object") {
      if (key === "documents" && !Array.isArray(member)) for (const digest of definedOf((member ?? undefined) as DocumentFacts | undefined)) found.add(digest);
      else named(member, found);
    } else if (key === "document") {
      const digest = digestSchema.safeParse(member);
      if (digest.success) found.add(digest.data);
    }
  }
}

/** `{ "$doc": "sha256:…" }`, at any depth. */
function referred(value: unknown, found: Set<Digest>): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  for (const [key, member] of Object.entries(value)) {
    const digest = key === "$doc" ? digestSchema.safeParse(member) : undefined;
    if (digest?.success === true) found.add(digest.data);
    else referred(member, found);
  }
}
