/**
 * How much of a run telemetry may carry (AUD-3): what the contract says that its start, or one of its actions, was
 * judged under. The journal names the contract by its digest; a document that cannot be had lets nothing out.
 */
import type { Contract } from "../../schemas/contract.ts";
import { sha256Digest } from "../../schemas/canonical.ts";
import type { EventBody } from "../../schemas/event.ts";
import { type Digest, digestSchema } from "../../schemas/ids.ts";
import type { Tool } from "../../schemas/tool.ts";
import type { Document } from "../registry/kinds.ts";
import { readApplied } from "../registry/parse.ts";

/** What may be told of what one commit judged. `full` comes with what it takes to redact by. */
export type Terms = { readonly level: "none" | "metadata" } | { readonly level: "full"; readonly contract: Contract; readonly tool: Tool | undefined };

export interface TermsOptions {
  /** The bytes of a document; undefined when there are none. @throws when it cannot be told */
  readonly document: (digest: Digest) => Promise<Uint8Array | undefined>;
  readonly onAlarm?: (message: string) => void;
}

const RANK = { none: 0, metadata: 1, full: 2 } as const;

/** Of two that one action was judged under, the one that tells less; the later of two that tell as much. */
export function stricter(before: Terms, after: Terms): Terms {
  return RANK[before.level] < RANK[after.level] ? before : after;
}

const METADATA: Terms = { level: "metadata" };
const NONE: Terms = { level: "none" };
/** Documents that are remembered; there are few contracts, and many runs under each. */
const MAX_KNOWN = 1_024;

export class TermsReader {
  readonly #options: TermsOptions;
  /** Least recently used first. Undefined: it cannot be used, whatever is tried. */
  readonly #known = new Map<Digest, Document | undefined>();

  constructor(options: TermsOptions) {
    this.#options = options;
  }

  /**
   * By the commit that begins with this event; undefined for one that judges nothing. Where no contract was in force
   * none says how much may be told, and nothing but metadata is.
   * @throws when the store of documents does not answer: to be tried again
   */
  async of(body: EventBody): Promise<Terms | undefined> {
    const named = documentsOf(body.data["facts"]);
    if (named === undefined) return undefined;
    if (named.contract === undefined) return METADATA;
    const contract = await this.#read(named.contract);
    if (contract?.kind !== "agent") return NONE;
    const level = contract.value.logging?.trace_level ?? "metadata";
    if (level !== "full") return level === "none" ? NONE : METADATA;
    const tool = named.tool === undefined ? undefined : await this.#read(named.tool);
    return { level, contract: contract.value, tool: tool?.kind === "tool" ? tool.value : undefined };
  }

  async #read(digest: Digest): Promise<Document | undefined> {
    if (this.#known.has(digest)) {
      const known = this.#known.get(digest);
      this.#known.delete(digest);
      this.#known.set(digest, known);
      return known;
    }
    const bytes = await this.#options.document(digest);
    const document = bytes !== undefined && sha256Digest(bytes) === digest ? readApplied(bytes) : undefined;
    if (document === undefined) this.#options.onAlarm?.(`document \`${digest}\` cannot be read: runs that rest on it are not traced`);
    this.#known.set(digest, document);
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as Digest);
    return document;
  }
}

type Named = { readonly contract: Digest | undefined; readonly tool: Digest | undefined };

/** Documents that a start, a proposal, or what is judged anew was judged by. */
function documentsOf(facts: unknown): Named | undefined {
  const { kind, again, documents, start, tool } = fields(facts);
  if (kind === "start" || kind === "tool") return namedIn(documents);
  if (kind === "current") return again === undefined ? undefined : namedIn(fields(again)["documents"]);
  // a change of documents: no agent's contract, and the plane's own words
  if (kind === "change") return namedIn(fields(tool)["documents"] ?? fields(start)["documents"]);
  return undefined;
}

function namedIn(documents: unknown): Named {
  const { contract, tool } = fields(documents);
  return { contract: digestSchema.safeParse(contract).data, tool: digestSchema.safeParse(tool).data };
}

const fields = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {});
